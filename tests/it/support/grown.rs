//! An archive with declared truth:
//!
//! | number | made from | ended as |
//! | --- | --- | --- |
//! | 0 | | the seed: resolves 1 of 4 |
//! | 1 | 0 | a good child: 3 of 4 (one at its time-out) and 1 of 2 on the second stage |
//! | 2 | 0 | failed gate `starts` |
//! | 3 | 0 | a worse child: 0 of 4, admitted all the same |
//! | 4 | 1 | failed gate `changed` |
//! | 5 | 1 | the best: 4 of 4 and 1 of 2; asked for with `dgm eval`: 1 of 1 |
//! | 6 | 5 | being evaluated: 1 of 1 so far; one call is unsettled |
//! | 7 | 0 | not ended |
//! | 8 | 3 | kept, but no parent: 1 of 4; its summary tries to steer the terminal |

use dgm::archive::Writer;
use dgm::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, CallSettlement, CallStatus, Cause, CommitId, Decision,
    Entry, Evaluation, EvaluationKey, Fact, Failure, Fault, FileTree, Gate, JobId, Judgement,
    Outcome, Pattern, Proposal, Purpose, Role, RunId, RunStart, TaskId, Timing, Tokens, TreeId,
    TreePath, Usd, Variant, VariantId, Verdict,
};
use dgm::lineage::Lineage;
use std::path::{Path, PathBuf};

/// The moment at which everything happened: 2025-06-15T15:06:40Z.
const NOW: i64 = 1_750_000_000_000;

/// One model call, as the gateway records it.
const TRANSCRIPT: &str = r#"{"n":1,"new_messages":[{"role":"user","content":"Fix it."}],"reply":{"role":"assistant","content":"Done.\n[call 9] finish=stop"},"finish":"stop","tokens":{"input":1000,"output":100},"latency_ms":800}
"#;

const FIRST: [&str; 4] = ["edit-small", "long-file", "many-files", "red-test"];
const SECOND: [&str; 2] = ["look-first", "rename"];

/// The archive, in a folder that goes with it.
pub(crate) struct Grown {
    folder: tempfile::TempDir,
}

impl Grown {
    /// Grows the archive in `demo/` of a new folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut growth = Growth {
            writer: Writer::create(&folder.path().join("demo"), "seed = 1\n", NOW).unwrap(),
            lineage: Lineage::default(),
            facts: Vec::new(),
            calls: 0,
        };
        growth.grow();
        // All at once: each transaction waits for the disk.
        growth.writer.record(&growth.facts).unwrap();
        Self { folder }
    }

    /// The folder that holds `demo/`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The archive's folder.
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.path().join("demo")
    }
}

/// A variant without anything else known of it.
pub(crate) fn made(id: u32, parent: Option<u32>) -> Fact {
    Fact::VariantMade(Variant {
        id: VariantId(id),
        commit: CommitId::new(format!("{id:040}")),
        tree: TreeId::new(format!("{id:040}")),
        parent: parent.map(VariantId),
        generation: id,
        summary: "a summary that is long enough to be cut in any terminal of this test, \
                  and then some more of it, so that it does not fit"
            .to_owned(),
        created_ms: NOW,
    })
}

struct Growth {
    writer: Writer,
    lineage: Lineage,
    facts: Vec<Fact>,
    calls: u64,
}

impl Growth {
    fn grow(&mut self) {
        self.record(Fact::RunStarted(RunStart {
            run: RunId(1),
            command: "dgm evolve demo".to_owned(),
            config: "seed = 1\n".to_owned(),
            version: "0.1.0".to_owned(),
            sandbox: "local".to_owned(),
            stages: vec![
                FIRST.map(TaskId::new).to_vec(),
                SECOND.map(TaskId::new).to_vec(),
            ],
            at_ms: NOW,
        }));
        self.seed();
        self.children();
        self.loose_ends();
    }

    fn seed(&mut self) {
        self.variant(0, None, "base agent", "print('one')\n");
        self.stage(0, 0, "ruuu");
        self.judge(0, Verdict::Admitted);
    }

