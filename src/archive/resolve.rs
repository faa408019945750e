//! Which variant a name on the command line stands for.

use super::error::{ArchiveError, Result};
use crate::domain::VariantId;
use crate::lineage::Lineage;

/// Fewest digits of a commit's id that are taken as one.
const SHORTEST_PREFIX: usize = 4;

/// Returns the variant that a name stands for: a number (`12` or `#12`), a unique prefix of
/// a commit's id, `seed`, or `best`. Where a number is also a prefix, it is the number.
pub fn resolve(lineage: &Lineage, name: &str) -> Result<VariantId> {
    let name = name.trim();
    if name == "seed" {
        return if lineage.variant(VariantId::SEED).is_some() {
            Ok(VariantId::SEED)
        } else {
            Err(unknown(lineage, "the archive has no seed yet".to_owned()))
        };
    }
    if name == "best" {
        return lineage.best().ok_or_else(|| {
            unknown(
                lineage,
                "no variant is admitted yet, so none is `best`".to_owned(),
            )
        });
    }
    let digits = name.strip_prefix('#').unwrap_or(name);
    let number: Option<VariantId> = digits.parse().ok().map(VariantId);
    if let Some(id) = number.filter(|id| lineage.variant(*id).is_some()) {
        return Ok(id);
    }
    if !name.starts_with('#') && is_prefix(name) {
        match by_prefix(lineage, &name.to_lowercase()).as_slice() {
            [] => {}
            [only] => return Ok(*only),
            several => return Err(ambiguous(lineage, name, several)),
        }
    }
    let problem = match number {
        Some(id) => match lineage.attempt(id).map(|attempt| &attempt.end) {
            Some(Some(end)) => match &end.failure {
                Some((failure, _)) => format!("attempt {id} made no variant: {failure}"),
                None => format!("variant {id} is missing from the archive"),
            },
            Some(None) => format!("attempt {id} has not ended yet"),
            None => format!("there is no variant {id}"),
        },
        None => format!("`{}` names no variant", name.escape_debug()),
    };
    Err(unknown(lineage, problem))
}

fn is_prefix(name: &str) -> bool {
    (SHORTEST_PREFIX..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn by_prefix(lineage: &Lineage, prefix: &str) -> Vec<VariantId> {
    lineage
        .variants()
        .filter(|variant| variant.commit.as_str().starts_with(prefix))
        .map(|variant| variant.id)
        .collect()
}

fn ambiguous(lineage: &Lineage, name: &str, several: &[VariantId]) -> ArchiveError {
    let candidates: Vec<String> = several
        .iter()
        .filter_map(|id| lineage.variant(*id))
        .map(|variant| format!("{} ({})", variant.id, variant.commit.short()))
        .collect();
    ArchiveError::Unknown {
        problem: format!("`{name}` could be any of several variants"),
        hint: format!("use one of {}", candidates.join(", ")),
    }
}

fn unknown(lineage: &Lineage, problem: String) -> ArchiveError {
    let first = lineage.variants().next().map(|variant| variant.id);
    let last = lineage.variants().last().map(|variant| variant.id);
    let hint = match (first, last) {
        (Some(first), Some(last)) if first != last => format!(
            "use a number from {first} to {last}, a commit, `seed` or `best`; `dgm tree` lists them"
        ),
        (Some(only), _) => format!("there is only {only}, the seed, so far"),
        (None, _) => "run `dgm evolve` first".to_owned(),
    };
    ArchiveError::Unknown { problem, hint }
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::domain::{
        AttemptEnd, CommitId, Decision, Entry, Fact, Failure, Gate, RunId, TaskId, TreeId, Variant,
        VariantId, Verdict,
    };
    use crate::lineage::Lineage;

    fn made(id: u32, commit: &str) -> Fact {
        Fact::VariantMade(Variant {
            id: VariantId(id),
            commit: CommitId::new(format!("{commit:0<40}")),
            tree: TreeId::new(""),
            parent: (id > 0).then_some(VariantId::SEED),
            generation: id.min(1),
            summary: String::new(),
            created_ms: 0,
        })
    }

    fn decided(id: u32) -> Fact {
        Fact::Decided(Decision {
            attempt: VariantId(id),
            group: 1,
            parent: VariantId::SEED,
            entry: Entry::Task(TaskId::new("t")),
            policy: String::new(),
            candidates: Vec::new(),
            why: String::new(),
            run: RunId(1),
            at_ms: 0,
        })
    }

    fn failed(id: u32) -> Fact {
        Fact::AttemptEnded(AttemptEnd {
            attempt: VariantId(id),
            failure: Some((Failure::Gate(Gate::Starts), String::new())),
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run: RunId(1),
            execution: 1,
            at_ms: 0,
        })
    }

    /// Returns the number, or the error with its hint.
    fn say(lineage: &Lineage, name: &str) -> String {
        match resolve(lineage, name) {
            Ok(id) => id.to_string(),
            Err(error) => format!("{error} ({})", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn finds_a_variant_by_every_kind_of_name() {
        let lineage = Lineage::from_facts([
            made(0, "abcd0"),
            made(1, "1234a"),
            made(7, "abcd7"),
            Fact::Judged {
                variant: VariantId(7),
                verdict: Verdict::Admitted,
                at_ms: 0,
            },
        ]);
        let table = [
            ("0", "#0"),
            ("#7", "#7"),
            (" 7 ", "#7"),
            ("seed", "#0"),
            ("best", "#7"),
            ("1234", "#1"),
            ("ABCD7", "#7"),
        ];
        for (name, id) in table {
            assert_eq!(say(&lineage, name), id, "{name}");
        }
    }

    #[test]
    fn an_error_says_what_would_be_right() {
        let lineage = Lineage::from_facts([
            made(0, "abcd0"),
            made(1, "abcd1"),
            decided(2),
            failed(2),
            decided(3),
        ]);
        let hint =
            "(use a number from #0 to #1, a commit, `seed` or `best`; `dgm tree` lists them)";
        let table = [
            ("abcd", "`abcd` could be any of several variants (use one of #0 (abcd000000), #1 (abcd100000))".to_owned()),
            ("abc", format!("`abc` names no variant {hint}")),
            ("", format!("`` names no variant {hint}")),
            ("#abcd0", format!("`#abcd0` names no variant {hint}")),
            ("9", format!("there is no variant #9 {hint}")),
            ("99999999999", format!("`99999999999` names no variant {hint}")),
            ("#2", format!("attempt #2 made no variant: does not start {hint}")),
            ("3", format!("attempt #3 has not ended yet {hint}")),
            ("best", format!("no variant is admitted yet, so none is `best` {hint}")),
        ];
        for (name, text) in table {
            assert_eq!(say(&lineage, name), text, "{name}");
        }
        let empty = Lineage::default();
        assert_eq!(
            say(&empty, "seed"),
            "the archive has no seed yet (run `dgm evolve` first)"
        );
    }
}
