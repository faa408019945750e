//! The archive on a real disk, with the git command line and with processes that die.

use dgm::archive::{self, ArchiveError, Finding, Reader, Severity, Writer};
use dgm::domain::{
    AttemptEnd, CallId, CallIntent, CallSettlement, CallStatus, CallSubject, Decision, Entry,
    Evaluation, EvaluationKey, Fact, FileTree, Outcome, Proposal, Purpose, Role, RunEnd, RunId,
    RunStart, TaskId, Timing, Tokens, TreePath, Usd, Variant, VariantId, Verdict,
};
use dgm::lineage::Lineage;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

const NOW: i64 = 1_750_000_000_000;
/// Names the folder in which a process of its own does the small run.
const ELSEWHERE: &str = "DGM_TEST_ARCHIVE";
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

fn files(list: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in list {
        let executable = path.starts_with("bin/");
        tree.insert(TreePath::new(path).unwrap(), text.as_bytes(), executable);
    }
    tree
}

fn seed_files() -> FileTree {
    files(&[
        ("agent.toml", "[agent]\nname = \"base\"\n"),
        ("agent/__init__.py", ""),
        ("agent/loop.py", "print('one')\nprint('two')\n"),
        ("agent-x", "sorts before agent/ as git sorts\n"),
        ("bin/run", "#!/bin/sh\n"),
    ])
}

fn child_files() -> FileTree {
    let mut tree = seed_files();
    tree.insert(
        TreePath::new("agent/loop.py").unwrap(),
        "print('one')\nprint('three')\n".as_bytes(),
        false,
    );
    tree
}

fn opened(dir: &Path) -> archive::Result<Writer> {
    if archive::exists(dir) {
        Writer::open(dir)
    } else {
        Writer::create(dir, "seed = 1\n", NOW)
    }
}

fn variant(
    writer: &Writer,
    id: VariantId,
    tree: &FileTree,
    parent: Option<VariantId>,
) -> archive::Result<Variant> {
    let lineage = writer.lineage()?;
    let of = parent.and_then(|parent| lineage.variant(parent));
    let (commit, tree) = writer.commit_variant(
        id,
        tree,
        of.map(|parent| &parent.commit),
        &format!("Variant {id}"),
        NOW,
    )?;
    Ok(Variant {
        id,
        commit,
        tree,
        parent,
        generation: of.map_or(0, |parent| parent.generation + 1),
        summary: format!("Variant {id}"),
        created_ms: NOW,
    })
}

fn evaluated(writer: &Writer, id: VariantId, run: RunId) -> archive::Result<Fact> {
    Ok(Fact::Evaluated(Evaluation {
        key: EvaluationKey {
            variant: id,
            task: TaskId::new("first"),
            repeat: 0,
        },
        purpose: Purpose::Stage(0),
        outcome: Outcome::Resolved,
        passed: true,
        reward: Some(1.0),
        detail: String::new(),
        task_digest: "d".repeat(64),
        agent_log: Some(writer.put_blob(format!("log of {id}").as_bytes())?),
        verifier_log: Some(writer.put_blob(b"passed")?),
        patch: None,
        transcript: None,
        context_overflow: false,
        timing: Timing::default(),
        run,
        execution: 1,
        at_ms: NOW,
    }))
}

fn judged(writer: &mut Writer, id: VariantId) -> archive::Result<()> {
    let lineage = writer.lineage()?;
    let made = lineage.variant(id).expect("it was recorded before");
    writer.note(&made.commit, &format!("{id} admitted: 1 of 1"))?;
    writer.record(&[Fact::Judged {
        variant: id,
        verdict: Verdict::Admitted,
        at_ms: NOW,
    }])
}

