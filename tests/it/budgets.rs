//! Budgets in whole runs of the program, in the real local sandbox with the scripted model.

use crate::support::Program;
use dgm::archive::{Layout, Reader};
use dgm::domain::{Failure, Gate, JobId, Outcome, Role, Usd, VariantId};
use dgm::lineage::Lineage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A folder with an archive of the smoke preset whose model costs a dollar per million tokens.
struct Place {
    folder: tempfile::TempDir,
    program: Program,
}

impl Place {
    fn new(budget: &str) -> Self {
        // Short, because paths of sockets below it may have no more than 107 bytes.
        let folder = tempfile::Builder::new().prefix("dgm-").tempdir_in("/tmp");
        let folder = folder.unwrap();
        let runtime = folder.path().join("r");
        let program = Program::new(folder.path())
            .env("PATH", &std::env::var("PATH").unwrap())
            .env("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
        let place = Self { folder, program };
        let made = place.program.output("init demo --preset smoke");
        assert!(made.status.success(), "{made:?}");
        let file = Layout::new(place.archive()).config();
        let text = std::fs::read_to_string(&file).unwrap();
        let priced = text.replace("free = true", "price = { input = 1.0, output = 1.0 }");
        assert_ne!(priced, text);
        let text = format!("{priced}\n[budget]\n{budget}\n");
        dgm::sys::durable::write(&file, text.as_bytes()).unwrap();
        place
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    fn lineage(&self) -> Lineage {
        Reader::open(&self.archive()).unwrap().lineage().unwrap()
    }

    /// Runs a command line; returns its exit code and what it said.
    fn run(&self, line: &str) -> (i32, String) {
        let output = self.program.output(line);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), talk)
    }
}

/// What must not depend on when the money ran out.
fn results(lineage: &Lineage) -> Vec<String> {
    let evaluations = lineage.evaluations().map(|evaluation| {
        let key = &evaluation.key;
        format!(
            "{} {} {}",
            key.variant, key.task, evaluation.judgement.outcome
        )
    });
    let variants = lineage
        .variants()
        .map(|variant| format!("{} {} {:?}", variant.id, variant.tree, variant.parent));
    evaluations.chain(variants).collect()
}

