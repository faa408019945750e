//! Makes the steps of a task of its manifest and its files.

use super::fault::{LoadError, Spot};
use super::folder;
use super::hidden::Hidden;
use super::manifest::{self, Environment, Manifest, VerifierMode};
use super::recipe::Recipe;
use super::step::{FreshVerifier, Step, StepVerifier};
use super::task_files::{self, DEFAULT_VERIFIER_TIMEOUT};
use crate::domain::FileTree;
use crate::sandbox::Network;
use std::sync::Arc;

/// What the steps of a task have in common.
pub(super) struct Common<'a> {
    pub(super) files: &'a FileTree,
    pub(super) manifest: &'a Manifest,
    /// Image of the task.
    pub(super) image: Option<&'a str>,
    /// Network where nothing is said.
    pub(super) network: Network,
}

/// Returns the steps of a task, and the images that only verifiers need.
pub(super) fn all(common: &Common<'_>) -> Result<(Vec<Step>, Vec<Recipe>), LoadError> {
    let mut recipes = Vec::new();
    if common.manifest.steps.is_empty() {
        return Ok((vec![common.only(&mut recipes)?], recipes));
    }
    let mut steps = Vec::new();
    for step in &common.manifest.steps {
        steps.push(common.step(step, &mut recipes)?);
    }
    Ok((steps, recipes))
}

