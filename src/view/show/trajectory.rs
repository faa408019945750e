//! What an agent did, as text: what it was told, each turn with its tool calls and their
//! results, and what that used.
//!
//! Invariant: what models, agents and tools wrote stands deeper than any line of ours, so that
//! nothing they say can pose as one.

use crate::domain::{
    Answer, Said, Speaker, Step, Tokens, ToolCall, Trajectory, Turn, TurnEnd, Usd,
};
use crate::view::figure::{count, duration, moment, money, plural};
use crate::view::line::clean;
use crate::view::page::{Keep, Page};
use crate::view::style::{Ink, Style};
use serde_json::Value;

/// Steps that a folded trajectory shows of its beginning, and of its end.
const FIRST: usize = 10;
const LAST: usize = 20;

/// Columns of what is said, and of the arguments and results below a tool call.
const SAID: usize = 4;
const BELOW: usize = 8;

/// Adds the trajectory.
pub(super) fn text(page: &mut Page, trajectory: &Trajectory, style: Style) {
    page.heading("Trajectory");
    page.line(style.paint(Ink::Dim, &format!("  {}", totals(trajectory))));
    let steps = &trajectory.steps;
    let hidden = steps.len().saturating_sub(FIRST + LAST);
    if page.is_full() || hidden < 3 {
        steps.iter().for_each(|one| step(page, one, style));
        return;
    }
    steps[..FIRST].iter().for_each(|one| step(page, one, style));
    let turns = steps[FIRST..FIRST + hidden].iter();
    let turns = turns.filter(|step| matches!(step, Step::Turn(_))).count();
    let more = style.glyphs().more;
    let turns = plural(turns as u64, "more turn", "more turns");
    page.line(style.paint(Ink::Dim, &format!("  {more} {turns}, shown with --full")));
    let last = &steps[FIRST + hidden..];
    last.iter().for_each(|one| step(page, one, style));
}

fn totals(trajectory: &Trajectory) -> String {
    let answers: Vec<&Answer> = trajectory.turns().filter_map(Turn::answer).collect();
    let tokens: Tokens = answers.iter().map(|answer| answer.tokens).sum();
    let calls: usize = answers.iter().map(|answer| answer.calls.len()).sum();
    let latency = trajectory.turns().map(|turn| turn.latency_ms).sum();
    let cost = answers.iter().map(|answer| answer.cost);
    let mut words = vec![
        plural(trajectory.turns().count() as u64, "turn", "turns"),
        plural(calls as u64, "tool call", "tool calls"),
        used(
            tokens,
            cost.sum(),
            answers.iter().any(|answer| answer.is_estimated),
        ),
        format!("{} waited for the model", duration(latency)),
    ];
    match trajectory.calls_cut() {
        0 => {}
        cut => words.push(format!("{} not kept", plural(cut, "call", "calls"))),
    }
    words.join(", ")
}

fn used(tokens: Tokens, cost: Option<Usd>, is_estimated: bool) -> String {
    let cached = match tokens.cached {
        0 => String::new(),
        cached => format!(" ({} cached)", count(cached)),
    };
    let guess = if is_estimated { " (estimated)" } else { "" };
    let cost = cost.map_or_else(String::new, |cost| format!(", {}", money(cost)));
    let (input, output) = (count(tokens.input), count(tokens.output));
    format!("{input} tokens in{cached}, {output} out{guess}{cost}")
}

fn step(page: &mut Page, step: &Step, style: Style) {
    match step {
        Step::Said(said) => self::said(page, said, style),
        Step::Turn(turn) => self::turn(page, turn, style),
        Step::Cut { calls, bytes } => {
            let calls = plural(*calls, "call", "calls");
            let more = style.glyphs().more;
            let line = format!("  {more} {calls}, {} bytes not kept", count(*bytes));
            page.line(style.paint(Ink::Warn, &line));
        }
    }
}

