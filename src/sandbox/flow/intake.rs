//! The host's side of a run: takes what the runner, or whatever imitates it, sends.

use crate::sandbox::{Ended, Exit, SandboxError, Spec, archive};
use anyhow::anyhow;
use std::time::Duration;

/// Time within which a sandbox must have started its command.
const SETUP: Duration = Duration::from_secs(120);
/// Time for collecting after the command's deadline, unless a backend says otherwise.
pub(in crate::sandbox) const GRACE: Duration = Duration::from_secs(20);
/// Bytes within which the runner's first two lines must end.
const LINE_MAX: usize = 64;
/// The tick of `/proc/uptime`, twice.
const TICKS: Duration = Duration::from_millis(20);

/// What the runner's two output streams have brought so far.
#[derive(Debug)]
pub(in crate::sandbox) struct Intake {
    stdout: Vec<u8>,
    stdout_max: usize,
    log: KeptLog,
    grace: Duration,
    setup: Duration,
}

/// Whether a backend should read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Want {
    /// Yes.
    More,
    /// No: nothing further would be kept. The sandbox can be killed at once.
    Nothing,
}

/// What the backend knows about the end of the runner.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sandbox) struct SeenEnd {
    /// Exit code of the runner (128 + n: by signal n), where it is known.
    pub(in crate::sandbox) code: Option<i32>,
    /// Whether the memory limit killed some process.
    pub(in crate::sandbox) oom: bool,
    /// Whether the sandbox was killed because [`Intake::limit`] had passed.
    pub(in crate::sandbox) late: bool,
    /// Whether it was killed because more had been written than the disk limit allows.
    pub(in crate::sandbox) full: bool,
}

impl Intake {
    /// Returns one that has seen nothing; `grace` is the time for collecting.
    pub(in crate::sandbox) fn new(spec: &Spec, grace: Duration) -> Self {
        let limits = &spec.limits;
        // Each file brings a header and a rest of a block, some a long name.
        let overhead = limits
            .collect_files
            .saturating_mul(1536)
            .saturating_add(1 << 20);
        let content = usize::try_from(limits.collect).unwrap_or(usize::MAX);
        Self {
            stdout: Vec::new(),
            stdout_max: content.saturating_add(overhead),
            log: KeptLog::new(limits.log),
            grace,
            setup: spec.root.image().map_or(SETUP, |root| root.setup),
        }
    }

    /// Takes bytes of the runner's standard output.
    pub(in crate::sandbox) fn stdout(&mut self, bytes: &[u8]) -> Want {
        let free = self.stdout_max - self.stdout.len();
        self.stdout
            .extend_from_slice(&bytes[..bytes.len().min(free)]);
        if bytes.len() > free {
            Want::Nothing
        } else {
            Want::More
        }
    }

    /// Takes bytes of the runner's standard error.
    pub(in crate::sandbox) fn stderr(&mut self, bytes: &[u8]) {
        self.log.push(bytes);
    }

    /// Returns whether the command was started.
    pub(in crate::sandbox) fn started(&self) -> bool {
        self.streams().is_some()
    }

    /// Returns how long the present phase may last, counted from its begin: setting up until
    /// [`Self::started`] turns true, from then on command and collecting. The backend kills
    /// the sandbox when it has passed.
    pub(in crate::sandbox) fn limit(&self, deadline: Duration) -> Duration {
        if self.started() {
            deadline.saturating_add(self.grace)
        } else {
            self.setup
        }
    }

    /// Returns what the run left; the sandbox is dead and both streams have ended.
    pub(in crate::sandbox) fn finish(
        self,
        spec: &Spec,
        seen: SeenEnd,
        took: Duration,
    ) -> Result<Ended, SandboxError> {
        let Some((begun, rest)) = self.streams() else {
            return Err(self.not_started(spec, seen));
        };
        let end = RunnerLine::read(rest, "dgm-end ").and_then(|line| {
            let (code, uptime) = line.text.split_once(' ')?;
            let elapsed = seconds(uptime)?.saturating_sub(begun);
            Some((code.parse::<i32>().ok()?, elapsed, line.rest))
        });
        let (exit, tar) = match end {
            _ if seen.full => (Exit::OutOfDisk, end.map(|(.., tar)| tar)),
            _ if seen.late => (Exit::TimedOut, end.map(|(.., tar)| tar)),
            Some((code, ..)) if code != 0 && seen.oom => {
                (Exit::OutOfMemory, end.map(|(.., tar)| tar))
            }
            Some((137, elapsed, tar)) if elapsed.saturating_add(TICKS) >= spec.deadline => {
                (Exit::TimedOut, Some(tar))
            }
            Some((code, _, tar)) => (Exit::Code(code), Some(tar)),
            None if seen.oom => (Exit::OutOfMemory, None),
            None => (Exit::Code(seen.code.unwrap_or(137)), None),
        };
        let (tar, status) = split_status(tar.unwrap_or_default());
        let mut collected = archive::read(tar, status.is_some(), &spec.collect, &spec.limits);
        if status.is_some_and(|status| status != 0)
            && let Some(first) = collected.first_mut()
        {
            first
                .refused
                .push("some files could not be read; the log's end says which".to_owned());
        }
        let (log, log_total) = self.log.finish();
        Ok(Ended {
            exit,
            log,
            log_total,
            collected,
            difference: None,
            taken: Vec::new(),
            state: None,
            layer: None,
            took,
        })
    }

