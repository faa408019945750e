//! Trajectories, one file for each execution (ATIF).

use super::args::Args;
use super::chosen::{choose, write};
use crate::agent::Manifest;
use crate::archive::{Reader, write_files};
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::look;
use crate::cli::place::Place;
use crate::cli::ui::Ui;
use crate::domain::{BlobId, FileTree, TreePath, VariantId};
use crate::lineage::Lineage;
use crate::model::transcript;
use crate::view::export::{self, ExportSubject, Work};
use anyhow::Context as _;

/// Exports one trajectory, or all of a variant.
pub(super) fn run(
    args: &Args,
    ui: Ui,
    place: &Place,
    words: &[String],
    exporter: &Exporter<'_>,
) -> anyhow::Result<Code> {
    let lineage = exporter.lineage;
    let id = look::find(lineage, &words[0])?;
    let work = match words.get(1) {
        Some(_) if args.attempt => {
            return usage("`--attempt` exports no task", "leave out one of the two");
        }
        Some(task) => {
            let list = format!("dgm show {} {}", place.typed, id.0).replace("  ", " ");
            let found = look::find_evaluation(lineage, id, task, args.repeat, &list)?;
            Work::Evaluation(found)
        }
        None if args.attempt || lineage.variant(id).is_none() => {
            Work::Attempt(look::find_attempt(lineage, id)?)
        }
        None => return all(args, ui, exporter, id),
    };
    write(args, ui, exporter.text(work)?.as_bytes())
}

/// Writes everything of a variant into a folder.
fn all(args: &Args, ui: Ui, exporter: &Exporter<'_>, id: VariantId) -> anyhow::Result<Code> {
    let Some(out) = &args.out else {
        return usage(
            "a variant has several trajectories",
            "name a task, or a folder for all of them with `--out`",
        );
    };
    let mut files = FileTree::new();
    // Who names tasks or repeats means evaluations.
    let is_narrowed = args.repeat.is_some() || !args.tasks.is_empty();
    let attempt = exporter.lineage.attempt(id).filter(|_| !is_narrowed);
    let evaluations = if is_narrowed {
        choose(args, exporter.lineage, &[id])?
    } else {
        exporter.lineage.evaluations_of(id).collect()
    };
    let evaluations = evaluations.into_iter().map(Work::Evaluation);
    for work in attempt.map(Work::Attempt).into_iter().chain(evaluations) {
        if exporter.transcript(work).is_none() {
            continue;
        }
        let path = TreePath::new(&file_name(work)).context("a name of a file")?;
        files.insert(path, exporter.text(work)?.as_bytes(), false);
    }
    let count = files.len();
    if count == 0 {
        return usage(
            format!("nothing is recorded of what {id} did"),
            "an agent that never asks its model leaves no trajectory",
        );
    }
    write_files(&files, out, args.force)?;
    ui.status(&format!("wrote {count} files to `{}`", out.display()));
    Ok(Code::Done)
}

/// What trajectories are read from.
pub(super) struct Exporter<'a> {
    pub(super) reader: &'a Reader,
    pub(super) lineage: &'a Lineage,
}

impl Exporter<'_> {
    fn transcript<'a>(&self, work: Work<'a>) -> Option<&'a BlobId> {
        match work {
            Work::Evaluation(evaluation) => evaluation.transcript.as_ref(),
            Work::Attempt(attempt) => attempt.end.as_ref()?.transcript.as_ref(),
        }
    }

    /// Returns the trajectory of some work, which must have one.
    fn text(&self, work: Work<'_>) -> anyhow::Result<String> {
        match self.found(work)? {
            Some(text) => Ok(text),
            None => usage(
                "no model call of it is recorded",
                "only what asked its model has a trajectory",
            ),
        }
    }

    /// Returns the trajectory of some work, if it has one. A parent edits itself: the agent of
    /// an attempt is the parent.
    pub(super) fn found(&self, work: Work<'_>) -> anyhow::Result<Option<String>> {
        let Some(transcript) = self.transcript(work) else {
            return Ok(None);
        };
        let agent = match work {
            Work::Evaluation(evaluation) => evaluation.key.variant,
            Work::Attempt(attempt) => attempt.decision.parent,
        };
        let agent = self.lineage.variant(agent);
        let agent = agent.context("the agent is not in the archive")?;
        let manifest = Manifest::read(&self.reader.files(&agent.commit)?);
        Ok(export::atif(&ExportSubject {
            archive: self.reader.id(),
            lineage: self.lineage,
            work,
            agent,
            agent_name: manifest.as_ref().map_or("unnamed", |found| &found.name),
            transcript,
            trajectory: &transcript::read(&self.reader.blob(transcript)?),
        }))
    }
}

/// Returns the name of a trajectory's file.
fn file_name(work: Work<'_>) -> String {
    match work {
        Work::Attempt(_) => "attempt.json".to_owned(),
        Work::Evaluation(evaluation) => {
            let key = &evaluation.key;
            format!("task-{}-{}.json", escaped(key.task.as_str()), key.repeat)
        }
    }
}

/// Returns a name that every file system takes, and that no other name becomes.
fn escaped(name: &str) -> String {
    let bytes = name.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_of_files_are_harmless_and_differ() {
        assert_eq!(escaped("django__django-1.2"), "django__django-1.2");
        assert_eq!(escaped("a/b"), "a%2Fb");
        assert_eq!(escaped("a%2Fb"), "a%252Fb");
        assert_eq!(escaped("é"), "%C3%A9");
    }
}
