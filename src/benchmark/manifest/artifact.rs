//! `artifacts`: what is carried from the agent's sandbox to a verifier of its own.

use crate::benchmark::fault::LoadError;
use crate::benchmark::glob;
use crate::benchmark::reader::Section;
use crate::domain::TreePath;
use toml::de::DeValue;

/// One file or folder of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Absolute path, without a slash at its end.
    pub source: String,
    /// Patterns of what is left out of a folder.
    pub exclude: Vec<String>,
}

/// Reads `artifacts` of a task or a step.
pub(super) fn list(
    section: &Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Artifact>, LoadError> {
    let Some(value) = section.get("artifacts") else {
        return Ok(Vec::new());
    };
    let DeValue::Array(entries) = value.get_ref() else {
        return Err(section.wrong("artifacts", "must be a list of paths or tables"));
    };
    let mut list = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let artifact = match entry.get_ref() {
            DeValue::String(path) => Artifact {
                source: source(section, path)?,
                exclude: Vec::new(),
            },
            DeValue::Table(table) => {
                let table = section.section_of("artifacts", index, table);
                read(&table, warnings)?
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                return Err(section.wrong("artifacts", "must be a list of paths or tables"));
            }
        };
        list.push(artifact);
    }
    Ok(list)
}

fn read(table: &Section<'_>, warnings: &mut Vec<String>) -> Result<Artifact, LoadError> {
    if let Some(service) = table.string("service")?
        && service.trim() != "main"
    {
        let todo = "only `main` runs here; run the task with Harbor";
        return Err(table.unsupported("service", format!("the service `{service}`"), todo));
    }
    if let Some(destination) = table.string("destination")? {
        // It says where a copy is kept for people, not where the verifier finds it.
        let inside =
            destination.is_empty() || TreePath::new(destination.trim_end_matches('/')).is_ok();
        if !inside || destination.trim_end_matches('/') == "manifest.json" {
            let why = format!("`{}` is no path for a copy", destination.escape_debug());
            return Err(table.wrong("destination", why));
        }
    }
    let Some(path) = table.string("source")? else {
        return Err(table.wrong("source", "is missing; write an absolute path"));
    };
    let exclude = table.strings("exclude")?.unwrap_or_default();
    for pattern in &exclude {
        if pattern.is_empty() || pattern.contains('\0') {
            let why = format!("`{}` is no pattern", pattern.escape_debug());
            return Err(table.wrong("exclude", why));
        }
    }
    let artifact = Artifact {
        source: source(table, path)?,
        exclude: exclude.into_iter().map(str::to_owned).collect(),
    };
    table.warn_of_unknown(warnings);
    Ok(artifact)
}

fn source(section: &Section<'_>, path: &str) -> Result<String, LoadError> {
    let inner = path
        .strip_prefix('/')
        .map(|path| path.trim_end_matches('/'));
    if inner.is_some_and(|inner| TreePath::new(inner).is_ok()) {
        return Ok(path.trim_end_matches('/').to_owned());
    }
    let why = format!(
        "`{}` is not the absolute path of a file or folder",
        path.escape_debug()
    );
    Err(section.wrong("artifacts", why))
}

impl Artifact {
    /// Returns whether a path below the source is left out, as `tar --exclude` would: by its
    /// own name, by that of a folder around it, or by its whole path.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| {
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
            folders.chain([path]).any(|part| {
                let name = part.rsplit('/').next().unwrap_or(part);
                glob::matches(pattern, part) || glob::matches(pattern, name)
            })
        })
    }
}

/// Checks that the answer holds the artifacts anyway: they are files of the workspace.
pub(super) fn all_inside(
    artifacts: &[Artifact],
    workdir: &str,
    root: &Section<'_>,
) -> Result<(), LoadError> {
    let inside = format!("{}/", workdir.trim_end_matches('/'));
    let todo = "only plain paths inside the working directory are taken";
    for artifact in artifacts {
        if !artifact.exclude.is_empty() {
            return Err(root.unsupported("artifacts", "an artifact with rules of its own", todo));
        }
        if !artifact.source.starts_with(&inside) {
            return Err(root.unsupported("artifacts", format!("`{}`", artifact.source), todo));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Artifact;

    #[test]
    fn leaves_out_what_a_pattern_names() {
        let artifact = Artifact {
            source: "/app".to_owned(),
            exclude: vec!["*.log".to_owned(), "target/".to_owned(), "a/b".to_owned()],
        };
        for (path, excluded) in [
            ("x.log", true),
            ("deep/x.log", true),
            ("target/x", true),
            ("deep/target/x", true),
            ("a/b/c", true),
            ("a/c", false),
            ("x.txt", false),
        ] {
            assert_eq!(artifact.excludes(path), excluded, "{path}");
        }
    }
}
