//! The smoke tasks, each for real in the local sandbox: nothing done scores 0, the reference
//! solution scores 1, with the seal and, as in Harbor, without.

use dgm::benchmark::{Checked, Suite, Task};
use dgm::domain::{Change, TreePath};
use dgm::sandbox::Limits;
use dgm::sandbox::local::LocalSandbox;
use dgm::trial::{Answer, check, judge};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/smoke")
}

#[tokio::test]
async fn every_task_measures_what_it_should() {
    let runtime = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(runtime.path().to_owned());
    let suite = Suite::load(&folder()).unwrap();
    let cancel = CancellationToken::new();
    let rows = check(&sandbox, &suite, &suite.tasks, 2, &cancel, |_| {}).await;
    assert_eq!(rows.len(), 12);
    for row in rows {
        assert!(row.ok, "{}: {}\n{}", row.task, row.detail, row.log);
        assert_eq!(row.nothing_done, Checked::Reward(0.0), "{}", row.task);
        assert_eq!(row.reference, Checked::Reward(1.0), "{}", row.task);
    }
    for task in &suite.tasks {
        assert!(task.sealed && task.local, "{}", task.id);
    }
}

#[tokio::test]
async fn a_task_works_without_a_seal() {
    let runtime = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(runtime.path().to_owned());
    let suite = Suite::load(&folder()).unwrap();
    let task = suite
        .tasks
        .iter()
        .find(|task| task.id.as_str() == "slug-text");
    let task = Task {
        sealed: false,
        ..Task::clone(task.unwrap())
    };
    let mut solved = Change::default();
    let text = std::fs::read(folder().join("slug-text/solution/files/slug.py")).unwrap();
    solved
        .written
        .insert(TreePath::new("slug.py").unwrap(), text, false);
    for (change, reward) in [(Change::default(), 0.0), (solved, 1.0)] {
        let cancel = CancellationToken::new();
        let answer = Answer::of(&task, change);
        let judged = judge(&sandbox, &task, &answer, "j", Limits::default(), cancel).await;
        assert_eq!(judged.unwrap().reward, Ok(reward));
    }
}
