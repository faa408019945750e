//! What every sandbox must withstand, whatever it is made of: scripts that try to get out,
//! to look in, to last, to fill up and to lie. The backends' own tests call these one by one.

use crate::support::SOON;
use dgm::domain::{FileTree, TreePath};
use dgm::sandbox::{AgentSource, Ended, Exit, Limits, Placed, Sandbox, Spec};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// A backend under test, with the image for its runs if it has images.
pub(crate) struct Subject<'a> {
    pub(crate) sandbox: &'a dyn Sandbox,
    pub(crate) image: Option<&'a str>,
}

/// Returns a run of a shell script in `/app` that collects `/app`.
pub(crate) fn spec(image: Option<&str>, script: &str) -> Spec {
    Spec {
        job: "suite".to_owned(),
        image: image.map(str::to_owned),
        agent: None,
        placed: Vec::new(),
        root: dgm::sandbox::Root::Sealed,
        workdir: Some("/app".to_owned()),
        writable: Vec::new(),
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: Vec::new(),
        vital: Vec::new(),
        socket_dir: None,
        deadline: Duration::from_secs(60),
        collect: vec!["/app".to_owned()],
        limits: Limits {
            memory: 256 << 20,
            disk: 32 << 20,
            ..Limits::default()
        },
    }
}

pub(crate) fn tree(files: &[(&str, &str, bool)]) -> Arc<FileTree> {
    let mut tree = FileTree::new();
    for (path, text, executable) in files {
        let path = TreePath::new(path).expect("a good path");
        tree.insert(path, text.as_bytes(), *executable);
    }
    Arc::new(tree)
}

pub(crate) fn text(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.log).into_owned()
}

/// Returns a collected file of the first folder as text.
fn file(ended: &Ended, path: &str) -> Option<String> {
    let file = ended.collected.first()?.files.get(path)?;
    Some(String::from_utf8_lossy(&file.bytes).into_owned())
}

