//! Hostile clients against real gateways in a process of their own, whose memory is measured:
//! what one job does harms neither the process nor another job.

use crate::support::SOON;
use dgm::domain::{CallId, CallSettlement, JobId, Role};
use dgm::gateway::Gateway;
use dgm::model::{
    Allowance, Books, Denied, Intent, JobSubject, Metered, Model, ModelSettings, Price,
};
use futures_util::future::{BoxFuture, join_all};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Names the folder of the sockets to [`process_with_two_jobs`].
const FOLDER: &str = "DGM_TEST_GATEWAYS";
/// A program that answers every request.
const MODEL: &str = r#"cat >/dev/null; echo '{"choices":[{"message":{"content":"hello"}}]}'"#;
const MIB: usize = 1 << 20;

struct NoBooks;

impl Books for NoBooks {
    fn intend(&self, _intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async { Ok(CallId(1)) })
    }

    fn settle(&self, _settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn metered() -> Arc<Metered> {
    let settings = ModelSettings {
        price: Some(Price::Free),
        command: ["/bin/sh", "-c", MODEL].map(str::to_owned).into(),
        ..ModelSettings::new("command", "served")
    };
    let job = JobSubject {
        subject: JobId::Manual,
        execution: 1,
        role: Role::Solve,
    };
    // What would reach the model is small; the rest must end before.
    let allowance = Allowance {
        tokens: Some(50_000_000),
        ..Allowance::default()
    };
    let model = Arc::new(Model::new(settings).unwrap());
    Arc::new(Metered::new(model, Arc::new(NoBooks), job, allowance))
}

/// No test of its own: the process that [`one_job_cannot_harm_another`] starts. Two jobs are
/// served until its standard input is closed.
#[test]
fn process_with_two_jobs() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let serve = |name: &str| Gateway::serve(folder.join(name), metered()).unwrap();
        let jobs = [serve("attacked"), serve("other")];
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
            .await
            .unwrap()
            .unwrap();
        for job in jobs {
            job.shutdown().await;
        }
    });
}

/// The process with its two jobs.
struct Process {
    child: Child,
    attacked: PathBuf,
    other: PathBuf,
    _folder: tempfile::TempDir,
}

