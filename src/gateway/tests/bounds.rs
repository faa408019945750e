//! What is too large, too slow or too much, and what is no request at all.

use super::{Answer, CHAT, ask, chat, parse, send, serve, serve_within};
use crate::gateway::limits::Limits;
use crate::model::Allowance;
use crate::model::fixture::{HELLO, Remembered, request};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Limits that are reached at once, instead of after a minute.
fn impatient() -> Limits {
    Limits {
        head: Duration::from_millis(100),
        body: Duration::from_millis(100),
        discard: Duration::from_millis(100),
        stall: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// Sends all of a request before it reads a byte, as many clients do.
async fn send_then_read(socket: &Path, head: &str, body: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(socket).await.expect("it listens");
    let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    stream
        .write_all(head.as_bytes())
        .await
        .expect("it is taken");
    stream.write_all(body).await.expect("it is taken in whole");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("the answer comes");
    parse(&answer)
}

#[tokio::test]
async fn who_sends_too_much_before_it_reads_is_told_so() {
    let limits = Limits {
        discard: Duration::from_secs(120),
        ..Limits::default()
    };
    let world = serve_within(HELLO, Remembered::default(), Allowance::default(), limits);
    let body = vec![b'x'; (64 << 20) + 1];
    for (path, status) in [
        ("/v1/chat/completions", 413),
        // Nobody wants these at all.
        ("/v1/messages", 404),
        ("/v1/embeddings", 404),
        ("/v1/models", 405),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        let answer = send_then_read(&world.socket, &head, &body).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.error()["message"].is_string(), "{answer:?}");
    }
    // Who asks first is told no, and sends nothing.
    let asking = format!("{CHAT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n");
    let asking = format!("{asking}Content-Length: {}\r\n\r\n", body.len());
    let answer = parse(&send(&world.socket, asking.as_bytes()).await);
    assert_eq!(answer.status, 413);
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn large_bodies_pass_and_larger_ones_do_not() {
    let limits = Limits {
        discard: Duration::from_secs(1),
        ..Limits::default()
    };
    let world = serve_within(HELLO, Remembered::default(), Allowance::default(), limits);
    let answer = chat(&world.socket, &request(&"x".repeat(3 << 20))).await;
    assert_eq!(answer.status, 200);
    // Only the size is said, and waited for no longer.
    let said = format!("{CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 70000000\r\n\r\n");
    // Nothing is said before it comes.
    let mut sent = format!("{CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    sent.push_str("4100000\r\n");
    sent.push_str(&"x".repeat(65 << 20));
    for text in [said, sent] {
        let answer = parse(&send(&world.socket, text.as_bytes()).await);
        assert_eq!(answer.status, 413);
        assert_eq!(answer.error()["message"], "the body is larger than 64 MiB");
    }
    // Short as a text, and very large as values.
    let many = format!("{{\"messages\":[{}0]}}", "0,".repeat(2 << 20));
    let answer = ask(&world.socket, CHAT, many.as_bytes()).await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.error()["message"],
        "the body would take about 644 MiB in memory, at most 192 are possible: \
         it holds too many small values"
    );
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn who_sends_half_a_request_is_not_waited_for() {
    let world = serve_within(
        HELLO,
        Remembered::default(),
        Allowance::default(),
        impatient(),
    );
    let silent = send(&world.socket, b"").await;
    assert_eq!(silent, b"");
    let half = send(
        &world.socket,
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Le",
    )
    .await;
    assert_eq!(half, b"");
    let start = format!("{CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{\"messages");
    let answer = parse(&send(&world.socket, start.as_bytes()).await);
    assert_eq!(
        (answer.status, &answer.error()["message"]),
        (408, &json!("the body did not come within 0 s"))
    );
    world.gateway.shutdown().await;
    assert_eq!(world.books.rows(), []);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let script = "cat > /dev/null; printf '{\"choices\":[{\"message\":{\"content\":\"'\n\
        head -c 8388608 /dev/zero | tr '\\0' x; printf '\"}}]}'";
    let world = serve_within(
        script,
        Remembered::default(),
        Allowance::default(),
        impatient(),
    );
    for stream in [false, true] {
        let mut asked = request("hi");
        asked["stream"] = json!(stream);
        let body = asked.to_string();
        let text = format!(
            "{CHAT} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = UnixStream::connect(&world.socket)
            .await
            .expect("it listens");
        client.write_all(text.as_bytes()).await.expect("it reads");
        // Nobody takes the answer; whether it is still being offered shows in writing.
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut rest = Vec::new();
        let _cut = client.read_to_end(&mut rest).await;
        assert!(rest.starts_with(b"HTTP/1.1 200 OK"), "it had begun");
        assert!(rest.len() < 4 << 20, "{} bytes waited", rest.len());
        // One that reads gets all of it.
        let answer = chat(&world.socket, &asked).await;
        assert!(answer.body.len() > 8 << 20, "{}", answer.body.len());
    }
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn connections_are_bounded_and_wait_for_each_other() {
    let limits = Limits {
        connections: 4,
        head: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = serve_within(HELLO, Remembered::default(), Allowance::default(), limits);
    let mut idle = Vec::new();
    for _ in 0..8 {
        let stream = UnixStream::connect(&world.socket).await;
        idle.push(stream.expect("the kernel lets it wait"));
    }
    // Comes in when two times four have been sent away.
    assert_eq!(chat(&world.socket, &request("hi")).await.status, 200);
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0]).await.expect("closed in order"), 0);
    }
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn requests_share_their_memory() {
    let limits = Limits {
        bytes: 2048,
        values: 2048,
        ..impatient()
    };
    let world = serve_within(HELLO, Remembered::default(), Allowance::default(), limits);
    // One takes all of it, and says nothing more.
    let mut holder = UnixStream::connect(&world.socket)
        .await
        .expect("it listens");
    let start = format!("{CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n");
    holder.write_all(start.as_bytes()).await.expect("it reads");
    let mut sees = Vec::new();
    holder.read_to_end(&mut sees).await.expect("it is answered");
    assert_eq!(parse(&sees).status, 408);
    // What it took is there for the next one.
    assert_eq!(chat(&world.socket, &request("hi")).await.status, 200);
    let text = "x".repeat(900 << 10);
    assert_eq!(chat(&world.socket, &request(&text)).await.status, 200);
    world.gateway.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever arrives, the next one is served.
    #[test]
    fn garbage_harms_nobody(
        garbage in any::<Vec<u8>>(),
        body in any::<Vec<u8>>(),
        messages in "\\PC{0,40}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(async {
            let world = serve(HELLO);
            for bytes in [&garbage, &body] {
                // The gateway may wait for more of it forever; we do not.
                let sent = send(&world.socket, bytes);
                let _answer = tokio::time::timeout(Duration::from_millis(20), sent).await;
            }
            for body in [body.as_slice(), format!("{{\"messages\":{messages}}}").as_bytes()] {
                let answer = ask(&world.socket, CHAT, body).await;
                prop_assert!(answer.status == 400, "{:?}", answer);
                prop_assert!(answer.error()["message"].is_string());
            }
            let answer = chat(&world.socket, &request("hi")).await;
            prop_assert!(answer.status == 200, "{:?}", answer);
            world.gateway.shutdown().await;
            Ok(())
        })?;
    }
}
