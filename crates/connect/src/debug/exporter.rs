//! Shows what it is given.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use otlp::Signal;
use pipeline::{Exporter, Item, Outcome, Sender, clock::now_ns, exporter::BoxFuture};
use tokio::time::timeout;

use super::{
    Verbosity,
    printer::{Output, Printer},
    sampling::Sampling,
    text::Style,
};
use crate::limits::DEBUG_PATIENCE;

/// Where text is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// At the end of a file.
    File(PathBuf),
}

/// Settings in the words of the Collector's `debug` exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugConfig {
    /// Its name in configuration, metrics, logs, and in front of what it prints.
    pub name: String,
    /// How much is said.
    pub verbosity: Verbosity,
    /// Batches of each signal that are shown in each second.
    pub sampling_initial: u64,
    /// Of those that follow in it, every so-manieth is shown; 0: none.
    pub sampling_thereafter: u64,
    /// Where to.
    pub targets: Vec<Target>,
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            name: "debug".to_owned(),
            verbosity: Verbosity::default(),
            sampling_initial: 2,
            sampling_thereafter: 1,
            targets: vec![Target::Stderr],
        }
    }
}

/// Prints batches as text. It acknowledges a batch when it is printed, or after a second if that takes longer: a terminal that
/// nobody reads holds nothing up. What finds no room among those that wait is delivered unseen, and how many those were is said.
#[derive(Clone)]
pub struct DebugExporter {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    sampling: Mutex<[Sampling; Signal::ALL.len()]>,
    printer: Printer,
}

impl fmt::Debug for DebugExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugExporter").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl DebugExporter {
    /// Opens what is printed to and starts the thread that prints.
    ///
    /// # Errors
    /// A file that cannot be opened, or no thread.
    pub fn start(config: &DebugConfig) -> io::Result<Self> {
        let outputs = config.targets.iter().map(Output::open).collect::<io::Result<_>>()?;
        let style = Style { name: config.name.clone(), verbosity: config.verbosity, colors: false };
        let sampling = |_| Sampling::new(config.sampling_initial, config.sampling_thereafter);
        let inner = Inner {
            name: config.name.clone(),
            sampling: Mutex::new(Signal::ALL.map(sampling)),
            printer: Printer::start(outputs, style)?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn shows(&self, signal: Signal) -> bool {
        let mut sampling = self.inner.sampling.lock().unwrap_or_else(PoisonError::into_inner);
        sampling[signal as usize].shows(now_ns())
    }
}

impl Exporter for DebugExporter {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for DebugExporter {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if self.shows(item.batch.signal())
                && let Some(printed) = self.inner.printer.print(item)
            {
                // Whatever becomes of the text, the batch has been looked at as far as it will be.
                let _ = timeout(DEBUG_PATIENCE, printed).await;
            }
            Outcome::DELIVERED
        })
    }
}
