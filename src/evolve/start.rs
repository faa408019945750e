//! Makes jobs ready to run: everything they need is read here, so that a job itself never
//! touches the archive.

use super::books::ChannelBooks;
use super::event::{End, Event, JobEnd};
use super::improve::{ImproveJob, Models, Workshop, improve};
use super::record::Recorder;
use super::{EngineSettings, evidence};
use crate::benchmark::Suite;
use crate::domain::{EvaluationKey, JobId, Purpose, Role, TaskId, VariantId};
use crate::model::{JobSubject, Metered, Model, Pace};
use crate::sandbox::AgentSource;
use crate::trial::{EvaluateEnd, EvaluateJob, RegradeJob, SandboxHost, evaluate, regrade};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A model per role.
#[derive(Clone, Debug)]
pub struct RoleModels {
    /// Reads evidence and proposes.
    pub diagnose: Arc<Model>,
    /// Drives a parent while it edits itself.
    pub modify: Arc<Model>,
    /// Drives a variant on a task.
    pub solve: Arc<Model>,
}

impl RoleModels {
    pub(super) fn of(&self, role: Role) -> Arc<Model> {
        match role {
            Role::Diagnose => self.diagnose.clone(),
            Role::Modify => self.modify.clone(),
            Role::Solve => self.solve.clone(),
        }
    }

    /// Returns the pace of each role's model.
    pub(super) fn paces(&self) -> [(Role, Pace); 3] {
        Role::ALL.map(|role| (role, self.of(role).pace().clone()))
    }
}

/// What every job is made from.
pub(super) struct Starter {
    place: SandboxHost,
    suite: Arc<Suite>,
    lacking: BTreeMap<TaskId, String>,
    models: RoleModels,
    settings: EngineSettings,
    books: ChannelBooks,
    events: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
}

impl Starter {
    pub(super) fn new(
        place: SandboxHost,
        suite: Arc<Suite>,
        lacking: BTreeMap<TaskId, String>,
        models: RoleModels,
        settings: EngineSettings,
        events: mpsc::UnboundedSender<Event>,
        cancel: CancellationToken,
    ) -> Self {
        let books = ChannelBooks::new(events.clone()).keeping_traffic(settings.record);
        Self {
            place,
            suite,
            lacking,
            models,
            settings,
            books,
            events,
            cancel,
        }
    }