/// A small run that goes on from wherever the archive is: what is missing is done.
fn run_on(dir: &Path) -> archive::Result<()> {
    let mut writer = opened(dir)?;
    let lineage = writer.lineage()?;
    let run = RunId(lineage.runs().len() as u32 + 1);
    writer.record(&[Fact::RunStarted(RunStart {
        run,
        command: "dgm evolve".to_owned(),
        config: "seed = 1\n".to_owned(),
        version: "0.1.0".to_owned(),
        sandbox: "local".to_owned(),
        stages: vec![vec![TaskId::new("first")]],
        at_ms: NOW,
    })])?;
    if lineage.variant(VariantId::SEED).is_none() {
        let seed = variant(&writer, VariantId::SEED, &seed_files(), None)?;
        writer.record(&[Fact::VariantMade(seed)])?;
    }
    evaluate_and_judge(&mut writer, VariantId::SEED, run)?;
    let child = VariantId(1);
    if lineage.attempt(child).is_none() {
        writer.record(&[Fact::Decided(Decision {
            attempt: child,
            round: 1,
            parent: VariantId::SEED,
            entry: Entry::Task(TaskId::new("first")),
            policy: "dgm/score_child_prop".to_owned(),
            weights: vec![(VariantId::SEED, 1.0)],
            run,
            at_ms: NOW,
        })])?;
    }
    if writer
        .lineage()?
        .attempt(child)
        .is_some_and(|a| a.proposal.is_none())
    {
        propose(&mut writer, child, run)?;
    }
    if lineage.variant(child).is_none() {
        let made = variant(&writer, child, &child_files(), Some(VariantId::SEED))?;
        let log = Some(writer.put_blob(b"the parent's log")?);
        writer.record(&[
            Fact::AttemptEnded(AttemptEnd {
                attempt: child,
                failure: None,
                log,
                transcript: None,
                patch: None,
                gate_log: None,
                run,
                execution: 1,
                at_ms: NOW,
            }),
            Fact::VariantMade(made),
        ])?;
    }
    evaluate_and_judge(&mut writer, child, run)?;
    writer.record(&[Fact::RunEnded(RunEnd {
        run,
        reason: "goal reached".to_owned(),
        at_ms: NOW,
    })])
}

fn evaluate_and_judge(writer: &mut Writer, id: VariantId, run: RunId) -> archive::Result<()> {
    if writer.lineage()?.evaluations_of(id).next().is_none() {
        let fact = evaluated(writer, id, run)?;
        writer.record(&[fact])?;
    }
    if !writer.lineage()?.is_admitted(id) {
        judged(writer, id)?;
    }
    Ok(())
}

fn propose(writer: &mut Writer, attempt: VariantId, run: RunId) -> archive::Result<()> {
    let call = writer.lineage()?.spend().next_id();
    writer.record(&[Fact::CallIntended(CallIntent {
        id: call,
        run,
        execution: 1,
        subject: CallSubject::Attempt(attempt),
        role: Role::Diagnose,
        model: "scripted".to_owned(),
        at_most: Usd(1000),
        at_most_tokens: 100,
        at_ms: NOW,
    })])?;
    let exchange = writer.put_blob(b"{}")?;
    writer.record(&[
        settled(call),
        Fact::Proposed {
            attempt,
            proposal: Proposal {
                log_summarization: "it failed".to_owned(),
                potential_improvements: vec!["a tool".to_owned(), "a \"loop\"".to_owned()],
                improvement_proposal: "a tool".to_owned(),
                implementation_suggestion: "write it".to_owned(),
                problem_description: "# Add a tool".to_owned(),
            },
            exchange,
        },
    ])
}

fn settled(id: CallId) -> Fact {
    Fact::CallSettled(CallSettlement {
        id,
        status: CallStatus::Answered,
        tokens: Tokens {
            input: 10,
            cached: 1,
            cache_written: 2,
            output: 5,
            reasoning: 1,
        },
        cost: Usd(42),
        latency_ms: 7,
    })
}

/// The small run; with [`ELSEWHERE`] set, this test is the process that another one ends.
#[test]
fn a_small_run_can_be_read_back() {
    if let Some(dir) = std::env::var_os(ELSEWHERE) {
        run_on(Path::new(&dir)).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    let reader = Reader::open(&dir).unwrap();
    let lineage = reader.lineage().unwrap();
    assert_eq!(lineage.best(), Some(VariantId::SEED));
    let seed = &lineage.variant(VariantId::SEED).unwrap().commit;
    let child = &lineage.variant(VariantId(1)).unwrap().commit;
    assert_eq!(reader.files(seed).unwrap(), seed_files());
    assert_eq!(reader.files(child).unwrap(), child_files());
    let diff = reader.diff(Some(seed), child).unwrap();
    insta::assert_snapshot!(diff, @r"
    diff --git a/agent/loop.py b/agent/loop.py
    index e8c85870fe..b25ee3635d 100644
    --- a/agent/loop.py
    +++ b/agent/loop.py
    @@ -1,2 +1,2 @@
     print('one')
    -print('two')
    +print('three')
    ");
    assert_eq!(
        diff,
        archive::diff_trees(&seed_files(), &child_files()).unwrap()
    );
}

/// A process of its own that does the small run.
fn small_run(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "archive::a_small_run_can_be_read_back",
            "--quiet",
        ])
        .env(ELSEWHERE, dir)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}

