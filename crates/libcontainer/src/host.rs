//! Facts of the kernel, the machine and the caller as a plain struct, which a test writes as a literal.

use crate::error::{Error, Kind, Result};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The oldest kernel that has all hull needs: `mount_setattr` with id maps on tmpfs and overlay, `cgroup.kill`.
pub const OLDEST_KERNEL: (u32, u32) = (5, 14);

/// The inode of the first user namespace in `/proc/PID/ns`, `PROC_USER_INIT_INO` of the kernel.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// What a plan depends on beside the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The caller's effective user id.
    pub euid: u32,
    /// The caller's effective group id.
    pub egid: u32,
    /// Its real user and group id.
    pub real_ids: (u32, u32),
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// The caller's effective capabilities, one bit each.
    pub caps_effective: u64,
    /// The caller is not in the machine's first user namespace. Such a caller, root there or not, can neither make
    /// devices nor raise limits; it may have fewer ids than all.
    pub in_user_namespace: bool,
    /// The caller's mount namespace belongs to its user namespace, so that `CAP_SYS_ADMIN` counts there: not so in a user namespace
    /// made alone (`unshare -r`).
    pub owns_mounts: bool,
    /// setgroups(2) is denied in the caller's user namespace, and in all below it (user_namespaces(7)).
    pub setgroups_denied: bool,
    /// The highest capability the kernel has.
    pub last_cap: u8,
    /// The caller's hard limits by number of [`crate::spec::names::RLIMITS`]. All `None` until [`Host::read_limits`]: only
    /// a config with rlimits of a caller that may not raise them needs them.
    pub hard_limits: [Option<u64>; 16],
    /// AppArmor labels processes; see [`Host::read_security_modules`].
    pub apparmor: bool,
    /// A process tells AppArmor its profile by lsm_set_self_attr(2), which Linux has since 6.8; else by a file of /proc.
    pub lsm_call: bool,
    /// SELinux labels processes.
    pub selinux: bool,
    /// Where resctrl is mounted; see [`Host::read_resctrl`].
    pub resctrl: Option<PathBuf>,
}

impl Host {
    /// Asks the kernel: uname(2), getresuid(2), getresgid(2), capget(2), one prctl(2) and one stat(2); in a user namespace what that
    /// takes away.
    ///
    /// # Errors
    /// `Unsupported` on a kernel older than [`OLDEST_KERNEL`].
    pub fn read() -> Result<Host> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let sets = capabilities(None).map_err(|errno| Error::sys("read the caller's capabilities", errno))?;
        let [(ruid, euid), (rgid, egid)] = crate::sys::process::ids();
        let in_user_namespace = in_user_namespace();
        Ok(Host {
            euid,
            egid,
            real_ids: (ruid, rgid),
            kernel: supported(&release)?,
            caps_effective: sets.effective.bits(),
            in_user_namespace,
            owns_mounts: !in_user_namespace || owns_mounts(),
            setgroups_denied: in_user_namespace && setgroups_denied(),
            last_cap: last_cap(),
            hard_limits: [None; 16],
            apparmor: false,
            lsm_call: false,
            selinux: false,
            resctrl: None,
        })
    }

    /// Asks for the hard limits with these numbers, one prlimit(2) each. Numbers without a resource are passed over.
    pub fn read_limits(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let found = RESOURCES.get(number as usize).zip(self.hard_limits.get_mut(number as usize));
            if let Some((resource, slot)) = found {
                *slot = Some(getrlimit(*resource).maximum.unwrap_or(u64::MAX));
            }
        }
    }

    /// Whether `hard` is more than the caller's own hard limit of the resource, as far as that was read.
    pub fn raises_limit(&self, number: u32, hard: u64) -> bool {
        self.hard_limits.get(number as usize).copied().flatten().is_none_or(|own| hard > own)
    }

    /// Reads which security modules label processes here, and how; [`Host::read`] leaves it false, since few configs ask.
    pub fn read_security_modules(&mut self) {
        let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled");
        self.apparmor = enabled.is_ok_and(|text| text.first() == Some(&b'Y'));
        self.lsm_call = crate::sys::lsm::can_be_called();
        // An engine that SELinux confines may not see what is in /sys/fs/selinux. The kernel has that file system only where
        // SELinux was enabled at boot.
        let file_systems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        self.selinux = file_systems.lines().any(|line| line.trim_start_matches("nodev").trim() == "selinuxfs");
    }

    /// Where the caller's mount namespace has a procfs or a sysfs, the last mounted first. Only a launch without pivot_root(2) needs it.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub fn kernel_file_systems() -> Result<Vec<PathBuf>> {
        let table = mount_table()?;
        let mut places: Vec<_> = mounts(&table)
            .filter(|mount| matches!(mount.kind, b"proc" | b"sysfs"))
            .map(|mount| mount.place())
            .collect();
        places.reverse();
        Ok(places)
    }

    /// Looks for resctrl in the mount table, which grows with the number of containers: few configs ask.
    ///
    /// # Errors
    /// Where /proc/self/mountinfo cannot be read.
    pub fn read_resctrl(&mut self) -> Result<()> {
        self.resctrl = mounted("resctrl", &mount_table()?);
        Ok(())
    }

    /// Whether the caller has a capability, by its bit in [`crate::spec::names::CAPABILITIES`].
    pub fn has_cap(&self, bit: u8) -> bool {
        self.caps_effective >> bit & 1 == 1
    }
}

