//! One instance: a row of either shape, checked and brought to one form.

use super::facts::{FactsError, object, required, tests, text};
use super::grade::{EvalType, GradeFacts, Parser};
use super::{classic, diff};
use crate::domain::TreePath;
use serde_json::Value;
use std::collections::BTreeMap;

/// Marks of the tests' output, which a script must print around it.
const START: &str = ">>>>> Start Test Output";
const END: &str = ">>>>> End Test Output";
/// Variable in which a script keeps the exit code of the tests' command.
const EXIT_CODE: &str = "SWEBENCH_TEST_EXIT_CODE";

/// A file that the tests need and no patch can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asset {
    /// Its path in the repository.
    pub(super) path: TreePath,
    /// Its content.
    pub(super) bytes: Vec<u8>,
}

/// One instance, ready to become a task.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) repo: String,
    pub(super) base_commit: String,
    pub(super) image: String,
    pub(super) problem_statement: String,
    pub(super) patch: String,
    /// As it is run: with the exit code recorded and the assets put in.
    pub(super) eval_script: String,
    pub(super) assets: Vec<Asset>,
    pub(super) facts: GradeFacts,
}

/// Files that lie beside a row, by their path in the repository.
pub(super) type Beside = BTreeMap<String, Vec<u8>>;

impl Instance {
    /// Reads a row.
    pub(super) fn read(row: &Value, beside: &Beside) -> Result<Self, FactsError> {
        let row = object(row)?;
        let instance_id = required(row, "instance_id")?;
        check(instance_id, "instance_id", is_id, "is no name for a task")?;
        let repo = required(row, "repo")?;
        check(repo, "repo", is_repo, "is not `owner/name`")?;
        let base_commit = required(row, "base_commit")?;
        check(base_commit, "base_commit", is_commit, "is no commit")?;
        let version = text(row, "version")?.unwrap_or("");
        let problem_statement = required(row, "problem_statement")?;
        if problem_statement.trim().is_empty() {
            return Err(wrong("problem_statement", "says nothing"));
        }
        let patch = required(row, "patch")?;
        if diff::files(patch).is_empty() {
            return Err(wrong("patch", "is no patch"));
        }
        let test_patch = text(row, "test_patch")?.unwrap_or("");
        let fail_to_pass = tests(row, "FAIL_TO_PASS")?;
        if fail_to_pass.is_empty() {
            return Err(wrong(
                "FAIL_TO_PASS",
                "lists no test: nothing would be measured",
            ));
        }
        let pass_to_pass = tests(row, "PASS_TO_PASS")?;
        let [script, parser, eval_type] = ["eval_script", "log_parser", "eval_type"]
            .map(|key| text(row, key).map(|text| text.filter(|text| !text.is_empty())));
        let (script, parser, eval_type) = (script?, parser?, eval_type?);
        let made;
        let (script, parser, eval_type) = match (script, parser, eval_type) {
            (Some(script), Some(parser), Some(eval_type)) => (script, parser, eval_type),
            (None, None, None) => {
                made =
                    classic::complete(repo, version, base_commit, test_patch).map_err(|why| {
                        FactsError::Wrong {
                            key: "version",
                            why,
                        }
                    })?;
                (
                    made.eval_script.as_str(),
                    made.log_parser.as_str(),
                    made.eval_type.as_str(),
                )
            }
            (None, _, _) => return Err(FactsError::Missing { key: "eval_script" }),
            (_, None, _) => return Err(FactsError::Missing { key: "log_parser" }),
            (_, _, None) => return Err(FactsError::Missing { key: "eval_type" }),
        };
        let parser = Parser::named(parser).ok_or_else(|| {
            wrong(
                "log_parser",
                &format!("`{}` is not known", parser.escape_debug()),
            )
        })?;
        let eval_type = EvalType::named(eval_type)
            .ok_or_else(|| wrong("eval_type", "is neither `pass_and_fail` nor `fail_only`"))?;
        let image = image(text(row, "image")?, instance_id)?;
        let assets = assets(row.get("image_assets"), beside)?;
        Ok(Self {
            repo: repo.to_owned(),
            base_commit: base_commit.to_owned(),
            image,
            problem_statement: problem_statement.to_owned(),
            patch: patch.to_owned(),
            eval_script: as_run(script, &assets)?,
            assets,
            facts: GradeFacts {
                instance_id: instance_id.to_owned(),
                version: version.to_owned(),
                parser,
                eval_type,
                fail_to_pass,
                pass_to_pass,
            },
        })
    }
}

