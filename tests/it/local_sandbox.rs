//! The local sandbox against hostile commands, with the real bubblewrap: what every sandbox
//! must withstand, and what only this one could get wrong.

use crate::support::SOON;
use dgm::domain::{FileTree, TreePath};
use dgm::sandbox::local::LocalSandbox;
use dgm::sandbox::{AgentSource, Ended, Exit, Limits, Placed, Sandbox, SandboxError, Spec};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Names the runtime folder to [`parent_that_gets_killed`].
const RUNTIME: &str = "DGM_TEST_RUNTIME";

struct World {
    folder: TempDir,
    sandbox: LocalSandbox,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let sandbox = LocalSandbox::new(runtime(&folder)).with_grace(Duration::from_secs(3));
        Self { folder, sandbox }
    }

    async fn run(&self, spec: Spec) -> Ended {
        let run = self.sandbox.run(spec, CancellationToken::new());
        run.await.expect("bubblewrap is installed and works")
    }

    async fn shell(&self, script: &str) -> Ended {
        self.run(shell(script)).await
    }

    /// Returns what a script prints.
    async fn says(&self, script: &str) -> String {
        log(&self.shell(script).await)
    }
}

/// Returns a folder whose own name is unique, as an archive's is.
fn runtime(folder: &TempDir) -> PathBuf {
    folder
        .path()
        .join(folder.path().file_name().expect("it has a name"))
}

/// Returns the control groups of a runtime folder's sandboxes.
fn groups(runtime: &Path) -> Vec<PathBuf> {
    let name = runtime
        .file_name()
        .expect("it has a name")
        .to_string_lossy();
    let prefix = format!("dgm-{}-", name.replace('.', "_"));
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

fn shell(script: &str) -> Spec {
    Spec {
        job: "test".to_owned(),
        image: None,
        agent: None,
        placed: Vec::new(),
        root: dgm::sandbox::Root::Sealed,
        workdir: Some("/work".to_owned()),
        writable: Vec::new(),
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: Vec::new(),
        vital: Vec::new(),
        socket_dir: None,
        deadline: Duration::from_secs(20),
        collect: vec!["/work".to_owned()],
        limits: Limits {
            disk: 16 << 20,
            memory: 256 << 20,
            processes: 64,
            ..Limits::default()
        },
    }
}

fn python(script: &str) -> Spec {
    Spec {
        command: ["python3", "-c", script].map(str::to_owned).into(),
        ..shell("")
    }
}

fn tree(files: &[(&str, &str)]) -> Arc<FileTree> {
    let mut tree = FileTree::new();
    for (path, text) in files {
        let path = TreePath::new(path).expect("the tests' paths are good");
        tree.insert(path, text.as_bytes(), false);
    }
    Arc::new(tree)
}

fn log(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.log).into_owned()
}

fn text<'a>(ended: &'a Ended, path: &str) -> Option<&'a str> {
    let file = ended.collected[0].files.get(path)?;
    std::str::from_utf8(&file.bytes).ok()
}

/// Returns a text that no other process has in its command line.
fn marker(name: &str) -> String {
    format!("marker-{name}-{}", std::process::id())
}

/// Returns how many processes of this machine have a text in their command line.
fn processes_with(marker: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("there is a /proc");
    let has = |path: PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.windows(marker.len())
            .any(|part| part == marker.as_bytes())
    };
    entries.flatten().filter(|entry| has(entry.path())).count()
}

