//! Asks a verifier about an answer, in a sandbox that no agent has been in, or after the last
//! process of the agent is dead; what it says is read from outside.

use super::answer::Answer;
use super::swebench;
use super::verifier::{
    VERIFIER_LOGS, Verified, VerifierEnd, image_root, run_script, single, vital, with_executable,
};
use crate::benchmark::{Delivery, Grader, Task, patch};
use crate::domain::TreePath;
use crate::sandbox::{IN_WORKDIR, ImageRoot, Limits, Placed, Root, Sandbox, SandboxError, Spec};
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Judges an answer that consists of files, as the task's grader does.
pub async fn judge(
    sandbox: &dyn Sandbox,
    task: &Task,
    answer: &Answer,
    job: &str,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<VerifierEnd, SandboxError> {
    let verified = verify(sandbox, task, answer, job, limits, cancel).await?;
    Ok(single(verified, task))
}

/// Asks the verifier about an answer that consists of files. It is laid over a fresh workspace,
/// or over a fresh copy of the image's folder; then come the hidden tests.
pub(super) async fn verify(
    sandbox: &dyn Sandbox,
    task: &Task,
    answer: &Answer,
    job: &str,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<Verified, SandboxError> {
    if let Grader::Swebench(facts) = &task.grader {
        let patch = patch(&answer.before, &answer.change);
        return swebench::verify(sandbox, task, facts, &patch, job, limits, cancel).await;
    }
    let seal = seal(task).map_err(|source| SandboxError::Failed {
        what: "could not make a seal for the verifier".to_owned(),
        source: source.into(),
    })?;
    let spec = spec(task, answer, job, limits, seal.as_deref());
    let ended = sandbox.run(spec, cancel).await?;
    let key = task.reward_key.as_deref();
    Ok(Verified::sealed(
        ended,
        task.verifier_timeout,
        key,
        seal.as_deref(),
    ))
}

/// Returns a fresh secret for a task that seals its reward: the answer runs under the same
/// user as the verifier, so it could write a reward or forge what the sandbox hands out, but
/// it cannot know the secret. What the verifier leaves is not the secret but a code of the
/// reward made with it: what outlives the tests finds the seal of the reward that was given,
/// and can make none for another.
fn seal(task: &Task) -> std::io::Result<Option<String>> {
    if !task.sealed {
        return Ok(None);
    }
    let mut secret = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let digits = secret.iter().map(|byte| format!("{byte:02x}"));
    Ok(Some(digits.collect()))
}

fn spec(task: &Task, answer: &Answer, job: &str, limits: Limits, seal: Option<&str>) -> Spec {
    let mut tests = with_executable(task.tests.reveal(), "test.sh");
    if let (Some(seal), Ok(path)) = (seal, TreePath::new("seal")) {
        tests.insert(path, seal.as_bytes(), false);
    }
    let mut env = task.env.clone();
    env.extend(task.verifier_env.iter().cloned());
    let tests = Placed {
        at: "/tests".to_owned(),
        files: Arc::new(tests),
    };
    let (at, root, files) = match task.delivery {
        Delivery::Workspace => (task.workdir.clone(), Root::Sealed, answer.after()),
        Delivery::Folder | Delivery::InImage => {
            let deleted = answer.change.deleted.iter();
            let removed = deleted.zip(answer.folder.iter().cycle());
            let root = ImageRoot {
                user: task.verifier_user.clone(),
                removed: removed.map(|(path, at)| format!("{at}/{path}")).collect(),
                ..image_root(task, task.verifier_network)
            };
            let at = Some(IN_WORKDIR.to_owned());
            (at, Root::Image(root), answer.change.written.clone())
        }
    };
    let files = at.map(|at| Placed {
        at,
        files: Arc::new(files),
    });
    Spec {
        job: job.to_owned(),
        image: task.image.clone(),
        agent: None,
        placed: files.into_iter().chain([tests]).collect(),
        root,
        workdir: task.workdir.clone(),
        writable: vec![VERIFIER_LOGS.to_owned()],
        command: run_script("/tests/test.sh"),
        env,
        vital: vital(),
        socket_dir: None,
        deadline: task.verifier_timeout,
        collect: vec![VERIFIER_LOGS.to_owned()],
        limits,
    }
}
