//! Compiled programs kept by content: `<directory>/<key>`, believed only where nobody else can have written them.
//!
//! A file is `checksum (32) | warnings' length (4) | warnings, as lines | program`. The checksum is the SHA-256 of the
//! key and of all that follows, so that a file is good for one profile only, under whatever name it is found.

use super::bpf;
use super::compile::Program;
use super::ffi;
use crate::config::Seccomp;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// What makes the programs of one version of hull unlike those of another: to be counted up with each change of the
/// compiler or of the file's form.
const FORMAT: u32 = 1;
/// As many programs are kept; the oldest go first. One is some 4 KB of what may be memory (/run).
const KEPT: usize = 64;
/// No file is larger: a whole program and a line for each of many unknown names.
const LARGEST: u64 = 256 << 10;

const CHECKSUM: usize = 32;

/// The name of a profile's program: a SHA-256, in hexadecimal.
pub(super) struct Key(String);

impl Key {
    /// Of all that decides on the program. Flags do not, nor where notifications go to, which differs between
    /// containers.
    pub fn of(seccomp: &Seccomp) -> Key {
        let Seccomp { default_action, default_errno_ret, architectures, syscalls, .. } = seccomp;
        let origin = (FORMAT, env!("CARGO_PKG_VERSION"), ffi::version(), std::env::consts::ARCH);
        let content = (origin, default_action, default_errno_ret, architectures, syscalls);
        let mut digest = Sha256::new();
        let _ = serde_json::to_writer(&mut digest, &content); // numbers and texts, into memory: cannot fail
        Key(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn checksum(key: &Key, content: &[u8]) -> [u8; CHECKSUM] {
    Sha256::new().chain_update(&key.0).chain_update(content).finalize().into()
}

/// The program stored for `key` with its warnings; `None` where there is none or where it cannot be trusted.
pub(super) fn load(directory: &Path, key: &Key) -> Option<(Program, Vec<String>)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, directory.join(&key.0), flags, Mode::empty()).ok()?;
    let size = trusted_size(&file)?;
    let mut content = vec![0; size];
    if rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut content[..])).ok()? != size {
        return None;
    }
    decode(key, &content)
}

/// The size of a regular file that is ours and that nobody else can touch.
fn trusted_size(file: &OwnedFd) -> Option<usize> {
    let stat = rustix::fs::fstat(file).ok()?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    let private = stat.st_mode & 0o7777 == 0o600;
    let size = u64::try_from(stat.st_size).ok().filter(|&size| size <= LARGEST)?;
    (regular && ours && private).then_some(usize::try_from(size).ok()?)
}

fn decode(key: &Key, content: &[u8]) -> Option<(Program, Vec<String>)> {
    let (sum, rest) = content.split_at_checked(CHECKSUM)?;
    if sum != checksum(key, rest) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (warnings, program) = rest.split_at_checked(usize::try_from(u32::from_ne_bytes(*length)).ok()?)?;
    let whole = !program.is_empty() && program.len().is_multiple_of(bpf::SIZE) && program.len() <= bpf::MAX * bpf::SIZE;
    let warnings = std::str::from_utf8(warnings).ok()?.lines().map(String::from).collect();
    whole.then(|| (program.to_vec(), warnings))
}

fn encode(key: &Key, program: &[u8], warnings: &[String]) -> Option<Vec<u8>> {
    let warnings: String = warnings.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let mut content = vec![0; CHECKSUM];
    content.extend(u32::try_from(warnings.len()).ok()?.to_ne_bytes());
    content.extend(warnings.as_bytes());
    content.extend(program);
    let sum = checksum(key, &content[CHECKSUM..]);
    content[..CHECKSUM].copy_from_slice(&sum);
    (content.len() as u64 <= LARGEST).then_some(content)
}

/// Keeps a program, where the directory can be trusted and written to. Where not, the next start compiles again, which
/// is all that a cache may cost.
pub(super) fn store(directory: &Path, key: &Key, (program, warnings): &(Program, Vec<String>)) {
    if let Some(content) = encode(key, program, warnings)
        && let Some(dir) = trusted_directory(directory)
        && replace(&dir, key, &content).is_ok()
    {
        prune(directory);
    }
}

fn trusted_directory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    DirBuilder::new().recursive(true).mode(0o700).create(path).ok()?;
    let dir = rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&dir).ok()?;
    (stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0).then_some(dir)
}

fn replace(dir: &OwnedFd, key: &Key, content: &[u8]) -> rustix::io::Result<()> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let next = format!(".{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &next, flags, Mode::RUSR | Mode::WUSR)?;
    let written = match rustix::io::retry_on_intr(|| rustix::io::write(&file, content)) {
        Ok(count) if count == content.len() => rustix::fs::renameat(dir, &next, dir, &key.0),
        Ok(_) => Err(rustix::io::Errno::NOSPC),
        Err(errno) => Err(errno),
    };
    if written.is_err() {
        let _ = rustix::fs::unlinkat(dir, &next, AtFlags::empty()); // the first error is the one that counts
    }
    written
}

