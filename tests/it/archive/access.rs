//! Who may open an archive, and what may be recorded.

use super::run::{NOW, evaluated, names, run_on, seed_files, settled, start};
use dgm::archive::{self, Reader, Writer};
use dgm::domain::{CallId, Fact, RunEnd, RunId, VariantId};
use dgm::lineage::Lineage;

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let writer = Writer::open(&dir).unwrap();
    let error = Writer::open(&dir).expect_err("there is a writer");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (error.to_string(), cause),
        (
            format!(
                "could not open the archive in `{}` for writing",
                dir.display()
            ),
            format!(
                "another process (pid {}) is writing to this archive",
                std::process::id()
            )
        )
    );
    assert!(error.hint().unwrap().contains("wait until it has ended"));
    archive::fsck(&dir, true).expect_err("repair is writing");
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    assert_eq!(Reader::open(&dir).unwrap().id(), writer.id());
    drop(writer);
    drop(Writer::open(&dir).unwrap());
}

#[test]
fn a_reader_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let before = names(&dir);
    let reader = Reader::open(&dir).unwrap();
    reader.facts().unwrap();
    drop(reader);
    assert_eq!(names(&dir), before);
    // With a writer at work nothing is taken away from it either.
    let writer = Writer::open(&dir).unwrap();
    drop(Reader::open(&dir).unwrap());
    drop(writer);
    assert_eq!(names(&dir), before);
}

#[test]
fn a_reader_sees_whole_transactions_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let before = writer.lineage().unwrap().runs().len();
    let place = dir.clone();
    let reading = std::thread::spawn(move || {
        let reader = Reader::open(&place).unwrap();
        let mut seen = 0;
        loop {
            let lineage = reader.lineage().unwrap();
            assert!(
                lineage
                    .runs()
                    .iter()
                    .skip(before)
                    .all(|(_, end)| end.is_some())
            );
            assert!(lineage.runs().len() >= seen, "a fact went away");
            seen = lineage.runs().len();
            assert_eq!(
                Lineage::from_facts(reader.facts().unwrap())
                    .variants()
                    .count(),
                2
            );
            if seen == before + 50 {
                return;
            }
        }
    });
    for number in 0..50 {
        let run = RunId(u32::try_from(before).unwrap() + number + 1);
        writer
            .record(&[
                start(run.0, ""),
                Fact::RunEnded(RunEnd {
                    run,
                    reason: "x".repeat(5000),
                    at_ms: NOW,
                }),
            ])
            .unwrap();
    }
    reading.join().unwrap();
}

#[test]
fn folders_that_hold_something_else_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let error = Reader::open(&dir).expect_err("there is nothing");
    assert_eq!(
        error.to_string(),
        format!("`{}` holds no archive", dir.display())
    );
    Writer::open(&dir).expect_err("there is nothing");
    assert!(!dir.exists());
    std::fs::create_dir(&dir).unwrap();
    std::fs::File::create(dir.join("thesis.tex")).unwrap();
    let error = Writer::create(&dir, "", NOW).expect_err("it is not ours");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is not empty and holds no archive (it holds `thesis.tex`)",
            dir.display()
        )
    );
    assert_eq!(names(&dir), ["thesis.tex"]);
    std::fs::remove_file(dir.join("thesis.tex")).unwrap();
    drop(Writer::create(&dir, "", NOW).unwrap());
    let error = Writer::create(&dir, "", NOW).expect_err("there is one now");
    assert_eq!(
        error.to_string(),
        format!("`{}` holds an archive already", dir.display())
    );
}

#[test]
fn a_user_may_write_the_configuration_first() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    std::fs::create_dir(&dir).unwrap();
    dgm::sys::durable::write(&dir.join("dgm.toml"), b"seed = 7\n").unwrap();
    Writer::create(&dir, "seed = 1\n", NOW).expect_err("it would replace the user's");
    assert_eq!(names(&dir), ["dgm.toml"]);
    drop(Writer::create(&dir, "seed = 7\n", NOW).unwrap());
    let text = std::fs::read_to_string(dir.join("dgm.toml")).unwrap();
    assert_eq!(text, "seed = 7\n");
}

#[test]
fn what_is_not_there_cannot_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let before = writer.facts().unwrap();
    let lineage = writer.lineage().unwrap();
    let Fact::Evaluated(mut evaluation) = evaluated(&writer, VariantId(1), RunId(1)).unwrap()
    else {
        panic!("it is an evaluation")
    };
    let twice = Fact::Evaluated(evaluation.clone());
    evaluation.key.repeat = 1;
    let of_nobody = {
        let mut evaluation = evaluation.clone();
        evaluation.key.variant = VariantId(77);
        Fact::Evaluated(evaluation)
    };
    let not_a_number = {
        let mut evaluation = evaluation.clone();
        evaluation.judgement.reward = Some(f64::NAN);
        Fact::Evaluated(evaluation)
    };
    evaluation.patch = Some(dgm::domain::BlobId::from_hex("0".repeat(64)));
    let no_blob = Fact::Evaluated(evaluation);
    let mut other_tree = lineage.variant(VariantId(1)).unwrap().clone();
    other_tree.id = VariantId(2);
    other_tree.tree = lineage.variant(VariantId::SEED).unwrap().tree.clone();
    let table = [
        (
            twice,
            "the evaluation of #1 on `first`, repeat 0: it is recorded already",
        ),
        (
            of_nobody,
            "the evaluation of #77 on `first`, repeat 1: it belongs to something that is not recorded",
        ),
        (
            not_a_number,
            "the evaluation of #1 on `first`, repeat 1: the reward is not a finite number",
        ),
        (
            no_blob,
            "the evaluation of #1 on `first`, repeat 1: blob 0000000000000000000000000000000000000000000000000000000000000000 is not in the archive",
        ),
        (
            Fact::VariantMade(other_tree),
            "variant #2: its commit has another tree",
        ),
        (
            settled(CallId(1)),
            "the settlement of model call 1: it is recorded already",
        ),
        (
            settled(CallId(5)),
            "the settlement of model call 5: it belongs to something that is not recorded",
        ),
        (
            settled(CallId(u64::MAX)),
            "the settlement of model call 18446744073709551615: a number in it is too large",
        ),
    ];
    for (fact, why) in table {
        // Together with a good one, to see that nothing of a transaction stays.
        let good = Fact::RunEnded(RunEnd {
            run: RunId(2),
            reason: String::new(),
            at_ms: NOW,
        });
        let start = start(2, "");
        let error = writer.record(&[start, good, fact]).expect_err(why);
        assert_eq!(error.to_string(), format!("refused to record {why}"));
        assert_eq!(writer.facts().unwrap(), before);
    }
    let error = writer
        .commit_variant(VariantId(1), &seed_files(), None, "again", NOW)
        .expect_err("it exists");
    assert_eq!(
        error.to_string(),
        "refused to record variant #1: it is in the archive already"
    );
}
