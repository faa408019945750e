//! A container engine for tests, and what they leave in it.

use dgm::benchmark::Task;
use dgm::benchmark::images::{Made, Making, needed, prepare};
use dgm::sandbox::docker::image::BuildNetwork;
use dgm::sandbox::docker::{ARCHIVE_LABEL, DockerSandbox};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A sandbox with a label of its own.
pub(crate) struct Engines {
    pub(crate) sandbox: DockerSandbox,
    label: String,
    _runtime: TempDir,
}

impl Engines {
    /// Connects; without an engine the test fails (`tests/bring docker`).
    pub(crate) async fn connect(name: &str) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let label = format!("{name}-{}", std::process::id());
        let sandbox = DockerSandbox::connect(label.clone(), runtime.path().to_owned()).await;
        Self {
            sandbox: sandbox.expect("an engine runs (tests/bring docker starts one)"),
            label,
            _runtime: runtime,
        }
    }

    /// Builds the images of tasks; returns each with why it could not be built.
    pub(crate) async fn try_prepare(&self, tasks: &[Arc<Task>]) -> Vec<(String, Option<String>)> {
        let needed = needed(tasks);
        let making = Making {
            jobs: 2,
            network: BuildNetwork {
                host: true,
                ..BuildNetwork::default()
            },
            pull: false,
        };
        let engine = self.sandbox.engine();
        let made = prepare(engine, &needed, &making, &|_, _| {}, &|_, _| {}).await;
        let with_name = needed.iter().zip(made).map(|(needed, made)| {
            let why = match made {
                Made::Failed(why) => Some(why),
                Made::There | Made::Built | Made::Pulled => None,
            };
            (needed.name.clone(), why)
        });
        with_name.collect()
    }

    /// Builds the images of tasks.
    pub(crate) async fn prepare(&self, tasks: &[Arc<Task>]) {
        for (name, why) in self.try_prepare(tasks).await {
            assert_eq!(why, None, "{name}");
        }
    }

    /// Returns the containers and states that carry the label.
    pub(crate) fn left(&self) -> String {
        let filter = format!("label={ARCHIVE_LABEL}={}", self.label);
        let ids = |what| docker(&[what, "--all", "--quiet", "--filter", &filter]);
        format!("{}{}", ids("ps"), ids("images"))
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // Only where a test has failed: what should have been gone.
        let filter = format!("label={ARCHIVE_LABEL}={}", self.label);
        for (list, remove) in [("ps", "rm"), ("images", "rmi")] {
            for id in docker(&[list, "--all", "--quiet", "--filter", &filter]).lines() {
                drop(
                    Command::new("docker")
                        .args([remove, "--force", id])
                        .output(),
                );
            }
        }
    }
}

/// Runs the engine's own client and returns what it says.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    let output = output.expect("the command `docker` is there (tests/bring docker)");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {fault}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
