//! Mount options: strings of config.json in, one value out. One table says what every name does.

mod idmap;
#[cfg(test)]
mod tests;

pub use idmap::{Idmap, IdmapRange};

use crate::config::Mount;
use crate::error::{Error, Result};
use crate::spec::{is_bind, names::PROPAGATION};

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// What one name does.
#[derive(Clone, Copy)]
enum Effect {
    /// `defaults` and names that ask for what is the default anyway.
    Nothing,
    Bind,
    RecursiveBind,
    Remount,
    /// Sets an attribute of the mount: of this mount, or with `Recursive` of all below.
    Set(Reach, u64),
    /// Clears an attribute.
    Clear(Reach, u64),
    /// Chooses the way of access times. It is an enumeration, not a flag: the kernel wants the whole field cleared.
    Time(Reach, u64),
    /// Read-only or not: both an attribute of the mount and a flag of the superblock.
    ReadOnly(bool),
    /// Sets or clears a flag of the superblock.
    Super(bool, u64),
    CopyUp,
    MapIds(bool),
    CopySymlink,
    SourceNoFollow,
    DestinationNoFollow,
}

#[derive(Clone, Copy, PartialEq)]
enum Reach {
    One,
    Recursive,
}

use Effect::*;
use Reach::{One, Recursive};

/// Every name but those of propagation, which [`PROPAGATION`] has. The names and meanings are those of mount(8) and
/// runc; the last three and the values of `idmap` are crun's.
const TABLE: &[(&str, Effect)] = &[
    ("async", Super(false, libc::MS_SYNCHRONOUS)),
    ("atime", Time(One, libc::MOUNT_ATTR_RELATIME)),
    ("bind", Bind),
    ("defaults", Nothing),
    ("dev", Clear(One, NODEV)),
    ("diratime", Clear(One, NODIRATIME)),
    ("dirsync", Super(true, libc::MS_DIRSYNC)),
    ("exec", Clear(One, NOEXEC)),
    ("iversion", Super(true, libc::MS_I_VERSION)),
    ("lazytime", Super(true, MS_LAZYTIME)),
    ("loud", Super(false, libc::MS_SILENT)),
    ("mand", Super(true, libc::MS_MANDLOCK)),
    ("noatime", Time(One, libc::MOUNT_ATTR_NOATIME)),
    ("nodev", Set(One, NODEV)),
    ("nodiratime", Set(One, NODIRATIME)),
    ("noexec", Set(One, NOEXEC)),
    ("noiversion", Super(false, libc::MS_I_VERSION)),
    ("nolazytime", Super(false, MS_LAZYTIME)),
    ("nomand", Super(false, libc::MS_MANDLOCK)),
    ("norelatime", Nothing),
    ("nostrictatime", Time(One, libc::MOUNT_ATTR_RELATIME)),
    ("nosuid", Set(One, NOSUID)),
    ("nosymfollow", Set(One, NOSYMFOLLOW)),
    ("rbind", RecursiveBind),
    ("relatime", Time(One, libc::MOUNT_ATTR_RELATIME)),
    ("remount", Remount),
    ("ro", ReadOnly(true)),
    ("rw", ReadOnly(false)),
    ("silent", Super(true, libc::MS_SILENT)),
    ("strictatime", Time(One, libc::MOUNT_ATTR_STRICTATIME)),
    ("suid", Clear(One, NOSUID)),
    ("symfollow", Clear(One, NOSYMFOLLOW)),
    ("sync", Super(true, libc::MS_SYNCHRONOUS)),
    ("ratime", Time(Recursive, libc::MOUNT_ATTR_RELATIME)),
    ("rdev", Clear(Recursive, NODEV)),
    ("rdiratime", Clear(Recursive, NODIRATIME)),
    ("rexec", Clear(Recursive, NOEXEC)),
    ("rnoatime", Time(Recursive, libc::MOUNT_ATTR_NOATIME)),
    ("rnodev", Set(Recursive, NODEV)),
    ("rnodiratime", Set(Recursive, NODIRATIME)),
    ("rnoexec", Set(Recursive, NOEXEC)),
    ("rnorelatime", Nothing),
    ("rnostrictatime", Time(Recursive, libc::MOUNT_ATTR_RELATIME)),
    ("rnosuid", Set(Recursive, NOSUID)),
    ("rnosymfollow", Set(Recursive, NOSYMFOLLOW)),
    ("rrelatime", Time(Recursive, libc::MOUNT_ATTR_RELATIME)),
    ("rro", Set(Recursive, RDONLY)),
    ("rrw", Clear(Recursive, RDONLY)),
    ("rstrictatime", Time(Recursive, libc::MOUNT_ATTR_STRICTATIME)),
    ("rsuid", Clear(Recursive, NOSUID)),
    ("rsymfollow", Clear(Recursive, NOSYMFOLLOW)),
    ("tmpcopyup", CopyUp),
    ("idmap", MapIds(false)),
    ("ridmap", MapIds(true)),
    ("copy-symlink", CopySymlink),
    ("src-nofollow", SourceNoFollow),
    ("dest-nofollow", DestinationNoFollow),
];

