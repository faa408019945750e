//! The tiny instance through the whole program: an agent answers it, the answer is kept, judged
//! again and exported.

use super::run::{IMAGE, built, new};
use crate::support::Program;
use dgm::archive::{Reader, Writer};
use dgm::domain::{Evaluation, VariantId};
use dgm::sys::durable;
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder with the benchmark, a configuration and an agent that runs a script.
pub(super) struct Whole(TempDir);

/// Evaluates the agent; the archive is made if it is not there.
const EVAL: &str =
    "eval --agent agent --benchmark bench --out found --config config.toml --sandbox docker";

impl Whole {
    pub(super) async fn new(script: &str) -> Self {
        // Short, because paths of sockets below it may have no more than 107 bytes.
        let folder = tempfile::Builder::new().prefix("dgm-").tempdir_in("/tmp");
        let whole = Self(folder.unwrap());
        let models = ["diagnose", "modify", "solve"].map(|role| {
            format!(
                "[models.{role}]\nprovider = \"command\"\nmodel = \"m\"\nfree = true\n\
                 command = [\"/bin/false\"]\n"
            )
        });
        let config = format!(
            "stages = []\n[benchmark]\npath = \"bench\"\n{}",
            models.concat()
        );
        std::fs::create_dir(whole.path("agent")).unwrap();
        whole.write("config.toml", &config);
        whole.write("rows.jsonl", &new(built().await).to_string());
        whole.write(
            "agent/agent.toml",
            "[agent]\nname = \"script\"\nprotocol = 1\ncommand = [\"sh\", \"/agent/solve.sh\"]\n",
        );
        whole.write("agent/solve.sh", script);
        whole.dgm("bench import swebench rows.jsonl bench");
        whole
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        durable::write(&self.path(name), text.as_bytes()).unwrap();
    }

    /// Runs a command line that must succeed; returns its data.
    pub(super) fn dgm(&self, line: &str) -> String {
        let mut program = Program::new(self.0.path());
        for name in ["PATH", "DOCKER_HOST"] {
            if let Ok(value) = std::env::var(name) {
                program = program.env(name, &value);
            }
        }
        let output = program.output(line);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {talk}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Evaluates the agent, or has its answers judged again.
    pub(super) fn eval(&self, more: &str) -> Value {
        serde_json::from_str(&self.dgm(&format!("{EVAL} {more} --json"))).unwrap()
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::open(&self.path("found")).unwrap()
    }

    /// The only evaluation.
    pub(super) fn evaluation(&self) -> Evaluation {
        let lineage = self.reader().lineage().unwrap();
        let mut all = lineage.evaluations_of(VariantId::SEED);
        all.next().expect("there is one").clone()
    }
}

/// Edits a file, deletes one, writes a new one and changes a mode: all that a patch tells apart.
const SOLVE: &str = "sed -i 's/a - b/a + b/' mathy.py\nrm notes.txt\nprintf 'new\\n' >new.txt\n\
                     chmod +x windows.txt\n";

#[tokio::test]
async fn a_kept_answer_is_judged_again_as_it_was() {
    let whole = Whole::new(SOLVE).await;
    let found = whole.eval("");
    assert_eq!(found["score"]["resolved"], 1, "{found}");
    let again = whole.eval("--regrade=all");
    assert_eq!(again["regrade"]["judged"], 1, "{again}");
    assert_eq!(again["regrade"]["changed"], Value::Array(Vec::new()));
    assert_eq!(again["score"]["resolved"], 1, "{again}");
    // An answer that does not say what the files were like: nothing can be said of it, least of
    // all that it fails.
    let evaluation = whole.evaluation();
    let lineage = whole.reader().lineage().unwrap();
    let kept = lineage.answer(&evaluation.key).unwrap();
    let older = without_the_files_as_they_were(&whole.reader().blob(kept).unwrap());
    let older = Writer::open(&whole.path("found")).unwrap().put_blob(&older);
    let database = Connection::open(whole.path("found/archive.db")).unwrap();
    let appended = "DROP TRIGGER answer_no_update";
    database.execute(appended, []).unwrap();
    let changed = database.execute(
        "UPDATE answer SET answer_blob = ?1",
        [older.unwrap().as_str()],
    );
    assert_eq!(changed, Ok(1));
    let left = whole.eval("--regrade=all");
    let judged = &left["tasks"][0]["evaluations"][0];
    assert_eq!(judged["outcome"], "verifier_error", "{left}");
    assert_eq!(judged["no_reward"], "no_answer", "{left}");
    assert_eq!(left["score"]["counted"], 0, "{left}");
}

/// What no diff for people tells: binary content, another encoding, a large text, another name.
const ODD: &str = "sed -i 's/a - b/a + b/' mathy.py\nprintf 'caf\\351\\n' >latin.txt\n\
                   git mv notes.txt 'a note'\nprintf '\\000\\001' >bin\nseq 1 800000 >large.txt\n";

#[tokio::test]
async fn a_prediction_is_the_patch_that_was_judged() {
    let whole = Whole::new(ODD).await;
    let found = whole.eval("");
    assert_eq!(found["score"]["resolved"], 1, "{found}");
    let exported = whole.dgm("export found seed --format predictions");
    let prediction: Value = serde_json::from_str(&exported).unwrap();
    let patch = prediction["model_patch"].as_str().unwrap();
    let kept = whole.evaluation().patch.unwrap();
    assert_eq!(patch.as_bytes(), whole.reader().blob(&kept).unwrap());
    // Applied to the repository it makes what the agent left, byte for byte.
    let look = "cd /testbed && git apply - && git add -A && git status --porcelain && sha256sum \
                latin.txt 'a note' bin large.txt";
    let mut docker = Command::new("docker")
        .args([
            "run",
            "--rm",
            "-i",
            "--network",
            "none",
            IMAGE,
            "sh",
            "-c",
            look,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    docker
        .stdin
        .take()
        .unwrap()
        .write_all(patch.as_bytes())
        .unwrap();
    let output = docker.wait_with_output().unwrap();
    assert!(output.status.success());
    let large: String = (1..=800_000).map(|number| format!("{number}\n")).collect();
    let notes = "first\nsecond\nthird\nfourth\nfifth\nsixth\nseventh\neighth\n";
    let files: [(&str, &[u8]); 4] = [
        ("latin.txt", b"caf\xe9\n"),
        ("a note", notes.as_bytes()),
        ("bin", b"\x00\x01"),
        ("large.txt", large.as_bytes()),
    ];
    let sums = files.map(|(name, bytes)| {
        let digest = Sha256::digest(bytes);
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digits}  {name}\n")
    });
    let changes = "A  bin\nA  large.txt\nM  latin.txt\nM  mathy.py\nR  notes.txt -> \"a note\"\n";
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = said.split_inclusive('\n').take(5).collect();
    lines.sort_by_key(|line| line[3..].trim_start_matches('"'));
    assert_eq!(lines.concat(), changes);
    assert!(said.ends_with(&sums.concat()), "{said}");
}

/// Returns a kept answer as it was kept before the files that it replaces were kept, too.
fn without_the_files_as_they_were(kept: &[u8]) -> Vec<u8> {
    let mut older = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(kept).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name.starts_with("before/") {
            continue;
        }
        if name == "answer.json" {
            let mut about: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(about["before"], 3, "{about} says how many there are");
            about.as_object_mut().unwrap().shift_remove("before");
            bytes = about.to_string().into_bytes();
        }
        let mut header = entry.header().clone();
        header.set_size(bytes.len() as u64);
        older.append_data(&mut header, name, &*bytes).unwrap();
    }
    older.into_inner().unwrap()
}
