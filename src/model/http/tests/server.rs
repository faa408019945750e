//! A server that does to each request what a test says, and remembers what it was asked.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// What is done to one request.
pub(super) enum Do {
    /// Says this, and hangs up.
    Say(String),
    /// Says this, and waits for the next request on the same connection.
    Keep(String),
    /// Says this, and nothing more while the client waits.
    Stall(String),
    /// Says what the test sends, as it sends it, and hangs up.
    Pace(UnboundedReceiver<String>),
    /// Breaks the connection without a word.
    Reset,
    /// Says this, then so many bytes more.
    Flood(String, usize),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Everything before the body, in lower case but for the values of headers.
    pub(super) head: String,
    pub(super) body: Value,
}

impl Asked {
    /// Returns the value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Do>,
    asked: Vec<Asked>,
    connections: usize,
    /// Clients that hung up while they were to wait.
    left: usize,
}

/// A server on this machine; it ends with the value.
pub(super) struct Server {
    address: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(super) async fn start(script: impl IntoIterator<Item = Do>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(State {
            script: script.into_iter().collect(),
            ..State::default()
        }));
        let shared = state.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self {
            address,
            state,
            serving,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what came so far, after checking that everything was asked for that was to be
    /// answered.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let state = lock(&self.state);
        assert_eq!(state.script.len(), 0, "answers are left");
        state.asked.clone()
    }

    pub(super) fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Waits until so many clients hung up while the server had not finished.
    pub(super) async fn left(&self, clients: usize) {
        while lock(&self.state).left < clients {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let todo = {
            let mut state = lock(&state);
            state.asked.push(asked);
            state.script.pop_front()
        };
        let text = match todo {
            None => respond(599, "", "nothing is left to say"),
            Some(Do::Reset) => {
                stream.set_zero_linger().expect("it can be set");
                return;
            }
            Some(Do::Stall(text)) => {
                stream.write_all(text.as_bytes()).await.unwrap_or_default();
                let _closed = stream.read(&mut [0; 1]).await;
                lock(&state).left += 1;
                return;
            }
            Some(Do::Pace(mut texts)) => {
                let mut said = [0; 1];
                loop {
                    tokio::select! {
                        text = texts.recv() => match text {
                            Some(text) => {
                                stream.write_all(text.as_bytes()).await.unwrap_or_default();
                            }
                            None => return,
                        },
                        _closed = stream.read(&mut said) => {
                            lock(&state).left += 1;
                            return;
                        }
                    }
                }
            }
            Some(Do::Flood(text, mut bytes)) => {
                stream.write_all(text.as_bytes()).await.unwrap_or_default();
                let block = vec![b' '; 1 << 20];
                while bytes > 0 && stream.write_all(&block).await.is_ok() {
                    bytes = bytes.saturating_sub(block.len());
                }
                return;
            }
            Some(Do::Keep(text)) => {
                stream.write_all(text.as_bytes()).await.unwrap_or_default();
                continue;
            }
            Some(Do::Say(text)) => text,
        };
        stream.write_all(text.as_bytes()).await.unwrap_or_default();
        stream.shutdown().await.unwrap_or_default();
        return;
    }
}

/// Reads one request; none where the client hangs up.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        let end = buffer.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then_some(value)
            });
            let length: usize = length.unwrap_or("0").parse().expect("a length");
            let whole = end + 4 + length;
            if buffer.len() >= whole {
                let body = serde_json::from_slice(&buffer[end + 4..whole]).expect("JSON");
                buffer.drain(..whole);
                return Some(Asked { head, body });
            }
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Returns a whole response; headers end with a line break each.
pub(super) fn respond(status: u16, headers: &str, body: &str) -> String {
    let headers = headers.replace('\n', "\r\n");
    let length = body.len();
    format!("HTTP/1.1 {status} It\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// Returns the head of a streamed response, and what is to follow it at once.
pub(super) fn streamed(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{events}")
}

/// A reply that says hello, and used 10 and 2 tokens.
pub(super) const HELLO: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"served","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;

/// Returns a server's usual answer.
pub(super) fn hello() -> Do {
    Do::Say(respond(200, "content-type: application/json\n", HELLO))
}
