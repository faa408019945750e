//! What an archive tells, without what may differ between two runs of the same
//! configuration: times, and which process did something.

use dgm::archive::Reader;
use dgm::domain::{Attempt, BlobId, CallIntent, CallStatus, Evaluation, Fact, JobId, Role};
use dgm::lineage::Lineage;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Returns variants, attempts, evaluations and books of an archive, a line for each thing. Of
/// the books it takes the calls of the executions that count.
pub(crate) fn story(dir: &Path) -> String {
    let reader = Reader::open(dir).unwrap();
    let lineage = reader.lineage().unwrap();
    let mut lines: Vec<String> = Vec::new();
    for variant in lineage.variants() {
        let standing = lineage.standing(variant.id);
        let note = reader.note(&variant.commit).unwrap();
        lines.push(format!("{variant:?} {standing:?} {note:?}"));
    }
    for attempt in lineage.attempts() {
        lines.push(tell_attempt(&reader, attempt));
        lines.extend(calls_of_attempt(&lineage, attempt));
    }
    for evaluation in lineage.evaluations() {
        lines.push(tell_evaluation(&reader, evaluation));
        let key = &evaluation.key;
        let subject = JobId::Evaluation(key.clone());
        lines.extend(calls(&lineage, |intent| {
            intent.subject == subject
                && intent.run == evaluation.run
                && intent.execution == evaluation.execution
        }));
    }
    lines.join("\n") + "\n"
}

/// Asserts that two stories are the same, and shows the first difference.
pub(crate) fn assert_same(story: &str, expected: &str, when: &str) {
    for (number, (line, wanted)) in story.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, wanted, "{when}: line {number}");
    }
    let counts = (story.lines().count(), expected.lines().count());
    assert_eq!(counts.0, counts.1, "{when}: number of lines");
}

/// Asserts that the books are complete: no number is missing, nothing is there twice, and
/// whatever the model was asked is on them.
pub(crate) fn audit(dir: &Path, asked: usize, when: &str) {
    let reader = Reader::open(dir).unwrap();
    let lineage = reader.lineage().unwrap();
    let mut keys = BTreeSet::new();
    for fact in reader.facts().unwrap() {
        let key = match fact {
            Fact::Evaluated(evaluation) => format!("{:?}", evaluation.key),
            Fact::AnswerKept { key, .. } => format!("answer of {key:?}"),
            Fact::Regraded(regrade) => format!("regrade of {:?} in {:?}", regrade.key, regrade.run),
            Fact::AttemptEnded(end) => format!("end of {}", end.attempt),
            Fact::VariantMade(variant) => format!("variant {}", variant.id),
            Fact::Judged { variant, .. } => format!("verdict on {variant}"),
            Fact::Decided(decision) => format!("decision on {}", decision.attempt),
            Fact::EvaluationDecided(decision) => format!("decision on {:?}", decision.key),
            Fact::Drafted(draft) => format!("draft of {}", draft.attempt),
            Fact::Disclosed { attempt, .. } => format!("disclosure for {attempt}"),
            Fact::Proposed { attempt, .. } => format!("proposal of {attempt}"),
            Fact::CallIntended(intent) => format!("intent {:?}", intent.id),
            Fact::CallSettled(settlement) => format!("settlement {:?}", settlement.id),
            Fact::Recorded(recording) => format!("recording of {:?}", recording.call),
            Fact::Replays(replay) => format!("source of {:?}", replay.run),
            Fact::RunStarted(_) | Fact::RunEnded(_) | Fact::Faulted(_) => continue,
        };
        assert!(keys.insert(key.clone()), "{when}: {key} is there twice");
    }
    let (mut known, mut answered) = (0, 0);
    for (intent, settlement) in lineage.spend().calls() {
        known += 1;
        assert_eq!(intent.id.0, known, "{when}: a call is missing");
        assert!(intent.at_most_tokens > 0, "{when}: {intent:?} has no bound");
        let status = settlement.as_ref().map(|settlement| settlement.status);
        answered += u64::from(status == Some(CallStatus::Answered));
    }
    let asked = asked as u64;
    assert!(
        answered <= asked && asked <= known,
        "{when}: {known} calls are on the books, {answered} of them answered, but the model was \
         asked {asked} times"
    );
}

