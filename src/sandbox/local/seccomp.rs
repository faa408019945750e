//! Which system calls end in an error inside: what could reach the kernel's rarely used parts,
//! another process, or a further namespace.
//!
//! A list of what is denied, not of what is allowed: the commands are any programs, and the
//! namespaces already hide everything that belongs to others. Two programs, because a filter
//! has one answer: `ENOSYS` where a C library then tries the older call, `EPERM` elsewhere.
//! `socket` allows `AF_UNIX` for the gateway, and `AF_INET` and `AF_INET6` because tests start
//! servers on the sandbox's own loopback, which is all the network there is.

use anyhow::Context as _;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

/// Answered with `ENOSYS`.
const UNKNOWN: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
];

/// Answered with `EPERM`.
const DENIED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Calls with this bit are of the x32 convention, which the numbers above do not cover.
const X32: u32 = 0x4000_0000;

/// Returns the two filters as the kernel reads them.
pub(super) fn filters() -> anyhow::Result<[Vec<u8>; 2]> {
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|call| (*call, Vec::new())).collect();
    denied.insert(libc::SYS_socket, vec![other_families()?]);
    denied.insert(libc::SYS_socketpair, vec![other_families()?]);
    denied.insert(libc::SYS_clone, namespace_flags()?);
    denied.insert(
        libc::SYS_ioctl,
        vec![
            argument(1, Op::Eq, libc::TIOCSTI)?,
            argument(1, Op::Eq, 0x541C)?,
        ],
    );
    Ok([
        encode(&compile(unknown, libc::ENOSYS)?),
        encode(&compile(denied, libc::EPERM)?),
    ])
}

fn other_families() -> anyhow::Result<SeccompRule> {
    let is_not = |family: i32| {
        SeccompCondition::new(0, Len::Dword, Op::Ne, u64::from(family.unsigned_abs()))
    };
    Ok(SeccompRule::new(vec![
        is_not(libc::AF_UNIX)?,
        is_not(libc::AF_INET)?,
        is_not(libc::AF_INET6)?,
    ])?)
}

fn namespace_flags() -> anyhow::Result<Vec<SeccompRule>> {
    let bits = (0..32).map(|bit| 1_u64 << bit);
    let flags = bits.filter(|bit| u64::from(NAMESPACES.unsigned_abs()) & bit != 0);
    flags
        .map(|flag| {
            let set = SeccompCondition::new(0, Len::Dword, Op::MaskedEq(flag), flag)?;
            Ok(SeccompRule::new(vec![set])?)
        })
        .collect()
}

fn argument(index: u8, operator: Op, value: impl TryInto<u64>) -> anyhow::Result<SeccompRule> {
    let value = value.try_into().ok().context("a constant is negative")?;
    let condition = SeccompCondition::new(index, Len::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> anyhow::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .context("there is no system call filter for this processor")?;
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)?;
    let mut program: BpfProgram = filter.try_into()?;
    if cfg!(target_arch = "x86_64") {
        program.splice(0..0, no_x32());
    }
    Ok(program)
}

/// Returns instructions that answer every call of the x32 convention with `ENOSYS`.
fn no_x32() -> [sock_filter; 3] {
    let instruction = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    [
        // Load the call's number, compare, return SECCOMP_RET_ERRNO.
        instruction(0x20, 0, 0),
        instruction(0x35, 1, X32),
        instruction(0x06, 0, 0x0005_0000 | libc::ENOSYS.unsigned_abs()),
    ]
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
