//! Keys, limits and other settings of a provider over HTTP.

use super::server::{Server, hello};
use super::{KEY, world_with};
use crate::model::fixture::request;
use crate::model::{Dialect, LimitField, Model, ModelSettings, Price};
use serde_json::json;

fn settings() -> ModelSettings {
    ModelSettings {
        price: Some(Price::Free),
        ..ModelSettings::new("openai", "m")
    }
}

/// What is wrong with settings, or with the key that they name.
fn complaint(settings: ModelSettings) -> String {
    let checked = Model::new(settings).and_then(|model| model.check());
    checked.expect_err("something is wrong").to_string()
}

#[test]
fn a_key_that_is_not_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        crate::sys::durable::write(&path, text).expect("the file can be written");
    };
    write("empty", b"\n");
    write("two", b"one\ntwo\n");
    write("large", &vec![b'x'; 100 << 10]);
    let with_file = |name: &str| ModelSettings {
        api_key_file: Some(name.into()),
        dir: folder.path().to_owned(),
        ..settings()
    };
    let with_env = |name: &str| ModelSettings {
        api_key_env: Some(name.to_owned()),
        ..settings()
    };
    let said = [
        complaint(with_env("DGM_TEST_NO_SUCH_VARIABLE")),
        complaint(with_env("A=B")),
        // Somebody meant well, and it must not be printed.
        complaint(with_env(KEY)),
        complaint(with_env("0123456789abcdef0123456789abcdef")),
        complaint(with_file("empty")),
        complaint(with_file("two")),
        complaint(with_file("large")),
        complaint(with_file("missing")),
        complaint(ModelSettings {
            api_key_env: Some("PATH".to_owned()),
            ..with_file("empty")
        }),
    ];
    let said = said
        .join("\n")
        .replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @r"
    `api_key_env` names the environment variable `DGM_TEST_NO_SUCH_VARIABLE`, which is not set: set it to the provider's key, or name a file that holds the key with `api_key_file`
    `api_key_env` must be the name of an environment variable, not the key itself
    `api_key_env` must be the name of an environment variable, not the key itself
    `api_key_env` must be the name of an environment variable, not the key itself
    `api_key_file` names `DIR/empty`, which is empty
    `api_key_file` names `DIR/two`, which holds no key: spaces, line breaks or other odd characters are in it
    `api_key_file` names `DIR/large`, which cannot be read: it is too large to be a key
    `api_key_file` names `DIR/missing`, which cannot be read: No such file or directory (os error 2)
    `api_key_file` is set, and `api_key_env` as well: one of them is enough
    ");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let mut said = Vec::new();
    for change in [
        |settings: &mut ModelSettings| settings.base_url = Some("ftp://a".to_owned()),
        |settings: &mut ModelSettings| settings.command = vec!["x".to_owned()],
        |settings: &mut ModelSettings| settings.pass_env = vec!["x".to_owned()],
        |settings: &mut ModelSettings| {
            settings.extra_body.insert("model".to_owned(), json!("x"));
        },
        |settings: &mut ModelSettings| {
            settings
                .extra_body
                .insert("max_tokens".to_owned(), json!(1));
        },
        |settings: &mut ModelSettings| {
            let options = json!({"options": [{"api_key": "abc"}]});
            settings.extra_body.insert("provider".to_owned(), options);
        },
        |settings: &mut ModelSettings| {
            settings
                .headers
                .insert("x-api-key".to_owned(), "x".to_owned());
        },
        |settings: &mut ModelSettings| settings.idle_timeout = std::time::Duration::ZERO,
        |settings: &mut ModelSettings| {
            settings.provider = "command".to_owned();
            settings.command = vec!["x".to_owned()];
            settings.base_url = Some("http://a".to_owned());
        },
    ] {
        let mut settings = settings();
        change(&mut settings);
        said.push(complaint(settings));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    `base_url` is `ftp://a`, but must begin with `https://` or `http://`
    `command` means nothing to provider `openai`
    `pass_env` means nothing to provider `openai`
    `extra_body` holds `model`, which the program itself sets
    `extra_body` holds `max_tokens`: set `max_output_tokens` instead
    `extra_body` `api_key` looks like a secret: keys come from `api_key_env` or `api_key_file`
    `headers` `x-api-key` looks like a secret: keys come from `api_key_env` or `api_key_file`
    `idle_timeout_sec` must be more than 0
    `base_url` means nothing to provider `command`
    ");
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    let world = world_with(Server::start([hello()]).await, |settings| {
        settings.api_key_file = None;
    });
    world
        .metered
        .complete(&request("hi"))
        .await
        .expect("a reply");
    assert_eq!(world.server.asked()[0].header("authorization"), None);
}

#[tokio::test]
async fn settings_shape_what_leaves() {
    let world = world_with(Server::start([hello()]).await, |settings| {
        settings.base_url = settings.base_url.take().map(|url| format!("{url}/own/v1/"));
        settings.limit_field = LimitField::MaxTokens;
        settings
            .headers
            .insert("X-Title".to_owned(), "dgm".to_owned());
        settings
            .extra_body
            .insert("temperature".to_owned(), json!(0));
    });
    let mut asking = request("hi");
    asking["temperature"] = json!(1);
    asking["max_completion_tokens"] = json!(7);
    world.metered.complete(&asking).await.expect("a reply");
    let asked = &world.server.asked()[0];
    assert!(
        asked.head.starts_with("POST /own/v1/chat/completions "),
        "{}",
        asked.head
    );
    assert_eq!(asked.header("x-title"), Some("dgm"));
    assert_eq!(
        asked.body,
        json!({
            "model": "test-model", "messages": asking["messages"],
            "max_tokens": 7, "temperature": 0,
        })
    );
}

#[tokio::test]
async fn messages_are_refused() {
    let world = world_with(Server::start([]).await, |_| {});
    assert!(!world.metered.speaks(Dialect::Messages));
    let error = world
        .metered
        .messages(&request("hi"))
        .await
        .expect_err("refused");
    assert_eq!(error.status(), 404);
    let body = error.to_body(Dialect::Messages);
    assert_eq!(body["error"]["type"], "not_found_error");
    let error = world
        .metered
        .stream_messages(&request("hi"))
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("not served by Anthropic"),
        "{error}"
    );
    assert_eq!(world.books.rows(), []);
}

#[test]
fn nothing_that_is_printed_holds_a_key() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("key");
    crate::sys::durable::write(&path, KEY.as_bytes()).expect("the file can be written");
    let settings = ModelSettings {
        api_key_file: Some(path),
        ..settings()
    };
    let said = format!("{settings:?}");
    let model = Model::new(settings).expect("the settings are right");
    assert!(!format!("{said}{model:?}").contains(KEY));
}
