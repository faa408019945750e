//! `[environment]`: where a task runs, and what it asks for that it cannot have.

use crate::benchmark::fault::LoadError;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;

/// Where Harbor's tasks work by convention; taken where a task names no folder.
const DEFAULT_WORKDIR: &str = "/app";

/// What `[environment]` says.
#[derive(Debug)]
pub(super) struct Environment {
    pub image: Option<String>,
    pub workdir: String,
    pub cpus: Option<f64>,
    pub memory: Option<u64>,
    pub env: Vec<(String, String)>,
}

impl Environment {
    /// Reads the table.
    pub(super) fn read(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<Self, LoadError> {
        let section = root.section("environment")?;
        section.knows(&["build_timeout_sec", "storage_mb", "storage"]);
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
                "healthcheck",
                "a service that must be up first",
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
        network(&section, true, warnings)?;
        let cpus = section.number("cpus")?;
        if cpus.is_some_and(|cpus| cpus <= 0.0) {
            return Err(section.wrong("cpus", "must be above 0"));
        }
        let read = Self {
            image: image(&section, "docker_image")?,
            workdir: workdir(&section)?,
            cpus,
            memory: memory(&section, warnings)?,
            env: variables(&section, "env", warnings)?,
        };
        section.warn_of_unknown(warnings);
        Ok(read)
    }
}

/// Refuses a network. Harbor's default is a public one; a task that says nothing runs
/// without, because nothing in a sandbox has one, and the warning says so.
pub(super) fn network(
    section: &Section<'_>,
    is_baseline: bool,
    warnings: &mut Vec<String>,
) -> Result<(), LoadError> {
    let todo = "put everything the task needs into its image or workspace and write \
                `network_mode = \"no-network\"`";
    let mode = section.string("network_mode")?;
    match mode {
        Some("no-network") => {}
        Some(mode @ ("public" | "allowlist")) => {
            return Err(section.unsupported("network_mode", format!("`{mode}`"), todo));
        }
        Some(other) => {
            let why = format!("`{other}` is none of `no-network`, `public`, `allowlist`");
            return Err(section.wrong("network_mode", why));
        }
        None => {}
    }
    if section.has_content("allowed_hosts") {
        return Err(section.unsupported("allowed_hosts", "a network", todo));
    }
    if !is_baseline {
        return Ok(());
    }
    match section.boolean("allow_internet")? {
        Some(true) => Err(section.unsupported("allow_internet", "a network", todo)),
        Some(false) => Ok(()),
        None if mode.is_some() => Ok(()),
        None => {
            warnings.push(
                "task.toml: `environment.network_mode` is not given: the task runs without \
                 network, where Harbor gives it one"
                    .to_owned(),
            );
            Ok(())
        }
    }
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
const TAKEN: [&str; 12] = [
    "/tests",
    "/solution",
    "/logs",
    "/agent",
    "/run",
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/usr",
    "/bin",
    "/lib",
];

fn workdir(section: &Section<'_>) -> Result<String, LoadError> {
    let Some(folder) = section.string("workdir")? else {
        return Ok(DEFAULT_WORKDIR.to_owned());
    };
    let inner = folder.strip_prefix('/').unwrap_or("");
    if TreePath::new(inner).is_err() {
        let why = format!("`{}` is not an absolute folder", folder.escape_debug());
        return Err(section.wrong("workdir", why));
    }
    let first = inner.split('/').next().unwrap_or("");
    if TAKEN.iter().any(|taken| taken[1..] == *first) || folder == "/tmp" {
        let why = format!("`{folder}` has another meaning in a sandbox; take such as `/app`");
        return Err(section.wrong("workdir", why));
    }
    Ok(folder.to_owned())
}

/// Both spellings. Harbor drops an integer `memory` without a word; this says so.
fn memory(section: &Section<'_>, warnings: &mut Vec<String>) -> Result<Option<u64>, LoadError> {
    let given = section.count("memory_mb")?;
    let Some(old) = section.get("memory") else {
        return Ok(given.map(|mb| mb << 20));
    };
    let spot = section.spot("memory");
    if old.get_ref().is_integer() {
        warnings.push(format!(
            "{spot}: a bare number is ignored, as Harbor does; write `memory_mb` instead"
        ));
        return Ok(given.map(|mb| mb << 20));
    }
    let text = section.string("memory")?.unwrap_or("");
    let Some(mb) = size_in_mb(text) else {
        let why = format!(
            "`{text}` is not a size: write a number and `K`, `M` or `G`, such as `4G`, \
             or use `memory_mb`"
        );
        return Err(section.wrong("memory", why));
    };
    if given.is_some_and(|given| given != mb) {
        let why = format!("`{text}` and `memory_mb` say different things; keep `memory_mb`");
        return Err(section.wrong("memory", why));
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

/// Reads variables. Harbor fills in `${VAR}` from the machine it runs on; no sandbox of
/// ours sees anything of that, so only a written default can be used.
pub(super) fn variables(
    section: &Section<'_>,
    key: &'static str,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, String)>, LoadError> {
    let mut pairs = section.pairs(key)?;
    for (name, value) in &mut pairs {
        let good_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good_name || value.contains('\0') {
            let why = format!("`{}` is not a variable", name.escape_debug());
            return Err(section.wrong(key, why));
        }
        let Some(inner) = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            continue;
        };
        let Some((_, default)) = inner.split_once(":-") else {
            let what = format!("`{name} = {value}`, a value from this machine,");
            let todo = "write the value itself: nothing of this machine is seen in a sandbox";
            return Err(section.unsupported(key, what, todo));
        };
        let spot = section.spot(key);
        warnings.push(format!(
            "{spot}: `{name}` takes its default `{default}`, never this machine's value"
        ));
        *value = default.to_owned();
    }
    Ok(pairs)
}
