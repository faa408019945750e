//! From an agent's socket to a provider's server and back, byte by byte.

mod discretion;
mod order;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use dgm::domain::{CallId, CallSettlement, JobId, Role};
use dgm::gateway::Gateway;
use dgm::model::{
    Allowance, Books, Denied, Intent, JobSubject, Metered, Model, ModelSettings, Price,
};
use dgm::sys::durable;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

const KEY: &str = "sk-test-0123456789";
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

struct NoBooks;

impl Books for NoBooks {
    fn intend(&self, _intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async { Ok(CallId(1)) })
    }

    fn settle(&self, _settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What the server says to one request: a status, and a body or events.
#[derive(Clone)]
enum Say {
    Whole(u16, String),
    Events(String),
}

#[derive(Default)]
struct Said {
    to_say: Mutex<VecDeque<Say>>,
    asked: Mutex<Vec<String>>,
}

/// A provider's server, and an agent's socket that leads to it.
struct Line {
    said: Arc<Said>,
    serving: JoinHandle<()>,
    gateway: Gateway,
    metered: Arc<Metered>,
    _folder: TempDir,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer as an agent gets it.
#[derive(Debug)]
struct Heard {
    status: u16,
    body: String,
}

impl Line {
    async fn to(provider: &str) -> Self {
        Self::with(provider, |_| {}).await
    }

    async fn with(provider: &str, change: impl FnOnce(&mut ModelSettings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let said = Arc::new(Said::default());
        let router = Router::new().fallback(say).with_state(said.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        let folder = tempfile::Builder::new()
            .prefix("dgm-")
            .tempdir_in("/tmp")
            .unwrap();
        let key = folder.path().join("key");
        durable::write(&key, KEY.as_bytes()).unwrap();
        let mut settings = ModelSettings::new(provider, "served");
        settings.base_url = Some(url);
        settings.api_key_file = Some(key);
        settings.max_output_tokens = Some(4000);
        settings.price = Some(Price::Free);
        settings.timeout = Duration::from_secs(60);
        settings.retry.tries = 1;
        change(&mut settings);
        let metered = metered(settings);
        let job = folder.path().join("job");
        Self {
            said,
            serving,
            gateway: Gateway::serve(job, metered.clone()).unwrap(),
            metered,
            _folder: folder,
        }
    }

    /// Sends a body to the agent's socket; returns what reached the server, and what came back.
    async fn ask(&self, path: &str, body: &str, say: Say) -> (String, Heard) {
        self.said.to_say.lock().unwrap().push_back(say);
        let heard = ask(self.gateway.path(), path, body).await;
        let mut asked = self.said.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{heard:?}");
        (asked.remove(0), heard)
    }
}

fn metered(settings: ModelSettings) -> Arc<Metered> {
    let job = JobSubject {
        subject: JobId::Manual,
        execution: 1,
        role: Role::Solve,
    };
    let model = Arc::new(Model::new(settings).unwrap());
    Arc::new(Metered::new(
        model,
        Arc::new(NoBooks),
        job,
        Allowance::default(),
    ))
}

async fn say(State(said): State<Arc<Said>>, body: String) -> Response {
    said.asked.lock().unwrap().push(body);
    let say = said.to_say.lock().unwrap().pop_front();
    let (status, kind, text) = match say {
        Some(Say::Whole(status, text)) => (status, "application/json", text),
        Some(Say::Events(text)) => (200, "text/event-stream", text),
        None => (400, "application/json", "{}".to_owned()),
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn ask(socket: &Path, path: &str, body: &str) -> Heard {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n\
         {body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunked(body),
        false => body.to_owned(),
    };
    Heard {
        status: head[9..12].parse().unwrap(),
        body,
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&more[..size]);
        rest = &more[size + 2..];
    }
    body
}
