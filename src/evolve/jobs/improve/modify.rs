//! One attempt at self-modification, from evidence to a child that passed the gates.

use super::gates::{GateEnd, inspect, try_out};
use super::workshop::Workshop;
use crate::agent::Manifest;
use crate::domain::{Cause, Failure, FileTree, Proposal, Role, VariantId};
use crate::evolve::budget::{BudgetKey, no_diagnosis};
use crate::evolve::jobs::event::JobEvent;
use crate::model::{CallError, Denied, Metered, ModelError, Scope};
use crate::propose::{CONVENTIONS, Evidence, ProposeError, diagnose, instruction};
use crate::sandbox::{AgentSource, SandboxError};
use crate::trial::{AgentJob, Interruption, run_agent};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Further questions where the diagnosing model's answer cannot be read (as DGM does).
const DIAGNOSE_RETRIES: u32 = 3;

/// The models of one attempt, each with its books.
pub(super) struct AttemptModels {
    pub diagnose: Arc<Metered>,
    pub modify: Arc<Metered>,
    pub solve: Arc<Metered>,
}

/// What one attempt starts from.
pub(super) struct ImproveJob {
    pub attempt: VariantId,
    pub parent: AgentSource,
    /// Recorded by an earlier execution: then the diagnosis is not paid for again.
    pub proposal: Option<Proposal>,
    pub evidence: Evidence,
}

/// How an attempt ended, before anything of it is recorded.
pub(super) struct ImproveEnd {
    /// What the parent printed while it changed itself.
    pub log: Vec<u8>,
    /// Source before and after, if the parent got to work.
    pub change: Option<(Arc<FileTree>, FileTree)>,
    /// What the gates printed.
    pub gate_log: Vec<u8>,
    /// How it went.
    pub result: GateEnd,
}

impl ImproveEnd {
    /// Returns an end before the parent got to work.
    pub(super) fn early(result: GateEnd) -> Self {
        Self {
            log: Vec::new(),
            change: None,
            gate_log: Vec::new(),
            result,
        }
    }
}

/// Runs one attempt to its end. Never fails: a failure is an end.
pub(super) async fn improve(
    workshop: &Workshop,
    job: &ImproveJob,
    models: &AttemptModels,
    events: &mpsc::UnboundedSender<JobEvent>,
    cancel: CancellationToken,
) -> ImproveEnd {
    let proposal = match propose(job, &models.diagnose, events, &cancel).await {
        Ok(proposal) => proposal,
        Err((end, log)) => {
            return ImproveEnd {
                log,
                ..ImproveEnd::early(end)
            };
        }
    };
    let name = format!("a{}", job.attempt.0);
    let manifest = match Manifest::read(&job.parent.files) {
        Ok(manifest) => manifest,
        // It was read when the parent was made: the archive cannot give it back.
        Err(error) => {
            let end = GateEnd::Infra(Cause::SandboxFailed, error.to_string());
            return ImproveEnd::early(end);
        }
    };
    let agent_job = AgentJob {
        turn: workshop.turn(
            name.clone(),
            instruction(&proposal, CONVENTIONS),
            job.parent.files.clone(),
        ),
        agent: job.parent.clone(),
        manifest,
        role: Role::Modify,
        deadline: workshop.modify_timeout,
        limits: workshop.limits,
    };
    let metered = models.modify.clone();
    let agent = match run_agent(&workshop.host, agent_job, metered, cancel.clone()).await {
        Ok(agent) => agent,
        Err(SandboxError::Cancelled) => return ImproveEnd::early(GateEnd::Cancelled),
        Err(error) => return ImproveEnd::early(GateEnd::sandbox(&error)),
    };
    let interruption = Interruption::of(agent.exit, &models.modify, workshop.modify_timeout);
    let after = agent.workspace.files.clone();
    let mut end = ImproveEnd {
        log: agent.log,
        change: Some((job.parent.files.clone(), after)),
        gate_log: Vec::new(),
        result: GateEnd::Cancelled,
    };
    if interruption == Some(Interruption::RunBudget) {
        return end;
    }
    let child: FileTree = match inspect(&job.parent.files, &agent.workspace) {
        Ok(child) => child,
        Err(result) => {
            end.result = without_child(result, interruption);
            return end;
        }
    };
    let (log, verdict) = try_out(workshop, &child, &name, models.solve.clone(), cancel).await;
    end.gate_log = log;
    end.result = match verdict {
        None => GateEnd::Child(child),
        Some(result) => without_child(result, interruption.filter(is_of_provider)),
    };
    end
}

