//! The names that `linux.seccomp` may use, with what they mean: one list for the compiler and for `features`.

use super::ffi::{self, Library};

/// One action of a rule.
#[derive(Debug)]
pub struct Action {
    /// Its name in the config.
    pub name: &'static str,
    /// `SCMP_ACT_*`, which is `SECCOMP_RET_*`.
    pub(super) value: u32,
    /// The largest errno it carries, if it does.
    pub(super) errno: Option<u32>,
    /// Whether a system call it meets still runs, or is left to someone who can decide on any.
    pub(super) permissive: bool,
}

/// One comparison of an argument.
#[derive(Debug)]
pub struct Operator {
    /// Its name in the config.
    pub name: &'static str,
    /// `enum scmp_compare`.
    pub(super) value: u32,
}

/// One architecture, or rather: one way to number system calls.
#[derive(Debug)]
pub struct Architecture {
    /// Its name in the config.
    pub name: &'static str,
    /// `SCMP_ARCH_*`, which is `AUDIT_ARCH_*` but for x32.
    pub(super) token: u32,
}

/// One flag of seccomp(2).
#[derive(Debug)]
pub struct Flag {
    /// Its name in the config.
    pub name: &'static str,
    /// The bit.
    pub(super) bit: u32,
}

/// The kernel has errnos up to 4095 (`MAX_ERRNO`), and libseccomp takes only those below.
const LARGEST_ERRNO: u32 = 4094;

/// Every action, by name.
pub const ACTIONS: &[Action] = &[
    Action { name: "SCMP_ACT_ALLOW", value: libc::SECCOMP_RET_ALLOW, errno: None, permissive: true },
    Action { name: "SCMP_ACT_ERRNO", value: libc::SECCOMP_RET_ERRNO, errno: Some(LARGEST_ERRNO), permissive: false },
    Action { name: "SCMP_ACT_KILL", value: libc::SECCOMP_RET_KILL_THREAD, errno: None, permissive: false },
    Action { name: "SCMP_ACT_KILL_PROCESS", value: libc::SECCOMP_RET_KILL_PROCESS, errno: None, permissive: false },
    Action { name: "SCMP_ACT_KILL_THREAD", value: libc::SECCOMP_RET_KILL_THREAD, errno: None, permissive: false },
    Action { name: "SCMP_ACT_LOG", value: libc::SECCOMP_RET_LOG, errno: None, permissive: true },
    Action { name: "SCMP_ACT_NOTIFY", value: libc::SECCOMP_RET_USER_NOTIF, errno: None, permissive: false },
    Action { name: "SCMP_ACT_TRACE", value: libc::SECCOMP_RET_TRACE, errno: Some(0xffff), permissive: true },
    Action { name: "SCMP_ACT_TRAP", value: libc::SECCOMP_RET_TRAP, errno: None, permissive: false },
];

/// Every comparison, by name.
pub const OPERATORS: &[Operator] = &[
    Operator { name: "SCMP_CMP_EQ", value: 4 },
    Operator { name: "SCMP_CMP_GE", value: 5 },
    Operator { name: "SCMP_CMP_GT", value: 6 },
    Operator { name: "SCMP_CMP_LE", value: 3 },
    Operator { name: "SCMP_CMP_LT", value: 2 },
    Operator { name: "SCMP_CMP_MASKED_EQ", value: 7 },
    Operator { name: "SCMP_CMP_NE", value: 1 },
];

/// Every architecture of the specification, by name; [`supported_architectures`] are those of the library.
pub const ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "SCMP_ARCH_AARCH64", token: 0xc000_00b7 },
    Architecture { name: "SCMP_ARCH_ARM", token: 0x4000_0028 },
    Architecture { name: "SCMP_ARCH_LOONGARCH64", token: 0xc000_0102 },
    Architecture { name: "SCMP_ARCH_M68K", token: 0x0000_0004 },
    Architecture { name: "SCMP_ARCH_MIPS", token: 0x0000_0008 },
    Architecture { name: "SCMP_ARCH_MIPS64", token: 0x8000_0008 },
    Architecture { name: "SCMP_ARCH_MIPS64N32", token: 0xa000_0008 },
    Architecture { name: "SCMP_ARCH_MIPSEL", token: 0x4000_0008 },
    Architecture { name: "SCMP_ARCH_MIPSEL64", token: 0xc000_0008 },
    Architecture { name: "SCMP_ARCH_MIPSEL64N32", token: 0xe000_0008 },
    Architecture { name: "SCMP_ARCH_PARISC", token: 0x0000_000f },
    Architecture { name: "SCMP_ARCH_PARISC64", token: 0x8000_000f },
    Architecture { name: "SCMP_ARCH_PPC", token: 0x0000_0014 },
    Architecture { name: "SCMP_ARCH_PPC64", token: 0x8000_0015 },
    Architecture { name: "SCMP_ARCH_PPC64LE", token: 0xc000_0015 },
    Architecture { name: "SCMP_ARCH_RISCV64", token: 0xc000_00f3 },
    Architecture { name: "SCMP_ARCH_S390", token: 0x0000_0016 },
    Architecture { name: "SCMP_ARCH_S390X", token: 0x8000_0016 },
    Architecture { name: "SCMP_ARCH_SH", token: 0x4000_002a },
    Architecture { name: "SCMP_ARCH_SHEB", token: 0x0000_002a },
    Architecture { name: "SCMP_ARCH_X32", token: X32 },
    Architecture { name: "SCMP_ARCH_X86", token: 0x4000_0003 },
    Architecture { name: "SCMP_ARCH_X86_64", token: X86_64 },
];