async fn soon(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "not so in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns a command that starts a daemon, then goes on for long.
fn daemon_and_sleep(marker: &str) -> Spec {
    let daemon = format!("setsid sh -c 'while :; do sleep 0.1; done' {marker} >/dev/null 2>&1 &");
    shell(&format!("{daemon}\nsleep 60; echo {marker}"))
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    let world = World::new();
    let spec = Spec {
        agent: Some(AgentSource {
            id: "abc123".to_owned(),
            files: tree(&[("tool/run.sh", "echo agent \"$@\"")]),
        }),
        placed: vec![
            Placed {
                at: "/work".to_owned(),
                files: tree(&[("src/a.txt", "old"), ("b", "gone")]),
            },
            Placed {
                at: "/tests".to_owned(),
                files: tree(&[("t.sh", "true")]),
            },
        ],
        writable: vec!["/logs/verifier".to_owned()],
        env: vec![("ANSWER".to_owned(), "4 2 $(x)".to_owned())],
        collect: vec!["/work".to_owned(), "/logs/verifier".to_owned()],
        ..shell(
            "sh /agent/tool/run.sh 1 \"$ANSWER\" >&2; cat src/a.txt; printf new >src/a.txt; rm b\n\
             mkdir .git; echo x >.git/x; echo 1 >/logs/verifier/reward.txt; ls /tests\n\
             touch \"$DGM\"/tmp/dgm-scratch/x; exit 7",
        )
    };
    for _ in 0..2 {
        let ended = world.run(spec.clone()).await;
        assert_eq!(log(&ended), "agent 1 4 2 $(x)\noldt.sh\n");
        assert_eq!(ended.exit, Exit::Code(7));
        assert_eq!(text(&ended, "src/a.txt"), Some("new"));
        assert_eq!(ended.collected[0].files.len(), 1);
        assert_eq!(ended.collected[1].files, *tree(&[("reward.txt", "1\n")]));
        assert!(
            ended
                .collected
                .iter()
                .all(|folder| !folder.truncated && folder.refused.is_empty())
        );
    }
}

#[tokio::test]
async fn works_here() {
    let world = World::new();
    world
        .sandbox
        .check(&[])
        .await
        .expect("bubblewrap is installed and works");
}

#[tokio::test]
async fn there_is_no_network_but_its_own_loopback() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    let script = format!(
        "import socket\n\
         for address in [('127.0.0.1', {port}), ('10.0.0.1', 80), ('1.1.1.1', 53)]:\n\
         \x20 try: socket.create_connection(address, 2); print('connected')\n\
         \x20 except OSError as error: print(error.strerror)\n\
         for family in [socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK]:\n\
         \x20 try: socket.socket(family, socket.SOCK_RAW); print('made')\n\
         \x20 except OSError as error: print(error.strerror)\n\
         own = socket.create_server(('127.0.0.1', 0)); socket.create_connection(own.getsockname())\n\
         print([name for _, name in socket.if_nameindex()] if hasattr(socket, 'x') else 'ok')"
    );
    let ended = world.run(python(&script)).await;
    assert_eq!(
        log(&ended),
        "Connection refused\nNetwork is unreachable\nNetwork is unreachable\n\
         Operation not permitted\nOperation not permitted\nOperation not permitted\nok\n"
    );
}

#[tokio::test]
async fn files_of_this_machine_cannot_be_seen() {
    let world = World::new();
    let secret = world.folder.path().join("secret");
    let mut file = fs::File::create(&secret).expect("it can be made");
    std::io::Write::write_all(&mut file, b"very secret").expect("it can be written");
    let script = format!(
        "cat '{}'; cat /etc/shadow; ls /root /home /var /work/.. ; \
         cat /proc/1/root/etc/shadow /proc/1/cwd/etc/shadow; ls -A /proc/1/root/root",
        secret.display()
    );
    let said = world.says(&script).await;
    assert!(
        !said.contains("very secret") && !said.contains("root:"),
        "{said}"
    );
    let said = world
        .says("echo $(ls /) : $(ls /etc) : $(ls -A /tmp)")
        .await;
    let (root, rest) = said.split_once(" : ").expect("it prints three lists");
    let known = [
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp",
        "usr", "work",
    ];
    assert!(root.split(' ').all(|name| known.contains(&name)), "{said}");
    assert!(!rest.contains("shadow") && !rest.contains("ssh"), "{said}");
    assert!(said.contains("dgm-scratch"), "{said}");
}

