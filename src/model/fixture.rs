//! What tests of models need: small real programs as models, and books that remember.

use super::tape::Tape;
use super::{
    Allowance, Books, Denied, Dialect, Intent, JobSubject, Metered, Model, ModelError,
    ModelSettings, Price, Reply, Retry,
};
use crate::domain::{CallId, CallSettlement, CallStatus, JobId, Role, VariantId};
use crate::sys::durable;
use futures_util::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A program that answers every request with the text `hello`.
pub(crate) const HELLO: &str = r#"cat > /dev/null
echo '{"choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":10,"completion_tokens":2}}'"#;

/// Books that remember what they were told, in order.
#[derive(Default)]
pub(crate) struct Remembered {
    rows: Mutex<Vec<Row>>,
    /// The ordinal from which on calls are denied.
    deny_from: Option<(u64, Denied)>,
    /// A file that exists once an intent is durable, which takes a while.
    marker: Option<PathBuf>,
}

/// One row of the books.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    Intended(CallId, Intent),
    Settled(CallSettlement),
}

impl Remembered {
    pub(crate) fn denying_from(ordinal: u64, denied: Denied) -> Self {
        Self {
            deny_from: Some((ordinal, denied)),
            ..Self::default()
        }
    }

    pub(crate) fn marking(marker: PathBuf) -> Self {
        Self {
            marker: Some(marker),
            ..Self::default()
        }
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.clone()
    }

    /// Returns how each settled call ended, after checking that every intent has exactly one
    /// settlement, which comes after it.
    pub(crate) fn endings(&self) -> Vec<CallStatus> {
        let mut open = Vec::new();
        let mut endings = Vec::new();
        for row in self.rows() {
            match row {
                Row::Intended(id, _) => open.push(id),
                Row::Settled(settlement) => {
                    let at = open.iter().position(|id| *id == settlement.id);
                    open.remove(at.expect("a settled call is open"));
                    endings.push(settlement.status);
                }
            }
        }
        assert_eq!(open, [], "every call is settled");
        endings
    }
}

impl Books for Remembered {
    fn intend(&self, intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async move {
            if let Some(marker) = &self.marker {
                tokio::time::sleep(Duration::from_millis(50)).await;
                durable::write(marker, b"durable").expect("the marker can be written");
            }
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let is_intent = |row: &&Row| matches!(row, Row::Intended(..));
            let id = rows.iter().filter(is_intent).count() as u64 + 1;
            if let Some((from, denied)) = &self.deny_from
                && id >= *from
            {
                return Err(denied.clone());
            }
            rows.push(Row::Intended(CallId(id), intent));
            Ok(CallId(id))
        })
    }

    fn settle(&self, settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.push(Row::Settled(settlement));
        })
    }
}

/// A folder with a shell script that is a model.
pub(crate) struct Program {
    pub(crate) folder: tempfile::TempDir,
}

impl Program {
    pub(crate) fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("model.sh");
        durable::write(&path, script.as_bytes()).expect("the script can be written");
        Self { folder }
    }

    /// Puts a file beside the script.
    pub(crate) fn write(&self, name: &str, text: &str) {
        durable::write(&self.path(name), text.as_bytes()).expect("the file can be written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn settings(&self) -> ModelSettings {
        settings(self.folder.path())
    }

    pub(crate) fn model(&self) -> Model {
        Model::new(self.settings()).expect("the settings are right")
    }

    /// Returns the model in the hands of a job without limits, and its books.
    pub(crate) fn metered(&self) -> (Metered, Arc<Remembered>) {
        let books = Arc::new(Remembered::default());
        let metered = metered(self.model(), books.clone(), Allowance::default());
        (metered, books)
    }
}

fn settings(folder: &Path) -> ModelSettings {
    ModelSettings {
        // Through the shell: a file that was just written cannot always be executed itself.
        command: vec!["/bin/sh".to_owned(), "model.sh".to_owned()],
        dir: folder.to_owned(),
        price: Some(Price::Free),
        max_output_tokens: Some(1000),
        timeout: Duration::from_secs(60),
        ..ModelSettings::new("command", "test-model")
    }
}

/// The job that asks.
pub(crate) fn job() -> JobSubject {
    JobSubject {
        subject: JobId::Attempt(VariantId(7)),
        execution: 1,
        role: Role::Modify,
    }
}

/// Puts a model into the hands of a job that retries at once.
pub(crate) fn metered(model: Model, books: Arc<Remembered>, allowance: Allowance) -> Metered {
    let retry = Retry {
        tries: 3,
        first_pause: Duration::from_millis(1),
        ..Retry::default()
    };
    Metered::new(Arc::new(model), books, job(), allowance).with_retry(retry)
}

/// Asks a model once, off the books.
pub(crate) async fn asked(model: &Model, request: &serde_json::Value) -> Result<Reply, ModelError> {
    let who = Arc::new(job());
    let body = Arc::new(request.clone());
    model
        .whole(Dialect::Chat, &body, Tape::new(who, 1, false))
        .await
}

/// Returns a request with one message.
pub(crate) fn request(content: &str) -> serde_json::Value {
    serde_json::json!({"messages": [{"role": "user", "content": content}]})
}
