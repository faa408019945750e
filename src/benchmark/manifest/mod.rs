//! `task.toml`: what a task asks for, and a clear word about what it cannot have.
//!
//! Read leniently, as Harbor reads it (schema 1.0 to 1.4; unknown keys are warnings). What
//! this version does not run is refused by name: a task that runs otherwise than its author
//! meant gives numbers that mean nothing.

mod artifact;
mod environment;
mod own;
mod phase;
mod step;

use super::fault::LoadError;
use super::permits::Permits;
use super::reader::{Section, Source};
pub(super) use artifact::Artifact;
use environment::variables;
pub(super) use environment::{Environment, OPENED};
use own::Own;
pub(super) use phase::{Agent, Collect, Verifier, VerifierMode};
pub(super) use step::Step;
pub(crate) use step::Strategy;

/// The content of a `task.toml`.
#[derive(Debug)]
pub(super) struct Manifest {
    pub name: Option<String>,
    pub own: Own,
    pub environment: Environment,
    pub agent: Agent,
    pub verifier: Verifier,
    pub solution_env: Vec<(String, String)>,
    pub artifacts: Vec<Artifact>,
    pub steps: Vec<Step>,
    pub strategy: Strategy,
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Reads the text of a `task.toml`.
    pub(super) fn read(text: &str, permits: &Permits) -> Result<Self, LoadError> {
        let source = Source {
            file: "task.toml",
            text,
        };
        let document = source.parse()?;
        let root = Section::root(source, &document);
        let mut warnings = Vec::new();
        schema(&root, &mut warnings)?;
        let name = task_name(&root, &mut warnings)?;
        let own = Own::read(&root, &mut warnings)?;
        let environment = root.section("environment")?;
        let environment = Environment::read(&environment, permits, &mut warnings)?;
        let agent = Agent::read(&root.section("agent")?, permits, &mut warnings)?;
        let verifier = Verifier::read(&root.section("verifier")?, permits, &mut warnings)?;
        let solution = root.section("solution")?;
        let solution_env = variables(&solution, "env", permits, &mut warnings)?;
        solution.warn_of_unknown(&mut warnings);
        let artifacts = artifact::list(&root, &mut warnings)?;
        let steps = step::list(&root, permits, &mut warnings)?;
        let strategy = Strategy::read(&root, &steps, &mut warnings)?;
        misplaced(&root, &mut warnings)?;
        root.warn_of_unknown(&mut warnings);
        let read = Self {
            name,
            own,
            environment,
            agent,
            verifier,
            solution_env,
            artifacts,
            steps,
            strategy,
            warnings,
        };
        read.check_kind(&root)?;
        Ok(read)
    }

    /// Refuses what a task whose files come with it, or whose answer is a folder's change,
    /// cannot have.
    fn check_kind(&self, root: &Section<'_>) -> Result<(), LoadError> {
        let is_sealed = self.own.workspace.is_some();
        if !is_sealed && self.own.answer.is_none() {
            return Ok(());
        }
        let agent = root.section("agent")?;
        let verifier = root.section("verifier")?;
        let environment = root.section("environment")?;
        if verifier.string("environment_mode")? == Some("shared") {
            let todo = "write `separate`: the answer's files are graded in a fresh sandbox";
            return Err(verifier.unsupported("environment_mode", "`shared`", todo));
        }
        let todo = "leave it out, or leave `workspace` and `answer` out of `[metadata.dgm]`";
        for (section, key, what) in [
            (root, "steps", "a task of several steps"),
            (
                &verifier,
                "environment",
                "a verifier with an environment of its own",
            ),
            (&verifier, "collect", "commands between agent and verifier"),
        ] {
            if section.has_content(key) {
                return Err(section.unsupported(key, what, todo));
            }
        }
        let workdir = self.environment.workdir.as_deref().unwrap_or("/app");
        artifact::all_inside(&self.artifacts, workdir, root)?;
        if !is_sealed {
            return Ok(());
        }
        for section in [&agent, &verifier] {
            if section.has_content("user") {
                let todo = "leave it out: a sandbox has one user without rights";
                return Err(section.unsupported("user", "a user of its own", todo));
            }
        }
        if environment.has_content("healthcheck") {
            let todo = "leave it out: a sandbox without an image of its own has no services";
            return Err(environment.unsupported("healthcheck", "a service", todo));
        }
        for section in [&environment, &agent, &verifier] {
            section.refuse_network("a task that comes with its workspace has none")?;
        }
        Ok(())
    }
}

fn schema(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<(), LoadError> {
    root.knows(&["source"]);
    for key in ["schema_version", "version"] {
        if let Some(version) = root.string(key)?
            && !["1.0", "1.1", "1.2", "1.3", "1.4"].contains(&version)
        {
            let spot = root.spot(key);
            warnings.push(format!(
                "{spot}: schema `{version}` is newer than 1.4, read as 1.4"
            ));
        }
    }
    Ok(())
}

fn task_name(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<Option<String>, LoadError> {
    let task = root.section("task")?;
    task.knows(&["version", "description", "authors", "keywords"]);
    let name = task.string("name")?;
    task.warn_of_unknown(warnings);
    if let Some(name) = name {
        if !is_full_name(name) {
            let why = format!("`{name}` is not of the form `organization/name`");
            return Err(task.wrong("name", why));
        }
    } else if task.is_there() {
        return Err(task.wrong("name", "is missing; write `name = \"organization/name\"`"));
    }
    Ok(name.map(str::to_owned))
}

/// Returns whether a text is `org/name` as Harbor wants it.
pub(super) fn is_full_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    !name.contains("..")
        && name
            .split_once('/')
            .is_some_and(|(org, name)| part(org) && part(name))
}

/// The commonest mistake: a key of the whole task below a table.
fn misplaced(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<(), LoadError> {
    for (name, section) in [
        ("environment", root.section("environment")?),
        ("verifier", root.section("verifier")?),
        ("agent", root.section("agent")?),
    ] {
        if section.get("artifacts").is_some() {
            warnings.push(format!(
                "task.toml: `{name}.artifacts` is ignored: `artifacts` must stand above the \
                 first `[section]`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::environment::size_in_mb;

    #[test]
    fn reads_both_spellings_of_memory() {
        for (text, mb) in [
            ("4G", Some(4096)),
            ("512M", Some(512)),
            ("0.5g", Some(512)),
            (" 2048K ", Some(2)),
            ("4GB", None),
            ("4096", None),
            ("G", None),
            ("-1G", None),
            ("infG", None),
            ("", None),
            ("4é", None),
        ] {
            assert_eq!(size_in_mb(text), mb, "{text:?}");
        }
    }
}
