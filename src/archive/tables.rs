//! The tables of facts: which column holds what. Their conditions are in `schema.sql`.

use super::table::{Table, tables};
use crate::domain::{
    AttemptEnd, CallIntent, CallSettlement, ChildDraft, Decision, Evaluation, EvaluationDecision,
    Fact, Fault, Recording, Regrade, Replay, RunEnd, RunStart, Variant,
};

/// All tables of facts, in an order in which folding works.
pub(super) static TABLES: [&Table; 18] = [
    &RUN,
    &RUN_END,
    &VARIANT,
    &ATTEMPT,
    &EVALUATION_DECISION,
    &DISCLOSURE,
    &PROPOSAL,
    &DRAFT,
    &ATTEMPT_END,
    &EVALUATION,
    &ANSWER,
    &REGRADE,
    &FAULT,
    &VERDICT,
    &CALL,
    &CALL_SETTLEMENT,
    &RECORDING,
    &REPLAY,
];

/// The table of recordings.
pub(super) const RECORDING_TABLE: &str = "recording";

tables! {
    RUN "run" RunStarted(RunStart) {
        run: ["run"],
        command: ["command"],
        config: ["config"],
        version: ["version"],
        sandbox: ["sandbox"],
        stages: ["stages"],
        at_ms: ["at_ms"],
    }

    RUN_END "run_end" RunEnded(RunEnd) {
        run: ["run"],
        reason: ["reason"],
        at_ms: ["at_ms"],
    }

    VARIANT "variant" VariantMade(Variant) {
        id: ["variant"],
        commit: ["commit_id"],
        tree: ["tree_id"],
        parent: ["parent"],
        generation: ["generation"],
        summary: ["summary"],
        created_ms: ["created_ms"],
    }

    ATTEMPT "attempt" Decided(Decision) {
        attempt: ["attempt"],
        group: ["round"],
        parent: ["parent"],
        entry: ["entry"],
        policy: ["policy"],
        candidates: ["weights"],
        why: ["why"],
        run: ["run"],
        at_ms: ["at_ms"],
    }

    EVALUATION_DECISION "evaluation_decision" EvaluationDecided(EvaluationDecision) {
        key: ["variant", "task", "repeat"],
        purpose: ["stage", "holdout"],
        policy: ["policy"],
        candidates: ["weights"],
        why: ["why"],
        run: ["run"],
        at_ms: ["at_ms"],
    }

    DISCLOSURE "disclosure" Disclosed {
        attempt: ["attempt"],
        run: ["run"],
        at_ms: ["at_ms"],
    }

    PROPOSAL "proposal" Proposed {
        attempt: ["attempt"],
        proposal: [
            "log_summarization",
            "potential_improvements",
            "improvement_proposal",
            "implementation_suggestion",
            "problem_description"
        ],
        exchange: ["exchange_blob"],
    }

    DRAFT "draft" Drafted(ChildDraft) {
        attempt: ["attempt"],
        commit: ["commit_id"],
        tree: ["tree_id"],
        log: ["log_blob"],
        transcript: ["transcript_blob"],
        patch: ["patch_blob"],
        gate_log: ["gate_log_blob"],
        run: ["run"],
        execution: ["execution"],
        created_ms: ["created_ms"],
        at_ms: ["at_ms"],
    }

    ATTEMPT_END "attempt_end" AttemptEnded(AttemptEnd) {
        attempt: ["attempt"],
        failure: ["failure", "cause", "detail"],
        log: ["log_blob"],
        transcript: ["transcript_blob"],
        patch: ["patch_blob"],
        gate_log: ["gate_log_blob"],
        run: ["run"],
        execution: ["execution"],
        at_ms: ["at_ms"],
    }

    EVALUATION "evaluation" Evaluated(Evaluation) {
        key: ["variant", "task", "repeat"],
        purpose: ["stage", "holdout"],
        judgement: ["outcome", "passed", "reward", "rewards", "cause", "detail", "task_digest"],
        image: ["image"],
        agent_log: ["agent_log_blob"],
        verifier_log: ["verifier_log_blob"],
        patch: ["patch_blob"],
        transcript: ["transcript_blob"],
        context_overflow: ["context_overflow"],
        timing: ["agent_ms", "verifier_ms"],
        run: ["run"],
        execution: ["execution"],
        at_ms: ["at_ms"],
    }

    ANSWER "answer" AnswerKept {
        key: ["variant", "task", "repeat"],
        answer: ["answer_blob"],
    }

    REGRADE "regrade" Regraded(Regrade) {
        key: ["variant", "task", "repeat"],
        judgement: ["outcome", "passed", "reward", "rewards", "cause", "detail", "task_digest"],
        verifier_log: ["verifier_log_blob"],
        verifier_ms: ["verifier_ms"],
        run: ["run"],
        execution: ["execution"],
        at_ms: ["at_ms"],
    }

    FAULT "fault" Faulted(Fault) {
        subject: ["attempt", "variant", "task", "repeat", "regrade"],
        outcome: ["outcome"],
        cause: ["cause"],
        detail: ["detail"],
        run: ["run"],
        execution: ["execution"],
        at_ms: ["at_ms"],
    }

    VERDICT "verdict" Judged {
        variant: ["variant"],
        verdict: ["verdict", "reason"],
        at_ms: ["at_ms"],
    }

    CALL "call" CallIntended(CallIntent) {
        id: ["call"],
        run: ["run"],
        execution: ["execution"],
        subject: ["attempt", "variant", "task", "repeat", "regrade"],
        role: ["role"],
        model: ["model"],
        at_most: ["at_most_usd_micros"],
        at_most_tokens: ["at_most_tokens"],
        at_ms: ["at_ms"],
    }

    CALL_SETTLEMENT "call_settlement" CallSettled(CallSettlement) {
        id: ["call"],
        status: ["status"],
        tokens: [
            "input_tokens",
            "cached_tokens",
            "cache_written_tokens",
            "cache_written_long_tokens",
            "output_tokens",
            "reasoning_tokens"
        ],
        estimated: ["estimated"],
        cost: ["cost_usd_micros"],
        latency_ms: ["latency_ms"],
    }

    RECORDING "recording" Recorded(Recording) {
        call: ["call"],
        dialect: ["dialect"],
        streamed: ["streamed"],
        tried: ["tried"],
        digest: ["request_digest"],
        messages: ["messages"],
        base: ["base", "base_messages"],
        request: ["request_blob"],
        answer: ["answer_blob"],
    }

    REPLAY "replay" Replays(Replay) {
        run: ["run"],
        archive: ["archive"],
        place: ["place"],
    }
}
