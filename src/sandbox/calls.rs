//! Which system calls a sandbox's programs may make, once for all backends: what one lets
//! pass and another refuses would be a way out that nobody looks for.
//!
//! A list of what is allowed. What is not on it, calls of later kernels too, does not exist
//! (`ENOSYS`): C libraries then take the older call. A list of what is denied would be open to
//! every call that it has not heard of, and an engine ignores names that its own library does
//! not know: on a list of denials that opens the call, on this one it closes it. The commands
//! are any programs, so all is allowed that works on a process's own memory, files, sockets,
//! children and time. What is left out reaches the kernel's rarely used parts, another process,
//! the machine's settings or a further namespace. Answered with `EPERM` is what programs expect
//! to be there for somebody else.
//!
//! Of some calls an argument decides. It is compared in its lower 32 bits alone, as the kernel
//! does that takes an `int`: with other bits above them a number would pass for another one.

use libc::{
    AF_INET, AF_INET6, AF_UNIX, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS,
    CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, c_long,
};

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SystemCall {
    constant: &'static str,
    /// Its number on this processor.
    pub(super) number: c_long,
}

impl SystemCall {
    /// Returns its name.
    pub(super) fn name(self) -> &'static str {
        self.constant.trim_start_matches("SYS_")
    }
}

/// A pattern of a 32-bit argument: the bits of `mask` are those of `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// A call that one of its arguments decides on. Every value matches patterns of one side only.
#[derive(Clone, Debug)]
pub(super) struct Deciding {
    pub(super) call: SystemCall,
    /// Which argument, from 0.
    pub(super) argument: u8,
    /// Allowed if any of these matches.
    pub(super) allowed: Vec<Bits>,
    /// Answered with `EPERM` if any of these matches.
    pub(super) refused: Vec<Bits>,
}

macro_rules! calls {
    ($($constant:ident)*) => {
        &[$(SystemCall { constant: stringify!($constant), number: libc::$constant }),*]
    };
}

/// Allowed.
const ALLOWED: &[SystemCall] = calls! {
    SYS_accept SYS_accept4 SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir
    SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_close SYS_close_range
    SYS_connect SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl
    SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fchdir
    SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync
    SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat
    SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv SYS_get_robust_list
    SYS_getcpu SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid
    SYS_getgroups SYS_getitimer SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid
    SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrusage SYS_getsid
    SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid SYS_getxattr
    SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel
    SYS_io_destroy SYS_io_getevents SYS_io_setup SYS_io_submit SYS_ioprio_get
    SYS_ioprio_set SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset
    SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr
    SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2
    SYS_mlockall SYS_mmap SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open
    SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink SYS_mremap SYS_mseal SYS_msgctl
    SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap
    SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open
    SYS_pidfd_send_signal SYS_pipe2 SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect
    SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_pselect6
    SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat
    SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_remap_file_pages SYS_removexattr
    SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending
    SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend
    SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr
    SYS_sched_getparam SYS_sched_getscheduler SYS_sched_rr_get_interval
    SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler
    SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop
    SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_robust_list
    SYS_set_tid_address SYS_setfsgid SYS_setfsuid SYS_setgid SYS_setgroups SYS_setitimer
    SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid
    SYS_setsid SYS_setsockopt SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt
    SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_splice SYS_statfs
    SYS_statx SYS_symlinkat SYS_sync SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill
    SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime
    SYS_timer_settime SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime
    SYS_times SYS_tkill SYS_truncate SYS_umask SYS_uname SYS_unlinkat SYS_utimensat
    SYS_vmsplice SYS_wait4 SYS_waitid SYS_write SYS_writev
};

/// Allowed, where programs of old still make them.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLD: &[SystemCall] = calls! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2
    SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_fchmodat2 SYS_fork SYS_futimesat
    SYS_getdents SYS_getpgrp SYS_getrlimit SYS_inotify_init SYS_lchown SYS_link
    SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink
    SYS_rename SYS_renameat SYS_rmdir SYS_select SYS_setrlimit SYS_signalfd SYS_stat
    SYS_symlink SYS_sync_file_range SYS_time SYS_unlink SYS_utime SYS_utimes SYS_vfork
};
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLD: &[SystemCall] = &[];

/// Answered with `EPERM`.
const REFUSED: &[SystemCall] = calls! {
    SYS_acct SYS_add_key SYS_adjtimex SYS_bpf SYS_chroot SYS_clock_adjtime
    SYS_clock_settime SYS_delete_module SYS_fanotify_init SYS_fanotify_mark
    SYS_finit_module SYS_get_mempolicy SYS_init_module SYS_kcmp SYS_kexec_load
    SYS_keyctl SYS_lookup_dcookie SYS_mbind SYS_migrate_pages SYS_mount SYS_move_pages
    SYS_name_to_handle_at SYS_nfsservctl SYS_open_by_handle_at SYS_perf_event_open
    SYS_pidfd_getfd SYS_pivot_root SYS_process_madvise SYS_process_mrelease
    SYS_process_vm_readv SYS_process_vm_writev SYS_ptrace SYS_quotactl SYS_quotactl_fd
    SYS_reboot SYS_request_key SYS_set_mempolicy SYS_set_mempolicy_home_node
    SYS_setdomainname SYS_sethostname SYS_setns SYS_settimeofday SYS_swapoff SYS_swapon
    SYS_syslog SYS_umount2 SYS_unshare SYS_userfaultfd SYS_vhangup
};

/// Answered with `EPERM`, where they are.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLD: &[SystemCall] = calls! {
    SYS__sysctl SYS_ioperm SYS_iopl SYS_kexec_file_load SYS_modify_ldt SYS_sysfs
    SYS_uselib SYS_ustat
};
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLD: &[SystemCall] = &[];

