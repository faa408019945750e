//! The Docker sandbox on a real engine. Without one these tests fail: `tests/bring docker`.

use crate::sandbox_suite::{Subject, spec, text};
use dgm::domain::{FileTree, TreePath};
use dgm::sandbox::docker::{ARCHIVE_LABEL, DockerSandbox, Engine, image};
use dgm::sandbox::{Exit, Sandbox as _, SandboxError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "dgm-smoke";

/// A sandbox with a label of its own; what carries the label is removed at the end.
struct Fixture {
    sandbox: DockerSandbox,
    label: String,
    runtime: TempDir,
}

impl Fixture {
    async fn new(name: &str) -> Self {
        built().await;
        let label = format!("test-{name}-{}", std::process::id());
        let runtime = tempfile::tempdir().expect("a temporary folder");
        let sandbox = DockerSandbox::connect(label.clone(), runtime.path().to_owned()).await;
        Self {
            sandbox: sandbox.expect("an engine runs (tests/bring docker starts one)"),
            label,
            runtime,
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            sandbox: &self.sandbox,
            image: Some(IMAGE),
        }
    }

    /// Returns the ids of the containers that carry the label.
    fn containers(&self) -> Vec<String> {
        let filter = format!("label={ARCHIVE_LABEL}={}", self.label);
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        ids.lines().map(str::to_owned).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for id in self.containers() {
            docker(&["rm", "--force", "--volumes", &id]);
        }
    }
}

/// Runs the engine's own client and returns what it says.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    let output = output.expect("the command `docker` is there (tests/bring docker)");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {fault}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn recipe(name: &str) -> FileTree {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sandbox")
        .join(name);
    let dockerfile = std::fs::read(path.join("Dockerfile")).expect("the recipe is there");
    let mut files = FileTree::new();
    let name = TreePath::new("Dockerfile").expect("a good path");
    files.insert(name, dockerfile, false);
    files
}

/// The network of builds: containers need not have one of their own.
fn host() -> image::BuildNetwork {
    image::BuildNetwork {
        host: true,
        ..image::BuildNetwork::default()
    }
}

/// Builds the image of these tests once.
pub(crate) async fn built() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let engine = Engine::connect().await;
            let engine = engine.expect("an engine runs (tests/bring docker starts one)");
            image::build(&engine, &recipe(IMAGE), IMAGE, &host(), &mut |_| {})
                .await
                .expect("the image can be built");
        })
        .await;
}

macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let fixture = Fixture::new(stringify!($case)).await;
                fixture.subject().$case().await;
                assert_eq!(fixture.containers(), Vec::<String>::new());
            }
        )*
    };
}

suite!(
    files_in_files_out,
    no_privileges,
    dangerous_system_calls_fail,
    no_other_family_of_sockets,
    ordinary_programs_work,
    the_agent_is_read_only,
    nothing_else_is_writable,
    the_disk_is_bounded,
    a_flood_is_bounded,
    a_forged_stream_is_bounded,
    a_fork_bomb_fizzles,
    daemons_die,
    a_deadline_keeps_what_was_written,
    a_stopped_runner_is_killed_from_outside,
    a_killed_runner_harms_only_its_own_answer,
    memory_is_bounded,
    only_regular_files_come_out,
    a_sparse_file_is_bounded,
    a_vital_file_comes,
    the_model_socket_answers,
    the_host_cannot_be_seen,
    cancel_ends_a_run,
);

