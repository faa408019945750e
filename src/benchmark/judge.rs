//! Judges an answer in a sandbox that no agent has been in.

use super::answer::Answer;
use super::patch::patch;
use super::reward::{self, Reward, RewardFault};
use super::swebench;
use super::task::{Grader, Kind, Task};
use crate::domain::{FileEntry, FileTree, NoReward, Rewards, TreePath};
use crate::sandbox::{
    Ended, Exit, IN_WORKDIR, ImageRoot, Limits, Placed, Root, Sandbox, SandboxError, Spec,
};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where a verifier leaves its reward.
pub(super) const VERIFIER_LOGS: &str = "/logs/verifier";

/// Returns the command that runs a script as Harbor does: through bash, because a script
/// without `#!` is allowed. The system's own comes before one that an agent may have put into
/// `PATH`; an image without bash has sh.
pub(super) fn run_script(path: &str) -> Vec<String> {
    let command = format!(
        "for bash in /bin/bash /usr/bin/bash \"$(command -v bash)\"; do \
         if [ -x \"$bash\" ]; then exec \"$bash\" -c '({path})'; fi; done; ({path})"
    );
    vec!["/bin/sh".to_owned(), "-c".to_owned(), command]
}

/// What a verifier said.
#[derive(Clone, Debug)]
pub struct VerifierEnd {
    /// The reward, or why there is none.
    pub reward: Result<f64, RewardFault>,
    /// All that it gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// What the verifier printed.
    pub log: Vec<u8>,
    /// Wall time of the verifier's sandbox.
    pub took: Duration,
}

/// Judges an answer, as the task's grader does. A verifier: lays it over a fresh workspace, or over a fresh copy of the image's
/// folder, places the hidden tests, runs the verifier and reads its reward from outside.
pub async fn judge(
    sandbox: &dyn Sandbox,
    task: &Task,
    answer: &Answer,
    job: &str,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<VerifierEnd, SandboxError> {
    if let Grader::Swebench(facts) = &task.grader {
        let patch = patch(&answer.before, &answer.change);
        return swebench::judge_patch(sandbox, task, facts, &patch, job, limits, cancel).await;
    }
    let seal = seal(task).map_err(|source| SandboxError::Failed {
        what: "could not make a seal for the verifier".to_owned(),
        source: source.into(),
    })?;
    let spec = spec(task, answer, job, limits, seal.as_deref());
    let ended = sandbox.run(spec, cancel).await?;
    let reward = read(&ended, task.verifier_timeout, seal.as_deref());
    let (reward, rewards) = match reward {
        Ok(reward) => (
            reward.value(task.reward_key.as_deref()),
            reward::beside(reward.values),
        ),
        Err(why) => (Err(why), Rewards::new()),
    };
    Ok(VerifierEnd {
        reward,
        rewards,
        log: ended.log,
        took: ended.took,
    })
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
    let mut tests = with_executable(&task.tests.0, "test.sh");
    if let (Some(seal), Ok(path)) = (seal, TreePath::new("seal")) {
        tests.insert(path, seal.as_bytes(), false);
    }
    let mut env = task.env.clone();
    env.extend(task.verifier_env.iter().cloned());
    let tests = Placed {
        at: "/tests".to_owned(),
        files: Arc::new(tests),
    };
    let (at, root, files) = match task.kind {
        Kind::Workspace => (task.workdir.clone(), Root::Sealed, answer.after()),
        Kind::Folder | Kind::Steps => {
            let deleted = answer.change.deleted.iter();
            let removed = deleted.zip(answer.folder.iter().cycle());
            let root = ImageRoot {
                user: task.verifier_user.clone(),
                removed: removed.map(|(path, at)| format!("{at}/{path}")).collect(),
                ..task.image_root(task.verifier_network)
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

/// Returns the tree with one script made executable, whatever its mode on disk.
pub(super) fn with_executable(files: &FileTree, name: &str) -> FileTree {
    let mut files = files.clone();
    let script = files
        .iter()
        .find(|(path, _)| path.as_str() == name)
        .map(|(path, FileEntry { bytes, .. })| (path.clone(), bytes.clone()));
    if let Some((path, bytes)) = script {
        files.insert(path, bytes, true);
    }
    files
}

/// Returns the files that a reward is read from. A verifier may leave whatever it likes beside
/// them.
pub(super) fn vital() -> Vec<String> {
    let path = |name| format!("{VERIFIER_LOGS}/{name}");
    ["seal", "reward.json", "reward.txt"].map(path).into()
}

/// Returns what a verifier gave, by name.
pub(super) fn rewards(
    ended: &Ended,
    timeout: Duration,
    key: Option<&str>,
) -> Result<Rewards, RewardFault> {
    let reward = read(ended, timeout, None)?;
    // That it has one that counts belongs to its being usable.
    reward.value(key)?;
    Ok(reward.values)
}

fn read(ended: &Ended, timeout: Duration, seal: Option<&str>) -> Result<Reward, RewardFault> {
    if ended.exit == Exit::TimedOut {
        let seconds = timeout.as_secs_f64();
        let why = format!("the verifier did not end within {seconds} s");
        return Err(RewardFault::new(NoReward::TimedOut, why));
    }
    // Like one whose time was over, it was ended before it had said its last word.
    if ended.exit == Exit::OutOfDisk {
        let why = "the verifier wrote more than it may";
        return Err(RewardFault::new(NoReward::TooMuchOutput, why));
    }
    let Some(logs) = ended.collected.first() else {
        let why = format!("`{VERIFIER_LOGS}` could not be read");
        return Err(RewardFault::new(NoReward::Missing, why));
    };
    let reward = reward::read(&logs.files);
    if let (Ok(reward), Some(seal)) = (&reward, seal) {
        let left = logs.files.get("seal").map(|file| file.bytes.trim_ascii());
        if left != Some(code(seal.as_bytes(), &reward.text).as_bytes()) {
            let why = "the reward is not sealed: something else than the verifier left it";
            return Err(RewardFault::new(NoReward::Unsealed, why));
        }
    }
    let explained = |why: &str| {
        if ended.exit == Exit::OutOfMemory {
            return format!("{why}; it ran out of memory");
        }
        match logs.refused.first() {
            Some(refused) => format!("{why}; {refused}"),
            None if logs.truncated => format!("{why}; not all of what it left was read"),
            None => why.to_owned(),
        }
    };
    reward.map_err(|fault| fault.saying(explained))
}

/// Returns HMAC-SHA256 (RFC 2104) in hexadecimal digits; the key is shorter than a block.
fn code(key: &[u8], text: &[u8]) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        for (at, key) in block.iter_mut().zip(key) {
            *at ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner.finalize());
    let digits = outer.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 4231, test case 2.
        assert_eq!(
            super::code(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
