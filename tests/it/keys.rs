//! A whole run with a key: it reaches the provider's server and nothing else.

use crate::support::{Plan, World};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// Nothing else on this machine holds this text.
const KEY: &str = "sk-0f3c5a7be1d94f60-never-to-be-seen-again";
const VARIABLE: &str = "KEY_OF_A_TEST_OF_DGM";

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    barrier: true,
    workers: 1,
    backend: "local",
};

/// What the server has seen.
#[derive(Default)]
struct Seen {
    requests: usize,
    /// Processes other than the program itself that had the key, while an agent waited.
    leaks: Vec<String>,
    /// Agents that were looked at.
    agents: usize,
}

struct Upstream {
    folder: PathBuf,
    seen: Mutex<Seen>,
}

/// Answers with the scripted model, after a look at all processes of this machine; every
/// third answer is an error that says the key.
async fn complete(
    State(upstream): State<Arc<Upstream>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    assert_eq!(authorization, format!("Bearer {KEY}"));
    assert!(!String::from_utf8_lossy(&body).contains(KEY));
    let number = {
        let mut seen = upstream.seen.lock().unwrap();
        seen.requests += 1;
        look_at_processes(&mut seen);
        seen.requests
    };
    if number % 3 == 0 {
        let error = format!(r#"{{"error":{{"message":"I failed for {KEY}"}}}}"#);
        return (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    }
    let folder = upstream.folder.clone();
    let answer = tokio::task::spawn_blocking(move || scripted(&folder, &body));
    let answer = answer.await.unwrap();
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

fn scripted(folder: &Path, request: &[u8]) -> Vec<u8> {
    let mut model = Command::new("/usr/bin/python3")
        .args(["-I", "-S", "-E"])
        .arg(folder.join("scripted-model/scripted.py"))
        .arg("--tasks")
        .arg(folder.join("tasks"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    model.stdin.take().unwrap().write_all(request).unwrap();
    let output = model.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn look_at_processes(seen: &mut Seen) {
    let program = Path::new(env!("CARGO_BIN_EXE_dgm")).canonicalize().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program) {
            continue;
        }
        for file in ["environ", "cmdline"] {
            let text = std::fs::read(process.join(file)).unwrap_or_default();
            if holds_key(&text) {
                seen.leaks.push(format!("{file} of process {name}"));
            }
            let marker = b"DGM_MODEL_SOCKET=";
            let is_agent = text.windows(marker.len()).any(|part| part == marker);
            seen.agents += usize::from(is_agent);
        }
    }
}

fn holds_key(bytes: &[u8]) -> bool {
    let key = KEY.as_bytes();
    bytes.windows(key.len()).any(|part| part == key)
}

/// Returns every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

/// Returns what a file holds, as it is and unpacked: blobs are Zstandard, objects of git zlib.
fn contents(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::ZlibDecoder::new(bytes.as_slice());
    let is_zlib = decoder.read_to_end(&mut unpacked).is_ok();
    let mut all = Vec::new();
    all.extend(is_zlib.then_some(unpacked));
    all.extend(zstd::decode_all(bytes.as_slice()).ok());
    all.push(bytes);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_reaches_the_server_and_nothing_else() {
    let world = World::new(&PLAN);
    let upstream = Arc::new(Upstream {
        folder: world.path(""),
        seen: Mutex::default(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(upstream.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let program = world.path("model.sh");
    for _ in 0..3 {
        world.configure(
            &format!(
                "provider = \"command\"\nmodel = \"scripted\"\nfree = true\ncommand = [{program:?}]"
            ),
            &format!(
                "provider = \"openai\"\nmodel = \"scripted\"\nfree = true\n\
                 base_url = \"http://{address}\"\napi_key_env = \"{VARIABLE}\""
            ),
        );
    }
    // Without the key nothing begins, and it is said what to do.
    let output = world.output("evolve demo --config config.toml");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        talk.contains(&format!("`{VARIABLE}`, which is not set")),
        "{talk}"
    );

    let mut run = world.command("evolve demo --config config.toml");
    run.env(VARIABLE, KEY).env("RUST_LOG", "trace");
    let output = tokio::task::spawn_blocking(move || run.output().unwrap());
    let output = output.await.unwrap();
    serving.abort();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    assert!(!talk.contains(KEY) && !holds_key(&output.stdout));
    let seen = upstream.seen.lock().unwrap();
    assert!(seen.requests > 10 && seen.agents > 0, "{}", seen.requests);
    assert_eq!(seen.leaks, [""; 0]);
    let mut written = Vec::new();
    files(&world.path(""), &mut written);
    assert!(written.iter().any(|path| path.ends_with("archive.db")));
    for path in written {
        for content in contents(&path) {
            assert!(!holds_key(&content), "{}", path.display());
        }
    }
}
