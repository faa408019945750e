//! How an evaluation goes while it goes: the table that moves on a terminal.

use crate::domain::{Outcome, Tally, Usd};
use crate::view::figure;
use crate::view::line;
use crate::view::style::{Ink, Style};
use std::collections::BTreeMap;

/// What is known so far of the evaluations of one process.
#[derive(Clone, Debug, Default)]
pub struct Live {
    planned: u64,
    done: u64,
    outcomes: BTreeMap<Outcome, u64>,
    score: Tally,
    running: u64,
    calls: u64,
    cost: Usd,
    tokens: u64,
}

impl Live {
    /// Starts with so many evaluations to come.
    pub fn new(planned: u64) -> Self {
        Self {
            planned,
            ..Self::default()
        }
    }

    /// Adds an evaluation that is settled.
    pub fn settled(&mut self, outcome: Outcome, passed: bool) {
        self.done += 1;
        *self.outcomes.entry(outcome).or_default() += 1;
        self.score += Tally {
            resolved: u32::from(outcome.counts() && passed),
            counted: u32::from(outcome.counts()),
        };
    }

    /// Adds a model call that is settled.
    pub fn spent(&mut self, cost: Usd, tokens: u64) {
        self.cost += cost;
        self.tokens += tokens;
        self.calls += 1;
    }

    /// Notes how many evaluations run.
    pub fn running(&mut self, running: u64) {
        self.running = running;
    }

    /// Returns which of how many was settled last, such as `3/40`.
    pub fn position(&self) -> String {
        format!("{}/{}", self.done, self.planned)
    }

    /// Returns what the calls so far cost.
    pub fn cost(&self) -> String {
        figure::money(self.cost)
    }

    /// Returns the milliseconds that are left, if what is to come goes as what has been.
    fn left(&self, elapsed_ms: u64) -> Option<u64> {
        let to_come = self.planned.saturating_sub(self.done);
        elapsed_ms.checked_mul(to_come)?.checked_div(self.done)
    }

    /// Returns the table as lines.
    pub fn text(&self, elapsed_ms: u64, style: Style) -> String {
        let dot = format!(" {} ", style.glyphs().dot);
        let mut first = vec![
            format!("{} evaluations", self.position()),
            format!("{} running", self.running),
            figure::duration(elapsed_ms),
        ];
        if let Some(left) = self.left(elapsed_ms).filter(|left| *left > 0) {
            first.push(format!("about {} left", figure::duration(left)));
        }
        let mut second: Vec<String> = self
            .outcomes
            .iter()
            .map(|(outcome, count)| format!("{outcome} {count}"))
            .collect();
        if self.score.counted > 0 {
            second.push(format!(
                "{} resolved, 95 % {}",
                figure::percent(self.score.mean()),
                figure::interval_text(self.score, style)
            ));
        }
        let third = [
            figure::money(self.cost),
            figure::plural(self.tokens, "token", "tokens"),
            figure::plural(self.calls, "model call", "model calls"),
        ];
        let lines = [first.join(&dot), second.join(&dot), third.join(&dot)];
        let lines = lines.iter().filter(|line| !line.is_empty()).map(|text| {
            let text = line::cut(text, style.width.saturating_sub(1), style.glyphs().more);
            style.paint(Ink::Plain, &text)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::Live;
    use crate::domain::{Outcome, Usd};
    use crate::view::Style;

    #[test]
    fn tells_outcomes_cost_and_the_time_left() {
        let style = Style::plain(100);
        let mut live = Live::new(8);
        assert_eq!(
            live.text(1000, style),
            "0/8 evaluations · 0 running · 1.0 s\n$0 · 0 tokens · 0 model calls"
        );
        live.running(3);
        live.settled(Outcome::Resolved, true);
        live.settled(Outcome::InfraError, false);
        live.spent(Usd(12_300), 4_567);
        assert_eq!(
            live.text(60_000, style),
            "2/8 evaluations · 3 running · 60.0 s · about 3 min 0 s left\n\
             resolved 1 · infra_error 1 · 100 % resolved, 95 % 21–100 %\n\
             $0.0123 · 4,567 tokens · 1 model call"
        );
    }
}