#[tokio::test]
async fn the_environment_is_clean_everywhere() {
    let world = World::new();
    let said = world.says("env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    assert_eq!(said, "HOME LANG PATH PWD TMPDIR ");
    let said = world
        .says("cat /proc/*/environ | tr '\\0' '\\n' | cut -d= -f1; id -u; hostname")
        .await;
    assert!(said.ends_with("\n1000\ndgm\n"), "{said}");
    let known = ["HOME", "LANG", "PATH", "PWD", "TMPDIR"];
    let own: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(!own.is_empty(), "this test has an environment");
    assert!(
        said.lines()
            .all(|line| !own.iter().any(|name| name == line)),
        "{said}"
    );
}

#[tokio::test]
async fn only_the_job_own_places_are_writable() {
    let world = World::new();
    let script = "\
        import errno, os, stat\n\
        found = set()\n\
        for folder, folders, files in os.walk('/'):\n\
        \x20 folders[:] = [f for f in folders if folder + f != '/usr' and not f.isdigit()]\n\
        \x20 for path in [folder] + [os.path.join(folder, name) for name in files]:\n\
        \x20   try: mode = os.stat(path).st_mode\n\
        \x20   except OSError: continue\n\
        \x20   if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and os.access(path, os.W_OK): found.add(path)\n\
        try: os.open('/proc/sys/kernel/hostname', os.O_WRONLY)\n\
        except OSError as error: print(error.errno in (errno.EROFS, errno.EACCES))\n\
        print(sorted(found - {'/dev/pts'}))";
    let said = log(&world.run(python(script)).await);
    assert_eq!(
        said,
        "True\n['/dev/shm', '/tmp', '/tmp/dgm-scratch', '/work']\n"
    );
}

#[tokio::test]
async fn nothing_can_be_gained() {
    let world = World::new();
    let said = world
        .says("grep -E 'Cap(Eff|Prm|Bnd|Inh|Amb)|NoNewPrivs|Seccomp:' /proc/self/status")
        .await;
    let zero = "0000000000000000";
    assert_eq!(
        said,
        format!(
            "CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}\n\
             NoNewPrivs:\t1\nSeccomp:\t2\n"
        )
    );
    let tries = [
        "unshare -U true",
        "unshare -n true",
        "mount -t tmpfs none /tmp",
        "umount /tmp",
        "chroot / true",
        "nsenter -t 1 -m true",
        "mknod n c 1 1",
        "touch /usr/x",
        "touch /x",
        "touch /dev/x",
        "touch /etc/passwd",
        "(echo 1 >/proc/sys/kernel/hostname)",
        "(echo x >/proc/sysrq-trigger)",
        "kill -9 1",
        "ulimit -n 4096",
        "true",
    ];
    let script = tries.map(|each| format!("({each}) 2>/dev/null && echo 'gained: {each}'"));
    // Killing process 1 reports success: the kernel protects it without a word.
    assert_eq!(
        world.says(&script.join("\n")).await,
        "gained: kill -9 1\ngained: true\n"
    );
}

#[tokio::test]
async fn the_agent_cannot_be_changed() {
    let world = World::new();
    let source = |text| AgentSource {
        id: format!("{text}1"),
        files: tree(&[("a.py", text)]),
    };
    let spec = |text| Spec {
        agent: Some(source(text)),
        ..shell(
            "cat /agent/a.py; echo x >/agent/a.py; rm -rf /agent/a.py; chmod 777 /agent; touch /agent/b; ls /agent",
        )
    };
    for text in ["one", "one", "two"] {
        let ended = world.run(spec(text)).await;
        let said = log(&ended);
        assert!(
            said.starts_with(text) && said.ends_with("\na.py\n"),
            "{said}"
        );
        assert_eq!(said.matches("Read-only file system").count(), 4, "{said}");
    }
}

#[tokio::test]
async fn a_full_disk_is_the_sandbox_own() {
    let world = World::new();
    let ended = world
        .shell("for at in /work /tmp; do head -c 200M /dev/zero >$at/big; stat -c %s $at/big; rm $at/big; done; echo small >/work/x")
        .await;
    let said = log(&ended);
    assert_eq!(said.matches("No space left on device").count(), 2, "{said}");
    assert!(said.contains(&(16_u64 << 20).to_string()), "{said}");
    assert_eq!(text(&ended, "x"), Some("small\n"));
}

#[tokio::test]
async fn more_files_than_are_collected_are_cut() {
    let world = World::new();
    let mut spec = shell("truncate -s 100G /work/sparse; head -c 3M /dev/zero >/work/a");
    spec.limits.collect = 1 << 20;
    let ended = world.run(spec).await;
    assert_eq!(
        ended.exit,
        Exit::Code(0),
        "reading goes on until it is too late"
    );
    assert!(ended.collected[0].truncated);
    assert!(ended.collected[0].files.size() <= 1 << 20);
}

#[tokio::test]
async fn a_flood_of_output_is_bounded() {
    let world = World::new();
    let ended = world
        .shell("echo first; head -c 100M /dev/zero; echo last >&2")
        .await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(ended.log_total, (100 << 20) + 11);
    assert!(ended.log.len() < (1 << 20) + 100);
    assert!(ended.log.starts_with(b"first\n") && ended.log.ends_with(b"last\n"));
}

#[tokio::test]
async fn a_fork_bomb_ends_by_the_deadline() {
    let world = World::new();
    let marker = marker("bomb");
    let mut spec = shell(&format!(
        "touch before; f() {{ f | f & }}; f; sleep 50; echo {marker}"
    ));
    spec.deadline = Duration::from_secs(2);
    let ended = world.run(spec).await;
    assert!(
        matches!(ended.exit, Exit::TimedOut | Exit::Code(_)),
        "{:?}",
        ended.exit
    );
    assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
    assert_eq!(processes_with(&marker), 0);
}

#[tokio::test]
async fn processes_are_counted() {
    let world = World::new();
    let script = "\
        import os, time\n\
        count = 0\n\
        try:\n\
        \x20 while True:\n\
        \x20   if os.fork() == 0: time.sleep(60)\n\
        \x20   count += 1\n\
        except OSError as error: print(count, error.strerror)";
    let said = log(&world.run(python(script)).await);
    let count = said.strip_suffix(" Resource temporarily unavailable\n");
    let count: u32 = count.unwrap_or(&said).parse().expect(&said);
    assert!((32..=68).contains(&count), "{said}");
}

#[tokio::test]
async fn what_stays_behind_is_dead() {
    let world = World::new();
    let marker = marker("daemon");
    let daemon = format!(
        "(setsid sh -c 'trap \"\" TERM HUP; while :; do date +%N >/work/t; done' {marker} >/dev/null 2>&1 &)"
    );
    let ended = world.shell(&format!("{daemon}; sleep 0.3; exit 0")).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(text(&ended, "t").is_some());
    assert_eq!(processes_with(&marker), 0);
}

#[tokio::test]
async fn at_the_deadline_what_was_written_is_collected() {
    let world = World::new();
    let mut spec = shell("echo said; echo written >so-far; trap '' TERM; while :; do :; done");
    spec.deadline = Duration::from_millis(700);
    let ended = world.run(spec).await;
    assert_eq!(ended.exit, Exit::TimedOut);
    assert_eq!(text(&ended, "so-far"), Some("written\n"));
    assert!(log(&ended).starts_with("said\n"));
    assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
}

#[tokio::test]
async fn too_much_memory_ends_the_command_only() {
    let world = World::new();
    let ended = world
        .run(python(
            "open('before', 'w').write('x')\nblock = b'x' * (1 << 30)\nprint(len(block))",
        ))
        .await;
    // A control group kills; a limit on the address space makes the allocation fail.
    let lacks = world.sandbox.lacks();
    let expected = match lacks.iter().any(|lack| lack.starts_with("memory")) {
        true => Exit::Code(1),
        false => Exit::OutOfMemory,
    };
    assert_eq!(ended.exit, expected, "{lacks:?}");
    assert_eq!(text(&ended, "before"), Some("x"));
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused() {
    let world = World::new();
    let ended = world
        .shell("ln -s /etc/passwd link; mkfifo pipe; mkdir d; echo x >d/ok; ln d/ok hard; ln -s ../.. d/up; chmod 0 d/ok")
        .await;
    let collected = &ended.collected[0];
    assert!(
        collected
            .refused
            .contains(&"symlink `link` → `/etc/passwd`".to_owned())
    );
    assert!(
        collected
            .refused
            .contains(&"symlink `d/up` → `../..`".to_owned())
    );
    assert!(collected.refused.contains(&"named pipe `pipe`".to_owned()));
    assert!(
        collected
            .refused
            .iter()
            .any(|line| line.contains("could not be read")),
        "{collected:?}"
    );
    assert!(!collected.truncated);
}

#[tokio::test]
async fn only_the_job_own_socket_is_there() {
    let world = World::new();
    let sockets = world.folder.path().join("sockets");
    for job in ["mine", "other"] {
        fs::create_dir_all(sockets.join(job)).expect("it can be made");
    }
    let bind = |job| std::os::unix::net::UnixListener::bind(sockets.join(job).join("model.sock"));
    let (mine, _other) = (bind("mine").expect("bound"), bind("other").expect("bound"));
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = mine.accept().expect("the sandbox connects");
        std::io::Write::write_all(&mut stream, b"hello").expect("it listens");
    });
    let script = format!(
        "import os, socket\n\
         s = socket.socket(socket.AF_UNIX); s.connect('/run/dgm/model.sock'); print(s.recv(9).decode())\n\
         print(os.listdir('/run'), os.listdir('/run/dgm'), os.path.exists('{}'))\n\
         try: os.remove('/run/dgm/model.sock')\n\
         except OSError as error: print(error.strerror)",
        sockets.join("other").display()
    );
    let spec = Spec {
        vital: Vec::new(),
        socket_dir: Some(sockets.join("mine")),
        ..python(&script)
    };
    let said = log(&world.run(spec).await);
    assert_eq!(
        said,
        "hello\n['dgm'] ['model.sock'] False\nRead-only file system\n"
    );
    answer.join().expect("it answered");
}

