//! `[[steps]]`: a task of several steps, each with an instruction and a verifier.

use super::artifact::{self, Artifact};
use super::environment::health;
use super::phase::{Agent, Verifier};
use crate::benchmark::fault::LoadError;
use crate::benchmark::permits::Permits;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;
use crate::sandbox::Health;
use std::collections::BTreeSet;
use toml::de::DeValue;

/// How the steps' rewards become the task's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The mean of each key over the steps that ran; a missing key counts as 0.
    #[default]
    Mean,
    /// What the last step that ran gave.
    Final,
}

impl Strategy {
    /// Reads the key.
    pub(super) fn read(
        root: &Section<'_>,
        steps: &[Step],
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        const KEY: &str = "multi_step_reward_strategy";
        let strategy = match root.string(KEY)? {
            None => return Ok(Self::default()),
            Some("mean") => Self::Mean,
            Some("final") => Self::Final,
            Some(other) => {
                let why = format!("`{other}` is neither `mean` nor `final`");
                return Err(root.wrong(KEY, why));
            }
        };
        if steps.is_empty() {
            let spot = root.spot(KEY);
            warnings.push(format!(
                "{spot}: says nothing in a task without `[[steps]]`"
            ));
        }
        Ok(strategy)
    }
}

/// One step.
#[derive(Debug)]
pub(in crate::benchmark) struct Step {
    pub name: String,
    pub agent: Agent,
    pub verifier: Verifier,
    pub health: Option<Health>,
    pub artifacts: Vec<Artifact>,
    /// Rewards below which the remaining steps are not run.
    pub min_reward: Vec<(String, f64)>,
}

/// Reads all steps.
pub(super) fn list(
    root: &Section<'_>,
    permits: &Permits,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>, LoadError> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for section in root.sections("steps")? {
        let name = name(&section)?;
        if !seen.insert(name.to_lowercase()) {
            let why = format!("`{name}` is the name of another step, letter case apart");
            return Err(section.wrong("name", why));
        }
        steps.push(Step {
            name,
            agent: Agent::read(&section.section("agent")?, permits, warnings)?,
            verifier: Verifier::read(&section.section("verifier")?, permits, warnings)?,
            health: health(&section, warnings)?,
            artifacts: artifact::list(&section, warnings)?,
            min_reward: min_reward(&section)?,
        });
        section.warn_of_unknown(warnings);
    }
    Ok(steps)
}

/// A step's name is that of its folder, on every system.
fn name(section: &Section<'_>) -> Result<String, LoadError> {
    let Some(name) = section.string("name")? else {
        return Err(section.wrong(
            "name",
            "is missing; write the name of the folder in `steps/`",
        ));
    };
    let stem = name.split('.').next().unwrap_or("").trim_end();
    let device = ["CON", "PRN", "AUX", "NUL"]
        .iter()
        .any(|device| device.eq_ignore_ascii_case(stem));
    let good = TreePath::new(name).is_ok()
        && name.len() <= 255
        && !name.trim().is_empty()
        && !name.ends_with(['.', ' '])
        && !name.contains(['<', '>', ':', '"', '/', '\\', '|', '?', '*'])
        && !name.contains(|c: char| c.is_control())
        && !device;
    if good {
        return Ok(name.to_owned());
    }
    let why = format!("`{}` is not the name of a folder", name.escape_debug());
    Err(section.wrong("name", why))
}

fn min_reward(section: &Section<'_>) -> Result<Vec<(String, f64)>, LoadError> {
    let Some(value) = section.get("min_reward") else {
        return Ok(Vec::new());
    };
    if matches!(value.get_ref(), DeValue::Table(_)) {
        return section.section("min_reward")?.numbers();
    }
    let number = section.number("min_reward")?;
    Ok(number
        .map(|number| ("reward".to_owned(), number))
        .into_iter()
        .collect())
}
