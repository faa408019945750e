//! A real crowd: 64 callers at once through the real books (channel, recorder, SQLite) to a
//! slow server that charges for what it does, with callers that go away and a process that
//! dies in the middle. What the server charged is the truth that budgets are held against.

use crate::archive::Writer;
use crate::domain::{
    Amount, Decision, Entry, EvaluationKey, Fact, FileTree, JobId, Role, RunId, RunStart, TaskId,
    TreePath, Usd, Variant, VariantId,
};
use crate::evolve::Budgets;
use crate::evolve::books::ChannelBooks;
use crate::evolve::jobs::JobEvent;
use crate::evolve::record::Recorder;
use crate::model::{
    Allowance, CallError, Denied, JobSubject, Metered, Model, ModelSettings, Price, Retry, Scope,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the server did.
#[derive(Default)]
struct Charged {
    calls: AtomicU64,
    tokens: AtomicU64,
}

/// Answers requests after a while: most with as many tokens as were allowed, some are
/// refused, some connections are cut after the work is done.
async fn serve(listener: TcpListener, charged: Arc<Charged>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener works");
        connections.spawn(answer(stream, charged.clone()));
    }
}

async fn answer(mut stream: TcpStream, charged: Arc<Charged>) {
    while let Some(request) = read(&mut stream).await {
        let number = charged.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5 + number * 7 % 40)).await;
        let output = request["max_completion_tokens"].as_u64().unwrap_or(0);
        let (status, body) = if number % 11 == 3 {
            (
                400,
                json!({"error": {"message": "no", "type": "invalid_request_error"}}),
            )
        } else {
            // Half of what the request has in bytes, and all that was allowed as an answer.
            let input = request.to_string().len() as u64 / 2;
            charged.tokens.fetch_add(input + output, Ordering::SeqCst);
            let usage = json!({"prompt_tokens": input, "completion_tokens": output});
            (
                200,
                json!({"choices": [{"message": {"content": "ok"}}], "usage": usage}),
            )
        };
        if number % 17 == 5 {
            return;
        }
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request's body.
async fn read(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let (_, rest) = head.split_once("content-length:")?;
            let length: usize = rest.split("\r\n").next()?.trim().parse().ok()?;
            if let Some(body) = bytes.get(end + 4..end + 4 + length) {
                return serde_json::from_slice(body).ok();
            }
        }
        match stream.read(&mut buffer).await.ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Makes an archive with a seed and two attempts that are decided.
fn make(dir: &Path) {
    let mut writer = Writer::create(dir, "", 1).unwrap();
    let mut files = FileTree::new();
    files.insert(TreePath::new("agent.toml").unwrap(), b"x".as_slice(), false);
    let seed = VariantId::SEED;
    let (commit, tree) = writer
        .commit_variant(seed, &files, None, "seed", 1)
        .unwrap();
    let mut facts = vec![
        started(RunId(1)),
        Fact::VariantMade(Variant {
            id: seed,
            commit,
            tree,
            parent: None,
            generation: 0,
            summary: String::new(),
            created_ms: 1,
        }),
    ];
    facts.extend([1, 2].map(|attempt| {
        Fact::Decided(Decision {
            attempt: VariantId(attempt),
            group: 1,
            parent: seed,
            entry: Entry::Task(TaskId::new("t")),
            policy: String::new(),
            candidates: Vec::new(),
            why: String::new(),
            run: RunId(1),
            at_ms: 1,
        })
    }));
    writer.record(&facts).unwrap();
}

fn started(run: RunId) -> Fact {
    Fact::RunStarted(RunStart {
        run,
        command: "dgm evolve".to_owned(),
        config: String::new(),
        version: String::new(),
        sandbox: "local".to_owned(),
        stages: Vec::new(),
        at_ms: 1,
    })
}

fn recorder(dir: &Path, run: RunId, budgets: &Budgets) -> Recorder {
    let writer = Writer::open(dir).unwrap();
    let lineage = writer.lineage().unwrap();
    let (progress, _) = mpsc::unbounded_channel();
    Recorder::new(writer, lineage, run, 0, budgets, progress)
}

/// What callers were told.
#[derive(Debug, Default)]
struct Told {
    answered: u64,
    refused: u64,
    denied: BTreeMap<&'static str, u64>,
}

/// One job of the crowd: some calls one after the other, some given up.
async fn job(number: u64, model: Arc<Model>, books: ChannelBooks, allowance: Allowance) -> Told {
    let subject = match number % 4 {
        0 | 1 => JobId::Attempt(VariantId(u32::try_from(number % 2).unwrap() + 1)),
        2 => JobId::Evaluation(EvaluationKey {
            variant: VariantId::SEED,
            task: TaskId::new("t"),
            repeat: 0,
        }),
        _ => JobId::Manual,
    };
    let subject = JobSubject {
        subject,
        execution: 1,
        role: Role::Solve,
    };
    let patience = Retry {
        tries: 1,
        ..Retry::default()
    };
    let metered = Metered::new(model, Arc::new(books), subject, allowance).with_retry(patience);
    let mut told = Told::default();
    for call in 0..6 {
        // Some ask for more than a job may ever use.
        let length = match number % 16 {
            15 if call == 0 => 5000,
            _ => number * 13 % 200,
        };
        let content = "x".repeat(usize::try_from(length).unwrap());
        let request = json!({
            "messages": [{"role": "user", "content": content}],
            "max_completion_tokens": 20 + number * 31 % 300,
        });
        let asked = metered.complete(&request);
        if (number + call).is_multiple_of(13) {
            // This one loses its patience; the server may work on all the same.
            drop(tokio::time::timeout(Duration::from_millis(8), asked).await);
            continue;
        }
        match asked.await {
            Ok(_) => told.answered += 1,
            Err(CallError::Denied(Denied::Budget { scope, .. })) => {
                let scope = match scope {
                    Scope::Job => "job",
                    Scope::Attempt => "attempt",
                    Scope::Run => "run",
                };
                *told.denied.entry(scope).or_default() += 1;
            }
            Err(_) => told.refused += 1,
        }
    }
    metered.settled().await;
    told
}

