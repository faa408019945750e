//! A small run that is played on an archive by these tests, and goes on from anywhere.

use dgm::archive::{self, Writer};
use dgm::domain::{
    AttemptEnd, CallId, CallIntent, CallSettlement, CallStatus, Decision, Entry, Evaluation,
    EvaluationKey, Fact, FileTree, JobId, Judgement, Outcome, Proposal, Purpose, Role, RunEnd,
    RunId, RunStart, TaskId, Timing, Tokens, TreePath, Usd, Variant, VariantId, Verdict,
};
use std::path::Path;
use std::process::Command;

pub(crate) const NOW: i64 = 1_750_000_000_000;
/// Names the folder in which a process of its own does the small run.
pub(crate) const ELSEWHERE: &str = "DGM_TEST_ARCHIVE";

pub(crate) fn files(list: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in list {
        let executable = path.starts_with("bin/");
        tree.insert(TreePath::new(path).unwrap(), text.as_bytes(), executable);
    }
    tree
}

pub(crate) fn seed_files() -> FileTree {
    files(&[
        ("agent.toml", "[agent]\nname = \"base\"\n"),
        ("agent/__init__.py", ""),
        ("agent/loop.py", "print('one')\nprint('two')\n"),
        ("agent-x", "sorts before agent/ as git sorts\n"),
        ("bin/run", "#!/bin/sh\n"),
    ])
}

pub(crate) fn child_files() -> FileTree {
    let mut tree = seed_files();
    tree.insert(
        TreePath::new("agent/loop.py").unwrap(),
        "print('one')\nprint('three')\n".as_bytes(),
        false,
    );
    tree
}

pub(crate) fn opened(dir: &Path) -> archive::Result<Writer> {
    if archive::exists(dir) {
        Writer::open(dir)
    } else {
        Writer::create(dir, "seed = 1\n", NOW)
    }
}

pub(crate) fn variant(
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

pub(crate) fn evaluated(writer: &Writer, id: VariantId, run: RunId) -> archive::Result<Fact> {
    Ok(Fact::Evaluated(Evaluation {
        key: EvaluationKey {
            variant: id,
            task: TaskId::new("first"),
            repeat: 0,
        },
        purpose: Purpose::Stage(0),
        judgement: Judgement {
            reward: Some(1.0),
            task_digest: "d".repeat(64),
            ..Judgement::of(Outcome::Resolved)
        },
        image: Some(format!("sha256:{}", "a".repeat(64))),
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

pub(crate) fn judged(writer: &mut Writer, id: VariantId) -> archive::Result<()> {
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
pub(crate) fn run_on(dir: &Path) -> archive::Result<()> {
    let mut writer = opened(dir)?;
    let lineage = writer.lineage()?;
    let run = RunId(lineage.runs().len() as u32 + 1);
    writer.record(&[start(run.0, "seed = 1\n")])?;
    if lineage.variant(VariantId::SEED).is_none() {
        let seed = variant(&writer, VariantId::SEED, &seed_files(), None)?;
        writer.record(&[Fact::VariantMade(seed)])?;
    }
    evaluate_and_judge(&mut writer, VariantId::SEED, run)?;
    let child = VariantId(1);
    if lineage.attempt(child).is_none() {
        writer.record(&[Fact::Decided(Decision {
            attempt: child,
            group: 1,
            parent: VariantId::SEED,
            entry: Entry::Task(TaskId::new("first")),
            policy: "dgm/score_child_prop".to_owned(),
            candidates: vec![(VariantId::SEED, 1.0)],
            why: "round 1/1".to_owned(),
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

pub(crate) fn evaluate_and_judge(
    writer: &mut Writer,
    id: VariantId,
    run: RunId,
) -> archive::Result<()> {
    if writer.lineage()?.evaluations_of(id).next().is_none() {
        let fact = evaluated(writer, id, run)?;
        writer.record(&[fact])?;
    }
    if !writer.lineage()?.is_admitted(id) {
        judged(writer, id)?;
    }
    Ok(())
}

pub(crate) fn propose(writer: &mut Writer, attempt: VariantId, run: RunId) -> archive::Result<()> {
    let call = writer.lineage()?.spend().next_id();
    writer.record(&[Fact::CallIntended(CallIntent {
        id: call,
        run,
        execution: 1,
        subject: JobId::Attempt(attempt),
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

pub(crate) fn settled(id: CallId) -> Fact {
    Fact::CallSettled(CallSettlement {
        id,
        status: CallStatus::Answered,
        tokens: Tokens {
            input: 10,
            cached: 1,
            cache_written: 2,
            cache_written_long: 0,
            output: 5,
            reasoning: 1,
        },
        estimated: false,
        cost: Usd(42),
        latency_ms: 7,
    })
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
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

/// The start of a run, with a configuration of its own.
pub(crate) fn start(run: u32, config: &str) -> Fact {
    Fact::RunStarted(RunStart {
        run: RunId(run),
        command: "dgm evolve".to_owned(),
        config: config.to_owned(),
        version: "0.1.0".to_owned(),
        sandbox: "local".to_owned(),
        stages: vec![vec![TaskId::new("first")]],
        at_ms: NOW,
    })
}