#[tokio::test(flavor = "multi_thread")]
async fn no_network() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let fixture = Fixture::new("no_network").await;
    fixture.subject().no_network(port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_of_the_host_stay_unknown() {
    let fixture = Fixture::new("name_servers").await;
    let script = "cat /etc/hostname; grep -E '^(nameserver|search|domain)' /etc/resolv.conf";
    let said = text(&fixture.subject().run(spec(Some(IMAGE), script)).await);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("sandbox"));
    // Some engines drop the loopback address, too.
    assert!(
        lines.all(|line| ["nameserver 127.0.0.1", "search ."].contains(&line)),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_no_container() {
    let fixture = Fixture::new("dropped").await;
    let run = fixture
        .sandbox
        .run(spec(Some(IMAGE), "sleep 600"), CancellationToken::new());
    let ended = tokio::time::timeout(Duration::from_secs(3), run).await;
    assert!(ended.is_err(), "it sleeps longer than that");
    let mut left = fixture.containers();
    for _ in 0..100 {
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        left = fixture.containers();
    }
    panic!("still there: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reap_removes_what_is_ours_and_nothing_else() {
    let fixture = Fixture::new("reap").await;
    let create = |label: &str| {
        docker(&[
            "create",
            "--label",
            label,
            "--network",
            "none",
            IMAGE,
            "sleep",
            "600",
        ])
    };
    let mine = create(&format!("{ARCHIVE_LABEL}={}", fixture.label));
    docker(&["start", &mine]);
    let others = [
        create(&format!("{ARCHIVE_LABEL}={}-other", fixture.label)),
        create(&format!("{ARCHIVE_LABEL}=")),
        create(&format!("somebody={}", fixture.label)),
    ];
    let reaped = fixture.sandbox.reap().await.expect("the engine answers");
    let left = fixture.containers();
    for other in &others {
        let state = docker(&["inspect", "--format", "{{.State.Status}}", other]);
        docker(&["rm", other]);
        assert_eq!(state, "created");
    }
    assert_eq!((reaped, left.len()), (1, 0));
    assert_eq!(fixture.sandbox.reap().await.expect("the engine answers"), 0);
}

#[tokio::test]
async fn an_engine_that_is_not_running_is_said_to_be_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    for path in [socket, folder.path().join("none.sock")] {
        let host = format!("unix://{}", path.display());
        let error = Engine::connect_to(&host).await.expect_err("nobody listens");
        let SandboxError::Unavailable { what, hint } = error else {
            panic!("{error}")
        };
        assert!(
            what.starts_with(&format!("no container engine answers at `{host}`: ")),
            "{what}"
        );
        assert!(hint.contains("start the engine"), "{hint}");
    }
    let error = Engine::connect_to("tcp://10.0.0.1:2375").await;
    let error = error.expect_err("not on this machine").to_string();
    assert!(error.contains("another machine"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_named() {
    let fixture = Fixture::new("no_image").await;
    let missing = "dgm-no-such-image:1".to_owned();
    let images = [IMAGE.to_owned(), missing.clone()];
    let error = fixture
        .sandbox
        .check(&images)
        .await
        .expect_err("one is missing");
    let SandboxError::Unavailable { what, hint } = error else {
        panic!("{error}")
    };
    assert_eq!(what, "image `dgm-no-such-image:1` is not there");
    assert!(hint.contains("dgm bench build"), "{hint}");
    assert!(fixture.sandbox.check(&images[..1]).await.is_ok());
    let spec = spec(Some(&missing), "true");
    let error = fixture.sandbox.run(spec, CancellationToken::new()).await;
    assert!(matches!(error, Err(SandboxError::NoImage { image }) if image == missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_cannot_be_reached_is_no_fault_of_the_agent() {
    let fixture = Fixture::new("socket").await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder.path(), closed).expect("it is ours");
    for place in [folder.path().to_owned(), folder.path().join("missing")] {
        let mut spec = spec(Some(IMAGE), "true");
        spec.socket_dir = Some(place);
        let error = fixture.sandbox.run(spec, CancellationToken::new()).await;
        let error = anyhow::Error::from(error.expect_err("nobody could connect"));
        assert!(
            format!("{error:#}").contains("the socket's folder"),
            "{error:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_and_entry_points_of_an_image_change_nothing() {
    let fixture = Fixture::new("volumes").await;
    let tag = format!("dgm-test-volumes-{}", std::process::id());
    let dockerfile = format!(
        "FROM {IMAGE}\nVOLUME /data\nENTRYPOINT [\"false\"]\nCMD [\"x\"]\nENV FROM_IMAGE=yes\n\
         HEALTHCHECK CMD touch /app/healthy\nUSER root\n"
    );
    let mut recipe = FileTree::new();
    let name = TreePath::new("Dockerfile").expect("a good path");
    recipe.insert(name, dockerfile.into_bytes(), false);
    let engine = fixture.sandbox.engine();
    let built = image::build(engine, &recipe, &tag, &host(), &mut |_| {}).await;
    assert_eq!(built.expect("it builds"), image::Built::Built);
    let script =
        "id -u; echo $FROM_IMAGE; head -c 100000000 /dev/zero > /data/big 2>/dev/null || echo full";
    let ended = fixture.subject().run(spec(Some(&tag), script)).await;
    let again = image::build(engine, &recipe, &tag, &host(), &mut |_| {}).await;
    docker(&["rmi", &tag]);
    assert_eq!(text(&ended), "1000\nyes\nfull\n");
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(again.expect("it is there"), image::Built::UpToDate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_build_repeats_its_last_lines() {
    let fixture = Fixture::new("build").await;
    let mut recipe = FileTree::new();
    let name = TreePath::new("Dockerfile").expect("a good path");
    let dockerfile = format!("FROM {IMAGE}\nRUN echo what went wrong && false\n");
    recipe.insert(name, dockerfile.into_bytes(), false);
    let mut lines = 0;
    let engine = fixture.sandbox.engine();
    let error = image::build(engine, &recipe, "dgm-test-fails", &host(), &mut |_| {
        lines += 1;
    })
    .await;
    let error = error.expect_err("its second step fails");
    assert_eq!(error.to_string(), "could not build image `dgm-test-fails`");
    let cause = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    assert!(cause.contains("what went wrong"), "{cause}");
    assert!(cause.contains("non-zero code: 1"), "{cause}");
    assert!(lines > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pytest_works_without_network_on_a_read_only_root() {
    let fixture = Fixture::new("pytest").await;
    let image = "dgm-polyglot-python";
    let built = image::build(
        fixture.sandbox.engine(),
        &recipe("polyglot/python"),
        image,
        &host(),
        &mut |_| {},
    )
    .await;
    built.expect("the image can be built");
    let script = "printf 'def test_x():\\n    assert 1\\n' > test_x.py; python3 -m pytest -q -p no:cacheprovider; ls -A";
    let ended = fixture.subject().run(spec(Some(image), script)).await;
    assert!(text(&ended).contains("1 passed"), "{}", text(&ended));
    assert!(text(&ended).ends_with("test_x.py\n"), "{}", text(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_folder_is_made_once() {
    let fixture = Fixture::new("agent_folder").await;
    fixture.subject().the_agent_is_read_only().await;
    let ours = std::fs::read_dir(fixture.runtime.path()).expect("it is there");
    let ours: Vec<_> = ours.flatten().collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    let agents = std::fs::read_dir(ours[0].path()).expect("it is there");
    let agents = agents.flatten().filter(|entry| entry.path().is_dir());
    assert_eq!(agents.count(), 1);
}
