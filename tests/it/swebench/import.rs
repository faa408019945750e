//! Rows of every shape become tasks; bad ones become sentences.

use super::shared;
use crate::support::Program;
use dgm::benchmark::swebench::{Selection, import};
use dgm::benchmark::{Delivery, Grader, Task};
use dgm::sys::durable;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Files of a folder, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(path, text.as_bytes()).unwrap();
}

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Imports rows and returns the files of the benchmark, without its list.
    fn import(&self, rows: &Path) -> BTreeMap<String, Vec<u8>> {
        let out = self.path("out");
        import(rows, &out, &Selection::default()).unwrap();
        let mut files = files(&out);
        files.remove("dataset.toml").unwrap();
        files
    }

    fn rows(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        put(&path, text);
        path
    }
}

/// A small row of version 5.
fn row() -> Map<String, Value> {
    let test_patch =
        "diff --git a/t.py b/t.py\r\n--- a/t.py\r\n+++ b/t.py\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n";
    let row = json!({
        "repo": "owner/name",
        "instance_id": "owner__name-1",
        "base_commit": "0123456789abcdef0123456789abcdef01234567",
        "patch": "diff --git a/a.py b/a.py\r\n--- a/a.py\r\n+++ b/a.py\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n",
        "test_patch": test_patch,
        "problem_statement": "Mend `a`.\r\n\r\nIt is broken.",
        "version": "1.10",
        "FAIL_TO_PASS": ["t.py::test_a[é \"x\"]"],
        "PASS_TO_PASS": ["t.py::test_b"],
        "image": "local/name:1",
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
        "eval_script": format!(
            "#!/bin/bash\nset -uxo pipefail\ncd /testbed\ngit apply -v - <<'EOF_1'\n{test_patch}\nEOF_1\n\
             : '>>>>> Start Test Output'\npytest -rA t.py\n: '>>>>> End Test Output'\n"
        ),
    });
    row.as_object().unwrap().clone()
}

#[test]
fn both_shapes_of_a_row_give_the_same_task() {
    let world = World::new();
    let new = world.import(&shared("swebench-rows.jsonl"));
    let old = world.import(&shared("swebench-rows-classic.jsonl"));
    let tasks = |files: &BTreeMap<String, Vec<u8>>| {
        let names = files.keys().filter(|name| name.ends_with("task.toml"));
        names.count()
    };
    assert_eq!((tasks(&new), tasks(&old)), (80, 60));
    for (name, bytes) in &old {
        let same = new.get(name).is_some_and(|other| other == bytes);
        assert!(same, "`{name}` is not the same");
    }
    let task = |name: &str| name.split('/').next().unwrap().to_owned();
    let both = old.keys().map(|name| task(name));
    let both: std::collections::BTreeSet<String> = both.collect();
    let same = new.keys().filter(|name| both.contains(&task(name)));
    assert_eq!(same.count(), old.len(), "nor is there a file more");
    // The digests of tasks that were imported before stay what they are.
    for (name, bytes) in new.iter().filter(|(name, _)| name.ends_with("row.json")) {
        let mut row: Value = serde_json::from_slice(bytes).unwrap();
        row.sort_all_objects();
        assert_eq!(format!("{row:#}\n").as_bytes(), &bytes[..], "{name}");
    }
}

