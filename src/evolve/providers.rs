//! What is known of the providers of the models that are asked: whether calls leave, whether
//! new work is worth starting, or whether it is to end.
//!
//! [`Vigil`] decides it and is told the time; [`Providers`] asks the models' paces for it.
//!
//! Invariant: a pause that began because a provider lets nobody in goes on until something is
//! answered, however often the time that it names has come and gone: only so does the time
//! that is waited for it run out.

use super::Progress;
use super::progress::Slowdown;
use crate::domain::Role;
use crate::model::{Health, Pace};
use crate::sys::clock::now_ms;
use futures_util::future::select_all;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A time without calls that is told: a shorter one is nothing that a person could act upon.
const WORTH_TELLING: Duration = Duration::from_secs(30);
/// A time without calls for which all work pauses.
const WORTH_PAUSING: Duration = Duration::from_mins(1);

/// The providers of the models of some roles.
#[derive(Debug)]
pub struct Providers {
    roles: Vec<(Role, Pace, watch::Receiver<Health>)>,
    vigil: Vigil,
}

impl Providers {
    /// Watches the paces of roles; work that pauses for one of them ends after a while.
    pub fn new(paces: impl IntoIterator<Item = (Role, Pace)>, limit: Duration) -> Self {
        let watched = |(role, pace): (Role, Pace)| {
            let health = pace.health();
            (role, pace, health)
        };
        Self {
            roles: paces.into_iter().map(watched).collect(),
            vigil: Vigil::new(limit),
        }
    }

    /// Looks at them and tells what is new; returns why the work must end, if it must.
    pub fn heed(&mut self, tell: impl FnMut(Progress)) -> Option<String> {
        let seen = self.roles.iter().map(|(role, pace, health)| {
            // Let go of before the pace is asked, which announces health while it is locked.
            let health = health.borrow().clone();
            SeenHealth {
                role: *role,
                health,
                is_answering: pace.trouble().is_none(),
            }
        });
        let seen: Vec<SeenHealth> = seen.collect();
        self.vigil.look(&seen, Instant::now(), tell)
    }

    /// Returns how many of so many jobs may run.
    pub(super) fn width(&self, workers: usize) -> usize {
        match &self.vigil.pause {
            None => workers,
            // Whatever it asks, it will get no answer in time.
            Some(_) if self.vigil.held_until.is_some() => 0,
            // One is enough to find out when it ends.
            Some(_) => 1,
        }
    }

    /// Returns whether everything pauses for one of them.
    pub(super) fn is_out(&self) -> bool {
        self.vigil.pause.is_some()
    }

    /// Waits until there is something to heed.
    pub async fn changed(&mut self) {
        let next = self.vigil.next_look();
        let each = self.roles.iter_mut().map(|(_, _, health)| {
            Box::pin(async move {
                // A model lives as long as the run; without it nothing will ever change.
                if health.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        let patience = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = select_all(each) => {}
            () = patience => {}
        }
    }
}

/// What is seen of one provider.
struct SeenHealth {
    role: Role,
    health: Health,
    /// Whether the last call that ended was answered.
    is_answering: bool,
}

/// What was made of it so far.
#[derive(Debug)]
struct Vigil {
    /// Time that is waited for a provider that answers nobody.
    limit: Duration,
    pause: Option<ProviderPause>,
    /// While work pauses: when the next call may leave, where a provider said so.
    held_until: Option<Instant>,
    slowed: Option<String>,
    /// The last time of a next call that was told.
    told: Option<Instant>,
}

#[derive(Debug)]
struct ProviderPause {
    role: Role,
    since: Instant,
}

/// How one provider is to those who wait for it.
enum ProviderStanding {
    Well,
    Slowed {
        what: String,
        until: Instant,
    },
    Out {
        what: String,
        /// Unix time in milliseconds of the first failure; none: when the pause began.
        since_ms: Option<i64>,
    },
    Barred {
        what: String,
    },
}

impl ProviderStanding {
    fn rank(&self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Slowed { .. } => 1,
            Self::Out { .. } => 2,
            Self::Barred { .. } => 3,
        }
    }
}

impl Vigil {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            pause: None,
            held_until: None,
            slowed: None,
            told: None,
        }
    }

    /// Returns when time alone will change something, if it will.
    fn next_look(&self) -> Option<Instant> {
        let end = self.pause.as_ref().map(|pause| pause.since + self.limit);
        end.into_iter().chain(self.held_until).min()
    }

