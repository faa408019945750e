//! A server that answers what a test tells it to, and remembers what it was asked.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// What the server says to one request.
pub(crate) enum Answer {
    /// A status, headers and a body.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// Events, all at once.
    Events(Vec<Value>),
    /// Events as the test sends them; where it sends none, the connection breaks.
    Paced(UnboundedReceiver<Option<Value>>),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A server on this machine.
pub(crate) struct Upstream {
    pub(crate) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

impl Upstream {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.into()),
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            url,
            shared,
            serving,
        }
    }

    /// Returns the requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Returns the one request there was.
    pub(crate) fn only(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.asked.lock().unwrap().push(Asked {
        path: uri.path().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap(),
    });
    let answer = shared.answers.lock().unwrap().pop_front();
    match answer {
        Some(Answer::Whole(status, headers, text)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, text).into_response();
            let kind = "application/json".parse().unwrap();
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Answer::Events(events)) => {
            let events: String = events.iter().map(written).collect();
            streamed(Body::from(events))
        }
        Some(Answer::Paced(events)) => streamed(Body::from_stream(stream::unfold(
            events,
            |mut events| async {
                let event = events.recv().await?;
                let event = event.ok_or_else(|| io::Error::other("the connection breaks"));
                Some((event.map(|event| written(&event)), events))
            },
        ))),
        None => {
            let what = json!({"type": "error", "error": {
                "type": "invalid_request_error", "message": "the test has no answer to this",
            }});
            (StatusCode::BAD_REQUEST, what.to_string()).into_response()
        }
    }
}

fn streamed(body: Body) -> Response {
    (
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
        body,
    )
        .into_response()
}

/// Returns an event as it is on the wire.
fn written(event: &Value) -> String {
    format!(
        "event: {}\ndata: {event}\n\n",
        event["type"].as_str().unwrap()
    )
}
