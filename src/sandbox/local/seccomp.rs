//! The system call filter as programs for the kernel. What they answer is said in
//! [`calls`], for every backend.
//!
//! Two programs, because a filter has one answer beside "allowed": the first one answers
//! `ENOSYS` to what is not known, the second one `EPERM` to what is refused. The kernel asks
//! both and obeys the stricter one.

use crate::sandbox::calls::{self, Bits};
use anyhow::Context as _;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

type FilterRules = BTreeMap<i64, Vec<SeccompRule>>;

/// Returns the two filters as the kernel reads them.
pub(super) fn filters() -> anyhow::Result<[Vec<u8>; 2]> {
    let mut refused: FilterRules = calls::refused()
        .map(|call| (call.number, Vec::new()))
        .collect();
    for deciding in calls::deciding() {
        let patterns = deciding.refused.iter();
        let rules = patterns.map(|bits| rule(deciding.argument, *bits));
        refused.insert(deciding.call.number, rules.collect::<Result<_, _>>()?);
    }
    let known = calls::allowed().map(|call| call.number);
    let known: FilterRules = known
        .chain(refused.keys().copied())
        .map(|number| (number, Vec::new()))
        .collect();
    Ok([
        encode(&compile(known, SeccompAction::Allow, errno(libc::ENOSYS))?),
        encode(&compile(refused, errno(libc::EPERM), SeccompAction::Allow)?),
    ])
}

fn rule(argument: u8, bits: Bits) -> anyhow::Result<SeccompRule> {
    let matches = Op::MaskedEq(u64::from(bits.mask));
    let condition = SeccompCondition::new(argument, Len::Dword, matches, u64::from(bits.value))?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

/// Compiles what is answered to the calls of the rules, and to all others.
fn compile(
    rules: FilterRules,
    matched: SeccompAction,
    others: SeccompAction,
) -> anyhow::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .context("there is no system call filter for this processor")?;
    Ok(SeccompFilter::new(rules, others, matched, arch)?.try_into()?)
}

fn encode(program: &[sock_filter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn filters_are_whole_and_within_the_kernel_limit() {
        for filter in super::filters().expect("this processor is supported") {
            assert_eq!(filter.len() % 8, 0);
            assert!(filter.len() / 8 < 4096, "{}", filter.len());
        }
    }
}
