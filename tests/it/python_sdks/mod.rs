//! The official `openai` and `anthropic` packages from PyPI, unchanged, in a sandbox without
//! network, with nothing but the gateway's socket to reach a model.

mod upstream;

use dgm::agent::Manifest;
use dgm::domain::{CallId, CallSettlement, FileTree, JobId, Role, TreePath};
use dgm::model::{
    Allowance, Books, Denied, Intent, JobSubject, Metered, Model, ModelSettings, Price, Retry,
};
use dgm::sandbox::local::LocalSandbox;
use dgm::sandbox::{AgentSource, Exit, Limits};
use dgm::trial::{AgentJob, AgentTurn, SandboxHost, TurnEnd, run_agent};
use futures_util::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use upstream::Upstream;

/// Calls that the agent may make: more than its tries need.
const CALLS: u64 = 60;

/// Tries of a call that fails.
const TRIES: u32 = 3;

/// Books that forget.
#[derive(Default)]
struct Counted(AtomicU64);

impl Books for Counted {
    fn intend(&self, _intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        let id = CallId(self.0.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move { Ok(id) })
    }

    fn settle(&self, _settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// The agent with the packages beside it.
fn agent() -> AgentSource {
    static AGENT: OnceLock<AgentSource> = OnceLock::new();
    let make = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let packages = target.join("python-sdks");
        assert!(
            packages.join("wanted.txt").exists(),
            "{} is not there: `tests/bring python-sdks` makes it",
            packages.display()
        );
        let mut files = FileTree::new();
        insert(&mut files, &packages, "site");
        let agent = include_bytes!("agent.py");
        files.insert(TreePath::new("agent.py").unwrap(), &agent[..], false);
        AgentSource::of(Arc::new(files))
    };
    AGENT.get_or_init(make).clone()
}

fn insert(files: &mut FileTree, folder: &Path, at: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let at = format!("{at}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            insert(files, &entry.path(), &at);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            files.insert(TreePath::new(&at).unwrap(), bytes, false);
        }
    }
}

/// What the agent saw, and what the other side did.
struct Tried {
    said: String,
    upstream: Upstream,
}

/// Lets the agent try a model that a provider serves.
async fn tried(provider: &str, arguments: &[&str]) -> Tried {
    let upstream = Upstream::start().await;
    let folder = tempfile::Builder::new()
        .prefix("dgm-")
        .tempdir_in("/tmp")
        .unwrap();
    let metered = metered(settings(provider, &upstream));
    let host = SandboxHost {
        sandbox: Arc::new(LocalSandbox::new(folder.path().join("r"))),
        sockets: folder.path().join("s"),
    };
    let mut command = vec!["/usr/bin/python3".to_owned(), "/agent/agent.py".to_owned()];
    command.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let job = AgentJob {
        turn: AgentTurn::sealed(
            format!("sdks-{provider}"),
            "Try them.".to_owned(),
            "/work",
            Arc::new(FileTree::new()),
        ),
        agent: agent(),
        manifest: Manifest {
            name: "sdks".to_owned(),
            command,
        },
        role: Role::Solve,
        deadline: Duration::from_secs(600),
        limits: Limits::default(),
    };
    let ended = run_agent(&host, job, metered.clone(), CancellationToken::new()).await;
    let TurnEnd { exit, log, .. } = ended.unwrap();
    let said = String::from_utf8(log).unwrap();
    assert_eq!(exit, Exit::Code(0), "{said}");
    Tried { said, upstream }
}

fn settings(provider: &str, upstream: &Upstream) -> ModelSettings {
    let mut settings = ModelSettings {
        price: Some(Price::Free),
        retry: Retry {
            tries: TRIES,
            first_pause: Duration::from_millis(1),
            ..Retry::default()
        },
        ..ModelSettings::new(provider, "served")
    };
    if provider == "command" {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python_sdks/forward.py");
        settings.dir = PathBuf::from("/");
        settings.command = vec![
            "/usr/bin/python3".to_owned(),
            script.display().to_string(),
            format!("{}/v1/chat/completions", upstream.url),
        ];
    } else {
        settings.base_url = Some(match provider {
            "openai" => format!("{}/v1", upstream.url),
            _ => upstream.url.clone(),
        });
    }
    settings
}

