//! A verifier: how it is run, and what it said, read from outside.

use crate::benchmark::{Reward, RewardError, Task, beside, read_reward};
use crate::domain::{FileEntry, FileTree, NoReward, Rewards};
use crate::sandbox::{Ended, Exit, ImageRoot, Network};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

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

/// What a verifier said of one answer.
#[derive(Clone, Debug)]
pub struct VerifierEnd {
    /// The reward, or why there is none.
    pub reward: Result<f64, RewardError>,
    /// All that it gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// What the verifier printed.
    pub log: Vec<u8>,
    /// Wall time of the verifier's sandbox.
    pub took: Duration,
}

/// What a verifier gave in one step.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// The rewards by name, one of which counts; or why there are none.
    pub(super) rewards: Result<Rewards, RewardError>,
    /// What the verifier printed.
    pub(super) log: Vec<u8>,
    /// Wall time of the verifier's sandbox.
    pub(super) took: Duration,
}

impl Verified {
    /// Reads what the sandbox of a verifier left.
    pub(super) fn of(ended: Ended, timeout: Duration, key: Option<&str>) -> Self {
        Self::sealed(ended, timeout, key, None)
    }

    pub(super) fn sealed(
        ended: Ended,
        timeout: Duration,
        key: Option<&str>,
        seal: Option<&str>,
    ) -> Self {
        // That it has one that counts belongs to its being usable.
        let reward = read(&ended, timeout, seal);
        Self {
            rewards: reward.and_then(|reward| reward.value(key).map(|_| reward.values)),
            log: ended.log,
            took: ended.took,
        }
    }
}

/// Returns the number that counts, with what was given beside it.
pub(super) fn single(verified: Verified, task: &Task) -> VerifierEnd {
    let key = task.reward_key.as_deref();
    let (reward, rewards) = match verified.rewards {
        Ok(rewards) => (crate::benchmark::single(&rewards, key), beside(rewards)),
        Err(why) => (Err(why), Rewards::new()),
    };
    VerifierEnd {
        reward,
        rewards,
        log: verified.log,
        took: verified.took,
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

/// Returns how a run uses a task's image.
pub(super) fn image_root(task: &Task, network: Network) -> ImageRoot {
    ImageRoot {
        health: task.health.clone(),
        network,
        file_rights: task.file_rights,
        setup: task.build_timeout,
        ..ImageRoot::default()
    }
}

fn read(ended: &Ended, timeout: Duration, seal: Option<&str>) -> Result<Reward, RewardError> {
    if ended.exit == Exit::TimedOut {
        return Err(too_late("the verifier", timeout));
    }
    // Like one whose time was over, it was ended before it had said its last word.
    if ended.exit == Exit::OutOfDisk {
        let why = "the verifier wrote more than it may";
        return Err(RewardError::new(NoReward::TooMuchOutput, why));
    }
    let Some(logs) = ended.collected.first() else {
        let why = format!("`{VERIFIER_LOGS}` could not be read");
        return Err(RewardError::new(NoReward::Missing, why));
    };
    let reward = read_reward(&logs.files);
    if let (Ok(reward), Some(seal)) = (&reward, seal) {
        let left = logs.files.get("seal").map(|file| file.bytes.trim_ascii());
        if left != Some(code(seal.as_bytes(), &reward.text).as_bytes()) {
            let why = "the reward is not sealed: something else than the verifier left it";
            return Err(RewardError::new(NoReward::Unsealed, why));
        }
    }
    reward.map_err(|error| {
        error.map(|why| {
            if ended.exit == Exit::OutOfMemory {
                return format!("{why}; it ran out of memory");
            }
            match logs.refused.first() {
                Some(refused) => format!("{why}; {refused}"),
                None if logs.truncated => format!("{why}; not all of what it left was read"),
                None => why,
            }
        })
    })
}

/// Returns that somebody did not end in time.
pub(super) fn too_late(who: &str, timeout: Duration) -> RewardError {
    let why = format!("{who} did not end within {} s", timeout.as_secs_f64());
    RewardError::new(NoReward::TimedOut, why)
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
