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
use super::reader::{Section, Source};
use super::task::Permits;
pub(super) use artifact::Artifact;
pub(super) use environment::Environment;
use environment::variables;
use own::Own;
pub(super) use phase::{Agent, Collect, Mode, Verifier};
pub(super) use step::{Step, Strategy};

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
        let strategy = Strategy::read(&root, &steps)?;
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
            (&verifier, "environment", "a verifier with an environment of its own"),
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
    use super::{Manifest, Permits};
    use super::environment::size_in_mb;

    /// Puts lines into the table that a good `task.toml` has, in place of some of its own.
    fn error(head: &str, own: &str, tail: &str) -> String {
        let own = if own.is_empty() {
            "workspace = \"environment/w\"\nlocal = true\nanswer = [\"a\"]"
        } else {
            own
        };
        let text = format!("{head}\n[metadata.dgm]\n{own}\n{tail}\n");
        match Manifest::read(&text, &Permits::default()) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn says_what_is_wrong_at_the_top() {
        for (head, message) in [
            (
                "version = ",
                "task.toml:1: string values must be quoted, expected literal string",
            ),
            ("a = 1\na = 2", "task.toml:2: duplicate key"),
            (
                "version = 1.0",
                "task.toml:1: `version`: must be a text, but is a number with a fraction",
            ),
            (
                "[[steps]]\nname = \"a\"",
                "task.toml:1: `steps`: a task of several steps is not supported: run it with \
                 Harbor, or make one task of each step",
            ),
            (
                "task = 3",
                "task.toml:1: `task`: must be a table, but is a whole number",
            ),
            (
                "[task]\ndescription = \"x\"",
                "task.toml: `task.name`: is missing; write `name = \"organization/name\"`",
            ),
            (
                "[task]\nname = \"hello\"",
                "task.toml:2: `task.name`: `hello` is not of the form `organization/name`",
            ),
            (
                "artifacts = [\"/etc/passwd\"]",
                "task.toml:1: `artifacts`: `/etc/passwd` is not supported: only plain paths \
                 inside the working directory are taken",
            ),
            (
                "artifacts = [{ source = \"/app/x\", service = \"db\" }]",
                "task.toml:1: `artifacts`: an artifact with rules of its own is not supported: \
                 only plain paths inside the working directory are taken",
            ),
        ] {
            assert_eq!(error(head, "", ""), message, "{head}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_its_own_table() {
        let workspace = "workspace = \"environment/w\"\n";
        let with = |rest: &str| format!("{workspace}{rest}");
        for (own, message) in [
            (
                "local = true".to_owned(),
                "task.toml: `metadata.dgm.workspace`: a task that needs an image of its own is \
                 not supported: this version runs tasks whose files lie in a folder that \
                 `[metadata.dgm] workspace` names",
            ),
            (
                "workspace = \"../secret\"".to_owned(),
                "task.toml:3: `metadata.dgm.workspace`: `../secret` is not a folder below \
                 `environment/`, where the task's digest covers it",
            ),
            (
                "workspace = \"environment/../tests\"".to_owned(),
                "task.toml:3: `metadata.dgm.workspace`: `environment/../tests` is not a folder \
                 below `environment/`, where the task's digest covers it",
            ),
            (
                with(""),
                "task.toml: `metadata.dgm.image`: is missing and `local` is not set: the task \
                 could run nowhere; name an image, or write `local = true`",
            ),
            (
                with("image = \"-v\""),
                "task.toml:4: `metadata.dgm.image`: `-v` is not an image's name",
            ),
            (
                with("local = \"yes\""),
                "task.toml:4: `metadata.dgm.local`: must be `true` or `false`, but is a text",
            ),
            (
                with("local = true\nanswer = \"a\""),
                "task.toml:5: `metadata.dgm.answer`: must be a list of texts, but is a text",
            ),
            (
                with("local = true\nanswer = [\"/a\"]"),
                "task.toml:5: `metadata.dgm.answer`: pattern `/a` is absolute; write it relative \
                 to the workspace",
            ),
            (
                with("local = true\npass_mark = 0"),
                "task.toml:5: `metadata.dgm.pass_mark`: must be above 0: doing nothing would pass",
            ),
            (
                with("local = true\npass_mark = nan"),
                "task.toml:5: `metadata.dgm.pass_mark`: is not a finite number",
            ),
            (
                with("local = true\ntests_expected = -1"),
                "task.toml:5: `metadata.dgm.tests_expected`: is not a number from 0 up",
            ),
        ] {
            assert_eq!(error("", &own, ""), message, "{own}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn says_what_is_wrong_with_the_environment() {
        for (line, message) in [
            (
                "os = \"windows\"",
                "task.toml:7: `environment.os`: `windows` is not supported: only `linux` tasks can run",
            ),
            (
                "gpus = 1",
                "task.toml:7: `environment.gpus`: special hardware is not supported: run it with Harbor on a machine that has it",
            ),
            (
                "tpu = { type = \"v6e\", topology = \"2x4\" }",
                "task.toml:7: `environment.tpu`: special hardware is not supported: run it with Harbor on a machine that has it",
            ),
            (
                "mcp_servers = [{ name = \"x\" }]",
                "task.toml:7: `environment.mcp_servers`: a tool server beside the task is not supported: run it with Harbor",
            ),
            (
                "healthcheck = { command = \"x\" }",
                "task.toml:7: `environment.healthcheck`: a service that must be up first is not supported: run it with Harbor",
            ),
            (
                "skills_dir = \"/skills\"",
                "task.toml:7: `environment.skills_dir`: a folder of skills is not supported: put what the agent needs into the instruction",
            ),
            (
                "network_mode = \"public\"",
                "task.toml:7: `environment.network_mode`: `public` is not supported: put everything the task needs into its image or workspace and write `network_mode = \"no-network\"`",
            ),
            (
                "network_mode = \"allowlist\"",
                "task.toml:7: `environment.network_mode`: `allowlist` is not supported: put everything the task needs into its image or workspace and write `network_mode = \"no-network\"`",
            ),
            (
                "network_mode = \"none\"",
                "task.toml:7: `environment.network_mode`: `none` is none of `no-network`, `public`, `allowlist`",
            ),
            (
                "allowed_hosts = [\"a.org\"]",
                "task.toml:7: `environment.allowed_hosts`: a network is not supported: put everything the task needs into its image or workspace and write `network_mode = \"no-network\"`",
            ),
            (
                "allow_internet = true",
                "task.toml:7: `environment.allow_internet`: a network is not supported: put everything the task needs into its image or workspace and write `network_mode = \"no-network\"`",
            ),
            (
                "workdir = \"app\"",
                "task.toml:7: `environment.workdir`: `app` is not an absolute folder",
            ),
            (
                "workdir = \"/a/../tests\"",
                "task.toml:7: `environment.workdir`: `/a/../tests` is not an absolute folder",
            ),
            (
                "workdir = \"/logs/verifier\"",
                "task.toml:7: `environment.workdir`: `/logs/verifier` has another meaning in a sandbox; take such as `/app`",
            ),
            (
                "cpus = 0",
                "task.toml:7: `environment.cpus`: must be above 0",
            ),
            (
                "cpus = inf",
                "task.toml:7: `environment.cpus`: is not a finite number",
            ),
            (
                "memory = \"4GB\"",
                "task.toml:7: `environment.memory`: `4GB` is not a size: write a number and `K`, `M` or `G`, such as `4G`, or use `memory_mb`",
            ),
            (
                "memory = \"4096\"",
                "task.toml:7: `environment.memory`: `4096` is not a size: write a number and `K`, `M` or `G`, such as `4G`, or use `memory_mb`",
            ),
            (
                "memory = \"1G\"\nmemory_mb = 1000",
                "task.toml:7: `environment.memory`: `1G` and `memory_mb` say different things; keep `memory_mb`",
            ),
            (
                "memory_mb = \"1\"",
                "task.toml:7: `environment.memory_mb`: must be a whole number, but is a text",
            ),
            (
                "env = { A = 1 }",
                "task.toml:7: `environment.env.A`: must be a text, but is a whole number; write it in quotes",
            ),
            (
                "env = { \"A B\" = \"1\" }",
                "task.toml:7: `environment.env`: `A B` is not a variable",
            ),
            (
                "env = { KEY = \"${API_KEY}\" }",
                "task.toml:7: `environment.env`: `KEY = ${API_KEY}`, a value from this machine, is not supported: write the value itself: nothing of this machine is seen in a sandbox",
            ),
        ] {
            assert_eq!(
                error("", "", &format!("[environment]\n{line}")),
                message,
                "{line}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_agent_and_verifier() {
        for (tail, message) in [
            (
                "[agent]\ntimeout_sec = \"1\"",
                "task.toml:7: `agent.timeout_sec`: must be a number, but is a text",
            ),
            (
                "[agent]\ntimeout_sec = 0",
                "task.toml:7: `agent.timeout_sec`: is not a time between 0 and 2592000 seconds",
            ),
            (
                "[agent]\nuser = \"root\"",
                "task.toml:7: `agent.user`: a user of its own is not supported: leave it out: a sandbox has one user without rights",
            ),
            (
                "[agent]\nnetwork_mode = \"public\"",
                "task.toml:7: `agent.network_mode`: `public` is not supported: put everything the task needs into its image or workspace and write `network_mode = \"no-network\"`",
            ),
            (
                "[verifier]\ntimeout_sec = -1.5",
                "task.toml:7: `verifier.timeout_sec`: is not a time between 0 and 2592000 seconds",
            ),
            (
                "[verifier]\nenvironment_mode = \"shared\"",
                "task.toml:7: `verifier.environment_mode`: `shared` is not supported: write `separate`: the answer's files are graded in a fresh sandbox",
            ),
            (
                "[verifier]\nenvironment_mode = \"both\"",
                "task.toml:7: `verifier.environment_mode`: `both` is neither `separate` nor `shared`",
            ),
            (
                "[verifier]\nenvironment_mode = \"shared\"\n[verifier.environment]\ncpus = 1",
                "task.toml:7: `verifier.environment_mode`: `shared` contradicts `[verifier.environment]`; leave one of them out",
            ),
            (
                "[verifier.environment]\ncpus = 1",
                "task.toml:6: `verifier.environment`: a verifier with an environment of its own is not supported: leave it out: the verifier gets the task's image",
            ),
            (
                "[[verifier.collect]]\ncommand = \"x\"",
                "task.toml:6: `verifier.collect`: commands between agent and verifier is not supported: do the work in `tests/test.sh`",
            ),
            (
                "[solution]\nenv = [1]",
                "task.toml:7: `solution.env`: must be a table, but is a list",
            ),
        ] {
            assert_eq!(error("", "", tail), message, "{tail}");
        }
    }

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
