//! Providers over HTTP, against real servers on this machine that misbehave.

mod connections;
mod faults;
mod server;
mod settings;
mod streams;

use crate::model::fixture::{Remembered, metered};
use crate::model::{Allowance, Metered, Model, ModelSettings, Price};
use server::Server;
use std::sync::Arc;
use std::time::Duration;

/// A key as a file holds it.
const KEY: &str = "sk-a-very-secret-key-0123456789";

/// A model behind a server, with a key, in the hands of a job.
struct World {
    server: Server,
    books: Arc<Remembered>,
    metered: Metered,
    _folder: tempfile::TempDir,
}

/// Puts a model behind a server, with settings that a test changes.
fn world_with(server: Server, change: impl FnOnce(&mut ModelSettings)) -> World {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    crate::sys::durable::write(&folder.path().join("key"), format!("{KEY}\n").as_bytes())
        .expect("the key can be written");
    let mut settings = ModelSettings {
        base_url: Some(server.url()),
        api_key_file: Some("key".into()),
        dir: folder.path().to_owned(),
        price: Some(Price::plain(
            crate::domain::Usd(1_000_000),
            crate::domain::Usd(1_000_000),
        )),
        max_output_tokens: Some(100),
        timeout: Duration::from_secs(60),
        ..ModelSettings::new("openai", "test-model")
    };
    change(&mut settings);
    let model = Model::new(settings).expect("the settings are right");
    model.check().expect("the key is there");
    let books = Arc::new(Remembered::default());
    World {
        server,
        metered: metered(model, books.clone(), Allowance::default()),
        books,
        _folder: folder,
    }
}

fn world(server: Server) -> World {
    world_with(server, |_| {})
}
