//! The tables are what the numbers in them claim.

use super::{JOURNEYS, PEERS, SERVICES, backend, leaves};
use crate::model::{ENDPOINTS_MAX, Endpoint, LEAVES_MAX, SERVICES_MAX};

#[test]
fn ids_are_unique_and_within_their_bounds() {
    let mut ids: Vec<u8> = endpoints().map(|endpoint| endpoint.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    assert!(ids.iter().all(|id| usize::from(*id) < ENDPOINTS_MAX));
    assert!(SERVICES.len() <= SERVICES_MAX);
}

fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    JOURNEYS.iter().map(|(endpoint, _)| *endpoint).chain(backend::ENDPOINTS)
}

#[test]
fn every_service_serves() {
    for (number, service) in SERVICES.iter().enumerate() {
        assert!(endpoints().any(|endpoint| usize::from(endpoint.service) == number), "{}", service.name);
    }
}

/// Measurements of leaves with one id go into one series.
#[test]
fn leaves_have_one_id_exactly_if_they_look_alike() {
    for a in leaves::LEAVES {
        assert!(usize::from(a.id) < LEAVES_MAX && usize::from(a.peer) < PEERS.len());
        for b in leaves::LEAVES {
            assert_eq!(a.id == b.id, (a.name, a.peer) == (b.name, b.peer), "{} {}", a.name, b.name);
        }
    }
}
