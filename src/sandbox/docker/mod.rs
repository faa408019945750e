//! Containers through the engine's API.
//!
//! Invariants: what a container may do is decided in [`container`] alone; a container belongs
//! to one archive by its label, and nobody else's is ever touched ([`reap`]); images are never
//! pulled, only looked up, and built when somebody asks for it ([`image`]).
//!
//! The engine itself is trusted: whoever may use its socket is root on this machine. The
//! socket is therefore never seen inside.

mod container;
mod engine;
mod files;
pub mod image;
mod layer;
mod life;
mod profile;
mod reap;
mod run;
pub mod store;
mod survey;

use super::{Ended, ImageRoot, Root, Sandbox, SandboxError, Spec, State, flow};
use crate::sys::clock;
use anyhow::Context as _;
use container::Setting;
pub use engine::Engine;
use files::Files;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use life::Life;
pub use reap::{ARCHIVE_LABEL, CREATED_LABEL, JOB_LABEL};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
pub use survey::Survey;
use tokio_util::sync::CancellationToken;

/// The backend that gives each run a container of its own.
#[derive(Clone, Debug)]
pub struct DockerSandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    archive: String,
    runtime: PathBuf,
    files: Files,
    /// What images are like, asked once for each: the same one for a whole run, whatever its
    /// name comes to mean.
    images: Mutex<HashMap<String, Arc<image::Facts>>>,
    /// What the engine has warned of; said once.
    warned: Mutex<HashSet<String>>,
}

impl DockerSandbox {
    /// Connects to the engine. `archive` goes into the label of every container; agents'
    /// files are kept in a folder of `runtime` that must be this archive's own and that the
    /// engine must be able to see.
    pub async fn connect(archive: String, runtime: PathBuf) -> Result<Self, SandboxError> {
        let engine = Engine::connect().await?;
        if archive.is_empty() {
            return Err(SandboxError::Unavailable {
                what: "the archive has no label".to_owned(),
                hint: "without one its containers could not be told from others".to_owned(),
            });
        }
        // The engine takes absolute paths only.
        let runtime = std::path::absolute(&runtime).map_err(|source| SandboxError::Failed {
            what: format!("could not find `{}`", runtime.display()),
            source: source.into(),
        })?;
        let files = Files::make(&runtime).map_err(|source| SandboxError::Failed {
            what: format!("could not use the folder `{}`", runtime.display()),
            source: source.into(),
        })?;
        let inner = Inner {
            engine,
            archive,
            runtime,
            files,
            images: Mutex::default(),
            warned: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns the engine, for building and looking up images.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }
}

impl Sandbox for DockerSandbox {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn has_images(&self) -> bool {
        true
    }

    fn check<'a>(&'a self, images: &'a [String]) -> BoxFuture<'a, Result<(), SandboxError>> {
        async {
            // Connects anew: the engine may have gone since.
            let engine = Engine::connect().await?;
            engine.check_limits()?;
            let missing = image::missing(&engine, images).await?;
            if missing.is_empty() {
                return Ok(());
            }
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            Err(SandboxError::Unavailable {
                what: match names.as_slice() {
                    [name] => format!("image {name} is not there"),
                    names => format!("images {} are not there", names.join(", ")),
                },
                hint: "build what the tasks need with `dgm bench build`".to_owned(),
            })
        }
        .boxed()
    }

    fn run<'a>(
        &'a self,
        spec: Spec,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<Ended, SandboxError>> {
        let inner = self.inner.clone();
        async move {
            let cancel = cancel.child_token();
            let job = spec.job.clone();
            let of_task = cancel.clone();
            let task = tokio::spawn(async move { inner.run(&spec, &of_task).await });
            // When this future is dropped the task hears of it and removes its container.
            let _stop = cancel.drop_guard();
            task.await.unwrap_or_else(|error| {
                Err(SandboxError::Failed {
                    what: format!("the run of `{job}` broke off"),
                    source: error.into(),
                })
            })
        }
        .boxed()
    }

    fn image_id<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Option<String>> {
        async move {
            let facts = self.inner.facts(image).await;
            facts.ok().map(|facts| facts.id.clone())
        }
        .boxed()
    }

