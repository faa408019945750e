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