fn tell_attempt(reader: &Reader, attempt: &Attempt) -> String {
    let decision = &attempt.decision;
    let mut text = format!(
        "attempt {} round {} from {} to learn from {} policy {} weights {:?} proposal {:?}",
        decision.attempt,
        decision.group,
        decision.parent,
        decision.entry.encode(),
        decision.policy,
        decision.candidates,
        attempt.proposal,
    );
    let end = attempt.end.as_ref().expect("the run has reached its goal");
    write!(
        text,
        " failure {:?} log {:?} patch {:?} gate log {:?} transcript {}",
        end.failure,
        end.log,
        end.patch,
        end.gate_log,
        transcript(reader, end.transcript.as_ref()),
    )
    .unwrap();
    text
}

/// The calls of its settled execution. A proposal is not asked for again, so the calls of the
/// diagnosis are those of the last execution that made any.
fn calls_of_attempt(lineage: &Lineage, attempt: &Attempt) -> Vec<String> {
    let end = attempt.end.as_ref().expect("the run has reached its goal");
    let subject = JobId::Attempt(end.attempt);
    let of = |intent: &CallIntent| (intent.run, intent.execution);
    let diagnosis = lineage
        .spend()
        .calls()
        .filter(|(intent, _)| intent.subject == subject && intent.role == Role::Diagnose)
        .map(|(intent, _)| of(intent))
        .last();
    calls(lineage, |intent| {
        let execution = Some(of(intent));
        intent.subject == subject
            && match intent.role {
                Role::Diagnose => execution == diagnosis,
                Role::Modify | Role::Solve => execution == Some((end.run, end.execution)),
            }
    })
}

fn tell_evaluation(reader: &Reader, evaluation: &Evaluation) -> String {
    format!(
        "evaluation {:?} {:?} {} passed {} reward {:?} detail {:?} task {} agent {:?} verifier \
         {:?} patch {:?} overflow {} transcript {}",
        evaluation.key,
        evaluation.purpose,
        evaluation.judgement.outcome,
        evaluation.judgement.passed,
        evaluation.judgement.reward,
        evaluation.judgement.detail,
        evaluation.judgement.task_digest,
        evaluation.agent_log,
        evaluation.verifier_log,
        evaluation.patch,
        evaluation.context_overflow,
        transcript(reader, evaluation.transcript.as_ref()),
    )
}

fn calls(lineage: &Lineage, is_wanted: impl Fn(&CallIntent) -> bool) -> Vec<String> {
    lineage
        .spend()
        .calls()
        .filter(|(intent, _)| is_wanted(intent))
        .map(|(intent, settlement)| {
            let settlement = settlement
                .as_ref()
                .unwrap_or_else(|| panic!("{intent:?} counts, but is not settled"));
            format!(
                "  {:?} {} at most {} {} tokens: {:?} {:?} {}",
                intent.role,
                intent.model,
                intent.at_most,
                intent.at_most_tokens,
                settlement.status,
                settlement.tokens,
                settlement.cost,
            )
        })
        .collect()
}

/// The model calls as they were recorded, without when they ended and how long they took.
fn transcript(reader: &Reader, blob: Option<&BlobId>) -> String {
    let Some(blob) = blob else {
        return "none".to_owned();
    };
    let text = String::from_utf8(reader.blob(blob).unwrap()).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for time in ["latency_ms", "ended_ms"] {
            line.as_object_mut().unwrap().shift_remove(time);
        }
        line.to_string()
    });
    lines.collect::<Vec<_>>().join(" ")
}
