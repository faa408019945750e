//! Runs whose files are the image's own: what changed is taken from outside, what was left can
//! be gone on from, and every wall of a sandbox but the read-only root stands as before.

use crate::sandbox_suite::{text, tree};
use crate::support::docker::docker;
use dgm::domain::FileTree;
use dgm::sandbox::docker::{ARCHIVE_LABEL, DockerSandbox};
use dgm::sandbox::{
    Difference, Ended, Exit, Health, ImageRoot, Keep, Limits, Placed, Root, Sandbox as _,
    SandboxError, Spec, State,
};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Files in `/srv/repo`, a user who owns some of them, and a service as entry point.
const DOCKERFILE: &str = "FROM debian:bookworm-slim\n\
    RUN useradd --create-home solver \\\n\
     && mkdir -p /srv/repo/lib/deep /srv/repo/.git && cd /srv/repo \\\n\
     && echo one > a.txt && echo two > b.txt && echo x > lib/x && echo y > lib/deep/y \\\n\
     && echo git > .git/config && chown -R solver: /srv/repo\n\
    WORKDIR /srv/repo\n\
    ENV FROM_IMAGE=yes\n\
    ENTRYPOINT [\"sh\", \"-c\", \"echo up > /tmp/service; exec \\\"$@\\\"\", \"entry\"]\n";

struct World {
    sandbox: DockerSandbox,
    label: String,
    image: String,
    _runtime: TempDir,
}

impl World {
    async fn new(name: &str) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let label = format!("root-{name}-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let dockerfile = folder.path().join("Dockerfile");
        dgm::sys::durable::write(&dockerfile, DOCKERFILE.as_bytes()).unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let image = "dgm-test-root".to_owned();
        docker(&["build", "--quiet", "--tag", &image, &path]);
        let sandbox = DockerSandbox::connect(label.clone(), runtime.path().to_owned()).await;
        Self {
            sandbox: sandbox.expect("an engine runs (tests/bring docker starts one)"),
            label,
            image,
            _runtime: runtime,
        }
    }

    fn spec(&self, root: ImageRoot, script: &str) -> Spec {
        Spec {
            job: "root".to_owned(),
            image: Some(self.image.clone()),
            agent: None,
            placed: Vec::new(),
            root: Root::Image(root),
            workdir: None,
            writable: Vec::new(),
            command: ["sh", "-c", script].map(str::to_owned).into(),
            env: vec![("GIVEN".to_owned(), "too".to_owned())],
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_secs(60),
            collect: Vec::new(),
            limits: Limits {
                disk: 32 << 20,
                ..Limits::default()
            },
        }
    }

    async fn run(&self, spec: Spec) -> Ended {
        let ended = self.sandbox.run(spec, CancellationToken::new()).await;
        ended.expect("the sandbox itself works")
    }

    async fn difference(&self, script: &str) -> Difference {
        let ended = self.run(self.spec(solver(), script)).await;
        assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
        ended.difference.unwrap()
    }

    fn left(&self, what: &[&str]) -> String {
        let filter = format!("label={ARCHIVE_LABEL}={}", self.label);
        docker(&[what, &["--all", "--quiet", "--filter", &filter]].concat())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Only where a test has failed: what should have been gone.
        for id in self.left(&["ps"]).lines() {
            drop(
                Command::new("docker")
                    .args(["rm", "--force", "--volumes", id])
                    .output(),
            );
        }
        for id in self.left(&["images"]).lines() {
            drop(Command::new("docker").args(["rmi", "--force", id]).output());
        }
    }
}

/// Works as the user who owns the folder; what it changes is kept.
fn solver() -> ImageRoot {
    ImageRoot {
        user: Some("solver".to_owned()),
        services: false,
        keep: Keep {
            difference: true,
            ..Keep::default()
        },
        ..ImageRoot::default()
    }
}

fn names(files: &FileTree) -> Vec<String> {
    let name = |(path, file): (&dgm::domain::TreePath, &dgm::domain::FileEntry)| {
        let text = String::from_utf8_lossy(&file.bytes).trim().to_owned();
        format!("{path}={text}")
    };
    files.iter().map(name).collect()
}

#[tokio::test]
async fn vital_files_come_whatever_lies_beside_them() {
    let world = World::new("vital").await;
    let script = "cd /logs; mkdir deep; echo 1 > deep/reward.txt; head -c 4M /dev/zero > deep/a; \
                  cp deep/a a; cp deep/a z; ln -s /etc/hostname link";
    let spec = Spec {
        writable: vec!["/logs".to_owned()],
        collect: vec!["/logs".to_owned()],
        vital: [
            "/logs/none",
            "/logs/link",
            "/logs/deep",
            "/logs/a",
            "/logs/deep/reward.txt",
        ]
        .map(str::to_owned)
        .into(),
        ..world.spec(solver(), script)
    };
    let limits = Limits {
        collect: 1 << 20,
        ..spec.limits
    };
    let ended = world.run(Spec { limits, ..spec }).await;
    let logs = &ended.collected[0];
    assert!(logs.truncated);
    assert_eq!(
        names(&logs.files),
        ["deep/reward.txt=1"],
        "{}",
        text(&ended)
    );
}

