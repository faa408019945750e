//! The job that evaluates a variant on a task.

use super::job::{JobKind, Settlement};
use super::retry::RetryDecision;
use super::workbench::{Workbench, is_in_trouble};
use crate::domain::{Evaluation, EvaluationKey, Fact, JobId, Judgement, Purpose, Role};
use crate::evolve::record::{Recorder, patch};
use crate::model::Metered;
use crate::sys::clock::now_ms;
use crate::trial::{EvaluateEnd, EvaluateJob, SandboxHost, evaluate};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One execution of an evaluation.
pub(super) struct Evaluate {
    key: EvaluationKey,
    purpose: Purpose,
    execution: u32,
    job: EvaluateJob,
    /// Why there is no image to run it in.
    lacking: Option<String>,
    host: SandboxHost,
    metered: Arc<Metered>,
    cancel: CancellationToken,
}

/// How it ended.
pub(super) struct Evaluated {
    end: EvaluateEnd,
    transcript: Vec<u8>,
    context_overflow: bool,
    /// Whether a provider was in trouble that was not this job's alone.
    is_excused: bool,
}

/// Reads what an evaluation needs.
pub(super) fn prepare(
    key: EvaluationKey,
    purpose: Purpose,
    bench: &Workbench,
    recorder: &mut Recorder,
) -> anyhow::Result<Evaluate> {
    let id = JobId::Evaluation(key.clone());
    let execution = recorder.next_execution(&id);
    let job = EvaluateJob {
        agent: recorder.source(key.variant)?,
        key: key.clone(),
        task: bench.task(&key.task)?,
        default_timeout: bench.settings.agent_timeout,
        limits: bench.settings.limits,
    };
    Ok(Evaluate {
        lacking: bench.lacking.get(&key.task).cloned(),
        metered: bench.metered(id, execution, Role::Solve),
        host: bench.host.clone(),
        cancel: bench.cancel.clone(),
        key,
        purpose,
        execution,
        job,
    })
}

impl JobKind for Evaluate {
    type End = Evaluated;

    fn id(&self) -> JobId {
        JobId::Evaluation(self.key.clone())
    }

    async fn run(&self) -> Evaluated {
        let metered = &self.metered;
        let end = match &self.lacking {
            Some(why) => EvaluateEnd::without_image(&self.job.task, why.clone()),
            None => evaluate(&self.host, &self.job, metered.clone(), self.cancel.clone()).await,
        };
        metered.settled().await;
        Evaluated {
            end,
            transcript: metered.transcript_bytes(),
            context_overflow: metered.has_unhandled_overflow(),
            is_excused: is_in_trouble(metered),
        }
    }

    fn crashed(&self, detail: &str) -> Evaluated {
        Evaluated {
            end: EvaluateEnd::without_answer(Judgement::sandbox_error(detail)),
            transcript: Vec::new(),
            context_overflow: false,
            is_excused: false,
        }
    }

    fn settle(self, ended: Evaluated, recorder: &mut Recorder) -> anyhow::Result<Settlement> {
        let end = ended.end;
        let id = self.id();
        let retry = match end.is_lasting {
            true => RetryDecision::Final,
            false => recorder.retry(&id, end.judgement.outcome, ended.is_excused),
        };
        match retry {
            RetryDecision::Final => {}
            RetryDecision::Again(after) => {
                recorder.fault(id, &end.judgement, self.execution)?;
                return Ok(Settlement::Again(after, end.judgement.detail));
            }
            RetryDecision::Drop => {
                recorder.fault(id, &end.judgement, self.execution)?;
                return Ok(Settlement::Recorded);
            }
        }
        let change = match end.patch {
            Some(judged) => judged,
            None => {
                let change = end.change.as_ref();
                patch(change.map(|(before, after)| (&**before, after)))?
            }
        };
        let [agent_log, verifier_log, patch, transcript, answer] = recorder.blobs([
            &end.agent_log,
            &end.verifier_log,
            &change,
            &ended.transcript,
            end.answer.as_deref().unwrap_or_default(),
        ])?;
        let answer = answer.map(|answer| Fact::AnswerKept {
            key: self.key.clone(),
            answer,
        });
        let fact = Fact::Evaluated(Evaluation {
            key: self.key,
            purpose: self.purpose,
            judgement: end.judgement,
            image: end.image,
            agent_log,
            verifier_log,
            patch,
            transcript,
            context_overflow: ended.context_overflow,
            timing: end.timing,
            run: recorder.run,
            execution: self.execution,
            at_ms: now_ms(),
        });
        recorder.record([fact].into_iter().chain(answer).collect())?;
        Ok(Settlement::Recorded)
    }
}
