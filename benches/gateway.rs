//! What the gateway adds to a call, against the same call made directly.
//!
//! `cargo bench --bench gateway [-- ROUNDS]`. Three processes' worth of work on one machine:
//! this one is the provider (a server that answers at once) and the client; `dgm gateway` is
//! the gateway, with a new archive on disk and durable books: each intent is on the disk
//! before its request leaves. Directly the client speaks to the provider over TCP, otherwise
//! to the gateway over its Unix socket, which speaks to the provider over TCP.
//!
//! - `closed`: 64 callers, each calling again as soon as it is answered: throughput. A call
//!   then takes 64 divided by the calls in a second, whatever a call alone takes;
//! - `paced`: 64 callers, each calling so often that all of them make 500, 1000, 2000 calls
//!   in a second: what the gateway adds to a call where the machine is not saturated;
//! - `in flight`: 64 callers, and a provider that takes 20 to 120 ms, as models differ in what
//!   they take: always 64 in flight. What it took is subtracted, on both ways;
//! - `in step`: the same where it always takes 50 ms. Then those that wait for one sync of the
//!   disk leave and come back together ever after, which no real provider does;
//! - `chunks`: 64 streams of one chunk each 20 ms, begun one after the other; from the moment
//!   at which the provider sends a chunk to the moment at which the client has it;
//! - `open`: memory of a new gateway's process with 256 streams open.
//!
//! - `disk`: the bare disk in the same folder at the same time: 16 KiB written and made durable,
//!   which is about what one intent takes. A call through the gateway waits for it once.
//!
//! Rounds of both kinds alternate, so that other load on the machine falls on both.

#![expect(clippy::print_stdout, reason = "a benchmark's numbers are its output")]

use anyhow::{Context as _, ensure};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::post};
use dgm::archive::Writer;
use dgm::sys::clock::now_ms;
use futures_util::future::try_join_all;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

const CALLERS: usize = 64;
const MILLISECOND: Duration = Duration::from_millis(1);
/// How long a provider takes that always takes the same time, in milliseconds.
const WAIT: u64 = 50;
/// How long one takes whose time differs from call to call, in milliseconds.
const WAITS: std::ops::Range<u64> = 20..121;
/// From one chunk of a stream to the next.
const EVERY: Duration = Duration::from_millis(20);
const REPLY: &str = r#"{"id":"chat-1","object":"chat.completion","created":1,"model":"served","choices":[{"index":0,"message":{"role":"assistant","content":"All good things come to those who wait."},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}"#;

/// A stream of bytes to a server.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok());
    let rounds: usize = rounds.unwrap_or(5);
    let bench = Bench::open().await?;
    for way in Way::BOTH {
        bench.closed(way, 50).await?;
    }
    println!("medians of {rounds} rounds (lowest, highest); times in ms");
    let (mut table, mut disk) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut row = Vec::new();
        for (kind, of) in Kind::ALL.into_iter().enumerate() {
            let mut both = [Figures::default(), Figures::default()];
            for turn in 0..2 {
                let at = (round + kind + turn) % 2;
                both[at] = bench.measure(of, Way::BOTH[at]).await?;
            }
            row.push(both);
        }
        table.push(row);
        disk.push(bench.disk()?);
    }
    print(&table);
    let of = |pick: &dyn Fn(&Figures) -> f64| spread(disk.iter().map(pick).collect());
    println!(
        "\ndisk: {} at the median, {} at p99",
        of(&|of| of.median),
        of(&|of| of.p99)
    );
    drop(bench);
    let (before, with) = Bench::open().await?.memory().await?;
    println!("\nopen: {before:.1} MB before, {with:.1} MB with 256 streams open");
    Ok(())
}

/// Returns the median of some values with the lowest and the highest.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (first, last) = (values[0], values[values.len() - 1]);
    format!("{:.3} ({first:.3}, {last:.3})", values[values.len() / 2])
}