#[test]
fn every_form_of_rows_gives_the_same_task() {
    let world = World::new();
    let row = row();
    let lists = world.import(&world.rows("rows.jsonl", &format!("\n{}\n", json!(row))));
    let script = String::from_utf8(lists["owner__name-1/tests/eval.sh"].clone()).unwrap();
    assert!(script.contains("\r\n-a\r\n+b\r\n"), "line ends are kept");
    assert!(
        script.ends_with(
            "pytest -rA t.py\nSWEBENCH_TEST_EXIT_CODE=$?\n: '>>>>> End Test Output'\n\
             echo \">>>>> Test Exit Code: $SWEBENCH_TEST_EXIT_CODE\"\n"
        ),
        "{script}"
    );
    let patch = &lists["owner__name-1/solution/gold.patch"];
    assert_eq!(patch, row["patch"].as_str().unwrap().as_bytes());
    let told = &lists["owner__name-1/instruction.md"];
    assert!(told.starts_with(row["problem_statement"].as_str().unwrap().as_bytes()));

    let mut strings = row.clone();
    for key in ["FAIL_TO_PASS", "PASS_TO_PASS"] {
        strings.insert(key.to_owned(), Value::String(row[key].to_string()));
    }
    strings.insert("difficulty".to_owned(), Value::Null);
    for (name, text) in [
        ("strings.jsonl", json!(strings).to_string()),
        ("list.json", json!([row]).to_string()),
        ("one.json", json!(row).to_string()),
        ("table.json", json!({ "owner__name-1": row }).to_string()),
    ] {
        assert_eq!(world.import(&world.rows(name, &text)), lists, "{name}");
    }
    let parquet = world.path("rows.parquet");
    write_parquet(&parquet, &strings);
    assert_eq!(world.import(&parquet), lists);
    // A dataset's folder, as it is downloaded.
    fs::create_dir_all(world.path("dataset/data")).unwrap();
    let split = world.path("dataset/data/test-00000-of-00001.parquet");
    fs::copy(parquet, split).unwrap();
    assert_eq!(world.import(&world.path("dataset")), lists);
    task_repository(&world.path("repo"), &row);
    assert_eq!(world.import(&world.path("repo")), lists);
}

/// Writes one row with columns of text.
fn write_parquet(path: &Path, row: &Map<String, Value>) {
    let columns = row.iter().filter(|(_, value)| value.is_string());
    let columns: Vec<(&String, &str)> = columns
        .map(|(key, value)| (key, value.as_str().unwrap()))
        .collect();
    let fields: String = columns
        .iter()
        .map(|(key, _)| format!("REQUIRED BYTE_ARRAY {key} (UTF8);\n"))
        .collect();
    let schema = parse_message_type(&format!("message row {{ {fields} }}")).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, text) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let values = [ByteArray::from(text)];
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// A dataset whose split comes in parts.
#[test]
fn all_parts_of_a_split_are_taken() {
    let world = World::new();
    let program = Program::new(world.folder.path());
    let part = |number: usize| world.path(&format!("set/data/test-0000{number}-of-00002.parquet"));
    fs::create_dir_all(world.path("set/data")).unwrap();
    for number in [0, 1] {
        let mut row = row();
        let id = format!("owner__name-{number}");
        row.insert("instance_id".to_owned(), Value::String(id));
        for key in ["FAIL_TO_PASS", "PASS_TO_PASS"] {
            row.insert(key.to_owned(), Value::String(row[key].to_string()));
        }
        write_parquet(&part(number), &row);
    }
    let said = program.data("bench import swebench set out");
    assert_eq!(said, "2 tasks in out\n");
    assert!(world.path("out/owner__name-0").exists() && world.path("out/owner__name-1").exists());
    // Messages say in which part.
    fs::copy(part(0), part(1)).unwrap();
    let error = import(
        &world.path("set"),
        &world.path("none"),
        &Selection::default(),
    );
    let error = error.unwrap_err().to_string();
    let place = "row 1 of `test-00001-of-00002.parquet` (`owner__name-0`): instance";
    assert!(error.contains(place), "{error}");
    // Half a benchmark is none.
    fs::remove_file(part(1)).unwrap();
    let error = import(
        &world.path("set"),
        &world.path("none"),
        &Selection::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("data`: holds 1 of 2 files of the split `test`"),
        "{error}"
    );
}

