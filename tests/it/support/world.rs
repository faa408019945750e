//! A small world to evolve in: some tasks of `benchmarks/smoke`, the scripted model, a
//! configuration. Everything that the program makes lies in one folder, so that whatever it
//! leaves behind can be found.

use dgm::sys::durable;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A bound on everything that must happen soon: far more than a busy machine needs.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// The scripted model. Each of its starts is written down for the archive that it is started
/// for; while there is a file `hold-<archive>` it gives no answer, while there is a file
/// `hold-one-<archive>` the first that is asked gives none, and while there is a file
/// `out-<archive>` it fails.
const MODEL: &str = r#"#!/bin/sh
here=${0%/*}
name=${PWD##*/}
echo "$$" >>"$here/asked-$name"
while [ -e "$here/hold-$name" ]; do sleep 0.05; done
if [ -e "$here/hold-one-$name" ] && mkdir "$here/held-$name" 2>/dev/null; then
    while [ -e "$here/hold-one-$name" ]; do sleep 0.05; done
fi
if [ -e "$here/out-$name" ]; then echo "no route to the model" >&2; exit 1; fi
exec /usr/bin/python3 -I -S -E "$here/scripted-model/scripted.py" --tasks "$here/tasks"
"#;

/// What a world's configuration says.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) stages: &'static [&'static [&'static str]],
    pub(crate) generations: u32,
    pub(crate) attempts: u32,
    pub(crate) barrier: bool,
    pub(crate) workers: u32,
    pub(crate) backend: &'static str,
}

impl Plan {
    fn config(&self, folder: &Path) -> String {
        let stages: Vec<String> = self
            .stages
            .iter()
            .map(|tasks| format!("[[stages]]\ntasks = {tasks:?}\ngo_on = 0.3\n"))
            .collect();
        let model = folder.join("model.sh");
        let models = ["diagnose", "modify", "solve"].map(|role| {
            format!(
                "[models.{role}]\nprovider = \"command\"\nmodel = \"scripted\"\nfree = true\n\
                 command = [{model:?}]\n"
            )
        });
        let Self {
            generations,
            attempts,
            barrier,
            workers,
            backend,
            ..
        } = self;
        format!(
            "[benchmark]\npath = \"tasks\"\n{}\n[evolve]\nrandom_seed = 1\n\
             generations = {generations}\nattempts_per_generation = {attempts}\n\
             barrier = {barrier}\nworkers = {workers}\nmodify_timeout_sec = 300\n\
             grace_sec = 300\n[sandbox]\nbackend = \"{backend}\"\nmemory_mb = 512\n\
             disk_mb = 64\nprocesses = 64\n{}",
            stages.concat(),
            models.concat()
        )
    }
}

/// The world.
pub(crate) struct World {
    folder: tempfile::TempDir,
    started: AtomicU32,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        // Short, because paths of sockets below it may have no more than 107 bytes.
        let folder = tempfile::Builder::new().prefix("dgm-").tempdir_in("/tmp");
        let world = Self {
            folder: folder.unwrap(),
            started: AtomicU32::new(0),
        };
        let benchmarks = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks");
        copy(
            &benchmarks.join("scripted-model"),
            &world.path("scripted-model"),
        );
        for task in plan.stages.iter().copied().flatten() {
            world.add_task(task, "tasks");
        }
        let config = plan.config(world.folder.path());
        durable::write(&world.path("config.toml"), config.as_bytes()).unwrap();
        durable::write(&world.path("model.sh"), MODEL.as_bytes()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(world.path("model.sh"), mode).unwrap();
        world
    }

