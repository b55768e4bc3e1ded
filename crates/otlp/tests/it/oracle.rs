//! Requests as prost holds them, and what can be asked of all three signals alike.

use aldis_otlp::{Batch, Check, Checker, Depth, Signal};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::entropy::Entropy;
use crate::rewire;

/// Whose attributes are visited.
pub(crate) enum Owner<'a> {
    Resource(&'a mut Option<Resource>),
    Scope(&'a mut Option<InstrumentationScope>),
    Record(&'a mut Vec<KeyValue>),
}

/// A request of one signal, to prost.
pub(crate) trait Oracle: Message + Default + Clone {
    const SIGNAL: Signal;
    const NAME: &'static str;
    fn from_entropy(entropy: &mut Entropy<'_>) -> Self;
    /// Leaves only the records for which `keep` holds, and nothing that has none.
    fn retain(&mut self, keep: &mut dyn FnMut() -> bool);
    /// Calls `visit` with every resource, scope and record in wire order: a resource before its scopes, a scope before its
    /// records.
    fn visit(&mut self, visit: &mut dyn FnMut(Owner<'_>));
}

impl Oracle for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
    const NAME: &'static str = "traces";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.traces()
    }

    fn retain(&mut self, keep: &mut dyn FnMut() -> bool) {
        self.resource_spans.retain_mut(|resource| {
            resource.scope_spans.retain_mut(|scope| {
                scope.spans.retain(|_| keep());
                !scope.spans.is_empty()
            });
            !resource.scope_spans.is_empty()
        });
    }

    fn visit(&mut self, visit: &mut dyn FnMut(Owner<'_>)) {
        for resource in &mut self.resource_spans {
            visit(Owner::Resource(&mut resource.resource));
            for scope in &mut resource.scope_spans {
                visit(Owner::Scope(&mut scope.scope));
                scope.spans.iter_mut().for_each(|span| visit(Owner::Record(&mut span.attributes)));
            }
        }
    }
}

impl Oracle for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;
    const NAME: &'static str = "logs";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.logs()
    }

    fn retain(&mut self, keep: &mut dyn FnMut() -> bool) {
        self.resource_logs.retain_mut(|resource| {
            resource.scope_logs.retain_mut(|scope| {
                scope.log_records.retain(|_| keep());
                !scope.log_records.is_empty()
            });
            !resource.scope_logs.is_empty()
        });
    }

    fn visit(&mut self, visit: &mut dyn FnMut(Owner<'_>)) {
        for resource in &mut self.resource_logs {
            visit(Owner::Resource(&mut resource.resource));
            for scope in &mut resource.scope_logs {
                visit(Owner::Scope(&mut scope.scope));
                scope.log_records.iter_mut().for_each(|log| visit(Owner::Record(&mut log.attributes)));
            }
        }
    }
}

/// Leaves the points for which `keep` holds; whether any is left.
fn retain_points(data: &mut Option<Data>, keep: &mut dyn FnMut() -> bool) -> bool {
    fn left<T>(points: &mut Vec<T>, keep: &mut dyn FnMut() -> bool) -> bool {
        points.retain(|_| keep());
        !points.is_empty()
    }
    match data {
        None => false,
        Some(Data::Gauge(data)) => left(&mut data.data_points, keep),
        Some(Data::Sum(data)) => left(&mut data.data_points, keep),
        Some(Data::Histogram(data)) => left(&mut data.data_points, keep),
        Some(Data::ExponentialHistogram(data)) => left(&mut data.data_points, keep),
        Some(Data::Summary(data)) => left(&mut data.data_points, keep),
    }
}

impl Oracle for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;
    const NAME: &'static str = "metrics";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.metrics()
    }

    fn retain(&mut self, keep: &mut dyn FnMut() -> bool) {
        self.resource_metrics.retain_mut(|resource| {
            resource.scope_metrics.retain_mut(|scope| {
                scope.metrics.retain_mut(|metric| retain_points(&mut metric.data, keep));
                !scope.metrics.is_empty()
            });
            !resource.scope_metrics.is_empty()
        });
    }

    fn visit(&mut self, visit: &mut dyn FnMut(Owner<'_>)) {
        for resource in &mut self.resource_metrics {
            visit(Owner::Resource(&mut resource.resource));
            for scope in &mut resource.scope_metrics {
                visit(Owner::Scope(&mut scope.scope));
                for metric in &mut scope.metrics {
                    let mut point = |attributes: &mut Vec<KeyValue>| visit(Owner::Record(attributes));
                    match &mut metric.data {
                        None => {}
                        Some(Data::Gauge(data)) => {
                            data.data_points.iter_mut().for_each(|p| point(&mut p.attributes));
                        }
                        Some(Data::Sum(data)) => {
                            data.data_points.iter_mut().for_each(|p| point(&mut p.attributes));
                        }
                        Some(Data::Histogram(data)) => {
                            data.data_points.iter_mut().for_each(|p| point(&mut p.attributes));
                        }
                        Some(Data::ExponentialHistogram(data)) => {
                            data.data_points.iter_mut().for_each(|p| point(&mut p.attributes));
                        }
                        Some(Data::Summary(data)) => {
                            data.data_points.iter_mut().for_each(|p| point(&mut p.attributes));
                        }
                    }
                }
            }
        }
    }
}

/// How a generated request is encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wiring {
    Ascending,
    Descending,
    Scrambled,
}

/// A checked batch made from entropy, and what prost reads in it; `None` where scrambling made it invalid.
pub(crate) fn batch<O: Oracle>(
    entropy: &mut Entropy<'_>,
    wiring: Wiring,
    depth: Depth,
) -> Option<(Batch, O)> {
    let request = O::from_entropy(entropy).encode_to_vec();
    let request = match wiring {
        Wiring::Ascending => request,
        Wiring::Descending => rewire::descending(O::NAME, &request),
        Wiring::Scrambled => rewire::scrambled(O::NAME, &request, entropy),
    };
    let batch = Checker::new(O::SIGNAL, Check::Full, depth).check(Bytes::from(request)).ok()?;
    let read = O::decode(batch.raw().clone()).expect("prost reads what was checked");
    Some((batch, read))
}

/// Fails unless the batch's bytes are valid, and its index and counts are what a fresh check finds.
pub(crate) fn assert_index_is_fresh(batch: &Batch) {
    let mut checker = Checker::new(batch.signal(), Check::Full, batch.depth());
    let fresh = checker.check(batch.raw().clone()).expect("what is written is valid");
    assert_eq!(fresh.raw(), batch.raw(), "what is written says everything once");
    assert_eq!(fresh.counts(), batch.counts());
    assert_eq!(fresh.index(), batch.index());
}

/// The request as prost encodes it: NaN compares equal so.
pub(crate) fn bytes<O: Oracle>(request: &O) -> Vec<u8> {
    request.encode_to_vec()
}

/// Each record alone, in everything that is around it.
pub(crate) fn one_by_one<O: Oracle>(request: &O) -> Vec<Vec<u8>> {
    let mut records = 0;
    request.clone().visit(&mut |owner| records += usize::from(matches!(owner, Owner::Record(_))));
    (0..records)
        .map(|chosen| {
            let mut alone = request.clone();
            let mut number = 0;
            alone.retain(&mut || {
                number += 1;
                number - 1 == chosen
            });
            alone.encode_to_vec()
        })
        .collect()
}