/// Everything that must not depend on when a process died.
fn summary(lineage: &Lineage) -> String {
    let mut text = String::new();
    for variant in lineage.variants() {
        text += &format!(
            "{} {} {:?} {} {:?}\n",
            variant.id,
            variant.tree,
            variant.parent,
            variant.generation,
            lineage.standing(variant.id)
        );
    }
    for evaluation in lineage.evaluations() {
        text += &format!("{:?} {}\n", evaluation.key, evaluation.outcome);
    }
    for attempt in lineage.attempts() {
        text += &format!("{:?} {:?}\n", attempt.decision.weights, attempt.proposal);
    }
    let spend = lineage.spend().total(|_| true);
    text += &format!("{} {:?}\n", spend.cost, spend.tokens);
    text
}

fn uninterrupted() -> String {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    summary(&Reader::open(&dir).unwrap().lineage().unwrap())
}

/// After a process died: what is there can be read, nothing recorded is damaged, and going
/// on ends where an uninterrupted run ends.
fn goes_on(dir: &Path, expected: &str, when: &str) {
    if archive::exists(dir) {
        let found = archive::fsck(dir, false).unwrap();
        assert!(
            found
                .iter()
                .all(|finding| finding.severity == Severity::Leftover),
            "{when}: {found:?}"
        );
        Reader::open(dir).unwrap().lineage().unwrap();
    }
    run_on(dir).unwrap_or_else(|error| panic!("{when}: {error:?}"));
    let reader = Reader::open(dir).unwrap();
    assert_eq!(summary(&reader.lineage().unwrap()), expected, "{when}");
    for variant in reader.lineage().unwrap().variants() {
        assert!(reader.note(&variant.commit).unwrap().is_some(), "{when}");
    }
    let leftovers = archive::fsck(dir, true).unwrap();
    let unnamed = |finding: &Finding| finding.what.contains("of the files in `blobs/`");
    assert!(leftovers.iter().all(unnamed), "{when}: {leftovers:?}");
    assert_eq!(archive::fsck(dir, false).unwrap(), [], "{when}");
    assert_eq!(names(&dir.join("blobs/tmp")), [""; 0], "{when}");
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn dying_before_and_after_every_write_loses_and_repeats_nothing() {
    let expected = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut writes = 0;
    for at in 1.. {
        let dir = folder.path().join(at.to_string());
        let status = small_run(&dir)
            .env(dgm::sys::durable::CRASH_AT, at.to_string())
            .status()
            .unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(SIGABRT), "write {at}");
        goes_on(&dir, &expected, &format!("write {at}"));
        writes = at;
    }
    assert!(writes > 40, "only {writes} crash points were passed");
}

#[test]
fn being_killed_at_any_instant_loses_and_repeats_nothing() {
    let expected = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for round in 0..20_u64 {
        let dir = folder.path().join(round.to_string());
        let mut child = small_run(&dir).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 * round));
        child.kill().unwrap();
        let status: ExitStatus = child.wait().unwrap();
        killed += usize::from(status.signal() == Some(SIGKILL));
        goes_on(&dir, &expected, &format!("after {} ms", 5 * round));
    }
    assert!(killed > 0, "every process had ended before it was killed");
}

