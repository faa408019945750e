//! Programs that answer, and those that do not.

use crate::model::fixture::{HELLO, Program, asked, request};
use crate::model::{Model, ModelError, ModelSettings};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

async fn ask(script: &str) -> Result<String, ModelError> {
    let program = Program::new(script);
    let reply = asked(&program.model(), &request("hi")).await?;
    Ok(reply.text())
}

async fn failure(script: &str) -> (String, bool, bool) {
    match ask(script).await.expect_err("the call fails") {
        ModelError::Failed {
            what,
            retryable,
            may_be_charged,
            retry_after: None,
        } => (what, retryable, may_be_charged),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_gets_the_request_and_gives_the_reply() {
    let program = Program::new("cat > request.json\n cat reply.json");
    crate::sys::durable::write(
        &program.path("reply.json"),
        br#"{"choices":[{"message":{"content":"yes"}}]}"#,
    )
    .expect("the reply can be written");
    let sent = request("h\u{e9}llo\n");
    let reply = asked(&program.model(), &sent).await.expect("a reply");
    assert_eq!((reply.text().as_str(), reply.estimated), ("yes", true));
    let got = std::fs::read(program.path("request.json")).expect("it was written");
    let got: Value = serde_json::from_slice(&got).expect("it is JSON");
    assert_eq!(got, sent);
}

#[tokio::test]
async fn large_requests_and_replies_pass_without_a_deadlock() {
    // It answers before it reads; both are far larger than a pipe.
    let script = r#"printf '{"choices":[{"message":{"content":"'
        head -c 3000000 /dev/zero | tr '\0' x
        printf '"}}]}'
        cat > /dev/null"#;
    let program = Program::new(script);
    let sent = request(&"y".repeat(3_000_000));
    let reply = asked(&program.model(), &sent).await.expect("a reply");
    assert_eq!(reply.text().len(), 3_000_000);
}

#[tokio::test]
async fn a_program_need_not_read_its_request() {
    let script = HELLO.replace("cat > /dev/null", "exec < /dev/null");
    let program = Program::new(&script);
    let sent = request(&"y".repeat(3_000_000));
    let reply = asked(&program.model(), &sent).await.expect("a reply");
    assert_eq!(reply.text(), "hello");
}

#[tokio::test]
async fn failures_say_what_happened() {
    let (what, retryable, charged) = failure("echo oh no >&2; exit 3").await;
    assert_eq!(what, "`/bin/sh` ended with exit code 3: oh no");
    assert!(retryable && charged);
    let (what, ..) = failure("kill -9 $$").await;
    assert_eq!(what, "`/bin/sh` ended with signal 9");
    let (what, retryable, _) = failure("echo nonsense").await;
    assert!(
        what.starts_with("`/bin/sh` printed no JSON reply: expected ident"),
        "{what}"
    );
    assert!(retryable);
    let (what, ..) = failure("true").await;
    assert!(
        what.starts_with("`/bin/sh` printed no JSON reply: EOF"),
        "{what}"
    );
    let (what, ..) = failure("echo '{}'").await;
    assert_eq!(
        what,
        "the reply of model `test-model` is unusable: it has no `choices`"
    );
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let (what, retryable, charged) = failure("cat /dev/zero").await;
    assert_eq!(what, "`/bin/sh` printed more than 16 MiB");
    assert!(!retryable && charged);
    // A flood of errors is only noise.
    let script = format!("head -c 3000000 /dev/zero >&2\n{HELLO}");
    assert_eq!(ask(&script).await.expect("a reply"), "hello");
}

#[tokio::test]
async fn an_error_that_is_said_counts_whatever_the_exit_code() {
    let script = r#"echo '{"error":{"message":"too long","code":"context_length_exceeded"}}'
        exit 1"#;
    let error = ask(script).await.expect_err("an error");
    assert!(error.is_context_overflow(), "{error:?}");
    let script = r#"echo '{"error":{"message":"slow down","type":"rate_limit_error"}}'"#;
    let error = ask(script).await.expect_err("an error");
    assert_eq!(
        error,
        ModelError::Busy {
            what: "the model's provider reports rate_limit_error: slow down".to_owned(),
            may_be_charged: false,
            retry_after: None,
        }
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let program = Program::new("");
    let settings = ModelSettings {
        command: vec!["./missing".to_owned()],
        ..program.settings()
    };
    let model = Model::new(settings).expect("the settings are right");
    let error = asked(&model, &request("hi")).await.expect_err("an error");
    let ModelError::Unusable { what } = error else {
        panic!("{error:?}")
    };
    assert!(
        what.contains("missing") && what.contains("No such file"),
        "{what}"
    );
}

#[tokio::test]
async fn the_environment_holds_what_was_asked_for_and_no_more() {
    let script = r#"cat > /dev/null
        printf '{"choices":[{"message":{"content":"%s"}}]}' "$(env | cut -d= -f1 | tr '\n' ' ')""#;
    let program = Program::new(script);
    let names = |model: Model| async move {
        let reply = asked(&model, &request("hi")).await.expect("a reply");
        reply.text()
    };
    // Cargo sets variables in plenty for a test.
    let bare = names(program.model()).await;
    assert!(bare.contains("PATH ") && !bare.contains("CARGO"), "{bare}");
    let settings = ModelSettings {
        pass_env: vec!["CARGO_PKG_NAME".to_owned()],
        ..program.settings()
    };
    let more = names(Model::new(settings).expect("the settings are right")).await;
    assert!(more.contains("CARGO_PKG_NAME"), "{more}");
    assert!(!more.contains("CARGO_MANIFEST_DIR"), "{more}");
}

/// Starts a child in the background, writes its number to `pids`, and hangs.
const HANG: &str = "sleep 300 & echo $! > started && mv started pids; wait";

async fn started(path: &Path) -> i32 {
    loop {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text.trim().parse().expect("a process number");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the end of a process: gone, or a zombie that nobody has asked for yet.
async fn ended(pid: i32) {
    loop {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(_) | Err(_) => return,
        }
    }
}

#[tokio::test]
async fn a_hang_ends_with_the_whole_process_group() {
    let program = Program::new(HANG);
    // A busy machine may need longer than the first time-out to start the program at all.
    for seconds in [1, 10, 100] {
        let settings = ModelSettings {
            timeout: Duration::from_secs(seconds),
            ..program.settings()
        };
        let model = Model::new(settings).expect("the settings are right");
        let error = asked(&model, &request("hi")).await.expect_err("an error");
        let said = format!("`/bin/sh` did not end within {seconds} s");
        assert_eq!(error.to_string(), said);
        if program.path("pids").exists() {
            break;
        }
    }
    ended(started(&program.path("pids")).await).await;
}

#[tokio::test]
async fn a_dropped_call_ends_with_the_whole_process_group() {
    let program = Program::new(HANG);
    let model = program.model();
    let (sent, pids) = (request("hi"), program.path("pids"));
    let pid = tokio::select! {
        _ = asked(&model, &sent) => panic!("it hangs"),
        pid = started(&pids) => pid,
    };
    ended(pid).await;
}

#[tokio::test]
async fn what_a_program_leaves_running_is_killed_and_not_waited_for() {
    let script = format!("sleep 300 & echo $! > pids\n{HELLO}");
    let program = Program::new(&script);
    let reply = asked(&program.model(), &request("hi"))
        .await
        .expect("a reply");
    assert_eq!(reply.text(), "hello");
    ended(started(&program.path("pids")).await).await;
}