fn wrong(key: &'static str, why: &str) -> FactsError {
    let why = why.to_owned();
    FactsError::Wrong { key, why }
}

fn check(
    value: &str,
    key: &'static str,
    good: impl Fn(&str) -> bool,
    why: &str,
) -> Result<(), FactsError> {
    if good(value) {
        return Ok(());
    }
    let shown: String = value.chars().take(80).collect();
    Err(wrong(key, &format!("{why}: `{}`", shown.escape_debug())))
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.len() <= 128
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_repo(repo: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    repo.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

fn is_commit(commit: &str) -> bool {
    (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the row's image, or the official name.
fn image(given: Option<&str>, instance_id: &str) -> Result<String, FactsError> {
    match given.filter(|image| !image.is_empty()) {
        None => Ok(format!(
            "swebench/sweb.eval.x86_64.{}:latest",
            instance_id.to_ascii_lowercase().replace("__", "_1776_")
        )),
        Some(image) => {
            let good = |image: &str| {
                image.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && image.len() <= 256
                    && image
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c))
            };
            check(image, "image", good, "is no name of an image")?;
            Ok(image.to_owned())
        }
    }
}

/// Reads the list of files that no patch can carry. Only those that lie beside the row can be
/// had: nothing is fetched.
fn assets(listed: Option<&Value>, beside: &Beside) -> Result<Vec<Asset>, FactsError> {
    const KEY: &str = "image_assets";
    let parsed;
    let listed = match listed {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text)
                .map_err(|error| wrong(KEY, &format!("is a text, but no JSON: {error}")))?;
            &parsed
        }
        Some(listed) => listed,
    };
    let listed = listed
        .as_object()
        .ok_or_else(|| wrong(KEY, "must be a table of lists"))?;
    let mut assets: Vec<Asset> = Vec::new();
    for key in ["test_patch", "patch"] {
        let list = match listed.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(list)) => list,
            Some(_) => return Err(wrong(KEY, "must be a table of lists")),
        };
        for entry in list {
            let path = entry
                .get("path")
                .and_then(Value::as_str)
                .ok_or_else(|| wrong(KEY, "lists a file without a `path`"))?;
            let path = TreePath::new(path).map_err(|error| wrong(KEY, &error.to_string()))?;
            let bytes = beside.get(path.as_str()).cloned().ok_or_else(|| {
                let why = format!(
                    "lists `{path}`, which a row only links to; import the instance from its \
                     task repository, which holds it"
                );
                wrong(KEY, &why)
            })?;
            if !assets.iter().any(|asset| asset.path == path) {
                assets.push(Asset { path, bytes });
            }
        }
    }
    Ok(assets)
}

/// Returns the script as the official harness runs it: the exit code of the tests' command is
/// printed after the end mark, and files that no patch can carry are put in before the start
/// mark.
fn as_run(script: &str, assets: &[Asset]) -> Result<String, FactsError> {
    for mark in [START, END] {
        if !script.contains(mark) {
            return Err(wrong("eval_script", &format!("does not print `{mark}`")));
        }
    }
    let mut lines = vec!["#!/bin/bash".to_owned(), "set -uxo pipefail".to_owned()];
    let mut ended = false;
    let mut started = false;
    for line in script.trim().split('\n') {
        if line == "#!/bin/bash" || line == "set -uxo pipefail" {
            continue;
        }
        if !started && line.contains(START) {
            started = true;
            lines.extend(assets.iter().map(placing));
        }
        if !ended && line.contains(END) {
            ended = true;
            lines.push(format!("{EXIT_CODE}=$?"));
            lines.push(line.to_owned());
            lines.push(format!("echo \">>>>> Test Exit Code: ${EXIT_CODE}\""));
        } else {
            lines.push(line.to_owned());
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// Returns the command that puts an asset into the repository.
fn placing(asset: &Asset) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let path = asset.path.as_str();
    let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    format!(
        "mkdir -p {} && cp {} {}",
        quoted(folder),
        quoted(&format!("/tests/assets/{path}")),
        quoted(path)
    )
}