impl Common<'_> {
    fn only(&self, recipes: &mut Vec<Recipe>) -> Result<Step, LoadError> {
        let Manifest {
            agent, environment, ..
        } = self.manifest;
        let tests = folder::below(self.files, "tests");
        let solution = folder::below(self.files, "solution");
        let verifier = self.verifier(None, &tests, recipes)?;
        task_files::require_script(&tests, verifier.fresh.as_ref(), "tests/test.sh")?;
        Ok(Step {
            name: None,
            instruction: task_files::instruction(self.files, "instruction.md")?,
            files: Arc::default(),
            agent_timeout: agent.timeout,
            agent_user: agent.user.clone(),
            agent_network: agent.network.unwrap_or(self.network),
            health: environment.health.iter().cloned().collect(),
            verifier,
            tests: Hidden(Arc::new(tests)),
            solution: task_files::solution(solution),
            artifacts: self.manifest.artifacts.clone(),
            collect: self.manifest.verifier.collect.clone(),
            min_reward: Vec::new(),
        })
    }

    fn step(&self, step: &manifest::Step, recipes: &mut Vec<Recipe>) -> Result<Step, LoadError> {
        let Manifest {
            agent,
            environment,
            verifier: of_task,
            ..
        } = self.manifest;
        let folder = format!("steps/{}", step.name);
        let below = |name: &str| folder::below(self.files, &format!("{folder}/{name}"));
        // The task's own tests come first, the step's replace them file by file.
        let mut tests = folder::below(self.files, "tests");
        let own = below("tests");
        for (path, file) in own.iter() {
            tests.insert(path.clone(), file.bytes.clone(), file.executable);
        }
        let verifier = self.verifier(Some(step), &own, recipes)?;
        let script = format!("{folder}/tests/test.sh");
        task_files::require_script(&tests, verifier.fresh.as_ref(), &script)?;
        let health = environment.health.iter().chain(&step.health);
        let artifacts = self.manifest.artifacts.iter().chain(&step.artifacts);
        let collect = of_task.collect.iter().chain(&step.verifier.collect);
        Ok(Step {
            name: Some(step.name.clone()),
            instruction: task_files::instruction(self.files, &format!("{folder}/instruction.md"))?,
            files: Arc::new(below("workdir")),
            agent_timeout: step.agent.timeout.or(agent.timeout),
            agent_user: step.agent.user.clone().or_else(|| agent.user.clone()),
            agent_network: step.agent.network.or(agent.network).unwrap_or(self.network),
            health: health.cloned().collect(),
            verifier,
            tests: Hidden(Arc::new(tests)),
            solution: task_files::solution(below("solution")),
            artifacts: artifacts.cloned().collect(),
            collect: collect.cloned().collect(),
            min_reward: step.min_reward.clone(),
        })
    }

    fn verifier(
        &self,
        step: Option<&manifest::Step>,
        own_tests: &FileTree,
        recipes: &mut Vec<Recipe>,
    ) -> Result<StepVerifier, LoadError> {
        let of_task = &self.manifest.verifier;
        let of_step = step.map(|step| &step.verifier);
        let mode = of_step.and_then(|verifier| verifier.mode).or(of_task.mode);
        let mut env = of_task.env.clone();
        env.extend(of_step.iter().flat_map(|verifier| verifier.env.clone()));
        let user = of_step.and_then(|verifier| verifier.user.clone());
        let fresh = match mode.unwrap_or(VerifierMode::Shared) {
            VerifierMode::Shared => None,
            VerifierMode::Separate => Some(self.fresh(step, own_tests, recipes)?),
        };
        let environment = of_step
            .and_then(|verifier| verifier.environment.as_ref())
            .or(of_task.environment.as_ref())
            .filter(|_| fresh.is_some());
        let network = of_step
            .and_then(|verifier| verifier.network)
            .or(of_task.network)
            .or(environment.and_then(|environment| environment.network));
        Ok(StepVerifier {
            // Harbor's default stands in each step: a step does not inherit the task's.
            timeout: match of_step {
                Some(verifier) => verifier.timeout,
                None => of_task.timeout,
            }
            .unwrap_or(DEFAULT_VERIFIER_TIMEOUT),
            env,
            user: user.or_else(|| of_task.user.clone()),
            network: network.unwrap_or(self.network),
            fresh,
        })
    }

    /// Returns the verifier's own sandbox: an image that the step names or that its tests'
    /// `Dockerfile` builds, then those of the task, then the task's image.
    fn fresh(
        &self,
        step: Option<&manifest::Step>,
        own_tests: &FileTree,
        recipes: &mut Vec<Recipe>,
    ) -> Result<FreshVerifier, LoadError> {
        let of_task = self.manifest.verifier.environment.as_ref();
        let of_step = step.and_then(|step| step.verifier.environment.as_ref());
        let shared_tests = folder::below(self.files, "tests");
        let own_folder = step.map(|step| format!("steps/{}/tests", step.name));
        let mut candidates: Vec<(Option<&Environment>, &FileTree, &str)> = Vec::new();
        if let Some(folder) = &own_folder {
            candidates.push((of_step, own_tests, folder));
        }
        candidates.push((of_task, &shared_tests, "tests"));
        let settings = of_step.or(of_task).unwrap_or(&self.manifest.environment);
        let fresh = |image: Option<String>, bundled| FreshVerifier {
            image,
            bundled,
            workdir: settings.workdir.clone(),
            env: settings.env.clone(),
            health: settings.health.iter().cloned().collect(),
            setup: settings.build_timeout,
            cpus: settings.cpus,
            memory: settings.memory,
            disk: settings.storage,
        };
        for (environment, tests, folder) in candidates {
            if let Some(image) = environment.and_then(|environment| environment.image.clone()) {
                return Ok(fresh(Some(image), true));
            }
            if tests.get("docker-compose.yaml").is_some() {
                return Err(LoadError::Unsupported {
                    spot: Spot::file(format!("{folder}/docker-compose.yaml")),
                    what: "a verifier of services".to_owned(),
                    todo: "write a `Dockerfile` in its place",
                });
            }
            if tests.get("Dockerfile").is_some() {
                let recipe = task_files::recipe("tests", tests.clone(), settings.build_timeout);
                let image = recipe.image.clone();
                recipes.push(recipe);
                return Ok(fresh(Some(image), true));
            }
        }
        Ok(fresh(self.image.map(str::to_owned), false))
    }
}
