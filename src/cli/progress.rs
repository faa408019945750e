//! What a run says while it goes on: a line for each thing that is now known, and, on a
//! terminal, one line that moves.

use super::ui::Ui;
use crate::domain::{Tally, VariantId, Verdict};
use crate::evolve::Progress;
use crate::view::{Ink, Style, duration, moment};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The printer of a run's progress.
pub(super) struct Printer {
    task: JoinHandle<()>,
}

impl Printer {
    /// Starts printing; the sender goes to the engine.
    pub(super) fn start(ui: Ui, rounds: u32) -> (mpsc::UnboundedSender<Progress>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(print(ui, rounds, receiver));
        (sender, Self { task })
    }

    /// Waits until everything is printed; the engine has dropped its sender.
    pub(super) async fn finish(self) {
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the progress printer ended early");
        }
    }
}

/// Returns the command as typed.
pub(super) fn command_line() -> String {
    std::env::args().collect::<Vec<_>>().join(" ")
}

async fn print(ui: Ui, rounds: u32, mut receiver: mpsc::UnboundedReceiver<Progress>) {
    let bar = ProgressBar::new_spinner();
    if ui.is_quiet() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed} {msg}")
            .expect("the template is a constant that works"),
    );
    bar.enable_steady_tick(Duration::from_millis(250));
    let mut lines = Lines {
        ui,
        rounds,
        round: 0,
        scores: BTreeMap::new(),
    };
    let mut moving = Moving::default();
    while let Some(progress) = receiver.recv().await {
        moving.heed(&progress);
        bar.set_message(moving.line());
        if let Some(line) = lines.line(progress) {
            bar.suspend(|| ui.status(&line));
        }
    }
    bar.finish_and_clear();
}

/// The line that moves.
#[derive(Default)]
struct Moving {
    numbers: String,
    /// What is out of the ordinary.
    state: Option<String>,
}

impl Moving {
    fn heed(&mut self, progress: &Progress) {
        if let Progress::Status {
            running,
            evaluations,
            calls,
        } = progress
        {
            self.numbers = format!(
                "{running} running, {evaluations} evaluations and {calls} model calls in this run"
            );
        } else if let Progress::Paused { since_ms, .. } = progress {
            let since = moment(*since_ms);
            self.state = Some(format!(
                "PAUSED since {since}: the provider does not answer"
            ));
        } else if let Progress::Resumed { .. } = progress {
            self.state = None;
        } else if let Progress::Slowed(what) = progress {
            self.state = what.is_some().then(|| "slowed by the provider".to_owned());
        }
    }

    fn line(&self) -> String {
        match &self.state {
            Some(state) => format!("{state}; {}", self.numbers),
            None => self.numbers.clone(),
        }
    }
}

struct Lines {
    ui: Ui,
    rounds: u32,
    round: u32,
    scores: BTreeMap<VariantId, Tally>,
}

impl Lines {
    fn line(&mut self, progress: Progress) -> Option<String> {
        let style = self.ui.talk_style();
        match progress {
            Progress::Status { .. } | Progress::Slowed(_) => None,
            Progress::Reaped(count) => {
                Some(format!("removed {count} leftovers of a run that had died"))
            }
            Progress::Decided {
                attempt,
                round,
                parent,
                entry,
            } => {
                self.round = self.round.max(round);
                let rounds = self.rounds.max(round);
                Some(format!(
                    "{attempt}  round {round}/{rounds}: from {parent}, to learn from {entry}"
                ))
            }
            Progress::Proposed { attempt, title } => Some(format!("{attempt}  proposed: {title}")),
            Progress::Failed {
                attempt,
                failure,
                detail,
            } => {
                let what = style.paint(Ink::Bad, &failure.to_string());
                Some(format!("{attempt}  {what}: {}", first_line(&detail)))
            }
            Progress::Made { variant, .. } => {
                Some(format!("{variant}  passed the gates; evaluating"))
            }
            Progress::Evaluated {
                key,
                outcome,
                passed,
            } => {
                let tally = self.scores.entry(key.variant).or_default();
                tally.counted += u32::from(outcome.counts());
                tally.resolved += u32::from(outcome.counts() && passed);
                let ink = if passed { Ink::Good } else { Ink::Dim };
                let what = style.paint(ink, outcome.name());
                let sum = format!("{}/{} so far", tally.resolved, tally.counted);
                Some(format!("{}  {}: {what} ({sum})", key.variant, key.task))
            }
            Progress::Judged {
                variant,
                verdict,
                score,
            } => Some(judged(style, variant, &verdict, score)),
            Progress::Retry { what, after } => {
                Some(format!("{what}: failed, again in {} s", after.as_secs()))
            }
            Progress::Paused {
                role,
                what,
                since_ms,
                limit,
            } => Some(format!(
                "{} since {}: the model of the role `{role}` does not answer ({}); calls wait, at \
                 most {}",
                style.paint(Ink::Warn, "paused"),
                moment(since_ms),
                first_line(&what),
                duration(millis(limit)),
            )),
            Progress::Resumed { after } => Some(format!(
                "{} after {}: the provider answers again",
                style.paint(Ink::Good, "going on"),
                duration(millis(after)),
            )),
            Progress::Draining { running, grace } => Some(format!(
                "stopping: nothing new is started, {running} jobs have {} s to end (Ctrl-C again stops them)",
                grace.as_secs()
            )),
        }
    }
}

fn judged(style: Style, variant: VariantId, verdict: &Verdict, score: Tally) -> String {
    match verdict {
        Verdict::Admitted => {
            let what = style.paint(Ink::Good, "admitted");
            format!(
                "{variant}  {what} with {}/{}",
                score.resolved, score.counted
            )
        }
        Verdict::Rejected(reason) => {
            format!("{variant}  {}: {reason}", style.paint(Ink::Bad, "rejected"))
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(160)
        .collect()
}
