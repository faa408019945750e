//! The clock. The only place that asks the operating system for the time of day.

#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns Unix time in milliseconds, or the moment that `SOURCE_DATE_EPOCH` (seconds, as
/// reproducible-builds.org specifies it) fixes: with it, commits of equal runs are equal.
pub fn now_ms() -> i64 {
    if let Some(seconds) = fixed_seconds() {
        return seconds.saturating_mul(1000);
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn fixed_seconds() -> Option<i64> {
    std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()
}
