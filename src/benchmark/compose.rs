//! `environment/docker-compose.yaml` with the one service `main`: what of it a single container
//! can do.
//!
//! Invariant: a key that would change what a task means is honored or refused by name; the
//! keys passed over are those that only name things or that Harbor itself sets.

use super::fault::{LoadError, Spot};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

/// The file.
pub(super) const FILE: &str = "environment/docker-compose.yaml";

/// What it says of `main`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compose {
    pub(super) image: Option<String>,
    /// Folder below `environment/`, empty for itself, and the name of the recipe in it.
    pub(super) build: Option<(String, String)>,
    pub(super) env: Vec<(String, String)>,
    pub(super) workdir: Option<String>,
    pub(super) user: Option<String>,
}

/// Keys that say nothing about what runs in one container.
const PASSED_OVER: [&str; 12] = [
    "container_name",
    "hostname",
    "init",
    "labels",
    "logging",
    "platform",
    "pull_policy",
    "restart",
    "stdin_open",
    "stop_grace_period",
    "tty",
    "x-harbor",
];

impl Compose {
    /// Reads the file.
    pub(super) fn read(text: &str) -> Result<Self, LoadError> {
        let documents = YamlLoader::load_from_str(text)
            .map_err(|error| invalid("", format!("is no YAML: {error}")))?;
        let Some(Yaml::Hash(root)) = documents.first() else {
            return Err(invalid("", "holds no table"));
        };
        let Some(Yaml::Hash(services)) = root.get(&key("services")) else {
            return Err(invalid("services", "is missing, or no table"));
        };
        for name in names(root) {
            if !["services", "version", "name"].contains(&name.as_str()) && !name.starts_with("x-")
            {
                return Err(unsupported(&name, format!("`{name}`")));
            }
        }
        let others: Vec<String> = names(services).filter(|name| name != "main").collect();
        if !others.is_empty() {
            let what = format!("a task of several services (`{}`)", others.join("`, `"));
            return Err(unsupported("services", what));
        }
        match services.get(&key("main")) {
            Some(Yaml::Hash(main)) => service(main),
            Some(Yaml::Null) => Ok(Self::default()),
            Some(_) | None => Err(invalid(
                "services.main",
                "is missing: it is where an agent works",
            )),
        }
    }
}

fn service(main: &Hash) -> Result<Compose, LoadError> {
    let mut compose = Compose::default();
    for (name, value) in main {
        let name = text(name).unwrap_or_default();
        let at = format!("services.main.{name}");
        match name.as_str() {
            "image" => compose.image = Some(plain(&at, value)?).filter(|image| !is_given(image)),
            "build" => compose.build = Some(build(&at, value)?),
            "environment" => compose.env = environment(&at, value)?,
            "working_dir" => compose.workdir = Some(plain(&at, value)?),
            "user" => compose.user = Some(plain(&at, value)?),
            // Harbor's own, which keeps the container alive while others work in it.
            "command" if only_waits(value) => {}
            // Harbor's own folders for logs.
            "volumes" if all_given(value) => {}
            "privileged" if *value == Yaml::Boolean(false) => {}
            _ if PASSED_OVER.contains(&name.as_str()) => {}
            _ => return Err(unsupported(&at, format!("`{name}`"))),
        }
    }
    Ok(compose)
}

fn build(at: &str, value: &Yaml) -> Result<(String, String), LoadError> {
    let (context, recipe) = match value {
        Yaml::Hash(parts) => {
            for name in names(parts) {
                if !["context", "dockerfile"].contains(&name.as_str()) {
                    return Err(unsupported(&format!("{at}.{name}"), format!("`{name}`")));
                }
            }
            let part = |name: &str| {
                let value = parts.get(&key(name));
                value
                    .map(|value| plain(&format!("{at}.{name}"), value))
                    .transpose()
            };
            (part("context")?, part("dockerfile")?)
        }
        value => (Some(plain(at, value)?), None),
    };
    let context = context
        .filter(|context| !is_given(context))
        .unwrap_or_default();
    let context = context.trim_start_matches("./").trim_matches('/');
    let context = if context == "." { "" } else { context };
    let recipe = recipe.unwrap_or_else(|| "Dockerfile".to_owned());
    let recipe = recipe.trim_start_matches("./").to_owned();
    if context
        .split('/')
        .chain(recipe.split('/'))
        .any(|part| part == "..")
    {
        return Err(invalid(at, "leaves `environment/`"));
    }
    Ok((context.to_owned(), recipe))
}

fn environment(at: &str, value: &Yaml) -> Result<Vec<(String, String)>, LoadError> {
    match value {
        Yaml::Hash(pairs) => pairs
            .iter()
            .map(|(name, value)| {
                let name = text(name).unwrap_or_default();
                let value = plain(&format!("{at}.{name}"), value)?;
                Ok((name, value))
            })
            .collect(),
        Yaml::Array(lines) => lines
            .iter()
            .map(|line| {
                let line = plain(at, line)?;
                match line.split_once('=') {
                    Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                    None => {
                        let what = format!("`{line}`, a value from this machine,");
                        Err(unsupported(at, what))
                    }
                }
            })
            .collect(),
        _ => Err(invalid(at, "is neither a table nor a list")),
    }
}

