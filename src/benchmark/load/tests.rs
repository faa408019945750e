//! How task directories are read, and what is refused.

use crate::benchmark::fixture;
use crate::benchmark::permits::Permits;
use crate::benchmark::task::Task;
use crate::benchmark::task_files::without_canary;
use crate::sandbox::Network;
use std::path::Path;
use std::time::Duration;

fn load(files: &[(&str, String)]) -> Result<Task, String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let task = folder.path().join("hello");
    fixture::write(&task, files);
    Task::load(&task).map_err(|error| error.sentence())
}

fn with(path: &'static str, text: &str) -> Vec<(&'static str, String)> {
    let mut files = fixture::good();
    files.retain(|(name, _)| *name != path);
    files.push((path, text.to_owned()));
    files
}

fn without(path: &str) -> Vec<(&'static str, String)> {
    let mut files = fixture::good();
    files.retain(|(name, _)| !name.starts_with(path));
    files
}

#[test]
fn loads_a_task() {
    let mut files = with(
        "task.toml",
        "schema_version = \"1.3\"\nartifacts = [\"/srv/hello/hello.txt\"]\n\
         [task]\nname = \"us/hello\"\n\
         [metadata]\ndifficulty = \"easy\"\n\
         [metadata.dgm]\nworkspace = \"environment/workspace/\"\nimage = \"a/b:1\"\n\
         answer = [\"hello.txt\", \"src/**\"]\npass_mark = 0.5\nreward_key = \"a\"\ntests_expected = 3\n\
         [agent]\ntimeout_sec = 90\n\
         [verifier]\ntimeout_sec = 1.5\nenv = { A = \"1\" }\n\
         [environment]\nallow_internet = false\nworkdir = \"/srv/hello\"\ncpus = 2\n\
         memory = \"1.5G\"\nmemory_mb = 1536\nstorage_mb = 10240\ngpus = 0\nmcp_servers = []\n\
         env = { B = \"${HOME:-/nowhere}\" }\n\
         [solution]\nenv = { C = \"3\" }\n",
    );
    files.push(("instruction.md", "# canary 1\n\nDo it.\n".to_owned()));
    let task = load(&files).expect("it loads");
    assert_eq!(task.id.as_str(), "hello");
    assert_eq!(task.name.as_deref(), Some("us/hello"));
    assert_eq!(task.instruction, "Do it.\n");
    assert_eq!(task.image.as_deref(), Some("a/b:1"));
    assert!(!task.local);
    assert_eq!(task.workdir.as_deref(), Some("/srv/hello"));
    assert_eq!(task.workspace.len(), 1);
    assert_eq!(task.answer, ["hello.txt", "src/**"]);
    assert_eq!(task.agent_timeout, Some(Duration::from_secs(90)));
    assert_eq!(task.verifier_timeout, Duration::from_millis(1500));
    assert_eq!(task.verifier_env, [("A".to_owned(), "1".to_owned())]);
    assert_eq!(task.env, [("B".to_owned(), "/nowhere".to_owned())]);
    assert_eq!(task.solution_env, [("C".to_owned(), "3".to_owned())]);
    assert!((task.pass_mark - 0.5).abs() < f64::EPSILON);
    assert_eq!(task.tests_expected, Some(3));
    assert_eq!(task.reward_key.as_deref(), Some("a"));
    assert_eq!(task.cpus, Some(2.0));
    assert_eq!(task.memory, Some(1536 << 20));
    assert_eq!(task.tests.0.len(), 1);
    assert!(task.solution.is_some());
    assert_eq!(
        task.warnings,
        [
            "task.toml:28: `environment.env`: `B` takes its default `/nowhere`, never this \
          machine's value"
        ]
    );
}

#[test]
fn takes_defaults() {
    let task = load(&without("solution")).expect("it loads");
    assert_eq!(task.workdir.as_deref(), Some("/app"));
    assert_eq!(task.agent_timeout, None);
    assert_eq!(task.verifier_timeout, Duration::from_mins(10));
    assert!((task.pass_mark - 1.0).abs() < f64::EPSILON);
    assert!(task.local && task.solution.is_none());
    assert_eq!(task.warnings, Vec::<String>::new());
}

