//! The reading commands on an archive with declared truth: whole output.

use crate::support::{Grown, Program};
use insta::assert_snapshot;
use serde_json::Value;
use std::process::Stdio;

#[test]
fn tree() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("tree demo"), @r#"
    variant        score   mean      95 %  ±parent  children      cost  what is new
    ● #0             1/4   25 %    5–70 %                  2   $0.0060  base agent
    ├─ ● #1          4/6   67 %   30–90 %      +50         1   $0.0120  add a tool that edits lines
    │  ├─ ✗ #4                                                 $0.0030  changed nothing
    │  └─ ★ #5       5/6   83 %   44–97 %      +17         1   $0.0135  run the tests after each edit and read wh…
    │     └─ ◌ #6    1/1  100 %  21–100 %        0            ≤$0.0145  (being evaluated) retry flaky commands
    ├─ ✗ #2                                                    $0.0030  does not start — SyntaxError: invalid syn…
    └─ ● #3          0/4    0 %    0–49 %      −25         1   $0.0090  think before every call
       └─ ○ #8       1/4   25 %    5–70 %      +25             $0.0090  (no parent: score below the seed's) say "…

    ★ best  ● in the pool of parents  ○ kept, no parent  ◌ being evaluated  ✗ attempt without a child
    6 variants over 3 generations (1 not admitted, 1 being evaluated), 26 evaluations
    8 attempts, 2 without a child (1 changed nothing, 1 does not start), 1 not ended
    best #5: 5/6 (83 %, 95 % interval 44–97 %); seed #0: 1/4 (25 %, 95 % interval 5–70 %)
    +75 points against the seed on the 4 evaluations both were tried on (the intervals overlap); path #0 → #1 → #5
    42 model calls, 41,000 tokens in, 4,100 out, $0.0615; 1 call unsettled: at most $0.0100 more
    "#);
    let inside = Program::new(&grown.archive());
    assert_eq!(inside.said("tree"), dgm.said("tree demo"));
}

#[test]
fn tree_in_ascii_and_narrow() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder())
        .env("LANG", "C")
        .env("COLUMNS", "64");
    let said = dgm.said("tree demo");
    assert!(said.is_ascii(), "{said}");
    assert_snapshot!(said, @r#"
    variant        score   mean   parent  what is new
    o #0             1/4   25 %           base agent
    |- o #1          4/6   67 %      +50  add a tool that edits lin~
    |  |- x #4                            changed nothing
    |  `- * #5       5/6   83 %      +17  run the tests after each~
    |     `- ? #6    1/1  100 %        0  (being evaluated) retry f~
    |- x #2                               does not start - SyntaxEr~
    `- o #3          0/4    0 %      -25  think before every call
       `- - #8       1/4   25 %      +25  (no parent: score below t~

    * best  o in the pool of parents  - kept, no parent  ? being ev~
    6 variants over 3 generations (1 not admitted, 1 being
    evaluated), 26 evaluations
    8 attempts, 2 without a child (1 changed nothing, 1 does not
    start), 1 not ended
    best #5: 5/6 (83 %, 95 % interval 44-97 %); seed #0: 1/4 (25 %,
    95 % interval 5-70 %)
    +75 points against the seed on the 4 evaluations both were tried
    on (the intervals overlap); path #0 -> #1 -> #5
    42 model calls, 41,000 tokens in, 4,100 out, $0.0615; 1 call
    unsettled: at most $0.0100 more
    "#);
}

#[test]
fn tree_in_color() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder()).env("CLICOLOR_FORCE", "1");
    let colored = dgm.data("tree demo");
    let lines: Vec<&str> = colored.lines().collect();
    assert_snapshot!(lines[5].replace('\u{1b}', "ESC"), @r#"ESC[2m│     └─ ESC[0mESC[33m◌ #6ESC[0m    1/1  100 %  21–100 %        ESC[2m0ESC[0m            ≤$0.0145  (being evaluated) retry flaky commands"#);
    let plain = dgm.data("tree demo --color never");
    assert_eq!(strip(&colored), plain);
    assert!(
        !plain.contains('\u{1b}'),
        "a summary reached the terminal as it is"
    );
    let dgm = dgm.env("NO_COLOR", "1");
    assert_eq!(dgm.data("tree demo"), plain);
}

fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    out + rest
}

#[test]
fn tree_as_json() {
    let grown = Grown::new();
    let json = Program::new(grown.folder()).data("tree demo --json");
    let tree: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(tree["schema"], "dgm.tree/1");
    assert_eq!(tree["archive"]["created"], "2025-06-15T15:06:40Z");
    assert_eq!(tree["archive"]["seed"], tree["variants"][0]["commit"]);
    assert_eq!(tree["best"], 5);
    assert_eq!(tree["best_path"], serde_json::json!([0, 1, 5]));
    let variants = tree["variants"].as_array().unwrap();
    let column = |name: &str| -> Vec<Value> {
        variants
            .iter()
            .map(|variant| variant[name].clone())
            .collect()
    };
    assert_eq!(column("number"), [0, 1, 3, 5, 6, 8]);
    assert_eq!(column("generation"), [0, 1, 1, 2, 3, 2]);
    assert_eq!(column("children"), [2, 1, 1, 1, 0, 0]);
    assert_eq!(column("attempts_failed"), [1, 1, 0, 0, 0, 0]);
    assert_eq!(
        column("status"),
        [
            "admitted",
            "admitted",
            "admitted",
            "admitted",
            "evaluating",
            "rejected"
        ]
    );
}

#[test]
fn the_shape_of_the_tree_as_json() {
    let grown = Grown::new();
    let json = Program::new(grown.folder()).data("tree demo --json");
    let tree: Value = serde_json::from_str(&json).unwrap();
    let variants = tree["variants"].as_array().unwrap();
    let fields: Vec<&String> = variants[0].as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "number",
            "commit",
            "parent",
            "generation",
            "created",
            "status",
            "reason",
            "score",
            "stages",
            "holdout",
            "delta",
            "children",
            "attempts_failed",
            "cost_usd",
            "tokens",
            "estimated_usd",
            "unsettled_calls",
            "unsettled_at_most_usd",
            "summary",
            "evidence",
        ]
    );
    assert_snapshot!(serde_json::to_string_pretty(&variants[1]["score"]).unwrap(), @r#"
    {
      "resolved": 4,
      "counted": 6,
      "mean": 0.666667,
      "low": 0.299993,
      "high": 0.903229
    }
    "#);
    assert_snapshot!(serde_json::to_string_pretty(&tree["attempts"][0]).unwrap(), @r#"
    {
      "number": 2,
      "parent": 0,
      "entry": "task:red-test",
      "failure": "gate:starts",
      "reason": "does not start",
      "detail": "SyntaxError: invalid syntax (agent/tools.py, line 3)",
      "cost_usd": 0.003,
      "tokens": {
        "input": 2000,
        "cached": 400,
        "cache_written": 0,
        "cache_written_long": 0,
        "output": 200,
        "reasoning": 0
      },
      "estimated_usd": 0.0,
      "unsettled_calls": 0,
      "unsettled_at_most_usd": 0.0
    }
    "#);
}

#[test]
fn the_totals_of_the_tree_as_json() {
    let grown = Grown::new();
    let json = Program::new(grown.folder()).data("tree demo --json");
    let tree: Value = serde_json::from_str(&json).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&tree["totals"]).unwrap(), @r#"
    {
      "variants": 6,
      "admitted": 4,
      "rejected": 1,
      "evaluating": 1,
      "generations": 3,
      "attempts": 8,
      "attempts_open": 1,
      "attempts_failed": 2,
      "failed_by_reason": {
        "gate:changed": 1,
        "gate:starts": 1
      },
      "evaluations": 26,
      "calls": 42,
      "refused_calls": 0,
      "failed_calls": 0,
      "abandoned_calls": 0,
      "cost_usd": 0.0615,
      "tokens": {
        "input": 41000,
        "cached": 8200,
        "cache_written": 0,
        "cache_written_long": 0,
        "output": 4100,
        "reasoning": 0
      },
      "estimated_calls": 0,
      "estimated_usd": 0.0,
      "unsettled_calls": 1,
      "unsettled_at_most_usd": 0.01,
      "unsettled_at_most_tokens": 4000
    }
    "#);
}