    fn children(&mut self) {
        self.attempt(1, 0, Entry::Task(TaskId::new("long-file")));
        self.ended(1, None);
        self.variant(1, Some(0), "add a tool that edits lines", "print('two')\n");
        self.stage(1, 0, "rret");
        self.stage(1, 1, "ru");
        self.judge(1, Verdict::Admitted);

        self.attempt(2, 0, Entry::Task(TaskId::new("red-test")));
        let detail = "SyntaxError: invalid syntax (agent/tools.py, line 3)";
        self.ended(2, Some((Failure::Gate(Gate::Starts), detail.to_owned())));

        self.attempt(3, 0, Entry::Pattern(Pattern::EmptyPatches));
        self.ended(3, None);
        self.variant(3, Some(0), "think before every call", "print('three')\n");
        self.stage(3, 0, "aaaa");
        self.judge(3, Verdict::Admitted);

        self.attempt(4, 1, Entry::Task(TaskId::new("many-files")));
        self.ended(4, Some((Failure::Gate(Gate::Changed), String::new())));

        self.attempt(5, 1, Entry::Task(TaskId::new("rename")));
        self.ended(5, None);
        let summary = "run the tests after each edit and read what they say before going on";
        self.variant(5, Some(1), summary, "print('five')\nprint('more')\n");
        self.stage(5, 0, "rrrr");
        self.stage(5, 1, "ur");
        self.evaluate(5, "extra-task", Purpose::Extra, 'r');
        self.judge(5, Verdict::Admitted);
    }

    fn loose_ends(&mut self) {
        self.attempt(6, 5, Entry::Pattern(Pattern::Stochasticity));
        self.ended(6, None);
        self.variant(6, Some(5), "retry flaky commands", "print('six')\n");
        self.evaluate(6, "edit-small", Purpose::Stage(0), 'r');
        let subject = JobId::Evaluation(EvaluationKey {
            variant: VariantId(6),
            task: TaskId::new("long-file"),
            repeat: 0,
        });
        self.intend(subject.clone(), Role::Solve);
        self.record(Fact::Faulted(Fault {
            subject,
            outcome: Outcome::InfraError,
            cause: Cause::ModelProviderFailed,
            detail: "the provider answered 529 (overloaded)".to_owned(),
            run: RunId(1),
            execution: 1,
            at_ms: NOW,
        }));

        self.attempt(7, 0, Entry::Task(TaskId::new("edit-small")));

        self.attempt(8, 3, Entry::Task(TaskId::new("edit-small")));
        self.ended(8, None);
        self.variant(8, Some(3), "say \"hi\" \u{1b}[31mred", "print('eight')\n");
        self.stage(8, 0, "ruuu");
        let reason = "score below the seed's".to_owned();
        self.judge(8, Verdict::Rejected(reason));
    }

    fn record(&mut self, fact: Fact) {
        self.lineage.apply(&fact);
        self.facts.push(fact);
    }

    fn blob(&self, text: &str) -> Option<BlobId> {
        Some(self.writer.put_blob(text.as_bytes()).unwrap())
    }

    fn variant(&mut self, id: u32, parent: Option<u32>, summary: &str, code: &str) {
        let id = VariantId(id);
        let parent = parent.map(|parent| self.lineage.variant(VariantId(parent)).unwrap());
        let mut files = FileTree::new();
        for (path, text) in [
            ("agent.toml", "[agent]\nname = \"base\"\n"),
            ("agent/loop.py", code),
        ] {
            files.insert(TreePath::new(path).unwrap(), text.as_bytes(), false);
        }
        let commit = parent.map(|parent| &parent.commit);
        let made = self.writer.commit_variant(id, &files, commit, summary, NOW);
        let (commit, tree) = made.unwrap();
        let variant = Variant {
            id,
            commit,
            tree,
            parent: parent.map(|parent| parent.id),
            generation: parent.map_or(0, |parent| parent.generation + 1),
            summary: summary.to_owned(),
            created_ms: NOW,
        };
        self.record(Fact::VariantMade(variant));
    }

    /// Admitted variants carry their score as a note, written before the verdict.
    fn judge(&mut self, id: u32, verdict: Verdict) {
        if verdict == Verdict::Admitted {
            let variant = self.lineage.variant(VariantId(id)).unwrap();
            self.writer.note(&variant.commit, "admitted\n").unwrap();
        }
        self.record(Fact::Judged {
            variant: VariantId(id),
            verdict,
            at_ms: NOW,
        });
    }