fn print(table: &[Vec<[Figures; 2]>]) {
    println!(
        "\n{:<12} {:>22} {:>22}   {:>20} {:>20}   gateway's calls/s",
        "", "direct median", "direct p99", "added at median", "added at p99"
    );
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        let spread = |pick: &dyn Fn(&[Figures; 2]) -> f64| {
            spread(table.iter().map(|row| pick(&row[at])).collect())
        };
        println!(
            "{:<12} {:>22} {:>22}   {:>20} {:>20}   {}",
            kind.name(),
            spread(&|both| both[0].median),
            spread(&|both| both[0].p99),
            spread(&|both| both[1].median - both[0].median),
            spread(&|both| both[1].p99 - both[0].p99),
            spread(&|both| both[1].per_second),
        );
    }
    println!("\nratios to the direct call: median, p99, calls/s");
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        let ratio = |pick: &dyn Fn(&Figures) -> f64| {
            let ratio = |row: &Vec<[Figures; 2]>| pick(&row[at][1]) / pick(&row[at][0]);
            spread(table.iter().map(ratio).collect())
        };
        println!(
            "{:<12} {:>20} {:>20} {:>20}",
            kind.name(),
            ratio(&|of| of.median),
            ratio(&|of| of.p99),
            ratio(&|of| of.per_second),
        );
    }
}

/// Which way a call takes.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Gateway,
}

impl Way {
    const BOTH: [Self; 2] = [Self::Direct, Self::Gateway];
}

/// What is measured.
#[derive(Clone, Copy)]
enum Kind {
    Closed,
    Paced(u32),
    InFlight,
    InStep,
    Chunks,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Closed,
        Self::Paced(500),
        Self::Paced(1000),
        Self::Paced(2000),
        Self::InFlight,
        Self::InStep,
        Self::Chunks,
    ];

    fn name(self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Paced(rate) => format!("paced {rate}"),
            Self::InFlight => "in flight".to_owned(),
            Self::InStep => "in step".to_owned(),
            Self::Chunks => "chunks".to_owned(),
        }
    }
}

/// What one round gave; times in milliseconds.
#[derive(Clone, Copy, Default)]
struct Figures {
    median: f64,
    p99: f64,
    per_second: f64,
}

impl Figures {
    fn of(mut times: Vec<f64>, took: Duration) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        Self {
            median: at(0.5),
            p99: at(0.99),
            per_second: times.len() as f64 / took.as_secs_f64(),
        }
    }
}

/// The provider, and the gateway in front of it.
struct Bench {
    began: Instant,
    upstream: String,
    socket: PathBuf,
    gateway: Child,
    folder: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.gateway.kill());
        drop(self.gateway.wait());
    }
}

impl Bench {
    async fn open() -> anyhow::Result<Self> {
        let began = Instant::now();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = listener.local_addr()?.to_string();
        let routes = Router::new()
            .route("/v1/chat/completions", post(answer))
            .with_state(began);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("archive");
        let models = ["diagnose", "modify", "solve"].map(|role| {
            format!(
                "[models.{role}]\nprovider = \"openai\"\nmodel = \"served\"\n\
                 base_url = \"http://{upstream}/v1\"\nprice = {{ input = 1.0, output = 2.0 }}\n"
            )
        });
        let config = format!(
            "[benchmark]\npath = \"tasks\"\n[[stages]]\ncount = 1\n{}",
            models.concat()
        );
        drop(Writer::create(&archive, &config, now_ms())?);
        let socket = folder.path().join("model.sock");
        let gateway = Command::new(env!("CARGO_BIN_EXE_dgm"))
            .args(["--quiet", "gateway"])
            .arg(&archive)
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null())
            .spawn()
            .context("could not start `dgm gateway`")?;
        let bench = Self {
            began,
            upstream,
            socket,
            gateway,
            folder,
        };
        while UnixStream::connect(&bench.socket).await.is_err() {
            ensure!(began.elapsed() < Duration::from_secs(60), "no gateway");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(bench)
    }

