//! `[environment]`: where a task runs, and what it asks for that it cannot have.

use crate::benchmark::fault::LoadError;
use crate::benchmark::permits::Permits;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;
use crate::sandbox::{Health, Network};
use std::time::Duration;

/// Harbor's default for building an image and starting in it.
const DEFAULT_BUILD_TIMEOUT: Duration = Duration::from_mins(10);

/// What `[environment]` or `[verifier.environment]` says.
#[derive(Debug)]
pub(in crate::benchmark) struct Environment {
    pub image: Option<String>,
    pub workdir: Option<String>,
    pub cpus: Option<f64>,
    pub memory: Option<u64>,
    pub storage: Option<u64>,
    pub env: Vec<(String, String)>,
    pub health: Option<Health>,
    pub network: Option<Network>,
    pub build_timeout: Duration,
}

impl Environment {
    /// Reads the table.
    pub(super) fn read(
        section: &Section<'_>,
        permits: &Permits,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        if let Some(os) = section.string("os")?
            && !os.eq_ignore_ascii_case("linux")
        {
            let todo = "only `linux` tasks can run";
            return Err(section.unsupported("os", format!("`{os}`"), todo));
        }
        let hardware = "run it with Harbor on a machine that has it";
        for key in ["gpus", "gpu_types", "tpu"] {
            if section.has_content(key) {
                return Err(section.unsupported(key, "special hardware", hardware));
            }
        }
        for (key, what, todo) in [
            (
                "mcp_servers",
                "a tool server beside the task",
                "run it with Harbor",
            ),
            (
                "skills_dir",
                "a folder of skills",
                "put what the agent needs into the instruction",
            ),
        ] {
            if section.has_content(key) {
                return Err(section.unsupported(key, what, todo));
            }
        }
        let cpus = section.number("cpus")?;
        if cpus.is_some_and(|cpus| cpus <= 0.0) {
            return Err(section.wrong("cpus", "must be above 0"));
        }
        let read = Self {
            image: image(section, "docker_image")?,
            workdir: workdir(section)?,
            cpus,
            memory: size(section, "memory", "memory_mb", warnings)?,
            storage: size(section, "storage", "storage_mb", warnings)?,
            env: variables(section, "env", permits, warnings)?,
            health: health(section, warnings)?,
            network: baseline(section, permits, warnings)?,
            build_timeout: section
                .seconds("build_timeout_sec")?
                .unwrap_or(DEFAULT_BUILD_TIMEOUT),
        };
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

/// What is said of a task that gets more network than it asks for.
pub(in crate::benchmark) const OPENED: &str = "`allowlist` is not kept";

/// Reads the network of a phase; none: the task does not say.
pub(super) fn network(
    section: &Section<'_>,
    permits: &Permits,
    warnings: &mut Vec<String>,
) -> Result<Option<Network>, LoadError> {
    let todo = "allow it with `network = \"public\"` under `[sandbox]` or `--network public`, or \
                put everything the task needs into its image and write `no-network`";
    let mode = section.string("network_mode")?;
    let hosts = section.strings("allowed_hosts")?.unwrap_or_default();
    if mode != Some("allowlist") && !hosts.is_empty() {
        let why = "means something with `network_mode = \"allowlist\"` only";
        return Err(section.wrong("allowed_hosts", why));
    }
    match mode {
        None => Ok(None),
        Some("no-network") => Ok(Some(Network::None)),
        Some("public") if permits.network == Network::Public => Ok(Some(Network::Public)),
        Some("public") => Err(section.unsupported("network_mode", "`public`", todo)),
        Some("allowlist") if permits.network == Network::Public && permits.allowlist_is_public => {
            let hosts = match hosts.as_slice() {
                [] => "no host".to_owned(),
                hosts => hosts.join(", "),
            };
            let spot = section.spot("network_mode");
            warnings.push(format!(
                "{spot}: {OPENED}: the whole network can be reached, not only {hosts}"
            ));
            Ok(Some(Network::Public))
        }
        Some("allowlist") => {
            let todo = "there is no proxy that could keep it; give it the whole network with \
                        `network = \"public\"` and `allowlist = \"public\"` under `[sandbox]` \
                        (`--network public --allowlist public`), or write `no-network`";
            Err(section.unsupported("network_mode", "`allowlist`", todo))
        }
        Some(other) => {
            let why = format!("`{other}` is none of `no-network`, `public`, `allowlist`");
            Err(section.wrong("network_mode", why))
        }
    }
}

/// Reads the network of an environment, in its old spelling too.
fn baseline(
    section: &Section<'_>,
    permits: &Permits,
    warnings: &mut Vec<String>,
) -> Result<Option<Network>, LoadError> {
    let network = network(section, permits, warnings)?;
    let old = section.boolean("allow_internet")?;
    match (network, old) {
        (Some(network), _) => Ok(Some(network)),
        (None, Some(false)) => Ok(Some(Network::None)),
        (None, Some(true)) if permits.network == Network::Public => Ok(Some(Network::Public)),
        (None, Some(true)) => {
            let todo =
                "allow it with `network = \"public\"` under `[sandbox]` or `--network public`";
            Err(section.unsupported("allow_internet", "a network", todo))
        }
        (None, None) => Ok(None),
    }
}

/// Reads a health check.
pub(super) fn health(
    section: &Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Health>, LoadError> {
    let check = section.section("healthcheck")?;
    if !check.is_there() {
        return Ok(None);
    }
    let Some(command) = check
        .string("command")?
        .filter(|text| !text.trim().is_empty())
    else {
        return Err(check.wrong("command", "is missing; write what must succeed"));
    };
    let seconds = Duration::from_secs;
    let retries = check.count("retries")?.unwrap_or(3);
    let read = Health {
        command: command.to_owned(),
        interval: check.pause("interval_sec")?.unwrap_or(seconds(5)),
        timeout: check.seconds("timeout_sec")?.unwrap_or(seconds(30)),
        start_period: check.pause("start_period_sec")?.unwrap_or_default(),
        start_interval: check.pause("start_interval_sec")?.unwrap_or(seconds(5)),
        retries: u32::try_from(retries.max(1)).unwrap_or(u32::MAX),
    };
    check.warn_of_unknown(warnings);
    Ok(Some(read))
}

/// Reads the name of an image.
pub(super) fn image(section: &Section<'_>, key: &'static str) -> Result<Option<String>, LoadError> {
    let Some(name) = section.string(key)? else {
        return Ok(None);
    };
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 255
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c));
    if good {
        Ok(Some(name.to_owned()))
    } else {
        Err(section.wrong(
            key,
            format!("`{}` is not an image's name", name.escape_debug()),
        ))
    }
}

/// Folders inside a sandbox that have a meaning of their own.
const TAKEN: [&str; 8] = [
    "/tests",
    "/solution",
    "/logs",
    "/agent",
    "/run/dgm",
    "/proc",
    "/sys",
    "/dev",
];

fn workdir(section: &Section<'_>) -> Result<Option<String>, LoadError> {
    let Some(folder) = section.string("workdir")? else {
        return Ok(None);
    };
    if folder == "/" {
        return Ok(Some(folder.to_owned()));
    }
    let inner = folder.strip_prefix('/').unwrap_or("").trim_end_matches('/');
    if TreePath::new(inner).is_err() {
        let why = format!("`{}` is not an absolute folder", folder.escape_debug());
        return Err(section.wrong("workdir", why));
    }
    let folder = format!("/{inner}");
    let taken = |taken: &&str| folder == **taken || folder.starts_with(&format!("{taken}/"));
    if TAKEN.iter().any(taken) {
        let why = format!("`{folder}` has another meaning in a sandbox; take such as `/app`");
        return Err(section.wrong("workdir", why));
    }
    Ok(Some(folder))
}

/// Both spellings of a size. Harbor drops a bare number without a word; this says so.
fn size(
    section: &Section<'_>,
    key: &'static str,
    key_mb: &'static str,
    warnings: &mut Vec<String>,
) -> Result<Option<u64>, LoadError> {
    let given = section.count(key_mb)?;
    if given.is_some_and(|mb| mb == 0 || mb > 1 << 30) {
        return Err(section.wrong(key_mb, "is no size: write a number of MB from 1 up"));
    }
    let Some(old) = section.get(key) else {
        return Ok(given.map(|mb| mb << 20));
    };
    let spot = section.spot(key);
    if old.get_ref().is_integer() {
        warnings.push(format!(
            "{spot}: a bare number is ignored, as Harbor does; write `{key_mb}` instead"
        ));
        return Ok(given.map(|mb| mb << 20));
    }
    let text = section.string(key)?.unwrap_or("");
    let Some(mb) = size_in_mb(text) else {
        let why = format!(
            "`{text}` is not a size: write a number and `K`, `M` or `G`, such as `4G`, \
             or use `{key_mb}`"
        );
        return Err(section.wrong(key, why));
    };
    if given.is_some_and(|given| given != mb) {
        let why = format!("`{text}` and `{key_mb}` say different things; keep `{key_mb}`");
        return Err(section.wrong(key, why));
    }
    Ok(Some(mb << 20))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be between 0 and 2^40 before"
)]
pub(super) fn size_in_mb(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let unit = text.chars().next_back()?;
    let factor = match unit {
        'G' => 1024.0,
        'M' => 1.0,
        'K' => 1.0 / 1024.0,
        _ => return None,
    };
    let mb = text[..text.len() - 1].parse::<f64>().ok()? * factor;
    (mb.is_finite() && (0.0..=1_099_511_627_776.0).contains(&mb)).then_some(mb as u64)
}