#[test]
fn what_a_task_repository_does_not_publish_is_left_out() {
    let world = World::new();
    let program = Program::new(world.folder.path());
    let folder = world.path("repo");
    for (number, split) in ["test", "deprecated", "dev"].into_iter().enumerate() {
        let mut row = row();
        let id = format!("owner__name-{number}");
        row.insert("instance_id".to_owned(), Value::String(id.clone()));
        let other = world.path(&id);
        task_repository(&other, &row);
        let file = other.join("tasks/owner__name-1/task.yaml");
        let yaml = fs::read_to_string(&file).unwrap();
        put(
            &file,
            &yaml.replace("split: test", &format!("split: {split}")),
        );
        fs::create_dir_all(folder.join("tasks")).unwrap();
        fs::rename(
            other.join("tasks/owner__name-1"),
            folder.join("tasks").join(id),
        )
        .unwrap();
    }
    let left =
        "left out: 2 of splits that the task repository does not publish; `--ids` takes them";
    // Without its own list it publishes `test`.
    let said = program.said("bench import swebench repo out");
    assert_eq!(said, format!("1 tasks in out\n--- stderr\n{left}\n"));
    assert!(world.path("out/owner__name-0").exists());
    // Never what is deprecated, whatever the list says.
    let list = folder.join("sweb.yaml");
    put(&list, "datasets: [x/y]\nsplits: [test, dev, deprecated]\n");
    let said = program.said("bench import swebench repo out");
    assert_eq!(
        said,
        format!("2 tasks in out\n--- stderr\n{}\n", left.replace('2', "1"))
    );
    put(&list, "datasets: [x/y]\nsplits: [dev]\n");
    program.said("bench import swebench repo out");
    assert!(world.path("out/owner__name-2").exists() && !world.path("out/owner__name-0").exists());
    let said = program.data("bench import swebench repo out --ids owner__name-1");
    assert_eq!(said, "1 tasks in out\n", "but who names one gets it");
    put(&list, "splits: dev\n");
    let error = import(&folder, &world.path("none"), &Selection::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.ends_with("sweb.yaml`: must list names as `splits`"),
        "{error}"
    );
}

fn task_repository(folder: &Path, row: &Map<String, Value>) {
    put(
        &folder.join("sweb.yaml"),
        "datasets: [x/y]\nsplits: [test]\n",
    );
    let task = folder.join("tasks/owner__name-1");
    let text = |key: &str| row[key].as_str().unwrap();
    let yaml: String = [
        "instance_id",
        "repo",
        "version",
        "base_commit",
        "image",
        "log_parser",
        "eval_type",
    ]
    .map(|key| format!("{key}: {}\n", text(key)))
    .concat();
    put(
        &task.join("task.yaml"),
        &format!("{yaml}split: test\ndatasets:\n- x/y\n"),
    );
    let tests = json!({"FAIL_TO_PASS": row["FAIL_TO_PASS"], "PASS_TO_PASS": row["PASS_TO_PASS"]});
    put(&task.join("tests.json"), &tests.to_string());
    for (file, key) in [
        ("gold.patch", "patch"),
        ("test.patch", "test_patch"),
        ("eval.sh", "eval_script"),
        ("problem_statement.md", "problem_statement"),
    ] {
        put(&task.join(file), text(key));
    }
    put(&task.join("Dockerfile"), "FROM scratch\n");
}

#[test]
fn files_that_no_patch_carries_come_from_a_task_repository() {
    let world = World::new();
    let mut row = row();
    task_repository(&world.path("repo"), &row);
    let task = world.path("repo/tasks/owner__name-1");
    let mut yaml = fs::read_to_string(task.join("task.yaml")).unwrap();
    yaml.push_str("image_assets:\n  test_patch:\n  - path: img/it's.png\n    url: https://x/y\n");
    put(&task.join("task.yaml"), &yaml);
    put(&task.join("test_assets/img/it's.png"), "PNG");
    let files = world.import(&world.path("repo"));
    assert_eq!(files["owner__name-1/tests/assets/img/it's.png"], b"PNG");
    let script = String::from_utf8(files["owner__name-1/tests/eval.sh"].clone()).unwrap();
    assert!(
        script.contains(
            "\nmkdir -p 'img' && cp '/tests/assets/img/it'\\''s.png' 'img/it'\\''s.png'\n\
             : '>>>>> Start Test Output'\n"
        ),
        "{script}"
    );
    // A row alone cannot be run: nothing is fetched.
    let assets = json!({"test_patch": [{"path": "img/x.png", "url": "https://x/y"}]});
    row.insert("image_assets".to_owned(), Value::String(assets.to_string()));
    let rows = world.rows("rows.jsonl", &json!(row).to_string());
    let error = import(&rows, &world.path("none"), &Selection::default()).unwrap_err();
    assert!(
        error.to_string().contains(
            "`image_assets` lists `img/x.png`, which a row only links to; import the instance \
             from its task repository"
        ),
        "{error}"
    );
}