/// Runs the crowd through a recorder until all have ended, or until it has handled so many
/// events, as if the process died then.
async fn crowd(
    recorder: &mut Recorder,
    model: &Arc<Model>,
    budgets: &Budgets,
    dies_after: usize,
) -> Told {
    let (sender, mut events) = mpsc::unbounded_channel::<JobEvent>();
    let books = ChannelBooks::new(sender);
    let mut jobs = JoinSet::new();
    for number in 0..64 {
        jobs.spawn(job(number, model.clone(), books.clone(), budgets.job));
    }
    drop(books);
    let mut told = Told::default();
    let mut batch = Vec::new();
    let mut handled = 0;
    loop {
        tokio::select! {
            count = events.recv_many(&mut batch, 1024) => {
                if count == 0 {
                    break;
                }
                handled += count;
                recorder.handle(std::mem::take(&mut batch)).unwrap();
                check(recorder, budgets);
                if handled > dies_after {
                    jobs.shutdown().await;
                    return told;
                }
            }
            Some(ended) = jobs.join_next() => {
                let ended = ended.unwrap();
                told.answered += ended.answered;
                told.refused += ended.refused;
                for (scope, count) in ended.denied {
                    *told.denied.entry(scope).or_default() += count;
                }
            }
        }
    }
    told
}

/// Looks whether the durable rows are within the budgets, unsettled ones at their most.
fn check(recorder: &Recorder, budgets: &Budgets) {
    let (settled, unsettled) = recorder.lineage().spend().used();
    let sum = settled + unsettled;
    assert_eq!(budgets.run.exceeded(sum), None, "{sum:?}");
    for id in [1, 2] {
        let own = recorder
            .lineage()
            .spend()
            .of(&JobId::Attempt(VariantId(id)));
        let sum = Amount {
            calls: 0,
            tokens: own.tokens.total() + own.unsettled_at_most_tokens,
            cost: own.at_most(),
        };
        assert_eq!(budgets.attempt.exceeded(sum), None, "attempt {id}: {sum:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_exceed_no_budget_on_a_slow_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let charged = Arc::new(Charged::default());
    let server = tokio::spawn(serve(listener, charged.clone()));
    let settings = ModelSettings {
        base_url: Some(url),
        // A dollar per million tokens: a micro-dollar for each.
        price: Some(Price::plain(Usd(1_000_000), Usd(1_000_000))),
        max_output_tokens: Some(400),
        timeout: Duration::from_secs(20),
        ..ModelSettings::new("openai", "m")
    };
    let model = Arc::new(Model::new(settings).unwrap());
    let budgets = Budgets {
        run: Allowance {
            cost: Some(Usd(60_000)),
            ..Allowance::default()
        },
        attempt: Allowance {
            tokens: Some(12_000),
            ..Allowance::default()
        },
        job: Allowance {
            calls: Some(5),
            tokens: Some(2_500),
            ..Allowance::default()
        },
        time: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    make(&dir);

    // The first process dies with calls in the air.
    let mut first = recorder(&dir, RunId(1), &budgets);
    crowd(&mut first, &model, &budgets, 80).await;
    let left = first.lineage().spend().total(|_| true);
    assert!(left.unsettled > 0, "{left:?}");
    drop(first);

    // The second one goes on, until the budget is used up.
    let mut second = recorder(&dir, RunId(2), &budgets);
    second.record(vec![started(RunId(2))]).unwrap();
    check(&second, &budgets);
    let told = crowd(&mut second, &model, &budgets, usize::MAX).await;
    let total = second.lineage().spend().total(|_| true);
    assert_eq!(
        total.unsettled, left.unsettled,
        "everything of this process settled"
    );
    assert!(told.answered > 50, "{told:?}");
    for scope in ["job", "attempt", "run"] {
        assert!(told.denied.contains_key(scope), "{told:?}");
    }
    assert!(second.exhausted().is_some());

    // What was really charged is within the budget as well.
    server.abort();
    let cost = Usd(i64::try_from(charged.tokens.load(Ordering::SeqCst)).unwrap());
    assert!(
        cost <= total.at_most(),
        "{cost} was charged, {} is on the books",
        total.at_most()
    );
    assert!(
        total.at_most() <= Usd(60_000) && cost > Usd(30_000),
        "{cost} of {total:?}"
    );
    let rows: Usd = second
        .lineage()
        .spend()
        .calls()
        .map(|(intent, settlement)| settlement.as_ref().map_or(intent.at_most, |row| row.cost))
        .sum();
    assert_eq!(rows, total.at_most());
    drop(second);
    assert_eq!(crate::archive::fsck(&dir, false).unwrap().len(), 0);
}