#[test]
fn a_run_out_of_money_ends_cleanly_and_goes_on_where_it_stopped() {
    let whole = Place::new("");
    let (code, talk) = whole.run("evolve demo --generations 1");
    assert_eq!(code, 0, "{talk}");
    let expected = results(&whole.lineage());
    let all = whole.lineage().spend().total(|_| true).cost;

    let place = Place::new("usd = 0.03");
    let (code, talk) = place.run("evolve demo --generations 1");
    assert_eq!(code, 3, "{talk}");
    assert!(
        talk.contains("stopped: the run's budget of $0.0300"),
        "{talk}"
    );
    let how = "raise `budget.usd` in the archive's `dgm.toml`, or say `--budget-usd`, and go on \
               with `dgm evolve demo`";
    assert!(talk.contains(how), "{talk}");
    let lineage = place.lineage();
    let spent = lineage.spend().total(|_| true);
    assert!(spent.cost > Usd(0) && spent.cost < all, "{spent:?}");
    assert!(spent.at_most() <= Usd(30_000), "{spent:?}");
    assert_eq!(spent.unsettled, 0);
    // Whoever was cut short was not measured.
    assert!(
        lineage
            .evaluations()
            .all(|it| it.judgement.outcome != Outcome::Budget)
    );
    let cut = lineage.faults().iter();
    assert!(cut.clone().all(|fault| fault.outcome == Outcome::Cancelled));
    assert!(cut.count() > 0);
    let (_, end) = lineage.runs().last().unwrap();
    assert!(end.is_some(), "it ended in order");

    // With nothing left, nothing is started; with more, it goes on to the same end.
    let (code, talk) = place.run("evolve demo --generations 1");
    assert_eq!(code, 3, "{talk}");
    let (code, talk) = place.run("evolve demo --generations 1 --budget-usd 5");
    assert_eq!(code, 0, "{talk}");
    assert_eq!(results(&place.lineage()), expected);
    let (code, talk) = place.run("fsck demo");
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn a_job_out_of_its_allowance_is_told_so_and_counts_as_what_it_is() {
    // A call of the scripted model can cost some 1.7 cents at most, and costs some 0.05.
    let place = Place::new("usd_per_job = 0.017");
    let (code, talk) = place.run("evolve demo --generations 0");
    assert_eq!(code, 0, "{talk}");
    let lineage = place.lineage();
    let outcomes: Vec<Outcome> = lineage
        .evaluations()
        .map(|it| it.judgement.outcome)
        .collect();
    assert!(outcomes.contains(&Outcome::Budget), "{outcomes:?}");
    assert!(!outcomes.contains(&Outcome::Cancelled), "{outcomes:?}");
    for evaluation in lineage.evaluations() {
        let key = &evaluation.key;
        let subject = JobId::Evaluation(key.clone());
        assert!(lineage.spend().of(&subject).cost <= Usd(17_000));
        if evaluation.judgement.outcome == Outcome::Budget {
            assert_eq!(evaluation.judgement.detail, "the job's allowance ran out");
        }
    }
}

/// Returns how the first attempt ended, and how many calls of it were made for a role.
fn first_attempt(lineage: &Lineage) -> (Option<(Failure, String)>, impl Fn(Role) -> usize + use<>) {
    let first = VariantId(1);
    let ended = lineage.attempt(first).and_then(|it| it.end.clone());
    let calls: Vec<Role> = lineage
        .spend()
        .calls()
        .filter(|(intent, _)| intent.subject == JobId::Attempt(first))
        .map(|(intent, _)| intent.role)
        .collect();
    let count = move |role| calls.iter().filter(|it| **it == role).count();
    (ended.expect("it ended").failure, count)
}

#[test]
fn a_child_that_is_not_let_ask_is_not_called_unfit() {
    let whole = Place::new("");
    let (code, talk) = whole.run("evolve demo --generations 1");
    assert_eq!(code, 0, "{talk}");
    let (failure, calls) = first_attempt(&whole.lineage());
    assert_eq!(failure, None);
    let before_gates = calls(Role::Diagnose) + calls(Role::Modify);

    // Nothing is left for the gates.
    let place = Place::new(&format!("calls_per_attempt = {before_gates}"));
    let (code, talk) = place.run("evolve demo --generations 1");
    assert_eq!(code, 0, "{talk}");
    let (failure, calls) = first_attempt(&place.lineage());
    let (failure, detail) = failure.expect("no child");
    assert_eq!(failure, Failure::OutOfBudget, "{detail}");
    let why = format!("the attempt's allowance of {before_gates} model calls is used up");
    assert!(detail.contains(&why), "{detail}");
    assert_eq!(calls(Role::Solve), 0);
    assert!(talk.contains("ran out of its allowance"), "{talk}");
    assert!(!talk.contains("cannot do a trivial edit"), "{talk}");

    // Nor does a parent that is cut short while it changes itself say anything about itself.
    let place = Place::new(&format!("calls_per_attempt = {}", before_gates / 2));
    let (code, talk) = place.run("evolve demo --generations 1");
    assert_eq!(code, 0, "{talk}");
    let (failure, _) = first_attempt(&place.lineage());
    let (failure, detail) = failure.expect("no child");
    assert_ne!(failure, Failure::Gate(Gate::Changed), "{detail}");
    assert_eq!(failure, Failure::OutOfBudget, "{detail}");
}

#[test]
fn a_limit_that_no_call_fits_into_is_said_before_anything_starts() {
    // A call with an empty prompt reserves some 1.65 cents, or 16,500 tokens.
    for (limit, key) in [
        ("usd_per_attempt = 0.012", "usd_per_attempt` is $0.0120"),
        ("usd_per_job = 0.008", "usd_per_job` is $0.0080"),
        ("tokens_per_job = 3500", "tokens_per_job` is 3500 tokens"),
    ] {
        let place = Place::new(limit);
        for line in [
            "evolve demo --generations 1",
            "evolve demo --generations 1 --dry-run",
            "evolve new --config demo/dgm.toml",
        ] {
            let (code, talk) = place.run(line);
            assert_eq!(code, 2, "{line}: {talk}");
            let said = format!("`budget.{key}, and a call of the role `diagnose` reserves ");
            assert!(talk.contains(&said), "{line}: {talk}");
            assert!(talk.contains("is the least that would do"), "{talk}");
        }
        assert!(!place.folder.path().join("new").exists());
        assert_eq!(place.lineage().runs().len(), 0);

        // What agents ask for may be smaller: where only they ask, it is a warning.
        let plan = place
            .program
            .output("evolve demo --generations 0 --dry-run --json");
        let talk = String::from_utf8_lossy(&plan.stderr);
        let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
        let warnings = plan["warnings"].as_array().unwrap();
        let of_job = limit.contains("_per_job");
        assert_eq!(warnings.len(), usize::from(of_job), "{warnings:?}");
        if of_job {
            let said = warnings[0].as_str().unwrap();
            let start = format!("`budget.{key}, and a call of the role `solve` reserves ");
            assert!(said.starts_with(&start), "{said}");
            assert!(talk.contains(said), "{talk}");
            for line in [
                "evolve demo --generations 0",
                "eval demo 0 --tasks slug-text --n-attempts 2",
            ] {
                let (_, talk) = place.run(line);
                assert!(talk.contains(&start), "{line}: {talk}");
            }
        }
    }
}

#[test]
fn an_attempt_whose_diagnosis_can_never_be_paid_ends_the_run_and_not_the_attempt() {
    // Enough for an empty prompt, but not for what a diagnosis shows.
    for (limit, key) in [
        ("usd_per_attempt = 0.0167", "budget.usd_per_attempt"),
        ("tokens_per_job = 16700", "budget.tokens_per_job"),
    ] {
        let place = Place::new(limit);
        let (code, talk) = place.run("evolve demo --generations 2");
        assert_eq!(code, 3, "{limit}: {talk}");
        for said in [
            "stopped: an attempt cannot pay for its diagnosis: the ",
            "does not cover this call",
            &format!("raise `{key}` in the archive's `dgm.toml` and go on with `dgm evolve demo`"),
        ] {
            assert!(talk.contains(said), "{limit}: no `{said}` in {talk}");
        }
        let lineage = place.lineage();
        assert!(lineage.open_attempts().count() > 0);
        assert!(lineage.attempts().all(|attempt| attempt.end.is_none()));
        assert!(
            lineage
                .attempts()
                .all(|attempt| attempt.decision.group == 1)
        );

        // With more it goes on with the same attempts.
        let file = Layout::new(place.archive()).config();
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace(limit, "");
        dgm::sys::durable::write(&file, text.as_bytes()).unwrap();
        let (code, talk) = place.run("evolve demo --generations 1");
        assert_eq!(code, 0, "{talk}");
        assert_eq!(place.lineage().open_attempts().count(), 0);
    }
}

#[test]
fn hours_are_counted_by_the_clock_also_where_the_time_of_commits_is_fixed() {
    let place = Place::new("hours = 5");
    let (code, talk) = place.run("evolve demo --generations 0");
    assert_eq!(code, 0, "{talk}");
    let first = place.lineage().run_time();
    assert!(!first.is_zero());
    // Commits are of the moment that `SOURCE_DATE_EPOCH` fixes, whatever the clock says.
    let lineage = place.lineage();
    let fixed = 1_750_000_000_000;
    assert!(
        lineage
            .variants()
            .all(|variant| variant.created_ms == fixed)
    );
    let (start, end) = lineage.runs().last().unwrap();
    let end = end.as_ref().expect("it ended in order");
    assert!(fixed < start.at_ms && start.at_ms < end.at_ms);
    // It adds up over resumes.
    let (code, talk) = place.run("evolve demo --generations 1");
    assert_eq!(code, 0, "{talk}");
    assert!(place.lineage().run_time() > first);
    let shown = json(&place, "cost demo --json");
    let hours = &shown["budgets"]["archive"];
    let part = |name: &str| hours[name]["hours"].as_f64().unwrap();
    assert!(part("used") > 0.0, "{hours}");
    assert!(part("left") < part("limit"), "{hours}");
}

fn json(place: &Place, line: &str) -> Value {
    serde_json::from_str(&place.program.data(line)).unwrap()
}

/// Everything in a folder, with its content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                all.push((path, bytes));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_dry_run_says_what_a_run_would_do_and_does_nothing() {
    let place = Place::new("usd = 2.5\ncalls_per_attempt = 60");
    // Somebody else is at work.
    let _writer = dgm::archive::Writer::open(&place.archive()).unwrap();
    let before = content(&place.archive());
    let text = place.program.data("evolve demo --dry-run --generations 2");
    let plan = json(&place, "evolve demo --dry-run --generations 2 --json");
    assert_eq!(content(&place.archive()), before);
    for said in [
        "0 of 2 have begun; 4 attempts are left",
        "stage 1      7         7      15       35",
        "solve: scripted (command)      1.00    1.00         1.00    1.00    1.00",
        "US dollars  $2.50    $0  $2.50",
        "each attempt: at most 60 model calls",
        "The budgets hold, whatever the estimate says.",
    ] {
        assert!(text.contains(said), "no `{said}` in\n{text}");
    }
    assert_eq!(plan["schema"], "dgm.plan/1");
    assert_eq!(plan["attempts"], 4);
    let of_archive = &plan["budgets"]["archive"];
    assert_eq!(of_archive["left"]["usd"], 2.5);
    for part in ["limit", "used", "unsettled_at_most", "left"] {
        let keys: BTreeSet<&str> = of_archive[part]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let all = BTreeSet::from(["calls", "hours", "tokens", "usd"]);
        assert_eq!(keys, all, "{part} of {plan}");
    }
    assert_eq!(of_archive["limit"]["hours"], Value::Null);
    assert_eq!(of_archive["left"]["hours"], Value::Null);
    let estimate = |which: &str| plan["estimate"][which]["usd"].as_f64().unwrap();
    assert!(0.0 < estimate("low") && estimate("low") < estimate("likely"));
    assert!(estimate("likely") < estimate("high"));
    // Also for an archive that does not exist, which then still does not.
    place.program.data("evolve other --preset smoke --dry-run");
    assert!(!place.folder.path().join("other").exists());
}

#[test]
fn the_known_prices_are_listed_with_their_sources() {
    let place = tempfile::tempdir().unwrap();
    let program = Program::new(place.path());
    let text = program.data("cost --prices");
    let shape: Value = serde_json::from_str(&program.data("cost --prices --json")).unwrap();
    assert_eq!(shape["schema"], "dgm.prices/1");
    for list in shape["providers"].as_array().unwrap() {
        for name in ["provider", "source", "as_of"] {
            assert!(text.contains(list[name].as_str().unwrap()), "{list}");
        }
        for model in list["models"].as_array().unwrap() {
            assert!(text.contains(model["model"].as_str().unwrap()), "{model}");
            assert!(model["usd_per_million"][0]["input"].as_f64().unwrap() > 0.0);
        }
    }
}
