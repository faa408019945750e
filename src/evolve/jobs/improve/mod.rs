//! The job that makes one attempt at self-modification.

mod evidence;
mod gates;
mod modify;
mod workshop;

use self::gates::GateEnd;
use self::modify::{AttemptModels, ImproveEnd, ImproveJob, improve};
use self::workshop::Workshop;
use super::event::JobEvent;
use super::job::{JobKind, Settlement};
use super::retry::RetryDecision;
use super::workbench::{Workbench, is_in_trouble};
use crate::domain::{
    AttemptEnd, Cause, Disclosure, Fact, Failure, FileTree, JobId, Judgement, Outcome, Role,
    VariantId,
};
use crate::evolve::record::{Recorder, patch};
use crate::policy::Policy;
use crate::sys::clock::now_ms;
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One execution of an attempt.
pub(super) struct Improve {
    attempt: VariantId,
    execution: u32,
    job: ImproveJob,
    workshop: Workshop,
    models: AttemptModels,
    policy: Arc<dyn Policy>,
    events: mpsc::UnboundedSender<JobEvent>,
    cancel: CancellationToken,
}

/// How it ended.
pub(super) struct Improved {
    end: ImproveEnd,
    transcript: Vec<u8>,
    /// Whether a provider was in trouble that was not this job's alone.
    is_excused: bool,
}

/// Reads what an attempt needs: the parent, and evidence of what it failed at.
pub(super) fn prepare(
    id: VariantId,
    bench: &Workbench,
    recorder: &mut Recorder,
) -> anyhow::Result<Improve> {
    let settings = &bench.settings;
    disclose(id, settings.disclosure, recorder)?;
    let execution = recorder.next_execution(&JobId::Attempt(id));
    let lineage = recorder.lineage();
    let attempt = lineage.attempt(id).context("the attempt was not decided")?;
    let parent = recorder.source(attempt.decision.parent)?;
    let evidence = evidence::collect(
        lineage,
        recorder.reader(),
        &bench.suite,
        &attempt.decision,
        &parent.files,
        settings.disclosure,
    )?;
    let proposal = attempt.proposal.as_ref();
    let metered = |role| bench.metered(JobId::Attempt(id), execution, role);
    Ok(Improve {
        attempt: id,
        execution,
        job: ImproveJob {
            attempt: id,
            parent,
            proposal: proposal.map(|(proposal, _)| proposal.clone()),
            evidence,
        },
        workshop: Workshop {
            host: bench.host.clone(),
            image: settings.agent_image.clone(),
            limits: settings.limits,
            modify_timeout: settings.modify_timeout,
        },
        models: AttemptModels {
            diagnose: metered(Role::Diagnose),
            modify: metered(Role::Modify),
            solve: metered(Role::Solve),
        },
        policy: bench.policy.clone(),
        events: bench.events.clone(),
        cancel: bench.cancel.clone(),
    })
}

/// Puts on record that the diagnosis of an attempt will see what is hidden of the tasks,
/// before it does.
fn disclose(
    attempt: VariantId,
    disclosure: Disclosure,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let lineage = recorder.lineage();
    let is_proposed = lineage
        .attempt(attempt)
        .is_some_and(|found| found.proposal.is_some());
    if disclosure == Disclosure::Visible || is_proposed || lineage.is_disclosed(attempt) {
        return Ok(());
    }
    recorder.record(vec![Fact::Disclosed {
        attempt,
        run: recorder.run,
        at_ms: now_ms(),
    }])
}

impl JobKind for Improve {
    type End = Improved;

    fn id(&self) -> JobId {
        JobId::Attempt(self.attempt)
    }

    async fn run(&self) -> Improved {
        let models = &self.models;
        let cancel = self.cancel.clone();
        let end = improve(&self.workshop, &self.job, models, &self.events, cancel).await;
        let all = [&models.diagnose, &models.modify, &models.solve];
        for metered in all {
            metered.settled().await;
        }
        Improved {
            end,
            transcript: models.modify.transcript_bytes(),
            is_excused: all.into_iter().any(|metered| is_in_trouble(metered)),
        }
    }

    fn crashed(&self, detail: &str) -> Improved {
        let failed = GateEnd::Infra(Cause::SandboxFailed, detail.to_owned());
        Improved {
            end: ImproveEnd::early(failed),
            transcript: Vec::new(),
            is_excused: false,
        }
    }

    fn settle(self, improved: Improved, recorder: &mut Recorder) -> anyhow::Result<Settlement> {
        let ImproveEnd {
            log,
            change,
            gate_log,
            result,
        } = improved.end;
        let made = match result {
            GateEnd::Child(files) => Ok(files),
            GateEnd::Failed(failure, detail) => Err((failure, detail)),
            GateEnd::Cancelled => {
                let how =
                    Judgement::without_reward(Outcome::Cancelled, Cause::Cancelled, "stopped");
                recorder.fault(self.id(), &how, self.execution)?;
                return Ok(Settlement::Recorded);
            }
            GateEnd::Infra(cause, detail) => {
                let how = Judgement::without_reward(Outcome::InfraError, cause, detail.clone());
                let id = self.id();
                let retry = recorder.retry(&id, how.outcome, improved.is_excused);
                recorder.fault(id, &how, self.execution)?;
                if let RetryDecision::Again(after) = retry {
                    return Ok(Settlement::Again(after, detail));
                }
                Err((Failure::Infrastructure(cause), detail))
            }
        };
        let change = change.as_ref();
        let patch = patch(change.map(|(before, after)| (&**before, after)))?;
        let [log, transcript, patch, gate_log] =
            recorder.blobs([&log, &improved.transcript, &patch, &gate_log])?;
        let end = AttemptEnd {
            attempt: self.attempt,
            failure: None,
            log,
            transcript,
            patch,
            gate_log,
            run: recorder.run,
            execution: self.execution,
            at_ms: now_ms(),
        };
        self.record(end, made, recorder)?;
        Ok(Settlement::Recorded)
    }
}

impl Improve {
    /// Records how the attempt ended. A child whose turn it is not yet is kept as a draft:
    /// what was paid for is never in memory only.
    fn record(
        &self,
        end: AttemptEnd,
        made: Result<FileTree, (Failure, String)>,
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        match made {
            Err(failure) => recorder.record(vec![Fact::AttemptEnded(AttemptEnd {
                failure: Some(failure),
                ..end
            })]),
            Ok(files) if self.policy.is_due(recorder.lineage(), self.attempt) => {
                recorder.end_with_child(end, &files)
            }
            Ok(files) => recorder.draft(end, &files),
        }
    }
}
