//! From a request's bytes to JSON, within bounds of size, time and memory.
//!
//! Invariant: what the requests of one job take in memory, as bytes and as values, is counted
//! before it is taken, so that no job can make the process grow.

use super::limits::{BODY_LIMIT, DISCARDED, Limits};
use super::refusal::Refusal;
use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bodies longer than this are read as JSON where nobody else waits for the thread.
const LONG: usize = 256 << 10;

/// The room in memory that the requests of one job share.
///
/// Room for values is asked for by who has its bytes, never the other way round, so that no
/// two wait for each other.
#[derive(Clone, Debug)]
pub(super) struct BodyRoom {
    bytes: Arc<Semaphore>,
    values: Arc<Semaphore>,
    limits: Limits,
}

/// A part of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    _values: OwnedSemaphorePermit,
}

impl BodyRoom {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(limits.bytes as usize)),
            values: Arc::new(Semaphore::new(limits.values as usize)),
            limits,
        }
    }

    /// Reads a body as JSON. The share is to be kept as long as the value.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Value, Share), Refusal> {
        let mut chunks = body.into_data_stream();
        let read = self.receive(headers, &mut chunks).await;
        if let Err(refusal) = &read
            && refusal.status != StatusCode::REQUEST_TIMEOUT
        {
            self.discard(headers, chunks);
        }
        read
    }

    /// Takes in, and drops, what comes of a body that nobody wants, while it is answered: many
    /// clients send all of it before they read, and would find a broken pipe in the place of
    /// the answer. Bounded in bytes and time; nothing of it is kept.
    pub(super) fn discard(&self, headers: &HeaderMap, mut chunks: BodyDataStream) {
        // Whoever asks first sends nothing when it is told no.
        if headers.contains_key(header::EXPECT) {
            return;
        }
        let until = Instant::now() + self.limits.discard;
        tokio::spawn(async move {
            let mut left = DISCARDED;
            while let Ok(Some(Ok(chunk))) = timeout_at(until, chunks.next()).await {
                match left.checked_sub(chunk.len()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        });
    }

    async fn receive(
        &self,
        headers: &HeaderMap,
        chunks: &mut BodyDataStream,
    ) -> Result<(Value, Share), Refusal> {
        let said = headers.get(header::CONTENT_LENGTH);
        let said = said.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let most = match said.map(usize::try_from) {
            // Known before the first byte of it has come.
            Some(Ok(length)) if length <= BODY_LIMIT => length,
            Some(_) => return Err(too_large()),
            None => BODY_LIMIT,
        };
        let until = Instant::now() + self.limits.body;
        let _taken = take(&self.bytes, most, until).await?;
        let capacity = said.map_or(0, |_| most);
        let collected = timeout_at(until, collect(chunks, capacity)).await;
        let bytes = collected.map_err(|_| Refusal {
            status: StatusCode::REQUEST_TIMEOUT,
            kind: "invalid_request_error",
            message: format!(
                "the body did not come within {:.0} s",
                self.limits.body.as_secs_f32()
            ),
        })??;
        let needed = footprint(&bytes);
        if kibibytes(needed) > self.limits.values {
            return Err(Refusal {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                kind: "request_too_large",
                message: format!(
                    "the body would take about {} MiB in memory, at most {} are possible: \
                     it holds too many small values",
                    needed >> 20,
                    self.limits.values >> 10
                ),
            });
        }
        let share = Share {
            _values: take(&self.values, needed, until).await?,
        };
        Ok((parse(bytes).await?, share))
    }
}

async fn take(
    room: &Arc<Semaphore>,
    bytes: usize,
    until: Instant,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let taken = room.clone().acquire_many_owned(kibibytes(bytes));
    match timeout_at(until, taken).await {
        Ok(Ok(taken)) => Ok(taken),
        // The semaphore is never closed.
        Ok(Err(_)) | Err(_) => Err(Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "overloaded_error",
            message: "other requests of this job take all its memory: \
                      send fewer large ones at once"
                .to_owned(),
        }),
    }
}

async fn collect(chunks: &mut BodyDataStream, capacity: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::with_capacity(capacity);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::bad("the body could not be read"))?;
        if bytes.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn parse(bytes: Vec<u8>) -> Result<Value, Refusal> {
    let parsed = if bytes.len() <= LONG {
        serde_json::from_slice(&bytes)
    } else {
        let parsing = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes));
        parsing
            .await
            .map_err(|_| Refusal::bad("the body could not be read"))?
    };
    parsed.map_err(|error| Refusal::bad(format!("the body is no JSON: {error}")))
}

/// Returns about how many bytes a body takes once it is read: a short text can be a large
/// value.
fn footprint(json: &[u8]) -> usize {
    /// What a map takes that has one entry.
    const OBJECT: usize = 700;
    /// What a list takes that has one value: it makes room for four.
    const LIST: usize = 320;
    /// One more entry or value, with a text of its own; half of the room may be empty.
    const ITEM: usize = 320;
    let mut sum = json.len();
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' => sum += OBJECT,
            b'[' => sum += LIST,
            b',' => sum += ITEM,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    sum
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX)
}

fn too_large() -> Refusal {
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        kind: "request_too_large",
        message: format!("the body is larger than {} MiB", BODY_LIMIT >> 20),
    }
}