    async fn connect(&self, way: Way) -> anyhow::Result<Box<dyn Wire>> {
        Ok(match way {
            Way::Direct => {
                let stream = TcpStream::connect(&self.upstream).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Way::Gateway => Box::new(UnixStream::connect(&self.socket).await?),
        })
    }

    async fn measure(&self, kind: Kind, way: Way) -> anyhow::Result<Figures> {
        match kind {
            Kind::Closed => self.closed(way, 300).await,
            Kind::Paced(rate) => self.paced(way, rate).await,
            Kind::InFlight => self.calls(way, 40, WAITS, MILLISECOND * 100, None).await,
            Kind::InStep => {
                let within = MILLISECOND * WAIT as u32;
                self.calls(way, 40, WAIT..WAIT + 1, within, None).await
            }
            Kind::Chunks => self.chunks(way).await,
        }
    }

    async fn closed(&self, way: Way, each: usize) -> anyhow::Result<Figures> {
        self.calls(way, each, 0..1, Duration::ZERO, None).await
    }

    async fn paced(&self, way: Way, rate: u32) -> anyhow::Result<Figures> {
        let every = Duration::from_secs(1) * CALLERS as u32 / rate;
        let each = (3 * rate) as usize / CALLERS;
        self.calls(way, each, 0..1, every, Some(every)).await
    }

    /// Makes calls, `each` by every caller, one after the other or at a pace. The callers begin
    /// one after the other within a time. The provider takes one of the milliseconds asked for,
    /// which do not count.
    async fn calls(
        &self,
        way: Way,
        each: usize,
        takes: std::ops::Range<u64>,
        within: Duration,
        every: Option<Duration>,
    ) -> anyhow::Result<Figures> {
        let asked: Vec<_> = takes
            .map(|takes| (takes, request(&format!("{takes} ms"), false)))
            .collect();
        let asked = Arc::new(asked);
        let mut connections = Vec::new();
        for _ in 0..CALLERS {
            connections.push(self.connect(way).await?);
        }
        let begun = Instant::now();
        let callers = connections
            .into_iter()
            .enumerate()
            .map(|(index, mut wire)| {
                let asked = asked.clone();
                let caller = async move {
                    let mut times = Vec::with_capacity(each);
                    let mut buffer = Vec::new();
                    let first = begun + within * index as u32 / CALLERS as u32;
                    let mut due = Some(tokio::time::Instant::from_std(first));
                    for turn in 0..each {
                        // Steps through them all, each caller in an order of its own.
                        let (takes, request) = &asked[(index * 31 + turn * 37) % asked.len()];
                        if let Some(next) = due {
                            tokio::time::sleep_until(next).await;
                            due = every.map(|every| next + every);
                        }
                        let called = Instant::now();
                        call(&mut wire, request, &mut buffer).await?;
                        times.push(called.elapsed().as_secs_f64() * 1e3 - *takes as f64);
                    }
                    anyhow::Ok(times)
                };
                async move { tokio::spawn(caller).await? }
            });
        let times = try_join_all(callers).await?;
        Ok(Figures::of(times.concat(), begun.elapsed()))
    }

    /// Reads streams, and how old each chunk is when it comes.
    async fn chunks(&self, way: Way) -> anyhow::Result<Figures> {
        let request = request("stream", true);
        let begun = Instant::now();
        let mut readers = Vec::new();
        for _ in 0..CALLERS {
            tokio::time::sleep(EVERY / 2).await;
            let mut wire = self.connect(way).await?;
            wire.write_all(&request).await?;
            let began = self.began;
            readers.push(tokio::spawn(async move {
                let mut ages = Vec::new();
                let mut text = Vec::new();
                loop {
                    ensure!(wire.read_buf(&mut text).await? > 0, "a stream ended early");
                    let now = began.elapsed().as_secs_f64() * 1e3;
                    let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
                    let rest = text.split_off(whole);
                    let lines = String::from_utf8(std::mem::replace(&mut text, rest))?;
                    let sent = lines.split("\"content\":\"").skip(1);
                    for sent in sent.filter_map(|rest| rest.split('"').next()?.parse::<f64>().ok())
                    {
                        ages.push(now - sent / 1e3);
                    }
                    if lines.contains("[DONE]") {
                        return anyhow::Ok(ages);
                    }
                }
            }));
        }
        let mut ages = Vec::new();
        for reader in readers {
            ages.extend(reader.await??);
        }
        Ok(Figures::of(ages, begun.elapsed()))
    }

    /// Writes and syncs as the archive does.
    fn disk(&self) -> anyhow::Result<Figures> {
        let mut file = std::fs::File::create(self.folder.path().join("disk"))?;
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..300 {
            std::thread::sleep(Duration::from_millis(1));
            let written = Instant::now();
            file.write_all(&[7; 16 << 10])?;
            file.sync_all()?;
            times.push(written.elapsed().as_secs_f64() * 1e3);
        }
        Ok(Figures::of(times, begun.elapsed()))
    }

    /// Returns the gateway's memory in megabytes before and with 256 streams open.
    async fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let before = self.resident()?;
        let request = request("hang", true);
        let mut open = Vec::new();
        for _ in 0..256 {
            let mut wire = self.connect(Way::Gateway).await?;
            wire.write_all(&request).await?;
            let mut begun = vec![0; 1024];
            let count = wire.read(&mut begun).await?;
            ensure!(begun[..count].starts_with(b"HTTP/1.1 200"), "no stream");
            open.push(wire);
        }
        Ok((before, self.resident()?))
    }