/// Removes the oldest files beyond [`KEPT`], half-written ones of killed processes among them.
fn prune(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok().map(|data| ((data.mtime(), data.mtime_nsec()), entry.path())))
        .collect();
    files.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    for (_, path) in files.into_iter().skip(KEPT) {
        let _ = std::fs::remove_file(path); // gone already, or gone next time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{compile, compile_cached};
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn profile(errno: u32) -> Seccomp {
        serde_json::from_value(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno,
            "syscalls": [{"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"}],
        }))
        .unwrap()
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Stores a program that libseccomp would never make, so that a hit shows.
    fn mark(directory: &Path, profile: &Seccomp) -> (Program, Vec<String>) {
        let marked = (vec![6; 16], vec!["a: marked".into()]);
        store(directory, &Key::of(profile), &marked);
        marked
    }

    #[test]
    fn a_hit_gives_what_was_stored_and_all_that_is_wrong_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("deep/cache");
        let profile = profile(5);
        let fresh = compile(&profile).unwrap();
        assert_eq!(fresh.1.len(), 1, "a warning to be kept: {:?}", fresh.1);
        assert_eq!(compile_cached(&profile, Some(&cache)).unwrap(), fresh);
        assert_eq!(cache.metadata().unwrap().mode() & 0o7777, 0o700);
        let [file] = &files(&cache)[..] else { panic!("{:?}", files(&cache)) };
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(compile_cached(&profile, Some(&cache)).unwrap(), fresh, "with the warning, and the flags");
        assert_eq!(compile_cached(&profile, None).unwrap(), fresh);

        let marked = mark(&cache, &profile);
        let good = std::fs::read(file).unwrap();
        let hit = compile_cached(&profile, Some(&cache)).unwrap();
        assert_eq!((hit.0.program, hit.1), marked, "a hit does not compile");

        let aside = dir.path().join("aside");
        type Harm<'a> = (&'a str, &'a dyn Fn());
        let harms: &[Harm<'_>] = &[
            ("a changed byte", &|| {
                let mut bad = good.clone();
                *bad.last_mut().unwrap() ^= 1;
                std::fs::write(file, bad).unwrap();
            }),
            ("a cut file", &|| std::fs::write(file, &good[..good.len() - 8]).unwrap()),
            ("an empty file", &|| std::fs::write(file, "").unwrap()),
            ("a longer file", &|| std::fs::write(file, [&good[..], &[0; 8]].concat()).unwrap()),
            ("readable by the group", &|| set_permissions(file, Permissions::from_mode(0o640)).unwrap()),
            ("set-user-id", &|| set_permissions(file, Permissions::from_mode(0o4600)).unwrap()),
            ("a symlink", &|| {
                std::fs::rename(file, &aside).unwrap();
                symlink(&aside, file).unwrap();
            }),
            ("a FIFO", &|| {
                std::fs::remove_file(file).unwrap();
                rustix::fs::mknodat(CWD, file, FileType::Fifo, Mode::from(0o600), 0).unwrap();
            }),
            ("another profile's", &|| {
                mark(&cache, &self::profile(6));
                std::fs::rename(cache.join(&Key::of(&self::profile(6)).0), file).unwrap();
            }),
        ];
        for (harm, act) in harms {
            mark(&cache, &profile);
            act();
            assert_eq!(compile_cached(&profile, Some(&cache)).unwrap(), fresh, "{harm}");
            let (program, _) = load(&cache, &Key::of(&profile)).unwrap();
            assert_eq!(program, fresh.0.program, "{harm} was replaced");
            assert_eq!(files(&cache).len(), 1, "{harm} left something: {:?}", files(&cache));
        }
        if rustix::process::geteuid().is_root() {
            mark(&cache, &profile);
            std::os::unix::fs::chown(file, Some(1), None).unwrap();
            assert_eq!(compile_cached(&profile, Some(&cache)).unwrap(), fresh, "another user's");
        } else {
            println!("not shown: a file of another user, for want of privileges");
        }
    }

    #[test]
    fn a_directory_of_others_is_not_written_to_and_none_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let profile = profile(7);
        let fresh = compile(&profile).unwrap();
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();
        for cache in [&shared, &link, &PathBuf::from("/proc/none"), &PathBuf::from("/dev/null")] {
            assert_eq!(compile_cached(&profile, Some(cache)).unwrap(), fresh);
        }
        assert!(files(&shared).is_empty());
        assert_eq!(files(dir.path()).len(), 2);
    }

    #[test]
    fn only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for errno in 0..KEPT as u32 + 6 {
            mark(dir.path(), &profile(errno));
        }
        assert_eq!(files(dir.path()).len(), KEPT);
        assert!(load(dir.path(), &Key::of(&profile(KEPT as u32 + 5))).is_some(), "the newest is kept");
        assert!(load(dir.path(), &Key::of(&profile(0))).is_none(), "the oldest is not");
    }

    #[test]
    fn the_listener_is_no_part_of_the_content() {
        let here = Seccomp { listener_path: Some("/a".into()), listener_metadata: Some("b".into()), ..profile(1) };
        assert_eq!(Key::of(&here).0, Key::of(&profile(1)).0);
        assert_ne!(Key::of(&profile(2)).0, Key::of(&profile(1)).0);
        // Checked on a hit, too.
        let dir = tempfile::tempdir().unwrap();
        let mut notify = here;
        notify.syscalls[0].action = "SCMP_ACT_NOTIFY".into();
        assert!(compile_cached(&notify, Some(dir.path())).unwrap().0.notify);
        notify.listener_path = None;
        notify.listener_metadata = None;
        assert_eq!(
            compile_cached(&notify, Some(dir.path())).unwrap_err().config_field(),
            Some("linux.seccomp.listenerPath")
        );
    }
}
