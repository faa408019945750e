//! The cheap gates a child passes before money is spent on evaluating it.

use super::workshop::Workshop;
use crate::agent::Manifest;
use crate::archive::check_files;
use crate::domain::{Cause, Failure, FileTree, Gate, Role};
use crate::model::Metered;
use crate::sandbox::{AgentSource, Collected, Exit, SandboxError};
use crate::trial::{AgentJob, Interruption, TurnEnd, run_agent};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The trivial edit task: whoever cannot do this is no coding agent.
const TRIVIAL_INSTRUCTION: &str =
    "Create a file `hello.txt` containing exactly the line `hello`.\n";
/// The file it asks for.
const TRIVIAL_FILE: &str = "hello.txt";
/// Time for it.
const TRIVIAL_DEADLINE: Duration = Duration::from_secs(60);

/// How the making of a child ended.
pub(super) enum GateEnd {
    /// A child that passed the gates; whether its tree is new is seen when it is recorded.
    Child(FileTree),
    /// No child, with details for a reader.
    Failed(Failure, String),
    /// Sandbox, engine or provider failed, as the cause says.
    Infra(Cause, String),
    /// Stopped by us.
    Cancelled,
}

impl GateEnd {
    /// Returns that the sandbox failed.
    pub(super) fn sandbox(error: &SandboxError) -> Self {
        Self::Infra(Cause::SandboxFailed, crate::sandbox::describe(error))
    }

    /// Returns that the model's provider failed.
    pub(super) fn provider(what: &str) -> Self {
        let detail = format!("model provider: {what}");
        Self::Infra(Cause::ModelProviderFailed, detail)
    }
}

/// Gates 1 and 2, which need no sandbox: something changed, and it is a usable source tree.
pub(super) fn inspect(before: &FileTree, after: &Collected) -> Result<FileTree, GateEnd> {
    let fail = |gate, detail: String| Err(GateEnd::Failed(Failure::Gate(gate), detail));
    if after.truncated {
        return fail(
            Gate::Usable,
            "the source tree is too large to collect".to_owned(),
        );
    }
    if let Some(refused) = after.refused.first() {
        return fail(Gate::Usable, refused.clone());
    }
    if before.change_to(&after.files).is_empty() {
        return fail(Gate::Changed, "the source is as it was".to_owned());
    }
    // What git could not keep, or would read as more than a file, must not reach the archive.
    if let Err(error) = check_files(&after.files) {
        return fail(Gate::Usable, error.to_string());
    }
    match Manifest::read(&after.files) {
        Ok(_) => Ok(after.files.clone()),
        Err(error) => fail(Gate::Usable, error.to_string()),
    }
}

/// Gates 3 and 4: the child starts, and solves the trivial task. Returns what it printed.
pub(super) async fn try_out(
    workshop: &Workshop,
    child: &FileTree,
    job: &str,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> (Vec<u8>, Option<GateEnd>) {
    let manifest = match Manifest::read(child) {
        Ok(manifest) => manifest,
        Err(error) => {
            let end = GateEnd::Failed(Failure::Gate(Gate::Usable), error.to_string());
            return (Vec::new(), Some(end));
        }
    };
    let agent_job = AgentJob {
        turn: workshop.turn(
            format!("{job}-gate"),
            TRIVIAL_INSTRUCTION.to_owned(),
            Arc::new(FileTree::new()),
        ),
        agent: AgentSource::of(Arc::new(child.clone())),
        manifest,
        role: Role::Solve,
        deadline: TRIVIAL_DEADLINE,
        limits: workshop.limits,
    };
    match run_agent(&workshop.host, agent_job, metered.clone(), cancel).await {
        Ok(end) => {
            let verdict = judge(&end, &metered);
            (end.log, verdict)
        }
        Err(SandboxError::Cancelled) => (Vec::new(), Some(GateEnd::Cancelled)),
        Err(error) => (Vec::new(), Some(GateEnd::sandbox(&error))),
    }
}

fn judge(end: &TurnEnd, metered: &Metered) -> Option<GateEnd> {
    let right = end
        .workspace
        .files
        .get(TRIVIAL_FILE)
        .is_some_and(|file| file.bytes.trim_ascii_end() == b"hello");
    if right && end.exit == Exit::Code(0) {
        return None;
    }
    match Interruption::of(end.exit, metered, TRIVIAL_DEADLINE) {
        Some(Interruption::RunBudget) => return Some(GateEnd::Cancelled),
        Some(Interruption::Provider(what)) => return Some(GateEnd::provider(&what)),
        // Who was not let ask has not shown what it can do.
        Some(Interruption::Allowance(what)) => {
            let detail = format!("while the child was tried out: {what}");
            return Some(GateEnd::Failed(Failure::OutOfBudget, detail));
        }
        Some(
            Interruption::Time | Interruption::Memory | Interruption::Disk | Interruption::Crash(_),
        )
        | None => {}
    }
    let gate = if metered.requests() == 0 {
        Gate::Starts
    } else {
        Gate::Edits
    };
    Some(GateEnd::Failed(Failure::Gate(gate), describe(end)))
}

/// Returns how the agent ended and the last line it printed: mostly an exception's text.
fn describe(end: &TurnEnd) -> String {
    let how = match end.exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::TimedOut => "its time was over".to_owned(),
        Exit::OutOfMemory => "out of memory".to_owned(),
        Exit::OutOfDisk => "it wrote more than it may".to_owned(),
    };
    let log = String::from_utf8_lossy(&end.log);
    match log
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
    {
        Some(line) => format!("{how}: {}", line.chars().take(200).collect::<String>()),
        None => format!("{how}, and it printed nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::{GateEnd, inspect};
    use crate::domain::{Failure, FileTree, Gate, TreePath};
    use crate::sandbox::Collected;

    fn tree(files: &[(&str, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(TreePath::new(path).unwrap(), text.as_bytes(), false);
        }
        tree
    }

    const MANIFEST: (&str, &str) = (
        "agent.toml",
        "[agent]\nname = \"x\"\nprotocol = 1\ncommand = [\"sh\"]\n",
    );

    fn gate(after: Collected) -> Option<Gate> {
        match inspect(&tree(&[MANIFEST]), &after) {
            Ok(_) => None,
            Err(GateEnd::Failed(Failure::Gate(gate), _)) => Some(gate),
            Err(_) => panic!("only gates are expected"),
        }
    }

    #[test]
    fn tells_what_is_wrong_with_a_tree() {
        let files = tree(&[MANIFEST, ("a.py", "1")]);
        let good = Collected {
            files: files.clone(),
            ..Collected::default()
        };
        assert_eq!(gate(good.clone()), None);
        let same = Collected {
            files: tree(&[MANIFEST]),
            ..Collected::default()
        };
        assert_eq!(gate(same), Some(Gate::Changed));
        let link = Collected {
            refused: vec!["symlink `x`".to_owned()],
            ..good.clone()
        };
        assert_eq!(gate(link), Some(Gate::Usable));
        assert_eq!(
            gate(Collected {
                truncated: true,
                ..good
            }),
            Some(Gate::Usable)
        );
        let hostile = tree(&[MANIFEST, (".gitmodules", "[submodule]")]);
        let hostile = Collected {
            files: hostile,
            ..Collected::default()
        };
        assert_eq!(gate(hostile), Some(Gate::Usable));
        let headless = Collected {
            files: tree(&[("a.py", "1")]),
            ..Collected::default()
        };
        assert_eq!(gate(headless), Some(Gate::Usable));
    }
}
