//! What a request of a thousand spans allocates on its whole way: bytes, check, filter, edit, batcher, exporter's queue,
//! sender.
//!
//! A binary of its own, because it counts every allocation of the thread on which the whole way is.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aldis_pipeline::{
    Batcher, BatcherSettings, Budget, Chain, ChainParts, Exporter, ExporterQueue, ExporterSettings, Health,
    Inlet, Item, Ledger, Outcome, Outlet, Receipt, Sender, Shards, Stage, Step, clock, exporter::BoxFuture,
};
use bytes::Bytes;
use operators::{
    Operator,
    edit::{ActionSettings, AttributesSettings, EditPlan},
    filter::{Condition, Filter},
};
use otlp::{AttributeValue, Check, Checker, Depth, Signal, Span, event::RequestBuilder};

struct Counting;

thread_local! {
    /// What others allocate meanwhile, such as those who run tests, is not the request's.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `layout` are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `block`, `layout` and `new_size` are handed on.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// 20 services of 50 spans.
fn thousand_spans() -> Bytes {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Counts);
    for n in 0..1000 {
        let text = |text: &str| AttributeValue::String(text.to_owned());
        let attributes = vec![
            ("service.name".to_owned(), text(&format!("service-{}", n / 50))),
            ("http.request.method".to_owned(), text("GET")),
            ("user.email".to_owned(), text("ada@example.org")),
        ];
        let name = if n % 10 == 0 { "GET /healthz" } else { "GET /cart" };
        let span =
            Span { name: name.to_owned(), trace_id: format!("{n:032x}"), attributes, ..Span::default() };
        builder.push_span(&span).expect("room");
    }
    builder.finish().to_wire()
}

/// Counts records and answers at once.
struct Counter(Arc<AtomicUsize>);

impl Exporter for Counter {
    fn name(&self) -> &str {
        "counter"
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(Counter(self.0.clone()))
    }
}

impl Sender for Counter {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        assert!(item.batch.to_wire().len() > 10_000);
        self.0.fetch_add(item.batch.len(), Ordering::SeqCst);
        Box::pin(std::future::ready(Outcome::DELIVERED))
    }
}

fn stage(name: &str, operator: fn() -> Box<dyn Operator>, ledger: &Ledger, health: &Health) -> Step {
    Step::Stage(Stage::new(name, Signal::Traces, Box::new(operator), ledger, health))
}

fn filter() -> Box<dyn Operator> {
    let text = "name == \"GET /healthz\"".to_owned();
    let condition = Condition { path: "traces.span[0]".to_owned(), text, ..Condition::default() };
    Box::new(Filter::new(Signal::Traces, &[condition]).expect("right"))
}

fn edit() -> Box<dyn Operator> {
    let action = |action: &str, key: &str, value: Option<&str>| ActionSettings {
        action: action.to_owned(),
        key: Some(key.to_owned()),
        value: value.map(|text| AttributeValue::String(text.to_owned())),
        ..ActionSettings::default()
    };
    let actions = vec![action("delete", "user.email", None), action("insert", "env", Some("prod"))];
    let settings = AttributesSettings { actions, ..AttributesSettings::default() };
    Box::new(EditPlan::attributes(Signal::Traces, &settings).expect("right"))
}

#[test]
fn a_request_allocates_little_on_its_whole_way() {
    let (ledger, health) = (Ledger::new(), Health::new());
    let shards = Shards::start(1, "allocations").expect("a thread");
    let taken = Arc::new(AtomicUsize::new(0));
    let exporter = Arc::new(Counter(taken.clone()));
    let queue = ExporterQueue::start(exporter, ExporterSettings::default(), &shards, &ledger, &health);
    let batcher = BatcherSettings { min_records: 900, ..BatcherSettings::default() };
    let parts = ChainParts {
        name: "traces".to_owned(),
        signal: Signal::Traces,
        shard: 0,
        steps: vec![
            stage("filter", filter, &ledger, &health),
            stage("attributes", edit, &ledger, &health),
            Step::Batcher(Batcher::new(batcher)),
        ],
        outlets: vec![Outlet::Exporter { queue, required: true }],
        depth: Depth::Counts,
        budget: Budget::new(1 << 30),
        limiter: None,
        compressor: None,
    };
    let chain = Chain::new(parts, &ledger);
    let request = thousand_spans();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let (warm, measured) = (100, 400);
    shards.spawn(0, async move {
        let mut checker = Checker::new(Signal::Traces, Check::Full, chain.depth());
        let mut before = 0;
        for n in 0..warm + measured {
            if n == warm {
                before = ALLOCATIONS.get();
            }
            let batch = checker.check(request.clone()).expect("valid");
            let (receipt, share) = Receipt::new(batch.len() as u64);
            let mut item = Item::new(batch);
            item.context.charges.extend(chain.budget().try_charge(item.batch.memory_bytes()));
            item.context.shares.push(share);
            chain.offer(item, clock::now_ns());
            assert_eq!(receipt.await, Outcome::DELIVERED);
            tokio::task::yield_now().await;
        }
        tell.send(ALLOCATIONS.get() - before).expect("somebody waits");
    });
    let allocations = told.recv_timeout(Duration::from_secs(120)).expect("an answer");
    let end = Instant::now() + Duration::from_secs(60);
    while taken.load(Ordering::SeqCst) < (warm + measured) * 900 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(taken.load(Ordering::SeqCst), (warm + measured) * 900);
    ledger.stats().check().expect("every record is accounted for");
    let each = allocations as f64 / measured as f64;
    println!("{each:.2} allocations per request of 1000 spans");
    assert!(each <= 12.0, "{each} allocations per request of 1000 spans");
}