fn metered(settings: ModelSettings) -> Arc<Metered> {
    let job = JobSubject {
        subject: JobId::Manual,
        execution: 1,
        role: Role::Solve,
    };
    let allowance = Allowance {
        calls: Some(CALLS),
        ..Allowance::default()
    };
    let model = Arc::new(Model::new(settings).unwrap());
    let books = Arc::new(Counted::default());
    Arc::new(Metered::new(model, books, job, allowance))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_work_with_a_program_as_model() {
    let tried = tried("command", &[]).await;
    insta::assert_snapshot!(tried.said, @r"
    clients: openai 3.54.0, anthropic 2.12.0
    -- openai
    models: ['served']
    model: served
    other model: openai.NotFoundError 404 invalid_request_error
    text: hello stop served 10+2
    stream: one two three stop 10+2
    stream without usage: []
    tools: tool_calls 2 calls, then sun in Oslo, sun in Kyiv
    stream of tools: tool_calls [('weather', {'city': 'Oslo'}), ('weather', {'city': 'Kyiv'})]
    stream helper: one two three
    eight at once: 8
    no messages: openai.BadRequestError 400 invalid_request_error
    unknown role: openai.BadRequestError 400 invalid_request_error
    unknown path: openai.NotFoundError 404 invalid_request_error
    refused: openai.BadRequestError 400 invalid_request_error
    refused stream: openai.BadRequestError 400 invalid_request_error
    failing: openai.InternalServerError 502 server_error
    failing stream: openai.InternalServerError 502 server_error
    -- anthropic
    models: ['served']
    model: served
    other model: anthropic.NotFoundError 404 not_found_error
    text: anthropic.NotFoundError 404 not_found_error
    stream: anthropic.NotFoundError 404 not_found_error
    events: anthropic.NotFoundError 404 not_found_error
    tools: anthropic.NotFoundError 404 not_found_error
    stream of tools: anthropic.NotFoundError 404 not_found_error
    no messages: anthropic.NotFoundError 404 not_found_error
    count: anthropic.NotFoundError 404 not_found_error
    refused: anthropic.NotFoundError 404 not_found_error
    failing: anthropic.NotFoundError 404 not_found_error
    failing stream: anthropic.NotFoundError 404 not_found_error
    -- used up
    out of budget: openai.APIStatusError 402 budget_exceeded
    stream out of budget: openai.APIStatusError 402 budget_exceeded
    out of budget: anthropic.NotFoundError 404 not_found_error
    stream out of budget: anthropic.NotFoundError 404 not_found_error
    ");
    assert_eq!(tried.upstream.foreign(), 0);
    // Three tries for each of two calls; the clients add none of their own.
    assert_eq!(tried.upstream.failures(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_work_with_a_server_of_chat_completions() {
    let tried = tried("openai", &["cut"]).await;
    insta::assert_snapshot!(tried.said, @r"
    clients: openai 3.54.0, anthropic 2.12.0
    -- openai
    models: ['served']
    model: served
    other model: openai.NotFoundError 404 invalid_request_error
    text: hello stop served 10+2
    stream: one two three stop 10+2
    stream without usage: []
    tools: tool_calls 2 calls, then sun in Oslo, sun in Kyiv
    stream of tools: tool_calls [('weather', {'city': 'Oslo'}), ('weather', {'city': 'Kyiv'})]
    stream helper: one two three
    eight at once: 8
    no messages: openai.BadRequestError 400 invalid_request_error
    unknown role: openai.BadRequestError 400 invalid_request_error
    unknown path: openai.NotFoundError 404 invalid_request_error
    refused: openai.BadRequestError 400 invalid_request_error
    refused stream: openai.BadRequestError 400 invalid_request_error
    failing: openai.InternalServerError 502 server_error
    failing stream: openai.InternalServerError 502 server_error
    cut stream: openai.APIError None server_error
    -- anthropic
    models: ['served']
    model: served
    other model: anthropic.NotFoundError 404 not_found_error
    text: anthropic.NotFoundError 404 not_found_error
    stream: anthropic.NotFoundError 404 not_found_error
    events: anthropic.NotFoundError 404 not_found_error
    tools: anthropic.NotFoundError 404 not_found_error
    stream of tools: anthropic.NotFoundError 404 not_found_error
    no messages: anthropic.NotFoundError 404 not_found_error
    count: anthropic.NotFoundError 404 not_found_error
    refused: anthropic.NotFoundError 404 not_found_error
    failing: anthropic.NotFoundError 404 not_found_error
    failing stream: anthropic.NotFoundError 404 not_found_error
    cut stream: anthropic.NotFoundError 404 not_found_error
    -- used up
    out of budget: openai.APIStatusError 402 budget_exceeded
    stream out of budget: openai.APIStatusError 402 budget_exceeded
    out of budget: anthropic.NotFoundError 404 not_found_error
    stream out of budget: anthropic.NotFoundError 404 not_found_error
    ");
    assert_eq!(tried.upstream.foreign(), 0);
    assert_eq!(tried.upstream.failures(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_work_with_anthropic_as_provider() {
    let tried = tried("anthropic", &["cut"]).await;
    insta::assert_snapshot!(tried.said, @r"
    clients: openai 3.54.0, anthropic 2.12.0
    -- openai
    models: ['served']
    model: served
    other model: openai.NotFoundError 404 invalid_request_error
    text: hello stop served 10+2
    stream: one two three stop 10+2
    stream without usage: []
    tools: tool_calls 2 calls, then sun in Oslo, sun in Kyiv
    stream of tools: tool_calls [('weather', {'city': 'Oslo'}), ('weather', {'city': 'Kyiv'})]
    stream helper: one two three
    eight at once: 8
    no messages: openai.BadRequestError 400 invalid_request_error
    unknown role: openai.BadRequestError 400 invalid_request_error
    unknown path: openai.NotFoundError 404 invalid_request_error
    refused: openai.BadRequestError 400 invalid_request_error
    refused stream: openai.BadRequestError 400 invalid_request_error
    failing: openai.InternalServerError 502 server_error
    failing stream: openai.InternalServerError 502 server_error
    cut stream: openai.APIError None server_error
    -- anthropic
    models: ['served']
    model: served
    other model: anthropic.NotFoundError 404 not_found_error
    text: hello end_turn served 10+2
    stream: one two three end_turn 10+2
    events: ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']
    tools: tool_use 2 calls, then sun in Oslo, sun in Kyiv
    stream of tools: [('weather', {'city': 'Oslo'}), ('weather', {'city': 'Kyiv'})]
    no messages: anthropic.BadRequestError 400 invalid_request_error
    count: anthropic.NotFoundError 404 not_found_error
    refused: anthropic.BadRequestError 400 invalid_request_error
    failing: anthropic.InternalServerError 502 api_error
    failing stream: anthropic.InternalServerError 502 api_error
    cut stream: anthropic.APIStatusError 200 api_error
    -- used up
    out of budget: openai.APIStatusError 402 budget_exceeded
    stream out of budget: openai.APIStatusError 402 budget_exceeded
    out of budget: anthropic.PaymentRequiredError 402 budget_exceeded
    stream out of budget: anthropic.PaymentRequiredError 402 budget_exceeded
    ");
    assert_eq!(tried.upstream.foreign(), 0);
    assert_eq!(tried.upstream.failures(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_know_a_key_that_is_not_known() {
    let tried = tried("anthropic", &["only", "deny"]).await;
    insta::assert_snapshot!(tried.said, @r"
    clients: openai 3.54.0, anthropic 2.12.0
    deny: openai.AuthenticationError 401 authentication_error
    deny stream: openai.AuthenticationError 401 authentication_error
    deny: anthropic.AuthenticationError 401 authentication_error
    deny stream: anthropic.AuthenticationError 401 authentication_error
    ");
}