/// Answered with `ENOSYS` as everything that is not known: named for engines that would give
/// another answer. `clone3` because its flags cannot be looked at.
const UNKNOWN: &[SystemCall] = calls! {
    SYS_clone3 SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick SYS_io_uring_enter
    SYS_io_uring_register SYS_io_uring_setup SYS_mount_setattr SYS_move_mount
    SYS_open_tree
};

/// Families of sockets: the gateway's, and those of servers that tests start on the sandbox's
/// own loopback. Others (`AF_VSOCK`) belong to no network namespace.
const FAMILIES: [u32; 3] = [
    AF_UNIX.unsigned_abs(),
    AF_INET.unsigned_abs(),
    AF_INET6.unsigned_abs(),
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: u32 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET)
    .unsigned_abs();

/// Typing for whoever reads the terminal: `TIOCSTI` and `TIOCLINUX`.
const TYPING: [u32; 2] = [0x5412, 0x541C];

/// The usual personality, and the question which one it is.
const PERSONALITIES: [u32; 2] = [0, u32::MAX];

/// Returns the calls that are allowed whatever their arguments.
pub(super) fn allowed() -> impl Iterator<Item = SystemCall> {
    ALLOWED.iter().chain(ALLOWED_OLD).copied()
}

/// Returns the calls that are answered with `EPERM`.
pub(super) fn refused() -> impl Iterator<Item = SystemCall> {
    REFUSED.iter().chain(REFUSED_OLD).copied()
}

/// Returns calls that are answered with `ENOSYS`, beside all that are not named here.
pub(super) fn unknown() -> impl Iterator<Item = SystemCall> {
    UNKNOWN.iter().copied()
}

/// Returns the calls that an argument decides on.
pub(super) fn deciding() -> [Deciding; 5] {
    let [socket, socketpair, clone, ioctl, personality] =
        calls! { SYS_socket SYS_socketpair SYS_clone SYS_ioctl SYS_personality };
    let family = |call: &SystemCall| Deciding {
        call: *call,
        argument: 0,
        allowed: exactly(&FAMILIES),
        refused: others(&FAMILIES),
    };
    let no_namespace = Bits {
        mask: NAMESPACES,
        value: 0,
    };
    let bits = (0..32).map(|bit| 1 << bit);
    let namespace = bits.filter(|bit| NAMESPACES & bit != 0);
    [
        family(socket),
        family(socketpair),
        Deciding {
            call: *clone,
            argument: 0,
            allowed: vec![no_namespace],
            refused: namespace
                .map(|bit| Bits {
                    mask: bit,
                    value: bit,
                })
                .collect(),
        },
        Deciding {
            call: *ioctl,
            argument: 1,
            allowed: others(&TYPING),
            refused: exactly(&TYPING),
        },
        Deciding {
            call: *personality,
            argument: 0,
            allowed: exactly(&PERSONALITIES),
            refused: others(&PERSONALITIES),
        },
    ]
}

fn exactly(values: &[u32]) -> Vec<Bits> {
    let all = |value: &u32| Bits {
        mask: u32::MAX,
        value: *value,
    };
    values.iter().map(all).collect()
}

/// Returns patterns for every other value: filters know "equal under a mask", not "none of".
/// Each is the beginning of one of the values with its last bit turned, unless that is the
/// beginning of another one.
fn others(values: &[u32]) -> Vec<Bits> {
    let mut found = Vec::new();
    for length in 1..=32 {
        let mask = u32::MAX << (32 - length);
        let turned = 1 << (32 - length);
        for value in values {
            let bits = Bits {
                mask,
                value: (value ^ turned) & mask,
            };
            let begins = |value: &u32| value & mask == bits.value;
            if !values.iter().any(begins) && !found.contains(&bits) {
                found.push(bits);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Bits, Deciding, TYPING, allowed, deciding, refused, unknown};
    use std::collections::BTreeSet;

    #[test]
    fn every_call_has_one_answer() {
        let all: Vec<&str> = allowed()
            .chain(refused())
            .chain(unknown())
            .chain(deciding().into_iter().map(|each| each.call))
            .map(super::SystemCall::name)
            .collect();
        let once: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), once.len());
        assert!(once.contains("read") && !once.iter().any(|name| name.starts_with("SYS_")));
    }

    fn matches(patterns: &[Bits], value: u32) -> bool {
        patterns.iter().any(|bits| value & bits.mask == bits.value)
    }

    #[test]
    fn every_value_of_an_argument_is_decided_on_once() {
        for Deciding {
            allowed,
            refused,
            call,
            ..
        } in deciding()
        {
            let near = (0..70)
                .chain(0x5400..0x5430)
                .chain(u32::MAX - 70..=u32::MAX);
            let far = (0..32).map(|bit| 1 << bit);
            for value in near.chain(far) {
                let sides = (matches(&allowed, value), matches(&refused, value));
                assert_ne!(sides.0, sides.1, "{} of {value:#x}", call.name());
            }
        }
    }

    #[test]
    fn only_what_is_meant_is_refused() {
        let [socket, _, clone, ioctl, personality] = deciding();
        let families: Vec<u32> = (0..100).filter(|n| matches(&socket.allowed, *n)).collect();
        assert_eq!(families, [1, 2, 10]);
        let refused: Vec<u32> = (0..0x2_0000)
            .filter(|n| matches(&ioctl.refused, *n))
            .collect();
        assert_eq!(refused, TYPING);
        // A thread, and a child in a user namespace of its own.
        assert!(matches(&clone.allowed, 0x003D_0F00) && !matches(&clone.allowed, 0x1000_0011));
        assert!(
            matches(&personality.refused, 0x0004_0000),
            "no address randomization"
        );
    }
}
