//! Writing down: the evidence for the diagnosing model, the instruction for the agent.

use super::{Evidence, HiddenFiles, Material, Run};
use crate::domain::{Entry, FileTree, Pattern, Proposal};
use crate::model::{clip, transcript};
use std::fmt::Write as _;

/// What the diagnosing model is told about its job.
pub(super) const SYSTEM: &str = include_str!("prompts/system.md");

/// What an agent that changes itself must know about the contract it has to keep.
pub const CONVENTIONS: &str = include_str!("prompts/conventions.md");

const AGAIN: &str = include_str!("prompts/again.md");

/// Characters that the sections may take.
mod budget {
    pub(super) const INSTRUCTION: usize = 20_000;
    pub(super) const PATCH: usize = 30_000;
    pub(super) const TEST_NAME: usize = 200;
    pub(super) const TESTS: usize = 200;
    pub(super) const HIDDEN_TESTS: usize = 60_000;
    pub(super) const TEST_OUTPUT: usize = 40_000;
    pub(super) const SOLUTION: usize = 30_000;
    pub(super) const AGENT_LOG: usize = 40_000;
    pub(super) const TRAJECTORY: usize = 60_000;
    pub(super) const RUNS: usize = 24;
    pub(super) const RUN_PART: usize = 2000;
    pub(super) const EARLIER: usize = 40;
    pub(super) const SOURCE: usize = 100_000;
    pub(super) const FILE: usize = 30_000;
}

/// Returns the evidence as Markdown, one section per kind.
pub(super) fn evidence(evidence: &Evidence) -> String {
    let mut text = String::new();
    section(&mut text, "Entry", &entry(&evidence.entry));
    match &evidence.material {
        Material::Run(run) => one_run(&mut text, run),
        Material::Runs(runs) => section(&mut text, "Runs", &short_runs(runs)),
    }
    if !evidence.earlier.is_empty() {
        section(&mut text, "Earlier attempts", &earlier(&evidence.earlier));
    }
    let source = files(&evidence.source, budget::SOURCE);
    section(&mut text, "Agent source", &source);
    text
}

/// Returns the message that asks again after an unusable answer.
pub(super) fn again(why: &str) -> String {
    AGAIN.replace("{why}", why)
}

/// Returns the instruction for the agent that is to change its own source: what it must keep,
/// how to go about it, what the problem is.
pub fn instruction(proposal: &Proposal, conventions: &str) -> String {
    format!(
        "{}\n\n# Problem\n\n{}\n\n# Suggested implementation\n\n{}\n",
        conventions.trim_end(),
        proposal.problem_description.trim(),
        proposal.implementation_suggestion.trim(),
    )
}

fn section(text: &mut String, title: &str, body: &str) {
    let body = body.trim_end();
    let body = if body.is_empty() { "(none)" } else { body };
    let _infallible = write!(text, "# {title}\n\n{body}\n\n");
}

fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Task(task) => format!("task `{task}`: one run of the agent on this task"),
        Entry::Pattern(pattern) => format!("pattern `{}`: {}", pattern.name(), meaning(*pattern)),
    }
}

fn meaning(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::EmptyPatches => {
            "many runs of the agent end without any change to the workspace; \
             how can the agent make sure that it leaves an answer?"
        }
        Pattern::Stochasticity => {
            "a model's answers vary from run to run, and so do the agent's results; \
             how can the agent become more reliable, for example by checking its answer \
             or by making several and choosing?"
        }
        Pattern::ContextLength => {
            "the agent ran out of the model's context and did not handle it; \
             how can the agent keep its conversation within bounds?"
        }
    }
}

fn one_run(text: &mut String, run: &Run) {
    let asked = clip(&run.instruction, budget::INSTRUCTION);
    section(text, "Task instruction", &fenced("markdown", &asked));
    section(text, "Outcome", &outcome(run));
    section(text, "Patch", &optional("diff", &run.patch, budget::PATCH));
    section(text, "Test results", &tests(run));
    if let Some(hidden) = &run.hidden {
        hidden_files(text, hidden);
    }
    let log = optional("text", &run.agent_log, budget::AGENT_LOG);
    section(text, "Agent log", &log);
    let calls = transcript::render(&run.transcript, budget::TRAJECTORY);
    section(text, "Trajectory", &optional("text", &calls, usize::MAX));
}

