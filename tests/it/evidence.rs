//! What a model is shown of a task: never the hidden tests or the reference solution, unless
//! the configuration asks for it, and then it is said wherever somebody could look.

use crate::support::{Plan, World, names};
use dgm::archive::Reader;
use dgm::domain::VariantId;
use dgm::sys::durable;
use std::process::Command;

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text"]],
    generations: 2,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// What only a hidden test, its output, and a reference solution hold.
const TEST: &str = "marker-of-a-hidden-test-5e1f";
const OUTPUT: &str = "marker-of-a-tests-output-7d20";
const SOLUTION: &str = "marker-of-a-solution-93ab";

/// What every diagnosis is told.
const DIAGNOSIS: &str = "You improve a coding agent by changing its own source code";

/// A world whose hidden files are marked, and whose model keeps what it is asked.
fn marked() -> World {
    let world = World::new(&PLAN);
    // The scripted model plays the solutions: it gets a copy without the marks.
    let copied = Command::new("cp")
        .args(["-a", "tasks", "plain-tasks"])
        .current_dir(world.path("."))
        .status()
        .unwrap();
    assert!(copied.success());
    world.edit(
        "model.sh",
        "--tasks \"$here/tasks\"",
        "--tasks \"$here/plain-tasks\"",
    );
    world.edit(
        "model.sh",
        "exec /usr/bin/python3",
        "mkdir -p \"$here/requests-$name\"\nrequest=$(mktemp \"$here/requests-$name/XXXXXX\")\n\
         cat >\"$request\"\nexec <\"$request\"\nexec /usr/bin/python3",
    );
    for task in names(&world.path("tasks")) {
        for (folder, mark) in [("tests", TEST), ("solution", SOLUTION)] {
            let folder = world.path("tasks").join(&task).join(folder);
            durable::write(&folder.join("mark.txt"), mark.as_bytes()).unwrap();
        }
        let script = format!("tasks/{task}/tests/test.sh");
        world.edit(&script, "\n", &format!("\n# {TEST}\necho {OUTPUT}\n"));
    }
    world
}

/// Everything the model was asked in the runs of an archive: diagnoses, and all else.
fn asked(world: &World, archive: &str) -> (Vec<String>, Vec<String>) {
    let folder = world.path(&format!("requests-{archive}"));
    let read = |name: &String| std::fs::read_to_string(folder.join(name)).unwrap();
    let all: Vec<String> = names(&folder).iter().map(read).collect();
    all.into_iter()
        .partition(|request| request.contains(DIAGNOSIS))
}

/// Which of the marks the requests hold.
fn marks(requests: &[String]) -> Vec<&'static str> {
    let holds = |mark: &&str| requests.iter().any(|request| request.contains(*mark));
    [TEST, OUTPUT, SOLUTION].into_iter().filter(holds).collect()
}

#[test]
fn no_hidden_test_and_no_solution_reaches_a_model() {
    let world = marked();
    let (_, talk) = world.done("evolve demo --config config.toml");
    let (diagnoses, others) = asked(&world, "demo");
    assert!(diagnoses.len() >= 4 && others.len() > 20, "{talk}");
    assert_eq!(marks(&diagnoses), [""; 0]);
    assert_eq!(marks(&others), [""; 0]);
    // The marks would have been seen: the verifier's log holds one.
    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let logs = lineage
        .evaluations()
        .filter_map(|found| found.verifier_log.as_ref());
    let logs: Vec<String> = logs
        .map(|blob| String::from_utf8(reader.blob(blob).unwrap()).unwrap())
        .collect();
    assert!(!logs.is_empty() && logs.iter().all(|log| log.contains(OUTPUT)));
    assert_eq!(lineage.disclosed().count(), 0);
    let (tree, _) = world.done("tree demo");
    assert!(!tree.contains("paper") && !talk.contains("paper"), "{tree}");
    let (tree, _) = world.done("tree demo --json");
    assert!(tree.contains("\"evidence\": \"visible\""), "{tree}");
}

