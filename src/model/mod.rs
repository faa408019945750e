//! Models: what answers a request, what it costs, and who keeps the books of it.
//!
//! Every request to a model, from an agent through the gateway or from the host itself, is
//! made by [`Metered`]; nothing else can reach a provider. Invariants:
//! - a request leaves only after its intent is on the [`Books`], and each try that leaves is
//!   booked on its own, so that nothing which may have been charged is repeated off the books;
//! - every intent is settled once, also when its caller goes away in the middle of a stream;
//! - Chat Completions are answered whatever the provider speaks, so the rest of the program
//!   needs to know no other dialect; Messages pass where the provider speaks them;
//! - what an agent asks for can make a provider do nothing but answer.
//!
//! Providers are a closed set that this module knows, so they are an enum and no trait:
//! one more is one more variant, which the compiler then asks for wherever it matters.

mod account;
mod anthropic;
mod assemble;
mod books;
mod bound;
mod call;
mod chunks;
mod clip;
mod command;
mod discreet;
mod exchange;
mod http;
mod ledger;
mod metered;
mod openai;
mod pace;
mod price;
mod prices;
mod replay;
mod reply;
mod request;
mod retry;
mod seen;
mod settings;
mod stream;
mod tape;
pub mod transcript;
mod translate;
mod usage;
mod verdict;
mod wire;

#[cfg(test)]
pub(crate) mod fixture;

pub use account::{Account, Allowance, Limit, Room};
pub use books::{Books, Denied, Intent, Scope};
pub use call::CallError;
pub use clip::clip;
pub use exchange::{Exchange, Outline, Stored, Traffic};
pub use ledger::FailedTry;
pub use metered::{JobSubject, Metered};
pub use pace::{Advice, Call, Health, Heard, Pace, Permit};
pub use price::{Price, Rates};
pub use prices::{Listed, PriceList, listed_price, price_table};
pub use replay::{Recorded, Replay, Replayed};
pub use reply::Reply;
pub use retry::Retry;
pub use seen::CallsEnd;
pub use settings::{LimitField, ModelSettings, SettingsError};
pub use stream::ReplyStream;
pub use wire::{Dialect, Event};

use anthropic::AnthropicModel;
use assemble::Fold;
use command::CommandModel;
use futures_util::StreamExt as _;
use openai::OpenAiModel;
use reply::About;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Came;
use tape::Tape;
use wire::Answer;

/// A model as configured for a role.
#[derive(Debug)]
pub struct Model {
    name: String,
    price: Price,
    max_output_tokens: u64,
    takes_images: bool,
    retry: Retry,
    pace: Pace,
    provider: Provider,
}

#[derive(Debug)]
enum Provider {
    Command(CommandModel),
    OpenAi(OpenAiModel),
    Anthropic(AnthropicModel),
    Replay(Arc<Replay>),
}

