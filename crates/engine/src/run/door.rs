//! What stands between receivers and pipelines: one receiver may feed several, and none takes in more of a request's
//! headers than it uses.

use std::sync::Arc;

use otlp::Depth;
use pipeline::{Budget, Chain, Inlet, Item};

use crate::graph::Plan;

/// A pipeline's way in, behind which only the headers that its processors name are left. Batches whose headers differ are
/// never merged: a header that nobody uses must not keep them apart.
pub(super) fn prune(chain: Arc<Chain>, plan: &Plan) -> Arc<dyn Inlet> {
    Arc::new(Prune { chain, headers: plan.headers() })
}

struct Prune {
    chain: Arc<Chain>,
    /// Sorted, lower case.
    headers: Vec<String>,
}

impl Inlet for Prune {
    fn offer(&self, mut item: Item, now_ns: u64) {
        if let Some(headers) = item.context.headers.take() {
            let used = |(name, _): &&(String, String)| self.headers.binary_search(name).is_ok();
            let kept: Arc<[(String, String)]> = headers.iter().filter(used).cloned().collect();
            item.context.headers = Some(kept).filter(|kept| !kept.is_empty());
        }
        self.chain.offer(item, now_ns);
    }

    fn depth(&self) -> Depth {
        self.chain.depth()
    }

    fn budget(&self) -> &Budget {
        self.chain.budget()
    }
}

/// One way into all of them; `None` where there are none.
pub(super) fn to_all(mut ways: Vec<Arc<dyn Inlet>>) -> Option<Arc<dyn Inlet>> {
    match ways.len() {
        0 | 1 => ways.pop(),
        _ => {
            let depth = ways.iter().map(|way| way.depth()).max().unwrap_or_default();
            let budget = Budget::of_all(ways.iter().map(|way| way.budget().clone()))?;
            Some(Arc::new(ToAll { ways, depth, budget }))
        }
    }
}

struct ToAll {
    ways: Vec<Arc<dyn Inlet>>,
    depth: Depth,
    /// That of every way: a body is not let in before all of them have room for it.
    budget: Budget,
}

impl Inlet for ToAll {
    fn offer(&self, item: Item, now_ns: u64) {
        for (copy, way) in item.fan_out(self.ways.len()).into_iter().zip(&self.ways) {
            way.offer(copy, now_ns);
        }
    }

    fn depth(&self) -> Depth {
        self.depth
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}