/// linux/fs.h; libc has it for some targets only.
const MS_LAZYTIME: u64 = 1 << 25;

/// Superblock flags by the names that fsconfig(2) takes for set and for clear. `silent` and `iversion` are not among
/// them: a context of fsopen(2) writes no messages to the kernel's log, and inode versions are no option of the VFS any more.
const SUPER_PARAMETERS: &[(u64, &str, &str)] = &[
    (libc::MS_RDONLY, "ro", "rw"),
    (libc::MS_SYNCHRONOUS, "sync", "async"),
    (libc::MS_DIRSYNC, "dirsync", ""),
    (libc::MS_MANDLOCK, "mand", "nomand"),
    (MS_LAZYTIME, "lazytime", "nolazytime"),
];

/// All that the options of one mount say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MountOptions {
    /// A bind mount, recursive or not; also of a mount whose type is `bind`.
    pub bind: bool,
    /// With [`MountOptions::bind`]: the mounts below the source as well.
    pub recursive_bind: bool,
    /// Changes the mount that is at the destination instead of mounting.
    pub remount: bool,
    /// `MOUNT_ATTR_*` to set on this mount, for fsmount(2) or mount_setattr(2).
    pub attr_set: u64,
    /// `MOUNT_ATTR_*` to clear before, for mount_setattr(2). Has `MOUNT_ATTR__ATIME` whenever access times were chosen.
    pub attr_clr: u64,
    /// As [`MountOptions::attr_set`], on all mounts below too (`AT_RECURSIVE`).
    pub rec_attr_set: u64,
    /// As [`MountOptions::attr_clr`], on all mounts below too.
    pub rec_attr_clr: u64,
    /// `MS_*` flags of the superblock to set. `ro` is here and in [`MountOptions::attr_set`]: a filesystem that must be
    /// filled first (tmpfs, `/dev`) can be made without and closed with the attribute. Means nothing for a bind mount.
    pub sb_flags: u64,
    /// `MS_*` flags of the superblock to clear; counts for a remount.
    pub sb_clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`, each with whether it is recursive, in order.
    pub propagation: Vec<(u64, bool)>,
    /// Options for the filesystem itself, in order, one each (`size=65536k`).
    pub data: Vec<String>,
    /// A tmpfs that starts with what the image has at its destination.
    pub tmpcopyup: bool,
    /// The mount is id-mapped.
    pub idmap: Option<Idmap>,
    /// A source that is a symbolic link is made again in the container instead of being mounted.
    pub copy_symlink: bool,
    /// A source that is a symbolic link is mounted itself.
    pub src_nofollow: bool,
    /// A destination that is a symbolic link is mounted upon itself.
    pub dest_nofollow: bool,
}

/// Reads the options of a mount; `field` is the mount's (`mounts[3]`). A mount of type `bind` is a bind mount.
///
/// # Errors
/// At `FIELD.options`: an `idmap=` that cannot be read.
pub fn parse_mount(mount: &Mount, field: &str) -> Result<MountOptions> {
    parse_as(&mount.options, is_bind(mount), field)
}

/// Reads option strings alone; `field` as in [`parse_mount`].
///
/// # Errors
/// As [`parse_mount`].
pub fn parse(options: &[String], field: &str) -> Result<MountOptions> {
    parse_as(options, false, field)
}

fn parse_as(options: &[String], bind: bool, field: &str) -> Result<MountOptions> {
    let mut parsed = MountOptions { bind, ..MountOptions::default() };
    for option in options {
        if let Some((_, effect)) = TABLE.iter().find(|(name, _)| name == option) {
            parsed.apply(*effect);
        } else if let Some(flags) = PROPAGATION.get(option) {
            parsed.propagation.push((flags & !libc::MS_REC, flags & libc::MS_REC != 0));
        } else if let Some((name, ranges)) =
            option.split_once('=').filter(|(name, _)| matches!(*name, "idmap" | "ridmap"))
        {
            let idmap = idmap::parse(ranges, name == "ridmap")
                .map_err(|what| Error::spec(format!("{field}.options"), format!("{option:?}: {what}")))?;
            parsed.idmap = Some(idmap);
        } else {
            parsed.data.extend(parameters(option));
        }
    }
    if parsed.copy_symlink && (parsed.src_nofollow || parsed.dest_nofollow) {
        let what = "\"copy-symlink\" goes with neither \"src-nofollow\" nor \"dest-nofollow\"";
        return Err(Error::spec(format!("{field}.options"), what));
    }
    Ok(parsed)
}

impl MountOptions {
    fn apply(&mut self, effect: Effect) {
        match effect {
            Nothing => (),
            Bind => self.bind = true,
            RecursiveBind => (self.bind, self.recursive_bind) = (true, true),
            Remount => self.remount = true,
            Set(reach, attr) => self.attribute(reach, attr, 0),
            Clear(reach, attr) => self.attribute(reach, 0, attr),
            Time(reach, value) => self.attribute(reach, value, ATIME),
            ReadOnly(true) => {
                self.attribute(One, RDONLY, 0);
                self.superblock(true, libc::MS_RDONLY);
            }
            ReadOnly(false) => {
                self.attribute(One, 0, RDONLY);
                self.superblock(false, libc::MS_RDONLY);
            }
            Super(set, flag) => self.superblock(set, flag),
            CopyUp => self.tmpcopyup = true,
            MapIds(recursive) => self.idmap = Some(Idmap { recursive, ..Idmap::default() }),
            CopySymlink => self.copy_symlink = true,
            SourceNoFollow => self.src_nofollow = true,
            DestinationNoFollow => self.dest_nofollow = true,
        }
    }

    /// The last name wins: what is set is not to be cleared and what is cleared not to be set, but for access times,
    /// where mount_setattr(2) wants the field cleared and the value set in one call.
    fn attribute(&mut self, reach: Reach, set: u64, clear: u64) {
        let (attr_set, attr_clr) = match reach {
            One => (&mut self.attr_set, &mut self.attr_clr),
            Recursive => (&mut self.rec_attr_set, &mut self.rec_attr_clr),
        };
        *attr_set = *attr_set & !clear | set;
        *attr_clr = *attr_clr & !(set & !ATIME) | clear;
    }

    fn superblock(&mut self, set: bool, flag: u64) {
        let (to, from) =
            if set { (&mut self.sb_flags, &mut self.sb_clear) } else { (&mut self.sb_clear, &mut self.sb_flags) };
        *to |= flag;
        *from &= !flag;
    }

    /// The superblock flags by the names that fsconfig(2) takes with `FSCONFIG_SET_FLAG`: those set, and for a remount
    /// those cleared.
    pub fn super_parameters(&self) -> impl Iterator<Item = &'static str> {
        let (set, clear) = (self.sb_flags, if self.remount { self.sb_clear } else { 0 });
        SUPER_PARAMETERS.iter().filter_map(move |(flag, on, off)| {
            if set & flag != 0 { Some(*on) } else { Some(*off).filter(|off| clear & flag != 0 && !off.is_empty()) }
        })
    }
}

/// Splits one filesystem option into key and value for fsconfig(2). mount(2) took the value of an LSM's context in quotes,
/// for the commas in it; fsconfig(2) takes it plain.
pub fn parameter(option: &str) -> (&str, Option<&str>) {
    match option.split_once('=') {
        Some((key, value)) => {
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            (key, Some(inner.unwrap_or(value)))
        }
        None => (option, None),
    }
}

/// One string may hold several filesystem options, as mount(2) took them: separated by commas that are neither in quotes
/// nor behind a backslash.
fn parameters(option: &str) -> Vec<String> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = |c: char| {
        let separator = c == ',' && !quoted && !escaped;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        separator
    };
    option.split(separates).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Every name that has a meaning here, in alphabetical order, as `features` prints `mountOptions`.
pub fn known() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.0).chain(PROPAGATION.names()).collect();
    names.sort_unstable();
    names.into_iter()
}
