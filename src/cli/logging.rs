//! Diagnostics to standard error: `-v`, or `RUST_LOG` for exact control.

use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts diagnostics: warnings, with `-v` what happens, `-vv` details, `-vvv` everything.
pub(super) fn start(verbose: u8) {
    let default = match verbose {
        0 => "error,dgm=warn",
        1 => "warn,dgm=info",
        2 => "info,dgm=debug",
        _ => "debug,dgm=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // The engine's client logs whole request bodies below this level.
    let capped = filter_fn(|metadata| {
        !metadata.target().starts_with("bollard") || *metadata.level() <= Level::INFO
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(verbose > 1);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(capped)
        .with(lines)
        .try_init();
    debug_assert!(started.is_ok(), "diagnostics are started once");
}
