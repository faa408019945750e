//! Rows from before version 5, which name neither script nor parser.
//!
//! What each repository and version needs is data, `data/classic.json`: the commands of the
//! tables that the official package had up to version 4.1. The scripts made of them are the
//! ones that version 5 publishes for the same instances.

use super::diff;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Ends the test patch in a script, as in every published one.
const HEREDOC: &str = "EOF_114329324912";

/// Files of a test patch that are no tests and are not named to a runner.
const NO_TESTS: [&str; 11] = [
    ".json", ".png", "csv", ".txt", ".md", ".jpg", ".jpeg", ".pkl", ".yml", ".yaml", ".toml",
];

/// What is known of a repository.
#[derive(Debug, Deserialize)]
struct Repository {
    kind: TestKind,
    parser: String,
    eval_type: String,
    specs: Vec<ClassicSpec>,
}

/// Which shape its scripts have.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TestKind {
    /// A Conda environment, installed again, and the tests named to the runner.
    Python,
    /// Any other language: the commands name the tests.
    Common,
}

/// The commands of some versions.
#[derive(Debug, Deserialize)]
struct ClassicSpec {
    versions: Vec<String>,
    test: Vec<String>,
    #[serde(default)]
    build: Vec<String>,
    #[serde(default)]
    before: Vec<String>,
}

/// What a row lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Classic {
    pub(super) eval_script: String,
    pub(super) log_parser: String,
    pub(super) eval_type: String,
}

static TABLE: LazyLock<BTreeMap<String, Repository>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("data/classic.json"))
        .expect("invariant: the table is part of the program, and a test reads it")
});

/// Returns what a row of that repository and version lacks, or why it is not known.
pub(super) fn complete(
    repo: &str,
    version: &str,
    base_commit: &str,
    test_patch: &str,
) -> Result<Classic, String> {
    let repository = TABLE.get(repo).ok_or_else(|| {
        format!(
            "has no `eval_script`, and no test commands are known for the repository `{}`",
            repo.escape_debug()
        )
    })?;
    let spec = repository
        .specs
        .iter()
        .find(|spec| spec.versions.iter().any(|known| known == version))
        .ok_or_else(|| {
            format!(
                "has no `eval_script`, and no test commands are known for version `{}` of `{repo}`",
                version.escape_debug()
            )
        })?;
    if test_patch.is_empty() {
        return Err("has no `eval_script`, and no `test_patch` to make one of".to_owned());
    }
    let lines = match repository.kind {
        TestKind::Python => python(spec, repo, base_commit, test_patch),
        TestKind::Common => common(spec, repo, version, base_commit, test_patch),
    };
    let mut script = "#!/bin/bash\nset -uxo pipefail\n".to_owned();
    for line in lines {
        script.push_str(&line);
        script.push('\n');
    }
    Ok(Classic {
        eval_script: script,
        log_parser: repository.parser.clone(),
        eval_type: repository.eval_type.clone(),
    })
}

/// Returns the parser and the type of a repository's instances.
pub(super) fn parser(repo: &str) -> Option<(&'static str, &'static str)> {
    let known = TABLE.get(repo)?;
    Some((&known.parser, &known.eval_type))
}

fn python(spec: &ClassicSpec, repo: &str, base_commit: &str, test_patch: &str) -> Vec<String> {
    let activate = [
        "source /opt/miniconda3/bin/activate".to_owned(),
        "conda activate testbed".to_owned(),
    ];
    // Every file, also one that the patch adds: so it stands in the published scripts.
    let files: Vec<String> = diff::files(test_patch)
        .into_iter()
        .map(|file| file.before)
        .collect();
    let reset = format!("git checkout {base_commit} {}", files.join(" "));
    let mut test = spec.test.clone();
    test.extend(directives(repo, test_patch));
    let mut lines: Vec<String> = activate.to_vec();
    lines.push("cd /testbed".to_owned());
    lines.extend(spec.before.iter().cloned());
    lines.push("git config --global --add safe.directory /testbed".to_owned());
    lines.push("cd /testbed".to_owned());
    lines.extend(look(base_commit));
    lines.extend(activate);
    lines.extend(spec.build.iter().cloned());
    lines.push(reset.clone());
    lines.push(apply(test_patch));
    lines.extend(marked(test.join(" ")));
    lines.push(reset);
    lines
}

fn common(
    spec: &ClassicSpec,
    repo: &str,
    version: &str,
    base_commit: &str,
    test_patch: &str,
) -> Vec<String> {
    let files = diff::files(test_patch);
    let (added, known): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.added);
    let names = |files: Vec<diff::File>| {
        let names: Vec<String> = files.into_iter().map(|file| file.before).collect();
        names.join(" ")
    };
    let mut reset = Vec::new();
    if !known.is_empty() {
        reset.push(format!("git checkout {base_commit} {}", names(known)));
    }
    if !added.is_empty() {
        reset.push(format!("rm -f {}", names(added)));
    }
    let test = match repo {
        "Automattic/wp-calypso" => calypso(version, test_patch),
        _ => spec.test.clone(),
    };
    let mut lines = vec![
        "cd /testbed".to_owned(),
        "git config --global --add safe.directory /testbed".to_owned(),
    ];
    lines.extend(look(base_commit));
    lines.extend(reset.iter().cloned());
    lines.push(apply(test_patch));
    lines.extend(spec.build.iter().cloned());
    lines.extend(marked(format!("({}) | cat", test.join(" && "))));
    lines.extend(reset);
    lines
}

