//! The archive on a real disk, with the git command line and with processes that die.

use dgm::archive::{self, Reader, Writer};
use dgm::domain::{
    AttemptEnd, CallId, CallIntent, CallSettlement, CallStatus, CallSubject, Decision, Entry,
    Evaluation, EvaluationKey, Fact, FileTree, Outcome, Proposal, Purpose, Role, RunEnd, RunId,
    RunStart, TaskId, Timing, Tokens, TreePath, Usd, Variant, VariantId, Verdict,
};
use std::path::Path;

const NOW: i64 = 1_750_000_000_000;

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

#[test]
fn a_small_run_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
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
