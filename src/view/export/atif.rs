//! ATIF, the Agent Trajectory Interchange Format of Harbor (its RFC 0001).
//!
//! Invariant: no key that the format does not know, at any level; what only `dgm` knows is
//! under `extra`. A result stands in the step of its call, as the format demands; one whose
//! call is not known stands in a step of the system.

use super::{ExportSubject, Work, timestamp};
use crate::domain::{Answer, JobId, Role, RunId, Said, Speaker, Step, ToolCall, Turn, TurnEnd};
use crate::lineage::SubjectSpend;
use crate::view::{figure, json};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The version that is written: the newest that Harbor's validator accepts.
const VERSION: &str = "ATIF-v1.8";

#[derive(Serialize)]
struct AtifRoot<'a> {
    schema_version: &'static str,
    session_id: String,
    trajectory_id: &'a str,
    agent: AgentShape<'a>,
    steps: Vec<AtifStep<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    final_metrics: FinalMetrics,
    extra: Value,
}

#[derive(Serialize)]
struct AgentShape<'a> {
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_definitions: Vec<Value>,
    extra: Value,
}

#[derive(Serialize)]
struct AtifStep<'a> {
    step_id: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<Observation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_copied_context: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    llm_call_count: Option<u64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[derive(Serialize)]
struct ToolCallShape<'a> {
    tool_call_id: &'a str,
    function_name: &'a str,
    arguments: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Value>,
}

#[derive(Serialize)]
struct Observation<'a> {
    results: Vec<ResultShape<'a>>,
}

#[derive(Serialize)]
struct ResultShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_call_id: Option<&'a str>,
    content: &'a str,
}

#[derive(Serialize)]
struct Metrics {
    prompt_tokens: u64,
    completion_tokens: u64,
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    extra: Value,
}

#[derive(Serialize)]
struct FinalMetrics {
    total_prompt_tokens: u64,
    total_completion_tokens: u64,
    total_cached_tokens: u64,
    total_cost_usd: f64,
    total_steps: usize,
    extra: Value,
}

/// Which execution it is, as the books name it.
struct Execution {
    subject: JobId,
    role: Role,
    run: RunId,
    number: u32,
    name: String,
}

pub(super) fn text(subject: &ExportSubject<'_>) -> Option<String> {
    let steps = steps(subject);
    if steps.is_empty() {
        return None;
    }
    let execution = execution(subject)?;
    let books = subject.lineage.spend();
    let is_own = |intent: &crate::domain::CallIntent| {
        intent.subject == execution.subject
            && intent.role == execution.role
            && (intent.run, intent.execution) == (execution.run, execution.number)
    };
    let mut intents = books.calls().map(|(intent, _)| intent);
    let model = intents.find(|intent| is_own(intent));
    let spent = books.total(is_own);
    Some(json::text(&AtifRoot {
        schema_version: VERSION,
        session_id: format!(
            "{}-{}-{}x{}",
            subject.archive, execution.name, execution.run.0, execution.number
        ),
        trajectory_id: subject.transcript.as_str(),
        agent: agent(subject, model.map(|intent| intent.model.as_str())),
        final_metrics: final_metrics(&spent, steps.len()),
        notes: notes(subject, &spent),
        steps,
        extra: extra(subject, &execution),
    }))
}

fn execution(subject: &ExportSubject<'_>) -> Option<Execution> {
    Some(match subject.work {
        Work::Evaluation(evaluation) => {
            let key = &evaluation.key;
            Execution {
                subject: JobId::Evaluation(key.clone()),
                role: Role::Solve,
                run: evaluation.run,
                number: evaluation.execution,
                name: format!("e{}-{}-{}", key.variant.0, key.task, key.repeat),
            }
        }
        Work::Attempt(attempt) => {
            let end = attempt.end.as_ref()?;
            Execution {
                subject: JobId::Attempt(end.attempt),
                role: Role::Modify,
                run: end.run,
                number: end.execution,
                name: format!("a{}", end.attempt.0),
            }
        }
    })
}