impl Subject<'_> {
    pub(crate) fn spec(&self, script: &str) -> Spec {
        spec(self.image, script)
    }

    pub(crate) async fn run(&self, spec: Spec) -> Ended {
        let ended = self.sandbox.run(spec, CancellationToken::new()).await;
        ended.expect("the sandbox itself works")
    }

    /// Runs a script that must end well, and returns what it said.
    async fn says(&self, script: &str) -> String {
        let ended = self.run(self.spec(script)).await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        text(&ended)
    }

    /// Returns what a Python script says.
    async fn python(&self, script: &str) -> String {
        let mut spec = self.spec("");
        spec.command = ["python3", "-c", script].map(str::to_owned).into();
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        text(&ended)
    }

    /// Files go in and come out, with their mode, and the log keeps its order.
    pub(crate) async fn files_in_files_out(&self) {
        let mut spec = self.spec(
            "echo one; echo two >&2; echo three; cat in/data.txt > out.txt; in/tool.sh >> out.txt; \
             mkdir -p /logs/verifier/deep; echo 1 > /logs/verifier/deep/reward.txt; \
             echo \"$GREETING\"; rm in/data.txt; exit 7",
        );
        spec.placed = vec![Placed {
            at: "/app".to_owned(),
            files: tree(&[
                ("in/data.txt", "data\n", false),
                ("in/tool.sh", "#!/bin/sh\necho tool\n", true),
            ]),
        }];
        spec.writable = vec!["/logs/verifier".to_owned()];
        spec.env = vec![("GREETING".to_owned(), "it's $HOME; \"quoted\"".to_owned())];
        spec.collect.push("/logs/verifier".to_owned());
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::Code(7), "{}", text(&ended));
        assert_eq!(text(&ended), "one\ntwo\nthree\nit's $HOME; \"quoted\"\n");
        assert_eq!(file(&ended, "out.txt").as_deref(), Some("data\ntool\n"));
        assert_eq!(file(&ended, "in/data.txt"), None);
        let app = &ended.collected[0];
        assert!(
            app.files
                .get("in/tool.sh")
                .is_some_and(|tool| tool.executable)
        );
        assert!(
            !app.truncated && app.refused.is_empty(),
            "{:?}",
            app.refused
        );
        let logs = &ended.collected[1].files;
        assert_eq!(logs.len(), 1);
        assert_eq!(
            &*logs.get("deep/reward.txt").expect("a reward").bytes,
            b"1\n"
        );
    }

    /// There is no network but a loopback, and none of this machine's abstract sockets.
    pub(crate) async fn no_network(&self, gateway_port: u16) {
        let script = format!(
            "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; cat > t.py <<'END'\n\
             import socket\n\
             for host, port in [('127.0.0.1', {gateway_port}), ('1.1.1.1', 53), ('172.17.0.1', 22)]:\n    \
                 try:\n        \
                     socket.create_connection((host, port), 2)\n        \
                     print('reached', host)\n    \
                 except OSError as error:\n        \
                     print('refused')\n\
             END\n\
             python3 t.py; python3 -c 'import socket; s = socket.create_server((\"localhost\", 0)); \
             print(bool(socket.create_connection(s.getsockname(), 2)))'"
        );
        let said = self.says(&script).await;
        assert_eq!(said, "lo\nrefused\nrefused\nrefused\nTrue\n");
    }

    /// No capability, no way to new ones, no user namespace, a system call filter.
    pub(crate) async fn no_privileges(&self) {
        let said = self
            .says("grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status")
            .await;
        let mut values = said.lines().map(|line| line.split_whitespace().nth(1));
        for _ in 0..5 {
            assert_eq!(values.next(), Some(Some("0000000000000000")), "{said}");
        }
        assert_eq!(values.next(), Some(Some("1")), "{said}");
        assert_eq!(values.next(), Some(Some("2")), "{said}");
        let said = self
            .says(
                "id -u; unshare -Ur true 2>/dev/null && echo namespace; \
                 mount -t tmpfs none /tmp 2>/dev/null && echo mounted; \
                 mknod d c 1 3 2>/dev/null && echo device; \
                 chroot / true 2>/dev/null && echo chroot; \
                 dmesg >/dev/null 2>&1 && echo kernel; ls /dev/mem /dev/kmsg /dev/vda 2>/dev/null; true",
            )
            .await;
        assert_eq!(said, "1000\n");
    }

    /// Calls that lead to the kernel's rarely used parts, to others or out of here fail, and
    /// fail so that programs can go on.
    pub(crate) async fn dangerous_system_calls_fail(&self) {
        let calls: [(&str, i64, &str, i32); 24] = [
            ("ptrace", libc::SYS_ptrace, "0", libc::EPERM),
            ("memory", libc::SYS_process_vm_readv, "1", libc::EPERM),
            ("getfd", libc::SYS_pidfd_getfd, "0, 0", libc::EPERM),
            ("kcmp", libc::SYS_kcmp, "1, 1", libc::EPERM),
            ("child", libc::SYS_clone, "0x10000000 | 17", libc::EPERM),
            ("clone3", libc::SYS_clone3, "0", libc::ENOSYS),
            ("unshare", libc::SYS_unshare, "0x10000000", libc::EPERM),
            ("setns", libc::SYS_setns, "0, 0", libc::EPERM),
            ("mount", libc::SYS_mount, "0, 0, 0, 0, 0", libc::EPERM),
            ("fsopen", libc::SYS_fsopen, "0, 0", libc::ENOSYS),
            ("open_tree", libc::SYS_open_tree, "-100, 0, 1", libc::ENOSYS),
            ("uring", libc::SYS_io_uring_setup, "1, 0", libc::ENOSYS),
            ("keyctl", libc::SYS_keyctl, "0, 0", libc::EPERM),
            ("bpf", libc::SYS_bpf, "0, 0, 0", libc::EPERM),
            ("fault", libc::SYS_userfaultfd, "1", libc::EPERM),
            ("perf", libc::SYS_perf_event_open, "0", libc::EPERM),
            ("kexec", libc::SYS_kexec_load, "0", libc::EPERM),
            ("module", libc::SYS_init_module, "0", libc::EPERM),
            ("handle", libc::SYS_open_by_handle_at, "0", libc::EPERM),
            ("numa", libc::SYS_move_pages, "0", libc::EPERM),
            ("layout", libc::SYS_personality, "0x40000", libc::EPERM),
            ("typing", libc::SYS_ioctl, "0, 0x5412, 0", libc::EPERM),
            // The kernel looks at the lower half alone, so the filter must.
            ("half", libc::SYS_ioctl, "0, 0x100005412, 0", libc::EPERM),
            ("of tomorrow", 10_000, "0", libc::ENOSYS),
        ];
        let tries = calls.map(|(name, number, arguments, _)| {
            format!("print('{name}', call({number}, {arguments}), ctypes.get_errno())\n")
        });
        // A call of the x32 convention fails, or ends who makes it.
        let script = format!(
            "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             def call(*a): return libc.syscall(*map(ctypes.c_long, a))\n{}\
             child = os.fork()\n\
             if not child: os._exit(call({}) > 0)\n\
             print('x32', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) <= 0)",
            tries.concat(),
            0x4000_0000 + libc::SYS_getpid,
        );
        let expected = calls.map(|(name, .., errno)| format!("{name} -1 {errno}\n"));
        let expected = format!("{}x32 True\n", expected.concat());
        assert_eq!(self.python(&script).await, expected);
    }

    /// Of sockets there are the gateway's kind and those of the own loopback, and no others.
    pub(crate) async fn no_other_family_of_sockets(&self) {
        let script = "\
            import ctypes, socket\n\
            libc = ctypes.CDLL(None, use_errno=True)\n\
            def made(call, family, *rest):\n\
            \x20 ctypes.set_errno(0)\n\
            \x20 return libc.syscall(call, *map(ctypes.c_long, (family, 2, 0, *rest))) >= 0, ctypes.get_errno()\n\
            pair = (ctypes.c_int * 2)()\n\
            for call, rest in [(41, ()), (53, (ctypes.addressof(pair),))]:\n\
            \x20 tried = [(family, *made(call, family, *rest)) for family in [*range(64), 1 << 32 | 40, 1 << 31]]\n\
            \x20 print([family for family, _, errno in tried if errno != 1])\n\
            for name in 'AF_VSOCK', 'AF_PACKET', 'AF_NETLINK', 'AF_ALG':\n\
            \x20 try: socket.socket(getattr(socket, name), socket.SOCK_RAW); print('made')\n\
            \x20 except OSError as error: print(name, error.strerror)";
        let script = script
            .replace("(41, ())", &format!("({}, ())", libc::SYS_socket))
            .replace("(53, (", &format!("({}, (", libc::SYS_socketpair));
        assert_eq!(
            self.python(&script).await,
            "[1, 2, 10]\n[1, 2, 10]\n\
             AF_VSOCK Operation not permitted\nAF_PACKET Operation not permitted\n\
             AF_NETLINK Operation not permitted\nAF_ALG Operation not permitted\n"
        );
    }

    /// What agents and tests do every day works all the same.
    pub(crate) async fn ordinary_programs_work(&self) {
        let python = "\
            import asyncio, concurrent.futures, fcntl, mmap, multiprocessing, os, pty, select\n\
            import signal, socket, sqlite3, subprocess, tempfile, threading, urllib.request\n\
            import http.server\n\
            def twice(n): return 2 * n\n\
            if __name__ == '__main__':\n\
            \x20 found = []\n\
            \x20 thread = threading.Thread(target=lambda: found.append('thread'))\n\
            \x20 thread.start(); thread.join(); print(found)\n\
            \x20 for way in 'fork', 'spawn', 'forkserver':\n\
            \x20   with multiprocessing.get_context(way).Pool(2) as pool: print(way, pool.map(twice, [1, 2]))\n\
            \x20 with concurrent.futures.ThreadPoolExecutor(4) as pool: print(list(pool.map(twice, [3])))\n\
            \x20 print(subprocess.run(['sh', '-c', 'echo said | cat'], capture_output=True, text=True))\n\
            \x20 async def main():\n\
            \x20   child = await asyncio.create_subprocess_exec('echo', 'later', stdout=-1)\n\
            \x20   server = await asyncio.start_server(lambda r, w: (w.write(b'hello'), w.close()), 'localhost', 0)\n\
            \x20   reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])\n\
            \x20   print((await child.communicate())[0], await reader.read(), await asyncio.to_thread(twice, 4))\n\
            \x20 asyncio.run(main())\n\
            \x20 web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
            \x20 threading.Thread(target=web.serve_forever, daemon=True).start()\n\
            \x20 url = f'http://127.0.0.1:{web.server_port}/hello.txt'\n\
            \x20 print(urllib.request.urlopen(url).read()); web.shutdown()\n\
            \x20 left, right = socket.socketpair(); left.send(b'pair'); print(right.recv(4))\n\
            \x20 with tempfile.TemporaryFile() as file:\n\
            \x20   fcntl.flock(file, fcntl.LOCK_EX); file.truncate(4096); print(mmap.mmap(file.fileno(), 0)[:1])\n\
            \x20 db = sqlite3.connect('x.db'); db.execute('create table t (x)'); db.commit(); print('sql')\n\
            \x20 print(pty.openpty()[0] > 0); signal.alarm(60)\n";
        let git = "git init -q -b main . && git add p.py && git -c user.name=a -c user.email=a@b \
            commit -qm one && echo >> p.py && git diff --stat | tail -1 && git stash -q 2>/dev/null; \
            git log --format=%s";
        let script = format!(
            "cat > p.py <<'END'\n{python}END\necho hello > hello.txt\n\
             python3 p.py 2>&1 | grep -v GET\n{git}\n\
             (cd / && tar -cf - app/p.py | gzip | gzip -d | tar -tf -); seq 3 | sort -r | xargs -P 2 -n 1 true; \
             timeout 5 sh -c 'sleep 0.1 & wait' && echo waited"
        );
        assert_eq!(
            self.says(&script).await,
            "['thread']\nfork [2, 4]\nspawn [2, 4]\nforkserver [2, 4]\n[6]\n\
             CompletedProcess(args=['sh', '-c', 'echo said | cat'], returncode=0, \
             stdout='said\\n', stderr='')\nb'later\\n' b'hello' 8\nb'hello\\n'\nb'pair'\n\
             b'\\x00'\nsql\nTrue\n 1 file changed, 1 insertion(+)\none\napp/p.py\nwaited\n"
        );
    }

    /// The agent's files are there, readable, and cannot be changed.
    pub(crate) async fn the_agent_is_read_only(&self) {
        let mut spec = self.spec(
            "cat /agent/agent.toml; /agent/bin/run; echo x > /agent/agent.toml; \
             rm -f /agent/bin/run; touch /agent/new; chmod 777 /agent; ls -A /agent /agent/bin",
        );
        spec.agent = Some(AgentSource {
            id: "a9e27".to_owned(),
            files: tree(&[
                ("agent.toml", "name = \"x\"\n", false),
                ("bin/run", "#!/bin/sh\necho runs\n", true),
            ]),
        });
        let ended = self.run(spec.clone()).await;
        let said = text(&ended);
        assert!(said.starts_with("name = \"x\"\nruns\n"), "{said}");
        assert!(
            said.ends_with("/agent:\nagent.toml\nbin\n\n/agent/bin:\nrun\n"),
            "{said}"
        );
        // And the next run of the same agent finds it as it was.
        let again = text(&self.run(spec).await);
        assert!(again.starts_with("name = \"x\"\nruns\n"), "{again}");
    }

    /// Only the working folder, `/tmp`, `/dev/shm` and what the spec names can be written.
    pub(crate) async fn nothing_else_is_writable(&self) {
        let mut spec = self.spec(
            "for d in / /etc /usr /usr/bin /bin /var /var/tmp /root /home /opt /srv /run /dev \
                 /proc /proc/sys/kernel /sys /sys/fs/cgroup /mnt; do \
                 touch \"$d/x\" 2>/dev/null && echo \"$d\"; done; \
             touch x /tmp/x /tmp/dgm-scratch/x /logs/verifier/x && echo fine",
        );
        spec.writable = vec!["/logs/verifier".to_owned()];
        let ended = self.run(spec).await;
        assert_eq!(text(&ended), "fine\n");
    }

    /// A full workspace is the program's problem and nobody else's.
    pub(crate) async fn the_disk_is_bounded(&self) {
        let said = self
            .says(
                "head -c 100000000 /dev/zero > big 2>/dev/null || echo full; \
                 stat -c %s big | awk '{ print ($1 <= 34000000) ? \"bounded\" : $1 }'; rm big; \
                 head -c 100000000 /dev/zero > /tmp/big 2>/dev/null || echo full; rm /tmp/big; \
                 head -c 100000000 /dev/zero > /dev/shm/big 2>/dev/null || echo full; rm /dev/shm/big",
            )
            .await;
        assert_eq!(said, "full\nbounded\nfull\nfull\n");
    }

    /// Endless output costs bounded memory; its head and tail are kept.
    pub(crate) async fn a_flood_is_bounded(&self) {
        let mut spec = self.spec("echo first; yes | head -c 100000000; echo last");
        spec.limits.log = 64 << 10;
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::Code(0));
        assert_eq!(ended.log_total, 100_000_000 + 6 + 5);
        assert!(ended.log.len() < 70_000, "{}", ended.log.len());
        assert!(ended.log.starts_with(b"first\ny\n") && ended.log.ends_with(b"y\nlast\n"));
    }

    /// A flood into the very stream of the runner gains nothing either.
    pub(crate) async fn a_forged_stream_is_bounded(&self) {
        let mut spec = self.spec(
            "for f in /proc/[0-9]*/fd/1; do yes forged > $f 2>/dev/null & done; sleep 3; echo done",
        );
        spec.limits.collect = 1 << 20;
        spec.limits.collect_files = 100;
        let ended = self.run(spec).await;
        let kept: u64 = ended
            .collected
            .iter()
            .map(|folder| folder.files.size())
            .sum();
        assert!(kept <= 1 << 20, "{kept}");
    }

    /// A fork bomb meets the limit of processes, and is gone at the end.
    pub(crate) async fn a_fork_bomb_fizzles(&self) {
        let mut spec = self.spec(
            "cat > bomb.py <<'END'\nimport os, time\nn = 0\ntry:\n    while True:\n        \
             if os.fork() == 0:\n            time.sleep(600)\n        n += 1\nexcept OSError:\n    \
             print('refused after', n, flush=True)\nEND\npython3 bomb.py",
        );
        spec.limits.processes = 50;
        let begun = Instant::now();
        let ended = self.run(spec).await;
        let said = text(&ended);
        let count = said
            .trim()
            .rsplit(' ')
            .next()
            .and_then(|n| n.parse::<u32>().ok());
        assert!(
            count.is_some_and(|count| (10..=60).contains(&count)),
            "{said}"
        );
        assert!(begun.elapsed() < SOON);
    }

    /// What outlives the command is dead before anything is collected.
    pub(crate) async fn daemons_die(&self) {
        let begun = Instant::now();
        let ended = self
            .run(self.spec(
                "setsid sh -c 'trap \"\" TERM HUP; i=0; while :; do i=$((i+1)); echo $i > late; \
                 sleep 0.05; done' >/dev/null 2>&1 & \
                 (setsid sleep 600 &); while [ ! -s late ]; do :; done; echo end > mark",
            ))
            .await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        assert_eq!(file(&ended, "mark").as_deref(), Some("end\n"));
        assert!(begun.elapsed() < SOON);
    }

    /// The time is over: everything dies, and what was written is still there.
    pub(crate) async fn a_deadline_keeps_what_was_written(&self) {
        let mut spec =
            self.spec("echo half > answer; echo said; trap '' TERM; while :; do :; done");
        spec.deadline = Duration::from_secs(2);
        let begun = Instant::now();
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::TimedOut, "{}", text(&ended));
        assert_eq!(file(&ended, "answer").as_deref(), Some("half\n"));
        assert!(text(&ended).starts_with("said\n"));
        assert!(begun.elapsed() < SOON);
    }

    /// A program that stops the runner does not keep the sandbox alive.
    pub(crate) async fn a_stopped_runner_is_killed_from_outside(&self) {
        let mut spec = self.spec("kill -STOP -1; sleep 600");
        spec.deadline = Duration::from_secs(1);
        let begun = Instant::now();
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::TimedOut);
        assert!(begun.elapsed() < SOON);
    }

    /// A program that kills the runner has only cut its own answer short.
    pub(crate) async fn a_killed_runner_harms_only_its_own_answer(&self) {
        let ended = self
            .run(self.spec("echo x > answer; kill -9 -1; sleep 5"))
            .await;
        assert_ne!(ended.exit, Exit::Code(0));
        assert!(ended.collected.iter().all(|folder| folder.truncated));
    }

    /// Too much memory ends the program, not the machine.
    pub(crate) async fn memory_is_bounded(&self) {
        let mut spec =
            self.spec("echo before > mark; python3 -c 'x = bytearray(800 << 20); print(len(x))'");
        spec.limits.memory = 96 << 20;
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::OutOfMemory, "{}", text(&ended));
        assert!(!text(&ended).contains("838860800"));
    }

    /// Links, pipes and devices in the answer are named and refused.
    pub(crate) async fn only_regular_files_come_out(&self) {
        let ended = self
            .run(self.spec(
                "ln -s /etc/passwd link; ln -s .. up; mkfifo pipe; echo ok > fine; mkdir -p .git; \
                 echo x > .git/config; ln -s /etc etc; ln fine hard",
            ))
            .await;
        let folder = &ended.collected[0];
        let refused = folder.refused.join("\n");
        for name in ["link", "up", "pipe", "etc"] {
            assert!(refused.contains(&format!("`{name}`")), "{refused}");
            assert!(folder.files.get(name).is_none());
        }
        assert!(folder.files.size() <= Limits::default().collect);
        assert!(
            folder
                .files
                .iter()
                .all(|(path, _)| !path.has_component(".git"))
        );
    }

    /// A file that is wanted by name comes, whatever lies beside it.
    pub(crate) async fn a_vital_file_comes(&self) {
        let large = |name: &str| format!("head -c 4M /dev/zero > {name};");
        let script = format!("{} echo 1 > reward; {}", large("a"), large("z"));
        let mut spec = self.spec(&script);
        spec.vital = ["/app/none", "/app/reward"].map(str::to_owned).into();
        spec.limits.collect = 1 << 20;
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        assert!(ended.collected[0].truncated);
        assert_eq!(file(&ended, "reward").as_deref(), Some("1\n"));
    }

    /// A file that claims to be huge costs bounded time and memory.
    pub(crate) async fn a_sparse_file_is_bounded(&self) {
        let mut spec = self.spec("truncate -s 10T sparse");
        spec.limits.collect = 1 << 20;
        let begun = Instant::now();
        let ended = self.run(spec).await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        let folder = &ended.collected[0];
        assert!(
            folder.truncated && folder.files.is_empty(),
            "{:?}",
            folder.refused
        );
        assert!(begun.elapsed() < SOON);
    }

    /// The job's own socket can be reached, and nothing else of the host.
    pub(crate) async fn the_model_socket_answers(&self) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.sock");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        open_to_all(&path);
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut asked = [0; 4];
            client.read_exact(&mut asked).await.expect("a question");
            client.write_all(b"pong").await.expect("a listener");
            asked
        });
        let mut spec = self.spec(
            "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); \
             s.connect(\"/run/dgm/model.sock\"); s.sendall(b\"ping\"); print(s.recv(4))'; \
             touch /run/dgm/x 2>/dev/null && echo wrote; rm -f /run/dgm/model.sock 2>/dev/null && echo gone; \
             ls -A /run/dgm",
        );
        spec.socket_dir = Some(folder.path().to_owned());
        let ended = self.run(spec).await;
        assert_eq!(text(&ended), "b'pong'\nmodel.sock\n");
        assert_eq!(&server.await.expect("the server ends"), b"ping");
    }

    /// No socket of an engine, no host process, no host environment, no host name server.
    pub(crate) async fn the_host_cannot_be_seen(&self) {
        let said = self
            .says(
                "ls /var/run/docker.sock /run/docker.sock /run/containerd /run/dgm 2>/dev/null; \
                 env | cut -d= -f1 | grep -vxE 'PATH|HOME|TMPDIR|PWD|OLDPWD|SHLVL|_|HOSTNAME|LANG|LC_ALL|PYTEST_ADDOPTS|PYTHONDONTWRITEBYTECODE'; \
                 cat /proc/[0-9]*/comm | grep -E 'cargo|dockerd|systemd|it-'; true",
            )
            .await;
        assert_eq!(said, "");
    }

    /// Cancelling ends a run soon, with the error that says so.
    pub(crate) async fn cancel_ends_a_run(&self) {
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            stop.cancel();
        });
        let begun = Instant::now();
        let error = self.sandbox.run(self.spec("sleep 600"), cancel).await;
        let error = error.expect_err("a cancelled run has no result");
        assert!(
            matches!(error, dgm::sandbox::SandboxError::Cancelled),
            "{error:?}"
        );
        assert!(begun.elapsed() < SOON);
    }
}

/// Lets every user connect to a socket, as the gateway does for its own.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(path, open).expect("the socket is ours");
}