/// Returns a value as text; variables of this machine are refused, but for Harbor's own names.
fn plain(at: &str, value: &Yaml) -> Result<String, LoadError> {
    let Some(text) = text(value) else {
        return Err(invalid(at, "is no plain value"));
    };
    if text.contains("${") && !is_given(&text) {
        return Err(unsupported(
            at,
            format!("`{text}`, a value from this machine,"),
        ));
    }
    Ok(text)
}

fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(on) => Some(on.to_string()),
        Yaml::Array(_) | Yaml::Hash(_) | Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => None,
    }
}

/// Returns whether a text is a variable that Harbor sets.
fn is_given(text: &str) -> bool {
    [
        "${CONTEXT_DIR}",
        "${MAIN_IMAGE_NAME}",
        "${PREBUILT_IMAGE_NAME}",
    ]
    .contains(&text)
}

fn only_waits(value: &Yaml) -> bool {
    let words = match value {
        Yaml::Array(words) => words.iter().filter_map(text).collect::<Vec<_>>().join(" "),
        value => text(value).unwrap_or_default(),
    };
    words.contains("sleep infinity") || words.contains("tail -f /dev/null")
}

fn all_given(value: &Yaml) -> bool {
    let Yaml::Array(entries) = value else {
        return false;
    };
    entries.iter().all(|entry| {
        text(entry)
            .is_some_and(|entry| entry.starts_with("${HOST_") && entry.contains("_LOGS_PATH}"))
    })
}

fn key(name: &str) -> Yaml {
    Yaml::String(name.to_owned())
}

fn names(table: &Hash) -> impl Iterator<Item = String> {
    table.keys().map(|name| text(name).unwrap_or_default())
}

fn spot(at: &str) -> Spot {
    Spot {
        key: at.to_owned(),
        ..Spot::file(FILE)
    }
}

fn invalid(at: &str, why: impl Into<String>) -> LoadError {
    LoadError::Invalid {
        spot: spot(at),
        why: why.into(),
    }
}

fn unsupported(at: &str, what: String) -> LoadError {
    LoadError::Unsupported {
        spot: spot(at),
        what,
        todo: "a task has one container here: bring what it needs into its image, or run it \
               with Harbor",
    }
}

#[cfg(test)]
mod tests {
    use super::Compose;

    #[test]
    fn takes_what_one_container_can_do() {
        let text = "version: '3'\nservices:\n  main:\n    build:\n      context: ${CONTEXT_DIR}\n      \
                    dockerfile: ./Dockerfile.main\n    image: ${MAIN_IMAGE_NAME}\n    \
                    command: [ \"sh\", \"-c\", \"sleep infinity\" ]\n    environment:\n      \
                    - A=b=c\n      - N=1\n    working_dir: /srv\n    user: 1000\n    \
                    container_name: x\n    volumes:\n      - ${HOST_VERIFIER_LOGS_PATH}:/logs/verifier\n";
        let compose = Compose::read(text).expect("one container can do it");
        assert_eq!(
            compose.build,
            Some((String::new(), "Dockerfile.main".to_owned()))
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(compose.env, [pair("A", "b=c"), pair("N", "1")]);
        assert_eq!(compose.workdir.as_deref(), Some("/srv"));
        assert_eq!(
            (compose.user.as_deref(), compose.image),
            (Some("1000"), None)
        );
        let text = "services:\n  main:\n    image: debian:12\n    environment: { A: 1, B: true }\n";
        let compose = Compose::read(text).expect("one container can do it");
        assert_eq!(compose.image.as_deref(), Some("debian:12"));
        assert_eq!(compose.env, [pair("A", "1"), pair("B", "true")]);
        let empty = Compose::read("services:\n  main:\n").expect("it says nothing");
        assert_eq!(empty, Compose::default());
    }

    #[test]
    fn refuses_the_rest_by_name() {
        for (text, named) in [
            ("services: [", "is no YAML"),
            ("- a", "holds no table"),
            ("version: 3", "`services`: is missing"),
            ("services: { web: {} }", "several services (`web`)"),
            (
                "services: { main: {}, db: {}, cache: {} }",
                "several services (`db`, `cache`)",
            ),
            ("services: { main: 3 }", "`services.main`: is missing"),
            ("services: { main: {} }\nvolumes: { a: }", "`volumes`"),
            ("services: { main: { privileged: true } }", "`privileged`"),
            ("services: { main: { cap_add: [SYS_ADMIN] } }", "`cap_add`"),
            ("services: { main: { volumes: ['/:/host'] } }", "`volumes`"),
            ("services: { main: { command: 'nginx' } }", "`command`"),
            ("services: { main: { depends_on: [db] } }", "`depends_on`"),
            (
                "services: { main: { network_mode: host } }",
                "`network_mode`",
            ),
            (
                "services: { main: { build: { context: ., target: x } } }",
                "`target`",
            ),
            (
                "services: { main: { build: ../.. } }",
                "leaves `environment/`",
            ),
            (
                "services: { main: { environment: [HOME] } }",
                "`HOME`, a value from this machine",
            ),
            (
                "services: { main: { environment: { K: '${API_KEY}' } } }",
                "`${API_KEY}`",
            ),
            (
                "services: { main: { environment: 3 } }",
                "neither a table nor a list",
            ),
            ("services: { main: { image: [a] } }", "is no plain value"),
        ] {
            let error = Compose::read(text).map_err(|error| error.sentence());
            let error = error.expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