#[test]
fn leftovers_of_a_dead_writer_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let agents = dir.join("agents.git");
    let stale = [
        dir.join("blobs/tmp/.tmpabc"),
        dir.join(".tmpdef"),
        agents.join("refs/dgm/variants/7.lock"),
        agents.join("refs/notes/dgm.lock"),
        agents.join("objects/tmp_object_git2_0123"),
    ];
    for path in &stale {
        std::fs::File::create(path).unwrap();
    }
    // Somebody may be running `git gc` in there.
    let fresh = agents.join("packed-refs.lock");
    std::fs::File::create(&fresh).unwrap();
    let writer = Writer::open(&dir).unwrap();
    for path in &stale {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(fresh.exists());
    std::fs::remove_file(&fresh).unwrap();
    // A variant whose process died before it was recorded.
    let lost = writer
        .commit_variant(
            VariantId(9),
            &files(&[("agent.toml", "x")]),
            None,
            "lost",
            NOW,
        )
        .unwrap();
    writer.put_blob(b"lost").unwrap();
    drop(writer);
    let found = archive::fsck(&dir, false).unwrap();
    let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "no fact names 1 of the files in `blobs/`",
            "`refs/dgm/variants/9` belongs to no recorded variant",
        ]
    );
    let mut writer = Writer::open(&dir).unwrap();
    assert_eq!(git(&dir, &["for-each-ref", "refs/dgm/variants/9"]), "");
    // Its number is free again, and the same files make the same commit.
    let again = writer
        .commit_variant(
            VariantId(9),
            &files(&[("agent.toml", "x")]),
            None,
            "lost",
            NOW,
        )
        .unwrap();
    assert_eq!(again, lost);
    let error = writer
        .record(&[Fact::VariantMade(Variant {
            id: VariantId(9),
            commit: again.0,
            tree: lost.1,
            parent: None,
            generation: 0,
            summary: String::new(),
            created_ms: NOW,
        })])
        .expect_err("only the seed has no parent");
    assert_eq!(
        error.to_string(),
        "refused to record variant #9: it contradicts the archive's format"
    );
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(dir.join("agents.git"))
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        text(&output.stderr)
    );
    assert_eq!(text(&output.stderr), "", "git {arguments:?}");
    text(&output.stdout)
}

#[test]
fn plain_git_works_on_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    assert_eq!(git(&dir, &["fsck", "--strict", "--full"]), "");
    let log = git(
        &dir,
        &["log", "--graph", "--all", "--notes=dgm", "--format=%s [%N]"],
    );
    for line in [
        "Variant #0 [#0 admitted: 1 of 1",
        "Variant #1 [#1 admitted: 1 of 1",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert_eq!(
        git(&dir, &["rev-parse", "HEAD"]),
        git(&dir, &["rev-parse", "refs/dgm/variants/0"])
    );
    assert_eq!(
        git(
            &dir,
            &[
                "log",
                "-1",
                "--format=%an <%ae> %ad %cn",
                "--date=iso",
                "refs/dgm/variants/1"
            ]
        ),
        "dgm <dgm@localhost> 2025-06-15 15:06:40 +0000 dgm\n"
    );
    assert_eq!(
        git(
            &dir,
            &["ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD"]
        ),
        "100644 agent-x\n100644 agent.toml\n100644 agent/__init__.py\n100644 agent/loop.py\n\
         100755 bin/run\n"
    );
    // Packing and collecting garbage, as a user may, changes nothing for us.
    git(&dir, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    run_on(&dir).unwrap();
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let writer = Writer::open(&dir).unwrap();
    let error = Writer::open(&dir).expect_err("there is a writer");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (error.to_string(), cause),
        (
            format!(
                "could not open the archive in `{}` for writing",
                dir.display()
            ),
            format!(
                "another process (pid {}) is writing to this archive",
                std::process::id()
            )
        )
    );
    assert!(error.hint().unwrap().contains("wait until it has ended"));
    archive::fsck(&dir, true).expect_err("repair is writing");
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    assert_eq!(Reader::open(&dir).unwrap().id(), writer.id());
    drop(writer);
    drop(Writer::open(&dir).unwrap());
}

#[test]
fn a_reader_sees_whole_transactions_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let before = writer.lineage().unwrap().runs().len();
    let place = dir.clone();
    let reading = std::thread::spawn(move || {
        let reader = Reader::open(&place).unwrap();
        let mut seen = 0;
        loop {
            let lineage = reader.lineage().unwrap();
            assert!(
                lineage
                    .runs()
                    .iter()
                    .skip(before)
                    .all(|(_, end)| end.is_some())
            );
            assert!(lineage.runs().len() >= seen, "a fact went away");
            seen = lineage.runs().len();
            assert_eq!(
                Lineage::from_facts(reader.facts().unwrap())
                    .variants()
                    .count(),
                2
            );
            if seen == before + 50 {
                return;
            }
        }
    });
    for number in 0..50 {
        let run = RunId(u32::try_from(before).unwrap() + number + 1);
        writer
            .record(&[
                Fact::RunStarted(RunStart {
                    run,
                    command: "dgm evolve".to_owned(),
                    config: String::new(),
                    version: String::new(),
                    sandbox: String::new(),
                    stages: Vec::new(),
                    at_ms: NOW,
                }),
                Fact::RunEnded(RunEnd {
                    run,
                    reason: "x".repeat(5000),
                    at_ms: NOW,
                }),
            ])
            .unwrap();
    }
    reading.join().unwrap();
}

