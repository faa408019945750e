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

mod account;
mod books;
mod bound;
mod call;
mod chunks;
mod clip;
mod command;
mod ledger;
mod metered;
mod price;
mod prices;
mod reply;
mod retry;
mod settings;
mod stream;
pub mod transcript;
mod wire;

#[cfg(test)]
pub(crate) mod fixture;

pub use account::{Account, Allowance, Limit, Room};
pub use books::{Books, Denied, Intent, Scope};
pub use call::CallError;
pub use clip::clip;
pub use metered::{JobSubject, Metered};
pub use price::{Price, Rates};
pub use prices::{Listed, PriceList, listed_price, price_table};
pub use reply::Reply;
pub use retry::Retry;
pub use settings::{ModelSettings, SettingsError};
pub use stream::ReplyStream;
pub use wire::{Dialect, Event};

use command::CommandModel;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A model as configured for a role.
#[derive(Debug)]
pub struct Model {
    name: String,
    price: Price,
    max_output_tokens: u64,
    provider: Provider,
}

#[derive(Debug)]
enum Provider {
    Command(CommandModel),
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
            name: settings.model.clone(),
            provider: match settings.provider.as_str() {
                "command" => Provider::Command(CommandModel::new(settings)),
                _ => return Err(SettingsError::unknown_provider(&settings.provider)),
            },
        })
    }

    /// Checks that what serves it is there, without starting or sending anything: a run with
    /// a misspelled program would otherwise count one failure after the other.
    pub fn check(&self) -> Result<(), SettingsError> {
        match &self.provider {
            Provider::Command(command) => command.check(),
        }
    }

    /// Returns whether requests of this dialect are answered: Chat Completions always,
    /// Messages where the provider speaks it.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        match (&self.provider, dialect) {
            (_, Dialect::Chat) => true,
            (Provider::Command(_), Dialect::Messages) => false,
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

    /// Asks the provider once. Dropping the future ends whatever it started.
    ///
    /// Visible in this module only: who wants an answer asks [`Metered`], so that no call is
    /// off the books.
    pub(self) async fn complete(&self, request: &Value) -> Result<Reply, ModelError> {
        let began = Instant::now();
        let answer = match &self.provider {
            Provider::Command(command) => command.ask(request).await?,
        };
        reply::read(answer, request, &self.name, self.price, began.elapsed())
    }
}
