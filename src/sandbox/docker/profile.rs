//! The system call filter as the engine reads it. What it answers is said in [`calls`], for
//! every backend.
//!
//! It goes over the wire as text: an engine's own client reads a file, its API does not.
//! Programs for another processor are killed. The processor is named because engines that
//! ignore the default's number answer `ENOSYS` to calls of tomorrow only for named ones.

use crate::sandbox::calls::{self, Bits, SystemCall};
use serde_json::{Value, json};

/// Returns the profile.
pub(super) fn json() -> String {
    let mut rules = vec![
        answer(calls::allowed(), None),
        answer(calls::refused(), Some(libc::EPERM)),
        answer(calls::unknown(), Some(libc::ENOSYS)),
    ];
    for deciding in calls::deciding() {
        for (patterns, errno) in [
            (&deciding.allowed, None),
            (&deciding.refused, Some(libc::EPERM)),
        ] {
            let rule = |bits: &Bits| {
                let mut rule = answer(std::iter::once(deciding.call), errno);
                rule["args"] = json!([{
                    "index": deciding.argument,
                    "op": "SCMP_CMP_MASKED_EQ",
                    "value": bits.mask,
                    "valueTwo": bits.value,
                }]);
                rule
            };
            rules.extend(patterns.iter().map(rule));
        }
    }
    let mut profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::ENOSYS,
        "syscalls": rules,
    });
    // The engine is on this machine. Without a name it takes its own processor, too.
    match std::env::consts::ARCH {
        "x86_64" => profile["architectures"] = json!(["SCMP_ARCH_X86_64"]),
        "aarch64" => profile["architectures"] = json!(["SCMP_ARCH_AARCH64"]),
        _ => {}
    }
    profile.to_string()
}

fn answer(calls: impl Iterator<Item = SystemCall>, errno: Option<i32>) -> Value {
    let names: Vec<&str> = calls.map(SystemCall::name).collect();
    match errno {
        None => json!({"names": names, "action": "SCMP_ACT_ALLOW"}),
        Some(errno) => json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn what_is_not_named_is_not_allowed() {
        let profile: Value = serde_json::from_str(&super::json()).expect("it is JSON");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = profile["syscalls"].as_array().expect("a list");
        let of = |name: &str| {
            let rules = rules.iter().filter(move |rule| {
                let names = rule["names"].as_array().expect("a list");
                names.iter().any(|known| known == name)
            });
            rules.collect::<Vec<_>>()
        };
        assert_eq!(of("ptrace")[0]["errnoRet"], 1);
        assert_eq!(of("clone3")[0]["errnoRet"], 38);
        assert_eq!(of("read")[0]["action"], "SCMP_ACT_ALLOW");
        assert!(
            of("socket")
                .iter()
                .all(|rule| rule["args"][0]["index"] == 0)
        );
        assert!(of("open_tree_attr").is_empty());
    }
}
