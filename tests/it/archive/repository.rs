//! The repository as the git command line sees it, and damage to it.

use super::run::{NOW, files, git, run_on, seed_files};
use dgm::archive::{self, Reader, Severity, Writer};
use dgm::domain::{TreePath, VariantId};

#[test]
fn plain_git_works_on_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    assert_eq!(git(&dir, &["fsck", "--strict", "--full"]), "");
    let log = git(
        &dir,
        &["log", "--graph", "--all", "--notes=dgm", "--format=%s [%N]"],
    );
    for line in [
        "Variant #0 [#0 admitted: 1 of 1",
        "Variant #1 [#1 admitted: 1 of 1",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert_eq!(
        git(&dir, &["rev-parse", "HEAD"]),
        git(&dir, &["rev-parse", "refs/dgm/variants/0"])
    );
    assert_eq!(
        git(
            &dir,
            &[
                "log",
                "-1",
                "--format=%an <%ae> %ad %cn",
                "--date=iso",
                "refs/dgm/variants/1"
            ]
        ),
        "dgm <dgm@localhost> 2025-06-15 15:06:40 +0000 dgm\n"
    );
    assert_eq!(
        git(
            &dir,
            &["ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD"]
        ),
        "100644 agent-x\n100644 agent.toml\n100644 agent/__init__.py\n100644 agent/loop.py\n\
         100755 bin/run\n"
    );
    // Packing and collecting garbage, as a user may, changes nothing for us.
    git(&dir, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    run_on(&dir).unwrap();
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
}

#[test]
fn damage_is_found_and_only_what_follows_from_facts_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let lineage = Reader::open(&dir).unwrap().lineage().unwrap();
    git(&dir, &["update-ref", "-d", "refs/dgm/variants/1"]);
    git(
        &dir,
        &[
            "update-ref",
            "refs/heads/main",
            lineage.variant(VariantId(1)).unwrap().commit.as_str(),
        ],
    );
    git(&dir, &["config", "gc.auto", "100"]);
    std::fs::remove_file(dir.join("agents.git/dgm.config")).unwrap();
    let derived = archive::fsck(&dir, true).unwrap();
    assert_eq!(derived.len(), 4, "{derived:?}");
    assert!(
        derived
            .iter()
            .all(|f| f.severity == Severity::Derived && f.repaired),
        "{derived:?}"
    );
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);

    git(&dir, &["update-ref", "-d", "refs/notes/dgm"]);
    let log = lineage
        .evaluations()
        .next()
        .unwrap()
        .agent_log
        .clone()
        .unwrap();
    let (shard, rest) = log.as_str().split_at(2);
    std::fs::remove_file(dir.join("blobs").join(shard).join(format!("{rest}.zst"))).unwrap();
    let blob = git(&dir, &["rev-parse", "refs/dgm/variants/1:agent/loop.py"]);
    let (shard, rest) = blob.trim().split_at(2);
    std::fs::remove_file(dir.join("agents.git/objects").join(shard).join(rest)).unwrap();
    for repair in [false, true] {
        let mut found: Vec<String> = archive::fsck(&dir, repair)
            .unwrap()
            .into_iter()
            .inspect(|f| assert!(f.severity == Severity::Damage && !f.repaired, "{f:?}"))
            .map(|finding| finding.what)
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "`loop.py` of variant #1 cannot be read".to_owned(),
                "admitted variant #0 has no note".to_owned(),
                "admitted variant #1 has no note".to_owned(),
                format!("blob {log} of the evaluation of #0 on `first`, repeat 0 is missing"),
            ]
        );
    }
}

#[test]
fn hostile_names_never_reach_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let writer = Writer::open(&dir).unwrap();
    for path in [
        "git~1/hooks/post-commit",
        ".gitmodules",
        "x/.g\u{200c}it/config",
    ] {
        let mut tree = seed_files();
        tree.insert(TreePath::new(path).unwrap(), &b""[..], true);
        writer.tree_id(&tree).expect_err(path);
        writer
            .commit_variant(VariantId(2), &tree, None, "x", NOW)
            .expect_err(path);
    }
    // Text from a model goes into messages and notes.
    let (commit, _) = writer
        .commit_variant(VariantId(2), &files(&[("a", "b")]), None, "a\0b\n\n\n", NOW)
        .unwrap();
    writer.note(&commit, "n\0o").unwrap();
    assert_eq!(
        Reader::open(&dir)
            .unwrap()
            .note(&commit)
            .unwrap()
            .as_deref(),
        Some("no\n")
    );
    writer.note(&commit, "second").unwrap();
    assert_eq!(
        Reader::open(&dir)
            .unwrap()
            .note(&commit)
            .unwrap()
            .as_deref(),
        Some("second\n")
    );
    assert_eq!(
        git(&dir, &["log", "-1", "--format=%B", "refs/dgm/variants/2"]),
        "ab\n\n"
    );
    assert_eq!(git(&dir, &["fsck", "--strict", "--no-dangling"]), "");
}
