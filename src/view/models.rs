//! What became of one tiny call to each role's model: `dgm doctor --models`.

use super::check::{Check, CheckState};
use super::figure::{count, duration, money};
use super::json::TokenCount;
use crate::domain::{Role, Tokens, Usd};
use serde::Serialize;
use std::collections::BTreeMap;

/// A role's model, and what it said.
#[derive(Clone, Debug)]
pub struct AskedModel {
    /// Whose model.
    pub role: Role,
    /// Who serves it.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// What a million tokens cost, by kind; nothing: it is free. None: that is not known.
    pub price: Option<Vec<(&'static str, Usd)>>,
    /// What came of the call.
    pub answer: Answer,
    /// What the call cost, also where it failed.
    pub cost: Usd,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It answered.
    Given {
        /// Time from the request to the end of the answer.
        latency_ms: u64,
        /// Tokens used.
        tokens: Tokens,
        /// Whether the provider did not say how many.
        estimated: bool,
    },
    /// It did not.
    Missing {
        /// Why.
        what: String,
        /// What to do.
        advice: String,
    },
}

impl AskedModel {
    /// Returns whether it answered.
    pub fn is_well(&self) -> bool {
        matches!(self.answer, Answer::Given { .. })
    }

    /// Returns it as a finding.
    pub fn check(&self) -> Check {
        let name = format!("model {}", self.role);
        let who = format!("`{}` ({})", self.model, self.provider);
        match &self.answer {
            Answer::Given {
                latency_ms,
                tokens,
                estimated,
            } => {
                let about = if *estimated { "about " } else { "" };
                Check::ok(
                    name,
                    format!(
                        "{who}: answered in {}, {about}{} tokens in, {} out, {}; {}",
                        latency(*latency_ms),
                        count(tokens.input),
                        count(tokens.output),
                        money(self.cost),
                        self.price_text(),
                    ),
                )
            }
            Answer::Missing { what, advice } => Check {
                name,
                state: CheckState::Missing,
                found: match self.cost {
                    Usd(0) => format!("{who}: {what}"),
                    cost => format!("{who}: {what}; may have cost {}", money(cost)),
                },
                advice: Some(advice.clone()),
            },
        }
    }

    fn price_text(&self) -> String {
        match self.price.as_deref() {
            None => "its price is not known".to_owned(),
            Some([]) => "free".to_owned(),
            Some(rates) => {
                let rate = |wanted: &str| {
                    let found = rates.iter().find(|(name, _)| *name == wanted);
                    found.map_or(Usd::default(), |(_, rate)| *rate)
                };
                format!(
                    "{} in, {} out per million",
                    money(rate("input")),
                    money(rate("output"))
                )
            }
        }
    }
}

/// Returns a latency; most are of the order of a second.
fn latency(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ => duration(ms),
    }
}

/// One model in `dgm.doctor/1`.
#[derive(Serialize)]
pub(super) struct ModelsShape<'a> {
    role: &'static str,
    provider: &'a str,
    model: &'a str,
    answered: bool,
    latency_ms: Option<u64>,
    tokens: Option<TokenCount>,
    estimated: Option<bool>,
    cost_usd: f64,
    /// US dollars per million tokens, by kind; null: not known; empty: free.
    price: Option<BTreeMap<&'static str, f64>>,
    error: Option<&'a str>,
    advice: Option<&'a str>,
}

pub(super) fn shapes(asked: &[AskedModel]) -> Vec<ModelsShape<'_>> {
    asked.iter().map(shape).collect()
}

fn shape(asked: &AskedModel) -> ModelsShape<'_> {
    let (given, missing) = match &asked.answer {
        Answer::Given {
            latency_ms,
            tokens,
            estimated,
        } => (Some((*latency_ms, *tokens, *estimated)), None),
        Answer::Missing { what, advice } => (None, Some((what.as_str(), advice.as_str()))),
    };
    ModelsShape {
        role: asked.role.name(),
        provider: &asked.provider,
        model: &asked.model,
        answered: given.is_some(),
        latency_ms: given.map(|(latency, _, _)| latency),
        tokens: given.map(|(_, tokens, _)| tokens.into()),
        estimated: given.map(|(_, _, estimated)| estimated),
        cost_usd: asked.cost.dollars(),
        price: asked.price.as_ref().map(|rates| {
            let rates = rates.iter();
            rates.map(|(name, rate)| (*name, rate.dollars())).collect()
        }),
        error: missing.map(|(what, _)| what),
        advice: missing.map(|(_, advice)| advice),
    }
}

/// Returns a sentence about all of them.
pub fn conclusion(asked: &[AskedModel], is_booked: bool) -> String {
    let answered = asked.iter().filter(|asked| asked.is_well()).count();
    let cost = asked
        .iter()
        .fold(Usd::default(), |sum, asked| sum + asked.cost);
    let books = if is_booked {
        "on the archive's books"
    } else {
        "on no books: there is no archive here"
    };
    format!(
        "{answered} of {} models answered; that cost {} and is {books}",
        asked.len(),
        money(cost)
    )
}