    /// Returns the uptime at the command's start, and what came after the first line.
    fn streams(&self) -> Option<(Duration, &[u8])> {
        let line = RunnerLine::read(&self.stdout, "dgm-run 1 ")?;
        Some((seconds(line.text)?, line.rest))
    }

    fn not_started(self, spec: &Spec, seen: SeenEnd) -> SandboxError {
        let (log, _) = self.log.finish();
        let text = String::from_utf8_lossy(&log);
        let source = match (text.trim(), seen.code) {
            _ if seen.full => anyhow!("it wrote more than the disk limit allows"),
            _ if seen.late => anyhow!("it was not ready within {} seconds", self.setup.as_secs()),
            ("", Some(code)) => anyhow!("it ended with exit code {code}"),
            ("", None) => anyhow!("it ended without a word"),
            (text, _) => anyhow!("{}", text.to_owned()),
        };
        SandboxError::Failed {
            what: format!("could not set up the sandbox of `{}`", spec.job),
            source,
        }
    }
}

/// One of the runner's own lines, without its keyword.
struct RunnerLine<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> RunnerLine<'a> {
    fn read(bytes: &'a [u8], keyword: &str) -> Option<Self> {
        let head = &bytes[..bytes.len().min(LINE_MAX)];
        let end = head.iter().position(|byte| *byte == b'\n')?;
        let text = std::str::from_utf8(&head[..end]).ok()?;
        Some(Self {
            text: text.strip_prefix(keyword)?,
            rest: &bytes[end + 1..],
        })
    }
}

