//! Processes that die while they write.

use super::run::{ELSEWHERE, NOW, files, git, names, run_on};
use dgm::archive::{self, Finding, Reader, Severity, Writer};
use dgm::domain::{Fact, Variant, VariantId};
use dgm::lineage::Lineage;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// A process of its own that does the small run.
fn small_run(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "archive::a_small_run_can_be_read_back",
            "--quiet",
        ])
        .env(ELSEWHERE, dir)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}

/// Everything that must not depend on when a process died.
fn summary(lineage: &Lineage) -> String {
    let variants = lineage
        .variants()
        .map(|v| format!("{} {} {:?} {}", v.id, v.tree, v.parent, v.generation));
    let standings = lineage
        .variants()
        .map(|variant| format!("{:?}", lineage.standing(variant.id)));
    let evaluations = lineage
        .evaluations()
        .map(|evaluation| format!("{:?} {}", evaluation.key, evaluation.judgement.outcome));
    let attempts = lineage
        .attempts()
        .map(|attempt| format!("{:?} {:?}", attempt.decision.candidates, attempt.proposal));
    let spend = lineage.spend().total(|_| true);
    let lines: Vec<String> = variants
        .chain(standings)
        .chain(evaluations)
        .chain(attempts)
        .chain([format!("{} {:?}", spend.cost, spend.tokens)])
        .collect();
    lines.join("\n")
}

fn uninterrupted() -> String {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    summary(&Reader::open(&dir).unwrap().lineage().unwrap())
}

/// After a process died: what is there can be read, nothing recorded is damaged, and going
/// on ends where an uninterrupted run ends.
fn goes_on(dir: &Path, expected: &str, when: &str) {
    if archive::exists(dir) {
        let found = archive::fsck(dir, false).unwrap();
        assert!(
            found
                .iter()
                .all(|finding| finding.severity == Severity::Leftover),
            "{when}: {found:?}"
        );
        Reader::open(dir).unwrap().lineage().unwrap();
    }
    run_on(dir).unwrap_or_else(|error| panic!("{when}: {error:?}"));
    let reader = Reader::open(dir).unwrap();
    assert_eq!(summary(&reader.lineage().unwrap()), expected, "{when}");
    for variant in reader.lineage().unwrap().variants() {
        assert!(reader.note(&variant.commit).unwrap().is_some(), "{when}");
    }
    let leftovers = archive::fsck(dir, true).unwrap();
    let unnamed = |finding: &Finding| finding.what.contains("of the files in `blobs/`");
    assert!(leftovers.iter().all(unnamed), "{when}: {leftovers:?}");
    assert_eq!(archive::fsck(dir, false).unwrap(), [], "{when}");
    assert_eq!(names(&dir.join("blobs/tmp")), [""; 0], "{when}");
}

#[test]
fn dying_before_and_after_every_write_loses_and_repeats_nothing() {
    let expected = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut writes = 0;
    for at in 1.. {
        let dir = folder.path().join(at.to_string());
        let status = small_run(&dir)
            .env(dgm::sys::durable::CRASH_AT, at.to_string())
            .status()
            .unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(SIGABRT), "write {at}");
        goes_on(&dir, &expected, &format!("write {at}"));
        writes = at;
    }
    assert!(writes > 40, "only {writes} crash points were passed");
}

#[test]
fn being_killed_at_any_instant_loses_and_repeats_nothing() {
    let expected = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for round in 0..20_u64 {
        let dir = folder.path().join(round.to_string());
        let mut child = small_run(&dir).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 * round));
        child.kill().unwrap();
        let status: ExitStatus = child.wait().unwrap();
        killed += usize::from(status.signal() == Some(SIGKILL));
        goes_on(&dir, &expected, &format!("after {} ms", 5 * round));
    }
    assert!(killed > 0, "every process had ended before it was killed");
}

#[test]
fn leftovers_of_a_dead_writer_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let agents = dir.join("agents.git");
    let stale = [
        dir.join("blobs/tmp/.tmpabc"),
        dir.join(".tmpdef"),
        agents.join("refs/dgm/variants/7.lock"),
        agents.join("refs/notes/dgm.lock"),
        agents.join("objects/tmp_object_git2_0123"),
    ];
    for path in &stale {
        std::fs::File::create(path).unwrap();
    }
    // Somebody may be running `git gc` in there.
    let fresh = agents.join("packed-refs.lock");
    std::fs::File::create(&fresh).unwrap();
    let writer = Writer::open(&dir).unwrap();
    for path in &stale {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(fresh.exists());
    std::fs::remove_file(&fresh).unwrap();
    // A variant whose process died before it was recorded.
    let lost = writer
        .commit_variant(
            VariantId(9),
            &files(&[("agent.toml", "x")]),
            None,
            "lost",
            NOW,
        )
        .unwrap();
    writer.put_blob(b"lost").unwrap();
    drop(writer);
    let found = archive::fsck(&dir, false).unwrap();
    let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "no fact names 1 of the files in `blobs/`",
            "`refs/dgm/variants/9` belongs to no recorded variant",
        ]
    );
    let mut writer = Writer::open(&dir).unwrap();
    assert_eq!(git(&dir, &["for-each-ref", "refs/dgm/variants/9"]), "");
    // Its number is free again, and the same files make the same commit.
    let again = writer
        .commit_variant(
            VariantId(9),
            &files(&[("agent.toml", "x")]),
            None,
            "lost",
            NOW,
        )
        .unwrap();
    assert_eq!(again, lost);
    let error = writer
        .record(&[Fact::VariantMade(Variant {
            id: VariantId(9),
            commit: again.0,
            tree: lost.1,
            parent: None,
            generation: 0,
            summary: String::new(),
            created_ms: NOW,
        })])
        .expect_err("only the seed has no parent");
    assert_eq!(
        error.to_string(),
        "refused to record variant #9: it contradicts the archive's format"
    );
}