/// Why a model gave no reply. Whose doing it is decides what is done about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The request's fault: sent again it would be refused again.
    #[error("the model refused the request: {}", verdict::message(error))]
    Refused {
        /// HTTP status that says so, 400 to 499.
        status: u16,
        /// The error object in OpenAI's dialect: `message`, `type`, `code`, ….
        error: Value,
    },
    /// The provider asks for fewer calls.
    #[error("{what}")]
    Busy {
        /// What it said, for a reader.
        what: String,
        /// Whether it may have charged for what it had begun; mostly it has done nothing.
        may_be_charged: bool,
        /// How long it asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// The provider's fault.
    #[error("{what}")]
    Failed {
        /// What happened, for a reader.
        what: String,
        /// Whether another try may succeed.
        retryable: bool,
        /// Whether the provider may have done, and charged for, the work all the same.
        may_be_charged: bool,
        /// How long the provider asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// The fault of the settings, the key or the account: no call can succeed until somebody
    /// corrects them. Nothing was charged.
    #[error("{what}")]
    Unusable {
        /// What is wrong, and what to do about it.
        what: String,
    },
}

impl ModelError {
    /// Returns whether the request was longer than the model's context.
    pub fn is_context_overflow(&self) -> bool {
        match self {
            Self::Refused { error, .. } => verdict::is_context_overflow(error),
            Self::Busy { .. } | Self::Failed { .. } | Self::Unusable { .. } => false,
        }
    }
}

impl Model {
    /// Makes the model that the settings describe; nothing is started or sent yet.
    pub fn new(settings: ModelSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            price: settings.known_price()?,
            max_output_tokens: settings.output_limit(),
            takes_images: settings.images,
            retry: settings.retry,
            pace: Pace::default(),
            name: settings.model.clone(),
            provider: match settings.provider.as_str() {
                "command" => Provider::Command(CommandModel::new(settings)),
                "openai" => Provider::OpenAi(OpenAiModel::new(&settings)?),
                "anthropic" => Provider::Anthropic(AnthropicModel::new(&settings)?),
                _ => return Err(SettingsError::unknown_provider(&settings.provider)),
            },
        })
    }

    /// Makes a model that answers from recordings: whatever serves it otherwise, nothing of
    /// that is needed, and nothing is charged.
    pub fn replaying(settings: &ModelSettings, replay: Arc<Replay>) -> Self {
        Self {
            // What the recorded calls cost is recorded, too.
            price: settings.known_price().unwrap_or(Price::Free),
            max_output_tokens: settings.output_limit(),
            takes_images: settings.images,
            retry: settings.retry,
            pace: Pace::default(),
            name: settings.model.clone(),
            provider: Provider::Replay(replay),
        }
    }

    /// Checks that what serves it is there, without starting or sending anything: a run with
    /// a misspelled program would otherwise count one failure after the other.
    pub fn check(&self) -> Result<(), SettingsError> {
        match &self.provider {
            Provider::Command(command) => command.check(),
            Provider::OpenAi(openai) => openai.check(),
            Provider::Anthropic(anthropic) => anthropic.check(),
            Provider::Replay(_) => Ok(()),
        }
    }

    /// Returns whether requests of this dialect are answered: Chat Completions always,
    /// Messages where the provider speaks it.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        match (&self.provider, dialect) {
            (_, Dialect::Chat)
            | (Provider::Anthropic(_) | Provider::Replay(_), Dialect::Messages) => true,
            (Provider::Command(_) | Provider::OpenAi(_), Dialect::Messages) => false,
        }
    }

    /// Returns the name of the model as configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what its tokens cost.
    pub fn price(&self) -> Price {
        self.price
    }

    /// Returns the most tokens that one answer may have.
    pub fn max_output_tokens(&self) -> u64 {
        self.max_output_tokens
    }

    /// Returns whether it takes images.
    pub fn takes_images(&self) -> bool {
        self.takes_images
    }

    /// Returns how often and how patiently a failed call is tried again.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// Returns it at the pace of another model that the same server serves.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Returns the pace of its provider, which all calls of all jobs share.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Asks the provider once, for a whole answer.
    ///
    /// Visible in this module only: who wants an answer asks [`Metered`], so that no call is
    /// off the books.
    pub(self) async fn whole(
        &self,
        dialect: Dialect,
        body: &Arc<Value>,
        tape: Arc<Tape>,
    ) -> Result<Reply, ModelError> {
        let began = Instant::now();
        let answer = match self.send(dialect, body, false, &tape).await? {
            Answer::Whole(answer) => answer,
            // Some providers are asked for a stream whatever the caller wants.
            Answer::Stream(mut events) => {
                let mut fold = Fold::new(dialect);
                while let Some(event) = events.next().await {
                    fold.push(&event?);
                }
                if !fold.is_complete() {
                    return Err(reply::unusable(&self.name, stream::CUT));
                }
                fold.finish()
            }
        };
        let about = About::new(dialect, body, self, began.elapsed());
        reply::read(answer, &about).map(|reply| tape.as_recorded(reply))
    }

    /// Asks the provider once, for a stream, and waits for its first event.
    pub(self) async fn first(
        &self,
        dialect: Dialect,
        body: &Arc<Value>,
        tape: Arc<Tape>,
    ) -> Result<Came, ModelError> {
        let began = Instant::now();
        match self.send(dialect, body, true, &tape).await? {
            Answer::Whole(answer) => {
                let about = About::new(dialect, body, self, began.elapsed());
                let reply = reply::read(answer, &about)?;
                Ok(Came::Whole(tape.as_recorded(reply)))
            }
            Answer::Stream(mut events) => match events.next().await {
                Some(Ok(first)) => Ok(Came::Stream(first, events)),
                Some(Err(error)) => Err(error),
                None => Err(reply::unusable(&self.name, "it is empty")),
            },
        }
    }

    /// Asks the provider once, in a dialect that it speaks. Asked for a stream, it may all
    /// the same answer whole. Dropping the future, or the stream, ends whatever it started.
    async fn send(
        &self,
        dialect: Dialect,
        body: &Arc<Value>,
        stream: bool,
        tape: &Arc<Tape>,
    ) -> Result<Answer, ModelError> {
        tape.send(dialect, stream, body);
        let answer = match (&self.provider, dialect) {
            (Provider::Command(command), Dialect::Chat) => {
                command.ask(body).await.map(Answer::Whole)
            }
            (Provider::OpenAi(openai), Dialect::Chat) => openai.send(body, stream).await,
            (Provider::Anthropic(anthropic), dialect) => {
                anthropic.send(dialect, body, stream).await
            }
            (Provider::Replay(replay), dialect) => replay.answer(tape, dialect, body).await,
            (Provider::Command(_) | Provider::OpenAi(_), Dialect::Messages) => {
                Err(request::other_dialect())
            }
        };
        tape.hear(answer)
    }

    /// Returns what it answers from, if that is recordings.
    fn replay(&self) -> Option<&Replay> {
        match &self.provider {
            Provider::Replay(replay) => Some(replay),
            Provider::Command(_) | Provider::OpenAi(_) | Provider::Anthropic(_) => None,
        }
    }

    /// Returns what a try says of the provider. Recordings are never slow, and never out.
    fn heard<T>(&self, result: &Result<T, ModelError>) -> Heard {
        match self.replay() {
            Some(_) => Heard::Answer,
            None => Heard::of(result),
        }
    }
}