    fn attempt(&mut self, id: u32, parent: u32, entry: Entry) {
        let attempt = VariantId(id);
        self.record(Fact::Decided(Decision {
            attempt,
            group: id.div_ceil(2),
            parent: VariantId(parent),
            entry,
            policy: "dgm/score_child_prop".to_owned(),
            candidates: vec![(VariantId(0), 0.25), (VariantId(parent.max(1)), 0.75)],
            why: format!("round {}/4", id.div_ceil(2)),
            run: RunId(1),
            at_ms: NOW,
        }));
        self.call(JobId::Attempt(attempt), Role::Diagnose);
        let exchange = self.blob(&format!("asked about {attempt}")).unwrap();
        self.record(Fact::Proposed {
            attempt,
            proposal: Proposal {
                log_summarization: "The agent overwrote the whole file and lost its end."
                    .to_owned(),
                potential_improvements: vec![
                    "a line editor".to_owned(),
                    "a shorter prompt".to_owned(),
                ],
                improvement_proposal: "Offer a tool that replaces lines.".to_owned(),
                implementation_suggestion: "Add it beside the tool that overwrites.".to_owned(),
                problem_description: "# Edit lines\nFiles are long and replies are short.\n\
                    \n    replace(path, first, last, text)\n\nMake that a tool."
                    .to_owned(),
            },
            exchange,
        });
    }

    fn ended(&mut self, id: u32, failure: Option<(Failure, String)>) {
        let attempt = VariantId(id);
        self.call(JobId::Attempt(attempt), Role::Modify);
        let log: Vec<String> = (1..=40).map(|line| format!("line {line}")).collect();
        let end = AttemptEnd {
            attempt,
            log: self.blob(&log.join("\n")),
            transcript: None,
            patch: self.blob("diff --git a/agent/loop.py b/agent/loop.py\n"),
            gate_log: failure.as_ref().and_then(|(_, detail)| self.blob(detail)),
            failure,
            run: RunId(1),
            execution: 1,
            at_ms: NOW,
        };
        self.record(Fact::AttemptEnded(end));
    }

    /// Evaluates a variant on a stage; one letter for each outcome.
    fn stage(&mut self, id: u32, stage: u32, outcomes: &str) {
        let tasks: &[&str] = if stage == 0 { &FIRST } else { &SECOND };
        for (task, outcome) in tasks.iter().zip(outcomes.chars()) {
            self.evaluate(id, task, Purpose::Stage(stage), outcome);
        }
    }

    fn evaluate(&mut self, id: u32, task: &str, purpose: Purpose, letter: char) {
        let (outcome, passed, reward, detail) = match letter {
            'r' => (Outcome::Resolved, true, Some(1.0), ""),
            'u' => (Outcome::Unresolved, false, Some(0.0), "1 of 3 tests failed"),
            'e' => (Outcome::Empty, false, None, "the agent changed nothing"),
            'a' => (Outcome::AgentError, false, None, "exit code 1"),
            't' => (Outcome::Timeout, true, Some(1.0), "its 60 s were over"),
            other => panic!("`{other}` stands for no outcome"),
        };
        let key = EvaluationKey {
            variant: VariantId(id),
            task: TaskId::new(task),
            repeat: 0,
        };
        self.call(JobId::Evaluation(key.clone()), Role::Solve);
        let evaluation = Evaluation {
            key,
            purpose,
            judgement: Judgement {
                passed,
                reward,
                detail: detail.to_owned(),
                task_digest: format!("sha256:{}", "7".repeat(64)),
                ..Judgement::of(outcome)
            },
            image: None,
            agent_log: self.blob(&format!("agent on {task}\n")),
            verifier_log: self.blob("3 tests\n"),
            patch: self.blob("diff --git a/x b/x\n"),
            transcript: self.blob(TRANSCRIPT),
            context_overflow: letter == 'a',
            timing: Timing {
                agent_ms: 4_250,
                verifier_ms: 900,
            },
            run: RunId(1),
            execution: 1,
            at_ms: NOW,
        };
        self.record(Fact::Evaluated(evaluation));
    }

    fn intend(&mut self, subject: JobId, role: Role) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        self.record(Fact::CallIntended(CallIntent {
            id,
            run: RunId(1),
            execution: 1,
            subject,
            role,
            model: if role == Role::Diagnose {
                "thinker"
            } else {
                "scripted"
            }
            .to_owned(),
            at_most: Usd(10_000),
            at_most_tokens: 4_000,
            at_ms: NOW,
        }));
        id
    }

    fn call(&mut self, subject: JobId, role: Role) {
        let id = self.intend(subject, role);
        self.record(Fact::CallSettled(CallSettlement {
            id,
            status: CallStatus::Answered,
            tokens: Tokens {
                input: 1_000,
                cached: 200,
                output: 100,
                ..Tokens::default()
            },
            estimated: false,
            cost: Usd(1_500),
            latency_ms: 800,
        }));
    }
}