    /// Adds a task of `benchmarks/smoke` to a folder of tasks.
    pub(crate) fn add_task(&self, task: &str, folder: &str) {
        let benchmarks = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks");
        let place = self.path(folder).join(task);
        copy(&benchmarks.join("smoke").join(task), &place);
        // Nothing here may depend on how busy the machine is.
        let file = place.join("task.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let patient = text.replace("timeout_sec = 20", "timeout_sec = 300");
        assert_ne!(text, patient, "{task} names other times");
        durable::write(&file, patient.as_bytes()).unwrap();
    }

    /// A path in its folder, such as that of an archive.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with a command line that is split at spaces.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dgm"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env("SOURCE_DATE_EPOCH", "1750000000")
            .env("XDG_RUNTIME_DIR", self.path("r"))
            .stdin(Stdio::null());
        for name in ["PATH", "DOCKER_HOST"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs a command line to its end.
    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command line that must succeed; returns data and talk.
    pub(crate) fn done(&self, line: &str) -> (String, String) {
        let output = self.output(line);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (data, talk) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{line}: {}\n{talk}", output.status);
        (data, talk)
    }

    /// Evolves an archive to its goal; it is made if it is not there.
    pub(crate) fn evolve(&self, archive: &str) -> PathBuf {
        self.done(&format!("evolve {archive} --config config.toml"));
        self.path(archive)
    }

    /// Serves the models of all roles over HTTP instead; `key` says where the key is.
    pub(crate) fn serve(&self, url: &str, key: &str) {
        let program = format!("command = [{:?}]\n", self.path("model.sh"));
        for _role in ["diagnose", "modify", "solve"] {
            self.configure("provider = \"command\"", "provider = \"openai\"");
            self.configure(&program, &format!("base_url = {url:?}\n{key}\n"));
        }
    }

    /// Starts a command line.
    pub(crate) fn start(&self, line: &str) -> Running {
        self.start_with(line, &[])
    }

    /// Starts a command line with more in its environment.
    pub(crate) fn start_with(&self, line: &str, env: &[(&str, &str)]) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let talk = self.path(&format!("talk-{number}"));
        let child = self
            .command(line)
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&talk).unwrap())
            .spawn()
            .unwrap();
        Running { child, talk }
    }

    /// Returns how often the model was started for an archive.
    pub(crate) fn asked(&self, archive: &str) -> usize {
        let asked = std::fs::read_to_string(self.path(&format!("asked-{archive}")));
        asked.map_or(0, |text| text.lines().count())
    }

    /// Keeps the model of an archive from answering, or lets it again.
    pub(crate) fn hold(&self, archive: &str, hold: bool) {
        self.mark(&format!("hold-{archive}"), hold);
    }

    /// Keeps the model of an archive from answering whoever asks first, or lets it again.
    pub(crate) fn hold_one(&self, archive: &str, hold: bool) {
        drop(std::fs::remove_dir(self.path(&format!("held-{archive}"))));
        self.mark(&format!("hold-one-{archive}"), hold);
    }

    /// Makes the model of an archive fail whatever it is asked, or work again.
    pub(crate) fn out(&self, archive: &str, out: bool) {
        self.mark(&format!("out-{archive}"), out);
    }

    fn mark(&self, name: &str, is_there: bool) {
        let file = self.path(name);
        if is_there {
            durable::write(&file, b"").unwrap();
        } else {
            std::fs::remove_file(file).unwrap();
        }
    }

    /// Changes one place of the configuration.
    pub(crate) fn configure(&self, old: &str, new: &str) {
        self.edit("config.toml", old, new);
    }

    /// Changes one place of a file.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        let file = self.path(name);
        let text = std::fs::read_to_string(&file).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions();
        assert!(text.contains(old), "{name} has no `{old}`:\n{text}");
        durable::write(&file, text.replacen(old, new, 1).as_bytes()).unwrap();
        std::fs::set_permissions(&file, mode).unwrap();
    }

    /// Waits until no process of this world is left.
    pub(crate) fn wait_until_alone(&self) {
        let begun = Instant::now();
        loop {
            let left = processes_of(self.folder.path());
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < SOON, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asserts that no process, no control group and nothing in the runtime folder is left.
    pub(crate) fn assert_nothing_is_left(&self) {
        self.wait_until_alone();
        let runtime = self.path("r/dgm");
        for archive in names(&runtime) {
            let folder = runtime.join(&archive);
            let rest: Vec<String> = names(&folder)
                .into_iter()
                .filter(|name| name != "s")
                .chain(names(&folder.join("s")))
                .collect();
            assert_eq!(rest, [""; 0], "in {}", folder.display());
            let mut groups = Vec::new();
            find_groups(
                Path::new("/sys/fs/cgroup"),
                &format!("dgm-{archive}-"),
                &mut groups,
            );
            assert_eq!(groups, Vec::<PathBuf>::new());
        }
        let drafts: Vec<String> = names(self.folder.path())
            .into_iter()
            .filter(|name| name.contains(".init-"))
            .collect();
        assert_eq!(drafts, [""; 0]);
    }
}

/// A started program.
pub(crate) struct Running {
    child: Child,
    talk: PathBuf,
}

impl Running {
    /// What it has said so far.
    pub(crate) fn talk(&self) -> String {
        std::fs::read_to_string(&self.talk).unwrap()
    }

    /// Waits until something is the case; it must not end before.
    pub(crate) fn wait_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: it ended: {}", self.talk());
            assert!(begun.elapsed() < SOON, "{what}: {}", self.talk());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = Pid::from_raw(self.pid()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn code(&mut self) -> Option<i32> {
        match self.ended_within(SOON) {
            Some(status) => status.code(),
            None => {
                self.child.kill().unwrap();
                panic!("it does not end: {}", self.talk())
            }
        }
    }

    /// Waits this long for its end.
    pub(crate) fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            let left = time.checked_sub(begun.elapsed())?;
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// Kills it and nothing else; returns whether it was alive.
    pub(crate) fn kill(&mut self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.kill().unwrap();
        self.child.wait().unwrap().signal() == Some(9)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a test that failed leaves one running.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the names in a folder, in order; none where there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if name == "__pycache__" {
            continue;
        }
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Returns the processes that were started with this folder in their command line, or are in it.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for pid in names(Path::new("/proc")) {
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let process = Path::new("/proc").join(&pid);
        // One that ends meanwhile cannot be read, and is not left.
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let place = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        if line.contains(folder) || place.starts_with(folder) {
            found.push(format!("{pid} {line}"));
        }
    }
    found
}

fn find_groups(folder: &Path, prefix: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        } else {
            find_groups(&entry.path(), prefix, found);
        }
    }
}
