//! The sandbox backends, each really tried.

use crate::sandbox::docker::{Engine, Survey};
use crate::sandbox::local::LocalSandbox;
use crate::sandbox::{Sandbox as _, SandboxError};
use crate::view::check::{Check, CheckState};

/// What a backend said.
pub(super) struct Backend {
    /// Its name, as `--sandbox` takes it.
    pub(super) name: &'static str,
    /// Whether runs can be done with it.
    pub(super) works: bool,
    /// The findings.
    pub(super) checks: Vec<Check>,
}

/// Tries every backend.
pub(super) async fn checks() -> Vec<Backend> {
    vec![local().await, docker().await]
}

/// Starts one empty sandbox, in a folder that goes away again.
async fn local() -> Backend {
    const NAME: &str = "local";
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            let found = format!("no temporary folder can be made: {error}");
            let advice = "free some space, or point `TMPDIR` at a folder of your own";
            return broken(NAME, Check::missing("local sandbox", found, advice));
        }
    };
    let sandbox = LocalSandbox::new(folder.path().to_owned());
    if let Err(error) = sandbox.check(&[]).await {
        return broken(NAME, unusable("local sandbox", &error));
    }
    let found = "bubblewrap works with user namespaces: a sandbox was started";
    let mut checks = vec![Check::ok("local sandbox", found)];
    let lacks = sandbox.lacks();
    if !lacks.is_empty() {
        checks.push(Check::warn(
            "local limits",
            lacks.join("; "),
            "give `dgm` a control group of its own, for example with \
             `systemd-run --user --scope -p Delegate=yes dgm …`, or use `--sandbox docker`",
        ));
    }
    Backend {
        name: NAME,
        works: true,
        checks,
    }
}

async fn docker() -> Backend {
    const NAME: &str = "docker";
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) => return broken(NAME, unusable("docker engine", &error)),
    };
    let survey = match engine.survey().await {
        Ok(survey) => survey,
        Err(error) => return broken(NAME, unusable("docker engine", &error)),
    };
    Backend {
        name: NAME,
        works: true,
        checks: vec![
            Check::ok("docker engine", engine_text(&engine, &survey)),
            images(&survey),
        ],
    }
}

fn engine_text(engine: &Engine, survey: &Survey) -> String {
    let cgroups = match survey.cgroups.as_str() {
        "" => "cgroups not known".to_owned(),
        version => format!("cgroups version {version}"),
    };
    format!(
        "{}, API {}, {cgroups}, storage {}",
        engine.version, engine.api, survey.storage
    )
}

fn images(survey: &Survey) -> Check {
    if survey.images.is_empty() {
        return Check::warn(
            "docker images",
            "no image of ours (`dgm-…`) is there",
            "build what the tasks need with `dgm bench build`",
        );
    }
    Check::ok("docker images", survey.images.join(", "))
}

fn broken(name: &'static str, check: Check) -> Backend {
    Backend {
        name,
        works: false,
        checks: vec![check],
    }
}

/// Says what is wrong with its whole cause, and what to do.
fn unusable(name: &str, error: &SandboxError) -> Check {
    let (found, advice) = match error {
        SandboxError::Unavailable { what, hint } => (what.clone(), Some(hint.clone())),
        SandboxError::Failed { what, source } => (format!("{what}: {source:#}"), None),
        SandboxError::NoImage { .. } | SandboxError::Cancelled => (error.to_string(), None),
    };
    Check {
        name: name.to_owned(),
        state: CheckState::Missing,
        found,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckState, Survey, images, unusable};
    use crate::sandbox::SandboxError;

    #[test]
    fn a_failure_is_told_with_its_cause() {
        let error = SandboxError::Failed {
            what: "could not start".to_owned(),
            source: anyhow::anyhow!("inner").context("outer"),
        };
        let check = unusable("local sandbox", &error);
        assert_eq!(check.found, "could not start: outer: inner");
        assert_eq!((check.state, check.advice), (CheckState::Missing, None));
    }

    #[test]
    fn says_how_to_get_images() {
        let survey = |images: &[&str]| Survey {
            cgroups: "2".to_owned(),
            storage: "overlay2".to_owned(),
            images: images.iter().map(|&image| image.to_owned()).collect(),
        };
        assert_eq!(images(&survey(&[])).state, CheckState::Warn);
        assert_eq!(
            images(&survey(&["dgm-a:1", "dgm-b:1"])).found,
            "dgm-a:1, dgm-b:1"
        );
    }
}
