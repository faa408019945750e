//! A model call's traffic, kept so that the run can be replayed without a provider.

use super::{BlobId, CallId, RunId};

/// What a model was sent and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The call.
    pub call: CallId,
    /// What the request is written in: `chat` or `messages`.
    pub dialect: String,
    /// Whether the answer was asked for as a stream.
    pub streamed: bool,
    /// Which try of its request it was, from 1.
    pub tried: u32,
    /// Digest of the whole request, by which it is found again.
    pub digest: String,
    /// Messages of the whole request.
    pub messages: u64,
    /// The recorded call whose request begins with the same messages, and how many of them are
    /// not stored again: conversations grow, and would take room in the square of their length.
    pub base: Option<(CallId, u64)>,
    /// The request, without the messages of the base.
    pub request: BlobId,
    /// The answer, as far as it came; none: nothing came.
    pub answer: Option<BlobId>,
}

/// Where a run that replays another one takes its answers from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The run that replays.
    pub run: RunId,
    /// Random id of the archive whose recordings it replays.
    pub archive: String,
    /// Where that archive was, as typed.
    pub place: String,
}
