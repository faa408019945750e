//! What makes a task's number mean less than it seems, found by reading it.
//!
//! Rules and names are those of Harbor's own linter where it has them; unknown keys are
//! warnings of the reader. A finding never keeps a task from running.

use super::finding::Finding;
use super::step::Step;
use super::task::{Delivery, Task};
use crate::domain::FileTree;

/// Returns what is found in a task, given all of its files.
pub(super) fn lint(task: &Task, files: &FileTree) -> Vec<Finding> {
    let mut findings = Vec::new();
    if task.delivery == Delivery::InImage {
        for step in &task.steps.all {
            verifier(step, &mut findings);
            artifacts(step, &mut findings);
        }
    }
    image_name(task, &mut findings);
    for (path, file) in files.iter() {
        let Ok(text) = std::str::from_utf8(&file.bytes) else {
            continue;
        };
        let path = path.as_str();
        let name = path.rsplit('/').next().unwrap_or(path);
        if name == "Dockerfile" {
            dockerfile(path, text, &mut findings);
        }
        let is_tests = path.starts_with("tests/") || path.contains("/tests/");
        if is_tests && name.ends_with(".sh") {
            script(path, text, &mut findings);
        }
    }
    leaks(files, &mut findings);
    findings
}

fn verifier(step: &Step, findings: &mut Vec<Finding>) {
    let place = "task.toml".to_owned();
    if step.verifier.fresh.is_none() {
        findings.push(Finding {
            rule: "shared-verifier",
            place: place.clone(),
            what: "the verifier runs in what the agent left, so the agent can replace the \
                   programs it uses: `environment_mode = \"separate\"` is safer"
                .to_owned(),
        });
        let is_root = |user: &Option<String>| matches!(user.as_deref(), Some("root" | "0"));
        if is_root(&step.agent_user) {
            findings.push(Finding {
                rule: "root-agent",
                place,
                what: "the agent is root where the verifier runs after it".to_owned(),
            });
        }
    }
}

fn artifacts(step: &Step, findings: &mut Vec<Finding>) {
    let inside = |inner: &str, outer: &str| {
        inner == outer
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    for (index, artifact) in step.artifacts.iter().enumerate() {
        let source = artifact.source.as_str();
        for logs in ["/logs/verifier", "/logs/agent"] {
            if inside(source, logs) || inside(logs, source) {
                findings.push(Finding {
                    rule: "artifact-log-overlap",
                    place: "task.toml".to_owned(),
                    what: format!("the artifact `{source}` overlaps `{logs}`"),
                });
            }
        }
        for other in &step.artifacts[..index] {
            if inside(source, &other.source) || inside(&other.source, source) {
                findings.push(Finding {
                    rule: "overlapping-artifacts",
                    place: "task.toml".to_owned(),
                    what: format!("the artifacts `{}` and `{source}` overlap", other.source),
                });
            }
        }
    }
}

fn image_name(task: &Task, findings: &mut Vec<Finding>) {
    let built = |image: &String| task.recipes.iter().any(|recipe| recipe.image == *image);
    let images = task.image.iter().chain(task.verifier_images());
    for image in images.filter(|image| !built(image) && !is_pinned(image)) {
        // Images of our own recipes are built here, from a digest that is checked.
        if !image.starts_with("dgm-") {
            findings.push(Finding {
                rule: "unpinned-image",
                place: "task.toml".to_owned(),
                what: format!("`{image}` may be another image tomorrow: name it by digest"),
            });
        }
    }
}

/// A digest pins; a tag that is no moving name nearly does.
fn is_pinned(image: &str) -> bool {
    if image.contains("@sha256:") {
        return true;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':')
        .is_some_and(|(_, tag)| tag != "latest" && tag.contains(|c: char| c.is_ascii_digit()))
}

fn dockerfile(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut stages: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        if words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case("FROM"))
        {
            let image = words.iter().skip(1).find(|word| !word.starts_with("--"));
            if let Some(image) = image
                && *image != "scratch"
                && !stages.iter().any(|stage| stage == image)
                && !is_pinned(image)
            {
                findings.push(Finding {
                    rule: "unpinned-image",
                    place: place.clone(),
                    what: format!("`{image}` may be another image tomorrow"),
                });
            }
            if let Some(at) = words
                .iter()
                .position(|word| word.eq_ignore_ascii_case("AS"))
            {
                stages.extend(words.get(at + 1).map(|name| (*name).to_owned()));
            }
        }
        if let Some(package) = unpinned(line) {
            findings.push(Finding {
                rule: "unpinned-python-dependency",
                place,
                what: format!("`{package}` is installed in whatever version there is"),
            });
        }
    }
}