#[tokio::test]
async fn the_change_of_the_image_s_folder_is_taken_from_outside() {
    let world = World::new("change").await;
    let same = world.difference("cat a.txt; touch /dev/shm/x").await;
    assert!(!same.anything && same.after.files.is_empty() && same.before.is_empty());
    assert_eq!(same.workdir, "/srv/repo");

    let script = "echo 1 >> a.txt; rm b.txt; mkdir -p new/deep; echo n > new/deep/f; \
                  chmod +x lib/x; rm -r lib/deep; echo other > .git/config; \
                  mkdir __pycache__; echo c > __pycache__/c; echo out > /tmp/outside; \
                  mkfifo pipe; ln -s /etc/passwd link; kill -9 $PPID";
    // The runner is killed, too: that keeps nothing back.
    let ended = world.run(world.spec(solver(), script)).await;
    let change = ended.difference.unwrap();
    assert_eq!(
        names(&change.after.files),
        ["a.txt=one\n1", "lib/x=x", "new/deep/f=n"]
    );
    assert!(change.after.files.get("lib/x").unwrap().executable);
    assert_eq!(
        names(&change.before),
        ["a.txt=one", "b.txt=two", "lib/deep/y=y", "lib/x=x"]
    );
    assert!(change.anything && !change.after.truncated);
    let refused = change.after.refused.join("\n");
    assert!(
        refused.contains("link") && refused.contains("pipe"),
        "{refused}"
    );
    assert_eq!(world.left(&["ps"]), "");
}

#[tokio::test]
async fn a_folder_deleted_and_made_again_is_seen_as_it_is() {
    let world = World::new("opaque").await;
    let change = world
        .difference("rm -r lib; mkdir lib; echo x > lib/x; echo z > lib/z")
        .await;
    let files = before_to_after(&change);
    assert_eq!(files, ["-lib/deep/y", "+lib/z"]);
}

fn before_to_after(difference: &Difference) -> Vec<String> {
    let change = difference.before.change_to(&difference.after.files);
    let deleted = change.deleted.iter().map(|path| format!("-{path}"));
    let written = change.written.iter().map(|(path, _)| format!("+{path}"));
    deleted.chain(written).collect()
}

#[tokio::test]
async fn users_environment_and_services_are_the_image_s_or_the_task_s() {
    let world = World::new("user").await;
    let say = "echo $(id -un) $PWD $FROM_IMAGE $GIVEN $(cat /tmp/service) $(pwd -P)";
    let ended = world.run(world.spec(ImageRoot::default(), say)).await;
    assert_eq!(text(&ended), "root /srv/repo yes too up /srv/repo\n");
    let named = |name: &str| ImageRoot {
        user: Some(name.to_owned()),
        ..solver()
    };
    let say = "id -un; echo mine > a.txt && test ! -e /tmp/service && touch /out/x && cat /in/f; \
               grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; \
               touch /etc/x; touch /in/y; echo end";
    for name in ["solver", "1000"] {
        let spec = Spec {
            placed: vec![Placed {
                at: "/in".to_owned(),
                files: tree(&[("f", "given\n", false)]),
            }],
            writable: vec!["/out".to_owned()],
            ..world.spec(named(name), say)
        };
        let said = text(&world.run(spec).await);
        assert!(
            said.starts_with("solver\ngiven\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"),
            "{said}"
        );
        assert_eq!(said.matches("Permission denied").count(), 2, "{said}");
    }
    let nobody = world.spec(named("nobody-of-that-name"), "true");
    let error = world.sandbox.run(nobody, CancellationToken::new()).await;
    assert!(
        matches!(error, Err(SandboxError::Failed { .. })),
        "{error:?}"
    );
    // Root has no capability either, and the network is as far away as ever.
    let say = "grep -h CapEff /proc/self/status; ls /sys/class/net; mount -t tmpfs x /mnt; echo $?";
    let said = text(&world.run(world.spec(ImageRoot::default(), say)).await);
    assert!(
        said.starts_with("CapEff:\t0000000000000000\nlo\n"),
        "{said}"
    );
    assert!(!said.ends_with("\n0\n"), "{said}");
    // So it cannot touch what others own, unless that was asked for, and for files alone.
    let say = "echo x >> a.txt; chown 7 b.txt && stat -c %u b.txt; mount -t tmpfs x /mnt; echo $?; \
               grep CapEff /proc/self/status";
    let plain = text(&world.run(world.spec(ImageRoot::default(), say)).await);
    assert!(plain.contains("a.txt: Permission denied"), "{plain}");
    let root = ImageRoot {
        file_rights: true,
        ..ImageRoot::default()
    };
    let with = text(&world.run(world.spec(root, say)).await);
    assert!(with.starts_with("7\n"), "{with}");
    assert!(
        with.ends_with("\nCapEff:\t00000000000000fb\n") && !with.contains("\n0\n"),
        "{with}"
    );
}