#[test]
fn a_list_of_hosts_becomes_the_whole_network_only_by_leave() {
    let text = "[environment]\ndocker_image = \"x\"\nnetwork_mode = \"allowlist\"\n\
                allowed_hosts = [\"a.org\", \"*.b.org\"]\n";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut files = with("task.toml", text);
    files.retain(|(name, _)| !name.starts_with("environment/"));
    fixture::write(&folder.path().join("hello"), &files);
    let load = |network, allowlist_is_public| {
        let permits = Permits {
            network,
            allowlist_is_public,
            ..Permits::default()
        };
        super::load(&folder.path().join("hello"), &permits)
    };
    for (network, by_leave) in [(Network::Public, false), (Network::None, true)] {
        let why = load(network, by_leave)
            .expect_err("it is refused")
            .to_string();
        assert!(why.contains("allowlist"), "{why}");
    }
    let task = load(Network::Public, true).expect("it loads");
    let networks = (task.agent_network, task.verifier_network);
    assert_eq!(networks, (Network::Public, Network::Public));
    let warning = "`allowlist` is not kept: the whole network can be reached, not only \
                   a.org, *.b.org";
    assert!(task.warnings[0].ends_with(warning), "{:?}", task.warnings);
}

#[test]
fn warns_of_what_it_ignores() {
    let text = format!(
        "colour = 1\n{}workdri = \"/x\"\nmemory = 4096\nartifacts = []\n\
         [agent]\ntimeout = 3\n[metadata]\nanything = true\n",
        fixture::MANIFEST
            .replace("1.0", "9.9")
            .replace("network_mode = \"no-network\"\n", "")
            .replace("answer = [\"*.txt\"]\n", "answr = [\"*.txt\"]\n")
    );
    let task = load(&with("task.toml", &text)).expect("it loads");
    assert_eq!(
        task.warnings,
        [
            "task.toml:2: `version`: schema `9.9` is newer than 1.4, read as 1.4",
            "task.toml: `metadata.dgm.answer` is not given: every file that the agent \
             leaves is there when the tests run",
            "task.toml:8: `metadata.dgm.answr`: unknown key, ignored, did you mean `answer`",
            "task.toml:12: `environment.memory`: a bare number is ignored, as Harbor does; \
             write `memory_mb` instead",
            "task.toml:11: `environment.workdri`: unknown key, ignored, did you mean \
             `workdir`",
            "task.toml:13: `environment.artifacts`: unknown key, ignored",
            "task.toml:15: `agent.timeout`: unknown key, ignored, did you mean `timeout_sec`",
            "task.toml: `environment.artifacts` is ignored: `artifacts` must stand above the \
             first `[section]`",
            "task.toml:1: `colour`: unknown key, ignored",
            "task.toml: `environment.network_mode` is not given: the task runs without \
             network, where Harbor gives it one",
        ]
    );
    assert_eq!(task.memory, None);
}

/// The digests are those that Harbor 0.25.0 computes for the same folders.
#[test]
fn digests_are_harbor_s_own() {
    let digest = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let files: Vec<(&str, String)> = files
            .iter()
            .map(|(path, text)| (*path, (*text).to_owned()))
            .collect();
        fixture::write(folder.path(), &files);
        super::digest::of(&super::files(folder.path()).expect("they can be read"))
    };
    let plain = [
        ("task.toml", "version = \"1.0\"\n"),
        ("instruction.md", "Say hello.\n"),
        ("tests/test.sh", "echo 1\n"),
        ("environment/Dockerfile", "FROM a\n"),
        ("README.md", "x\n"),
        ("notes.txt", "not part\n"),
        ("tests/__pycache__/a.pyc", "c"),
        ("tests/x~", "b"),
        ("environment/.DS_Store", "d"),
    ];
    let ignored = [
        ("task.toml", ""),
        ("instruction.md", "Do.\n"),
        (".gitignore", "*.log\n!keep.log\n/solution/secret\nbuild/\n"),
        ("tests/test.sh", "echo 1\n"),
        ("tests/a.log", "1"),
        ("tests/keep.log", "2"),
        ("solution/secret", "3"),
        ("solution/solve.sh", "4"),
        ("environment/build/x", "5"),
        ("environment/x.pyc", "6"),
    ];
    let harbor = [
        ("task.toml", ""),
        ("instruction.md", "Do.\n"),
        ("environment/Dockerfile", "FROM a\n"),
        ("environment/.harborignore", "*\n"),
        ("tests/.harborignore", "*.tmp\nfixtures/\n!fixtures/keep\n"),
        ("tests/test.sh", "1"),
        ("tests/a.tmp", "2"),
        ("tests/sub/b.tmp", "3"),
        ("tests/sub/.harborignore", "!b.tmp\n"),
        ("tests/fixtures/keep", "4"),
        ("solution/a.tmp", "5"),
        ("steps/one/instruction.md", "6"),
        ("steps/one/tests/.harborignore", "/x\n"),
        ("steps/one/tests/x", "7"),
        ("steps/one/tests/y/x", "8"),
        ("steps/one/workdir/.harborignore", "*\n"),
        ("steps/one/workdir/z", "9"),
    ];
    for (files, hash) in [
        (
            &plain[..],
            "17f3f02cc0cfc986d91d68d805138182aeb8372b71b93e0a56002e35ac74a054",
        ),
        (
            &ignored,
            "5203ea327310866e40f2be97616572a824e909ef5347e437e0039f4e2899a1fd",
        ),
        (
            &harbor,
            "3e8a928582289aaa31da9dfd44ed12d869e7aa77b078af7da0ae559c59186a4f",
        ),
    ] {
        assert_eq!(digest(files), format!("sha256:{hash}"));
    }
}

