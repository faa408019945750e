//! The archive on a real disk, with the git command line and with processes that die.

mod access;
mod crash;
mod disk;
mod repository;
mod run;

use dgm::archive::{self, Reader};
use dgm::domain::VariantId;
use run::{ELSEWHERE, child_files, run_on, seed_files};
use std::path::Path;

/// The small run; with [`ELSEWHERE`] set, this test is the process that another one ends.
#[test]
fn a_small_run_can_be_read_back() {
    if let Some(dir) = std::env::var_os(ELSEWHERE) {
        run_on(Path::new(&dir)).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    run_on(&dir).unwrap();
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
    let reader = Reader::open(&dir).unwrap();
    let lineage = reader.lineage().unwrap();
    assert_eq!(lineage.best(), Some(VariantId::SEED));
    let seed = &lineage.variant(VariantId::SEED).unwrap().commit;
    let child = &lineage.variant(VariantId(1)).unwrap().commit;
    assert_eq!(reader.files(seed).unwrap(), seed_files());
    assert_eq!(reader.files(child).unwrap(), child_files());
    let diff = reader.diff(Some(seed), child).unwrap();
    insta::assert_snapshot!(diff, @r"
    diff --git a/agent/loop.py b/agent/loop.py
    index e8c85870fe..b25ee3635d 100644
    --- a/agent/loop.py
    +++ b/agent/loop.py
    @@ -1,2 +1,2 @@
     print('one')
    -print('two')
    +print('three')
    ");
    assert_eq!(
        diff,
        archive::diff_trees(&seed_files(), &child_files()).unwrap()
    );
}