fn said(page: &mut Page, said: &Said, style: Style) {
    let speaker = match &said.speaker {
        Speaker::System => "system".to_owned(),
        Speaker::User => "user".to_owned(),
        Speaker::Model => "model, as the agent tells it".to_owned(),
        Speaker::Tool { call } => format!("result of a call `{}` that is not known", clean(call)),
    };
    let again = if said.is_copy { " (again)" } else { "" };
    page.line(style.paint(Ink::Dim, &format!("  {speaker}{again}")));
    page.nested(
        &said.text,
        SAID,
        if said.is_copy { 1 } else { 6 },
        Keep::Head,
    );
    said.calls.iter().for_each(|one| call(page, one, style));
}

fn turn(page: &mut Page, turn: &Turn, style: Style) {
    if turn.dropped > 0 {
        let dropped = plural(turn.dropped, "message", "messages");
        let line = format!("  the agent dropped {dropped} of its history");
        page.line(style.paint(Ink::Dim, &line));
    }
    let glyphs = style.glyphs();
    let mut words = vec![style.paint(Ink::Bold, &format!("turn {}", turn.number))];
    if let Some(ended_ms) = turn.ended_ms {
        words.push(moment(ended_ms));
    }
    match &turn.end {
        TurnEnd::Answered(answer) => {
            words.push(used(answer.tokens, answer.cost, answer.is_estimated));
            words.push(duration(turn.latency_ms));
            if !matches!(
                answer.finish.as_str(),
                "stop" | "tool_calls" | "end_turn" | "tool_use"
            ) {
                words
                    .push(style.paint(Ink::Warn, &format!("ended by `{}`", clean(&answer.finish))));
            }
        }
        TurnEnd::Failed { kind, .. } => {
            let kind = format!("{} {}", glyphs.failed, clean(kind));
            words.push(style.paint(Ink::Bad, &kind));
            words.push(duration(turn.latency_ms));
        }
    }
    if turn.tries > 1 {
        words.push(plural(turn.tries, "try", "tries"));
    }
    page.line(format!("  {}", words.join(&format!(" {} ", glyphs.dot))));
    match &turn.end {
        TurnEnd::Failed { message, .. } => page.nested(message, SAID, 6, Keep::Head),
        TurnEnd::Answered(answer) => {
            if !answer.reasoning.trim().is_empty() {
                page.line(style.paint(Ink::Dim, "    thought:"));
                page.nested(&answer.reasoning, SAID + 2, 4, Keep::Head);
            }
            page.nested(&answer.text, SAID, 8, Keep::Head);
            answer.calls.iter().for_each(|one| call(page, one, style));
        }
    }
}

fn call(page: &mut Page, call: &ToolCall, style: Style) {
    let arrow = style.glyphs().arrow;
    let name = style.paint(Ink::Path, &clean(&call.name));
    let arguments = arguments(&call.arguments);
    match arguments.lines().count() {
        0 => page.line(format!("    {arrow} {name}")),
        1 => page.line(format!(
            "    {arrow} {name} {}",
            page.cut(&clean(&arguments))
        )),
        _ => {
            page.line(format!("    {arrow} {name}"));
            page.nested(&arguments, BELOW, 6, Keep::Head);
        }
    }
    match &call.result {
        None => page.line(style.paint(Ink::Dim, "      no result")),
        Some(result) if result.trim().is_empty() => {
            page.line(style.paint(Ink::Dim, "      an empty result"));
        }
        Some(result) => {
            page.line(style.paint(Ink::Dim, "      result:"));
            page.nested(result, BELOW, 6, Keep::Tail);
        }
    }
}