#[test]
fn tree_as_a_graph() {
    let grown = Grown::new();
    let dot = Program::new(grown.folder()).data("tree demo --dot");
    assert_snapshot!(dot, @r##"
    digraph dgm {
      rankdir=TB;
      node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=10];
      edge [color="#888888"];
      v0 [label="#0  1/4\n25 %\nbase agent", fillcolor="0.58 0.200 1.000", penwidth=3];
      v1 [label="#1  4/6\n67 %\nadd a tool that edits lines", fillcolor="0.58 0.533 1.000", penwidth=3];
      v0 -> v1 [penwidth=3, color="#1a1a1a"];
      v3 [label="#3  0/4\n0 %\nthink before every call", fillcolor="0.58 0.000 1.000"];
      v0 -> v3;
      v5 [label="#5  5/6\n83 %\nrun the tests after each ed…", fillcolor="0.58 0.667 1.000", penwidth=3, peripheries=2];
      v1 -> v5 [penwidth=3, color="#1a1a1a"];
      v6 [label="#6  1/1\n100 %\nretry flaky commands", fillcolor="0.58 0.800 1.000"];
      v5 -> v6;
      v8 [label="#8  1/4\n25 %\nsay \"hi\" ␛[31mred", fillcolor="0.58 0.200 1.000"];
      v3 -> v8;
      a2 [label="#2\ndoes not start", style=dashed, fontcolor="#666666", color="#888888"];
      v0 -> a2 [style=dashed];
      a4 [label="#4\nchanged nothing", style=dashed, fontcolor="#666666", color="#888888"];
      v1 -> a4 [style=dashed];
    }
    "##);
    for line in dot.lines() {
        let quotes = line.replace("\\\"", "").matches('"').count();
        assert_eq!(quotes % 2, 0, "a label is not closed: {line}");
    }
}

#[test]
fn show_a_variant() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("show demo best"), @r#"
    #5 · ★ best · in the pool of parents · generation 2
    run the tests after each edit and read what they say before going on
      commit        cccccccccccccccccccccccccccccccccccccccc
      tree          cccccccccccccccccccccccccccccccccccccccc
      made          2025-06-15T15:06:40Z
      origin        attempt #5 on #1, round 3/4, run 1
      learned from  task `rename`
      chosen by     dgm/score_child_prop; chances: #1 75 %, #0 25 %

    Proposal
      What the evidence shows:
      The agent overwrote the whole file and lost its end.
      Improvement:
      Offer a tool that replaces lines.
      How:
      Add it beside the tool that overwrites.
      Instruction for the agent:
      # Edit lines
      Files are long and replies are short.

          replace(path, first, last, text)

      Make that a tool.
      Considered as well:
      - a line editor
      - a shorter prompt
      evidence and whole answer: dgm show demo 5 --attempt

    Change against its parent
      file           added  removed
      agent/loop.py      2        1
      whole: dgm diff demo 5

    Score
      on                         score   mean      95 %
      all stages                   5/6   83 %   44–97 %
      stage 0                      4/4  100 %  51–100 %
      stage 1                      1/2   50 %    9–91 %
      asked for with `dgm eval`    1/1  100 %  21–100 %

    Evaluations
      task        for      outcome     reward  agent  verifier  calls  tokens     cost  detail
      edit-small  stage 0  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      extra-task  extra    resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      long-file   stage 0  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      look-first  stage 1  unresolved       0  4.2 s     0.9 s      1   1,100  $0.0015  1 of 3 tests failed
      many-files  stage 0  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      red-test    stage 0  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      rename      stage 1  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      log, patch and trajectory: dgm show demo 5 TASK

    Children
      child  score   mean  what is new
      #6       1/1  100 %  retry flaky commands

    Cost
      role      calls  tokens in  cached  out     cost
      diagnose      1      1,000     200  100  $0.0015
      modify        1      1,000     200  100  $0.0015
      solve         7      7,000   1,400  700  $0.0105
      total         9      9,000   1,800  900  $0.0135
    "#);
    assert_eq!(dgm.said("show demo 5"), dgm.said("show demo #5"));
}

