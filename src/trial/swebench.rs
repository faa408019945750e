//! Judges an answer to an instance: its tests are run in a fresh container of its image, and
//! what they print is graded here.
//!
//! Invariant: the container gets the answer as a patch, the script and what that needs, and
//! neither the names of the tests that count nor a place where a verdict could be written.

use super::verifier::{
    VERIFIER_LOGS, Verified, VerifierEnd, image_root, run_script, single, too_late, with_executable,
};
use crate::benchmark::swebench::{Grade, GradeFacts, HISTORY, Log, grade};
use crate::benchmark::{RewardError, Task};
use crate::domain::{FileTree, NoReward, Rewards, TreePath};
use crate::sandbox::{Ended, Exit, ImageRoot, Limits, Placed, Root, Sandbox, SandboxError, Spec};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is never placed: it says which tests count.
const KEPT_BACK: &str = "row.json";
/// Most bytes that tests may print and be graded.
const MOST_LOG: u64 = 64 << 20;

/// Judges a patch, an answer's or a prediction that somebody else made; an empty one leaves
/// the repository as it is.
pub async fn judge_patch(
    sandbox: &dyn Sandbox,
    task: &Task,
    facts: &GradeFacts,
    patch: &[u8],
    job: &str,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<VerifierEnd, SandboxError> {
    let verified = verify(sandbox, task, facts, patch, job, limits, cancel).await?;
    Ok(single(verified, task))
}

/// Runs the tests on a patch and grades what they print.
pub(super) async fn verify(
    sandbox: &dyn Sandbox,
    task: &Task,
    facts: &GradeFacts,
    patch: &[u8],
    job: &str,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<Verified, SandboxError> {
    let ended = sandbox.run(spec(task, patch, job, limits), cancel).await?;
    let reward = reward(facts, &ended, task.verifier_timeout);
    Ok(Verified {
        rewards: reward.map(|reward| Rewards::from([("reward".to_owned(), reward)])),
        log: ended.log,
        took: ended.took,
    })
}

fn spec(task: &Task, patch: &[u8], job: &str, limits: Limits) -> Spec {
    let mut files = FileTree::new();
    for (path, file) in with_executable(task.tests.reveal(), "test.sh").iter() {
        if path.as_str() != KEPT_BACK {
            files.insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    for (name, bytes) in [
        ("history.sh", HISTORY.as_bytes().to_vec()),
        ("patch.diff", patch.to_vec()),
    ] {
        let path = TreePath::new(name).expect("invariant: a plain name is a path");
        files.insert(path, bytes, false);
    }
    let mut env = task.env.clone();
    env.extend(task.verifier_env.iter().cloned());
    Spec {
        job: job.to_owned(),
        image: task.image.clone(),
        agent: None,
        placed: vec![Placed {
            at: "/tests".to_owned(),
            files: Arc::new(files),
        }],
        root: Root::Image(ImageRoot {
            user: task.verifier_user.clone(),
            ..image_root(task, task.verifier_network)
        }),
        workdir: task.workdir.clone(),
        writable: vec![VERIFIER_LOGS.to_owned()],
        command: run_script("/tests/test.sh"),
        env,
        vital: Vec::new(),
        socket_dir: None,
        deadline: task.verifier_timeout,
        collect: Vec::new(),
        limits: Limits {
            log: limits.log.max(MOST_LOG),
            ..limits
        },
    }
}

/// Returns 1 for resolved and 0 for not; no reward where the log holds no result.
fn reward(facts: &GradeFacts, ended: &Ended, timeout: Duration) -> Result<f64, RewardError> {
    if ended.exit == Exit::TimedOut {
        return Err(too_late("the tests", timeout));
    }
    if ended.log_total > ended.log.len() as u64 {
        let why = format!("the tests printed more than {MOST_LOG} bytes");
        return Err(RewardError::new(NoReward::TooMuchOutput, why));
    }
    let log = Log::read(&ended.log);
    match grade(facts, &log) {
        grade @ Grade::Found { .. } => Ok(if grade.resolved() { 1.0 } else { 0.0 }),
        Grade::NotFound { mut why, infra } => {
            if let Some(infra) = infra {
                why = format!("{why} (`{}`)", infra.reason);
            }
            let why = match ended.exit {
                Exit::OutOfMemory => format!("{why}; it ran out of memory"),
                Exit::OutOfDisk => format!("{why}; it wrote more than it may"),
                Exit::Code(_) | Exit::TimedOut => why,
            };
            Err(RewardError::new(NoReward::NoResult, why))
        }
    }
}
