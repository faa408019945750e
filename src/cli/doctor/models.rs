//! One tiny call to the model of each role.

use crate::archive::{self, Layout, Writer};
use crate::cli::error::{Hint as _, usage};
use crate::cli::progress::command_line;
use crate::cli::run;
use crate::config::{Overrides, Settings};
use crate::domain::{CallId, CallSettlement, JobId, Role, Usd};
use crate::evolve::ManualCalls;
use crate::model::{
    Allowance, Books, CallError, Denied, Health, Intent, JobSubject, Metered, Model, ModelError,
    ModelSettings, Price, Reply, Retry,
};
use crate::view::duration;
use crate::view::models::{Answer, AskedModel};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// What is asked. The answer is not looked at: any is one.
const QUESTION: &str = "Answer with the one word: ready";
/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found, and whether it is on an archive's books.
pub(super) struct Found {
    pub(super) asked: Vec<AskedModel>,
    pub(super) is_booked: bool,
}

/// Asks the models of the archive in a folder, or of the `dgm.toml` that lies there.
pub(super) async fn ask(dir: &Path) -> anyhow::Result<Found> {
    let is_booked = archive::exists(dir);
    if !is_booked && !Layout::new(dir).config().exists() {
        return usage(
            format!("`{}` holds no archive and no `dgm.toml`", dir.display()),
            "`--models` asks the models that an archive's `dgm.toml` names: say which archive",
        );
    }
    let settings = run::configured(dir, &Overrides::default())?;
    if !is_booked {
        let asked = each(&settings, None).await;
        return Ok(Found { asked, is_booked });
    }
    let writer =
        Writer::open(dir).hint("while a run goes on, its own calls show how its models are")?;
    let budgets = &settings.engine.budgets;
    // What is told to whoever watches is counted here by the books themselves.
    let (told, _nobody) = mpsc::unbounded_channel();
    let manual = ManualCalls::open(writer, command_line(), settings.in_force(), budgets, told)?;
    let asked = each(&settings, Some(manual.books())).await;
    manual.close("every model was asked").await?;
    Ok(Found { asked, is_booked })
}

/// Asks all of them at once: how long one takes is nothing to the others.
async fn each(settings: &Settings, books: Option<Arc<dyn Books>>) -> Vec<AskedModel> {
    let each = Role::ALL.into_iter().zip(&settings.models);
    let asked = each.map(|(role, model)| {
        let books = Arc::new(Counting::new(books.clone()));
        async move {
            let (price, answer) = one(role, model, books.clone()).await;
            AskedModel {
                role,
                provider: model.provider.clone(),
                model: model.model.clone(),
                price,
                answer,
                cost: books.take(),
            }
        }
    });
    join_all(asked).await
}

async fn one(
    role: Role,
    settings: &ModelSettings,
    books: Arc<dyn Books>,
) -> (Option<Vec<(&'static str, Usd)>>, Answer) {
    let made = Model::new(settings.clone());
    let model = match made.and_then(|model| model.check().map(|()| model)) {
        Ok(model) => model,
        Err(error) => {
            let what = error.to_string();
            let advice = format!("correct `models.{role}` in the `dgm.toml`");
            return (None, Answer::Missing { what, advice });
        }
    };
    let price = rates(model.price());
    let job = JobSubject {
        subject: JobId::Manual,
        execution: 1,
        role,
    };
    // Whoever asks how a model is wants to know soon.
    let retry = Retry {
        tries: 2,
        ..Retry::default()
    };
    let health = model.pace().health();
    let metered = Metered::new(Arc::new(model), books, job, Allowance::default()).with_retry(retry);
    let request = json!({"messages": [{"role": "user", "content": QUESTION}]});
    let asked = tokio::time::timeout(PATIENCE, metered.complete(&request));
    let answer = tokio::select! {
        biased;
        asked = asked => of_call(role, asked),
        // A call would wait until it may leave again, and say nothing.
        answer = busy(health) => answer,
    };
    metered.settled().await;
    (Some(price), answer)
}

fn of_call(role: Role, asked: Result<Result<Reply, CallError>, Elapsed>) -> Answer {
    match asked {
        Ok(Ok(reply)) => Answer::Given {
            latency_ms: u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
            tokens: reply.tokens,
            estimated: reply.estimated,
        },
        Ok(Err(error)) => Answer::Missing {
            what: error.to_string(),
            advice: advice(role, &error),
        },
        Err(_elapsed) => Answer::Missing {
            what: format!("no answer within {} s", PATIENCE.as_secs()),
            advice: "see whether the provider has an outage, and try again".to_owned(),
        },
    }
}

/// Waits until the provider asks for fewer calls, and returns what it said.
async fn busy(mut health: watch::Receiver<Health>) -> Answer {
    let slowed = health
        .wait_for(|health| matches!(health, Health::Slowed { .. }))
        .await
        .map(|health| health.clone());
    let Ok(Health::Slowed { what, until }) = slowed else {
        // The model is gone, and with it the call that this would be the answer to.
        return std::future::pending().await;
    };
    let wait = until.saturating_duration_since(Instant::now());
    let seconds = wait.as_millis().div_ceil(1000);
    let wait = duration(u64::try_from(seconds * 1000).unwrap_or(u64::MAX));
    Answer::Missing {
        what: format!("{what}; it takes no call for {wait}"),
        advice: "try again then; where that is often so, ask the provider for a higher limit"
            .to_owned(),
    }
}

/// Returns what a million tokens cost, by kind; nothing where they are free.
fn rates(price: Price) -> Vec<(&'static str, Usd)> {
    match price {
        Price::Free => Vec::new(),
        Price::PerMillion(rates) | Price::Tiered { short: rates, .. } => rates.named().to_vec(),
    }
}

fn advice(role: Role, error: &CallError) -> String {
    match error {
        CallError::Denied(Denied::Budget { .. }) => {
            "raise the budget in the archive's `dgm.toml`".to_owned()
        }
        CallError::Denied(Denied::Stopping) => "try again".to_owned(),
        CallError::Model(ModelError::Unusable { .. }) => {
            format!("correct the key or `models.{role}` in the `dgm.toml`")
        }
        CallError::Model(ModelError::Refused { .. }) => {
            format!("see whether the provider knows what `models.{role}` asks for")
        }
        CallError::Model(ModelError::Busy { .. } | ModelError::Failed { .. }) => {
            "see whether the provider is up and can be reached, and try again".to_owned()
        }
    }
}

/// Books that know what the calls cost, kept by an archive's where there is one.
struct Counting {
    books: Option<Arc<dyn Books>>,
    calls: AtomicU64,
    cost: Mutex<Usd>,
}

impl Counting {
    fn new(books: Option<Arc<dyn Books>>) -> Self {
        Self {
            books,
            calls: AtomicU64::new(0),
            cost: Mutex::default(),
        }
    }

    /// Returns what was spent since it was asked last.
    fn take(&self) -> Usd {
        std::mem::take(&mut self.cost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Books for Counting {
    fn intend(&self, intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        if let Some(books) = &self.books {
            return books.intend(intent);
        }
        let id = CallId(self.calls.fetch_add(1, Ordering::Relaxed) + 1);
        Box::pin(async move { Ok(id) })
    }

    fn settle(&self, settlement: CallSettlement) -> BoxFuture<'_, ()> {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) += settlement.cost;
        match &self.books {
            Some(books) => books.settle(settlement),
            None => Box::pin(async {}),
        }
    }
}