/// Resources by their number; the order is the kernel's.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Major and minor number of a kernel's release (`6.1.0-18-amd64`).
fn supported(release: &str) -> Result<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(Error::new(Kind::Unsupported, format!("the kernel's release {release:?} is not a version")));
    };
    if (major, minor) < OLDEST_KERNEL {
        let (oldest_major, oldest_minor) = OLDEST_KERNEL;
        let what = format!("Linux {oldest_major}.{oldest_minor} or newer is required, this is {release}");
        return Err(Error::new(Kind::Unsupported, what));
    }
    Ok((major, minor))
}

/// Without a procfs to ask, the answer is that of the lesser privilege.
fn in_user_namespace() -> bool {
    rustix::fs::stat("/proc/self/ns/user").map_or(true, |stat| stat.st_ino != FIRST_USER_NAMESPACE)
}

/// The kernel tells the owner of a namespace to the owner and whoever is above it (ioctl_ns(2)).
fn owns_mounts() -> bool {
    let path = "/proc/self/ns/mnt";
    let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    namespace.is_ok_and(|namespace| crate::sys::namespace::owner(namespace.as_fd()).is_ok())
}

fn setgroups_denied() -> bool {
    std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}

fn mount_table() -> Result<Vec<u8>> {
    let path = "/proc/self/mountinfo";
    std::fs::read(path).map_err(|error| Error::io(format!("read \"{path}\""), &error).object(path))
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
struct MountLine<'t> {
    kind: &'t [u8],
    root: &'t [u8],
    place: &'t [u8],
}

impl MountLine<'_> {
    fn place(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unescaped(self.place)))
    }
}

fn mounts(table: &[u8]) -> impl Iterator<Item = MountLine<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let (root, place) = (words.nth(3)?, words.next()?);
        Some(MountLine { kind: words.skip_while(|word| *word != b"-").nth(1)?, root, place })
    })
}

/// Where the root of a file system of this type is mounted; of several mounts the first.
fn mounted(kind: &str, table: &[u8]) -> Option<PathBuf> {
    mounts(table).find(|mount| mount.kind == kind.as_bytes() && mount.root == b"/").map(|mount| mount.place())
}

/// The kernel writes white space and backslashes in a path as `\040`.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = behind.get(..3).filter(|_| first == b'\\');
        let octal = escaped.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = octal.and(behind.get(3..)).unwrap_or(behind);
    }
    bytes
}

/// Every supported kernel has `CAP_CHECKPOINT_RESTORE`, 40; the bounding set tells whether there are more.
fn last_cap() -> u8 {
    let exists = |bit: &u8| {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        rustix::thread::capability_is_in_bounding_set(capability).is_ok()
    };
    (41..64).take_while(exists).last().unwrap_or(40)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::names::RLIMITS;

    #[test]
    fn the_first_two_numbers_of_a_release_are_the_version() {
        assert_eq!(supported("5.14.0-427.el9.x86_64").ok(), Some((5, 14)));
        assert_eq!(supported("6.1-rc3").ok(), Some((6, 1)));
    }

    #[test]
    fn an_older_kernel_is_told_so() {
        let error = supported("5.10.0-28-amd64").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(error.to_string(), "Linux 5.14 or newer is required, this is 5.10.0-28-amd64");
        assert_eq!(supported("plan9").unwrap_err().to_string(), "the kernel's release \"plan9\" is not a version");
    }

    #[test]
    fn resctrl_is_found_by_type_at_its_root() {
        let table = b"24 30 0:22 / /proc rw,relatime shared:5 - proc proc rw\n\
                      31 24 0:40 /gold /mnt/gold rw - resctrl resctrl rw\n\
                      32 24 0:40 / /mnt/a\\040b\\134c rw,nosuid shared:9 master:2 - resctrl none rw,mba_MBps\n\
                      33 24 0:40 / /sys/fs/resctrl rw - resctrl resctrl rw\n";
        assert_eq!(mounted("resctrl", table), Some(PathBuf::from("/mnt/a b\\c")));
        assert_eq!(mounted("cgroup2", table), None);
        let mut host = Host::read().unwrap();
        host.read_resctrl().unwrap();
        assert!(host.resctrl.is_none_or(|path| path.join("schemata").exists()));
    }

    fn status(key: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned()
    }

    #[test]
    fn facts_are_those_of_procfs() {
        let host = Host::read().unwrap();
        assert_eq!(host.caps_effective, u64::from_str_radix(&status("CapEff:"), 16).unwrap());
        assert_eq!(host.euid.to_string(), status("Uid:").split_whitespace().nth(1).unwrap());
        assert_eq!(host.egid.to_string(), status("Gid:").split_whitespace().nth(1).unwrap());
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert_eq!(host.last_cap.to_string(), last.trim());
    }

    #[test]
    fn limits_are_read_only_when_asked_for_and_by_their_own_number() {
        let mut host = Host::read().unwrap();
        assert_eq!(host.hard_limits, [None; 16]);
        host.read_limits([7, 99]);
        assert_eq!(host.hard_limits.iter().filter(|limit| limit.is_some()).count(), 1);
        host.read_limits(RLIMITS.rows().iter().map(|row| row.1));
        let table = std::fs::read_to_string("/proc/self/limits").unwrap();
        for (name, line) in [("RLIMIT_NOFILE", "Max open files"), ("RLIMIT_RTPRIO", "Max realtime priority")] {
            let row = table.lines().find_map(|row| row.strip_prefix(line)).unwrap();
            let hard = row.split_whitespace().nth(1).unwrap();
            let limit = host.hard_limits[RLIMITS.get(name).unwrap() as usize].unwrap();
            assert_eq!(if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }, hard, "{name}");
        }
    }
}
