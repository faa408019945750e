//! A provider: a server that speaks Chat Completions, wants a key, and can go down. The
//! scripted model answers.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The server's address; it stays the same when the server goes down and comes back.
pub(crate) struct Upstream {
    at: SocketAddr,
    about: Arc<About>,
    up: Option<Runtime>,
}

struct About {
    keys: Vec<String>,
    model: PathBuf,
    tasks: PathBuf,
    asked: AtomicUsize,
    /// Seconds for which it wants to be left alone; none while it answers.
    busy: AtomicU64,
}

impl Upstream {
    /// Starts one that takes these keys, and answers as `scripted-model/` in this folder does.
    pub(crate) fn start(folder: PathBuf, keys: &[&str]) -> Self {
        let mut upstream = Self {
            at: SocketAddr::from(([127, 0, 0, 1], 0)),
            about: Arc::new(About {
                keys: keys.iter().map(|key| format!("Bearer {key}")).collect(),
                model: folder.join("scripted-model/scripted.py"),
                tasks: folder.join("tasks"),
                asked: AtomicUsize::new(0),
                busy: AtomicU64::new(0),
            }),
            up: None,
        };
        upstream.set_up(true);
        upstream
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// How often it was asked, whatever it said.
    pub(crate) fn asked(&self) -> usize {
        self.about.asked.load(Ordering::Relaxed)
    }

    /// Answers nobody but with the wish to be left alone for so many seconds; with none it
    /// answers.
    pub(crate) fn set_busy(&self, seconds: u64) {
        self.about.busy.store(seconds, Ordering::Relaxed);
    }

    /// Goes down, which breaks every connection, or comes back.
    pub(crate) fn set_up(&mut self, up: bool) {
        if !up {
            if let Some(runtime) = self.up.take() {
                runtime.shutdown_background();
            }
            // The listener goes with its task: whoever connects from then on is refused.
            while std::net::TcpStream::connect(self.at).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            return;
        }
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(async {
            loop {
                match TcpListener::bind(self.at).await {
                    Ok(listener) => return listener,
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        self.at = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/chat/completions", post(answer))
            .with_state(self.about.clone());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        self.up = Some(runtime);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.up.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    State(about): State<Arc<About>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap, String) {
    let mut more = HeaderMap::new();
    about.asked.fetch_add(1, Ordering::Relaxed);
    let key = headers
        .get("authorization")
        .and_then(|key| key.to_str().ok());
    let is_known = key.is_some_and(|key| about.keys.iter().any(|known| known == key));
    if !is_known {
        // As some servers do, it says the key back.
        let told = format!("Incorrect API key provided: {}", key.unwrap_or("none"));
        let error = serde_json::json!({"error": {
            "message": told, "type": "invalid_request_error", "code": "invalid_api_key",
        }});
        return (StatusCode::UNAUTHORIZED, more, error.to_string());
    }
    let busy = about.busy.load(Ordering::Relaxed);
    if busy > 0 {
        more.insert("retry-after", busy.into());
        let error = serde_json::json!({"error": {
            "message": "Rate limit reached", "type": "rate_limit_error", "code": null,
        }});
        return (StatusCode::TOO_MANY_REQUESTS, more, error.to_string());
    }
    let answered = tokio::task::spawn_blocking(move || play(&about, &body)).await;
    (StatusCode::OK, more, answered.unwrap())
}

fn play(about: &About, request: &str) -> String {
    let mut model = Command::new("/usr/bin/python3")
        .args(["-I", "-S", "-E"])
        .arg(&about.model)
        .arg("--tasks")
        .arg(&about.tasks)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = model.stdin.take().unwrap();
    stdin.write_all(request.as_bytes()).unwrap();
    drop(stdin);
    String::from_utf8(model.wait_with_output().unwrap().stdout).unwrap()
}
