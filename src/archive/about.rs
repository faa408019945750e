//! What the archive asks of a fact before it is recorded: its name for a reader, the blobs that
//! have to be there, and whether it can be read back as it is.

use crate::domain::{BlobId, Cause, Fact, JobId, Judgement, Outcome, VariantId};

/// Says which fact it is, in a reader's words.
pub(super) fn describe(fact: &Fact) -> String {
    match fact {
        Fact::RunStarted(start) => format!("the start of run {}", start.run.0),
        Fact::RunEnded(end) => format!("the end of run {}", end.run.0),
        Fact::Decided(decision) => format!("the decision on attempt {}", decision.attempt),
        Fact::EvaluationDecided(decision) => {
            format!("the decision on the evaluation of {}", decision.key)
        }
        Fact::Drafted(draft) => format!("the draft of attempt {}", draft.attempt),
        Fact::Disclosed { attempt, .. } => format!("the disclosure for attempt {attempt}"),
        Fact::Proposed { attempt, .. } => format!("the proposal of attempt {attempt}"),
        Fact::AttemptEnded(end) => format!("the end of attempt {}", end.attempt),
        Fact::VariantMade(variant) => format!("variant {}", variant.id),
        Fact::Evaluated(evaluation) => {
            format!("the evaluation of {}", evaluation.key)
        }
        Fact::AnswerKept { key, .. } => format!("the answer of {key}"),
        Fact::Regraded(regrade) => format!("the regrade of {}", regrade.key),
        Fact::Faulted(fault) => match &fault.subject {
            JobId::Attempt(attempt) => format!("a fault of attempt {attempt}"),
            JobId::Evaluation(key) => {
                format!("a fault of the evaluation of {key}")
            }
            JobId::Regrade(key) => format!("a fault of the regrade of {key}"),
            JobId::Manual => "a fault of nothing".to_owned(),
        },
        Fact::Judged { variant, .. } => format!("the verdict on {variant}"),
        Fact::CallIntended(intent) => format!("the intent of model call {}", intent.id.0),
        Fact::CallSettled(settlement) => {
            format!("the settlement of model call {}", settlement.id.0)
        }
        Fact::Recorded(recording) => format!("the recording of model call {}", recording.call.0),
        Fact::Replays(replay) => format!("the source of run {}", replay.run.0),
    }
}

/// Returns every blob that a fact names.
pub(super) fn blobs(fact: &Fact) -> Vec<&BlobId> {
    match fact {
        Fact::Proposed { exchange, .. } => vec![exchange],
        Fact::AttemptEnded(end) => [&end.log, &end.transcript, &end.patch, &end.gate_log]
            .into_iter()
            .flatten()
            .collect(),
        Fact::Drafted(draft) => [&draft.log, &draft.transcript, &draft.patch, &draft.gate_log]
            .into_iter()
            .flatten()
            .collect(),
        Fact::Evaluated(evaluation) => [
            &evaluation.agent_log,
            &evaluation.verifier_log,
            &evaluation.patch,
            &evaluation.transcript,
        ]
        .into_iter()
        .flatten()
        .collect(),
        Fact::Recorded(recording) => {
            let blobs = [Some(&recording.request), recording.answer.as_ref()];
            blobs.into_iter().flatten().collect()
        }
        Fact::AnswerKept { answer, .. } => vec![answer],
        Fact::Regraded(regrade) => regrade.verifier_log.iter().collect(),
        Fact::RunStarted(_)
        | Fact::RunEnded(_)
        | Fact::Decided(_)
        | Fact::EvaluationDecided(_)
        | Fact::Disclosed { .. }
        | Fact::VariantMade(_)
        | Fact::Faulted(_)
        | Fact::Judged { .. }
        | Fact::CallIntended(_)
        | Fact::CallSettled(_)
        | Fact::Replays(_) => Vec::new(),
    }
}

/// Returns why the database could not give a fact back as it is, or why it contradicts itself.
pub(super) fn unstorable(fact: &Fact) -> Option<&'static str> {
    match fact {
        Fact::Decided(decision) => unstorable_weights(&decision.candidates),
        Fact::EvaluationDecided(decision) => unstorable_weights(&decision.candidates),
        Fact::Evaluated(evaluation) => unstorable_judgement(&evaluation.judgement),
        Fact::Regraded(regrade) => unstorable_judgement(&regrade.judgement),
        Fact::RunStarted(_)
        | Fact::RunEnded(_)
        | Fact::Disclosed { .. }
        | Fact::Proposed { .. }
        | Fact::Drafted(_)
        | Fact::AttemptEnded(_)
        | Fact::VariantMade(_)
        | Fact::AnswerKept { .. }
        | Fact::Judged { .. }
        | Fact::CallIntended(_)
        | Fact::CallSettled(_)
        | Fact::Recorded(_)
        | Fact::Replays(_) => None,
        Fact::Faulted(fault) => misfit(Some(fault.cause), fault.outcome),
    }
}

fn unstorable_weights(candidates: &[(VariantId, f64)]) -> Option<&'static str> {
    let mut weights = candidates.iter().map(|(_, weight)| weight);
    let is_odd = weights.any(|weight| !weight.is_finite());
    is_odd.then_some("a weight is not a finite number")
}

fn unstorable_judgement(judgement: &Judgement) -> Option<&'static str> {
    let mut all = judgement.reward.iter().chain(judgement.rewards.values());
    if !all.all(|reward| reward.is_finite()) {
        return Some("the reward is not a finite number");
    }
    misfit(judgement.cause, judgement.outcome)
}

fn misfit(cause: Option<Cause>, outcome: Outcome) -> Option<&'static str> {
    (!Cause::fits(cause, outcome)).then_some("its cause contradicts its outcome")
}