#[tokio::test]
async fn an_attack_on_the_runner_harms_only_the_answer() {
    let world = World::new();
    let ended = world
        .shell("touch x; kill -9 $PPID; sleep 0.1; kill -9 2; sleep 60")
        .await;
    assert!(matches!(ended.exit, Exit::Code(_)), "{:?}", ended.exit);

    let ended = world.shell("kill -9 2; sleep 60").await;
    assert_eq!(ended.exit, Exit::Code(137));
    assert!(ended.collected[0].truncated && ended.collected[0].files.is_empty());

    let forged = "printf 'dgm-end 0 99999.00\\nnonsense' >/proc/2/fd/1; kill -9 2; sleep 60";
    let ended = world.shell(forged).await;
    assert!(ended.collected[0].truncated && ended.collected[0].files.is_empty());

    let mut stopped = shell("kill -STOP 2; exit 0");
    stopped.deadline = Duration::from_millis(500);
    let ended = world.run(stopped).await;
    assert_eq!(ended.exit, Exit::TimedOut);
    assert!(ended.collected[0].truncated);
    assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
}

#[tokio::test]
async fn a_cancelled_run_is_dead() {
    let world = World::new();
    let marker = marker("cancel");
    let cancel = CancellationToken::new();
    let run = world.sandbox.run(daemon_and_sleep(&marker), cancel.clone());
    let stop = async {
        soon("it runs", || processes_with(&marker) >= 5).await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run, stop);
    assert!(matches!(ended, Err(SandboxError::Cancelled)), "{ended:?}");
    assert_eq!(processes_with(&marker), 0);
}