#[test]
fn folders_that_hold_something_else_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let error = Reader::open(&dir).expect_err("there is nothing");
    assert_eq!(
        error.to_string(),
        format!("`{}` holds no archive", dir.display())
    );
    Writer::open(&dir).expect_err("there is nothing");
    assert!(!dir.exists());
    std::fs::create_dir(&dir).unwrap();
    std::fs::File::create(dir.join("thesis.tex")).unwrap();
    let error = Writer::create(&dir, "", NOW).expect_err("it is not ours");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is not empty and holds no archive (it holds `thesis.tex`)",
            dir.display()
        )
    );
    assert_eq!(names(&dir), ["thesis.tex"]);
    std::fs::remove_file(dir.join("thesis.tex")).unwrap();
    drop(Writer::create(&dir, "", NOW).unwrap());
    let error = Writer::create(&dir, "", NOW).expect_err("there is one now");
    assert_eq!(
        error.to_string(),
        format!("`{}` holds an archive already", dir.display())
    );
}

#[test]
fn a_user_may_write_the_configuration_first() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    std::fs::create_dir(&dir).unwrap();
    dgm::sys::durable::write(&dir.join("dgm.toml"), b"seed = 7\n").unwrap();
    Writer::create(&dir, "seed = 1\n", NOW).expect_err("it would replace the user's");
    assert_eq!(names(&dir), ["dgm.toml"]);
    drop(Writer::create(&dir, "seed = 7\n", NOW).unwrap());
    let text = std::fs::read_to_string(dir.join("dgm.toml")).unwrap();
    assert_eq!(text, "seed = 7\n");
}

#[test]
fn what_is_not_there_cannot_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let before = writer.facts().unwrap();
    let lineage = writer.lineage().unwrap();
    let Fact::Evaluated(mut evaluation) = evaluated(&writer, VariantId(1), RunId(1)).unwrap()
    else {
        panic!("it is an evaluation")
    };
    let twice = Fact::Evaluated(evaluation.clone());
    evaluation.key.repeat = 1;
    let of_nobody = {
        let mut evaluation = evaluation.clone();
        evaluation.key.variant = VariantId(77);
        Fact::Evaluated(evaluation)
    };
    let not_a_number = {
        let mut evaluation = evaluation.clone();
        evaluation.reward = Some(f64::NAN);
        Fact::Evaluated(evaluation)
    };
    evaluation.patch = Some(dgm::domain::BlobId::from_hex("0".repeat(64)));
    let no_blob = Fact::Evaluated(evaluation);
    let mut other_tree = lineage.variant(VariantId(1)).unwrap().clone();
    other_tree.id = VariantId(2);
    other_tree.tree = lineage.variant(VariantId::SEED).unwrap().tree.clone();
    let table = [
        (
            twice,
            "the evaluation of #1 on `first`, repeat 0: it is recorded already",
        ),
        (
            of_nobody,
            "the evaluation of #77 on `first`, repeat 1: it belongs to something that is not recorded",
        ),
        (
            not_a_number,
            "the evaluation of #1 on `first`, repeat 1: the reward is not a finite number",
        ),
        (
            no_blob,
            "the evaluation of #1 on `first`, repeat 1: blob 0000000000000000000000000000000000000000000000000000000000000000 is not in the archive",
        ),
        (
            Fact::VariantMade(other_tree),
            "variant #2: its commit has another tree",
        ),
        (
            settled(CallId(1)),
            "the settlement of model call 1: it is recorded already",
        ),
        (
            settled(CallId(5)),
            "the settlement of model call 5: it belongs to something that is not recorded",
        ),
        (
            settled(CallId(u64::MAX)),
            "the settlement of model call 18446744073709551615: a number in it is too large",
        ),
    ];
    for (fact, why) in table {
        // Together with a good one, to see that nothing of a transaction stays.
        let good = Fact::RunEnded(RunEnd {
            run: RunId(2),
            reason: String::new(),
            at_ms: NOW,
        });
        let start = Fact::RunStarted(RunStart {
            run: RunId(2),
            command: String::new(),
            config: String::new(),
            version: String::new(),
            sandbox: String::new(),
            stages: Vec::new(),
            at_ms: NOW,
        });
        let error = writer.record(&[start, good, fact]).expect_err(why);
        assert_eq!(error.to_string(), format!("refused to record {why}"));
        assert_eq!(writer.facts().unwrap(), before);
    }
    let error = writer
        .commit_variant(VariantId(1), &seed_files(), None, "again", NOW)
        .expect_err("it exists");
    assert_eq!(
        error.to_string(),
        "refused to record variant #1: it is in the archive already"
    );
}

