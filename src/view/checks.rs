//! Findings about this machine or an archive, each with what to do: `doctor` and `fsck`.

use super::json;
use super::line;
use super::models::{self, Asked};
use super::style::{Ink, Style};
use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In order.
    Ok,
    /// Works, but something is worth doing.
    Warn,
    /// Not there, or broken.
    Missing,
}

impl State {
    /// Returns the name used in JSON and terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Missing => "missing",
        }
    }

    fn ink(self) -> Ink {
        match self {
            Self::Ok => Ink::Good,
            Self::Warn => Ink::Warn,
            Self::Missing => Ink::Bad,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Check {
    /// Returns a finding that needs nothing done.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// Returns a finding that works, but could be better.
    pub fn warn(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            state: State::Warn,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// Returns a finding that something is not there.
    pub fn missing(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Missing,
            ..Self::warn(name, found, advice)
        }
    }
}

/// Returns the findings as lines, advice below its finding, and the conclusion.
pub fn text(checks: &[Check], conclusion: &str, style: Style) -> String {
    let widest = checks
        .iter()
        .map(|check| line::columns(&check.name))
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let state = style.paint(check.state.ink(), &line::pad(check.state.name(), 7));
        let name = line::pad(&line::clean(&check.name), widest);
        let indent = " ".repeat(widest + 11);
        let found = line::wrap(&line::clean(&check.found), style.width, &indent);
        out.push_str(&[&state, "  ", &name, "  ", found.trim_start()].concat());
        if let Some(advice) = &check.advice {
            let advice = format!("{} {}", style.glyphs().arrow, line::clean(advice));
            for line in line::wrap(&advice, style.width, &indent).lines() {
                out.push_str(&style.paint(Ink::Warn, line));
                out.push('\n');
            }
        }
    }
    out.push('\n');
    out.push_str(conclusion);
    out.push('\n');
    out
}

#[derive(Serialize)]
struct DoctorShape<'a> {
    schema: &'static str,
    usable: bool,
    checks: Vec<CheckShape<'a>>,
    conclusion: &'a str,
    /// What each role's model said; null: they were not asked.
    models: Option<Vec<models::Shape<'a>>>,
}

#[derive(Serialize)]
struct CheckShape<'a> {
    name: &'a str,
    state: &'static str,
    found: &'a str,
    advice: Option<&'a str>,
}

/// Returns the findings about a machine as `dgm.doctor/1`; `usable`: some sandbox works;
/// `asked`: the models, where they were asked.
pub fn doctor_json(
    checks: &[Check],
    usable: bool,
    conclusion: &str,
    asked: Option<&[Asked]>,
) -> String {
    json::text(&DoctorShape {
        schema: "dgm.doctor/1",
        usable,
        checks: shapes(checks),
        conclusion,
        models: asked.map(models::shapes),
    })
}

#[derive(Serialize)]
struct FsckShape<'a> {
    schema: &'static str,
    clean: bool,
    repaired: usize,
    findings: Vec<CheckShape<'a>>,
    conclusion: &'a str,
}

/// Returns the findings about an archive as `dgm.fsck/1`.
pub fn fsck_json(findings: &[Check], clean: bool, repaired: usize, conclusion: &str) -> String {
    json::text(&FsckShape {
        schema: "dgm.fsck/1",
        clean,
        repaired,
        findings: shapes(findings),
        conclusion,
    })
}

fn shapes(checks: &[Check]) -> Vec<CheckShape<'_>> {
    checks
        .iter()
        .map(|check| CheckShape {
            name: &check.name,
            state: check.state.name(),
            found: &check.found,
            advice: check.advice.as_deref(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Check, Style, text};

    #[test]
    fn advice_stands_below_its_finding() {
        let checks = [
            Check::ok("git", "2.39"),
            Check::missing("bubblewrap", "not found", "run `apt install bubblewrap`"),
        ];
        assert_eq!(
            text(&checks, "nothing works", Style::plain(60)),
            "ok       git         2.39\n\
             missing  bubblewrap  not found\n\
             \u{20}                    → run `apt install bubblewrap`\n\
             \nnothing works\n"
        );
    }
}
