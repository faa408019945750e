//! Facts of any kind with references that hold, for the round trip of the archive.

use crate::archive::blob::digest;
use crate::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, CallSettlement, CallStatus, Cause, ChildDraft,
    CommitId, Decision, Entry, Evaluation, EvaluationDecision, EvaluationKey, Fact, Failure, Fault,
    Gate, JobId, Judgement, NoReward, Outcome, Pattern, Proposal, Purpose, Recording, Regrade,
    Replay, Rewards, Role, RunEnd, RunId, RunStart, TaskId, Timing, Tokens, TreeId, Usd, Variant,
    VariantId, Verdict,
};
use proptest::prelude::{Strategy, any};

/// What one fact is made from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: u8,
    pub(super) texts: [String; 5],
    pub(super) counts: [u64; 5],
    pub(super) small: [u32; 4],
    pub(super) time: i64,
    pub(super) real: f64,
    pub(super) flags: [bool; 5],
}

pub(super) fn draft() -> impl Strategy<Value = Draft> {
    let text = || "[\\x00-\\x7f]{0,6}.{0,6}";
    let count = || 0..=i64::MAX.unsigned_abs();
    let real = any::<f64>().prop_map(|real| if real.is_finite() { real + 0.0 } else { 0.5 });
    (
        0..17_u8,
        [text(), text(), text(), text(), text()],
        [count(), count(), count(), count(), count()],
        any::<[u32; 4]>(),
        any::<i64>(),
        real,
        any::<[bool; 5]>(),
    )
        .prop_map(|(kind, texts, counts, small, time, real, flags)| Draft {
            kind,
            texts,
            counts,
            small,
            time,
            real,
            flags,
        })
}

/// Facts with references that hold: each draft becomes a fact that is possible by then.
#[derive(Default)]
pub(super) struct History {
    pub(super) facts: Vec<Fact>,
    runs: u32,
    ended_runs: u32,
    attempts: u32,
    proposals: u32,
    disclosed: u32,
    drafted: u32,
    ended: u32,
    variants: Vec<VariantId>,
    judged: usize,
    calls: u64,
    settled: u64,
    recorded: u64,
    replays: u32,
    repeats: u32,
}

impl History {
    pub(super) fn of(drafts: Vec<Draft>) -> Self {
        let mut history = Self::default();
        for draft in drafts {
            if history.runs == 0 {
                history.run(&draft);
                history.variant(&draft, VariantId::SEED, None);
            }
            history.add(&draft);
        }
        history
    }

    fn add(&mut self, draft: &Draft) {
        match draft.kind {
            0 => self.run(draft),
            1 if self.ended_runs < self.runs => {
                self.ended_runs += 1;
                self.facts.push(Fact::RunEnded(RunEnd {
                    run: RunId(self.ended_runs),
                    reason: draft.texts[0].clone(),
                    at_ms: draft.time,
                }));
            }
            2 | 3 => self.decide(draft),
            4 if self.proposals < self.attempts => {
                if draft.flags[0] && self.disclosed < self.proposals + 1 {
                    self.disclosed = self.proposals + 1;
                    self.facts.push(Fact::Disclosed {
                        attempt: VariantId(self.disclosed),
                        run: RunId(self.runs),
                        at_ms: draft.time,
                    });
                }
                self.propose(draft);
            }
            5 | 6 if self.ended < self.attempts => self.end(draft),
            7 => self.evaluate(draft),
            15 => self.decide_evaluation(draft),
            16 if self.drafted < self.attempts => self.draft(draft),
            14 => self.regrade(draft),
            8 => self.facts.push(Fact::Faulted(Fault {
                subject: self.subject(draft),
                outcome: outcome(draft),
                cause: cause(draft, outcome(draft)).unwrap_or(Cause::SandboxFailed),
                detail: draft.texts[0].clone(),
                run: RunId(self.runs),
                execution: draft.small[1],
                at_ms: draft.time,
            })),
            9 if self.judged < self.variants.len() => {
                self.facts.push(Fact::Judged {
                    variant: self.variants[self.judged],
                    verdict: if draft.flags[0] {
                        Verdict::Admitted
                    } else {
                        Verdict::Rejected(draft.texts[0].clone())
                    },
                    at_ms: draft.time,
                });
                self.judged += 1;
            }
            10 => self.call(draft),
            11 if self.settled < self.calls => self.settle(draft),
            12 if self.recorded < self.calls => self.record(draft),
            13 if self.replays < self.runs => {
                self.replays += 1;
                self.facts.push(Fact::Replays(Replay {
                    run: RunId(self.replays),
                    archive: draft.texts[0].clone(),
                    place: draft.texts[1].clone(),
                }));
            }
            _ => {}
        }
    }

    fn run(&mut self, draft: &Draft) {
        self.runs += 1;
        let [command, config, version, sandbox, task] = draft.texts.clone();
        self.facts.push(Fact::RunStarted(RunStart {
            run: RunId(self.runs),
            command,
            config,
            version,
            sandbox,
            stages: vec![vec![TaskId::new(task), TaskId::new("t")], Vec::new()],
            at_ms: draft.time,
        }));
    }

