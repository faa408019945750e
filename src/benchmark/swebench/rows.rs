//! Rows from wherever they lie: JSON, lines of JSON, Parquet, task repositories.
//!
//! Line ends are kept as they are: a patch that changes `\r\n` applies only so.

use super::facts::kind;
use super::instance::Beside;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// Files of a task that hold one column each.
const COLUMNS: [(&str, &str, bool); 5] = [
    ("patch", "gold.patch", true),
    ("test_patch", "test.patch", true),
    ("eval_script", "eval.sh", true),
    ("problem_statement", "problem_statement.md", true),
    ("hints_text", "hints.md", false),
];

/// Split of a task repository that is never published, whatever the others are.
const DEPRECATED: &str = "deprecated";
/// Split of a task repository that is published where it does not say which are.
const TEST: &str = "test";

/// Most bytes of the files beside a row.
const MOST_BESIDE: u64 = 64 << 20;

/// A row, and where it comes from.
#[derive(Debug)]
pub(super) struct Found {
    /// For messages: `line 3`, `row 7`, `tasks/x`.
    pub(super) place: String,
    pub(super) row: Value,
    pub(super) beside: Beside,
    /// Whether it belongs to the dataset. A task repository also has what was taken out of it.
    pub(super) is_published: bool,
}

impl Found {
    /// Returns a row of a file, which has none but published ones.
    fn of(place: String, row: Value) -> Self {
        Self {
            place,
            row,
            beside: Beside::new(),
            is_published: true,
        }
    }
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// They cannot be opened.
    #[error("could not read `{path}`")]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// They are not what they should be.
    #[error("`{path}`: {why}")]
    Format {
        /// What.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Reads all rows.
pub(super) fn read(path: &Path) -> Result<Vec<Found>, RowsError> {
    if path.is_dir() {
        if path.join("tasks").is_dir() {
            return task_repository(path);
        }
        return from_parts(path);
    }
    let bytes = fs::read(path).map_err(|source| unread(path, source))?;
    if bytes.starts_with(b"PAR1") {
        return from_parquet(path, "");
    }
    let text = String::from_utf8(bytes).map_err(|_| format(path, "is not UTF-8"))?;
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    if ["jsonl", "ndjson"].contains(&&*ending) {
        return from_lines(path, &text);
    }
    match serde_json::from_str(&text) {
        Ok(value) => from_json(path, value),
        Err(error) if ending == "json" => Err(format(path, &format!("is no JSON: {error}"))),
        Err(_) => from_lines(path, &text),
    }
}

fn from_json(path: &Path, value: Value) -> Result<Vec<Found>, RowsError> {
    let found = |(index, row): (usize, Value)| Found::of(format!("row {}", index + 1), row);
    match value {
        Value::Array(rows) => Ok(rows.into_iter().enumerate().map(found).collect()),
        Value::Object(row) if row.contains_key("instance_id") => {
            Ok(vec![found((0, Value::Object(row)))])
        }
        // Keyed by id, as predictions often are.
        Value::Object(rows) if rows.values().all(Value::is_object) && !rows.is_empty() => Ok(rows
            .into_iter()
            .map(|(_, row)| row)
            .enumerate()
            .map(found)
            .collect()),
        other => Err(format(
            path,
            &format!("must hold a list of rows, but holds {}", kind(&other)),
        )),
    }
}

fn from_lines(path: &Path, text: &str) -> Result<Vec<Found>, RowsError> {
    let mut rows = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = format!("line {}", index + 1);
        let row = serde_json::from_str(line)
            .map_err(|error| format(path, &format!("{place} is no JSON: {error}")))?;
        rows.push(Found::of(place, row));
    }
    if rows.is_empty() {
        return Err(format(path, "holds no row"));
    }
    Ok(rows)
}

/// Reads the Parquet files of the split `test` in a folder.
fn from_parts(folder: &Path) -> Result<Vec<Found>, RowsError> {
    let parts = parts_of(folder)?;
    let mut rows = Vec::new();
    for part in &parts {
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        let of = match parts.len() {
            1 => String::new(),
            _ => format!(" of `{name}`"),
        };
        rows.extend(from_parquet(part, &of)?);
    }
    Ok(rows)
}

/// Returns the Parquet files of the split `test`, under each name that it has in the wild, in
/// order.
fn parts_of(folder: &Path) -> Result<Vec<PathBuf>, RowsError> {
    for folder in [folder.to_owned(), folder.join("data")] {
        if !folder.is_dir() {
            continue;
        }
        let mut parts = Vec::new();
        let mut total = 0;
        for entry in entries(&folder)? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if name == "test.parquet" {
                return Ok(vec![entry]);
            }
            if let Some(of) = part_of(&name) {
                total = total.max(of);
                parts.push(entry);
            }
        }
        // A part that is missing would be a smaller benchmark under the same name.
        if parts.len() != total {
            let why = format!("holds {} of {total} files of the split `test`", parts.len());
            return Err(format(&folder, &why));
        }
        if !parts.is_empty() {
            return Ok(parts);
        }
    }
    Err(format(
        folder,
        "is a folder without `tasks/` and without a Parquet file of the split `test`",
    ))
}

