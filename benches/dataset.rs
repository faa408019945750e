//! How long reading a dataset takes.
//!
//! `cargo bench --bench dataset [-- TASKS [ROUNDS]]`. Makes a dataset of small Harbor tasks, six
//! files each, in a temporary folder (`TMPDIR`), with a `dataset.toml` that lists them all, and
//! reads it as every command does that names a benchmark. The goal is 2 s for 10,000 tasks. All
//! files are in the page cache.

#![expect(clippy::print_stdout, reason = "a benchmark's numbers are its output")]

use dgm::benchmark::Suite;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

const MANIFEST: &str = "version = \"1.0\"\n\n[task]\nname = \"bench/#\"\n\n[metadata]\n\
     difficulty = \"easy\"\ntags = [\"a\", \"b\"]\n\n[verifier]\ntimeout_sec = 900.0\n\n\
     [agent]\ntimeout_sec = 900.0\n\n[environment]\nbuild_timeout_sec = 600.0\ncpus = 1\n\
     memory = \"2G\"\nstorage = \"10G\"\n";
const FILES: [(&str, &str); 6] = [
    ("task.toml", MANIFEST),
    ("instruction.md", "Write `#` into `hello.txt`.\n"),
    ("environment/Dockerfile", "FROM debian:bookworm-slim\n"),
    (
        "tests/test.sh",
        "#!/bin/sh\ngrep -q # hello.txt && echo 1 > /logs/verifier/reward.txt\n",
    ),
    ("tests/expected.txt", "#\n"),
    ("solution/solve.sh", "#!/bin/sh\necho # > hello.txt\n"),
];

fn put(path: &Path, text: &str) {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).expect("a folder can be made");
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("it can be written");
}

fn make(folder: &Path, tasks: usize) {
    let mut dataset = "[dataset]\nname = \"bench/all\"\n".to_owned();
    for number in 0..tasks {
        let name = format!("task-{number:06}");
        for (path, text) in FILES {
            put(&folder.join(&name).join(path), &text.replace('#', &name));
        }
        writeln!(
            dataset,
            "[[tasks]]\nname = \"bench/{name}\"\ndigest = \"sha256:0\""
        )
        .expect("writing to a string cannot fail");
    }
    put(&folder.join("dataset.toml"), &dataset);
}

fn main() {
    let numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let tasks = numbers.first().copied().unwrap_or(10_000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    make(folder.path(), tasks);
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        let suite = Suite::load(folder.path()).expect("it can be read");
        times.push(begun.elapsed().as_secs_f64());
        assert_eq!(suite.tasks.len(), tasks, "every task is read");
        assert_eq!(suite.warnings.len(), tasks, "every digest is compared");
    }
    times.sort_by(f64::total_cmp);
    println!(
        "reading {tasks} tasks: {:.2} s (median of {rounds}; least {:.2} s)",
        times[rounds / 2],
        times[0]
    );
}
