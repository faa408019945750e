//! The table of faults in `docs/models.md`, each against a server that has it.

use super::server::{Do, Server, hello, respond};
use super::{KEY, World, world, world_with};
use crate::domain::{CallStatus, Tokens};
use crate::model::fixture::{Row, request};
use crate::model::{CallError, ModelError, ModelSettings, Retry};
use std::time::{Duration, Instant};

/// What a try was booked at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Booked {
    Nothing,
    AtMost,
    Counted,
}

/// How each try ended, and what it was booked at.
async fn booked(world: &World) -> Vec<(CallStatus, Booked)> {
    world.metered.settled().await;
    let mut open = Vec::new();
    let mut booked = Vec::new();
    for row in world.books.rows() {
        match row {
            Row::Intended(id, intent) => open.push((id, intent)),
            Row::Settled(settlement) => {
                let at = open.iter().position(|(id, _)| *id == settlement.id);
                let (_, intent) = open.remove(at.expect("it was intended"));
                let how = if settlement.tokens == Tokens::default() {
                    Booked::Nothing
                } else if settlement.tokens.total() == intent.at_most_tokens {
                    assert!(settlement.estimated);
                    assert_eq!(settlement.cost, intent.at_most);
                    Booked::AtMost
                } else {
                    assert_eq!((settlement.tokens.input, settlement.tokens.output), (10, 2));
                    Booked::Counted
                };
                booked.push((settlement.status, how));
            }
        }
    }
    assert_eq!(open.len(), 0, "every call is settled");
    booked
}

const ANSWERED: (CallStatus, Booked) = (CallStatus::Answered, Booked::Counted);
const FREE: (CallStatus, Booked) = (CallStatus::Failed, Booked::Nothing);
const CHARGED: (CallStatus, Booked) = (CallStatus::Failed, Booked::AtMost);

fn error(status: u16, body: &str) -> Do {
    Do::Say(respond(status, "content-type: application/json\n", body))
}

/// A fault that another try mends: the call succeeds, and both tries are on the books.
async fn is_mended(fault: Do, how: (CallStatus, Booked), change: impl FnOnce(&mut ModelSettings)) {
    let world = world_with(Server::start([fault, hello()]).await, change);
    let reply = world
        .metered
        .complete(&request("hi"))
        .await
        .expect("a reply");
    assert_eq!(reply.text(), "hello");
    assert_eq!(booked(&world).await, [how, ANSWERED]);
    let asked = world.server.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert!(asked.head.starts_with("POST /v1/chat/completions HTTP/1.1"));
        assert_eq!(
            asked.header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        assert_eq!(asked.body["model"], "test-model");
        assert_eq!(asked.body["max_completion_tokens"], 100);
        assert_eq!(asked.body.get("stream"), None);
    }
    assert_eq!(world.metered.provider_failure(), None);
}