#[test]
fn damage_is_found_and_only_what_follows_from_facts_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let lineage = Reader::open(&dir).unwrap().lineage().unwrap();
    git(&dir, &["update-ref", "-d", "refs/dgm/variants/1"]);
    git(
        &dir,
        &[
            "update-ref",
            "refs/heads/main",
            lineage.variant(VariantId(1)).unwrap().commit.as_str(),
        ],
    );
    git(&dir, &["config", "gc.auto", "100"]);
    std::fs::remove_file(dir.join("agents.git/dgm.config")).unwrap();
    let derived = archive::fsck(&dir, true).unwrap();
    assert_eq!(derived.len(), 4, "{derived:?}");
    assert!(
        derived
            .iter()
            .all(|f| f.severity == Severity::Derived && f.repaired),
        "{derived:?}"
    );
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);

    git(&dir, &["update-ref", "-d", "refs/notes/dgm"]);
    let log = lineage
        .evaluations()
        .next()
        .unwrap()
        .agent_log
        .clone()
        .unwrap();
    let (shard, rest) = log.as_str().split_at(2);
    std::fs::remove_file(dir.join("blobs").join(shard).join(format!("{rest}.zst"))).unwrap();
    let blob = git(&dir, &["rev-parse", "refs/dgm/variants/1:agent/loop.py"]);
    let (shard, rest) = blob.trim().split_at(2);
    std::fs::remove_file(dir.join("agents.git/objects").join(shard).join(rest)).unwrap();
    for repair in [false, true] {
        let mut found: Vec<String> = archive::fsck(&dir, repair)
            .unwrap()
            .into_iter()
            .inspect(|f| assert!(f.severity == Severity::Damage && !f.repaired, "{f:?}"))
            .map(|finding| finding.what)
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "`loop.py` of variant #1 cannot be read".to_owned(),
                "admitted variant #0 has no note".to_owned(),
                "admitted variant #1 has no note".to_owned(),
                format!("blob {log} of the evaluation of #0 on `first`, repeat 0 is missing"),
            ]
        );
    }
}

#[test]
fn hostile_names_never_reach_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let writer = Writer::open(&dir).unwrap();
    for path in [
        "git~1/hooks/post-commit",
        ".gitmodules",
        "x/.g\u{200c}it/config",
    ] {
        let mut tree = seed_files();
        tree.insert(TreePath::new(path).unwrap(), &b""[..], true);
        writer.tree_id(&tree).expect_err(path);
        writer
            .commit_variant(VariantId(2), &tree, None, "x", NOW)
            .expect_err(path);
    }
    // Text from a model goes into messages and notes.
    let (commit, _) = writer
        .commit_variant(VariantId(2), &files(&[("a", "b")]), None, "a\0b\n\n\n", NOW)
        .unwrap();
    writer.note(&commit, "n\0o").unwrap();
    assert_eq!(
        Reader::open(&dir)
            .unwrap()
            .note(&commit)
            .unwrap()
            .as_deref(),
        Some("no\n")
    );
    writer.note(&commit, "second").unwrap();
    assert_eq!(
        Reader::open(&dir)
            .unwrap()
            .note(&commit)
            .unwrap()
            .as_deref(),
        Some("second\n")
    );
    assert_eq!(
        git(&dir, &["log", "-1", "--format=%B", "refs/dgm/variants/2"]),
        "ab\n\n"
    );
    assert_eq!(git(&dir, &["fsck", "--strict", "--no-dangling"]), "");
}

/// A small file system of its own.
struct Disk {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let disk = Self {
            at,
            _folder: folder,
        };
        disk.mount(&format!("size={size}"));
        disk
    }

    fn mount(&self, options: &str) {
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.at)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "this test needs a small file system, so it must be allowed to mount one \
             (run it as root): {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Twice mounted where it was made read-only by hand: ends when nothing is there.
        drop(Command::new("umount").arg(&self.at).output());
    }
}

/// Bytes that do not compress.
fn noise(size: usize, mut state: u64) -> Vec<u8> {
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(size)
    .collect()
}

