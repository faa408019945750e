//! The dispatcher's side of the books: jobs ask over a channel, and a model call leaves only
//! when the one writer has made its intent durable.

use super::jobs::JobEvent;
use crate::domain::{CallId, CallSettlement};
use crate::model::{Books, Denied, Intent, Traffic};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

/// Books kept by the dispatcher at the other end of the channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelBooks {
    events: mpsc::UnboundedSender<JobEvent>,
    keeps_traffic: bool,
}

impl ChannelBooks {
    pub(super) fn new(events: mpsc::UnboundedSender<JobEvent>) -> Self {
        Self {
            events,
            keeps_traffic: false,
        }
    }

    /// Returns them with the traffic of calls kept, or not.
    pub(super) fn keeping_traffic(self, keeps_traffic: bool) -> Self {
        Self {
            keeps_traffic,
            ..self
        }
    }
}

impl ChannelBooks {
    async fn record(&self, settlement: CallSettlement, traffic: Option<Traffic>) {
        let (done, recorded) = oneshot::channel();
        let event = JobEvent::Settle(settlement, traffic, done);
        if self.events.send(event).is_ok() {
            // Without the dispatcher the call stays on the books as unsettled, which is what
            // is known of it.
            drop(recorded.await);
        }
    }
}

impl Books for ChannelBooks {
    fn intend(&self, call: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async move {
            let (done, recorded) = oneshot::channel();
            // A dispatcher that is gone records nothing, so nothing may leave.
            self.events
                .send(JobEvent::Intend(call, done))
                .map_err(|_| Denied::Stopping)?;
            recorded.await.unwrap_or(Err(Denied::Stopping))
        })
    }

    fn settle(&self, settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(self.record(settlement, None))
    }

    fn keeps_traffic(&self) -> bool {
        self.keeps_traffic
    }

    fn settle_with(&self, settlement: CallSettlement, traffic: Traffic) -> BoxFuture<'_, ()> {
        Box::pin(self.record(settlement, Some(traffic)))
    }
}