/// Returns of how many files one is a part: `test-00000-of-00002.parquet`, perhaps with a digest
/// before the dot.
fn part_of(name: &str) -> Option<usize> {
    let name = name.strip_prefix("test-")?.strip_suffix(".parquet")?;
    let (number, rest) = name.split_once("-of-")?;
    let total = rest.split_once('-').map_or(rest, |(total, _)| total);
    number.parse::<usize>().ok()?;
    total.parse().ok()
}

/// Reads a Parquet file; `of` says in messages which one of several.
fn from_parquet(path: &Path, of: &str) -> Result<Vec<Found>, RowsError> {
    let wrong = |error: parquet::errors::ParquetError| {
        format(path, &format!("is no Parquet that can be read: {error}"))
    };
    let file = File::open(path).map_err(|source| unread(path, source))?;
    let reader = SerializedFileReader::new(file).map_err(wrong)?;
    let mut rows = Vec::new();
    for (index, row) in reader.get_row_iter(None).map_err(wrong)?.enumerate() {
        let place = format!("row {}{of}", index + 1);
        rows.push(Found::of(place, table(&row.map_err(wrong)?)));
    }
    Ok(rows)
}

fn table(row: &Row) -> Value {
    let columns = row.get_column_iter();
    Value::Object(
        columns
            .map(|(name, field)| (name.clone(), json(field)))
            .collect(),
    )
}

/// Columns that a row of SWE-bench has are texts, numbers, lists and tables.
fn json(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float(value) => float(f64::from(*value)),
        Field::Double(value) => float(*value),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes.data()).into_owned()),
        Field::Group(row) => table(row),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(json).collect()),
        Field::MapInternal(map) => Value::Object(
            map.entries()
                .iter()
                .map(|(key, value)| (key.to_string(), json(value)))
                .collect(),
        ),
        // Dates and decimals: no column that is read holds any.
        other => Value::String(other.to_string()),
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A folder `tasks/` with a folder for each instance.
fn task_repository(path: &Path) -> Result<Vec<Found>, RowsError> {
    let splits = splits_of(path)?;
    let mut rows = Vec::new();
    for folder in entries(&path.join("tasks"))? {
        if folder.join("task.yaml").is_file() {
            let mut found = task(&folder)?;
            let split = found
                .row
                .get("split")
                .and_then(Value::as_str)
                .unwrap_or(TEST);
            found.is_published = split != DEPRECATED && splits.iter().any(|known| known == split);
            rows.push(found);
        }
    }
    if rows.is_empty() {
        return Err(format(path, "holds no `tasks/*/task.yaml`"));
    }
    Ok(rows)
}

