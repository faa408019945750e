//! What `dgm eval` found: outcomes, means with their intervals, what kept evaluations from
//! being measurements, and what is held out beside what guided the evolution.
//!
//! Two means are told apart: over what was graded, and with everything that has no measurement
//! as 0, as some tools report it. The first is the score; the second is what it is at worst.

mod json;
mod live;
mod text;

pub use live::Live;
pub(in crate::view) use text::gap_text;

use super::digest::{Gap, gap};
use crate::domain::{
    Cause, Evaluation, Judgement, Outcome, Purpose, RunId, Tally, TaskId, VariantId,
};
use crate::lineage::{Lineage, SubjectSpend};
use crate::stats::{Clustered, clustered, pass_at};
use std::collections::BTreeMap;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The archive.
    pub lineage: &'a Lineage,
    /// Its folder as it is typed; empty: the current one.
    pub dir: &'a str,
    /// The variant.
    pub variant: VariantId,
    /// The benchmark, for a reader.
    pub benchmark: &'a str,
    /// Whether the tasks are held out.
    pub is_holdout: bool,
    /// The tasks.
    pub tasks: &'a [TaskId],
    /// Tasks that were asked for as well and cannot run, with the reason.
    pub refused: &'a [(String, String)],
    /// Evaluations of each task.
    pub attempts: u32,
    /// The process that judged answers again, if that was asked for.
    pub regrade: Option<Regrading>,
}

/// How answers were judged again.
#[derive(Clone, Copy, Debug)]
pub struct Regrading {
    /// The process; none: nothing was to be done.
    pub run: Option<RunId>,
    /// Evaluations without an answer that could be judged again.
    pub left_out: usize,
}

/// Returns the findings as text.
pub fn text(asked: &Asked<'_>, style: super::Style, full: bool) -> String {
    text::text(asked, &Found::of(asked), style, full)
}

/// Returns the findings as `dgm.eval/1`.
pub fn json(asked: &Asked<'_>) -> String {
    json::json(asked, &Found::of(asked))
}

/// Returns how many of the evaluations that were asked for have no measurement.
pub fn unmeasured(asked: &Asked<'_>) -> u64 {
    let found = Found::of(asked);
    found.planned.saturating_sub(u64::from(found.score.counted))
}

/// One evaluation as it counts.
struct Row<'a> {
    evaluation: &'a Evaluation,
    judged: &'a Judgement,
    spend: SubjectSpend,
}

/// One task.
struct OfTask<'a> {
    task: &'a TaskId,
    rows: Vec<Row<'a>>,
    score: Tally,
    /// Evaluations that there are to be.
    planned: u64,
}

/// An answer that was judged again.
struct Again<'a> {
    evaluation: &'a Evaluation,
    first: &'a Judgement,
    now: &'a Judgement,
}

impl Again<'_> {
    fn is_changed(&self) -> bool {
        (self.first.outcome, self.first.passed) != (self.now.outcome, self.now.passed)
    }
}

/// The figures.
struct Found<'a> {
    tasks: Vec<OfTask<'a>>,
    score: Tally,
    planned: u64,
    /// Mean over tasks, where some were tried more than once.
    over_tasks: Option<Clustered>,
    /// Share of tasks that one of `k` tries resolves.
    pass_at: Vec<(u32, f64)>,
    /// Sum of rewards.
    rewards: f64,
    /// Whether every reward is 0 or 1.
    is_binary: bool,
    outcomes: BTreeMap<Outcome, u64>,
    /// By name: a cause of it, how often, and the first sentence.
    causes: BTreeMap<&'static str, (Cause, u64, &'a str)>,
    spend: SubjectSpend,
    training: Tally,
    holdout: Tally,
    gap: Option<Gap>,
    again: Vec<Again<'a>>,
}

impl<'a> Found<'a> {
    fn of(asked: &Asked<'a>) -> Self {
        let (lineage, id) = (asked.lineage, asked.variant);
        let spends = spends(lineage, id);
        let tasks: Vec<OfTask<'a>> = asked
            .tasks
            .iter()
            .map(|task| of_task(asked, task, &spends))
            .collect();
        let rows = || tasks.iter().flat_map(|task| &task.rows);
        let score: Tally = tasks.iter().map(|task| task.score).sum();
        let mut outcomes = BTreeMap::new();
        let mut causes: BTreeMap<&'static str, (Cause, u64, &str)> = BTreeMap::new();
        for row in rows() {
            *outcomes.entry(row.judged.outcome).or_default() += 1;
            if let Some(cause) = row.judged.cause {
                let first = (cause, 0, row.judged.detail.as_str());
                causes.entry(cause.name()).or_insert(first).1 += 1;
            }
        }
        let graded = || rows().filter(|row| row.judged.outcome.counts());
        let reward = |row: &Row<'_>| row.judged.reward.unwrap_or(0.0);
        let is_binary = graded()
            .map(reward)
            .all(|reward| reward == 0.0 || reward == 1.0);
        let clusters: Vec<(u32, u32)> = tasks
            .iter()
            .map(|task| (task.score.resolved, task.score.counted))
            .collect();
        let is_repeated = clusters.iter().any(|(_, counted)| *counted > 1);
        let training = lineage.score(id);
        let holdout = lineage.holdout_score(id);
        Self {
            score,
            planned: tasks.iter().map(|task| task.planned).sum::<u64>()
                + asked.refused.len() as u64 * u64::from(asked.attempts),
            over_tasks: clustered(&clusters).filter(|_| is_repeated),
            pass_at: if is_binary {
                passes(&clusters)
            } else {
                Vec::new()
            },
            rewards: graded().map(reward).sum(),
            is_binary,
            outcomes,
            causes,
            spend: rows().fold(SubjectSpend::default(), |sum, row| sum.plus(&row.spend)),
            training,
            holdout,
            gap: gap(training, holdout),
            again: again(asked),
            tasks,
        }
    }