fn is_of_provider(interruption: &Interruption) -> bool {
    matches!(interruption, Interruption::Provider(_))
}

/// Returns how an attempt ended that left no child where its agent was interrupted: a provider's
/// failure is nobody's doing; a cut of the allowance is the reason, and what was left goes with
/// it. What ended otherwise ended so by itself.
fn without_child(left: GateEnd, interruption: Option<Interruption>) -> GateEnd {
    match (left, interruption) {
        (GateEnd::Failed(..), Some(Interruption::Provider(what))) => GateEnd::provider(&what),
        (GateEnd::Failed(Failure::Gate(_), found), Some(Interruption::Allowance(cut))) => {
            GateEnd::Failed(Failure::OutOfBudget, format!("{cut}; by then, {found}"))
        }
        (other, _) => other,
    }
}

/// Returns the attempt's proposal; a new one is durable before it is used. Where there is
/// none, what was said comes with the reason.
async fn propose(
    job: &ImproveJob,
    metered: &Metered,
    events: &mpsc::UnboundedSender<JobEvent>,
    cancel: &CancellationToken,
) -> Result<Proposal, (GateEnd, Vec<u8>)> {
    if let Some(proposal) = &job.proposal {
        return Ok(proposal.clone());
    }
    let asked = tokio::select! {
        asked = diagnose(metered, &job.evidence, DIAGNOSE_RETRIES) => asked,
        () = cancel.cancelled() => return Err((GateEnd::Cancelled, Vec::new())),
    };
    let (proposal, exchange) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            let (end, exchange) = why_not(error);
            let Some(limit) = metered.unaffordable() else {
                return Err((end, exchange));
            };
            let why = metered.out_of_budget().unwrap_or_default();
            // A dispatcher that is gone ends the run as well.
            drop(events.send(JobEvent::Unaffordable {
                what: no_diagnosis(&why),
                key: BudgetKey::of(Scope::Job, limit),
            }));
            return Err((GateEnd::Cancelled, exchange));
        }
    };
    // A proposal is not asked for again: what it cost is known before it is recorded.
    metered.settled().await;
    let (done, recorded) = oneshot::channel();
    let event = JobEvent::Proposed {
        attempt: job.attempt,
        proposal: proposal.clone(),
        exchange,
        done,
    };
    if events.send(event).is_err() || recorded.await.is_err() {
        return Err((GateEnd::Cancelled, Vec::new()));
    }
    Ok(proposal)
}

fn why_not(error: ProposeError) -> (GateEnd, Vec<u8>) {
    let said = error.to_string();
    match error {
        ProposeError::Unusable { exchange, .. } => {
            (GateEnd::Failed(Failure::NoProposal, said), exchange)
        }
        ProposeError::Call { error, exchange } => {
            let end = match error {
                CallError::Denied(
                    Denied::Stopping
                    | Denied::Budget {
                        scope: Scope::Run, ..
                    },
                ) => GateEnd::Cancelled,
                CallError::Model(
                    ModelError::Busy { .. }
                    | ModelError::Failed { .. }
                    | ModelError::Unusable { .. },
                ) => GateEnd::provider(&said),
                CallError::Denied(Denied::Budget {
                    scope: Scope::Job | Scope::Attempt,
                    ..
                }) => GateEnd::Failed(Failure::OutOfBudget, said),
                CallError::Model(ModelError::Refused { .. }) => {
                    GateEnd::Failed(Failure::NoProposal, said)
                }
            };
            (end, exchange)
        }
    }
}
