//! `[metadata.dgm]`: what `dgm` wants to know beyond Harbor's keys.
//!
//! | key | means | default |
//! | --- | --- | --- |
//! | `workspace` | folder below `environment/` whose files the agent starts with | required |
//! | `image` | image for backends that have images | `environment.docker_image` |
//! | `local` | whether it may run in the local sandbox, without an image | `false` |
//! | `answer` | patterns of the paths that are taken from the agent | all |
//! | `pass_mark` | reward from which on the task counts as resolved | 1.0 |
//! | `tests_expected` | number of tests that must have run | not known |
//! | `nothing_done` | reward that the untouched workspace gets; such a task is left out of scores | 0 |
//! | `sealed` | whether the verifier seals its reward, see [`Task::sealed`] | `false` |
//! | `language`, `mode`, `exercise` | where an imported task comes from | |
//!
//! [`Task::sealed`]: crate::benchmark::Task::sealed

use super::environment::{Environment, image};
use crate::benchmark::fault::LoadError;
use crate::benchmark::glob;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;

/// What `[metadata.dgm]` says.
#[derive(Debug)]
pub(super) struct Own {
    pub workspace: String,
    pub image: Option<String>,
    pub local: bool,
    pub answer: Vec<String>,
    pub pass_mark: f64,
    pub tests_expected: Option<u64>,
    pub nothing_done: f64,
    pub sealed: bool,
}

impl Own {
    /// Reads the table.
    pub(super) fn read(
        root: &Section<'_>,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let section = root.section("metadata")?.section("dgm")?;
        section.knows(&["language", "mode", "exercise"]);
        let Some(workspace) = section.string("workspace")? else {
            return Err(LoadError::Unsupported {
                spot: section.spot("workspace"),
                what: "a task that needs an image of its own".to_owned(),
                todo: "this version runs tasks whose files lie in a folder that \
                   `[metadata.dgm] workspace` names",
            });
        };
        let workspace = workspace.trim_end_matches('/');
        if !workspace.starts_with("environment/") || TreePath::new(workspace).is_err() {
            let why = format!(
                "`{}` is not a folder below `environment/`, where the task's digest covers it",
                workspace.escape_debug()
            );
            return Err(section.wrong("workspace", why));
        }
        let answer = answer(&section, warnings)?;
        let pass_mark = section.number("pass_mark")?.unwrap_or(1.0);
        if pass_mark <= 0.0 {
            return Err(section.wrong("pass_mark", "must be above 0: doing nothing would pass"));
        }
        let read = Self {
            workspace: workspace.to_owned(),
            image: image(&section, "image")?,
            local: section.boolean("local")?.unwrap_or(false),
            answer,
            pass_mark,
            tests_expected: section.count("tests_expected")?,
            nothing_done: section.number("nothing_done")?.unwrap_or(0.0),
            sealed: section.boolean("sealed")?.unwrap_or(false),
        };
        if read.image.is_none() && environment.image.is_none() && !read.local {
            let why = "is missing and `local` is not set: the task could run nowhere; \
                   name an image, or write `local = true`";
            return Err(section.wrong("image", why));
        }
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

fn answer(section: &Section<'_>, warnings: &mut Vec<String>) -> Result<Vec<String>, LoadError> {
    let patterns = section.strings("answer")?.unwrap_or_default();
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
    Ok(patterns.into_iter().map(str::to_owned).collect())
}