    fn discard(&self, state: State) -> BoxFuture<'_, ()> {
        async move {
            layer::discard(&self.inner.engine, &state).await;
        }
        .boxed()
    }

    fn reap(&self) -> BoxFuture<'_, Result<usize, SandboxError>> {
        async {
            let Inner {
                engine,
                archive,
                runtime,
                ..
            } = &*self.inner;
            let containers = reap::reap(engine, archive).await?;
            let states = layer::reap(engine, archive).await?;
            let folders = files::reap(runtime).map_err(|source| SandboxError::Failed {
                what: format!("could not clean the folder `{}`", runtime.display()),
                source: source.into(),
            })?;
            Ok(containers + states + folders)
        }
        .boxed()
    }
}

impl Inner {
    async fn run(&self, spec: &Spec, cancel: &CancellationToken) -> Result<Ended, SandboxError> {
        let unusable = |source| SandboxError::Failed {
            what: format!("could not prepare the container of `{}`", spec.job),
            source,
        };
        flow::check(spec)?;
        let Some(image) = &spec.image else {
            return Err(unusable(anyhow::anyhow!("the task names no image")));
        };
        if let Some(folder) = &spec.socket_dir {
            check_socket(folder).map_err(unusable)?;
        }
        // Held until the container is gone.
        let agent = match &spec.agent {
            Some(agent) => {
                let folder = self.files.agent(agent).await;
                Some(folder.map_err(|error| unusable(error.into()))?)
            }
            None => None,
        };
        let facts = self.facts(image).await?;
        let workdir = spec.workdir.as_deref().unwrap_or(&facts.workdir);
        let setting = Setting {
            archive: &self.archive,
            created: clock::now_ms(),
            cpus: self.engine.cpus,
            agent: agent.as_ref().map(|folder| folder.path()),
            hosts: &self.files.hosts(),
            volumes: &facts.volumes,
            user: &facts.user,
            command: match &spec.root {
                Root::Sealed => flow::argv(spec, "sh"),
                Root::Image(root) => {
                    let gone = layer::gone(&root.layers).map_err(|error| unusable(error.into()))?;
                    let removed = root.removed.iter().cloned().chain(gone).collect();
                    let root = ImageRoot {
                        removed,
                        ..root.clone()
                    };
                    flow::image_argv(spec, &root, workdir, &facts.entry)
                }
            },
        };
        if cancel.is_cancelled() {
            return Err(SandboxError::Cancelled);
        }
        let warn = |text: &str| self.warn(text);
        match &spec.root {
            Root::Sealed => {
                let body = container::body(spec, &facts.id, setting)
                    .map_err(|sentence| unusable(anyhow::anyhow!(sentence)))?;
                run::run(&self.engine, spec, body, warn, cancel).await
            }
            Root::Image(root) => {
                let life = Life {
                    engine: &self.engine,
                    spec,
                    root,
                    image: root.from.as_ref().map_or(&facts.id, |state| &state.name),
                    setting,
                    workdir,
                };
                life.run(warn, cancel).await
            }
        }
    }

    async fn facts(&self, image: &str) -> Result<Arc<image::Facts>, SandboxError> {
        let known = |inner: &Self| {
            let images = inner.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.get(image).cloned()
        };
        if let Some(facts) = known(self) {
            return Ok(facts);
        }
        let Some(facts) = image::Facts::of(&self.engine, image).await? else {
            return Err(SandboxError::NoImage {
                image: image.to_owned(),
            });
        };
        let facts = Arc::new(facts);
        let mut all = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(image.to_owned(), facts.clone());
        Ok(facts)
    }

    fn warn(&self, text: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(text.to_owned()) {
            tracing::warn!("the container engine says: {text}");
        }
    }
}

/// Checks that the user inside can get at the socket: an agent that cannot would be blamed.
fn check_socket(folder: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(folder)
        .with_context(|| format!("cannot look at the socket's folder `{}`", folder.display()))?;
    anyhow::ensure!(
        metadata.mode() & 0o001 != 0,
        "the socket's folder `{}` is closed to others, so to the user inside: let a folder \
         around it keep others out",
        folder.display()
    );
    Ok(())
}