/// Returns the splits that a task repository publishes.
fn splits_of(repository: &Path) -> Result<Vec<String>, RowsError> {
    let file = repository.join("sweb.yaml");
    if !file.is_file() {
        return Ok(vec![TEST.to_owned()]);
    }
    let text = fs::read_to_string(&file).map_err(|source| unread(&file, source))?;
    let documents = YamlLoader::load_from_str(&text)
        .map_err(|error| format(&file, &format!("is no YAML: {error}")))?;
    let splits = documents.first().map(|document| &document["splits"]);
    match splits {
        None | Some(Yaml::BadValue | Yaml::Null) => Ok(vec![TEST.to_owned()]),
        Some(Yaml::Array(list)) => {
            let names = list.iter().map(|name| name.as_str().map(str::to_owned));
            let names: Option<Vec<String>> = names.collect();
            names.ok_or_else(|| format(&file, "must list names as `splits`"))
        }
        Some(_) => Err(format(&file, "must list names as `splits`")),
    }
}

fn task(folder: &Path) -> Result<Found, RowsError> {
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|source| unread(&path, source))?;
        String::from_utf8(bytes).map_err(|_| format(&path, "is not UTF-8"))
    };
    let yaml = read("task.yaml")?;
    let documents = YamlLoader::load_from_str(&yaml)
        .map_err(|error| format(&folder.join("task.yaml"), &format!("is no YAML: {error}")))?;
    let Some(Value::Object(mut row)) = documents.first().map(from_yaml) else {
        return Err(format(&folder.join("task.yaml"), "is no table"));
    };
    for (column, name, required) in COLUMNS {
        if required || folder.join(name).is_file() {
            row.insert(column.to_owned(), Value::String(read(name)?));
        }
    }
    let tests: Map<String, Value> =
        serde_json::from_str(&read("tests.json")?).map_err(|error| {
            format(
                &folder.join("tests.json"),
                &format!("is no JSON object: {error}"),
            )
        })?;
    row.extend(tests);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut beside = Beside::new();
    let assets = folder.join("test_assets");
    if assets.is_dir() {
        let mut left = MOST_BESIDE;
        gather(&assets, "", &mut beside, &mut left)?;
    }
    Ok(Found {
        place: format!("tasks/{name}"),
        row: Value::Object(row),
        beside,
        is_published: true,
    })
}

/// Reads regular files; a link could lead anywhere.
fn gather(
    folder: &Path,
    prefix: &str,
    beside: &mut Beside,
    left: &mut u64,
) -> Result<(), RowsError> {
    for path in entries(folder)? {
        let metadata = fs::symlink_metadata(&path).map_err(|source| unread(&path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{name}");
        if metadata.is_dir() {
            gather(&path, &format!("{name}/"), beside, left)?;
        } else if metadata.is_file() {
            *left = left
                .checked_sub(metadata.len())
                .ok_or_else(|| format(folder, &format!("holds more than {MOST_BESIDE} bytes")))?;
            let bytes = fs::read(&path).map_err(|source| unread(&path, source))?;
            beside.insert(name, bytes);
        } else {
            return Err(format(&path, "is no regular file"));
        }
    }
    Ok(())
}

/// A version such as `3.10` is a text even where nobody quoted it.
fn from_yaml(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Real(text) | Yaml::String(text) => Value::String(text.clone()),
        Yaml::Integer(number) => Value::String(number.to_string()),
        Yaml::Boolean(value) => Value::Bool(*value),
        Yaml::Array(list) => Value::Array(list.iter().map(from_yaml).collect()),
        Yaml::Hash(table) => Value::Object(
            table
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), from_yaml(value))))
                .collect(),
        ),
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, RowsError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| unread(folder, source))? {
        paths.push(entry.map_err(|source| unread(folder, source))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn unread(path: &Path, source: io::Error) -> RowsError {
    RowsError::Read {
        path: path.to_owned(),
        source,
    }
}

fn format(path: &Path, why: &str) -> RowsError {
    RowsError::Format {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}
