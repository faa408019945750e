//! `dgm doctor --models`: one tiny call to the model of each role.

use crate::support::{Plan, Upstream, World};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use dgm::archive::Reader;
use dgm::domain::{CallStatus, JobId};
use dgm::sys::durable;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

const KEY: &str = "sk-of-the-doctor-tests";

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    barrier: true,
    workers: 1,
    backend: "local",
};

fn served() -> (World, Upstream) {
    let world = World::new(&PLAN);
    let upstream = Upstream::start(world.path("."), &[KEY]);
    world.serve(&upstream.url(), "api_key_env = \"MODEL_KEY\"");
    (world, upstream)
}

/// Runs the doctor; returns the exit code, the JSON it prints, and what it says.
fn doctor(world: &World, line: &str, key: &str) -> (Option<i32>, Value, String) {
    let output = world.command(line).env("MODEL_KEY", key).output().unwrap();
    let data = String::from_utf8(output.stdout).unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    (output.status.code(), data, talk)
}

#[test]
fn every_model_is_asked_once_and_the_calls_are_on_the_books() {
    let (world, upstream) = served();
    world.configure("free = true", "price = { input = 3.0, output = 15.0 }");
    world.done("init demo --config config.toml");
    let (code, found, talk) = doctor(&world, "doctor demo --models --json", KEY);
    assert_eq!((code, talk.as_str()), (Some(0), ""), "{found}");
    assert_eq!(upstream.asked(), 3);
    let models = found["models"].as_array().unwrap();
    let roles: Vec<&str> = models
        .iter()
        .filter_map(|model| model["role"].as_str())
        .collect();
    assert_eq!(roles, ["diagnose", "modify", "solve"]);
    for model in models {
        assert_eq!(model["answered"], true, "{model}");
        assert!(model["latency_ms"].is_u64() && model["tokens"]["input"].as_u64() > Some(0));
    }
    assert_eq!(models[0]["price"]["input"], json!(3.0));
    assert_eq!(models[2]["price"], json!({}), "it is free");
    assert!(models[0]["cost_usd"].as_f64() > Some(0.0));

    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let calls: Vec<_> = lineage.spend().calls().collect();
    assert_eq!(calls.len(), 3);
    let mut cost = 0.0;
    for (intent, settlement) in calls {
        let settlement = settlement.as_ref().expect("it is settled");
        assert_eq!(intent.subject, JobId::Manual);
        assert_eq!(settlement.status, CallStatus::Answered);
        cost += settlement.cost.dollars();
    }
    assert!((models[0]["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-9);
    let (code, text, _) = doctor(&world, "doctor demo --models", KEY);
    let text = text.as_str().unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "model diagnose",
        "answered in ",
        "$3.00 in, $15.00 out per million",
        "3 of 3 models answered",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("on the archive's books"), "{text}");
    let (found, _) = world.done("fsck demo");
    assert_eq!(found, "the archive is in order\n");
}

#[test]
fn what_is_wrong_is_said_for_each_model() {
    let (world, upstream) = served();
    world.done("init demo --config config.toml");
    // Nothing says what the first costs, nothing holds the key of the second.
    world.edit("demo/dgm.toml", "free = true", "free = false");
    world.edit("demo/dgm.toml", "[models.solve]", "[models.old]");
    world.edit("demo/dgm.toml", "[models.old]", "[models.solve]");
    let file = std::fs::read_to_string(world.path("demo/dgm.toml")).unwrap();
    let (before, modify) = file.split_once("[models.modify]").unwrap();
    let modify = modify.replacen("MODEL_KEY", "NO_SUCH_KEY", 1);
    let text = format!("{before}[models.modify]{modify}");
    durable::write(&world.path("demo/dgm.toml"), text.as_bytes()).unwrap();

    let (code, found, _) = doctor(&world, "doctor demo --models --json", "sk-wrong");
    assert_eq!(code, Some(4), "{found}");
    let errors: Vec<&str> = (0..3)
        .filter_map(|n| found["models"][n]["error"].as_str())
        .collect();
    assert!(
        errors[0].contains("price of model `scripted` is not known"),
        "{errors:?}"
    );
    assert!(errors[1].contains("NO_SUCH_KEY"), "{errors:?}");
    assert!(
        errors[2].contains("answers 401") && !errors[2].contains("sk-wrong"),
        "{errors:?}"
    );
    assert_eq!(upstream.asked(), 1);
    drop(upstream);
    let (code, found, _) = doctor(&world, "doctor demo --models --json", KEY);
    let error = found["models"][2]["error"].as_str().unwrap();
    assert!(error.contains("no connection to"), "{error}");
    assert_eq!(code, Some(4));
}

#[test]
fn a_configuration_is_enough_but_something_must_name_the_models() {
    let (world, upstream) = served();
    std::fs::create_dir(world.path("plain")).unwrap();
    let (code, _, talk) = doctor(&world, "doctor plain --models", KEY);
    assert_eq!(code, Some(2), "{talk}");
    assert!(
        talk.contains("holds no archive and no `dgm.toml`"),
        "{talk}"
    );
    std::fs::copy(world.path("config.toml"), world.path("plain/dgm.toml")).unwrap();
    let (code, text, talk) = doctor(&world, "doctor plain --models", KEY);
    assert_eq!(code, Some(0), "{text} {talk}");
    assert!(text.as_str().unwrap().contains("on no books"), "{text}");
    assert_eq!(upstream.asked(), 3);
}

#[test]
fn a_provider_that_asks_for_fewer_calls_is_told_at_once() {
    let (world, upstream) = served();
    world.done("init demo --config config.toml");
    upstream.set_busy(3600);
    let (code, found, _) = doctor(&world, "doctor demo --models --json", KEY);
    assert_eq!(code, Some(4), "{found}");
    for role in 0..3 {
        let model = &found["models"][role];
        let error = model["error"].as_str().unwrap();
        let expected = " answers 429: Rate limit reached; it takes no call for ";
        assert!(
            error.contains(expected) && error.contains(" min "),
            "{error}"
        );
        assert_eq!(model["cost_usd"], json!(0.0), "{model}");
    }
    assert_eq!(upstream.asked(), 3, "each is asked once");
    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let calls: Vec<_> = lineage.spend().calls().collect();
    assert_eq!(calls.len(), 3);
    for (_, settlement) in calls {
        let settlement = settlement.as_ref().expect("it is settled");
        assert_eq!(settlement.status, CallStatus::Failed);
    }
}

/// Answers when as many requests as there are roles wait for it.
async fn together(State(all): State<Arc<Barrier>>) -> String {
    all.wait().await;
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 1});
    json!({"choices": [{"message": {"content": "ready"}}], "usage": usage}).to_string()
}

