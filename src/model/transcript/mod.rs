//! What one job said to its model, and what it was answered, as lines of JSON.
//!
//! One line per call, in the order in which calls ended:
//! - `n`: ordinal of the call, from 1;
//! - `kept`: how many messages of the conversation so far the request repeats (the previous
//!   request's messages and its reply), left out where it repeats all of them;
//! - `dropped`: how many it no longer has, left out where there are none;
//! - `new_messages`: the rest of the request's messages;
//! - `tools`: names of the tools offered, where they differ from the call before;
//! - `tool_definitions`: their definitions, where these differ;
//! - `reply` (a message) with `finish`, `tokens` and `cost_usd_micros`, or `error` (an object);
//! - `model`: what the provider calls the model that answered;
//! - `ended_ms` (since 1970) and `latency_ms`, and `tries` where there was more than one.
//!
//! Transcripts that were written before a field came are read as well: [`read`] says of each
//! whether it is known.
//!
//! Invariant: a transcript has a largest size. What does not fit is cut, oldest calls staying
//! and newest calls staying, and a line `{"cut":{"calls":…,"bytes":…}}` says what is missing.

mod message;
mod read;
mod record;
mod render;

pub use read::read;
pub(super) use record::TranscriptRecorder;
pub use render::render;

#[cfg(test)]
mod tests;