#[tokio::test]
async fn a_dropped_run_is_dead() {
    let world = World::new();
    for after in (0..40).chain([300]) {
        let marker = marker(&format!("drop{after}"));
        let run = world
            .sandbox
            .run(daemon_and_sleep(&marker), CancellationToken::new());
        let dropped = tokio::time::timeout(Duration::from_millis(after / 2), run).await;
        assert!(dropped.is_err(), "it ended by itself: {dropped:?}");
    }
    // One may still be about to be started.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let folder = runtime(&world.folder).display().to_string();
    soon("nothing is left", || processes_with(&folder) == 0).await;
    let groups = || groups(&runtime(&world.folder));
    soon("no control group is left", || groups().is_empty()).await;
}

#[tokio::test]
#[ignore = "started by the next test, which kills it"]
async fn parent_that_gets_killed() {
    let runtime = std::env::var_os(RUNTIME).expect("the next test sets it");
    let sandbox = LocalSandbox::new(PathBuf::from(runtime));
    let marker = std::env::var("DGM_TEST_MARKER").expect("the next test sets it");
    let spec = daemon_and_sleep(&marker);
    drop(sandbox.run(spec, CancellationToken::new()).await);
}

#[tokio::test]
async fn a_killed_parent_leaves_nothing() {
    let world = World::new();
    let runtime = runtime(&world.folder);
    let marker = marker("parent");
    let mut parent = Command::new(std::env::current_exe().expect("this test has a file"))
        .args([
            "--exact",
            "local_sandbox::parent_that_gets_killed",
            "--ignored",
        ])
        .env(RUNTIME, &runtime)
        .env("DGM_TEST_MARKER", &marker)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be started again");
    soon("it runs", || processes_with(&marker) >= 5).await;
    parent.kill().expect("it runs");
    parent.wait().expect("it was killed");
    soon("nothing is left", || processes_with(&marker) == 0).await;
    assert_eq!(folders(&runtime), 1, "its runtime folder is left over");
    world.shell("true").await;
    let reaped = world.sandbox.reap().await.expect("it can be removed");
    assert!(reaped >= 1);
    assert_eq!(groups(&runtime), Vec::<PathBuf>::new());
    assert_eq!(folders(&runtime), 1, "that of this process is still needed");
    assert_eq!(world.says("echo works").await, "works\n");
}

fn folders(of: &Path) -> usize {
    fs::read_dir(of)
        .expect("the runtime folder is there")
        .count()
}