/// Splits the runner's last line off; the status of its `tar`, if the line is there.
fn split_status(bytes: &[u8]) -> (&[u8], Option<i32>) {
    const KEYWORD: &[u8] = b"dgm-tar ";
    let tail = &bytes[bytes.len().saturating_sub(LINE_MAX)..];
    let Some(at) = tail
        .windows(KEYWORD.len())
        .rposition(|window| window == KEYWORD)
    else {
        return (bytes, None);
    };
    let status = std::str::from_utf8(&tail[at + KEYWORD.len()..])
        .ok()
        .and_then(|text| text.strip_suffix('\n')?.parse().ok());
    match status {
        Some(status) => (&bytes[..bytes.len() - tail.len() + at], Some(status)),
        None => (bytes, None),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// A log of bounded size: its head, its tail, and how long it was.
#[derive(Debug)]
struct KeptLog {
    half: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
}

impl KeptLog {
    fn new(limit: u64) -> Self {
        Self {
            half: usize::try_from(limit / 2).unwrap_or(usize::MAX),
            head: Vec::new(),
            tail: Vec::new(),
            total: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, tail) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(tail);
        // Cutting only once it has doubled moves each byte at most twice.
        if self.tail.len() > self.half.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let surplus = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..surplus);
    }

    fn finish(mut self) -> (Vec<u8>, u64) {
        self.cut();
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut log = self.head;
        if kept < self.total {
            let note = format!("\n[… {} bytes cut …]\n", self.total - kept);
            log.extend_from_slice(note.as_bytes());
        }
        log.extend_from_slice(&self.tail);
        (log, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::{GRACE, Intake, SeenEnd, Want};
    use crate::domain::{FileTree, TreePath};
    use crate::sandbox::{Ended, Exit, Limits, Placed, Root, SandboxError, Spec, archive};
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn spec() -> Spec {
        Spec {
            job: "t".to_owned(),
            image: None,
            agent: None,
            placed: Vec::new(),
            root: Root::Sealed,
            workdir: Some("/work".to_owned()),
            writable: Vec::new(),
            command: vec!["true".to_owned()],
            env: Vec::new(),
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_secs(10),
            collect: vec!["/work".to_owned()],
            limits: Limits {
                log: 100,
                collect: 4096,
                collect_files: 1,
                ..Limits::default()
            },
        }
    }

    fn tar() -> Vec<u8> {
        let mut files = FileTree::new();
        files.insert(TreePath::new("a").expect("good"), *b"text", false);
        let placed = Placed {
            at: "/work".to_owned(),
            files: Arc::new(files),
        };
        archive::write(&[placed]).expect("memory takes it")
    }

    fn end(parts: &[&[u8]], seen: SeenEnd) -> Result<Ended, SandboxError> {
        let mut intake = Intake::new(&spec(), GRACE);
        for part in parts {
            intake.stdout(part);
        }
        intake.finish(&spec(), seen, Duration::ZERO)
    }

    const START: &[u8] = b"dgm-run 1 100.25\n";

    #[test]
    fn tells_how_the_command_ended() {
        let code = |code| SeenEnd {
            code: Some(code),
            ..SeenEnd::default()
        };
        let oom = SeenEnd {
            oom: true,
            ..code(0)
        };
        let late = SeenEnd {
            late: true,
            ..code(0)
        };
        let cases: [(&[u8], SeenEnd, Exit); 8] = [
            (b"dgm-end 3 101.00\n", code(3), Exit::Code(3)),
            (b"dgm-end 137 101.00\n", code(137), Exit::Code(137)),
            (b"dgm-end 137 110.24\n", code(137), Exit::TimedOut),
            (b"dgm-end 0 110.24\n", code(0), Exit::Code(0)),
            (b"dgm-end 0 101.00\n", oom, Exit::Code(0)),
            (b"dgm-end 1 101.00\n", oom, Exit::OutOfMemory),
            (b"", code(137), Exit::Code(137)),
            (b"", late, Exit::TimedOut),
        ];
        for (line, seen, exit) in cases {
            let ended = end(&[START, line, &tar(), b"dgm-tar 0\n"], seen).unwrap();
            assert_eq!(ended.exit, exit, "{line:?}");
            assert_eq!(ended.collected[0].truncated, line.is_empty(), "{line:?}");
        }
    }

    #[test]
    fn a_stream_without_its_end_is_truncated() {
        let whole = [START, b"dgm-end 0 101.00\n", &tar(), b"dgm-tar 0\n"].concat();
        for length in START.len()..whole.len() {
            let ended = end(&[&whole[..length]], SeenEnd::default()).unwrap();
            assert!(ended.collected[0].truncated, "{length}");
        }
        let ended = end(&[&whole], SeenEnd::default()).unwrap();
        assert!(!ended.collected[0].truncated && ended.collected[0].files.len() == 1);
    }

    #[test]
    fn without_its_first_line_nothing_was_started() {
        let mut intake = Intake::new(&spec(), GRACE);
        intake.stderr(b"tar: no space left\n");
        assert!(!intake.started());
        let error = intake.finish(&spec(), SeenEnd::default(), Duration::ZERO);
        let error = anyhow::Error::from(error.unwrap_err());
        assert_eq!(
            format!("{error:#}"),
            "could not set up the sandbox of `t`: tar: no space left"
        );
    }

    #[test]
    fn takes_bounded_streams() {
        let mut intake = Intake::new(&spec(), GRACE);
        intake.stdout(START);
        for number in 0..100_000 {
            intake.stderr(format!("{number}\n").as_bytes());
        }
        let block = [0; 65_536];
        let taken = (0..1000).take_while(|_| intake.stdout(&block) == Want::More);
        assert!(taken.count() < 20);
        assert!(intake.stdout.len() <= 4096 + 1536 + (1 << 20));
        let ended = intake
            .finish(&spec(), SeenEnd::default(), Duration::ZERO)
            .unwrap();
        assert_eq!(ended.log_total, 588_890);
        let log = String::from_utf8(ended.log).unwrap();
        assert!(
            log.starts_with("0\n1\n2\n") && log.ends_with("\n99998\n99999\n"),
            "{log}"
        );
        assert!(log.contains("[… 588790 bytes cut …]"), "{log}");
    }

    proptest! {
        #[test]
        fn any_streams_never_panic(
            started in any::<bool>(),
            uptime in "[0-9e.inf-]{0,20}",
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
            late in any::<bool>(),
        ) {
            let mut intake = Intake::new(&spec(), GRACE);
            if started {
                intake.stdout(START);
                intake.stdout(format!("dgm-end 137 {uptime}\n").as_bytes());
            }
            for part in &parts {
                intake.stdout(part);
                intake.stderr(part);
            }
            let seen = SeenEnd { late, ..SeenEnd::default() };
            let ended = intake.finish(&spec(), seen, Duration::ZERO);
            prop_assert_eq!(ended.is_ok(), started);
        }
    }
}
