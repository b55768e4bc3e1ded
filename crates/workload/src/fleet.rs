//! Where the services run.

use otlp::compose::{Attribute, Value};

use crate::model::Service;
use crate::random::Random;
use crate::settings::Settings;
use crate::shop::SERVICES;

/// Every instance of every service.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Those of a service stand together, in the order of services.
    pub(crate) instances: Vec<Instance>,
    per_service: usize,
}

/// A process that runs a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: u8,
    /// Which of its service's instances, from 0.
    pub(crate) number: u16,
    /// A UUID.
    id: String,
    pub(crate) host: String,
    host_id: String,
    pod: String,
    pid: i64,
    /// Nanoseconds by which its host's clock is ahead.
    pub(crate) skew_ns: i64,
}

/// The stream of random numbers that the fleet is made from; traces are numbered from 0.
const STREAM: u64 = u64::MAX;

impl Fleet {
    /// Instance `i` of each service runs on host `i`.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut random = Random::stream(settings.seed, STREAM);
        let per_service = usize::from(settings.instances_per_service);
        let hosts: Vec<(String, String, i64)> = (0..per_service)
            .map(|i| {
                let skew = random.below(2 * settings.clock_skew_ns_max + 1) as i64;
                let id = format!("{:016x}{:016x}", random.next(), random.next());
                (format!("node-{}", i + 1), id, skew - settings.clock_skew_ns_max as i64)
            })
            .collect();
        let mut instances = Vec::with_capacity(per_service * SERVICES.len());
        for (number, service) in SERVICES.iter().enumerate() {
            for (i, (host, host_id, skew_ns)) in hosts.iter().enumerate() {
                instances.push(Instance {
                    service: number as u8,
                    number: i as u16,
                    id: uuid(&mut random),
                    host: host.clone(),
                    host_id: host_id.clone(),
                    pod: format!("{}-{:010x}", service.name, random.next() & 0xff_ffff_ffff),
                    pid: 1 + random.below(30_000) as i64,
                    skew_ns: *skew_ns,
                });
            }
        }
        Fleet { instances, per_service }
    }

    /// Whom a request to this service reaches.
    #[inline]
    pub(crate) fn pick(&self, service: u8, random: &mut Random) -> usize {
        usize::from(service) * self.per_service + random.index(self.per_service)
    }

    /// Where the instance of this number is among all.
    pub(crate) fn place(&self, service: u8, number: u16) -> usize {
        usize::from(service) * self.per_service + usize::from(number)
    }
}

impl Instance {
    pub(crate) fn service(&self) -> &'static Service {
        &SERVICES[usize::from(self.service)]
    }

    /// What its host's clock says at this time.
    #[inline]
    pub(crate) fn clock(&self, at_ns: u64) -> u64 {
        at_ns.wrapping_add_signed(self.skew_ns)
    }

    pub(crate) fn resource(&self) -> [Attribute<'_>; 15] {
        let service = self.service();
        [
            ("service.name", Value::Text(service.name)),
            ("service.namespace", Value::Text("shop")),
            ("service.version", Value::Text(service.version)),
            ("service.instance.id", Value::Text(&self.id)),
            ("deployment.environment.name", Value::Text("demo")),
            ("host.name", Value::Text(&self.host)),
            ("host.id", Value::Text(&self.host_id)),
            ("host.arch", Value::Text("amd64")),
            ("os.type", Value::Text("linux")),
            ("k8s.namespace.name", Value::Text("shop")),
            ("k8s.pod.name", Value::Text(&self.pod)),
            ("process.pid", Value::Int(self.pid)),
            ("telemetry.sdk.name", Value::Text("opentelemetry")),
            ("telemetry.sdk.language", Value::Text(service.language)),
            ("telemetry.sdk.version", Value::Text(service.sdk_version)),
        ]
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    )
}
