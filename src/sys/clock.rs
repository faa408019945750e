//! The clock. The only place that asks the operating system for the time of day.

#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time of a commit that is made now in milliseconds, or the moment that
/// `SOURCE_DATE_EPOCH` (seconds, as reproducible-builds.org specifies it) fixes: with it,
/// commits of equal runs are equal. Nothing but commits may stand still: budgets of time and
/// the provider's dates need a clock that goes on.
pub fn commit_ms() -> i64 {
    fixed_seconds().map_or_else(now_ms, |seconds| seconds.saturating_mul(1000))
}

/// Returns Unix time in milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn fixed_seconds() -> Option<i64> {
    std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()
}
