//! `dgm gateway`: a role's model on one socket, for a person.

use crate::support::{Plan, Upstream, World};
use dgm::archive::Reader;
use dgm::domain::{CallStatus, JobId};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    barrier: false,
    workers: 1,
    backend: "local",
};

fn ask(socket: &Path, start: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    write!(
        stream,
        "{start} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn chat(socket: &Path) -> String {
    let body = r#"{"messages":[{"role":"user","content":"Say something."}]}"#;
    ask(socket, "POST /v1/chat/completions", body)
}

#[test]
fn a_person_is_served_booked_and_bounded() {
    let world = World::new(&PLAN);
    world.done("init demo --config config.toml");
    let socket = world.path("by-hand.sock");
    let line = "gateway demo --role modify --socket by-hand.sock --allowance-calls 2";
    let mut gateway = world.start(line);
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let models = ask(&socket, "GET /v1/models", "");
    assert!(models.contains(r#""id":"scripted""#), "{models}");
    for _ in 0..2 {
        let answer = chat(&socket);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let refused = chat(&socket);
    assert!(
        refused.starts_with("HTTP/1.1 402 Payment Required\r\n"),
        "{refused}"
    );
    assert!(refused.contains(r#""type":"budget_exceeded""#), "{refused}");
    gateway.wait_until("it says so", |gateway| {
        gateway
            .talk()
            .contains("the allowance or a budget is used up")
    });
    // Nobody else may write meanwhile, and reading goes on.
    let locked = world.output("gateway demo --socket other.sock");
    assert_eq!(locked.status.code(), Some(1));
    assert!(!world.path("other.sock").exists());
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(3), "{}", gateway.talk());
    assert!(!socket.exists());
    let talk = gateway.talk();
    assert!(talk.contains("\ncall 1: answered, "), "{talk}");
    assert!(talk.contains("\n2 calls, "), "{talk}");

    let lineage = Reader::open(&world.path("demo"))
        .unwrap()
        .lineage()
        .unwrap();
    let (start, end) = lineage.runs().last().unwrap();
    assert!(start.command.ends_with(line), "{}", start.command);
    assert_eq!(end.as_ref().unwrap().reason, "interrupted");
    let calls: Vec<_> = lineage.spend().calls().collect();
    assert_eq!(calls.len(), 2);
    for (intent, settlement) in calls {
        assert_eq!(intent.subject, JobId::Manual);
        let status = settlement.as_ref().unwrap().status;
        assert_eq!(status, CallStatus::Answered);
    }
    let (cost, _) = world.done("cost demo --json");
    let cost: serde_json::Value = serde_json::from_str(&cost).unwrap();
    assert_eq!(cost["total"]["calls"], 2, "{cost}");
    let (_, talk) = world.done("fsck demo");
    assert!(!talk.contains("Error"), "{talk}");
}

#[test]
fn an_allowance_that_no_call_fits_into_is_said() {
    let world = World::new(&PLAN);
    world.done("init demo --config config.toml");
    let line = "gateway demo --socket by-hand.sock --allowance-tokens 100";
    let mut gateway = world.start(line);
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let said = "Warning: `--allowance-tokens` is 100 tokens, and a call of the role `solve` \
                reserves ";
    assert!(gateway.talk().contains(said), "{}", gateway.talk());
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(0), "{}", gateway.talk());
}

#[test]
fn an_interrupt_is_its_orderly_end() {
    let world = World::new(&PLAN);
    world.done("init demo --config config.toml");
    let mut gateway = world.start("gateway demo --socket s.sock --socket-mode 660");
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let socket = world.path("s.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // A call that is under way ends with it, and is on the books.
    world.hold("demo", true);
    let asking = {
        let socket = socket.clone();
        std::thread::spawn(move || chat(&socket))
    };
    gateway.wait_until("the model is asked", |_| world.asked("demo") == 1);
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(0), "{}", gateway.talk());
    assert_eq!(asking.join().unwrap(), "", "there is no answer");
    assert!(gateway.talk().contains("call 1: abandoned, about "));
    world.wait_until_alone();
}

#[test]
fn why_there_is_no_answer_is_said_on_the_host_only() {
    let world = World::new(&PLAN);
    world.done("init demo --config config.toml");
    let mut gateway = world.start("gateway demo --socket s.sock");
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let (there, away) = (world.path("model.sh"), world.path("away.sh"));
    std::fs::rename(&there, &away).unwrap();
    let answer = chat(&world.path("s.sock"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        r#"{"error":{"message":"the model cannot be asked; the run's log says why","type":"authentication_error","param":null,"code":null}}"#
    );
    // Somebody puts it right.
    std::fs::rename(&away, &there).unwrap();
    let answer = chat(&world.path("s.sock"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(0), "{}", gateway.talk());
    let talk = gateway.talk();
    let call = talk.lines().find(|line| line.starts_with("call 1: failed"));
    let call = call.expect("the call has a line");
    assert!(call.contains(": could not start `"), "{talk}");
}

#[test]
fn wrong_command_lines_leave_everything_as_it_was() {
    let world = World::new(&PLAN);
    world.done("init demo --config config.toml");
    dgm::sys::durable::write(&world.path("file"), b"precious").unwrap();
    for (line, expected) in [
        ("gateway demo --socket file", "and it is no socket"),
        (
            "gateway demo --socket none/s.sock",
            "could not open the socket",
        ),
        ("gateway demo --socket s.sock --role write", "no such role"),
        (
            "gateway demo --socket s.sock --allowance-usd much",
            "not a number",
        ),
        ("gateway demo", "--socket"),
        ("gateway none --socket s.sock", "none"),
    ] {
        let output = world.output(line);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {talk}");
        assert!(talk.contains(expected), "{line}: {talk}");
    }
    assert_eq!(std::fs::read(world.path("file")).unwrap(), b"precious");
    let lineage = Reader::open(&world.path("demo"))
        .unwrap()
        .lineage()
        .unwrap();
    assert_eq!(lineage.runs().len(), 0);
}

const KEY: &str = "sk-of-the-gateway-tests";

/// A world whose models are served over HTTP, with an archive that waits three seconds for them.
fn served() -> (World, Upstream) {
    let world = World::new(&PLAN);
    let upstream = Upstream::start(world.path("."), &[KEY]);
    world.serve(&upstream.url(), "api_key_env = \"MODEL_KEY\"\nretries = 0");
    world.configure(
        "[models.diagnose]",
        "[models]\noutage_hours = 0.001\n[models.diagnose]",
    );
    world.done("init demo --config config.toml");
    (world, upstream)
}

/// Returns why the last run of the archive ended.
fn end(world: &World) -> String {
    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let (_, end) = lineage.runs().last().unwrap();
    end.as_ref().unwrap().reason.clone()
}

#[test]
fn a_key_that_is_refused_is_told_and_asked_again() {
    let (world, upstream) = served();
    let line = "gateway demo --socket s.sock";
    let mut gateway = world.start_with(line, &[("MODEL_KEY", "sk-another-one")]);
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    for _ in 0..2 {
        let answer = chat(&world.path("s.sock"));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    gateway.wait_until("it is told", |gateway| gateway.talk().contains("call 2: "));
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(0), "{}", gateway.talk());
    let talk = gateway.talk();
    let call = talk.lines().find(|line| line.starts_with("call 1: failed"));
    let call = call.expect("the call has a line");
    assert!(call.contains(" answers 401: Incorrect API key"), "{talk}");
    assert_eq!(talk.matches("the model cannot be used: ").count(), 1);
    assert!(talk.contains("\n2 calls (2 without an answer), "), "{talk}");
    assert!(!talk.contains("sk-another-one"), "{talk}");
    assert_eq!(upstream.asked(), 2);
}

#[test]
fn a_provider_that_wants_to_be_left_alone_is_told_and_waited_for() {
    let (world, upstream) = served();
    upstream.set_busy(3600);
    let line = "gateway demo --socket s.sock";
    let mut gateway = world.start_with(line, &[("MODEL_KEY", KEY)]);
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let asking = {
        let socket = world.path("s.sock");
        std::thread::spawn(move || chat(&socket))
    };
    assert_eq!(gateway.code(), Some(4), "{}", gateway.talk());
    assert_eq!(asking.join().unwrap(), "", "it waited to the end");
    let talk = gateway.talk();
    for part in [
        "call 1: failed, 0 in, 0 out, $0, ",
        " answers 429: Rate limit reached\n",
        "paused since 20",
        "the model of the role `solve` takes no call before 20",
        "stopped: the model of the role `solve` has not answered for 3 s: ",
    ] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    assert!(end(&world).contains("has not answered"));
}

#[test]
fn an_outage_and_its_end_are_told() {
    let (world, mut upstream) = served();
    world.edit("demo/dgm.toml", "outage_hours = 0.001", "outage_hours = 1");
    upstream.set_up(false);
    let line = "gateway demo --socket s.sock";
    let mut gateway = world.start_with(line, &[("MODEL_KEY", KEY)]);
    gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
    let socket = world.path("s.sock");
    for _ in 0..2 {
        let answer = chat(&socket);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    // With the third it is an outage, and it waits.
    let asking = std::thread::spawn(move || chat(&socket));
    gateway.wait_until("it is paused", |gateway| {
        gateway.talk().contains("paused since 20")
    });
    assert!(gateway.talk().contains("does not answer (no connection to"));
    upstream.set_up(true);
    let answer = asking.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    gateway.wait_until("it goes on", |gateway| {
        gateway.talk().contains("going on after ")
    });
    gateway.interrupt();
    assert_eq!(gateway.code(), Some(0), "{}", gateway.talk());
    let failed = gateway.talk().matches(": no connection to ").count();
    assert!(failed >= 4, "{}", gateway.talk());
}

#[test]
fn only_the_command_line_bounds_the_calls_beside_the_archive_s_budget() {
    let world = World::new(&PLAN);
    world.configure(
        "[models.diagnose]",
        "[budget]\ncalls_per_job = 1\n[models.diagnose]",
    );
    world.done("init demo --config config.toml");
    let socket = world.path("s.sock");
    for (more, most, second, code) in [
        ("", "", "HTTP/1.1 200 ", Some(0)),
        (
            " --allowance-calls 1",
            ", for at most 1 call",
            "HTTP/1.1 402 ",
            Some(3),
        ),
    ] {
        let mut gateway = world.start(&format!("gateway demo --socket s.sock{more}"));
        gateway.wait_until("it serves", |gateway| gateway.talk().contains("Ctrl-C"));
        let limit = format!("s.sock`{most}; Ctrl-C ends it");
        assert!(gateway.talk().contains(&limit), "{}", gateway.talk());
        let answer = chat(&socket);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let answer = chat(&socket);
        assert!(answer.starts_with(second), "{answer}");
        gateway.interrupt();
        assert_eq!(gateway.code(), code, "{}", gateway.talk());
    }
}
