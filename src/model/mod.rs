//! Models: what answers a request, what it costs, and who keeps the books of it.
//!
//! Every request to a model, from an agent through the gateway or from the host itself, is
//! made by [`Metered::complete`]; nothing else can reach a provider. Invariants:
//! - a request leaves only after its intent is on the [`Books`], and each try that leaves is
//!   booked on its own, so that nothing which may have been charged is repeated off the books;
//! - every intent is settled, also when its caller goes away in the middle;
//! - requests and replies are Chat Completions bodies, whatever the provider speaks: the
//!   rest of the program knows one dialect.
//!
//! Providers are a closed set that this module knows, so they are an enum and no trait:
//! one more is one more variant, which the compiler then asks for wherever it matters.

mod assemble;
mod books;
mod call;
mod chunks;
mod clip;
mod command;
mod http;
mod ledger;
mod metered;
mod openai;
mod pace;
mod reply;
mod request;
mod retry;
mod settings;
mod stream;
pub mod transcript;
mod wire;

#[cfg(test)]
pub(crate) mod fixture;

pub use books::{Books, Denied, Intent};
pub use call::CallError;
pub use clip::clip;
pub use metered::{Allowance, JobSubject, Metered};
pub use pace::{Advice, Call, Health, Heard, Pace, Permit};
pub use reply::Reply;
pub use retry::Retry;
pub use settings::{LimitField, ModelSettings, Price, SettingsError};
pub use stream::ReplyStream;
pub use wire::{Dialect, Event};

use command::CommandModel;
use openai::OpenAiModel;
use serde_json::Value;
use std::time::Duration;
use wire::Answer;

/// A model as configured for a role.
#[derive(Debug)]
pub struct Model {
    name: String,
    price: Price,
    max_output_tokens: u64,
    takes_images: bool,
    retry: Retry,
    provider: Provider,
}

#[derive(Debug)]
enum Provider {
    Command(CommandModel),
    OpenAi(OpenAiModel),
}

/// Why a model gave no reply. Whose doing it is decides what is done about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The request's fault: sent again it would be refused again.
    #[error("the model refused the request: {}", reply::message(error))]
    Refused {
        /// HTTP status that says so, 400 to 499.
        status: u16,
        /// The error object in OpenAI's dialect: `message`, `type`, `code`, ….
        error: Value,
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
            Self::Refused { error, .. } => reply::is_context_overflow(error),
            Self::Failed { .. } | Self::Unusable { .. } => false,
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
            name: settings.model.clone(),
            provider: match settings.provider.as_str() {
                "command" => Provider::Command(CommandModel::new(settings)),
                "openai" => Provider::OpenAi(OpenAiModel::new(&settings)?),
                _ => return Err(SettingsError::unknown_provider(&settings.provider)),
            },
        })
    }

    /// Checks that what serves it is there, without starting or sending anything: a run with
    /// a misspelled program would otherwise count one failure after the other.
    pub fn check(&self) -> Result<(), SettingsError> {
        match &self.provider {
            Provider::Command(command) => command.check(),
            Provider::OpenAi(openai) => openai.check(),
        }
    }

    /// Returns whether requests of this dialect are answered: Chat Completions always,
    /// Messages where the provider speaks it.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        match (&self.provider, dialect) {
            (_, Dialect::Chat) => true,
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

    /// Reads what the provider answered.
    fn read(
        &self,
        dialect: Dialect,
        body: Value,
        request: &Value,
        latency: Duration,
    ) -> Result<Reply, ModelError> {
        let _dialect = dialect;
        reply::read(body, request, &self.name, self.price, latency)
    }

    /// Asks the provider once, in a dialect that it speaks. Asked for a stream, it may all
    /// the same answer whole. Dropping the future, or the stream, ends whatever it started.
    ///
    /// Visible in this module only: who wants an answer asks [`Metered`], so that no call is
    /// off the books.
    pub(self) async fn send(
        &self,
        dialect: Dialect,
        body: &Value,
        stream: bool,
    ) -> Result<Answer, ModelError> {
        match (&self.provider, dialect) {
            (Provider::Command(command), Dialect::Chat) => {
                command.ask(body).await.map(Answer::Whole)
            }
            (Provider::OpenAi(openai), Dialect::Chat) => openai.send(body, stream).await,
            (Provider::Command(_) | Provider::OpenAi(_), Dialect::Messages) => {
                Err(request::other_dialect())
            }
        }
    }
}
