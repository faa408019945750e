//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as any run needs: connections of many jobs, and the provider's for each.
const ENOUGH: u64 = 65_536;

/// Allows this process as many open files as it needs, if the system lets it. The limit that
/// shells set by default is meant for programs that could not handle more.
pub fn allow_many() {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if now.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum: now.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "could not allow more open files");
    }
}
