//! `dgm show`.

use super::error::usage;
use super::exit::Code;
use super::look;
use super::place::{self, Place, Shape};
use super::ui::Ui;
use crate::archive::Reader;
use crate::domain::{Attempt, BlobId, Evaluation, VariantId};
use crate::lineage::Lineage;
use crate::model::transcript;
use crate::propose::render_exchange;
use crate::view::patch;
use crate::view::show::{self, FileChange, Kept, Stored, Subject};

const SHAPE: Shape = Shape {
    verb: "show",
    rest: "VARIANT [TASK]",
    least: 1,
    most: 2,
};

/// Name of the record of model calls: lines of JSON, told to people as what the agent did.
const TRAJECTORY: &str = "trajectory";
/// Name of the stored exchange with the diagnosing model.
const DIAGNOSIS: &str = "diagnosis";

/// Explain a variant, an attempt or an evaluation
///
/// A variant: where it came from and why, what it changed, its score with 95 % intervals, every
/// evaluation, its children, what it cost. The number of an attempt that made no child shows
/// why. With a task: the agent's log, the verifier's log, the patch and the model calls.
#[derive(clap::Args)]
#[command(
    override_usage = "dgm show [OPTIONS] [DIR] VARIANT [TASK]",
    after_help = "\
Where:
  DIR      folder of the archive; by default the current directory
  VARIANT  a number (`7` or `#7`), `best`, `seed`, or the beginning of a commit id
  TASK     name of a task, or a part of it that no other task has

Examples:
  dgm show demo best
  dgm show demo best long-file --full
  dgm show demo 7 --attempt       how variant 7 was made: log, gates, model calls
  cd demo && dgm show 7 --json | jq '.evaluations[] | {task, outcome}'"
)]
pub(super) struct Args {
    /// `[DIR] VARIANT [TASK]`; see [`place`]
    #[arg(required = true, num_args = 1..=3, value_name = "[DIR] VARIANT [TASK]", hide = true)]
    words: Vec<String>,
    /// Show how the variant was made: log, gates, patch and model calls of its attempt
    #[arg(long)]
    attempt: bool,
    /// Which repeat of the task's evaluation [default: the first one recorded]
    #[arg(long, value_name = "K")]
    repeat: Option<u32>,
    /// Show long texts whole
    #[arg(long)]
    full: bool,
    /// Print JSON (`dgm.show/1`)
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let (place, words) = place::split(&self.words, &SHAPE)?;
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let look = ShownPart {
            args: &self,
            ui,
            place: &place,
            reader: &reader,
            lineage: &lineage,
        };
        let id = look::find(&lineage, &words[0])?;
        let out = match words.get(1) {
            Some(_) if self.attempt => {
                return usage("`--attempt` shows no task", "leave out one of the two");
            }
            Some(task) => look.evaluation(id, task)?,
            None if self.attempt || lineage.variant(id).is_none() => look.attempt(id)?,
            None => look.variant(id)?,
        };
        ui.data(out)?;
        Ok(Code::Done)
    }
}

struct ShownPart<'a> {
    args: &'a Args,
    ui: Ui,
    place: &'a Place,
    reader: &'a Reader,
    lineage: &'a Lineage,
}

impl ShownPart<'_> {
    fn subject(&self, id: VariantId) -> Subject<'_> {
        Subject {
            lineage: self.lineage,
            id,
            dir: &self.place.typed,
            full: self.args.full,
        }
    }

    fn variant(&self, id: VariantId) -> anyhow::Result<String> {
        let change = self.change(id)?;
        let subject = self.subject(id);
        let shown = if self.args.json {
            show::variant_json(subject, &change)
        } else {
            show::variant_text(subject, &change, self.ui.data_style())
        };
        shown.map_or_else(|| usage(format!("no variant {id}"), "see `dgm tree`"), Ok)
    }

    /// The seed has no parent: it has no change either.
    fn change(&self, id: VariantId) -> anyhow::Result<Vec<FileChange>> {
        let variant = self.lineage.variant(id);
        let parent = variant.and_then(|variant| self.lineage.variant(variant.parent?));
        match (variant, parent) {
            (Some(variant), Some(parent)) => {
                let diff = self.reader.diff(Some(&parent.commit), &variant.commit)?;
                Ok(patch::changes(&diff))
            }
            (_, _) => Ok(Vec::new()),
        }
    }

    fn attempt(&self, id: VariantId) -> anyhow::Result<String> {
        let attempt = look::find_attempt(self.lineage, id)?;
        let kept = self.kept(&attempt_blobs(attempt));
        let subject = self.subject(id);
        let shown = if self.args.json {
            show::attempt_json(subject, &kept)
        } else {
            show::attempt_text(subject, &kept, self.ui.data_style())
        };
        shown.map_or_else(|| usage(format!("no attempt {id}"), "see `dgm tree`"), Ok)
    }

    fn evaluation(&self, id: VariantId, task: &str) -> anyhow::Result<String> {
        let dir = &self.place.typed;
        let list = format!("dgm show {dir} {}", id.0).replace("  ", " ");
        let evaluation = look::find_evaluation(self.lineage, id, task, self.args.repeat, &list)?;
        let kept = self.kept(&evaluation_blobs(evaluation));
        let subject = self.subject(id);
        Ok(if self.args.json {
            show::evaluation_json(subject, evaluation, &kept)
        } else {
            show::evaluation_text(subject, evaluation, &kept, self.ui.data_style())
        })
    }

    /// Reads what is kept. A blob that cannot be read takes only its own text away.
    fn kept(&self, blobs: &[(&'static str, Option<&BlobId>)]) -> Kept {
        let mut kept = Kept::default();
        for (name, blob) in blobs {
            let Some(blob) = blob else { continue };
            let text = match self.reader.blob(blob) {
                Ok(bytes) if *name == TRAJECTORY => {
                    kept.trajectory = Some(transcript::read(&bytes));
                    let lines = || String::from_utf8_lossy(&bytes).into_owned();
                    self.args.json.then(lines)
                }
                Ok(bytes) if *name == DIAGNOSIS && !self.args.json => Some(render_exchange(&bytes)),
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) => {
                    self.ui.warn(&format!("could not read the {name}: {error}"));
                    None
                }
            };
            kept.stored.push(Stored {
                name,
                blob: (*blob).clone(),
                text,
            });
        }
        kept
    }
}

fn attempt_blobs(attempt: &Attempt) -> [(&'static str, Option<&BlobId>); 5] {
    let end = attempt.end.as_ref();
    let log = end.and_then(|end| end.log.as_ref());
    // Without a proposal no agent got to work: what is kept is what the diagnosis said.
    let (diagnosis, log) = match &attempt.proposal {
        Some((_, exchange)) => (Some(exchange), log),
        None => (log, None),
    };
    [
        (DIAGNOSIS, diagnosis),
        ("patch", end.and_then(|end| end.patch.as_ref())),
        (TRAJECTORY, end.and_then(|end| end.transcript.as_ref())),
        ("agent log", log),
        ("gate log", end.and_then(|end| end.gate_log.as_ref())),
    ]
}

fn evaluation_blobs(evaluation: &Evaluation) -> [(&'static str, Option<&BlobId>); 4] {
    [
        ("patch", evaluation.patch.as_ref()),
        (TRAJECTORY, evaluation.transcript.as_ref()),
        ("agent log", evaluation.agent_log.as_ref()),
        ("verifier log", evaluation.verifier_log.as_ref()),
    ]
}