impl Process {
    async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("dgm-")
            .tempdir_in("/tmp")
            .unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["gateway_limits::process_with_two_jobs", "--exact"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self {
            child,
            attacked: folder.path().join("attacked/model.sock"),
            other: folder.path().join("other/model.sock"),
            _folder: folder,
        };
        let begun = Instant::now();
        while UnixStream::connect(&process.other).await.is_err() {
            assert!(begun.elapsed() < SOON, "it does not serve");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process
    }

    /// Returns a figure of its memory in bytes.
    fn memory(&self, name: &str) -> usize {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.unwrap().trim_matches([':', '\t', ' ', 'k', 'B']);
        kibibytes.parse::<usize>().unwrap() << 10
    }

    /// Asserts that the other job is served as ever.
    async fn assert_other_is_served(&self) {
        assert_eq!(hello(&self.other).await, 200);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Connects, after those that wait in the kernel's queue where that is full.
async fn connect(socket: &Path) -> UnixStream {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return stream,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                assert!(begun.elapsed() < SOON, "the queue stays full");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// Sends bytes and returns what comes back before the connection ends.
async fn send(socket: &Path, parts: &[&[u8]]) -> Vec<u8> {
    let mut stream = connect(socket).await;
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let sending = async {
        for part in parts {
            // A gateway that has heard enough may close while we write.
            if write.write_all(part).await.is_err() {
                return;
            }
        }
    };
    let (_sent, _received) = tokio::join!(sending, read.read_to_end(&mut answer));
    answer
}

/// Returns the status of an answer.
fn status(answer: &[u8]) -> u16 {
    let line = std::str::from_utf8(answer.get(9..12).unwrap_or_default());
    line.unwrap().parse().unwrap_or(0)
}

fn post(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

async fn hello(socket: &Path) -> u16 {
    let body = br#"{"messages":[{"role":"user","content":"hi"}]}"#;
    status(&send(socket, &[post(body.len()).as_bytes(), body]).await)
}

/// Opens as many connections as the kernel lets wait, up to ten thousand, each with the
/// beginning of a request, and holds them while the other job asks.
async fn ten_thousand_connections(process: &Process) {
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..10_000 {
        match UnixStream::connect(&process.attacked).await {
            Ok(stream) => {
                if number % 2 == 0 {
                    // Nobody may be there to read it.
                    drop(stream.try_write(b"POST /v1/chat/compl"));
                }
                open.push(stream);
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(open.len() + refused, 10_000);
    assert!(open.len() > 300, "{} were let in", open.len());
    process.assert_other_is_served().await;
}

/// Says that much will come, and leaves it at that.
async fn half_sent(process: &Process) {
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&process.attacked).await;
        let start = format!("{}{{\"messages\": [", post(64 * MIB));
        stream.write_all(start.as_bytes()).await.unwrap();
        open.push(stream);
    }
    process.assert_other_is_served().await;
}

/// Sends what is too large, or too large when it is read, several at once.
async fn large_bodies(process: &Process) {
    let text = vec![b'x'; 64 * MIB - 2];
    let lists = b"[[],".repeat(16 * MIB);
    let quoted = [&b"\""[..], &text, b"\""];
    let cases: [(&[&[u8]], u16); 4] = [
        (&quoted, 400),
        (&[&text], 400),
        (&[&lists], 413),
        (&[&text, b"xyz"], 413),
    ];
    let asked = cases.iter().map(|(parts, expected)| async {
        let length = parts.iter().map(|part| part.len()).sum();
        let head = post(length);
        let mut all = vec![head.as_bytes()];
        all.extend(*parts);
        let answer = send(&process.attacked, &all).await;
        assert_eq!(
            status(&answer),
            *expected,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    });
    tokio::join!(join_all(asked), process.assert_other_is_served());
}

/// Sends what is no request, or one for something that is not here.
async fn nonsense(process: &Process) {
    let asked = (0..400).map(|number: usize| async move {
        let long = "a".repeat(number * 300);
        let (text, expected): (String, &[u16]) = match number % 5 {
            0 => (format!("\u{1}{long}\r\n\r\n"), &[400, 431, 0]),
            1 => (
                format!("GET /{long} HTTP/1.1\r\nConnection: close\r\n\r\n"),
                &[404, 414, 431, 0],
            ),
            2 => (
                format!("GET / HTTP/1.1\r\nX: {long}\r\nConnection: close\r\n\r\n"),
                &[404, 431, 0],
            ),
            3 => (
                format!(
                    "{}{{\"messages\":[{{\"role\":\"{long}\"}}]}}",
                    post(26 + long.len())
                ),
                &[400],
            ),
            _ => (
                "POST /v1/embeddings HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
                &[404],
            ),
        };
        let answer = send(&process.attacked, &[text.as_bytes()]).await;
        let status = status(&answer);
        assert!(expected.contains(&status), "{number}: {status}");
    });
    tokio::join!(join_all(asked), process.assert_other_is_served());
}

/// Raises what this process may open.
fn allow_files(count: u64) {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < count) {
        let maximum = now.maximum.map(|maximum| maximum.max(count));
        let wanted = Rlimit {
            current: Some(count),
            maximum,
        };
        setrlimit(Resource::Nofile, wanted)
            .expect("this machine lets a process open eleven thousand files");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_job_cannot_harm_another() {
    allow_files(11_000);
    let process = Process::start().await;
    let mut after = Vec::new();
    for _ in 0..3 {
        ten_thousand_connections(&process).await;
        half_sent(&process).await;
        large_bodies(&process).await;
        nonsense(&process).await;
        // The job itself is served again, too.
        assert_eq!(hello(&process.attacked).await, 200);
        after.push(process.memory("VmRSS") / MIB);
    }
    // Eight bodies at once, of which some would take gigabytes as values.
    let most = process.memory("VmHWM") / MIB;
    assert!(most < 500, "{most} MiB at the most");
    // What two rounds would leave if anything of them were kept is more than a gigabyte.
    assert!(after[2] < after[0] + 150, "MiB after each round: {after:?}");
}
