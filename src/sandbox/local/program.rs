//! The program `bwrap`: where it is, whether it will do, and what to do if not.

use crate::sandbox::SandboxError;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const PROGRAM: &str = "bwrap";
/// The first version that can forbid further user namespaces.
const VERSION: (u32, u32) = (0, 8);
const INSTALL: &str = "install it: `apt-get install bubblewrap`";
const ALLOW: &str = "allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1`, on \
                     Ubuntu also `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; \
                     inside a container they are often forbidden: use the docker sandbox";

/// Returns the program, of a version that will do.
pub(super) async fn find() -> Result<PathBuf, SandboxError> {
    let found = find_program().ok_or_else(|| SandboxError::Unavailable {
        what: format!("bubblewrap (`{PROGRAM}`) is not installed"),
        hint: INSTALL.to_owned(),
    })?;
    check_version(&found).await?;
    Ok(found)
}

/// Returns the error of a machine on which a run of nothing failed.
pub(super) fn unavailable(what: &str, source: &anyhow::Error) -> SandboxError {
    let text = format!("{source:#}");
    let hint = if is_about_namespaces(&text) {
        ALLOW
    } else {
        "see `docs/sandbox.md` for what the local sandbox needs"
    };
    SandboxError::Unavailable {
        what: format!("{what}: {text}"),
        hint: hint.to_owned(),
    }
}

fn is_about_namespaces(text: &str) -> bool {
    [
        "namespace",
        "uid map",
        "Operation not permitted",
        "Permission denied",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn find_program() -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    folders
        .iter()
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(PROGRAM))
        .find(is_program)
}

async fn check_version(program: &Path) -> Result<(), SandboxError> {
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .output()
        .await
        .map_err(|error| SandboxError::Unavailable {
            what: format!("could not start `{}`: {error}", program.display()),
            hint: INSTALL.to_owned(),
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(found) if found >= VERSION => Ok(()),
        _ => Err(SandboxError::Unavailable {
            what: format!(
                "bubblewrap {}.{} or newer is needed, `{}` is {}",
                VERSION.0,
                VERSION.1,
                program.display(),
                text.trim()
            ),
            hint: "install a newer one, or use the docker sandbox".to_owned(),
        }),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().rsplit(' ').next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{is_about_namespaces, version};

    #[test]
    fn reads_versions() {
        assert_eq!(version("bubblewrap 0.8.0\n"), Some((0, 8)));
        assert_eq!(version("bubblewrap 0.11\n"), Some((0, 11)));
        assert_eq!(version("what?"), None);
    }

    #[test]
    fn knows_how_bubblewrap_says_that_namespaces_are_forbidden() {
        for text in [
            "bwrap: No permissions to create new namespace, likely because the kernel does not allow it",
            "bwrap: setting up uid map: Permission denied",
            "bwrap: Creating new namespace failed: Operation not permitted",
        ] {
            assert!(is_about_namespaces(text));
        }
    }
}
