//! What an agent did, as a part of `dgm.show/1`.

use crate::domain::{Said, Speaker, Step, ToolCall, Trajectory, Turn, TurnEnd};
use crate::view::figure;
use crate::view::json::TokenCount;
use serde::Serialize;

/// A trajectory.
#[derive(Serialize)]
pub(super) struct TrajectoryShape<'a> {
    turns: usize,
    tool_calls: usize,
    calls_cut: u64,
    steps: Vec<StepShape<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum StepShape<'a> {
    Said(SaidShape<'a>),
    Turn(TurnShape<'a>),
    Cut { calls: u64, bytes: u64 },
}

#[derive(Serialize)]
struct SaidShape<'a> {
    by: &'static str,
    text: &'a str,
    call: Option<&'a str>,
    calls: Vec<CallShape<'a>>,
    again: bool,
    at: Option<String>,
}

#[derive(Serialize)]
struct TurnShape<'a> {
    number: u64,
    dropped: u64,
    ended: Option<String>,
    latency_seconds: f64,
    tries: u64,
    answer: Option<AnswerShape<'a>>,
    error: Option<ErrorShape<'a>>,
}

#[derive(Serialize)]
struct AnswerShape<'a> {
    text: &'a str,
    reasoning: &'a str,
    calls: Vec<CallShape<'a>>,
    finish: &'a str,
    model: Option<&'a str>,
    tokens: TokenCount,
    estimated: bool,
    cost_usd: Option<f64>,
}

#[derive(Serialize)]
struct ErrorShape<'a> {
    kind: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct CallShape<'a> {
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
    result: Option<&'a str>,
}

/// Returns the shape of a trajectory.
pub(super) fn shape(trajectory: &Trajectory) -> TrajectoryShape<'_> {
    let answers = trajectory.turns().filter_map(Turn::answer);
    TrajectoryShape {
        turns: trajectory.turns().count(),
        tool_calls: answers.map(|answer| answer.calls.len()).sum(),
        calls_cut: trajectory.calls_cut(),
        steps: trajectory.steps.iter().map(step).collect(),
    }
}

fn step(step: &Step) -> StepShape<'_> {
    match step {
        Step::Said(said) => StepShape::Said(self::said(said)),
        Step::Turn(turn) => StepShape::Turn(self::turn(turn)),
        Step::Cut { calls, bytes } => StepShape::Cut {
            calls: *calls,
            bytes: *bytes,
        },
    }
}

fn said(said: &Said) -> SaidShape<'_> {
    let (by, call) = match &said.speaker {
        Speaker::System => ("system", None),
        Speaker::User => ("user", None),
        Speaker::Model => ("model", None),
        Speaker::Tool { call } => ("tool", Some(call.as_str())),
    };
    SaidShape {
        by,
        text: &said.text,
        call,
        calls: said.calls.iter().map(self::call).collect(),
        again: said.is_copy,
        at: said.at_ms.map(figure::moment),
    }
}

fn turn(turn: &Turn) -> TurnShape<'_> {
    let (answer, error) = match &turn.end {
        TurnEnd::Answered(answer) => {
            let answer = AnswerShape {
                text: &answer.text,
                reasoning: &answer.reasoning,
                calls: answer.calls.iter().map(call).collect(),
                finish: &answer.finish,
                model: answer.model.as_deref(),
                tokens: answer.tokens.into(),
                estimated: answer.is_estimated,
                cost_usd: answer.cost.map(crate::domain::Usd::dollars),
            };
            (Some(answer), None)
        }
        TurnEnd::Failed { kind, message } => (None, Some(ErrorShape { kind, message })),
    };
    TurnShape {
        number: turn.number,
        dropped: turn.dropped,
        ended: turn.ended_ms.map(figure::moment),
        latency_seconds: figure::seconds(turn.latency_ms),
        tries: turn.tries,
        answer,
        error,
    }
}

fn call(call: &ToolCall) -> CallShape<'_> {
    CallShape {
        id: &call.id,
        name: &call.name,
        arguments: &call.arguments,
        result: call.result.as_deref(),
    }
}