fn agent<'a>(subject: &ExportSubject<'a>, model_name: Option<&'a str>) -> AgentShape<'a> {
    let variant = subject.agent;
    let definitions = subject.trajectory.tools.iter();
    AgentShape {
        name: subject.agent_name,
        version: variant.commit.as_str(),
        model_name,
        tool_definitions: definitions
            .filter_map(|tool| serde_json::from_str(tool).ok())
            .filter(Value::is_object)
            .collect(),
        extra: json!({
            "variant": variant.id.0,
            "tree": variant.tree.as_str(),
            "generation": variant.generation,
            "parent": variant.parent.map(|parent| parent.0),
            "parent_commit": variant
                .parent
                .and_then(|parent| subject.lineage.variant(parent))
                .map(|parent| parent.commit.as_str()),
            "summary": variant.summary,
        }),
    }
}

fn steps<'a>(subject: &ExportSubject<'a>) -> Vec<AtifStep<'a>> {
    let steps = subject.trajectory.steps.iter().enumerate();
    steps
        .map(|(index, step)| {
            let shape = match step {
                Step::Said(said) => self::said(said),
                Step::Turn(turn) => self::turn(turn),
                Step::Cut { calls, bytes } => {
                    let mut shape = AtifStep::of("system", None, "");
                    let cut = json!({"calls": calls, "bytes": bytes});
                    shape.extra.insert("cut".to_owned(), cut);
                    shape
                }
            };
            AtifStep {
                step_id: index + 1,
                ..shape
            }
        })
        .collect()
}

impl<'a> AtifStep<'a> {
    fn of(source: &'static str, at_ms: Option<i64>, message: &'a str) -> Self {
        Self {
            step_id: 0,
            timestamp: at_ms.and_then(timestamp),
            source,
            model_name: None,
            message,
            reasoning_content: None,
            tool_calls: Vec::new(),
            observation: None,
            metrics: None,
            is_copied_context: None,
            llm_call_count: None,
            extra: Map::new(),
        }
    }

    fn with_calls(mut self, calls: &'a [ToolCall]) -> Self {
        self.tool_calls = calls.iter().map(tool_call).collect();
        let results = calls.iter().filter_map(|call| {
            Some(ResultShape {
                source_call_id: Some(&call.id),
                content: call.result.as_deref()?,
            })
        });
        let results: Vec<ResultShape<'a>> = results.collect();
        self.observation = (!results.is_empty()).then_some(Observation { results });
        self
    }
}

fn said(said: &Said) -> AtifStep<'_> {
    let mut shape = match &said.speaker {
        Speaker::System => AtifStep::of("system", said.at_ms, &said.text),
        Speaker::User => AtifStep::of("user", said.at_ms, &said.text),
        // What the agent says that the model had said: no answer that was given here.
        Speaker::Model => AtifStep::of("agent", said.at_ms, &said.text).with_calls(&said.calls),
        Speaker::Tool { call } => {
            let mut shape = AtifStep::of("system", said.at_ms, "");
            let results = vec![ResultShape {
                source_call_id: None,
                content: &said.text,
            }];
            shape.observation = Some(Observation { results });
            shape.extra.insert("tool_call_id".to_owned(), json!(call));
            shape
        }
    };
    let is_copy = said.is_copy || said.speaker == Speaker::Model;
    shape.is_copied_context = is_copy.then_some(true);
    shape
}

fn turn(turn: &Turn) -> AtifStep<'_> {
    let mut shape = match &turn.end {
        TurnEnd::Answered(answer) => answered(turn, answer),
        TurnEnd::Failed { kind, message } => {
            let mut shape = AtifStep::of("system", turn.ended_ms, message);
            shape.extra.insert("error".to_owned(), json!(kind));
            shape
        }
    };
    shape.extra.insert("call".to_owned(), json!(turn.number));
    if turn.dropped > 0 {
        let dropped = json!(turn.dropped);
        shape.extra.insert("messages_dropped".to_owned(), dropped);
    }
    shape
}

fn answered<'a>(turn: &Turn, answer: &'a Answer) -> AtifStep<'a> {
    let mut shape = AtifStep::of("agent", turn.ended_ms, &answer.text).with_calls(&answer.calls);
    shape.model_name = answer.model.as_deref();
    shape.reasoning_content = Some(answer.reasoning.as_str()).filter(|text| !text.is_empty());
    shape.llm_call_count = Some(1);
    let tokens = answer.tokens;
    shape.metrics = Some(Metrics {
        prompt_tokens: tokens.input,
        completion_tokens: tokens.output,
        cached_tokens: tokens.cached,
        cost_usd: answer.cost.map(crate::domain::Usd::dollars),
        extra: json!({
            "cache_written_tokens": tokens.cache_written,
            "reasoning_tokens": tokens.reasoning,
            "estimated": answer.is_estimated,
            "latency_ms": turn.latency_ms,
            "tries": turn.tries,
        }),
    });
    let finish = json!(answer.finish);
    shape.extra.insert("finish_reason".to_owned(), finish);
    shape
}

