//! Keeping what models were sent and what they answered.
//!
//! Invariant: a request is stored after another one of the same execution only if that one is
//! recorded, has a smaller number and begins with the same messages.

use crate::archive::Writer;
use crate::domain::{BlobId, CallId, Fact, Recording};
use crate::model::{JobSubject, Outline, Traffic};
use std::collections::HashMap;

/// The traffic of one call that ended.
pub(super) struct EndedCall {
    pub call: CallId,
    pub traffic: Traffic,
}

/// What is needed of the requests that were recorded last.
#[derive(Default)]
pub(super) struct Keeper {
    last: HashMap<JobSubject, (CallId, Outline)>,
}

impl Keeper {
    /// Stores what was sent and answered, all at once, and returns the facts that name it.
    pub(super) fn keep(
        &mut self,
        writer: &Writer,
        ended: Vec<EndedCall>,
    ) -> anyhow::Result<Vec<Fact>> {
        let mut drafts = Vec::new();
        for EndedCall { call, traffic } in ended {
            let Traffic { who, exchange } = traffic;
            let before = self.last.get(&*who).filter(|(before, _)| *before < call);
            let stored = exchange.stored_after(before.map(|(_, outline)| outline));
            let base = before.map(|(before, _)| (*before, stored.kept));
            let draft = Recording {
                call,
                dialect: exchange.dialect.name().to_owned(),
                streamed: exchange.streamed,
                tried: exchange.tried,
                digest: exchange.outline().digest(),
                messages: exchange.outline().len(),
                base: base.filter(|(_, kept)| *kept > 0),
                request: BlobId::from_hex(String::new()),
                answer: None,
            };
            if self.last.get(&*who).is_none_or(|(last, _)| *last < call) {
                self.last
                    .insert((*who).clone(), (call, exchange.outline().clone()));
            }
            drafts.push((draft, stored.bytes, exchange.answer));
        }
        let contents: Vec<&[u8]> = drafts
            .iter()
            .flat_map(|(_, request, answer)| [Some(request), answer.as_ref()])
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let mut ids = writer.put_blobs(&contents)?.into_iter();
        let mut next = || ids.next().expect("invariant: an address for each content");
        let facts = drafts.into_iter().map(|(draft, _, answer)| {
            Fact::Recorded(Recording {
                request: next(),
                answer: answer.map(|_| next()),
                ..draft
            })
        });
        Ok(facts.collect())
    }

    /// Forgets an execution that has ended: nothing more comes of it.
    pub(super) fn forget(&mut self, is_of: impl Fn(&JobSubject) -> bool) {
        self.last.retain(|who, _| !is_of(who));
    }
}
