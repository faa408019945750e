//! `[agent]` and `[verifier]`, of a task or of one of its steps.

use super::environment::{Environment, network, variables};
use crate::benchmark::fault::LoadError;
use crate::benchmark::permits::Permits;
use crate::benchmark::reader::Section;
use crate::sandbox::Network;
use std::time::Duration;

/// What `[agent]` says.
#[derive(Debug)]
pub(in crate::benchmark) struct Agent {
    pub timeout: Option<Duration>,
    pub user: Option<String>,
    pub network: Option<Network>,
}

impl Agent {
    /// Reads the table.
    pub(super) fn read(
        section: &Section<'_>,
        permits: &Permits,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let read = Self {
            timeout: section.seconds("timeout_sec")?,
            user: user(section)?,
            network: network(section, permits, warnings)?,
        };
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

/// Where a verifier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::benchmark) enum VerifierMode {
    /// In what the agent left, after every process of it is dead.
    Shared,
    /// In a fresh sandbox that gets the artifacts.
    Separate,
}

/// What `[verifier]` says.
#[derive(Debug)]
pub(in crate::benchmark) struct Verifier {
    pub timeout: Option<Duration>,
    pub env: Vec<(String, String)>,
    pub user: Option<String>,
    pub network: Option<Network>,
    /// As written, or as an environment of its own implies.
    pub mode: Option<VerifierMode>,
    pub environment: Option<Environment>,
    pub collect: Vec<Collect>,
}

/// A command between agent and verifier.
#[derive(Clone, Debug)]
pub(crate) struct Collect {
    pub command: String,
    pub timeout: Duration,
    pub user: Option<String>,
}

impl Verifier {
    /// Reads the table.
    pub(super) fn read(
        section: &Section<'_>,
        permits: &Permits,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let own = section.section("environment")?;
        let mode = match section.string("environment_mode")? {
            Some("shared") if own.is_there() => {
                let why = "`shared` contradicts `[verifier.environment]`; leave one of them out";
                return Err(section.wrong("environment_mode", why));
            }
            Some("shared") => Some(VerifierMode::Shared),
            Some("separate") => Some(VerifierMode::Separate),
            None => own.is_there().then_some(VerifierMode::Separate),
            Some(other) => {
                let why = format!("`{other}` is neither `separate` nor `shared`");
                return Err(section.wrong("environment_mode", why));
            }
        };
        let read = Self {
            timeout: section.seconds("timeout_sec")?,
            env: variables(section, "env", permits, warnings)?,
            user: user(section)?,
            network: network(section, permits, warnings)?,
            mode,
            environment: match own.is_there() {
                true => Some(Environment::read(&own, permits, warnings)?),
                false => None,
            },
            collect: section
                .sections("collect")?
                .iter()
                .map(|section| collect(section, warnings))
                .collect::<Result<_, _>>()?,
        };
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

fn collect(section: &Section<'_>, warnings: &mut Vec<String>) -> Result<Collect, LoadError> {
    if let Some(service) = section.string("service")?
        && service.trim() != "main"
    {
        let todo = "only `main` runs here; do the work there, or run the task with Harbor";
        return Err(section.unsupported("service", format!("the service `{service}`"), todo));
    }
    let Some(command) = section.string("command")? else {
        return Err(section.wrong("command", "is missing; write what is to be run"));
    };
    let read = Collect {
        command: command.to_owned(),
        timeout: section
            .seconds("timeout_sec")?
            .unwrap_or(Duration::from_mins(1)),
        user: user(section)?,
    };
    section.warn_of_unknown(warnings);
    Ok(read)
}

/// Reads a user: a name, or a number.
fn user(section: &Section<'_>) -> Result<Option<String>, LoadError> {
    let Some(value) = section.get("user") else {
        return Ok(None);
    };
    if value.get_ref().is_integer() {
        return Ok(section.count("user")?.map(|number| number.to_string()));
    }
    let Some(name) = section.string("user")? else {
        return Ok(None);
    };
    let good = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c))
        && !name.starts_with(['-', ':']);
    if !good {
        let why = format!("`{}` is not a user's name", name.escape_debug());
        return Err(section.wrong("user", why));
    }
    Ok(Some(name.to_owned()))
}
