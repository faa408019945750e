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
mod configured;
mod discreet;
mod error;
mod error_object;
mod exchange;
mod first;
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
mod subject;
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
pub use configured::Model;
pub use error::ModelError;
pub use exchange::{Exchange, Outline, Stored, Traffic};
pub use ledger::FailedTry;
pub use metered::Metered;
pub use pace::{Advice, Call, Health, Pace, Permit, Signal};
pub use price::{Price, Rates};
pub use prices::{Listed, PriceList, listed_price, price_table};
pub use replay::{Recorded, Replay, Replayed};
pub use reply::Reply;
pub use retry::Retry;
pub use seen::CallsEnd;
pub use settings::{LimitField, ModelSettings, SettingsError};
pub use stream::ReplyStream;
pub use subject::JobSubject;
pub use wire::{Dialect, Event};