/// Adds what no agent sees. The titles say so, as what is proposed must not carry it over.
fn hidden_files(text: &mut String, hidden: &HiddenFiles) {
    let tests = files(&hidden.tests, budget::HIDDEN_TESTS);
    section(text, "Hidden tests (no agent sees them)", &tests);
    let output = optional("text", &hidden.test_output, budget::TEST_OUTPUT);
    section(text, "Test output (no agent sees it)", &output);
    if let Some(solution) = &hidden.solution {
        let solution = files(solution, budget::SOLUTION);
        section(text, "Reference solution (no agent sees it)", &solution);
    }
}

fn short_runs(runs: &[Run]) -> String {
    let mut text = String::new();
    for (number, run) in (1..).zip(runs.iter().take(budget::RUNS)) {
        let calls = transcript::render(&run.transcript, budget::RUN_PART);
        let _infallible = write!(
            text,
            "## Run {number}: `{}`\n\n{}\n\nInstruction:\n{}\n\nPatch:\n{}\n\nTrajectory:\n{}\n\n",
            run.task,
            outcome(run),
            optional("markdown", &run.instruction, budget::RUN_PART),
            optional("diff", &run.patch, budget::RUN_PART),
            optional("text", &calls, usize::MAX),
        );
    }
    if runs.len() > budget::RUNS {
        let _infallible = write!(text, "[… {} runs cut …]", runs.len() - budget::RUNS);
    }
    text
}

fn outcome(run: &Run) -> String {
    // On one line: a verifier's words could look like a section of ours.
    match clip(&run.detail.replace(['\n', '\r'], " "), 1000).trim() {
        "" => run.outcome.to_string(),
        detail => format!("{}: {detail}", run.outcome),
    }
}

fn tests(run: &Run) -> String {
    let mut text = String::new();
    for test in run.tests.iter().take(budget::TESTS) {
        let verdict = if test.passed { "passed" } else { "failed" };
        let name = clip(&test.name, budget::TEST_NAME).replace('\n', " ");
        let _infallible = writeln!(text, "- {verdict}: {name}");
    }
    if run.tests.len() > budget::TESTS {
        let _infallible = writeln!(text, "[… {} tests cut …]", run.tests.len() - budget::TESTS);
    }
    if text.is_empty() {
        return "The verifier names no single tests; the outcome is all that is known.".to_owned();
    }
    text
}

fn earlier(titles: &[String]) -> String {
    let newest = titles.len().saturating_sub(budget::EARLIER);
    let mut text = String::new();
    if newest > 0 {
        let _infallible = writeln!(text, "[… {newest} older attempts cut …]");
    }
    for title in &titles[newest..] {
        let _infallible = writeln!(text, "- {}", clip(title, 300).replace('\n', " "));
    }
    text
}

fn files(files: &FileTree, max_chars: usize) -> String {
    let mut text = String::new();
    let mut left = max_chars;
    let mut omitted = 0;
    for (path, file) in files.iter() {
        let Ok(content) = std::str::from_utf8(&file.bytes) else {
            let _infallible = write!(
                text,
                "## {path}\n\n({} bytes, no text)\n\n",
                file.bytes.len()
            );
            continue;
        };
        let content = clip(content, budget::FILE.min(left));
        left = left.saturating_sub(content.chars().count());
        if left == 0 {
            omitted += 1;
            continue;
        }
        let _infallible = write!(
            text,
            "## {path}\n\n{}\n\n",
            fenced(language(path.as_str()), &content)
        );
    }
    if omitted > 0 {
        let _infallible = write!(text, "[… {omitted} files cut …]");
    }
    text
}

fn language(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("py") => "python",
        Some("rs") => "rust",
        Some("sh") => "sh",
        Some("toml") => "toml",
        Some("md") => "markdown",
        Some("js" | "ts") => "javascript",
        Some(_) | None => "text",
    }
}

/// Returns the text between fences, or nothing where there is none.
fn optional(language: &str, text: &str, max_chars: usize) -> String {
    if text.trim().is_empty() {
        return "(none)".to_owned();
    }
    fenced(language, &clip(text, max_chars))
}

/// Returns the text between fences that are longer than any within it, so that nothing in it
/// can end the block and pose as another section.
fn fenced(language: &str, text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!(
        "{fence}{language}\n{}\n{fence}",
        text.trim_end_matches('\n')
    )
}
