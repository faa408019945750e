//! The images that tasks need: built from the tasks' recipes or pulled, a few at once.
//!
//! Invariant: one image that cannot be had keeps no other from being made; and an image that
//! is there is left as it is.

use super::recipe::Recipe;
use super::task::Task;
use crate::sandbox::SandboxError;
use crate::sandbox::docker::Engine;
use crate::sandbox::docker::image::{self, BuildNetwork, Built};
use crate::sandbox::docker::store;
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How images are made ready.
#[derive(Clone, Debug)]
pub struct Making {
    /// Images at once.
    pub jobs: usize,
    /// How builds reach what they fetch.
    pub network: BuildNetwork,
    /// Whether what is not built here may be pulled.
    pub pull: bool,
}

/// What was done for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was there.
    There,
    /// It was built.
    Built,
    /// It was pulled.
    Pulled,
    /// It could not be had; why, in one text.
    Failed(String),
}

/// One image that tasks need.
#[derive(Clone, Debug)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// The tasks that need it.
    pub tasks: Vec<String>,
    recipe: Option<Recipe>,
    timeout: Duration,
}

impl Needed {
    /// Returns whether its name is one of this program's own recipes.
    pub fn is_own(&self) -> bool {
        self.recipe.is_none() && self.name.starts_with("dgm-") && !self.name.contains('/')
    }

    /// Returns whether it is built from a task's files.
    pub fn is_built(&self) -> bool {
        self.recipe.is_some()
    }
}

/// Returns the images that tasks need, each once, in order of name.
pub fn needed<'a>(tasks: impl IntoIterator<Item = &'a Arc<Task>>) -> Vec<Needed> {
    let mut all: BTreeMap<String, Needed> = BTreeMap::new();
    for task in tasks {
        let recipes = task
            .recipes
            .iter()
            .map(|recipe| (&recipe.image, Some(recipe)));
        let verifiers = task.verifier_images();
        let named = task.image.iter().chain(verifiers).map(|name| (name, None));
        for (name, recipe) in recipes.chain(named) {
            let needed = all.entry(name.clone()).or_insert_with(|| Needed {
                name: name.clone(),
                tasks: Vec::new(),
                recipe: recipe.cloned(),
                timeout: recipe.map_or(task.build_timeout, |recipe| recipe.timeout),
            });
            if needed.tasks.last().map(String::as_str) != Some(task.id.as_str()) {
                needed.tasks.push(task.id.as_str().to_owned());
            }
        }
    }
    all.into_values().collect()
}

/// Makes images ready, several at once. `progress` gets lines of builds and pulls with the
/// image's name, `done` each image as it is ready or failed. Results come back in the order
/// given.
pub async fn prepare(
    engine: &Engine,
    needed: &[Needed],
    making: &Making,
    progress: &(dyn Fn(&str, &str) + Sync),
    done: &(dyn Fn(&str, &Made) + Sync),
) -> Vec<Made> {
    let mut made: Vec<(usize, Made)> = futures_util::stream::iter(needed.iter().enumerate())
        .map(|(at, needed)| async move {
            let mut line = |line: &str| progress(&needed.name, line);
            let making = make(engine, needed, making, &mut line);
            let made = match timeout(needed.timeout, making).await {
                Ok(Ok(made)) => made,
                Ok(Err(error)) => Made::Failed(crate::sandbox::describe(&error)),
                Err(_) => Made::Failed(format!(
                    "the image `{}` was not ready within {} s (`build_timeout_sec`)",
                    needed.name,
                    needed.timeout.as_secs()
                )),
            };
            done(&needed.name, &made);
            (at, made)
        })
        .buffer_unordered(making.jobs.max(1))
        .collect()
        .await;
    made.sort_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, made)| made).collect()
}

async fn make(
    engine: &Engine,
    needed: &Needed,
    making: &Making,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<Made, SandboxError> {
    if let Some(recipe) = &needed.recipe {
        let files = &recipe.files.0;
        let built = image::build(engine, files, &needed.name, &making.network, line).await?;
        return Ok(match built {
            Built::UpToDate => Made::There,
            Built::Built => Made::Built,
        });
    }
    if image::digest_of(engine, &needed.name).await?.is_some() {
        return Ok(Made::There);
    }
    // Names of our own recipes are no registry's.
    if needed.is_own() {
        return Ok(Made::Failed(format!(
            "the image `{0}` is not there: make it with `dgm bench build {0}`",
            needed.name
        )));
    }
    if !making.pull {
        return Ok(Made::Failed(format!(
            "the image `{}` is not there",
            needed.name
        )));
    }
    store::pull(engine, &needed.name, line).await?;
    Ok(Made::Pulled)
}