#[tokio::test]
async fn what_cannot_run_is_said_before() {
    let world = World::new();
    let fault = async |spec: Spec| {
        let error = world.sandbox.run(spec, CancellationToken::new()).await;
        format!(
            "{:#}",
            anyhow::Error::from(error.expect_err("it cannot run"))
        )
    };
    let mut spec = shell("true");
    spec.workdir = Some("/usr/src".to_owned());
    assert_eq!(
        fault(spec).await,
        "could not start the sandbox of `test`: the local sandbox cannot make `/usr/src` \
         writable; use a folder outside `/usr`, or another sandbox"
    );
    let mut spec = shell("true");
    spec.limits.disk = 1 << 20;
    let big = "x".repeat(2 << 20);
    spec.placed = vec![Placed {
        at: "/work".to_owned(),
        files: tree(&[("big", &big)]),
    }];
    let error = fault(spec).await;
    assert!(
        error.starts_with("could not set up the sandbox of `test`: "),
        "{error}"
    );
    assert!(error.ends_with("cannot unpack the files"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_thread_that_began_it() {
    let world = World::new();
    let runtime = tokio::runtime::Handle::current();
    let mut run = world
        .sandbox
        .run(shell("sleep 2; exit 4"), CancellationToken::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = async { tokio::time::timeout(Duration::from_secs(1), &mut run).await };
            assert!(runtime.block_on(begin).is_err(), "it has only begun");
        });
    });
    assert_eq!(run.await.expect("it goes on").exit, Exit::Code(4));
}

/// Runs one of the ignored tests in another process; returns whether it passed.
fn passes_when_started_as(command: &[&str], test: &str) -> bool {
    let own = std::env::current_exe().expect("this test has a file");
    let (program, arguments) = command.split_first().expect("there is a program");
    let output = Command::new(program)
        .args(arguments)
        .arg(own)
        .args(["--exact", &format!("local_sandbox::{test}"), "--ignored"])
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("running 1 test"), "{said}");
    output.status.success()
}

async fn unavailable() -> (String, String) {
    match World::new().sandbox.check(&[]).await {
        Err(SandboxError::Unavailable { what, hint }) => (what, hint),
        other => panic!("it is available: {other:?}"),
    }
}

#[tokio::test]
#[ignore = "started by the next test, where there is no bubblewrap"]
async fn without_bubblewrap() {
    let (what, hint) = unavailable().await;
    assert_eq!(what, "bubblewrap (`bwrap`) is not installed");
    assert_eq!(hint, "install it: `apt-get install bubblewrap`");
}

#[tokio::test]
#[ignore = "started by the next test, where namespaces are forbidden"]
async fn without_namespaces() {
    let (what, hint) = unavailable().await;
    assert!(what.contains("bwrap: "), "{what}");
    assert!(
        hint.starts_with("allow user namespaces: `sysctl -w "),
        "{hint}"
    );
}

#[test]
fn a_machine_that_cannot_says_what_to_do() {
    let no_path = ["env", "PATH=/nowhere"];
    assert!(passes_when_started_as(&no_path, "without_bubblewrap"));
    let no_namespaces = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-user",
        "--disable-userns",
    ];
    assert!(passes_when_started_as(&no_namespaces, "without_namespaces"));
}

/// What every sandbox must withstand. The limit of memory has a test of its own above: what
/// happens at it depends on this machine's control groups.
mod suite {
    use super::World;
    use crate::sandbox_suite::Subject;

    macro_rules! suite {
        ($($case:ident),* $(,)?) => {
            $(
                #[tokio::test]
                async fn $case() {
                    let world = World::new();
                    let subject = Subject { sandbox: &world.sandbox, image: None };
                    subject.$case().await;
                }
            )*
        };
    }

    suite!(
        files_in_files_out,
        no_privileges,
        dangerous_system_calls_fail,
        no_other_family_of_sockets,
        ordinary_programs_work,
        the_agent_is_read_only,
        nothing_else_is_writable,
        the_disk_is_bounded,
        a_flood_is_bounded,
        a_forged_stream_is_bounded,
        a_fork_bomb_fizzles,
        daemons_die,
        a_deadline_keeps_what_was_written,
        a_stopped_runner_is_killed_from_outside,
        a_killed_runner_harms_only_its_own_answer,
        only_regular_files_come_out,
        a_sparse_file_is_bounded,
        a_vital_file_comes,
        the_model_socket_answers,
        the_host_cannot_be_seen,
        cancel_ends_a_run,
    );
}
