//! The job that has a kept answer judged again. It asks no model.

use super::job::{JobKind, Settlement};
use super::retry::RetryDecision;
use super::workbench::Workbench;
use crate::domain::{EvaluationKey, Fact, JobId, Judgement, Outcome, Regrade};
use crate::evolve::record::Recorder;
use crate::sys::clock::now_ms;
use crate::trial::{RegradeEnd, RegradeJob, SandboxHost, regrade};
use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

/// One execution of a judgement.
pub(super) struct JudgeAgain {
    key: EvaluationKey,
    execution: u32,
    job: RegradeJob,
    host: SandboxHost,
    cancel: CancellationToken,
}

/// Reads the answer and the evaluation that it is of.
pub(super) fn prepare(
    key: EvaluationKey,
    bench: &Workbench,
    recorder: &mut Recorder,
) -> anyhow::Result<JudgeAgain> {
    let execution = recorder.next_execution(&JobId::Regrade(key.clone()));
    let lineage = recorder.lineage();
    let evaluation = lineage
        .evaluation(&key)
        .context("an answer is to be judged that nobody gave")?;
    let answer = lineage.answer(&key);
    let answer = answer
        .map(|blob| recorder.reader().blob(blob))
        .transpose()?;
    let job = RegradeJob {
        task: bench.task(&key.task)?,
        answer,
        first: evaluation.clone(),
        limits: bench.settings.limits,
    };
    Ok(JudgeAgain {
        key,
        execution,
        job,
        host: bench.host.clone(),
        cancel: bench.cancel.clone(),
    })
}

impl JobKind for JudgeAgain {
    type End = RegradeEnd;

    fn id(&self) -> JobId {
        JobId::Regrade(self.key.clone())
    }

    async fn run(&self) -> RegradeEnd {
        regrade(self.host.sandbox.as_ref(), &self.job, self.cancel.clone()).await
    }

    fn crashed(&self, detail: &str) -> RegradeEnd {
        RegradeEnd::without_verifier(Judgement::sandbox_error(detail))
    }

    fn settle(self, end: RegradeEnd, recorder: &mut Recorder) -> anyhow::Result<Settlement> {
        let id = self.id();
        let outcome = end.judgement.outcome;
        let retry = recorder.retry(&id, outcome, false);
        match retry {
            // A failure of ours says nothing about the answer: what is known of it stays.
            RetryDecision::Final if outcome != Outcome::InfraError => {}
            RetryDecision::Final | RetryDecision::Drop | RetryDecision::Again(_) => {
                recorder.fault(id, &end.judgement, self.execution)?;
                return Ok(match retry {
                    RetryDecision::Again(after) => Settlement::Again(after, end.judgement.detail),
                    RetryDecision::Final | RetryDecision::Drop => Settlement::Recorded,
                });
            }
        }
        let [verifier_log] = recorder.blobs([&end.verifier_log])?;
        recorder.record(vec![Fact::Regraded(Regrade {
            key: self.key,
            judgement: end.judgement,
            verifier_log,
            verifier_ms: end.verifier_ms,
            run: recorder.run,
            execution: self.execution,
            at_ms: now_ms(),
        })])?;
        Ok(Settlement::Recorded)
    }
}
