//! What leaves.

use otlp::Signal;

use super::{Request, Workload};
use crate::outbox;

impl Workload {
    /// Exports what spans or log records of this instance there are.
    pub(super) fn flush(&mut self, signal: Signal, instance: usize, out: &mut Vec<Request>) {
        let boxes = if signal == Signal::Logs { &mut self.logs } else { &mut self.spans };
        let records = boxes[instance].len();
        if records == 0 {
            return;
        }
        let mut outbox = std::mem::take(&mut boxes[instance]);
        let body = outbox.request(&self.world.fleet.instances[instance]);
        self.send(signal, instance, records, body, out);
        outbox.clear(|slot| self.exported(slot));
        let boxes = if signal == Signal::Logs { &mut self.logs } else { &mut self.spans };
        boxes[instance] = outbox;
    }

    /// Exports what this instance has measured.
    pub(super) fn collect(&mut self, instance: usize, out: &mut Vec<Request>) {
        let mut scopes: [Vec<u8>; 5] = Default::default();
        let of = &self.world.fleet.instances[instance];
        let settings = &self.world.settings;
        let at_ns = of.clock(self.now_ns);
        let points =
            self.meters[instance].collect(settings.seed, of, at_ns, settings.temporality, &mut scopes);
        let body = outbox::request(&scopes, of);
        self.ledger.points(of.service, points);
        self.send(Signal::Metrics, instance, points, body, out);
    }

    fn send(
        &mut self,
        signal: Signal,
        instance: usize,
        records: usize,
        body: Vec<u8>,
        out: &mut Vec<Request>,
    ) {
        self.ledger.request(signal, records, body.len());
        let of = &self.world.fleet.instances[instance];
        let (service, instance) = (of.service().name, of.number);
        out.push(Request { signal, at_ns: self.now_ns, service, instance, records, body: body.into() });
    }
}