#[test]
fn the_models_are_asked_at_the_same_time() {
    let world = World::new(&PLAN);
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/chat/completions", post(together))
        .with_state(Arc::new(Barrier::new(3)));
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    world.serve(&url, "api_key_env = \"MODEL_KEY\"");
    world.done("init demo --config config.toml");
    let (code, found, talk) = doctor(&world, "doctor demo --models --json", KEY);
    assert_eq!((code, talk.as_str()), (Some(0), ""), "{found}");
    for role in 0..3 {
        assert_eq!(found["models"][role]["answered"], true, "{found}");
    }
    runtime.shutdown_background();
}

#[test]
fn the_keys_that_are_looked_for_are_those_that_the_models_name() {
    let (world, _upstream) = served();
    world.done("init demo --config config.toml");
    let keys = |line: &str| {
        let output = world.command(line).env("MODEL_KEY", KEY).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = found["checks"].as_array().unwrap();
        let keys = checks.iter().find(|check| check["name"] == "model keys");
        let keys = keys.unwrap();
        format!("{}: {}", keys["state"], keys["found"]).replace('"', "")
    };
    assert_eq!(keys("doctor demo --json"), "ok: MODEL_KEY set");
    world.edit("demo/dgm.toml", "MODEL_KEY", "OTHER_KEY");
    let found = keys("doctor demo --json");
    assert_eq!(found, "warn: MODEL_KEY set, OTHER_KEY not set");
    std::fs::create_dir(world.path("plain")).unwrap();
    let found = keys("doctor plain --json");
    let usual = "warn: ANTHROPIC_API_KEY not set, OPENAI_API_KEY not set";
    assert_eq!(found, usual);
}
