//! The thread that starts bubblewrap.
//!
//! `--die-with-parent` means the death of the *thread* that started it (`PR_SET_PDEATHSIG`). A
//! runtime's blocking threads end when idle and would take sandboxes with them; this thread
//! lives as long as the process.

use super::kill;
use anyhow::Context as _;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct SpawnOrder {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Started>>,
}

/// A bubblewrap on its way to the one who ordered it, who may give up at any time.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &self.0 {
            kill::bubblewrap(child);
        }
    }
}

/// Starts a command from the long-lived thread.
pub(super) async fn spawn(command: Command) -> anyhow::Result<Child> {
    let (reply, started) = oneshot::channel();
    let order = SpawnOrder {
        command,
        runtime: Handle::current(),
        reply,
    };
    let gone = "the thread that starts sandboxes is gone";
    orders()?.send(order).ok().context(gone)?;
    let mut started = started.await.context(gone)??;
    started.0.take().context(gone)
}

fn orders() -> anyhow::Result<&'static Sender<SpawnOrder>> {
    static ORDERS: OnceLock<Sender<SpawnOrder>> = OnceLock::new();
    if let Some(orders) = ORDERS.get() {
        return Ok(orders);
    }
    let (sender, orders) = channel::<SpawnOrder>();
    std::thread::Builder::new()
        .name("dgm-spawner".to_owned())
        .spawn(move || {
            for mut order in orders {
                let _runtime = order.runtime.enter();
                let started = order.command.spawn();
                let started = started.map(|child| Started(Some(child)));
                // Whoever ordered may be gone; dropping it kills it.
                drop(order.reply.send(started));
            }
        })
        .context("could not start a thread")?;
    // A second thread of a race has no sender left and ends.
    Ok(ORDERS.get_or_init(|| sender))
}