#[test]
fn takes_what_is_asked_for() {
    let world = World::new();
    let program = Program::new(world.folder.path());
    let rows = shared("swebench-rows.jsonl");
    fs::copy(rows, world.path("rows.jsonl")).unwrap();
    let ids = "sphinx-doc__sphinx-8548,django__django-10973 astral-sh__ruff-15330";
    let said = program.data(&format!(
        "bench import swebench rows.jsonl some --ids {ids}"
    ));
    assert_eq!(said, "3 tasks in some\n");
    assert!(world.path("some/astral-sh__ruff-15330/task.toml").exists());
    let said = program.data("bench import swebench rows.jsonl first --limit 2");
    assert_eq!(said, "2 tasks in first\n");
    let said = program.said("bench import swebench rows.jsonl none --ids a b django__django-10973");
    assert!(
        said.contains("`rows.jsonl` has no instance `a`, `b`"),
        "{said}"
    );
    assert!(!world.path("none").exists());
    // Its own may be replaced, somebody else's not.
    program.data("bench import swebench rows.jsonl first --limit 1");
    assert!(!world.path("first/django__django-11066").exists());
    put(&world.path("first/mine"), "mine");
    let said = program.said("bench import swebench rows.jsonl first --limit 1");
    assert!(
        said.contains("holds `mine`, which no import made"),
        "{said}"
    );
}