/// Returns arguments a line each; texts are shown as they are, what is no object as written.
fn arguments(written: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(written) else {
        return written.to_owned();
    };
    let lines = fields.iter().map(|(name, value)| match value {
        Value::String(text) if text.trim_end().contains('\n') => {
            let text = text.trim_end().replace('\n', "\n  ");
            format!("{name}:\n  {text}")
        }
        Value::String(text) => format!("{name}: {}", text.trim_end()),
        other => format!("{name}: {other}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{arguments, text};
    use crate::domain::{
        Answer, Said, Speaker, Step, Tokens, ToolCall, Trajectory, Turn, TurnEnd, Usd,
    };
    use crate::view::Style;
    use crate::view::page::Page;

    fn turn(number: u64, end: TurnEnd) -> Step {
        Step::Turn(Box::new(Turn {
            number,
            dropped: number / 2,
            ended_ms: Some(1_750_000_000_000),
            latency_ms: 800,
            tries: number,
            end,
        }))
    }

    fn answer(text: &str) -> TurnEnd {
        TurnEnd::Answered(Answer {
            text: text.to_owned(),
            finish: "tool_calls".to_owned(),
            tokens: Tokens {
                input: 1000,
                cached: 200,
                output: 100,
                ..Tokens::default()
            },
            cost: Some(Usd(1500)),
            calls: vec![ToolCall {
                id: "c".to_owned(),
                name: "bash".to_owned(),
                arguments: r#"{"command":"ls","n":1}"#.to_owned(),
                result: Some("  turn 9\n".repeat(9)),
            }],
            ..Answer::default()
        })
    }

    fn shown(steps: Vec<Step>, full: bool) -> String {
        let style = Style::plain(60);
        let mut page = Page::new(style, full);
        let tools = Vec::new();
        text(&mut page, &Trajectory { steps, tools }, style);
        page.finish()
    }

    #[test]
    fn tells_turns_calls_and_results() {
        let failed = TurnEnd::Failed {
            kind: "context_length_exceeded".to_owned(),
            message: "too long".to_owned(),
        };
        let said = Step::Said(Said {
            speaker: Speaker::User,
            text: "Fix it.\n\u{1b}[31mNow.".to_owned(),
            calls: Vec::new(),
            is_copy: false,
            at_ms: None,
        });
        let cut = Step::Cut {
            calls: 2,
            bytes: 3000,
        };
        let steps = vec![said, turn(1, answer("I look.")), cut, turn(2, failed)];
        insta::assert_snapshot!(shown(steps, false), @r"
        Trajectory
          2 turns, 1 tool call, 1,000 tokens in (200 cached), 100 out, $0.0015, 1.6 s waited for the model, 2 calls not kept
          user
            Fix it.
            ␛[31mNow.
          turn 1 · 2025-06-15T15:06:40Z · 1,000 tokens in (200 cached), 100 out, $0.0015 · 0.8 s
            I look.
            → bash
                command: ls
                n: 1
              result:
                … 3 more lines, shown with --full
                  turn 9
                  turn 9
                  turn 9
                  turn 9
                  turn 9
                  turn 9
          … 2 calls, 3,000 bytes not kept
          the agent dropped 1 message of its history
          turn 2 · 2025-06-15T15:06:40Z · ✗ context_length_exceeded · 0.8 s · 2 tries
            too long
        ");
    }

    #[test]
    fn folds_the_middle() {
        let steps: Vec<Step> = (1..=50).map(|number| turn(number, answer(""))).collect();
        let turns = |text: &str| {
            text.lines()
                .filter(|line| line.starts_with("  turn "))
                .count()
        };
        let folded = shown(steps.clone(), false);
        assert_eq!(turns(&folded), 30);
        assert!(
            folded.contains("… 20 more turns, shown with --full"),
            "{folded}"
        );
        let full = shown(steps, true);
        assert_eq!(turns(&full), 50);
        assert!(!full.contains("--full"));
    }

    #[test]
    fn arguments_are_readable() {
        let written = r#"{"path":"a.py","text":"one\ntwo\n","n":[1,2]}"#;
        assert_eq!(
            arguments(written),
            "path: a.py\ntext:\n  one\n  two\nn: [1,2]"
        );
        assert_eq!(arguments("{\"cut off"), "{\"cut off");
    }
}