/// For a reader of the log only.
fn look(base_commit: &str) -> [String; 3] {
    [
        "git status".to_owned(),
        "git show".to_owned(),
        format!("git -c core.fileMode=false diff {base_commit}"),
    ]
}

fn apply(test_patch: &str) -> String {
    format!("git apply -v - <<'{HEREDOC}'\n{test_patch}\n{HEREDOC}")
}

fn marked(test: String) -> [String; 3] {
    [
        ": '>>>>> Start Test Output'".to_owned(),
        test,
        ": '>>>>> End Test Output'".to_owned(),
    ]
}

/// Returns how a runner is told of the test files.
fn directives(repo: &str, test_patch: &str) -> Vec<String> {
    let tests = diff::targets(test_patch)
        .filter(|file| !NO_TESTS.iter().any(|ending| file.ends_with(ending)));
    if repo != "django/django" {
        return tests.map(str::to_owned).collect();
    }
    tests
        .map(|file| {
            let file = file.strip_suffix(".py").unwrap_or(file);
            file.strip_prefix("tests/")
                .unwrap_or(file)
                .replace('/', ".")
        })
        .collect()
}

/// Calypso runs its tests by path, each kind and each period in its own way.
fn calypso(version: &str, test_patch: &str) -> Vec<String> {
    const WITH_JS: [&str; 6] = [
        "10.10.0", "10.12.0", "10.13.0", "10.14.0", "10.15.2", "10.16.3",
    ];
    const WITH_JSON: [&str; 10] = [
        "6.11.5", "8.9.1", "8.9.3", "8.9.4", "8.11.0", "8.11.2", "10.4.1", "10.5.0", "10.6.0",
        "10.9.0",
    ];
    let mut commands = Vec::new();
    for file in diff::files(test_patch) {
        let mut path = file.after.as_str();
        if path.ends_with(".js.snap")
            && let Some((folder, _)) = path.rsplit_once("__snapshots__/")
        {
            // Snapshots are not run themselves.
            path = folder.trim_end_matches('/');
        }
        let package = path.split('/').next().unwrap_or(path);
        if path.starts_with("client") || path.starts_with("packages") {
            commands.push(if WITH_JS.contains(&version) {
                format!(
                    "./node_modules/.bin/jest --verbose -c=test/{package}/jest.config.js '{path}'"
                )
            } else if WITH_JSON.contains(&version) {
                format!(
                    "./node_modules/.bin/jest --verbose -c=test/{package}/jest.config.json '{path}'"
                )
            } else {
                format!("npm run test-{package} --verbose '{path}'")
            });
        } else if path.starts_with("test/e2e") {
            commands.push("cd test/e2e".to_owned());
            commands.push(format!("NODE_CONFIG_ENV=test npm run test {path}"));
            commands.push("cd ../..".to_owned());
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::{TABLE, complete};
    use crate::benchmark::swebench::grade::{EvalType, Parser};
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(TABLE.len(), 64);
        for (repo, known) in TABLE.iter() {
            assert!(Parser::named(&known.parser).is_some(), "{repo}");
            assert!(EvalType::named(&known.eval_type).is_some(), "{repo}");
            let mut versions = BTreeSet::new();
            for spec in &known.specs {
                assert!(!spec.test.is_empty(), "{repo}");
                for version in &spec.versions {
                    assert!(versions.insert(version), "{repo} {version} is there twice");
                }
            }
        }
    }

    #[test]
    fn says_what_is_not_known() {
        for (repo, version, patch, message) in [
            (
                "no/body",
                "1",
                "x",
                "has no `eval_script`, and no test commands are known for the repository `no/body`",
            ),
            (
                "django/django",
                "0.96",
                "x",
                "has no `eval_script`, and no test commands are known for version `0.96` of \
                 `django/django`",
            ),
            (
                "django/django",
                "3.0",
                "",
                "has no `eval_script`, and no `test_patch` to make one of",
            ),
        ] {
            assert_eq!(
                complete(repo, version, "abc", patch),
                Err(message.to_owned())
            );
        }
    }

    #[test]
    fn other_languages_have_scripts_of_their_own_shape() {
        let patch = "diff --git a/tests/a.rs b/tests/a.rs\n--- a/tests/a.rs\n+++ b/tests/a.rs\n\
                     @@ -1 +1 @@\n-a\n+b\ndiff --git a/tests/b.rs b/tests/b.rs\nnew file mode \
                     100644\n--- /dev/null\n+++ b/tests/b.rs\n@@ -0,0 +1 @@\n+b\n";
        let script = complete("tokio-rs/axum", "691", "abc", patch).expect("it is known");
        let lines: Vec<&str> = script.eval_script.lines().collect();
        assert_eq!(lines[7], "git checkout abc tests/a.rs");
        assert_eq!(lines[8], "rm -f tests/b.rs");
        assert_eq!(lines[lines.len() - 1], "rm -f tests/b.rs");
        assert!(
            script
                .eval_script
                .contains("nest::nesting_router_at_root --exact) | cat\n")
        );
        let patch = "diff --git a/client/x/__snapshots__/a.js.snap b/client/x/__snapshots__/a.js.snap\n\
                     diff --git a/test/e2e/specs/a.js b/test/e2e/specs/a.js\n";
        let script = complete("Automattic/wp-calypso", "10.9.0", "abc", patch);
        let script = script.expect("it is known").eval_script;
        assert!(
            script.contains(
                "(./node_modules/.bin/jest --verbose -c=test/client/jest.config.json 'client/x' \
                 && cd test/e2e && NODE_CONFIG_ENV=test npm run test test/e2e/specs/a.js && cd \
                 ../..) | cat"
            ),
            "{script}"
        );
    }
}
