//! `dgm export`.

use super::error::usage;
use super::exit::Code;
use super::look;
use super::place::{self, Shape};
use super::ui::Ui;
use crate::agent::Manifest;
use crate::archive::{Reader, write_files};
use crate::domain::{BlobId, FileTree, TreePath, VariantId};
use crate::lineage::Lineage;
use crate::model::transcript;
use crate::sys::durable;
use crate::view::export::{self, Subject, Work};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

const SHAPE: Shape = Shape {
    verb: "export",
    rest: "VARIANT [TASK]",
    least: 1,
    most: 2,
};

/// Write trajectories for other tools
///
/// A trajectory is what an agent did, rebuilt from its model calls: what it was told, what it
/// answered, which tools it called and what they gave, with tokens and cost.
#[derive(clap::Args)]
#[command(
    override_usage = "dgm export [OPTIONS] --format <FORMAT> [DIR] VARIANT [TASK]",
    after_help = "\
Where:
  DIR      folder of the archive; by default the current directory
  VARIANT  a number (`7` or `#7`), `best`, `seed`, or the beginning of a commit id
  TASK     name of a task, or a part of it that no other task has; left out: every evaluation
           of the variant and the attempt that made it

Examples:
  dgm export demo best long-file --format atif          one evaluation, to standard output
  dgm export demo 7 --attempt --format atif --out a.json  how variant 7 was made
  dgm export demo 7 --format atif --out trajectories    everything of variant 7, into a folder"
)]
pub(super) struct Args {
    /// `[DIR] VARIANT [TASK]`; see [`place`]
    #[arg(required = true, num_args = 1..=3, value_name = "[DIR] VARIANT [TASK]", hide = true)]
    words: Vec<String>,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// File to write, or folder where there are several [default: standard output]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// The attempt that made the variant, instead of an evaluation
    #[arg(long)]
    attempt: bool,
    /// Which repeat of the task's evaluation
    #[arg(long, value_name = "K", default_value_t = 0)]
    repeat: u32,
    /// Write over what is there
    #[arg(long)]
    force: bool,
}

/// A format of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Agent Trajectory Interchange Format of Harbor, version 1.8
    Atif,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let (place, words) = place::split(&self.words, &SHAPE)?;
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let exporter = Exporter {
            format: self.format,
            reader: &reader,
            lineage: &lineage,
        };
        let id = look::find(&lineage, &words[0])?;
        let work = match words.get(1) {
            Some(_) if self.attempt => {
                return usage("`--attempt` exports no task", "leave out one of the two");
            }
            Some(task) => {
                let list = format!("dgm show {} {}", place.typed, id.0).replace("  ", " ");
                let found = look::find_evaluation(&lineage, id, task, self.repeat, &list)?;
                Work::Evaluation(found)
            }
            None if self.attempt || lineage.variant(id).is_none() => {
                Work::Attempt(look::find_attempt(&lineage, id)?)
            }
            None => return self.all(ui, &exporter, id),
        };
        let text = exporter.text(work)?;
        match &self.out {
            None => ui.data(text)?,
            Some(out) => self.write(out, &text)?,
        }
        Ok(Code::Done)
    }

    fn write(&self, out: &Path, text: &str) -> anyhow::Result<()> {
        if out.is_dir() {
            return usage(
                format!("`{}` is a folder", out.display()),
                "one trajectory is one file: name that",
            );
        }
        if out.exists() && !self.force {
            return usage(
                format!("`{}` is there already", out.display()),
                "name another file, or write over it with `--force`",
            );
        }
        durable::write(out, text.as_bytes())
            .with_context(|| format!("could not write `{}`", out.display()))
    }

    /// Writes everything of a variant into a folder.
    fn all(&self, ui: Ui, exporter: &Exporter<'_>, id: VariantId) -> anyhow::Result<Code> {
        let Some(out) = &self.out else {
            return usage(
                "a variant has several trajectories",
                "name a task, or a folder for all of them with `--out`",
            );
        };
        let mut files = FileTree::new();
        let attempt = exporter.lineage.attempt(id).map(Work::Attempt);
        let evaluations = exporter.lineage.evaluations_of(id).map(Work::Evaluation);
        for work in attempt.into_iter().chain(evaluations) {
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
        write_files(&files, out, self.force)?;
        ui.status(&format!("wrote {count} files to `{}`", out.display()));
        Ok(Code::Done)
    }
}

struct Exporter<'a> {
    format: Format,
    reader: &'a Reader,
    lineage: &'a Lineage,
}

impl Exporter<'_> {
    fn transcript<'a>(&self, work: Work<'a>) -> Option<&'a BlobId> {
        match work {
            Work::Evaluation(evaluation) => evaluation.transcript.as_ref(),
            Work::Attempt(attempt) => attempt.end.as_ref()?.transcript.as_ref(),
        }
    }

    /// A parent edits itself: the agent of an attempt is the parent.
    fn text(&self, work: Work<'_>) -> anyhow::Result<String> {
        let nothing = || {
            usage(
                "no model call of it is recorded",
                "only what asked its model has a trajectory",
            )
        };
        let Some(transcript) = self.transcript(work) else {
            return nothing();
        };
        let agent = match work {
            Work::Evaluation(evaluation) => evaluation.key.variant,
            Work::Attempt(attempt) => attempt.decision.parent,
        };
        let agent = self.lineage.variant(agent);
        let agent = agent.context("the agent is not in the archive")?;
        let manifest = Manifest::read(&self.reader.files(&agent.commit)?);
        let subject = Subject {
            archive: self.reader.id(),
            lineage: self.lineage,
            work,
            agent,
            agent_name: manifest.as_ref().map_or("unnamed", |found| &found.name),
            transcript,
            trajectory: &transcript::read(&self.reader.blob(transcript)?),
        };
        let text = match self.format {
            Format::Atif => export::atif(&subject),
        };
        text.map_or_else(nothing, Ok)
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