    /// Returns the mean of what was graded.
    fn over_graded(&self, sum: f64) -> f64 {
        match self.score.counted {
            0 => 0.0,
            counted => sum / f64::from(counted),
        }
    }

    /// Returns the mean with what has no measurement as 0.
    #[expect(clippy::cast_precision_loss, reason = "nobody plans 2^53 evaluations")]
    fn missing_as_zero(&self, sum: f64) -> f64 {
        match self.planned {
            0 => 0.0,
            planned => sum / planned as f64,
        }
    }
}

fn of_task<'a>(
    asked: &Asked<'a>,
    task: &'a TaskId,
    spends: &BTreeMap<(&TaskId, u32), SubjectSpend>,
) -> OfTask<'a> {
    let lineage = asked.lineage;
    let purpose = match asked.is_holdout {
        true => Purpose::Holdout,
        false => Purpose::Extra,
    };
    let rows: Vec<Row<'a>> = lineage
        .evaluations_of(asked.variant)
        .filter(|found| found.key.task == *task && found.purpose == purpose)
        .map(|evaluation| Row {
            evaluation,
            judged: lineage.judgement(evaluation),
            spend: spends
                .get(&(task, evaluation.key.repeat))
                .copied()
                .unwrap_or_default(),
        })
        .collect();
    // What the infrastructure failed gets another try, and is then no further one.
    let tried = rows
        .iter()
        .filter(|row| row.judged.outcome != Outcome::InfraError)
        .count() as u64;
    OfTask {
        task,
        score: rows.iter().map(|row| row.judged.tally()).sum(),
        planned: tried.max(u64::from(asked.attempts)),
        rows,
    }
}

/// Returns what each evaluation of a variant cost over all its executions.
fn spends(lineage: &Lineage, id: VariantId) -> BTreeMap<(&TaskId, u32), SubjectSpend> {
    let mut spends: BTreeMap<(&TaskId, u32), SubjectSpend> = BTreeMap::new();
    for (intent, settlement) in lineage.spend().calls() {
        if let Some(key) = intent.subject.evaluation()
            && key.variant == id
        {
            let spend = spends.entry((&key.task, key.repeat)).or_default();
            spend.add(intent, settlement.as_ref());
        }
    }
    spends
}

fn again<'a>(asked: &Asked<'a>) -> Vec<Again<'a>> {
    let lineage = asked.lineage;
    let Some(run) = asked.regrade.and_then(|regrading| regrading.run) else {
        return Vec::new();
    };
    lineage
        .evaluations_of(asked.variant)
        .filter_map(|evaluation| {
            let regrade = lineage.regrade(&evaluation.key)?;
            (regrade.run == run).then_some(Again {
                evaluation,
                first: &evaluation.judgement,
                now: &regrade.judgement,
            })
        })
        .collect()
}

/// Returns pass@k for the k that are usual, as far as every task was graded so often.
fn passes(clusters: &[(u32, u32)]) -> Vec<(u32, f64)> {
    let least = clusters
        .iter()
        .map(|(_, counted)| *counted)
        .min()
        .unwrap_or(0);
    let usual = (1..=least).filter(|k| k.is_power_of_two() || k.is_multiple_of(5));
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 tasks")]
    let mean = |k: u32| {
        let each = clusters
            .iter()
            .map(|(resolved, counted)| pass_at(k, *resolved, *counted));
        each.flatten().sum::<f64>() / clusters.len() as f64
    };
    let found: Vec<(u32, f64)> = usual.map(|k| (k, mean(k))).collect();
    // pass@1 alone is the mean.
    if found.len() > 1 { found } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn pass_at_k_is_told_where_there_is_more_than_one() {
        assert_eq!(passes(&[(1, 1), (0, 1)]), []);
        assert_eq!(passes(&[(1, 2), (0, 1)]), []);
        let found = passes(&[(1, 4), (4, 5), (0, 4)]);
        let shown: Vec<String> = found
            .iter()
            .map(|(k, share)| format!("{k}: {share:.3}"))
            .collect();
        assert_eq!(shown, ["1: 0.350", "2: 0.500", "4: 0.667"]);
    }
}
