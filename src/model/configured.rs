//! A model as configured for a role: what serves it, and what is known of it.

use super::anthropic::AnthropicModel;
use super::assemble::Fold;
use super::command::CommandModel;
use super::error::ModelError;
use super::first::{CUT, Came};
use super::openai::OpenAiModel;
use super::pace::{Pace, Signal};
use super::price::Price;
use super::replay::Replay;
use super::reply::{self, AnswerAbout, Reply};
use super::request::{self, Outgoing, RequestRules};
use super::retry::Retry;
use super::settings::{ModelSettings, SettingsError};
use super::tape::Tape;
use super::wire::{Dialect, ProviderAnswer};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

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

    /// Returns name and price, which a reply is read with.
    pub(super) fn served(&self) -> (&str, Price) {
        (&self.name, self.price)
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

    /// Returns a request as it leaves, or why it does not.
    pub(super) fn prepare(
        &self,
        dialect: Dialect,
        request: &Value,
    ) -> Result<Outgoing, ModelError> {
        if !self.speaks(dialect) {
            return Err(request::other_dialect());
        }
        let rules = RequestRules {
            model: &self.name,
            takes_images: self.takes_images,
            max_output_tokens: self.max_output_tokens,
        };
        request::prepare(dialect, request, &rules)
    }

    /// Asks the provider once, for a whole answer.
    ///
    /// Visible in this module only: who wants an answer asks [`Metered`], so that no call is
    /// off the books.
    pub(super) async fn whole(
        &self,
        dialect: Dialect,
        body: &Arc<Value>,
        tape: Arc<Tape>,
    ) -> Result<Reply, ModelError> {
        let began = Instant::now();
        let answer = match self.send(dialect, body, false, &tape).await? {
            ProviderAnswer::Whole(answer) => answer,
            // Some providers are asked for a stream whatever the caller wants.
            ProviderAnswer::Stream(mut events) => {
                let mut fold = Fold::new(dialect);
                while let Some(event) = events.next().await {
                    fold.push(&event?);
                }
                if !fold.is_complete() {
                    return Err(reply::unusable(&self.name, CUT));
                }
                fold.finish()
            }
        };
        let about = AnswerAbout::new(dialect, body, self.served(), began.elapsed());
        reply::read(answer, &about).map(|reply| tape.as_recorded(reply))
    }

    /// Asks the provider once, for a stream, and waits for its first event.
    pub(super) async fn first(
        &self,
        dialect: Dialect,
        body: &Arc<Value>,
        tape: Arc<Tape>,
    ) -> Result<Came, ModelError> {
        let began = Instant::now();
        match self.send(dialect, body, true, &tape).await? {
            ProviderAnswer::Whole(answer) => {
                let about = AnswerAbout::new(dialect, body, self.served(), began.elapsed());
                let reply = reply::read(answer, &about)?;
                Ok(Came::Whole(tape.as_recorded(reply)))
            }
            ProviderAnswer::Stream(mut events) => match events.next().await {
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
    ) -> Result<ProviderAnswer, ModelError> {
        tape.send(dialect, stream, body);
        let answer = match (&self.provider, dialect) {
            (Provider::Command(command), Dialect::Chat) => {
                command.ask(body).await.map(ProviderAnswer::Whole)
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
    pub(super) fn replay(&self) -> Option<&Replay> {
        match &self.provider {
            Provider::Replay(replay) => Some(replay),
            Provider::Command(_) | Provider::OpenAi(_) | Provider::Anthropic(_) => None,
        }
    }

    /// Returns what a try says of the provider. Recordings are never slow, and never out.
    pub(super) fn heard<T>(&self, result: &Result<T, ModelError>) -> Signal {
        match self.replay() {
            Some(_) => Signal::Answer,
            None => Signal::of(result),
        }
    }
}