/// How a row is spoiled: a key, and what it becomes; nothing takes it away.
type Spoiled = (&'static str, Option<Value>);

/// Rows that are spoiled, and what is said of each.
fn spoiled() -> Vec<(Spoiled, &'static str)> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let mut cases = names_and_texts(text);
    cases.extend(tests_and_scripts(text));
    cases
}

fn names_and_texts(text: impl Fn(&str) -> Option<Value>) -> Vec<(Spoiled, &'static str)> {
    vec![
        (("instance_id", None), "`instance_id` is missing"),
        (("instance_id", text("")), "`instance_id` is empty"),
        (
            ("instance_id", Some(json!(3))),
            "`instance_id` must be a text, but is a number",
        ),
        (
            ("instance_id", text("../x")),
            "`instance_id` is no name for a task: `../x`",
        ),
        (
            ("instance_id", text("a b")),
            "`instance_id` is no name for a task: `a b`",
        ),
        (("repo", None), "`repo` is missing"),
        (("repo", text("name")), "`repo` is not `owner/name`: `name`"),
        (
            ("repo", text("a/b; rm")),
            "`repo` is not `owner/name`: `a/b; rm`",
        ),
        (
            ("base_commit", text("HEAD")),
            "`base_commit` is no commit: `HEAD`",
        ),
        (
            ("base_commit", text("$(x)abc")),
            "`base_commit` is no commit: `$(x)abc`",
        ),
        (
            ("base_commit", Some(Value::Null)),
            "`base_commit` is missing",
        ),
        (
            ("problem_statement", text(" \n ")),
            "`problem_statement` says nothing",
        ),
        (
            ("problem_statement", None),
            "`problem_statement` is missing",
        ),
        (("patch", text("")), "`patch` is empty"),
        (("patch", text("hello")), "`patch` is no patch"),
    ]
}

fn tests_and_scripts(text: impl Fn(&str) -> Option<Value>) -> Vec<(Spoiled, &'static str)> {
    vec![
        (("FAIL_TO_PASS", None), "`FAIL_TO_PASS` is missing"),
        (
            ("FAIL_TO_PASS", Some(json!([]))),
            "`FAIL_TO_PASS` lists no test: nothing would be measured",
        ),
        (("FAIL_TO_PASS", text("[]")), "`FAIL_TO_PASS` lists no test"),
        (
            ("FAIL_TO_PASS", text("test_a")),
            "`FAIL_TO_PASS` is a text, but not of a JSON list",
        ),
        (
            ("FAIL_TO_PASS", text("{}")),
            "`FAIL_TO_PASS` must be a list of tests, but is a table",
        ),
        (
            ("PASS_TO_PASS", Some(json!([1]))),
            "`PASS_TO_PASS` lists a number, which is no test",
        ),
        (
            ("PASS_TO_PASS", Some(json!(true))),
            "`PASS_TO_PASS` must be a list of tests",
        ),
        (("eval_script", None), "`eval_script` is missing"),
        (("log_parser", None), "`log_parser` is missing"),
        (("eval_type", None), "`eval_type` is missing"),
        (
            ("log_parser", text("parse_log_x")),
            "`log_parser` `parse_log_x` is not known",
        ),
        (
            ("eval_type", text("all")),
            "`eval_type` is neither `pass_and_fail` nor `fail_only`",
        ),
        (
            ("eval_script", text("echo '>>>>> Start Test Output'")),
            "`eval_script` does not print `>>>>> End Test Output`",
        ),
        (
            ("eval_script", text("pytest")),
            "`eval_script` does not print `>>>>> Start Test Output`",
        ),
        (
            ("image", text("a b")),
            "`image` is no name of an image: `a b`",
        ),
        (
            ("image", text("-x")),
            "`image` is no name of an image: `-x`",
        ),
        (
            ("image_assets", text("{")),
            "`image_assets` is a text, but no JSON",
        ),
        (
            ("image_assets", Some(json!([]))),
            "`image_assets` must be a table of lists",
        ),
        (
            ("image_assets", Some(json!({"patch": [{"path": "../x"}]}))),
            "`image_assets` path `../x` has a `..` component",
        ),
        (
            ("image_assets", Some(json!({"patch": [{"url": "x"}]}))),
            "`image_assets` lists a file without a `path`",
        ),
        (
            ("version", Some(json!(1.5))),
            "`version` must be a text, but is a number",
        ),
    ]
}

#[test]
fn a_bad_row_is_a_sentence_and_leaves_nothing() {
    let world = World::new();
    for ((key, value), message) in spoiled() {
        let mut row = row();
        match value {
            Some(value) => row.insert(key.to_owned(), value),
            None => row.shift_remove(key),
        };
        let rows = world.rows("rows.jsonl", &json!(row).to_string());
        let out = world.path("out");
        let error = import(&rows, &out, &Selection::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}\nis not\n{message}");
        assert!(error.contains("line 1"), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn files_that_hold_no_rows_are_sentences() {
    let world = World::new();
    let good = json!(row()).to_string();
    let mut old = row();
    for key in ["eval_script", "log_parser", "eval_type"] {
        old.shift_remove(key);
    }
    for (name, text, message) in [
        ("a.jsonl", String::new(), "holds no row"),
        ("b.jsonl", "\n\n".to_owned(), "holds no row"),
        ("c.jsonl", format!("{good}\n{{"), "line 2 is no JSON"),
        ("d.json", "{".to_owned(), "is no JSON"),
        ("e.json", "[]".to_owned(), "gives no instance"),
        (
            "f.json",
            "3".to_owned(),
            "must hold a list of rows, but holds a number",
        ),
        (
            "g.json",
            "[3]".to_owned(),
            "the row is no JSON object, but a number",
        ),
        (
            "h.json",
            "{}".to_owned(),
            "must hold a list of rows, but holds a table",
        ),
        (
            "i.jsonl",
            format!("{good}\n{good}"),
            "instance `owner__name-1` is there twice",
        ),
        (
            "j.parquet",
            "PAR1nonsensePAR1".to_owned(),
            "is no Parquet that can be read",
        ),
        (
            "k.jsonl",
            json!(old).to_string(),
            "no test commands are known for the repository `owner/name`",
        ),
        ("m/tasks/x/task.yaml", "a: [".to_owned(), "is no YAML"),
        ("n/tasks/x/task.yaml", "- a".to_owned(), "is no table"),
        ("o/tasks/x/task.yaml", "a: b".to_owned(), "could not read"),
        (
            "p/tasks/x/none",
            "a: b".to_owned(),
            "holds no `tasks/*/task.yaml`",
        ),
        ("q/none", "a: b".to_owned(), "without `tasks/`"),
    ] {
        let rows = world.rows(name, &text);
        let first = name.split('/').next().unwrap();
        let rows = if name.contains('/') {
            world.path(first)
        } else {
            rows
        };
        let out = world.path("out");
        let error = import(&rows, &out, &Selection::default()).unwrap_err();
        assert!(
            error.to_string().contains(message),
            "{error}\nis not\n{message}"
        );
        assert!(!out.exists());
    }
    let error = import(&world.path("no"), &world.path("out"), &Selection::default()).unwrap_err();
    assert!(error.to_string().starts_with("could not read"), "{error}");
    let bytes = world.path("bytes.jsonl");
    durable::write(&bytes, b"\xff\xfe").unwrap();
    let error = import(&bytes, &world.path("out"), &Selection::default()).unwrap_err();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

#[test]
fn a_task_that_cannot_be_graded_is_refused() {
    let world = World::new();
    let rows = world.rows("rows.jsonl", &json!(row()).to_string());
    let load = |file: &str, text: Option<&str>, from: &str, to: &str| {
        let out = world.path("out");
        import(&rows, &out, &Selection::default()).unwrap();
        let task = out.join("owner__name-1");
        let manifest = fs::read_to_string(task.join("task.toml")).unwrap();
        assert!(manifest.contains(from));
        put(&task.join("task.toml"), &manifest.replacen(from, to, 1));
        match text {
            Some(text) => put(&task.join(file), text),
            None => fs::remove_file(task.join(file)).unwrap(),
        }
        let loaded = Task::load(&task);
        put(&task.join(file), "");
        loaded
    };
    let row = "tests/row.json";
    let good = json!(row_of_facts()).to_string();
    let task = load(row, Some(&good), "", "").unwrap();
    assert!(matches!(task.grader, Grader::Swebench(_)));
    assert_eq!(task.delivery, Delivery::Folder);
    assert_eq!(task.image.as_deref(), Some("local/name:1"));
    assert_eq!(task.warnings, Vec::<String>::new());
    for (text, from, to, message) in [
        (None, "", "", "`tests/row.json` is missing"),
        (Some("{"), "", "", "tests/row.json: is no JSON"),
        (
            Some("{}"),
            "",
            "",
            "tests/row.json: `log_parser` is missing",
        ),
        (
            Some(good.as_str()),
            "\"swebench\"",
            "\"mine\"",
            "`metadata.dgm.grader`: `mine` is not known; there is `swebench`",
        ),
        (
            Some(good.as_str()),
            "pass_mark",
            "workspace = \"environment/x\"\npass_mark",
            "`metadata.dgm.grader`: `swebench` needs the files of an image: leave `workspace` out",
        ),
    ] {
        let error = load(row, text, from, to).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\nis not\n{message}");
    }
}

/// What a grader needs of a row.
fn row_of_facts() -> Map<String, Value> {
    let keys = [
        "instance_id",
        "log_parser",
        "eval_type",
        "FAIL_TO_PASS",
        "PASS_TO_PASS",
    ];
    let mut facts = row();
    facts.retain(|key, _| keys.contains(&key.as_str()));
    facts
}
