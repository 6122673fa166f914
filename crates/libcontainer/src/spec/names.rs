//! The closed vocabularies of config.json: each is one table of name and kernel number, read by rules, plan and features.

/// A vocabulary: names as config.json writes them, each with what the kernel calls it. Rows stand in the kernel's order.
pub struct Table<N: 'static>(&'static [(&'static str, N)]);

impl<N: Copy + PartialEq> Table<N> {
    /// The number of a name, compared exactly; `None` for a name the table does not have.
    pub fn get(&self, name: &str) -> Option<N> {
        self.0.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// The first name of a number.
    pub fn name(&self, number: N) -> Option<&'static str> {
        self.0.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// All rows, in the kernel's order.
    pub fn rows(&self) -> &'static [(&'static str, N)] {
        self.0
    }

    /// All names, in the kernel's order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|row| row.0)
    }

    /// All names in alphabetical order, as `features` prints namespaces.
    pub fn sorted_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.names().collect();
        names.sort_unstable();
        names
    }

    /// The names for an error's text: `a, b or c`.
    pub fn choices(&self) -> String {
        let names: Vec<_> = self.names().collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        }
    }
}

/// capabilities(7): the bit of each capability. A name that is not here belongs to a newer kernel, or to none.
pub static CAPABILITIES: Table<u8> = Table(&[
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_SETPCAP", 8),
    ("CAP_LINUX_IMMUTABLE", 9),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_BROADCAST", 11),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_IPC_LOCK", 14),
    ("CAP_IPC_OWNER", 15),
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_PACCT", 20),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SYS_BOOT", 22),
    ("CAP_SYS_NICE", 23),
    ("CAP_SYS_RESOURCE", 24),
    ("CAP_SYS_TIME", 25),
    ("CAP_SYS_TTY_CONFIG", 26),
    ("CAP_MKNOD", 27),
    ("CAP_LEASE", 28),
    ("CAP_AUDIT_WRITE", 29),
    ("CAP_AUDIT_CONTROL", 30),
    ("CAP_SETFCAP", 31),
    ("CAP_MAC_OVERRIDE", 32),
    ("CAP_MAC_ADMIN", 33),
    ("CAP_SYSLOG", 34),
    ("CAP_WAKE_ALARM", 35),
    ("CAP_BLOCK_SUSPEND", 36),
    ("CAP_AUDIT_READ", 37),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
    ("CAP_CHECKPOINT_RESTORE", 40),
]);

/// The capabilities that the runtime itself asks for.
pub const CAP_SETGID: u8 = 6;
/// mount(2), setns(2), seccomp(2) without no_new_privs.
pub const CAP_SYS_ADMIN: u8 = 21;
/// mknod(2) of devices.
pub const CAP_MKNOD: u8 = 27;
/// Moving and configuring network devices.
pub const CAP_NET_ADMIN: u8 = 12;
/// setuid(2), and id maps of more than the caller's own user.
pub const CAP_SETUID: u8 = 7;

/// The bit mask of a list of capability names; names the table does not have are left out, as the rules have warned.
pub fn capability_mask<S: AsRef<str>>(names: &[S]) -> u64 {
    names.iter().filter_map(|name| CAPABILITIES.get(name.as_ref())).fold(0, |mask, bit| mask | 1 << bit)
}

/// One kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The `CLONE_NEW*` flag of clone3(2) and setns(2).
    pub flag: u64,
    /// The file in `/proc/PID/ns`.
    pub file: &'static str,
}

const fn namespace(flag: u64, file: &'static str) -> Namespace {
    Namespace { flag, file }
}

/// namespaces(7).
pub static NAMESPACES: Table<Namespace> = Table(&[
    ("time", namespace(0x80, "time")),
    ("mount", namespace(libc::CLONE_NEWNS as u64, "mnt")),
    ("cgroup", namespace(libc::CLONE_NEWCGROUP as u64, "cgroup")),
    ("uts", namespace(libc::CLONE_NEWUTS as u64, "uts")),
    ("ipc", namespace(libc::CLONE_NEWIPC as u64, "ipc")),
    ("user", namespace(libc::CLONE_NEWUSER as u64, "user")),
    ("pid", namespace(libc::CLONE_NEWPID as u64, "pid")),
    ("network", namespace(libc::CLONE_NEWNET as u64, "net")),
]);

/// setrlimit(2): the resource numbers, which are the same on x86, ARM and RISC-V.
pub static RLIMITS: Table<u32> = Table(&[
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
]);

