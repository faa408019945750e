//! Recordings and replays as rows, and rows as those.

use super::columns::{Columns, Read};
use super::encode::{add, count};
use crate::domain::{BlobId, CallId, Fact, Recording, Replay};
use rusqlite::{Connection, params};

/// Columns of a recording in the order in which [`recording`] takes them.
pub(super) const RECORDING: [&str; 10] = [
    "call",
    "dialect",
    "streamed",
    "tried",
    "request_digest",
    "messages",
    "base",
    "base_messages",
    "request_blob",
    "answer_blob",
];

/// Columns of a replay in the order in which [`replay`] takes them.
pub(super) const REPLAY: [&str; 3] = ["run", "archive", "place"];

pub(super) fn insert_recording(
    db: &Connection,
    seq: i64,
    recording: &Recording,
) -> rusqlite::Result<()> {
    let base = recording.base;
    add(
        db,
        "recording",
        params![
            seq,
            count(recording.call.0)?,
            recording.dialect,
            recording.streamed,
            recording.tried,
            recording.digest,
            count(recording.messages)?,
            base.map(|(call, _)| count(call.0)).transpose()?,
            base.map(|(_, messages)| count(messages)).transpose()?,
            recording.request.as_str(),
            recording.answer.as_ref().map(BlobId::as_str)
        ],
    )
}

pub(super) fn insert_replay(db: &Connection, seq: i64, replay: &Replay) -> rusqlite::Result<()> {
    let Replay {
        run,
        archive,
        place,
    } = replay;
    add(db, "replay", params![seq, run.0, archive, place])
}

pub(super) fn recording(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Recorded(Recording {
        call: row.count().map(CallId)?,
        dialect: row.take()?,
        streamed: row.take()?,
        tried: row.take()?,
        digest: row.take()?,
        messages: row.count()?,
        base: {
            let call = row.optional_count()?.map(CallId);
            call.zip(row.optional_count()?)
        },
        request: BlobId::from_hex(row.take::<String>()?),
        answer: row.blob()?,
    }))
}

pub(super) fn replay(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Replays(Replay {
        run: row.run()?,
        archive: row.take()?,
        place: row.take()?,
    }))
}