/// x32 for libseccomp; the kernel shows a filter its processes as those of x86_64, with a bit set in the number.
pub(super) const X32: u32 = 0x4000_003e;
/// x86_64.
pub(super) const X86_64: u32 = 0xc000_003e;
/// s390 and s390x.
pub(super) const S390: [u32; 2] = [0x0000_0016, 0x8000_0016];

/// Every flag, in the order of its bit.
pub const FLAGS: &[Flag] = &[
    Flag { name: "SECCOMP_FILTER_FLAG_TSYNC", bit: TSYNC },
    Flag { name: "SECCOMP_FILTER_FLAG_LOG", bit: 2 },
    Flag { name: "SECCOMP_FILTER_FLAG_SPEC_ALLOW", bit: SPEC_ALLOW },
    Flag { name: "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", bit: WAIT_KILLABLE_RECV },
];

/// Needs company beside NEW_LISTENER.
pub(super) const TSYNC: u32 = 1;
/// The flag for a profile that names none.
pub(super) const SPEC_ALLOW: u32 = 4;
/// Not to be set by name: asks for the descriptor of notifications.
pub(super) const NEW_LISTENER: u32 = 8;
/// Not to be set by name: lets TSYNC and NEW_LISTENER be used together, seccomp(2).
pub(super) const TSYNC_ESRCH: u32 = 16;
/// Refused by the kernel without NEW_LISTENER; since Linux 5.19.
pub(super) const WAIT_KILLABLE_RECV: u32 = 32;

/// The names of the architectures that the linked libseccomp has tables for.
pub fn supported_architectures() -> Vec<&'static str> {
    let library = Library::lock();
    ARCHITECTURES
        .iter()
        .filter(|one| library.architecture(&one.library_name()) == Some(one.token))
        .map(|one| one.name)
        .collect()
}

/// The names of the flags that the running kernel takes.
pub fn supported_flags() -> Vec<&'static str> {
    FLAGS.iter().filter(|flag| flag.supported()).map(|flag| flag.name).collect()
}

impl Architecture {
    /// The library's name of it: the config's, without the prefix and in lower case.
    fn library_name(&self) -> String {
        self.name.trim_start_matches("SCMP_ARCH_").to_ascii_lowercase()
    }

    /// What the kernel shows to a filter: `AUDIT_ARCH_*`.
    pub(super) fn audit(token: u32) -> u32 {
        if token == X32 { X86_64 } else { token }
    }
}

impl Flag {
    /// Whether the running kernel takes it.
    pub(super) fn supported(&self) -> bool {
        let company = if self.bit == WAIT_KILLABLE_RECV { NEW_LISTENER } else { 0 };
        ffi::kernel_knows(self.bit | company)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_agrees_with_the_table() {
        let library = Library::lock();
        for one in ARCHITECTURES {
            // One it does not know is newer than it.
            assert!([None, Some(one.token)].contains(&library.architecture(&one.library_name())), "{}", one.name);
        }
        assert!(ARCHITECTURES.iter().any(|one| one.token == library.native()));
        drop(library);
        assert!(supported_architectures().contains(&"SCMP_ARCH_X86_64"));
        assert!(supported_flags().contains(&"SECCOMP_FILTER_FLAG_SPEC_ALLOW"));
    }

    #[test]
    fn features_prints_sorted_names() {
        assert!(ACTIONS.is_sorted_by_key(|one| one.name));
        assert!(OPERATORS.is_sorted_by_key(|one| one.name));
        assert!(ARCHITECTURES.is_sorted_by_key(|one| one.name));
    }
}