#[test]
fn show_the_seed() {
    let grown = Grown::new();
    assert_snapshot!(Program::new(&grown.archive()).said("show seed"), @r#"
    #0 · in the pool of parents · generation 0
    base agent
      commit        cccccccccccccccccccccccccccccccccccccccc
      tree          cccccccccccccccccccccccccccccccccccccccc
      made          2025-06-15T15:06:40Z
      origin        the seed: everything descends from it

    Score
      on          score  mean    95 %
      all stages    1/4  25 %  5–70 %
      stage 0       1/4  25 %  5–70 %

    Evaluations
      task        for      outcome     reward  agent  verifier  calls  tokens     cost  detail
      edit-small  stage 0  resolved         1  4.2 s     0.9 s      1   1,100  $0.0015
      long-file   stage 0  unresolved       0  4.2 s     0.9 s      1   1,100  $0.0015  1 of 3 tests failed
      many-files  stage 0  unresolved       0  4.2 s     0.9 s      1   1,100  $0.0015  1 of 3 tests failed
      red-test    stage 0  unresolved       0  4.2 s     0.9 s      1   1,100  $0.0015  1 of 3 tests failed
      log, patch and trajectory: dgm show 0 TASK

    Children
      child  score  mean  what is new
      #1       4/6  67 %  add a tool that edits lines
      #3       0/4   0 %  think before every call

    Attempts without a child
      attempt  learned from  why no child
      #2       red-test      does not start — SyntaxError: invalid syntax (agent/tools.py, line 3)

    Cost
      role   calls  tokens in  cached  out     cost
      solve      4      4,000     800  400  $0.0060
    "#);
}

#[test]
fn show_a_failed_attempt() {
    let grown = Grown::new();
    assert_snapshot!(Program::new(grown.folder()).said("show demo 2"), @r#"
    attempt #2 · ✗ does not start
      decided       2025-06-15T15:06:40Z
      origin        attempt #2 on #0, round 1/4, run 1
      learned from  task `red-test`
      chosen by     dgm/score_child_prop; chances: #1 75 %, #0 25 %
      ended         2025-06-15T15:06:40Z

    Why there is no child
      SyntaxError: invalid syntax (agent/tools.py, line 3)

    Proposal
      What the evidence shows:
      The agent overwrote the whole file and lost its end.
      Improvement:
      Offer a tool that replaces lines.
      How:
      Add it beside the tool that overwrites.
      Instruction for the agent:
      # Edit lines
      Files are long and replies are short.

          replace(path, first, last, text)

      Make that a tool.
      Considered as well:
      - a line editor
      - a shorter prompt

    Cost
      role      calls  tokens in  cached  out     cost
      diagnose      1      1,000     200  100  $0.0015
      modify        1      1,000     200  100  $0.0015
      total         2      2,000     400  200  $0.0030

    Stored
      diagnosis     demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      patch         demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      agent log     demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      gate log      demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst

    Diagnosis
      asked about #2

    Patch
      diff --git a/agent/loop.py b/agent/loop.py

    Agent log
      … 10 more lines, shown with --full
      line 11
      line 12
      line 13
      line 14
      line 15
      line 16
      line 17
      line 18
      line 19
      line 20
      line 21
      line 22
      line 23
      line 24
      line 25
      line 26
      line 27
      line 28
      line 29
      line 30
      line 31
      line 32
      line 33
      line 34
      line 35
      line 36
      line 37
      line 38
      line 39
      line 40

    Gate log
      SyntaxError: invalid syntax (agent/tools.py, line 3)
    "#);
}

#[test]
fn show_an_evaluation() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("show demo 1 red-test"), @r#"
    #1 on red-test · timeout, passed
      detail        its 60 s were over
      reward        1
      for           stage 0
      took          agent 4.2 s, verifier 0.9 s
      model         1 call, 1,000 tokens in (200 cached), 100 out, $0.0015
      settled       2025-06-15T15:06:40Z
      run           1, execution 1
      task digest   sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

    Stored
      patch         demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      trajectory    demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      agent log     demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst
      verifier log  demo/blobs/bb/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.zst

    Patch
      diff --git a/x b/x

    Agent log
      agent on red-test

    Verifier log
      3 tests

    Trajectory
      1 turn, 0 tool calls, 1,000 tokens in, 100 out, 0.8 s waited for the model
      user
        Fix it.
      turn 1 · 1,000 tokens in, 100 out · 0.8 s
        Done.
        [call 9] finish=stop
    "#);
    // A part of a task's name is enough if it is in no other.
    assert_eq!(
        dgm.said("show demo 1 red"),
        dgm.said("show demo 1 red-test")
    );
    assert_snapshot!(dgm.said("show demo 1 redtest"), @r#"
    --- stderr
    Error: variant #1 has no evaluation on a task `redtest`
    Hint: did you mean `red-test`?
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show demo 1 l"), @r#"
    --- stderr
    Error: `l` is part of several tasks' names
    Hint: it may be `edit-small`, `long-file`, `look-first`, `many-files`
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show demo 1 rename --repeat 2"), @r#"
    --- stderr
    Error: `rename` has no repeat 2
    Hint: recorded repeats: 0; those from 1000 on are further evaluations
    --- exit 2
    "#);
}

#[test]
fn show_what_is_not_finished() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    let said = dgm.said("show demo 6");
    for part in ["being evaluated", "infra_error", "$0.0100"] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert!(dgm.said("show demo 7").contains("has not ended"));
}

#[test]
fn show_as_json() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    let show = |line: &str| -> Value { serde_json::from_str(&dgm.data(line)).unwrap() };
    let best = show("show demo best --json");
    assert_eq!(
        (&best["schema"], &best["kind"]),
        (&"dgm.show/1".into(), &"variant".into())
    );
    assert_eq!(best["origin"]["entry"], "task:rename");
    assert_eq!(best["extra"]["counted"], 1);
    assert_eq!(best["change"][0]["path"], "agent/loop.py");
    assert_eq!(best["cost"]["total"]["calls"], 9);
    assert_eq!(best["evaluations"].as_array().unwrap().len(), 7);
    let failed = show("show demo 2 --json");
    assert_eq!(
        (&failed["kind"], &failed["origin"]["failure"]),
        (&"attempt".into(), &"gate:starts".into())
    );
    let one = show("show demo 1 red-test --json");
    assert_eq!(
        (&one["kind"], &one["evaluation"]["outcome"]),
        (&"evaluation".into(), &"timeout".into())
    );
    assert_eq!(one["texts"]["verifier log"], "3 tests\n");
}