    fn variant(&mut self, draft: &Draft, id: VariantId, parent: Option<VariantId>) {
        self.variants.push(id);
        self.facts.push(Fact::VariantMade(Variant {
            id,
            commit: CommitId::new(format!("commit {}", id.0)),
            tree: TreeId::new(format!("tree {}", id.0)),
            parent,
            generation: draft.small[0],
            summary: draft.texts[0].clone(),
            created_ms: draft.time,
        }));
    }

    fn decide(&mut self, draft: &Draft) {
        self.attempts += 1;
        let parent = self.any_variant(draft);
        self.facts.push(Fact::Decided(Decision {
            attempt: VariantId(self.attempts),
            group: draft.small[1],
            parent,
            entry: match draft.small[2] % 4 {
                0 => Entry::Pattern(Pattern::EmptyPatches),
                1 => Entry::Pattern(Pattern::Stochasticity),
                2 => Entry::Pattern(Pattern::ContextLength),
                _ => Entry::Task(TaskId::new(draft.texts[0].clone())),
            },
            policy: draft.texts[1].clone(),
            candidates: candidates(draft),
            why: draft.texts[2].clone(),
            run: RunId(self.runs),
            at_ms: draft.time,
        }));
    }

    fn decide_evaluation(&mut self, draft: &Draft) {
        self.repeats += 1;
        self.facts.push(Fact::EvaluationDecided(EvaluationDecision {
            key: EvaluationKey {
                variant: self.any_variant(draft),
                task: TaskId::new(draft.texts[0].clone()),
                repeat: self.repeats,
            },
            purpose: purpose(draft),
            policy: draft.texts[1].clone(),
            candidates: candidates(draft),
            why: draft.texts[2].clone(),
            run: RunId(self.runs),
            at_ms: draft.time,
        }));
    }

    fn draft(&mut self, draft: &Draft) {
        self.drafted += 1;
        let blob = |index: usize| draft.flags[index].then(|| digest(b""));
        self.facts.push(Fact::Drafted(ChildDraft {
            attempt: VariantId(self.drafted),
            commit: CommitId::new(format!("commit {}", self.drafted)),
            tree: TreeId::new(format!("tree {}", draft.small[1])),
            log: blob(0),
            transcript: blob(1),
            patch: blob(2),
            gate_log: blob(3),
            run: RunId(self.runs),
            execution: draft.small[2],
            created_ms: i64::from(draft.small[3]),
            at_ms: draft.time,
        }));
    }

    fn propose(&mut self, draft: &Draft) {
        self.proposals += 1;
        let [a, b, c, d, e] = draft.texts.clone();
        self.facts.push(Fact::Proposed {
            attempt: VariantId(self.proposals),
            proposal: Proposal {
                log_summarization: a,
                potential_improvements: vec![b, String::new()],
                improvement_proposal: c,
                implementation_suggestion: d,
                problem_description: e,
            },
            exchange: digest(b""),
        });
    }

    fn end(&mut self, draft: &Draft) {
        self.ended += 1;
        let attempt = VariantId(self.ended);
        let failure = match draft.small[0] % 5 {
            0 => Some(Failure::NoProposal),
            1 => Some(Failure::Gate(Gate::Edits)),
            2 => cause(draft, Outcome::InfraError).map(Failure::Infrastructure),
            3 => Some(Failure::OutOfBudget),
            _ => None,
        };
        let parent = self.facts.iter().find_map(|fact| match fact {
            Fact::Decided(decision) if decision.attempt == attempt => Some(decision.parent),
            _ => None,
        });
        if failure.is_none() {
            self.variant(draft, attempt, parent);
        }
        self.facts.push(Fact::AttemptEnded(AttemptEnd {
            attempt,
            failure: failure.map(|failure| (failure, draft.texts[0].clone())),
            log: blob(draft, 0),
            transcript: blob(draft, 1),
            patch: blob(draft, 2),
            gate_log: blob(draft, 3),
            run: RunId(self.runs),
            execution: draft.small[1],
            at_ms: draft.time,
        }));
    }

    /// Keeps the answer of the evaluation before it, and judges it again, once.
    fn regrade(&mut self, draft: &Draft) {
        let Some(Fact::Evaluated(last)) = self.facts.last() else {
            return;
        };
        let key = last.key.clone();
        self.facts.push(Fact::AnswerKept {
            key: key.clone(),
            answer: digest(b"answer"),
        });
        self.facts.push(Fact::Regraded(Regrade {
            key,
            judgement: judgement(draft),
            verifier_log: blob(draft, 1),
            verifier_ms: draft.counts[1],
            run: RunId(self.runs),
            execution: draft.small[2],
            at_ms: draft.time,
        }));
    }

