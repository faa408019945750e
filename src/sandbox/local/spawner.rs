//! The thread that starts bubblewrap.
//!
//! `--die-with-parent` means the death of the *thread* that started it (`PR_SET_PDEATHSIG`). A
//! runtime's blocking threads end when idle and would take sandboxes with them; this thread
//! lives as long as the process.

use anyhow::Context as _;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts a command from the long-lived thread.
pub(super) async fn spawn(command: Command) -> anyhow::Result<Child> {
    let (reply, started) = oneshot::channel();
    let order = Order {
        command,
        runtime: Handle::current(),
        reply,
    };
    let gone = "the thread that starts sandboxes is gone";
    orders()?.send(order).ok().context(gone)?;
    Ok(started.await.context(gone)??)
}

fn orders() -> anyhow::Result<&'static Sender<Order>> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    if let Some(orders) = ORDERS.get() {
        return Ok(orders);
    }
    let (sender, orders) = channel::<Order>();
    std::thread::Builder::new()
        .name("dgm-spawner".to_owned())
        .spawn(move || {
            for mut order in orders {
                let _runtime = order.runtime.enter();
                // Whoever ordered may be gone; the child is then killed by its own drop.
                drop(order.reply.send(order.command.spawn()));
            }
        })
        .context("could not start a thread")?;
    // A second thread of a race has no sender left and ends.
    Ok(ORDERS.get_or_init(|| sender))
}
