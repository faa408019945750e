//! `dgm bench grade`.

use crate::benchmark::swebench::{Grade, GradeFacts, Log, Split, Tier, facts, grade};
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::sys::parallel;
use crate::view::grade as view;
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of a case's files.
const ROWS: [&str; 2] = ["expected.json", "row.json"];
const LOG: &str = "test_output.txt";
/// Cases that are graded before their lines are printed.
const AT_ONCE: usize = 256;

/// Grade test logs of SWE-bench, without running anything
///
/// Prints one line of JSON (`dgm.grade/1`) for each log. A folder holds one folder for each
/// case, with `test_output.txt` and the row as `expected.json` or `row.json`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench grade --row row.json --log logs/test_output.txt
  dgm bench grade swebench-parity | jq -r 'select(.resolved) | .case'")]
pub(super) struct Args {
    /// Folder of cases
    #[arg(conflicts_with_all = ["row", "log"], required_unless_present_all = ["row", "log"])]
    folder: Option<PathBuf>,
    /// The row: a JSON object with `log_parser`, `eval_type` and both lists of tests
    #[arg(long, value_name = "JSON", requires = "log")]
    row: Option<PathBuf>,
    /// What the tests printed
    #[arg(long, value_name = "FILE", requires = "row")]
    log: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match (self.folder, self.row, self.log) {
            (Some(folder), _, _) => all(&folder, &ui),
            (None, Some(row), Some(log)) => {
                ui.data(one(&name_of(&log), &row, &log)?)?;
                Ok(Code::Done)
            }
            (None, _, _) => usage(
                "nothing to grade is named".to_owned(),
                "give a folder of cases, or `--row` and `--log`".to_owned(),
            ),
        }
    }
}

/// Grades every case; one that cannot be read hides no other.
fn all(folder: &Path, ui: &Ui) -> anyhow::Result<Code> {
    let mut cases = Vec::new();
    let reading = || format!("could not read `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_dir() {
            cases.push(path);
        }
    }
    if cases.is_empty() {
        bail!("`{}` holds no folder with a case", folder.display());
    }
    cases.sort();
    let mut code = Code::Done;
    // A part at a time, so that the first lines come soon and few are kept.
    for cases in cases.chunks(AT_ONCE) {
        let graded = parallel::map(cases, |case| {
            let row = ROWS.map(|name| case.join(name));
            let row = row.iter().find(|row| row.exists()).unwrap_or(&row[0]);
            one(&file_name(case), row, &case.join(LOG))
        });
        for (case, graded) in cases.iter().zip(graded) {
            match graded {
                Ok(line) => ui.data(line)?,
                Err(error) => {
                    ui.warn(&format!("{}: {error:#}", file_name(case)));
                    code = Code::Failed;
                }
            }
        }
    }
    Ok(code)
}

fn one(case: &str, row: &Path, log: &Path) -> anyhow::Result<String> {
    let read = |path: &Path| {
        fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
    };
    let text = read(row)?;
    let value =
        serde_json::from_slice(&text).with_context(|| format!("`{}` is no JSON", row.display()))?;
    let facts = facts(&value).with_context(|| format!("could not use `{}`", row.display()))?;
    let bytes = read(log)?;
    let log = Log::read(&bytes);
    Ok(line(case, &facts, &grade(&facts, &log)))
}

/// Returns the name of the folder that a log lies in.
fn name_of(log: &Path) -> String {
    let log = fs::canonicalize(log).unwrap_or_else(|_| log.to_owned());
    log.parent().map(file_name).unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn line(case: &str, facts: &GradeFacts, grade: &Grade<'_>) -> String {
    let mut graded = view::Graded {
        case,
        instance_id: &facts.instance_id,
        found: false,
        resolved: grade.resolved(),
        resolution: None,
        status_map: std::collections::BTreeMap::new(),
        tests_status: None,
        why: None,
        infra_failure: false,
        infra_failure_reason: None,
    };
    match grade {
        Grade::Found {
            statuses,
            tests,
            resolution,
        } => {
            graded.found = true;
            graded.resolution = Some(resolution.name());
            graded.status_map = statuses.iter().collect();
            graded.tests_status = Some(view::TestsStatus {
                fail_to_pass: split(&tests.fail_to_pass),
                pass_to_pass: split(&tests.pass_to_pass),
            });
        }
        Grade::NotFound { why, infra } => {
            graded.why = Some(why);
            if let Some(infra) = infra {
                graded.infra_failure = infra.tier == Tier::Environment;
                graded.infra_failure_reason = Some(infra.reason);
            }
        }
    }
    view::line(&graded)
}

fn split(split: &Split) -> view::Split<'_> {
    view::Split {
        success: &split.success,
        failure: &split.failure,
    }
}
