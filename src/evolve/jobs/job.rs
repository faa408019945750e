//! What every kind of job is: prepared with all that it needs, run without the archive, and
//! settled by itself into facts.

use crate::domain::JobId;
use crate::evolve::record::Recorder;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// One execution of a job of some kind.
pub(super) trait JobKind: Send + Sync + Sized + 'static {
    /// How it can end, before anything of it is recorded.
    type End: Send + 'static;

    /// Returns which job it is.
    fn id(&self) -> JobId;

    /// Runs it to its end. Never fails: a failure is an end.
    fn run(&self) -> impl Future<Output = Self::End> + Send;

    /// Returns how it ended where its own code panicked: as failed infrastructure.
    fn crashed(&self, detail: &str) -> Self::End;

    /// Records what its end means.
    fn settle(self, end: Self::End, recorder: &mut Recorder) -> anyhow::Result<Settlement>;
}

/// What became of the end of an execution.
#[must_use = "a job that is to be tried again is otherwise never planned"]
pub(in crate::evolve) enum Settlement {
    /// It is recorded, or left out because it was stopped by us.
    Recorded,
    /// It is to be tried again after this time, because of this.
    Again(Duration, String),
}

/// Records the end of one execution.
type Settle = Box<dyn FnOnce(&mut Recorder) -> anyhow::Result<Settlement> + Send>;

/// One execution of a job, ready to run.
pub(in crate::evolve) struct Job {
    /// Which job it is.
    pub id: JobId,
    /// Runs it.
    pub run: BoxFuture<'static, EndedJob>,
}

impl Job {
    /// Wraps an execution of any kind.
    pub(super) fn new<K: JobKind>(kind: K) -> Self {
        let id = kind.id();
        let job = id.clone();
        let run = async move {
            // A panic is our own defect, and no reason to lose what the others do.
            let run = AssertUnwindSafe(kind.run()).catch_unwind().await;
            let end = run.unwrap_or_else(|panic| kind.crashed(&told(&*panic)));
            let settle: Settle = Box::new(move |recorder| kind.settle(end, recorder));
            EndedJob { id: job, settle }
        };
        Self {
            id,
            run: run.boxed(),
        }
    }
}

/// How an execution ended; only its own kind knows what that means.
pub(in crate::evolve) struct EndedJob {
    /// Which job it was.
    pub id: JobId,
    settle: Settle,
}

impl EndedJob {
    /// Records what it means.
    pub(in crate::evolve) fn settle(self, recorder: &mut Recorder) -> anyhow::Result<Settlement> {
        (self.settle)(recorder)
    }
}

/// Returns what a panic said.
fn told(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the job panicked: {}", said.unwrap_or("it did not say why"))
}

#[cfg(test)]
mod tests {
    use super::{Job, JobKind, Settlement};
    use crate::domain::JobId;
    use crate::evolve::record::Recorder;

    /// A job that panics.
    struct Faulty;

    impl JobKind for Faulty {
        type End = String;

        fn id(&self) -> JobId {
            JobId::Manual
        }

        async fn run(&self) -> String {
            panic!("no {}", "luck")
        }

        fn crashed(&self, detail: &str) -> String {
            detail.to_owned()
        }

        fn settle(self, end: String, _: &mut Recorder) -> anyhow::Result<Settlement> {
            anyhow::bail!(end)
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_end_of_the_jobs_own_kind() {
        let folder = tempfile::tempdir().unwrap();
        let writer = crate::archive::Writer::create(folder.path(), "", 1).unwrap();
        let lineage = writer.lineage().unwrap();
        let run = lineage.next_run();
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        let mut recorder = Recorder::new(
            writer,
            lineage,
            run,
            0,
            &crate::evolve::Budgets::default(),
            progress,
        );
        let ended = Job::new(Faulty).run.await;
        assert_eq!(ended.id, JobId::Manual);
        let error = ended.settle(&mut recorder).err().expect("it says so");
        assert_eq!(error.to_string(), "the job panicked: no luck");
    }
}
