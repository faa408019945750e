//! What the run knows of the providers of its models: whether it may go on, pauses, or ends.

use super::Progress;
use super::record::Recorder;
use super::start::RoleModels;
use crate::domain::Role;
use crate::model::Health;
use futures_util::future::select_all;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The health of every role's provider.
pub(super) struct Providers {
    roles: Vec<(Role, watch::Receiver<Health>)>,
    /// Time that the run waits for a provider that answers nobody.
    limit: Duration,
    /// Since when it has waited.
    out: Option<Instant>,
    slowed: Option<String>,
}

impl Providers {
    pub(super) fn new(models: &RoleModels, limit: Duration) -> Self {
        let roles = Role::ALL
            .map(|role| (role, models.of(role).pace().health()))
            .to_vec();
        Self {
            roles,
            limit,
            out: None,
            slowed: None,
        }
    }

    /// Returns whether one of them answers nobody: then nothing new is to be started, but
    /// what is needed to find out when it is back.
    pub(super) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Looks at them and tells what is new; returns why the run must end, if it must.
    pub(super) fn heed(&mut self, recorder: &Recorder) -> Option<String> {
        let (role, worst) = self.worst();
        let slowed = match &worst {
            Health::Slowed { what } => Some(what.clone()),
            Health::Well | Health::Out { .. } | Health::Barred { .. } => None,
        };
        if slowed != self.slowed {
            self.slowed.clone_from(&slowed);
            recorder.tell(Progress::Slowed(slowed));
        }
        match worst {
            Health::Well | Health::Slowed { .. } => {
                if let Some(since) = self.out.take() {
                    let after = since.elapsed();
                    tracing::info!(?after, "the provider answers again");
                    recorder.tell(Progress::Resumed { after });
                }
                None
            }
            Health::Out { since_ms, what } => {
                let Some(since) = self.out else {
                    self.out = Some(Instant::now());
                    tracing::info!(%role, what, "the provider answers nobody");
                    recorder.tell(Progress::Paused {
                        role,
                        what,
                        since_ms,
                        limit: self.limit,
                    });
                    return None;
                };
                let waited = since.elapsed();
                (waited >= self.limit).then(|| {
                    let waited = span(waited);
                    format!("the model of the role `{role}` has not answered for {waited}: {what}")
                })
            }
            Health::Barred { what } => Some(format!(
                "the model of the role `{role}` cannot be used: {what}"
            )),
        }
    }

    /// Waits until there is something to heed.
    pub(super) async fn changed(&mut self) {
        let end = self.out.map(|since| since + self.limit);
        let each = self.roles.iter_mut().map(|(_, health)| {
            Box::pin(async move {
                // A model lives as long as the run; without it nothing will ever change.
                if health.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        let patience = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = select_all(each) => {}
            () = patience => {}
        }
    }

    /// Returns the worst of them.
    fn worst(&self) -> (Role, Health) {
        let all = self
            .roles
            .iter()
            .map(|(role, health)| (*role, health.borrow().clone()));
        all.max_by_key(|(_, health)| rank(health))
            .unwrap_or((Role::Solve, Health::Well))
    }
}

fn rank(health: &Health) -> u8 {
    match health {
        Health::Well => 0,
        Health::Slowed { .. } => 1,
        Health::Out { .. } => 2,
        Health::Barred { .. } => 3,
    }
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
