//! Calls that a person makes by hand: a line for each, and their sum at the end.

use super::figure::{count, duration, money, plural};
use super::line::clean;
use crate::domain::{CallSettlement, CallStatus, Tokens, Usd};

/// The sum of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    calls: u64,
    unanswered: u64,
    tokens: Tokens,
    cost: Usd,
    is_estimated: bool,
}

/// Returns the most that calls may use, as the end of a sentence; nothing without a limit.
pub fn most(calls: Option<u64>, tokens: Option<u64>, cost: Option<Usd>) -> String {
    let limits = [
        calls.map(|calls| plural(calls, "call", "calls")),
        tokens.map(|tokens| plural(tokens, "token", "tokens")),
        cost.map(money),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    match limits.is_empty() {
        true => String::new(),
        false => format!(", for at most {}", limits.join(", ")),
    }
}

/// Returns a line about a call, with why it failed where that is known.
pub fn line(call: &CallSettlement, why: Option<&str>) -> String {
    let why = why.map_or_else(String::new, |why| format!(": {}", clean(why)));
    let tokens = call.tokens;
    let cached = match tokens.cached {
        0 => String::new(),
        cached => format!(" ({} cached)", count(cached)),
    };
    let about = if call.estimated { "about " } else { "" };
    format!(
        "call {}: {}, {about}{} in{cached}, {} out, {}, {}{why}",
        call.id.0,
        call.status.name(),
        count(tokens.input),
        count(tokens.output),
        money(call.cost),
        duration(call.latency_ms),
    )
}

impl Totals {
    /// Adds a call.
    pub fn add(&mut self, call: &CallSettlement) {
        self.calls += 1;
        self.unanswered += u64::from(call.status != CallStatus::Answered);
        self.tokens += call.tokens;
        self.cost += call.cost;
        self.is_estimated |= call.estimated;
    }

    /// Returns a line about the sum.
    pub fn line(&self) -> String {
        let unanswered = match self.unanswered {
            0 => String::new(),
            some => format!(" ({} without an answer)", count(some)),
        };
        let about = if self.is_estimated { "about " } else { "" };
        format!(
            "{}{unanswered}, {about}{} tokens in, {} out, {}",
            plural(self.calls, "call", "calls"),
            count(self.tokens.input),
            count(self.tokens.output),
            money(self.cost),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Totals, line, most};
    use crate::domain::{CallId, CallSettlement, CallStatus, Tokens, Usd};

    #[test]
    fn limits_are_named_where_there_are_some() {
        assert_eq!(most(None, None, None), "");
        assert_eq!(most(Some(1), None, None), ", for at most 1 call");
        assert_eq!(
            most(Some(200), Some(500_000), Some(Usd(500_000))),
            ", for at most 200 calls, 500,000 tokens, $0.5000"
        );
    }

    #[test]
    fn a_line_says_what_a_call_used() {
        let mut call = CallSettlement {
            id: CallId(12),
            status: CallStatus::Answered,
            tokens: Tokens {
                input: 1234,
                cached: 200,
                output: 56,
                ..Tokens::default()
            },
            estimated: false,
            cost: Usd(1200),
            latency_ms: 812,
        };
        let mut totals = Totals::default();
        assert_eq!(totals.line(), "0 calls, 0 tokens in, 0 out, $0");
        totals.add(&call);
        assert_eq!(
            line(&call, None),
            "call 12: answered, 1,234 in (200 cached), 56 out, $0.0012, 0.8 s"
        );
        assert_eq!(totals.line(), "1 call, 1,234 tokens in, 56 out, $0.0012");
        call.status = CallStatus::Abandoned;
        call.tokens.cached = 0;
        call.estimated = true;
        totals.add(&call);
        assert_eq!(
            line(&call, None),
            "call 12: abandoned, about 1,234 in, 56 out, $0.0012, 0.8 s"
        );
        assert_eq!(
            line(&call, Some("no route")),
            "call 12: abandoned, about 1,234 in, 56 out, $0.0012, 0.8 s: no route"
        );
        assert_eq!(
            totals.line(),
            "2 calls (1 without an answer), about 2,468 tokens in, 112 out, $0.0024"
        );
    }
}