fn quick(settings: &mut ModelSettings) {
    settings.timeout = Duration::from_millis(400);
    settings.idle_timeout = Duration::from_millis(150);
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again() {
    for (status, how) in [
        (500, FREE),
        (503, FREE),
        (502, CHARGED),
        (504, CHARGED),
        (408, CHARGED),
    ] {
        let body = r#"{"error":{"message":"broken","type":"server_error"}}"#;
        is_mended(error(status, body), how, |_| {}).await;
    }
    is_mended(error(500, "<html>Oops</html>"), FREE, |_| {}).await;
}

#[tokio::test]
async fn a_server_that_says_slow_down_is_left_alone_for_as_long_as_it_says() {
    for (status, headers, pause) in [
        (429, "retry-after-ms: 250\n", 250),
        (429, "retry-after: 1\n", 1000),
        (529, "retry-after: 0.3\n", 300),
        // A date, by the server's own clock.
        (
            429,
            "date: Sun, 22 Nov 2026 15:00:00 GMT\nretry-after: Sun, 22 Nov 2026 15:00:01 GMT\n",
            1000,
        ),
        (503, "retry-after: 0.2\n", 200),
        (429, "", 1),
        (529, "", 1),
    ] {
        let began = Instant::now();
        let body = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;
        is_mended(Do::Say(respond(status, headers, body)), FREE, |_| {}).await;
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(pause),
            "{status} {headers}: {took:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_or_silent_connection_is_made_again() {
    is_mended(Do::Reset, CHARGED, |_| {}).await;
    // No answer at all, in the time of the call; then there is no time left for another.
    is_mended(Do::Stall(String::new()), CHARGED, |settings| {
        settings.timeout = Duration::from_millis(300);
    })
    .await;
    // A head, and nothing after it.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    is_mended(Do::Stall(head.to_owned()), CHARGED, |settings| {
        settings.idle_timeout = Duration::from_millis(150);
    })
    .await;
    // Half of a body.
    is_mended(Do::Say(format!("{head}{{\"choices\":")), CHARGED, |_| {}).await;
    let whole = respond(200, "", r#"{"choices":[{"mess"#);
    is_mended(Do::Say(whole), CHARGED, |_| {}).await;
    is_mended(Do::Say(respond(200, "", "")), CHARGED, |_| {}).await;
    is_mended(
        Do::Say(respond(200, "", r#"{"choices":[]}"#)),
        CHARGED,
        |_| {},
    )
    .await;
    is_mended(
        Do::Say("HTTP/1.1 nonsense\r\n\r\n".to_owned()),
        CHARGED,
        |_| {},
    )
    .await;
    is_mended(Do::Say(String::new()), CHARGED, |_| {}).await;
}

/// Makes a call that fails in the end; returns what it says.
async fn failure(world: &World) -> String {
    let error = world
        .metered
        .complete(&request("hi"))
        .await
        .expect_err("it fails");
    let CallError::Model(ModelError::Failed { what, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(world.metered.provider_failure(), Some(what.clone()));
    what
}

#[tokio::test]
async fn tries_are_bounded_in_number_and_in_time() {
    let body = r#"{"error":{"message":"still broken"}}"#;
    let world = world(Server::start((0..3).map(|_| error(500, body))).await);
    let what = failure(&world).await;
    let url = world.server.url();
    assert_eq!(
        what,
        format!("`{url}/v1/chat/completions` answers 500: still broken")
    );
    assert_eq!(booked(&world).await, [FREE; 3]);
    assert_eq!(world.server.asked().len(), 3);

    let script = (0..2).map(|_| Do::Stall(String::new()));
    let mut world = world_with(Server::start(script).await, quick);
    world.metered = world.metered.with_retry(Retry {
        tries: 100,
        first_pause: Duration::from_millis(1),
        within: Duration::from_millis(700),
        ..Retry::default()
    });
    let what = failure(&world).await;
    assert!(
        what.ends_with("did not begin to answer within 0.4 s"),
        "{what}"
    );
    assert_eq!(booked(&world).await, [CHARGED; 2]);
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_nothing() {
    let server = Server::start([]).await;
    let world = world_with(Server::start([]).await, |settings| {
        settings.base_url = Some(server.url());
        drop(server);
    });
    let what = failure(&world).await;
    assert!(
        what.starts_with("no connection to `http://127.0.0.1:"),
        "{what}"
    );
    assert!(what.contains("refused"), "{what}");
    assert_eq!(booked(&world).await, [FREE; 3]);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_gets_nothing() {
    let server = Server::start([]).await;
    let world = world_with(Server::start([]).await, |settings| {
        settings.base_url = Some(server.url().replace("http:", "https:"));
    });
    let what = failure(&world).await;
    assert!(what.starts_with("no connection to `https://"), "{what}");
    assert_eq!(booked(&world).await, [FREE; 3]);
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_take_the_connection_costs_nothing() {
    // A queue of one that nobody empties: the kernel answers no further connection.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    loop {
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(200), connect).await {
            Ok(connected) => queued.push(connected.expect("it connects")),
            Err(_full) => break,
        }
    }
    let mut world = world_with(Server::start([]).await, |settings| {
        settings.base_url = Some(format!("http://{address}"));
        settings.connect_timeout = Duration::from_millis(100);
    });
    world.metered = world.metered.with_retry(Retry {
        tries: 2,
        first_pause: Duration::from_millis(1),
        ..Retry::default()
    });
    let what = failure(&world).await;
    assert!(
        what.ends_with("/v1/chat/completions` within 0.1 s"),
        "{what}"
    );
    assert_eq!(booked(&world).await, [FREE; 2]);
    drop(queued);
}

#[tokio::test]
async fn the_requests_own_fault_is_passed_on_and_not_tried_again() {
    for (status, body, code) in [
        (
            400,
            r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            "context_length_exceeded",
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
            "context_length_exceeded",
        ),
        (
            500,
            r#"{"error":{"code":500,"message":"the request exceeds the available context size","type":"server_error"}}"#,
            "context_length_exceeded",
        ),
        (422, r#"{"detail":[{"msg":"field required"}]}"#, ""),
        (
            400,
            r#"{"error":{"message":"bad tool","code":"invalid_tool"}}"#,
            "invalid_tool",
        ),
        (
            403,
            r#"{"error":{"message":"Your input was flagged","code":403}}"#,
            "",
        ),
        (413, "too large", ""),
    ] {
        let world = world(Server::start([error(status, body)]).await);
        let error = world
            .metered
            .complete(&request("hi"))
            .await
            .expect_err("it is refused");
        let CallError::Model(ModelError::Refused {
            status: told,
            error,
        }) = &error
        else {
            panic!("{error:?}")
        };
        assert!((400..500).contains(told), "{told}");
        assert_eq!(error["code"].as_str().unwrap_or_default(), code);
        assert!(
            error["message"].as_str().is_some_and(|text| text.len() > 3),
            "{error}"
        );
        let is_overflow = code == "context_length_exceeded";
        assert_eq!(world.metered.context_overflows(), u64::from(is_overflow));
        assert_eq!(
            booked(&world).await,
            [(CallStatus::Refused, Booked::Nothing)]
        );
        assert_eq!(world.server.asked().len(), 1);
        assert_eq!(world.metered.provider_failure(), None);
    }
}

#[tokio::test]
async fn what_somebody_has_to_correct_ends_the_job() {
    let mut said = Vec::new();
    for (status, headers, body) in [
        (
            401,
            "",
            r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#,
        ),
        (403, "", r#"{"error":{"message":"no access"}}"#),
        (
            404,
            "",
            r#"{"error":{"message":"no such model","code":"model_not_found"}}"#,
        ),
        (
            402,
            "",
            r#"{"error":{"message":"Insufficient credits","code":402}}"#,
        ),
        (
            429,
            "",
            r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#,
        ),
        (307, "location: http://127.0.0.1:1/elsewhere\n", ""),
        (405, "", "<h1>Method not allowed</h1>"),
    ] {
        let world = world(Server::start([Do::Say(respond(status, headers, body))]).await);
        for _ in 0..2 {
            let error = world
                .metered
                .complete(&request("hi"))
                .await
                .expect_err("it fails");
            let CallError::Model(ModelError::Unusable { what }) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(error.status(), 401);
            assert_eq!(world.metered.provider_failure().as_ref(), Some(what));
        }
        // The second call has not left at all.
        assert_eq!(world.server.asked().len(), 1);
        assert_eq!(booked(&world).await, [FREE]);
        let what = world.metered.provider_failure().expect("it failed");
        said.push(what.replace(&world.server.url(), "URL"));
    }
    insta::with_settings!({filters => vec![(r"the file `[^`]*`", "the file `KEY`")]}, {
        insta::assert_snapshot!(said.join("\n"), @r"
        `URL/v1/chat/completions` answers 401: Incorrect API key provided; check the key in the file `KEY`
        `URL/v1/chat/completions` answers 403: no access; check the key in the file `KEY`
        `URL/v1/chat/completions` answers 404: no such model; check `base_url` and the name of the model, `test-model`
        `URL/v1/chat/completions` answers 402: Insufficient credits; the account has nothing left to pay with
        `URL/v1/chat/completions` answers 429: You exceeded your quota; the account has nothing left to pay with
        `URL/v1/chat/completions` answers 307: nothing more; it sends requests on to http://127.0.0.1:1/elsewhere, which the key does not follow: correct `base_url`
        `URL/v1/chat/completions` answers 405: <h1>Method not allowed</h1>; check `base_url` and the name of the model, `test-model`
        ");
    });
}

#[tokio::test]
async fn a_refusal_of_the_model_is_an_answer() {
    let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I can't help with that"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2}}"#;
    let world = world(Server::start([Do::Say(respond(200, "", body))]).await);
    let reply = world
        .metered
        .complete(&request("hi"))
        .await
        .expect("a reply");
    let message = reply.message().expect("a message");
    assert_eq!(message["refusal"], "I can't help with that");
    assert_eq!(booked(&world).await, [ANSWERED]);
    assert_eq!(world.server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_without_a_word_is_an_answer() {
    let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":2}}"#;
    let world = world(Server::start([Do::Say(respond(200, "", body))]).await);
    let reply = world
        .metered
        .complete(&request("hi"))
        .await
        .expect("a reply");
    assert_eq!(
        (reply.text().as_str(), reply.finish_reason()),
        ("", "length")
    );
    assert_eq!(booked(&world).await, [ANSWERED]);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let flood = Do::Flood(head.to_owned(), 80 << 20);
    let world = world(Server::start([flood]).await);
    let what = failure(&world).await;
    assert!(what.ends_with("is larger than 64 MiB"), "{what}");
    assert_eq!(booked(&world).await, [CHARGED]);
}

#[tokio::test]
async fn a_key_that_a_server_sends_back_is_told_to_nobody() {
    let error_body = format!(r#"{{"error":{{"message":"bad key {KEY}","code":"{KEY}"}}}}"#);
    let reply_body = super::server::HELLO.replace("hello", &format!("I saw {KEY}"));
    let script = [
        error(400, &error_body),
        error(500, &format!("{KEY} {KEY}")),
        Do::Say(respond(200, "", &format!("no JSON {KEY}"))),
        Do::Say(respond(200, "", &reply_body)),
        error(401, &error_body),
    ];
    let world = world(Server::start(script).await);
    let mut told = vec![format!("{:?} {:?}", world.metered, world.metered.model())];
    for _ in 0..3 {
        told.push(match world.metered.complete(&request("hi")).await {
            Ok(reply) => format!("{reply:?}"),
            Err(error) => format!("{error} {error:?} {}", error.to_object()),
        });
    }
    let transcript = world.metered.transcript_bytes();
    told.push(String::from_utf8_lossy(&transcript).into_owned());
    let said = told.join("\n");
    assert!(!said.contains(KEY), "{said}");
    assert!(
        said.contains("I saw [key]") && said.contains("bad key [key]"),
        "{said}"
    );
    assert_eq!(world.server.asked().len(), 5);
}