    fn resident(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.gateway.id());
        let status = std::fs::read_to_string(Path::new(&path))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        let kibibytes: f64 = kibibytes.context("no `VmRSS`")?.parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }
}

/// Returns a request as an agent makes it: some messages, and tools.
fn request(asked: &str, stream: bool) -> Vec<u8> {
    let text = "Look at the failing test and say what is wrong. ".repeat(20);
    let body = serde_json::json!({
        "model": "any",
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": text},
            {"role": "assistant", "content": null, "tool_calls": [{
                "id": "call_1", "type": "function",
                "function": {"name": "bash", "arguments": "{\"command\":\"ls\"}"},
            }]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Cargo.toml\nsrc\n"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "bash", "description": "Runs a command.",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
        }}],
        "stream": stream,
        // Says to the provider how to answer; it is passed on as everything is.
        "user": asked,
    });
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Makes one call and reads its answer.
async fn call(wire: &mut dyn Wire, request: &[u8], buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    wire.write_all(request).await?;
    loop {
        let count = wire.read_buf(buffer).await?;
        ensure!(count > 0, "no answer");
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head])?;
        ensure!(text.starts_with("HTTP/1.1 200"), "answered {text}");
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if buffer.len() >= head + 4 + length.context("no length")? {
            return Ok(());
        }
    }
}

/// The provider: answers at once, after a while, by a stream, or by one that never ends.
async fn answer(State(began): State<Instant>, _headers: HeaderMap, body: Bytes) -> Response {
    let field = b"\"user\":\"";
    let at = body.windows(field.len()).position(|part| part == field);
    let asked = at.map_or(&body[..0], |at| &body[at + field.len()..]);
    let asked = asked.split(|byte| *byte == b'"').next();
    let asked = asked.and_then(|asked| std::str::from_utf8(asked).ok());
    let takes = asked.and_then(|asked| asked.strip_suffix(" ms"));
    if let Some(takes) = takes.and_then(|takes| takes.parse().ok()) {
        if takes > 0 {
            tokio::time::sleep(Duration::from_millis(takes)).await;
        }
        return ([("content-type", "application/json")], REPLY).into_response();
    }
    let is_endless = asked == Some("hang");
    let events = futures_util::stream::unfold(0_u32, move |sent| async move {
        let (last, more) = if is_endless {
            (u32::MAX, 3600)
        } else {
            (150, 0)
        };
        if sent > last {
            return None;
        }
        if sent > 0 {
            tokio::time::sleep(EVERY + Duration::from_secs(more)).await;
        }
        let text = match sent {
            sent if sent == last => "data: [DONE]\n\n".to_owned(),
            sent => chunk(began, sent + 1 == last),
        };
        Some((Ok::<_, std::io::Error>(text), sent + 1))
    });
    let stream = [("content-type", "text/event-stream")];
    (stream, Body::from_stream(events)).into_response()
}

/// Returns a chunk that says when it was sent, in microseconds.
fn chunk(began: Instant, is_last: bool) -> String {
    let reason = if is_last { "\"stop\"" } else { "null" };
    format!(
        "data: {{\"id\":\"chat-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
         \"model\":\"served\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\
         \"finish_reason\":{reason}}}]}}\n\n",
        began.elapsed().as_micros()
    )
}