#[test]
fn evidence_of_the_paper_is_shown_to_the_diagnosis_alone_and_announced_everywhere() {
    let world = marked();
    world.configure("[sandbox]", "evidence = \"paper\"\n[sandbox]");
    let (tree, talk) = world.done("evolve demo --config config.toml");
    let (diagnoses, others) = asked(&world, "demo");
    assert_eq!(marks(&diagnoses), [TEST, OUTPUT, SOLUTION]);
    assert_eq!(marks(&others), [""; 0]);

    let told = "evidence = \"paper\": hidden tests and reference solutions were shown";
    assert!(tree.contains(told), "{tree}");
    assert!(talk.contains("Warning: `evidence = \"paper\"`"), "{talk}");
    let (tree, _) = world.done("tree demo --json");
    let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
    assert_eq!(tree["archive"]["evidence"], "paper");
    assert_eq!(
        tree["archive"]["disclosed"],
        serde_json::json!([1, 2, 3, 4])
    );
    assert_eq!(
        tree["variants"][0]["evidence"], "visible",
        "the seed was given"
    );

    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let child = lineage
        .variants()
        .find(|variant| variant.id != VariantId::SEED && lineage.is_admitted(variant.id))
        .expect("the scripted model makes one");
    let (shown, _) = world.done(&format!("show demo {}", child.id.0));
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "evidence paper: hidden tests and reference solutions were shown to the diagnosing";
    assert!(shown.contains(told), "{shown}");
    let (shown, _) = world.done(&format!("show demo {} --json", child.id.0));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["evidence"], "paper");
    assert_eq!(shown["origin"]["evidence"], "paper");
    let (shown, _) = world.done(&format!("show demo {} --attempt --full", child.id.0));
    for part in [
        "[system]",
        "[user]",
        "[assistant]",
        TEST,
        "Hidden tests (no agent sees them)",
    ] {
        assert!(shown.contains(part), "{part}");
    }
    let note = reader.note(&child.commit).unwrap().expect("it is admitted");
    assert!(note.contains("evidence: paper"), "{note}");
    let log = Command::new("git")
        .args(["log", "--format=%B", child.commit.as_str()])
        .current_dir(world.path("demo/agents.git"))
        .output()
        .unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(
        log.contains("Evidence: paper (hidden tests were shown)"),
        "{log}"
    );
    announced_with_figures(&world, child.id);
    let (found, _) = world.done("fsck demo");
    assert_eq!(found, "the archive is in order\n");
}

/// Looks for the notice in whatever shows or exports figures.
fn announced_with_figures(world: &World, child: VariantId) {
    let json = |line: &str| -> serde_json::Value {
        serde_json::from_str(&world.done(line).0).expect("it is JSON")
    };
    let told = "evidence = \"paper\": hidden tests and reference solutions were shown";
    let said = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");

    let (cost, _) = world.done("cost demo");
    assert!(said(&cost).contains(told), "{cost}");
    assert_eq!(json("cost demo --json")["evidence"], "paper");

    let eval = format!("eval demo {} --tasks slug-text", child.0);
    let (found, _) = world.done(&eval);
    assert!(said(&found).contains(told), "{found}");
    assert_eq!(json(&format!("{eval} --json"))["evidence"], "paper");
    let (found, _) = world.done("eval demo 0 --tasks slug-text");
    assert!(!found.contains("paper"), "{found}");
    let seed = json("eval demo 0 --tasks slug-text --json");
    assert_eq!(seed["evidence"], "visible");

    let (plan, talk) = world.done("evolve demo --dry-run --generations 3");
    assert!(!plan.is_empty());
    assert!(talk.contains("Warning: `evidence = \"paper\"`"), "{talk}");
    let plan = json("evolve demo --dry-run --generations 3 --json");
    assert_eq!(plan["evidence"], "paper");
    let warning = plan["warnings"][0].as_str().expect("a sentence");
    assert!(warning.contains("hidden tests"), "{warning}");

    let (table, _) = world.done("export demo --format csv");
    let mut rows = table.lines();
    let head = rows.next().expect("a header");
    assert!(head.ends_with(",evidence"), "{head}");
    let mut seen = [0, 0];
    for row in rows {
        let variant = row.split(',').nth(1).expect("a variant");
        let is_seed = variant == "0";
        seen[usize::from(is_seed)] += 1;
        let evidence = if is_seed { "visible" } else { "paper" };
        assert!(row.ends_with(&format!(",{evidence}")), "{row}");
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{table}");
    for (of, evidence) in [(child.0, "paper"), (0, "visible")] {
        let atif = json(&format!("export demo {of} slug-text --format atif"));
        assert_eq!(atif["extra"]["evidence"], evidence);
    }
    let atif = json(&format!("export demo {} --attempt --format atif", child.0));
    assert_eq!(atif["extra"]["evidence"], "paper");
    world.done(&format!(
        "export demo {} --format harbor --out job",
        child.0
    ));
    for trial in names(&world.path("job"))
        .iter()
        .filter(|name| name.contains("__"))
    {
        let text = std::fs::read_to_string(world.path("job").join(trial).join("result.json"));
        let trial: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
        let told = &trial["agent_result"]["metadata"]["dgm"]["evidence"];
        assert_eq!(told, "paper");
    }
}