/// The format wants an object; what a model wrote instead is kept as it is.
fn tool_call(call: &ToolCall) -> ToolCallShape<'_> {
    let (arguments, extra) = match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(fields)) => (fields, None),
        Ok(_) | Err(_) => (Map::new(), Some(json!({"unparsed": call.arguments}))),
    };
    ToolCallShape {
        tool_call_id: &call.id,
        function_name: &call.name,
        arguments,
        extra,
    }
}

fn final_metrics(spent: &SubjectSpend, steps: usize) -> FinalMetrics {
    FinalMetrics {
        total_prompt_tokens: spent.tokens.input,
        total_completion_tokens: spent.tokens.output,
        total_cached_tokens: spent.tokens.cached,
        total_cost_usd: spent.cost.dollars(),
        total_steps: steps,
        extra: json!({
            "calls": spent.calls,
            "cache_written_tokens": spent.tokens.cache_written,
            "reasoning_tokens": spent.tokens.reasoning,
            "unsettled_calls": spent.unsettled,
            "unsettled_at_most_usd": spent.unsettled_at_most.dollars(),
        }),
    }
}

/// Says why the totals are not the sums of the steps, where they are not.
fn notes(subject: &ExportSubject<'_>, spent: &SubjectSpend) -> Option<String> {
    let answers = subject.trajectory.turns().filter_map(Turn::answer);
    let shown: crate::domain::Tokens = answers.map(|answer| answer.tokens).sum();
    let cut = subject.trajectory.calls_cut();
    let mut notes = Vec::new();
    if shown != spent.tokens {
        let what = "The totals are those of the books, with calls that failed or were given up.";
        notes.push(what.to_owned());
    }
    if cut > 0 {
        notes.push(format!("{cut} model calls are not among the steps."));
    }
    (!notes.is_empty()).then(|| notes.join(" "))
}

fn extra(subject: &ExportSubject<'_>, execution: &Execution) -> Value {
    // An attempt has its own diagnosis beside those of its ancestors.
    let made = match subject.work {
        Work::Evaluation(_) => subject.agent.id,
        Work::Attempt(attempt) => attempt.decision.attempt,
    };
    let shown = subject.lineage.disclosed_ancestor(made);
    let mut extra = json!({
        "archive": subject.archive,
        "run": execution.run.0,
        "execution": execution.number,
        "role": execution.role.name(),
        "variant": subject.agent.id.0,
        "commit": subject.agent.commit.as_str(),
        "generation": subject.agent.generation,
        "parent": subject.agent.parent.map(|parent| parent.0),
        "evidence": json::evidence(shown.is_some()),
    });
    let more = match subject.work {
        Work::Evaluation(evaluation) => json!({
            "kind": "evaluation",
            "task": evaluation.key.task.as_str(),
            "task_digest": evaluation.judgement.task_digest,
            "repeat": evaluation.key.repeat,
            "outcome": evaluation.judgement.outcome.name(),
            "counts": evaluation.judgement.outcome.counts(),
            "passed": evaluation.judgement.passed,
            "reward": evaluation.judgement.reward,
            "detail": evaluation.judgement.detail,
            "settled": figure::moment(evaluation.at_ms),
        }),
        Work::Attempt(attempt) => {
            let end = attempt.end.as_ref();
            let failure = end.and_then(|end| end.failure.as_ref());
            let child = subject.lineage.variant(attempt.decision.attempt);
            json!({
                "kind": "attempt",
                "attempt": attempt.decision.attempt.0,
                "entry": attempt.decision.entry.encode(),
                "child_commit": child.map(|child| child.commit.as_str()),
                "failure": failure.map(|(failure, _)| failure.encode()),
                "settled": end.map(|end| figure::moment(end.at_ms)),
            })
        }
    };
    if let (Some(extra), Value::Object(more)) = (extra.as_object_mut(), more) {
        extra.extend(more);
    }
    extra
}
