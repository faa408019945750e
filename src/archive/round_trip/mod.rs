//! Property: whatever is recorded is read back as it was, in order, and folds the same.

mod history;

use self::history::{Draft, History, draft};
use super::about;
use super::db;
use super::fact_row;
use super::tables::TABLES;
use crate::domain::Fact;
use crate::lineage::Lineage;
use proptest::collection::vec;
use proptest::prelude::ProptestConfig;
use proptest::{prop_assert_eq, proptest};
use rusqlite::Connection;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn facts_are_read_back_as_they_were_recorded(drafts in vec(draft(), 0..60)) {
        let facts = History::of(drafts).facts;
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&db::schema()).unwrap();
        db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        for (index, fact) in facts.iter().enumerate() {
            let seq = i64::try_from(index).unwrap() + 1;
            prop_assert_eq!(db::next_seq(&db).unwrap(), seq);
            fact_row::insert(&db, seq, fact).unwrap();
        }
        let mut rows = Vec::new();
        let mut by_table = Lineage::default();
        fact_row::each(&db, &mut |seq, fact| {
            by_table.apply(&fact);
            rows.push((seq, fact));
        })
        .unwrap();
        rows.sort_by_key(|(seq, _)| *seq);
        let read: Vec<Fact> = rows.into_iter().map(|(_, fact)| fact).collect();
        prop_assert_eq!(&read, &facts);
        let in_order = Lineage::from_facts(facts);
        prop_assert_eq!(format!("{by_table:?}"), format!("{in_order:?}"));
    }
}

#[test]
fn a_second_result_of_the_same_job_is_impossible() {
    let drafts = vec![
        Draft {
            kind: 0,
            texts: std::array::from_fn(|_| "x".to_owned()),
            counts: [1; 5],
            small: [0, 1, 2, 3],
            time: 1,
            real: 0.5,
            flags: [true; 5],
        };
        11
    ];
    let kinds = [0, 1, 2, 4, 5, 7, 9, 10, 11, 12, 13];
    let of_kind = |(draft, kind)| Draft { kind, ..draft };
    let drafts = drafts.into_iter().zip(kinds).map(of_kind);
    let facts = History::of(drafts.collect()).facts;
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&db::schema()).unwrap();
    for (seq, fact) in (1..).zip(&facts) {
        fact_row::insert(&db, seq, fact).unwrap();
    }
    for (seq, fact) in (100..).zip(&facts) {
        let error = fact_row::insert(&db, seq, fact).expect_err(&about::describe(fact));
        assert!(error.to_string().contains("UNIQUE"), "{error}");
    }
    assert_eq!(facts.len(), 14, "every kind but faults, which may repeat");
    for table in TABLES.map(|table| table.name) {
        for sql in [
            format!("UPDATE {table} SET seq = seq + 1000"),
            format!("DELETE FROM {table}"),
        ] {
            let rows: i64 = db
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })
                .unwrap();
            let result = db.execute_batch(&sql);
            assert_eq!(result.is_err(), rows > 0, "{sql}: {result:?}");
        }
    }
}