/// sched(7). The specification lists `SCHED_ISO`, whose number the kernel has reserved and refuses.
pub static SCHEDULER_POLICIES: Table<u32> = Table(&[
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
]);

/// `sched_flags` of sched_setattr(2).
pub static SCHEDULER_FLAGS: Table<u64> = Table(&[
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
]);

/// ioprio_set(2): the class, which stands above bit 13 of the value.
pub static IO_PRIORITY_CLASSES: Table<u32> =
    Table(&[("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)]);

/// personality(2).
pub static PERSONALITY_DOMAINS: Table<u32> = Table(&[("LINUX", 0x0000), ("LINUX32", 0x0008)]);

/// Mount propagation as `MS_*` of mount(2), with `MS_REC` in the r-forms: `linux.rootfsPropagation` and mount options.
pub static PROPAGATION: Table<u64> = Table(&[
    ("unbindable", libc::MS_UNBINDABLE),
    ("private", libc::MS_PRIVATE),
    ("slave", libc::MS_SLAVE),
    ("shared", libc::MS_SHARED),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
]);

/// `linux.devices[].type` as the `S_IF*` of mknod(2); `u` is an unbuffered character device.
pub static DEVICE_TYPES: Table<u32> =
    Table(&[("p", libc::S_IFIFO), ("c", libc::S_IFCHR), ("u", libc::S_IFCHR), ("b", libc::S_IFBLK)]);

/// `linux.resources.devices[].type` as `BPF_DEVCG_DEV_*`; `a` is every device, which BPF has no number for.
pub static DEVICE_RULE_TYPES: Table<u32> = Table(&[("a", 0), ("b", 1), ("c", 2)]);

/// set_mempolicy(2), modes.
pub static MEMORY_POLICY_MODES: Table<u32> = Table(&[
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
]);

/// set_mempolicy(2), mode flags: bits of the same argument.
pub static MEMORY_POLICY_FLAGS: Table<u32> =
    Table(&[("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)]);

/// The clocks of time_namespaces(7) that can be shifted, by their clock ids.
pub static CLOCKS: Table<u32> =
    Table(&[("monotonic", libc::CLOCK_MONOTONIC as u32), ("boottime", libc::CLOCK_BOOTTIME as u32)]);

/// The kinds of hook, in the order of a container's life; the number is the place in that order.
pub static HOOKS: Table<u8> = Table(&[
    ("prestart", 0),
    ("createRuntime", 1),
    ("createContainer", 2),
    ("startContainer", 3),
    ("poststart", 4),
    ("poststop", 5),
]);

/// Annotations that change what a runtime does, and prefixes of such: runc's list, and crun's options that hull takes.
pub const UNSAFE_ANNOTATIONS: &[&str] = &["bundle", "org.systemd.property.", "org.criu.config", "run.oci."];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_every_bit_once_in_order() {
        let bits: Vec<_> = CAPABILITIES.rows().iter().map(|row| row.1).collect();
        assert_eq!(bits, (0..=40).collect::<Vec<_>>());
    }

    #[test]
    fn a_mask_leaves_out_what_it_does_not_know() {
        assert_eq!(capability_mask(&["CAP_KILL", "CAP_TIME_TRAVEL", "CAP_CHECKPOINT_RESTORE"]), 1 << 5 | 1 << 40);
    }

    #[test]
    fn rlimits_are_the_numbers_of_libc() {
        for (name, number) in [("RLIMIT_NOFILE", libc::RLIMIT_NOFILE), ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME)] {
            assert_eq!(RLIMITS.get(name), Some(number), "{name}");
        }
    }

    #[test]
    fn every_namespace_has_its_own_file_in_proc() {
        for (name, kind) in NAMESPACES.rows() {
            let file = std::path::Path::new("/proc/self/ns").join(kind.file);
            assert!(file.symlink_metadata().is_ok(), "{name}: no {}", file.display());
        }
        assert_eq!(NAMESPACES.sorted_names(), ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
    }

    #[test]
    fn names_are_looked_up_exactly_and_listed_readably() {
        assert_eq!(IO_PRIORITY_CLASSES.get("ioprio_class_rt"), None);
        assert_eq!(IO_PRIORITY_CLASSES.choices(), "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE");
        assert_eq!(PROPAGATION.name(libc::MS_SLAVE | libc::MS_REC), Some("rslave"));
    }
}
