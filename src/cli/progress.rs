//! What a run says while it goes on: a line for each thing that is now known, and, on a
//! terminal, one line that moves.

use super::ui::Ui;
use crate::domain::{Outcome, Tally, VariantId, Verdict};
use crate::evolve::Progress;
use crate::view::eval::Live;
use crate::view::{Ink, Style, clean, duration, moment};
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
    pub(super) fn start(ui: Ui, watch: Watch) -> (mpsc::UnboundedSender<Progress>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(print(ui, watch, receiver));
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

/// What a watched run is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watch {
    /// An evolution.
    Evolution,
    /// So many evaluations.
    Evaluations(u64),
}

async fn print(ui: Ui, watch: Watch, mut receiver: mpsc::UnboundedReceiver<Progress>) {
    let bar = ProgressBar::new_spinner();
    if ui.is_quiet() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let (template, mut live) = match watch {
        Watch::Evolution => ("{spinner} {elapsed} {msg}", None),
        Watch::Evaluations(planned) => ("{msg}", Some(Live::new(planned))),
    };
    bar.set_style(
        ProgressStyle::with_template(template).expect("the template is a constant that works"),
    );
    bar.enable_steady_tick(Duration::from_millis(250));
    let mut lines = Lines {
        ui,
        scores: BTreeMap::new(),
    };
    let mut moving = Moving::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        let progress = tokio::select! {
            progress = receiver.recv() => match progress {
                Some(progress) => Some(progress),
                None => break,
            },
            // What is drawn tells the time.
            _ = tick.tick(), if live.is_some() => None,
        };
        if let Some(progress) = &progress {
            moving.heed(progress);
        }
        let line = match &mut live {
            None => {
                bar.set_message(moving.line());
                progress.and_then(|progress| lines.line(progress))
            }
            Some(live) => {
                let told = |progress| heed(live, &mut lines, progress, bar.is_hidden());
                let line = progress.and_then(told);
                let table = live.text(millis(bar.elapsed()), ui.talk_style());
                bar.set_message(match &moving.state {
                    Some(state) => format!("{table}\n{state}"),
                    None => table,
                });
                line
            }
        };
        if let Some(line) = line {
            bar.suspend(|| ui.status(&line));
        }
    }
    bar.finish_and_clear();
}

/// Adds what is known to the table; returns a line for it where the table does not tell: there
/// is none, or something is out of the ordinary.
fn heed(live: &mut Live, lines: &mut Lines, progress: Progress, no_table: bool) -> Option<String> {
    if let Progress::Evaluated {
        key,
        outcome,
        passed,
    } = &progress
    {
        live.settled(*outcome, *passed);
        let what = lines.outcome(*outcome, *passed);
        let so_far = live.cost();
        let line = format!(
            "{}  {}: {what} ({so_far} so far)",
            live.position(),
            key.task
        );
        return (no_table || !outcome.counts()).then_some(line);
    }
    if let Progress::Regraded {
        key,
        before,
        outcome,
        passed,
    } = &progress
    {
        live.settled(*outcome, *passed);
        let is_changed = *before != Some((*outcome, *passed));
        let was = match before {
            Some((before, _)) if is_changed => format!(" (was {before})"),
            Some(_) | None => String::new(),
        };
        let what = lines.outcome(*outcome, *passed);
        let line = format!("{}  {}: {what}{was}", live.position(), key.task);
        return (no_table || is_changed).then_some(line);
    }
    if let Progress::Spent { cost, tokens } = &progress {
        live.spent(*cost, *tokens);
    } else if let Progress::Status { running, .. } = &progress {
        live.running(*running as u64);
    }
    lines.line(progress)
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
        } else if let Progress::Paused {
            since_ms, next_ms, ..
        } = progress
        {
            let since = moment(*since_ms);
            let why = match next_ms {
                Some(next) => format!("the provider takes no call before {}", moment(*next)),
                None => "the provider does not answer".to_owned(),
            };
            self.state = Some(format!("PAUSED since {since}: {why}"));
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
    scores: BTreeMap<VariantId, Tally>,
}

impl Lines {
    fn outcome(&self, outcome: Outcome, passed: bool) -> String {
        let ink = match (outcome.counts(), passed) {
            (false, _) => Ink::Warn,
            (true, true) => Ink::Good,
            (true, false) => Ink::Dim,
        };
        self.ui.talk_style().paint(ink, outcome.name())
    }

    fn line(&mut self, progress: Progress) -> Option<String> {
        let style = self.ui.talk_style();
        match progress {
            Progress::Status { .. } | Progress::Spent { .. } | Progress::Regraded { .. } => None,
            Progress::Reaped(count) => {
                Some(format!("removed {count} leftovers of a run that had died"))
            }
            Progress::Decided {
                attempt,
                why,
                parent,
                entry,
            } => Some(format!(
                "{attempt}  {why}: from {parent}, to learn from {entry}"
            )),
            Progress::Proposed { attempt, title } => Some(format!("{attempt}  proposed: {title}")),
            Progress::Failed {
                attempt,
                failure,
                detail,
            } => {
                let what = style.paint(Ink::Bad, &failure.to_string());
                Some(format!("{attempt}  {what}: {}", first_line(&detail)))
            }
            Progress::Waits { attempt } => Some(format!(
                "{attempt}  passed the gates; waits for other attempts"
            )),
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
                let sum = format!("{}/{} so far", tally.resolved, tally.counted);
                let what = self.outcome(outcome, passed);
                Some(format!("{}  {}: {what} ({sum})", key.variant, key.task))
            }
            Progress::Judged {
                variant,
                verdict,
                score,
            } => Some(judged(style, variant, &verdict, score)),
            Progress::Retry { what, why, after } => {
                let again = match after {
                    Some(after) => format!("again in {} s", after.as_secs()),
                    None => "again when the provider answers".to_owned(),
                };
                Some(format!("{what}: failed ({}), {again}", first_line(&why)))
            }
            Progress::Slowed(_) | Progress::Paused { .. } | Progress::Resumed { .. } => {
                provider(style, &progress)
            }
            Progress::Draining { running, grace } => Some(format!(
                "stopping: nothing new is started, {running} jobs have {} s to end (Ctrl-C again stops them)",
                grace.as_secs()
            )),
        }
    }
}

/// Returns a line about a provider of models, where there is something to say.
pub(super) fn provider(style: Style, progress: &Progress) -> Option<String> {
    let before = |next_ms: &Option<i64>| match next_ms {
        Some(next) => format!("takes no call before {}", moment(*next)),
        None => "does not answer".to_owned(),
    };
    match progress {
        Progress::Slowed(Some(slowdown)) => slowdown.next_ms.map(|_| {
            format!(
                "{}: the model of the role `{}` {} ({})",
                style.paint(Ink::Warn, "slowed"),
                slowdown.role,
                before(&slowdown.next_ms),
                first_line(&slowdown.what),
            )
        }),
        Progress::Paused {
            role,
            what,
            since_ms,
            next_ms,
            limit,
        } => Some(format!(
            "{} since {}: the model of the role `{role}` {} ({}); calls wait, at most {}",
            style.paint(Ink::Warn, "paused"),
            moment(*since_ms),
            before(next_ms),
            first_line(what),
            duration(millis(*limit)),
        )),
        Progress::Resumed { after } => Some(format!(
            "{} after {}: the provider answers again",
            style.paint(Ink::Good, "going on"),
            duration(millis(*after)),
        )),
        _ => None,
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
    let line = text.lines().next().unwrap_or_default();
    clean(&line.chars().take(160).collect::<String>())
}
