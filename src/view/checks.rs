//! Findings about this machine or an archive, each with what to do: `doctor` and `fsck`.

use super::check::Check;
use super::json;
use super::line;
use super::models::{self, AskedModel};
use super::style::{Ink, Style};
use serde::Serialize;

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
    models: Option<Vec<models::ModelsShape<'a>>>,
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
    asked: Option<&[AskedModel]>,
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