    /// Takes in how the providers are and tells what is new; returns why to end, if so.
    fn look(
        &mut self,
        seen: &[SeenHealth],
        now: Instant,
        mut tell: impl FnMut(Progress),
    ) -> Option<String> {
        let worst = seen
            .iter()
            .map(|seen| (seen.role, self.standing(seen, now)))
            .max_by_key(|(_, standing)| standing.rank());
        let (role, worst) = worst.unwrap_or((Role::Solve, ProviderStanding::Well));
        let held = seen.iter().filter_map(|seen| next_call(&seen.health, now));
        let held = held.max();
        if worst.rank() > 1 {
            self.slow(role, &worst, now, &mut tell);
        }
        match worst {
            ProviderStanding::Well | ProviderStanding::Slowed { .. } => {
                self.held_until = None;
                if let Some(ProviderPause { since, .. }) = self.pause.take() {
                    let after = now - since;
                    tracing::info!(?after, "the provider answers again");
                    tell(Progress::Resumed { after });
                }
                self.slow(role, &worst, now, &mut tell);
                None
            }
            ProviderStanding::Out { what, since_ms } => {
                self.held_until = held;
                self.wait(role, what, since_ms, now, &mut tell)
            }
            ProviderStanding::Barred { what } => Some(format!(
                "the model of the role `{role}` cannot be used: {what}"
            )),
        }
    }

    fn standing(&self, seen: &SeenHealth, now: Instant) -> ProviderStanding {
        let was_held = self
            .pause
            .as_ref()
            .is_some_and(|pause| pause.role == seen.role);
        match &seen.health {
            Health::Barred { what } => ProviderStanding::Barred { what: what.clone() },
            Health::Out { what, since_ms, .. } => ProviderStanding::Out {
                what: what.clone(),
                since_ms: Some(*since_ms),
            },
            Health::Slowed { what, until } => {
                let (what, until) = (what.clone(), *until);
                let still = until.saturating_duration_since(now);
                let goes_on = was_held && (!still.is_zero() || !seen.is_answering);
                if still > WORTH_PAUSING || goes_on {
                    let since_ms = None;
                    return ProviderStanding::Out { what, since_ms };
                }
                ProviderStanding::Slowed { what, until }
            }
            // Time has ended the slow-down, but nobody has been answered since.
            Health::Well if was_held && !seen.is_answering => ProviderStanding::Out {
                what: "no call has been answered since".to_owned(),
                since_ms: None,
            },
            Health::Well => ProviderStanding::Well,
        }
    }

    /// Tells whether a provider wants fewer calls.
    fn slow(
        &mut self,
        role: Role,
        worst: &ProviderStanding,
        now: Instant,
        tell: &mut impl FnMut(Progress),
    ) {
        let ProviderStanding::Slowed { what, until } = worst else {
            if self.slowed.take().is_some() {
                tell(Progress::Slowed(None));
            }
            return;
        };
        let is_long = until.saturating_duration_since(now) > WORTH_TELLING;
        let news = is_long && self.is_news(*until, now);
        if news || self.slowed.as_ref() != Some(what) {
            self.slowed = Some(what.clone());
            tell(Progress::Slowed(Some(Slowdown {
                role,
                what: what.clone(),
                next_ms: news.then(|| unix_ms(*until, now)),
            })));
        }
    }

    /// Tells that everything waits, and once more where there is a new time of the next call;
    /// returns why to end where it took too long.
    fn wait(
        &mut self,
        role: Role,
        what: String,
        since_ms: Option<i64>,
        now: Instant,
        tell: &mut impl FnMut(Progress),
    ) -> Option<String> {
        let news = self.held_until.filter(|until| self.is_news(*until, now));
        let is_new = self.pause.is_none();
        let since = self
            .pause
            .get_or_insert(ProviderPause { role, since: now })
            .since;
        let waited = now - since;
        if waited >= self.limit && !is_new {
            let waited = span(waited);
            return Some(format!(
                "the model of the role `{role}` has not answered for {waited}: {what}"
            ));
        }
        if is_new || news.is_some() {
            tracing::info!(%role, what, "the provider answers nobody");
            tell(Progress::Paused {
                role,
                what,
                since_ms: since_ms.unwrap_or_else(|| now_ms().saturating_sub(millis(waited))),
                next_ms: self.held_until.map(|until| unix_ms(until, now)),
                limit: self.limit,
            });
        }
        None
    }

    /// Returns whether the time of the next call was not told, and notes that it is now.
    /// Calls that failed together name times that differ a little.
    fn is_news(&mut self, until: Instant, now: Instant) -> bool {
        let is_news = self.told.is_none_or(|told| told <= now);
        if is_news {
            self.told = Some(until);
        }
        is_news
    }
}

/// Returns when the next call may leave, where that lies in the future.
fn next_call(health: &Health, now: Instant) -> Option<Instant> {
    match health {
        Health::Slowed { until, .. } | Health::Out { until, .. } => Some(*until),
        Health::Well | Health::Barred { .. } => None,
    }
    .filter(|until| *until > now)
}

fn unix_ms(moment: Instant, now: Instant) -> i64 {
    now_ms().saturating_add(millis(moment.saturating_duration_since(now)))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Returns a length of time in the unit that a person would use.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests;
