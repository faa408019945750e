//! The grade of one log, as JSON.

use serde::Serialize;
use std::collections::BTreeMap;

/// Tests of one list, by what became of them.
#[derive(Debug, Default, Serialize)]
pub struct Split<'a> {
    /// As they should be.
    pub success: &'a [String],
    /// Not so.
    pub failure: &'a [String],
}

/// The tests that count.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct TestsStatus<'a> {
    /// Those that a solution makes pass.
    pub fail_to_pass: Split<'a>,
    /// Those that it must not break.
    pub pass_to_pass: Split<'a>,
}

/// The grade of one log.
#[derive(Debug, Serialize)]
pub struct Graded<'a> {
    /// Which log.
    pub case: &'a str,
    /// Which instance.
    pub instance_id: &'a str,
    /// Whether the log holds a result.
    pub found: bool,
    /// Whether the instance is resolved.
    pub resolved: bool,
    /// `full`, `partial` or `no`; none without a result.
    pub resolution: Option<&'a str>,
    /// What became of each test.
    pub status_map: BTreeMap<&'a str, &'a str>,
    /// What became of those that count; none without a result.
    pub tests_status: Option<TestsStatus<'a>>,
    /// Why there is no result.
    pub why: Option<&'a str>,
    /// Whether the place was at fault for that; advice only.
    pub infra_failure: bool,
    /// What points to it.
    pub infra_failure_reason: Option<&'a str>,
}

/// Returns the grade as one line of JSON (`dgm.grade/1`).
pub fn line(graded: &Graded<'_>) -> String {
    #[derive(Serialize)]
    struct GradeDocument<'a> {
        schema: &'static str,
        #[serde(flatten)]
        graded: &'a Graded<'a>,
    }
    let document = GradeDocument {
        schema: "dgm.grade/1",
        graded,
    };
    let json = serde_json::to_string(&document)
        .expect("invariant: shapes have string keys and finite numbers");
    // Some readers take these for ends of lines.
    let json = json
        .replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    format!("{json}\n")
}
