//! Ctrl-C in three steps: start nothing new, kill, exit.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// How urgently the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Work on.
    Run,
    /// Start nothing new; running jobs may end within a grace period.
    Drain,
    /// Kill running jobs.
    Kill,
}

/// The level, shared by whoever waits for it. Raised only, never lowered.
#[derive(Clone, Debug)]
pub struct Shutdown {
    level: Arc<AtomicU8>,
    drain: CancellationToken,
    kill: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            level: Arc::new(AtomicU8::new(0)),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
        }
    }
}

impl Shutdown {
    /// Returns one that follows SIGINT, SIGTERM and SIGHUP of this process: the first signal
    /// drains, the second kills, the third exits at once with code 130.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        static ONCE: OnceLock<Shutdown> = OnceLock::new();
        if let Some(shutdown) = ONCE.get() {
            return Ok(shutdown.clone());
        }
        let shutdown = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let raised = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if !raised.escalate() {
                    std::process::exit(130);
                }
            }
        });
        Ok(ONCE.get_or_init(|| shutdown).clone())
    }

    /// Raises the level by one; returns false where there is no higher one.
    pub fn escalate(&self) -> bool {
        match self.level() {
            Level::Run => {
                self.level.store(1, Ordering::SeqCst);
                self.drain.cancel();
                true
            }
            Level::Drain => {
                self.level.store(2, Ordering::SeqCst);
                self.kill.cancel();
                true
            }
            Level::Kill => false,
        }
    }

    /// Returns the present level.
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::SeqCst) {
            0 => Level::Run,
            1 => Level::Drain,
            _ => Level::Kill,
        }
    }

    /// Returns a token that is cancelled when nothing new may start.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Returns a token that is cancelled when running jobs must die.
    pub fn kill(&self) -> &CancellationToken {
        &self.kill
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Shutdown};

    #[test]
    fn escalates_once_per_signal() {
        let shutdown = Shutdown::default();
        assert_eq!(shutdown.level(), Level::Run);
        assert!(shutdown.escalate());
        assert_eq!(shutdown.level(), Level::Drain);
        assert!(shutdown.drain().is_cancelled() && !shutdown.kill().is_cancelled());
        assert!(shutdown.escalate());
        assert!(shutdown.kill().is_cancelled());
        assert!(!shutdown.escalate());
    }
}
