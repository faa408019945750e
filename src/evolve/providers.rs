//! What the run knows of the providers of its models: whether it may go on.

use super::start::RoleModels;
use crate::domain::Role;
use crate::model::Health;
use futures_util::future::select_all;
use tokio::sync::watch;

/// The health of every role's provider.
pub(super) struct Providers {
    roles: Vec<(Role, watch::Receiver<Health>)>,
}

/// What follows from their health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// All of them answer.
    Open,
    /// All of them answer, and one asked for fewer calls.
    Slowed(Trouble),
    /// One answers nobody, since this Unix time in milliseconds: nothing new is to be started.
    Out(Trouble, i64),
    /// One lets nobody in: there is no use in going on.
    Barred(Trouble),
}

/// Whose provider, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub role: Role,
    pub what: String,
}

impl Providers {
    pub(super) fn new(models: &RoleModels) -> Self {
        let roles = Role::ALL
            .map(|role| (role, models.of(role).pace().health()))
            .to_vec();
        Self { roles }
    }

    /// Returns the worst that is known now.
    pub(super) fn outlook(&self) -> Outlook {
        let mut worst = Outlook::Open;
        for (role, health) in &self.roles {
            let trouble = |what: &String| Trouble {
                role: *role,
                what: what.clone(),
            };
            let found = match &*health.borrow() {
                Health::Well => Outlook::Open,
                Health::Slowed { what } => Outlook::Slowed(trouble(what)),
                Health::Out { since_ms, what } => Outlook::Out(trouble(what), *since_ms),
                Health::Barred { what } => Outlook::Barred(trouble(what)),
            };
            if found.rank() > worst.rank() {
                worst = found;
            }
        }
        worst
    }

    /// Waits until the health of one of them changes.
    pub(super) async fn changed(&mut self) {
        let each = self.roles.iter_mut().map(|(_, health)| {
            Box::pin(async move {
                // A model lives as long as the run; without it nothing will ever change.
                if health.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        select_all(each).await;
    }
}

impl Outlook {
    fn rank(&self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Slowed(_) => 1,
            Self::Out(..) => 2,
            Self::Barred(_) => 3,
        }
    }
}