#[tokio::test]
async fn a_state_is_gone_on_from_and_given_back() {
    let world = World::new("state").await;
    let keep = |from: Option<State>, script: &str| {
        let root = ImageRoot {
            from,
            keep: Keep {
                difference: true,
                state: true,
                layer: false,
            },
            ..solver()
        };
        Spec {
            writable: vec!["/logs/verifier".to_owned()],
            collect: vec!["/logs/verifier".to_owned()],
            ..world.spec(root, script)
        }
    };
    let first = "echo 1 > /logs/verifier/reward.txt; echo kept > /tmp/state; rm b.txt; \
                 (sleep 300; echo late > /tmp/state) & exit 0";
    let first = world.run(keep(None, first)).await;
    assert_eq!(names(&first.collected[0].files), ["reward.txt=1"]);
    let state = first.state.unwrap();
    // What is to be writable is made anew: nothing that an earlier run left there counts.
    let script = "cat /tmp/state; ls /logs/verifier; ls; ps -e 2>/dev/null | grep -c sleep; \
                  echo more > c.txt";
    let second = world.run(keep(Some(state.clone()), script)).await;
    assert!(
        text(&second).starts_with("kept\na.txt\nlib\n"),
        "{}",
        text(&second)
    );
    // The difference is that to the state, not to the image.
    let change = second.difference.unwrap();
    assert_eq!(before_to_after(&change), ["+c.txt"]);
    let filter = &["images"];
    assert_eq!(world.left(filter).lines().count(), 2);
    world.sandbox.discard(second.state.unwrap()).await;
    world.sandbox.discard(state).await;
    assert_eq!(world.left(filter), "");
    // What is not given back is reaped, states of states too.
    let first = world.run(keep(None, "echo 1 > x")).await;
    let second = world.run(keep(first.state, "echo 2 > x")).await;
    assert!(second.state.is_some());
    world.sandbox.reap().await.unwrap();
    assert_eq!(world.left(filter), "");
}

#[tokio::test]
async fn who_fills_the_disk_is_ended() {
    let world = World::new("disk").await;
    // One file cannot reach beyond the limit by itself; many together are seen and ended.
    let one = "dd if=/dev/zero of=/srv/big bs=1M count=1 seek=100 2>/dev/null; \
               stat -c 'ended %s' /srv/big; head -c 31M /dev/zero >/srv/big; stat -c 'has %s' /srv/big";
    let ended = world.run(world.spec(ImageRoot::default(), one)).await;
    assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended));
    assert_eq!(text(&ended), "ended 0\nhas 32505856\n");
    let many = "i=0; while :; do dd if=/dev/zero of=/srv/f$i bs=1M count=4 2>/dev/null; \
                i=$((i + 1)); [ $i -lt 40 ] || sleep 1; done";
    let ended = world.run(world.spec(ImageRoot::default(), many)).await;
    assert_eq!(ended.exit, Exit::OutOfDisk);
    assert_eq!(world.left(&["ps"]), "");
}

#[tokio::test]
async fn a_command_starts_only_once_everything_is_well() {
    let world = World::new("health").await;
    let health = |command: &str, retries| Health {
        command: command.to_owned(),
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(5),
        start_period: Duration::ZERO,
        start_interval: Duration::from_millis(100),
        retries,
    };
    let root = |checks: Vec<Health>| ImageRoot {
        prepare: Some("(sleep 1; touch /tmp/late) & echo ready > /tmp/prepared".to_owned()),
        health: checks,
        ..ImageRoot::default()
    };
    let checks = vec![
        health("test -e /tmp/late", 1000),
        health("test -e /tmp/service", 100),
    ];
    let ended = world
        .run(world.spec(root(checks), "cat /tmp/prepared; ls /tmp/late"))
        .await;
    assert_eq!(text(&ended), "ready\n/tmp/late\n");
    let never = world.spec(root(vec![health("echo no; exit 3", 2)]), "echo never");
    let error = world.sandbox.run(never, CancellationToken::new()).await;
    let error = dgm::sandbox::describe(&error.unwrap_err());
    assert!(
        error.contains("a health check failed 2 times in a row: echo no; exit 3"),
        "{error}"
    );
    let root = ImageRoot {
        prepare: Some("echo broken; exit 1".to_owned()),
        ..ImageRoot::default()
    };
    let error = world
        .sandbox
        .run(world.spec(root, "true"), CancellationToken::new())
        .await;
    let error = dgm::sandbox::describe(&error.unwrap_err());
    assert!(error.contains("broken"), "{error}");
}

#[tokio::test]
async fn a_deadline_and_a_cancelled_run_leave_nothing() {
    let world = World::new("end").await;
    let late = Spec {
        deadline: Duration::from_secs(1),
        ..world.spec(solver(), "echo begun > a.txt; trap '' TERM INT; sleep 600")
    };
    let ended = world.run(late).await;
    assert_eq!(ended.exit, Exit::TimedOut);
    let change = ended.difference.unwrap();
    assert_eq!(names(&change.after.files), ["a.txt=begun"]);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let run = world
        .sandbox
        .run(world.spec(ImageRoot::default(), "sleep 600"), cancel);
    assert!(matches!(run.await, Err(SandboxError::Cancelled)));
    assert_eq!(world.left(&["ps"]), "");
}
