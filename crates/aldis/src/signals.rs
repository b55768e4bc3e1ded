//! SIGTERM and SIGINT.

use std::{io, sync::mpsc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

/// Listens for SIGTERM and SIGINT on a thread of its own.
pub(crate) struct Signals {
    came: mpsc::Receiver<()>,
}

impl Signals {
    /// From now on neither signal ends the process by itself.
    pub(crate) fn listen() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut term, mut int) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let (tell, came) = mpsc::sync_channel(2);
        std::thread::Builder::new().name("aldis-signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = term.recv() => {}
                        _ = int.recv() => {}
                    }
                    // Full or gone: further signals change nothing.
                    let _ = tell.try_send(());
                }
            });
        })?;
        Ok(Signals { came })
    }

    /// Waits for a signal.
    pub(crate) fn wait(&self) {
        // The sender lives as long as the process.
        let _ = self.came.recv();
    }

    /// Waits for a signal, but no longer than this; whether one came.
    pub(crate) fn wait_for(&self, patience: Duration) -> bool {
        self.came.recv_timeout(patience).is_ok()
    }

    /// Whether another signal came.
    pub(crate) fn came(&self) -> bool {
        self.came.try_recv().is_ok()
    }
}