/// Returns a package that `pip install` in a line takes without a version.
fn unpinned(line: &str) -> Option<&str> {
    let (_, rest) = line
        .split_once("pip install")
        .or_else(|| line.split_once("pip3 install"))?;
    let rest = rest.split(['&', ';', '|']).next().unwrap_or(rest);
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            // What these name is another matter.
            "-r" | "--requirement" | "-c" | "-e" | "--editable" | "-f" | "-i" | "--index-url"
            | "--extra-index-url" | "-t" | "--target" => {
                words.next();
            }
            "\\" => {}
            word if word.starts_with('-') => {}
            word if word.starts_with(['.', '/', '$']) || word.contains("://") => {}
            word if word.contains("==") || word.contains('@') || word.ends_with(".whl") => {}
            word => return Some(word.trim_matches(['"', '\''])),
        }
    }
    None
}

fn script(path: &str, text: &str, findings: &mut Vec<Finding>) {
    const INSTALLS: [&str; 8] = [
        "pip install",
        "pip3 install",
        "apt-get install",
        "apt install",
        "apk add",
        "npm install",
        "uv pip install",
        "conda install",
    ];
    const FETCHES: [&str; 5] = ["curl ", "wget ", "git clone", "uvx ", "uv run --with"];
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let place = format!("{path}:{}", number + 1);
        if let Some(found) = INSTALLS.iter().find(|found| line.contains(**found)) {
            findings.push(Finding {
                rule: "verifier-runtime-install",
                place: place.clone(),
                what: format!(
                    "`{found}` while grading: without network, or with a newer package, a right \
                     answer fails"
                ),
            });
        }
        let local = line.contains("localhost") || line.contains("127.0.0.1");
        if let Some(found) = FETCHES.iter().find(|found| line.contains(**found))
            && !local
        {
            findings.push(Finding {
                rule: "verifier-network-download",
                place,
                what: format!(
                    "`{}` while grading: an outage counts as a wrong answer",
                    found.trim()
                ),
            });
        }
    }
}

/// Finds tests and solutions that lie in what the agent's image is built from.
fn leaks(files: &FileTree, findings: &mut Vec<Finding>) {
    for (path, file) in files.iter() {
        let Some(inner) = path.as_str().strip_prefix("environment/") else {
            continue;
        };
        // Small files are equal by chance.
        if file.bytes.len() < 32 {
            continue;
        }
        let twin = files.iter().find(|(other, hidden)| {
            let other = other.as_str();
            let is_hidden = other.starts_with("tests/")
                || other.starts_with("solution/")
                || other.starts_with("steps/")
                    && (other.contains("/tests/") || other.contains("/solution/"));
            is_hidden && hidden.bytes == file.bytes
        });
        if let Some((twin, _)) = twin {
            findings.push(Finding {
                rule: "agent-image-test-leak",
                place: format!("environment/{inner}"),
                what: format!("is the same as `{twin}`, which an agent must not see"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_pinned, unpinned};
    use crate::benchmark::fixture;
    use crate::benchmark::task::Task;

    #[test]
    fn finds_what_is_wrong() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("task");
        let test = "#!/bin/bash\n# pip install nothing\npip install pytest\n\
                    curl -LsSf https://x.org/install.sh | sh\ncurl localhost:80\n";
        let files = [
            (
                "task.toml",
                "artifacts = [\"/logs\", \"/app/a\", \"/app\"]\n[agent]\nuser = \"root\"\n",
            ),
            ("instruction.md", "Do.\n"),
            (
                "environment/Dockerfile",
                "FROM debian AS base\nFROM base\nFROM debian:12\nRUN pip install -r x requests a==1\n",
            ),
            ("environment/leak.sh", test),
            ("tests/test.sh", test),
        ];
        let files: Vec<(&str, String)> = files
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect();
        fixture::write(&path, &files);
        let task = Task::load(&path).expect("it loads");
        let found: Vec<String> = task
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.rule, finding.place))
            .collect();
        assert_eq!(
            found,
            [
                "shared-verifier task.toml",
                "root-agent task.toml",
                "artifact-log-overlap task.toml",
                "artifact-log-overlap task.toml",
                "overlapping-artifacts task.toml",
                "unpinned-image environment/Dockerfile:1",
                "unpinned-python-dependency environment/Dockerfile:4",
                "verifier-runtime-install tests/test.sh:3",
                "verifier-network-download tests/test.sh:4",
                "agent-image-test-leak environment/leak.sh",
            ]
        );
    }

    #[test]
    fn tells_pinned_from_moving() {
        for (image, pinned) in [
            ("debian", false),
            ("debian:latest", false),
            ("debian:bookworm", false),
            ("debian:12.1", true),
            ("localhost:5000/x", false),
            ("a/b@sha256:00", true),
        ] {
            assert_eq!(is_pinned(image), pinned, "{image}");
        }
        for (line, package) in [
            ("RUN pip install flask", Some("flask")),
            (
                "RUN pip install --no-cache-dir 'flask>=1' && x",
                Some("flask>=1"),
            ),
            ("RUN pip install flask==1.0 -r requirements.txt .", None),
            ("RUN pip install git+https://x.org/y", None),
            ("RUN apt-get install flask", None),
        ] {
            assert_eq!(unpinned(line), package, "{line}");
        }
    }
}
