//! What a provider's answer begins with: all of it, or the first event of a stream.

use super::error::ModelError;
use super::reply::Reply;
use super::wire::Event;
use futures_util::stream::BoxStream;

/// What is said of a stream that ends too early.
pub(super) const CUT: &str = "the stream ended before the answer did";

/// What came of a request for a stream.
pub(super) enum Came {
    /// A provider that does not stream has answered.
    Whole(Reply),
    /// The first event, and those that follow.
    Stream(Event, BoxStream<'static, Result<Event, ModelError>>),
}
