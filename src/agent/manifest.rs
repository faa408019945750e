//! `agent.toml`: what a variant must say about itself.

use crate::domain::FileTree;
use serde::Deserialize;

/// The protocol this program speaks.
const PROTOCOL: u32 = 1;
/// Name of the file.
const FILE: &str = "agent.toml";

/// What `agent.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the agent.
    pub name: String,
    /// Program and arguments that start it.
    pub command: Vec<String>,
}

/// Why a tree is not an agent.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file is not there.
    #[error("there is no `{FILE}` at the root of the agent's source")]
    Missing,
    /// The file is not what it should be.
    #[error("`{FILE}`: {0}")]
    Malformed(String),
    /// It asks for another protocol.
    #[error("`{FILE}` asks for protocol {0}; this program speaks protocol {PROTOCOL}")]
    Protocol(u32),
}

#[derive(Deserialize)]
struct ManifestFile {
    agent: AgentTable,
}

#[derive(Deserialize)]
struct AgentTable {
    name: String,
    protocol: u32,
    command: Vec<String>,
}

impl Manifest {
    /// Reads the manifest of a source tree. Unknown keys are ignored: a variant may keep its
    /// own settings there.
    pub fn read(files: &FileTree) -> Result<Self, ManifestError> {
        let file = files.get(FILE).ok_or(ManifestError::Missing)?;
        let text = std::str::from_utf8(&file.bytes)
            .map_err(|_| ManifestError::Malformed("it is not UTF-8 text".to_owned()))?;
        let ManifestFile { agent } = toml::from_str(text)
            .map_err(|error| ManifestError::Malformed(error.message().to_owned()))?;
        if agent.protocol != PROTOCOL {
            return Err(ManifestError::Protocol(agent.protocol));
        }
        if agent.command.first().is_none_or(String::is_empty) {
            return Err(ManifestError::Malformed(
                "`command` names no program".to_owned(),
            ));
        }
        Ok(Self {
            name: agent.name,
            command: agent.command,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Manifest;
    use crate::domain::{FileTree, TreePath};

    fn read(text: &str) -> Result<Manifest, String> {
        let mut files = FileTree::new();
        files.insert(TreePath::new("agent.toml").unwrap(), text.as_bytes(), false);
        Manifest::read(&files).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_designs_example_and_ignores_what_it_does_not_know() {
        let manifest = read(
            "[agent]\nname = \"base\"\nprotocol = 1\ncommand = [\"python3\", \"-m\", \"agent\"]\nx = 1\n",
        );
        assert_eq!(manifest.unwrap().command, ["python3", "-m", "agent"]);
    }

    #[test]
    fn says_what_is_wrong() {
        let missing = Manifest::read(&FileTree::new()).unwrap_err().to_string();
        assert_eq!(
            missing,
            "there is no `agent.toml` at the root of the agent's source"
        );
        for (text, part) in [
            (
                "[agent]\nname = \"x\"\nprotocol = 2\ncommand = [\"a\"]",
                "asks for protocol 2",
            ),
            (
                "[agent]\nname = \"x\"\nprotocol = 1\ncommand = []",
                "names no program",
            ),
            (
                "[agent]\nname = \"x\"\nprotocol = 1",
                "missing field `command`",
            ),
            ("[agent", "`agent.toml`: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