#[test]
fn show_how_a_variant_was_made() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    let folded = dgm.data("show demo 1 --attempt");
    assert!(
        folded.contains("… 10 more lines, shown with --full\n  line 11\n"),
        "{folded}"
    );
    let full = dgm.data("show demo 1 --attempt --full");
    assert!(full.contains("\n  line 1\n"), "{full}");
}

#[test]
fn cost() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("cost demo"), @r#"
    $0.0615 (at most $0.0100 more) in 42 model calls, 41,000 tokens in (8,200 cached), 4,100 out
    1 of them unsettled: the answer is still awaited, or the process died before it came and the provider may have charged for it

    By role
      role      calls  tokens in  cached    out     cost  unsettled at most
      diagnose      8      8,000   1,600    800  $0.0120
      modify        7      7,000   1,400    700  $0.0105
      solve        27     26,000   5,200  2,600  $0.0390            $0.0100

    By model
      model     calls  tokens in  cached    out     cost  unsettled at most
      scripted     34     33,000   6,600  3,300  $0.0495            $0.0100
      thinker       8      8,000   1,600    800  $0.0120

    By day (UTC)
      day         calls  tokens in  cached    out     cost  unsettled at most
      2025-06-15     42     41,000   8,200  4,100  $0.0615            $0.0100
    "#);
    assert_snapshot!(dgm.said("cost demo --by attempt"), @r#"
    $0.0615 (at most $0.0100 more) in 42 model calls, 41,000 tokens in (8,200 cached), 4,100 out
    1 of them unsettled: the answer is still awaited, or the process died before it came and the provider may have charged for it

    By attempt at self-modification
      attempt  calls  tokens in  cached    out     cost  unsettled at most
      #1           2      2,000     400    200  $0.0030
      #2           2      2,000     400    200  $0.0030
      #3           2      2,000     400    200  $0.0030
      #4           2      2,000     400    200  $0.0030
      #5           2      2,000     400    200  $0.0030
      #6           2      2,000     400    200  $0.0030
      #7           1      1,000     200    100  $0.0015
      #8           2      2,000     400    200  $0.0030
      others      27     26,000   5,200  2,600  $0.0390            $0.0100
    "#);
}