    /// Returns an evaluation ready to run.
    pub(super) fn evaluate(
        &self,
        recorder: &Recorder,
        key: EvaluationKey,
        purpose: Purpose,
        execution: u32,
    ) -> anyhow::Result<impl Future<Output = JobEnd> + Send + 'static> {
        let task = self
            .suite
            .get(&key.task)
            .with_context(|| format!("the benchmark has no task `{}`", key.task))?
            .clone();
        let subject = JobId::Evaluation(key.clone());
        let metered = self.metered(subject, execution, Role::Solve);
        let job = EvaluateJob {
            agent: source(recorder, key.variant)?,
            key: key.clone(),
            task,
            default_timeout: self.settings.agent_timeout,
            limits: self.settings.limits,
        };
        let (place, cancel) = (self.place.clone(), self.cancel.clone());
        let lacking = self.lacking.get(&key.task).cloned();
        Ok(async move {
            let end = match lacking {
                Some(why) => EvaluateEnd::without_image(&job.task, why),
                None => evaluate(&place, &job, metered.clone(), cancel).await,
            };
            metered.settled().await;
            JobEnd {
                job: JobId::Evaluation(key),
                execution,
                transcript: metered.transcript_bytes(),
                overflow: metered.has_unhandled_overflow(),
                provider_in_trouble: is_in_trouble(&metered),
                end: End::Evaluated(purpose, Box::new(end)),
            }
        })
    }

    /// Returns another judgement of an evaluation's kept answer, ready to run.
    pub(super) fn regrade(
        &self,
        recorder: &Recorder,
        key: EvaluationKey,
        execution: u32,
    ) -> anyhow::Result<impl Future<Output = JobEnd> + Send + 'static> {
        let lineage = recorder.lineage();
        let evaluation = lineage
            .evaluation(&key)
            .context("an answer is to be judged that nobody gave")?;
        let answer = lineage.answer(&key);
        let answer = answer
            .map(|blob| recorder.reader().blob(blob))
            .transpose()?;
        let job = RegradeJob {
            task: self
                .suite
                .get(&key.task)
                .with_context(|| format!("the benchmark has no task `{}`", key.task))?
                .clone(),
            answer,
            first: evaluation.clone(),
            limits: self.settings.limits,
        };
        let (place, cancel) = (self.place.clone(), self.cancel.clone());
        Ok(async move {
            let end = regrade(place.sandbox.as_ref(), &job, cancel).await;
            JobEnd {
                job: JobId::Regrade(key),
                execution,
                transcript: Vec::new(),
                overflow: false,
                provider_in_trouble: false,
                end: End::Regraded(Box::new(end)),
            }
        })
    }

    /// Returns an attempt ready to run.
    pub(super) fn improve(
        &self,
        recorder: &Recorder,
        id: VariantId,
        execution: u32,
    ) -> anyhow::Result<impl Future<Output = JobEnd> + Send + 'static> {
        let attempt = recorder
            .lineage()
            .attempt(id)
            .context("the attempt was not decided")?;
        let parent = source(recorder, attempt.decision.parent)?;
        let evidence = evidence::collect(
            recorder.lineage(),
            recorder.reader(),
            &self.suite,
            &attempt.decision,
            &parent.files,
            self.settings.disclosure,
        )?;
        let metered = |role| self.metered(JobId::Attempt(id), execution, role);
        let models = Models {
            diagnose: metered(Role::Diagnose),
            modify: metered(Role::Modify),
            solve: metered(Role::Solve),
        };
        let proposal = attempt
            .proposal
            .as_ref()
            .map(|(proposal, _)| proposal.clone());
        let job = ImproveJob {
            attempt: id,
            parent,
            proposal,
            evidence,
        };
        let workshop = Workshop {
            host: self.place.clone(),
            image: self.settings.agent_image.clone(),
            limits: self.settings.limits,
            modify_timeout: self.settings.modify_timeout,
        };
        let (events, cancel) = (self.events.clone(), self.cancel.clone());
        Ok(async move {
            let end = improve(&workshop, job, &models, &events, cancel).await;
            for metered in [&models.diagnose, &models.modify, &models.solve] {
                metered.settled().await;
            }
            JobEnd {
                job: JobId::Attempt(id),
                execution,
                transcript: models.modify.transcript_bytes(),
                overflow: models.modify.has_unhandled_overflow(),
                provider_in_trouble: [&models.diagnose, &models.modify, &models.solve]
                    .into_iter()
                    .any(|metered| is_in_trouble(metered)),
                end: End::Improved(Box::new(end)),
            }
        })
    }

    fn metered(&self, subject: JobId, execution: u32, role: Role) -> Arc<Metered> {
        let job = JobSubject {
            subject,
            execution,
            role,
        };
        let books = Arc::new(self.books.clone());
        Arc::new(Metered::new(
            self.models.of(role),
            books,
            job,
            self.settings.budgets.job,
        ))
    }
}

/// Returns whether a job's calls failed, and nothing was answered to anybody since: then it is
/// the provider that is out, or about to be found out.
fn is_in_trouble(metered: &Metered) -> bool {
    metered.provider_failure().is_some()
        && (metered.has_met_outage() || metered.model().pace().trouble().is_some())
}

/// Reads a variant's source from the archive.
fn source(recorder: &Recorder, id: VariantId) -> anyhow::Result<AgentSource> {
    let variant = recorder
        .lineage()
        .variant(id)
        .with_context(|| format!("{id} is not in the archive"))?;
    let files = recorder.reader().files(&variant.commit)?;
    Ok(AgentSource {
        id: variant.tree.as_str().to_owned(),
        files: Arc::new(files),
    })
}
