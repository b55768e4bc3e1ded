//! SIGTERM, SIGINT and SIGHUP.

use std::{io, sync::mpsc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM or SIGINT, or SIGHUP where nothing is read again: to end.
    End,
    /// SIGHUP, where there is one: to read the configuration again.
    Reload,
}

/// Listens for SIGTERM, SIGINT and SIGHUP on a thread of its own.
pub(crate) struct Signals {
    came: mpsc::Receiver<()>,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub(crate) fn listen() -> io::Result<Signals> {
        let (tell, came) = mpsc::sync_channel(2);
        // Full or gone: further signals change nothing.
        listen(false, move |_, _| tell.try_send(()).unwrap_or_default())?;
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

    /// Whether a signal came since that was asked last.
    pub(crate) fn came(&self) -> bool {
        self.came.try_recv().is_ok()
    }
}

/// From now on these signals do not end the process by themselves: they are told, on a thread of its own. SIGHUP is to end,
/// as when a terminal is closed, unless it `reloads`.
pub(crate) fn listen(reloads: bool, tell: impl Fn(Signal, SignalKind) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut term, mut int, mut hang_up) = {
        let _entered = runtime.enter();
        let hang_up = signal(SignalKind::hangup())?;
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, hang_up)
    };
    std::thread::Builder::new().name("aldis-signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                let came = tokio::select! {
                    _ = term.recv() => SignalKind::terminate(),
                    _ = int.recv() => SignalKind::interrupt(),
                    _ = hang_up.recv() => SignalKind::hangup(),
                };
                let asks = if reloads && came == SignalKind::hangup() { Signal::Reload } else { Signal::End };
                tell(asks, came);
            }
        });
    })?;
    Ok(())
}
