//! Settings out of their bounds are refused, by name.

use aldis_workload::{Fault, Incident, Settings, Workload};

#[test]
fn what_cannot_be_is_refused_by_name() {
    let incident = |service: &str, fault| Incident {
        service: service.into(),
        fault,
        after_ns: 0,
        lasts_ns: 1,
        every_ns: 0,
    };
    type Change = (&'static str, fn(&mut Settings));
    let changes: [Change; 11] = [
        ("traces_per_second", |settings| settings.traces_per_second = 0),
        ("instances_per_service", |settings| settings.instances_per_service = 65),
        ("batch_records_max", |settings| settings.batch_records_max = 0),
        ("batch_delay_ns", |settings| settings.batch_delay_ns = u64::MAX),
        ("metric_interval_ns", |settings| settings.metric_interval_ns = 0),
        ("missing_per_million", |settings| settings.missing_per_million = 1_000_001),
        ("late_per_million", |settings| settings.late_per_million = u32::MAX),
        ("late_ns_max", |settings| settings.late_ns_max = u64::MAX),
        ("clock_skew_ns_max", |settings| settings.clock_skew_ns_max = u64::MAX),
        ("start_ns", |settings| settings.start_ns = 0),
        ("traces_in_flight_max", |settings| settings.traces_in_flight_max = 0),
    ];
    for (field, change) in changes {
        let mut settings = Settings::default();
        change(&mut settings);
        let error = Workload::new(settings).unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.to_string().starts_with(&format!("{field} must be from ")), "{error}");
    }
    let incidents = vec![incident("billing", Fault::ColdCache)];
    let error = Workload::new(Settings { incidents, ..Settings::default() }).unwrap_err();
    assert!(error.to_string().contains("not \"billing\""), "{error}");
    let incidents = vec![incident("payment", Fault::Slow { factor: 0 })];
    assert!(Workload::new(Settings { incidents, ..Settings::default() }).is_err());
}

#[test]
fn nothing_happens_after_the_end() {
    let settings = Settings::default();
    let start = settings.start_ns;
    let mut workload = Workload::new(settings).unwrap();
    let mut out = Vec::new();
    assert!(workload.next_ns().unwrap() >= start);
    workload.advance(start + 1_000_000_000, &mut out);
    let end = workload.finish(&mut out);
    let (requests, totals) = (out.len(), workload.totals());
    assert_eq!(workload.next_ns(), None);
    workload.advance(end + 100_000_000_000, &mut out);
    assert_eq!(workload.finish(&mut out), workload.now_ns());
    assert_eq!((out.len(), workload.totals()), (requests, totals));
}

/// Nothing is exported before the time that was announced, and something happens then.
#[test]
fn the_next_time_is_the_next_time() {
    let settings = Settings { metrics: false, ..Settings::default() };
    let mut workload = Workload::new(settings).unwrap();
    let mut out = Vec::new();
    for _ in 0..2_000 {
        let next = workload.next_ns().unwrap();
        workload.advance(next - 1, &mut out);
        assert_eq!(workload.next_ns(), Some(next));
        let before = out.len();
        workload.advance(next, &mut out);
        assert!(out[before..].iter().all(|request| request.at_ns == next));
    }
    assert!(!out.is_empty());
}
