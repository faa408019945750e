//! `[metadata.dgm]`: what `dgm` wants to know beyond Harbor's keys.
//!
//! | key | means | default |
//! | --- | --- | --- |
//! | `workspace` | folder below `environment/` whose files the agent starts with | the image's |
//! | `image` | image for backends that have images | `environment.docker_image` |
//! | `local` | whether it may run in the local sandbox, without an image | `false` |
//! | `answer` | patterns of the paths that are taken from the agent | all of a workspace; else as Harbor does |
//! | `pass_mark` | reward from which on the task counts as resolved | 1.0 |
//! | `reward_key` | name of the number that counts, of several | `reward`, else the least |
//! | `tests_expected` | number of tests that must have run | not known |
//! | `processes` | processes and threads that it may have, at least | the run's |
//! | `nothing_done` | reward that the untouched workspace gets; such a task is left out of scores | 0 |
//! | `sealed` | whether the verifier seals its reward, see [`Task::sealed`] | `false` |
//! | `grader` | `swebench`: the log is graded outside, by `tests/row.json` | the verifier |
//! | `repo`, `version`, `base_commit` | which instance of SWE-bench it is | |
//! | `language`, `mode`, `exercise` | where an imported task comes from | |
//!
//! [`Task::sealed`]: crate::benchmark::Task::sealed

use super::environment::image;
use crate::benchmark::fault::LoadError;
use crate::benchmark::glob;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;

/// More than this is a fork bomb, whatever a task says.
const MOST_PROCESSES: u32 = 16_384;

/// What `[metadata.dgm]` says.
#[derive(Debug)]
pub(in crate::benchmark) struct Own {
    pub workspace: Option<String>,
    pub image: Option<String>,
    pub local: bool,
    /// None: the task says nothing about its answer.
    pub answer: Option<Vec<String>>,
    pub pass_mark: f64,
    pub reward_key: Option<String>,
    pub tests_expected: Option<u64>,
    /// Processes and threads, at least.
    pub processes: Option<u32>,
    pub nothing_done: f64,
    pub sealed: bool,
    /// Whether SWE-bench's grader decides in place of the verifier.
    pub is_swebench: bool,
}

impl Own {
    /// Reads the table.
    pub(super) fn read(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<Self, LoadError> {
        let section = root.section("metadata")?.section("dgm")?;
        section.knows(&["language", "mode", "exercise"]);
        section.knows(&["repo", "version", "base_commit"]);
        let workspace = section.string("workspace")?;
        let workspace = workspace.map(|folder| folder.trim_end_matches('/'));
        if let Some(folder) = workspace
            && (!folder.starts_with("environment/") || TreePath::new(folder).is_err())
        {
            let why = format!(
                "`{}` is not a folder below `environment/`, where the task's digest covers it",
                folder.escape_debug()
            );
            return Err(section.wrong("workspace", why));
        }
        let is_swebench = match section.string("grader")? {
            None => false,
            Some("swebench") if workspace.is_none() => true,
            Some("swebench") => {
                let why = "`swebench` needs the files of an image: leave `workspace` out";
                return Err(section.wrong("grader", why));
            }
            Some(other) => {
                let why = format!(
                    "`{}` is not known; there is `swebench`",
                    other.escape_debug()
                );
                return Err(section.wrong("grader", why));
            }
        };
        let answer = match is_swebench && section.strings("answer")?.is_none() {
            // A patch of anything: the script resets what must not be patched.
            true => Some(Vec::new()),
            false => answer(&section, workspace.is_some(), warnings)?,
        };
        let pass_mark = section.number("pass_mark")?.unwrap_or(1.0);
        if pass_mark <= 0.0 {
            return Err(section.wrong("pass_mark", "must be above 0: doing nothing would pass"));
        }
        let read = Self {
            workspace: workspace.map(str::to_owned),
            image: image(&section, "image")?,
            local: section.boolean("local")?.unwrap_or(false),
            answer,
            pass_mark,
            reward_key: section.string("reward_key")?.map(str::to_owned),
            tests_expected: section.count("tests_expected")?,
            processes: processes(&section)?,
            nothing_done: section.number("nothing_done")?.unwrap_or(0.0),
            sealed: section.boolean("sealed")?.unwrap_or(false),
            is_swebench,
        };
        if read.local && read.workspace.is_none() {
            let why = "needs a `workspace`: the local sandbox has no image to take files from";
            return Err(section.wrong("local", why));
        }
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

fn processes(section: &Section<'_>) -> Result<Option<u32>, LoadError> {
    let Some(count) = section.count("processes")? else {
        return Ok(None);
    };
    match u32::try_from(count) {
        Ok(count @ 1..=MOST_PROCESSES) => Ok(Some(count)),
        _ => Err(section.wrong("processes", format!("must be 1 to {MOST_PROCESSES}"))),
    }
}

fn answer(
    section: &Section<'_>,
    has_workspace: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<String>>, LoadError> {
    let given = section.strings("answer")?;
    if given.is_none() && !has_workspace {
        return Ok(None);
    }
    let patterns = given.unwrap_or_default();
    for pattern in &patterns {
        if let Some(fault) = glob::fault(pattern) {
            let why = format!("pattern `{}` {fault}", pattern.escape_debug());
            return Err(section.wrong("answer", why));
        }
    }
    if patterns.is_empty() {
        warnings.push(
            "task.toml: `metadata.dgm.answer` is not given: every file that the agent leaves \
             is there when the tests run"
                .to_owned(),
        );
    }
    Ok(Some(patterns.into_iter().map(str::to_owned).collect()))
}