/// Reads variables. As Harbor does, `${VAR}` and `${VAR:-default}` are filled in where they are
/// the whole value; but only with variables that the run's configuration names.
pub(super) fn variables(
    section: &Section<'_>,
    key: &'static str,
    permits: &Permits,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, String)>, LoadError> {
    let mut pairs = section.pairs(key)?;
    for (name, value) in &mut pairs {
        if !is_variable(name) || value.contains('\0') {
            let why = format!("`{}` is not a variable", name.escape_debug());
            return Err(section.wrong(key, why));
        }
        let Some(inner) = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            continue;
        };
        let (wanted, default) = match inner.split_once(":-") {
            Some((wanted, default)) => (wanted, Some(default)),
            None => (inner, None),
        };
        if !is_variable(wanted) {
            continue;
        }
        // An empty one counts as unset where there is a default, as in a shell.
        let given = permits.variables.get(wanted);
        let given = given.filter(|given| default.is_none() || !given.is_empty());
        let Some(given) = given else {
            let Some(default) = default else {
                let what = format!("`{name} = {value}`, a value from this machine,");
                let todo = "allow the variable with `env` under `[sandbox]` if it is no secret \
                            (`--env` for `dgm bench`), or write the value itself";
                return Err(section.unsupported(key, what, todo));
            };
            let spot = section.spot(key);
            warnings.push(format!(
                "{spot}: `{name}` takes its default `{default}`, never this machine's value"
            ));
            *value = default.to_owned();
            continue;
        };
        value.clone_from(given);
    }
    Ok(pairs)
}

/// Returns whether a text can be the name of a variable.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