#[test]
fn a_full_disk_is_said_clearly_and_loses_nothing() {
    let disk = Disk::new("8m");
    let dir = disk.at.join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let filler = disk.at.join("filler");
    let error = dgm::sys::durable::write(&filler, &noise(16 << 20, 1)).expect_err("it is too big");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    // Less and less, until nothing fits.
    for (number, size) in [4 << 20, 1 << 20, 256 << 10, 64 << 10, 16 << 10, 4 << 10]
        .into_iter()
        .flat_map(|size| (0..8).map(move |number| (number, size)))
    {
        let path = disk.at.join(format!("filler-{size}-{number}"));
        drop(dgm::sys::durable::write(&path, &noise(size, 1)));
    }
    let facts = writer.facts().unwrap();
    let full = |error: ArchiveError| {
        assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("could not write `{}/", dir.display())),
            "{text}"
        );
        assert!(text.ends_with("`: no space left on device"), "{text}");
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("free some space and run the same command again")
        );
    };
    full(
        writer
            .put_blob(&noise(100_000, 2))
            .expect_err("the disk is full"),
    );
    let mut big = child_files();
    big.insert(TreePath::new("big").unwrap(), noise(100_000, 3), false);
    full(
        writer
            .commit_variant(VariantId(2), &big, None, "x", NOW)
            .expect_err("the disk is full"),
    );
    let seed = writer
        .lineage()
        .unwrap()
        .variant(VariantId::SEED)
        .unwrap()
        .commit
        .clone();
    full(
        writer
            .note(&seed, &"x".repeat(100))
            .expect_err("the disk is full"),
    );
    let long = |run: u32| {
        Fact::RunStarted(RunStart {
            run: RunId(run),
            command: String::new(),
            config: "x".repeat(1 << 20),
            version: String::new(),
            sandbox: String::new(),
            stages: Vec::new(),
            at_ms: NOW,
        })
    };
    full(writer.record(&[long(2)]).expect_err("the disk is full"));
    assert_eq!(writer.facts().unwrap(), facts);
    assert_eq!(Reader::open(&dir).unwrap().facts().unwrap(), facts);
    drop(writer);
    for name in names(&disk.at) {
        if name.starts_with("filler") {
            std::fs::remove_file(disk.at.join(name)).unwrap();
        }
    }
    let mut writer = Writer::open(&dir).unwrap();
    assert_eq!(writer.facts().unwrap(), facts);
    writer.put_blob(&noise(100_000, 2)).unwrap();
    writer.record(&[long(2)]).unwrap();
    drop(writer);
    let found = archive::fsck(&dir, true).unwrap();
    assert!(
        found
            .iter()
            .all(|f| f.severity == Severity::Leftover && f.repaired),
        "{found:?}"
    );
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
}

#[test]
fn an_archive_on_a_read_only_disk_can_be_read() {
    let disk = Disk::new("16m");
    let (clean, copied) = (disk.at.join("clean archive?"), disk.at.join("copied"));
    run_on(&clean).unwrap();
    // Copied while a writer was at work: its last facts are in the log only.
    let mut writer = Writer::open(&clean).unwrap();
    let run = RunId(2);
    writer
        .record(&[Fact::RunStarted(RunStart {
            run,
            command: String::new(),
            config: String::new(),
            version: String::new(),
            sandbox: String::new(),
            stages: Vec::new(),
            at_ms: NOW,
        })])
        .unwrap();
    let copy = Command::new("cp")
        .arg("-r")
        .arg(&clean)
        .arg(&copied)
        .status()
        .unwrap();
    assert!(copy.success());
    std::fs::remove_file(copied.join("archive.db-shm")).unwrap();
    let facts = writer.facts().unwrap();
    drop(writer);
    let before = names(&clean);
    disk.mount("remount,ro");
    for dir in [&clean, &copied] {
        assert!(archive::exists(dir));
        let reader = Reader::open(dir).unwrap();
        assert_eq!(reader.facts().unwrap(), facts, "{}", dir.display());
        let seed = reader
            .lineage()
            .unwrap()
            .variant(VariantId::SEED)
            .unwrap()
            .commit
            .clone();
        assert_eq!(reader.files(&seed).unwrap(), seed_files());
        let error = Writer::open(dir).expect_err("nothing can be written");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(archive::fsck(dir, false).unwrap(), []);
    }
    assert_eq!(names(&clean), before);
}