#[test]
fn names_what_is_missing() {
    for (path, message) in [
        (
            "task.toml",
            "`task.toml` is missing: a folder of a benchmark is a task; move it away if it \
             is none",
        ),
        (
            "instruction.md",
            "`instruction.md` is missing: write what the agent is to do",
        ),
        (
            "tests",
            "`tests/test.sh` is missing: write a script that leaves a number in \
             `/logs/verifier/reward.txt`; without it the task cannot be graded",
        ),
        (
            "environment",
            "task.toml: `metadata.dgm.workspace`: there is no folder `environment/workspace`",
        ),
    ] {
        assert_eq!(load(&without(path)).expect_err(path), message);
    }
}

#[test]
fn refuses_by_name_what_it_cannot_run() {
    for (path, message) in [
        (
            "trajectory.json",
            "trajectory.json: a task that starts from a trajectory is not supported: run it \
             with Harbor",
        ),
        (
            "tests/Dockerfile",
            "tests/Dockerfile: a verifier with an image of its own is not supported: bring \
             what it needs into the task's image",
        ),
        (
            "environment/docker-compose.yaml",
            "environment/docker-compose.yaml: holds no table",
        ),
    ] {
        assert_eq!(load(&with(path, "x\n")).expect_err(path), message);
    }
}

#[test]
fn refuses_links_and_names_that_are_none() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let task = folder.path().join("hello");
    fixture::write(&task, &fixture::good());
    std::os::unix::fs::symlink("/etc/passwd", task.join("environment/workspace/link"))
        .expect("a link can be made");
    let error = Task::load(&task).expect_err("a link is refused");
    assert_eq!(
        error.to_string(),
        "environment/workspace/link: is a symbolic link; put the file itself there"
    );
    fixture::write(folder.path(), &[("bad name/task.toml", String::new())]);
    let error = Task::load(&folder.path().join("bad name")).expect_err("the name is refused");
    assert_eq!(
        error.to_string(),
        "bad name: is no name for a task: it takes letters, digits, `.`, `_` and `-`, 128 at \
         most"
    );
    let error = load(&with("environment/workspace/.git/config", "x")).expect_err("a repo");
    assert_eq!(error, "environment/workspace/.git: lies in a `.git` folder");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Task::load(Path::new("/nowhere/at-all")).expect_err("it is not there");
    assert!(error.to_string().starts_with("`task.toml` is missing"));
}

#[test]
fn what_is_ignored_is_no_part_of_the_task() {
    let plain = load(&fixture::good()).expect("it loads");
    let files = with("environment/workspace/__pycache__/a.pyc", "x");
    let task = load(&files).expect("it loads");
    assert_eq!(task.digest, plain.digest);
    assert_eq!(task.workspace, plain.workspace);
    let mut files = with(".gitignore", "*.secret\n");
    files.push(("tests/a.secret", "x".to_owned()));
    let task = load(&files).expect("it loads");
    assert_eq!(task.digest, plain.digest);
    assert_eq!(task.tests.0.len(), 1);
    let task = load(&with("environment/workspace/more.txt", "x")).expect("it loads");
    assert_ne!(task.digest, plain.digest);
}

#[test]
fn strips_canaries_as_harbor_does() {
    for (text, left) in [
        ("Do it.\n", "Do it.\n"),
        ("<!-- harbor-canary GUID 1 -->\nDo it.\n", "Do it.\n"),
        ("# Canary string: 1\n# CANARY 2\n\n \nDo it.\n", "Do it.\n"),
        ("  <!-- a canary -->  \n\n# Title\n", "# Title\n"),
        // Only at the head, and only whole comment lines.
        ("Do it.\n# canary\n", "Do it.\n# canary\n"),
        ("The canary sings.\n", "The canary sings.\n"),
        ("<!-- canary\n-->\nDo it.\n", "<!-- canary\n-->\nDo it.\n"),
        ("# Title\n", "# Title\n"),
        ("\n\nDo it.", "Do it."),
    ] {
        assert_eq!(without_canary(text), left, "{text:?}");
    }
}