#[test]
fn cost_sums_up_in_every_way() {
    let grown = Grown::new();
    let json = Program::new(grown.folder()).data("cost demo --json");
    let cost: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(cost["schema"], "dgm.cost/1");
    let sum = |by: &str, is_meant: fn(&Value) -> bool| -> u64 {
        let groups = cost["by"][by].as_array().unwrap();
        groups
            .iter()
            .filter(|group| is_meant(&group["key"]))
            .map(|group| group["calls"].as_u64().unwrap())
            .sum()
    };
    let total = cost["total"]["calls"].as_u64().unwrap();
    assert_eq!(total, 42);
    for (by, groups) in cost["by"].as_object().unwrap() {
        assert_eq!(sum(by, |_| true), total, "{by}");
        let others = sum(by, Value::is_null);
        assert_eq!(cost["others"][by]["calls"].as_u64().unwrap_or(0), others);
        assert!(!groups.as_array().unwrap().is_empty());
    }
    let named = |by: &str| sum(by, Value::is_string);
    assert_eq!(named("variant") + named("attempt"), total);
    assert_eq!(named("variant"), named("task"));
}

#[test]
fn diff() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.data("diff demo best"), @r#"
    diff --git a/agent/loop.py b/agent/loop.py
    index 07b8a7c85a..6d6f04dd48 100644
    --- a/agent/loop.py
    +++ b/agent/loop.py
    @@ -1 +1,2 @@
    -print('two')
    +print('five')
    +print('more')
    "#);
    assert!(
        dgm.data("diff demo seed best")
            .contains("-print('one')\n+print('five')\n")
    );
    assert!(dgm.data("diff demo seed").contains("+print('one')\n"));
    let colored = dgm.data("diff demo best --color always");
    assert!(
        colored.contains("\u{1b}[32m+print('more')\u{1b}[0m\n"),
        "{colored}"
    );
}

#[test]
fn checkout() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("checkout demo best out"), @r#"
    --- stderr
    wrote variant #5 into `out`
    "#);
    let code = std::fs::read_to_string(grown.folder().join("out/agent/loop.py")).unwrap();
    assert_eq!(code, "print('five')\nprint('more')\n");
    assert_snapshot!(dgm.said("checkout demo seed out"), @r#"
    --- stderr
    Error: `out` is not empty
    Hint: name a new or an empty folder
    --- exit 2
    "#);
    assert_eq!(dgm.said("checkout demo seed out --force --quiet"), "");
    let code = std::fs::read_to_string(grown.folder().join("out/agent/loop.py")).unwrap();
    assert_eq!(code, "print('one')\n");
}

#[test]
fn wrong_names() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("tree"), @r#"
    --- stderr
    Error: the current directory holds no archive
    Hint: name the folder of one, or make one with `dgm evolve DIR`
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("tree typo"), @r#"
    --- stderr
    Error: `typo` holds no archive
    Hint: run `dgm init DIR` or `dgm evolve DIR` to make one, or name the folder of one
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show typo best"), @r#"
    --- stderr
    Error: `typo` holds no archive
    Hint: type `dgm show DIR VARIANT [TASK]`, or change into an archive's folder
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show demo"), @r#"
    --- stderr
    Error: too few words for `dgm show`
    Hint: type `dgm show demo VARIANT [TASK]`
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show demo 99"), @r#"
    --- stderr
    Error: there is no variant #99
    Hint: use a number from #0 to #8, a commit, `seed` or `best`; `dgm tree` lists them
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("show demo 1 red-test --attempt"), @r#"
    --- stderr
    Error: `--attempt` shows no task
    Hint: leave out one of the two
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("diff demo nobody"), @r#"
    --- stderr
    Error: `nobody` names no variant
    Hint: use a number from #0 to #8, a commit, `seed` or `best`; `dgm tree` lists them
    --- exit 2
    "#);
    assert_snapshot!(dgm.said("tree --jsn"), @r#"
    --- stderr
    error: unexpected argument '--jsn' found

      tip: a similar argument exists: '--json'

    Usage: dgm tree --json [DIR]

    For more information, try '--help'.
    --- exit 2
    "#);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let grown = Grown::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_dgm"))
        .args(["tree", "demo", "--json"])
        .current_dir(grown.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
