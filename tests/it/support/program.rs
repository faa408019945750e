//! The `dgm` program in an empty world: no environment but what is set here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Runs `dgm` in a folder of its own.
pub(crate) struct Program {
    folder: PathBuf,
    env: Vec<(String, String)>,
}

impl Program {
    /// A program that runs in this folder, with a UTF-8 terminal of 110 columns.
    pub(crate) fn new(folder: &Path) -> Self {
        let env = [
            ("LANG", "C.UTF-8"),
            ("COLUMNS", "110"),
            ("SOURCE_DATE_EPOCH", "1750000000"),
        ];
        Self {
            folder: folder.to_owned(),
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
        }
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns a command line, split at spaces, to be started.
    pub(crate) fn command(&self, line: &str) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("dgm"));
        command
            .args(line.split_whitespace().map(OsStr::new))
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", &self.folder)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line, split at spaces.
    pub(crate) fn output(&self, line: &str) -> std::process::Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command line that must succeed silently, and returns its data.
    pub(crate) fn data(&self, line: &str) -> String {
        let output = self.output(line);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {talk}");
        assert_eq!(talk, "", "{line}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command line and returns all it said: data, talk, exit code; ids are hidden
    /// behind as many letters.
    pub(crate) fn said(&self, line: &str) -> String {
        let output = self.output(line);
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.stderr.is_empty() {
            said.push_str("--- stderr\n");
            said.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        if !output.status.success() {
            let code = output.status.code().unwrap();
            said.extend(["--- exit ", &code.to_string(), "\n"]);
        }
        hide_ids(&said)
    }
}

/// Hides object and blob ids, keeping the width.
fn hide_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for char in text.chars().chain(['\0']) {
        if char.is_ascii_hexdigit() {
            run.push(char);
            continue;
        }
        match run.len() {
            40 => out.push_str(&"c".repeat(40)),
            // A blob's address, whole or without the two digits that name its folder.
            62 | 64 => out.push_str(&"b".repeat(run.len())),
            2 if out.ends_with("/blobs/") => out.push_str("bb"),
            _ => out.push_str(&run),
        }
        run.clear();
        out.push(char);
    }
    out.pop();
    out
}