    fn evaluate(&mut self, draft: &Draft) {
        self.repeats += 1;
        self.facts.push(Fact::Evaluated(Evaluation {
            key: EvaluationKey {
                variant: self.any_variant(draft),
                task: TaskId::new(draft.texts[0].clone()),
                repeat: self.repeats,
            },
            purpose: purpose(draft),
            judgement: judgement(draft),
            image: Some(draft.texts[2].clone()).filter(|text| !text.is_empty()),
            agent_log: blob(draft, 0),
            verifier_log: blob(draft, 1),
            patch: blob(draft, 2),
            transcript: blob(draft, 3),
            context_overflow: draft.flags[4],
            timing: Timing {
                agent_ms: draft.counts[0],
                verifier_ms: draft.counts[1],
            },
            run: RunId(self.runs),
            execution: draft.small[2],
            at_ms: draft.time,
        }));
    }

    fn call(&mut self, draft: &Draft) {
        self.calls += 1;
        self.facts.push(Fact::CallIntended(CallIntent {
            id: CallId(self.calls),
            run: RunId(self.runs),
            execution: draft.small[1],
            subject: self.call_subject(draft),
            role: Role::ALL[draft.small[2] as usize % Role::ALL.len()],
            model: draft.texts[1].clone(),
            at_most: Usd(draft.time),
            at_most_tokens: draft.counts[0],
            at_ms: draft.time,
        }));
    }

    fn settle(&mut self, draft: &Draft) {
        self.settled += 1;
        let [input, cached, cache_written, output, reasoning] = draft.counts;
        self.facts.push(Fact::CallSettled(CallSettlement {
            id: CallId(self.settled),
            status: [
                CallStatus::Answered,
                CallStatus::Refused,
                CallStatus::Failed,
                CallStatus::Abandoned,
            ][draft.small[0] as usize % 4],
            tokens: Tokens {
                input,
                cached,
                cache_written,
                cache_written_long: cached,
                output,
                reasoning,
            },
            estimated: draft.flags[1],
            cost: Usd(draft.time),
            latency_ms: input,
        }));
    }

    fn record(&mut self, draft: &Draft) {
        let base = self.recorded;
        self.recorded += 1;
        let messages = draft.counts[0];
        self.facts.push(Fact::Recorded(Recording {
            call: CallId(self.recorded),
            dialect: if draft.flags[0] { "chat" } else { "messages" }.to_owned(),
            streamed: draft.flags[1],
            tried: draft.small[0],
            digest: draft.texts[0].clone(),
            messages,
            base: (draft.flags[2] && base > 0).then_some((CallId(base), messages / 2)),
            request: digest(b""),
            answer: blob(draft, 3),
        }));
    }

    fn any_variant(&self, draft: &Draft) -> VariantId {
        self.variants[draft.small[0] as usize % self.variants.len()]
    }

    fn subject(&self, draft: &Draft) -> JobId {
        if draft.flags[0] && self.attempts > 0 {
            JobId::Attempt(VariantId(draft.small[0] % self.attempts + 1))
        } else {
            let key = EvaluationKey {
                variant: self.any_variant(draft),
                task: TaskId::new(draft.texts[2].clone()),
                repeat: draft.small[3],
            };
            match draft.flags[1] {
                true => JobId::Regrade(key),
                false => JobId::Evaluation(key),
            }
        }
    }

    fn call_subject(&self, draft: &Draft) -> JobId {
        if draft.flags[2] {
            JobId::Manual
        } else {
            self.subject(draft)
        }
    }
}

fn purpose(draft: &Draft) -> Purpose {
    match (draft.flags[0], draft.flags[3]) {
        (true, _) => Purpose::Stage(draft.small[1]),
        (false, true) => Purpose::Holdout,
        (false, false) => Purpose::Extra,
    }
}

fn candidates(draft: &Draft) -> Vec<(VariantId, f64)> {
    (0..draft.small[3] % 3)
        .map(|n| (VariantId(n), draft.real / f64::from(n + 1)))
        .collect()
}

fn rewards(draft: &Draft) -> Rewards {
    let all = draft.texts.iter().map(|text| (text.clone(), draft.real));
    all.filter(|_| draft.flags[3]).collect()
}

fn outcome(draft: &Draft) -> Outcome {
    Outcome::ALL[draft.small[3] as usize % Outcome::ALL.len()]
}

fn judgement(draft: &Draft) -> Judgement {
    Judgement {
        passed: draft.flags[1],
        reward: draft.flags[2].then_some(draft.real),
        rewards: rewards(draft),
        cause: cause(draft, outcome(draft)),
        detail: draft.texts[1].clone(),
        task_digest: draft.texts[2].clone(),
        ..Judgement::of(outcome(draft))
    }
}

fn cause(draft: &Draft, outcome: Outcome) -> Option<Cause> {
    let reason = NoReward::ALL[draft.small[0] as usize % NoReward::ALL.len()];
    match outcome {
        Outcome::VerifierError => Some(Cause::VerifierFailed(reason)),
        Outcome::InfraError if draft.flags[4] => Some(Cause::ModelProviderFailed),
        Outcome::Cancelled if draft.flags[4] => Some(Cause::RunExhaustedBudget),
        other => Cause::usual(other),
    }
}

fn blob(draft: &Draft, which: u8) -> Option<BlobId> {
    draft.flags[usize::from(which)].then(|| digest(&[which]))
}
