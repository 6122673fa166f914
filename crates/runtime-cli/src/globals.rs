//! The options before the verb, and what they mean for every verb.

use crate::args::{Given, Opt, Takes, boolean};
use crate::failure::Failure;
use crate::log::{Level, Log};
use libcontainer::{Container, Driver, Rootless, Runtime};
use rustix::io::Errno;
use rustix::process::Uid;
use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Options of the program itself.
pub const OPTIONS: &[Opt] = &[
    Opt {
        names: &["root"],
        takes: Takes::Path("DIR"),
        about: "the state of containers (default: /run/hull; for an ordinary user: $XDG_RUNTIME_DIR/hull)",
    },
    Opt { names: &["log"], takes: Takes::Path("FILE"), about: "append errors to this file (default: standard error)" },
    Opt { names: &["log-format"], takes: Takes::Text("FORMAT"), about: "text (the default) or json" },
    Opt {
        names: &["log-level"],
        takes: Takes::Text("LEVEL"),
        about: "error, warning or debug (default: warning as text, error as json)",
    },
    Opt { names: &["debug"], takes: Takes::Nothing, about: "the same as --log-level debug" },
    Opt {
        names: &["systemd-cgroup"],
        takes: Takes::Nothing,
        about: "leave cgroups to systemd; cgroupsPath is then slice:prefix:name",
    },
    Opt {
        names: &["cgroup-manager"],
        takes: Takes::Text("MANAGER"),
        about: "cgroupfs (the default), systemd or disabled",
    },
    Opt {
        names: &["rootless"],
        takes: Takes::Text("WHEN"),
        about: "do without cgroups that may not be changed: true, false or auto (the default)",
    },
    Opt { names: &["criu"], takes: Takes::Path("FILE"), about: "" },
    Opt { names: &["help", "h"], takes: Takes::Nothing, about: "show this help" },
    Opt { names: &["version", "v"], takes: Takes::Nothing, about: "show the version" },
];

/// What the options before the verb say.
#[derive(Debug)]
pub struct Globals<'l> {
    /// Where the state of containers is kept; absolute.
    pub root: PathBuf,
    /// Where errors go.
    pub log: &'l Log,
    /// How messages call this program.
    pub program: &'static str,
    driver: Driver,
    rootless: Rootless,
}

/// The log that the options ask for; made first, so that all further errors go there.
pub fn log(given: &Given) -> Result<Log, Failure> {
    let json = match given.text("log-format") {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(Failure::new(format!("invalid log-format: {other}"))),
    };
    let level = match given.text("log-level") {
        None if given.is("debug") => Level::Debug,
        None if json => Level::Error,
        None => Level::Warning,
        Some(name) => Level::named(name).ok_or_else(|| Failure::new(format!("invalid log-level: {name}")))?,
    };
    let file = match given.path("log") {
        None => None,
        Some(path) => {
            let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o644).open(path);
            Some(opened.map_err(|error| Failure::io(format!("open log file {path:?}"), &error))?)
        }
    };
    Ok(Log { file, json, level })
}

impl<'l> Globals<'l> {
    /// Reads the options; `log` is what [`log`] made of them.
    pub fn new(given: &Given, log: &'l Log, program: &'static str) -> Result<Globals<'l>, Failure> {
        let driver = match given.text("cgroup-manager") {
            None if given.is("systemd-cgroup") => Driver::Systemd,
            None | Some("cgroupfs") => Driver::Cgroupfs,
            Some("systemd") => Driver::Systemd,
            Some("disabled") => Driver::Disabled,
            Some(other) => {
                let text = format!("invalid cgroup-manager: {other} (cgroupfs, systemd and disabled are known)");
                return Err(Failure::new(text));
            }
        };
        let rootless = match given.text("rootless") {
            None | Some("auto") => Rootless::Auto,
            Some(value) => match boolean(OsStr::new(value)) {
                Some(true) => Rootless::Yes,
                Some(false) => Rootless::No,
                None => {
                    return Err(Failure::new(format!("invalid value {value:?} for --rootless: true, false or auto")));
                }
            },
        };
        let root = match given.path("root") {
            Some(path) => absolute(path)?,
            None => default_root(rustix::process::geteuid())?,
        };
        if root == Path::new("/") {
            return Err(Failure::new("Option --root argument should not be set to /"));
        }
        Ok(Globals { root, log, program, driver, rootless })
    }

    /// The library's runtime with these options.
    pub fn runtime(&self) -> Runtime {
        Runtime::at(&self.root).cgroup_driver(self.driver).rootless(self.rootless)
    }

    /// The container that a verb's first operand names.
    pub fn container(&self, given: &Given) -> Result<Container, Failure> {
        Ok(self.runtime().get(self.id(given)?)?)
    }

    /// The container id in a verb's first operand. Which ids are good is the library's to say.
    pub fn id<'g>(&self, given: &'g Given) -> Result<&'g str, Failure> {
        match given.operands.first().map(|id| id.to_str()) {
            Some(Some("")) | None => Err(Failure::new("container id cannot be empty")),
            Some(Some(id)) => Ok(id),
            Some(None) => Err(Failure::new("invalid container ID format")),
        }
    }
}

/// The path from the root directory on, without `.` and `..`, symlinks not looked at.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let whole = std::path::absolute(path).map_err(|error| Failure::io("find the working directory", &error))?;
    let mut clean = PathBuf::from("/");
    for component in whole.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    Ok(clean)
}

/// `/run/hull`, or for whoever is not the machine's root a directory below `$XDG_RUNTIME_DIR`, made with the sticky bit so that it is not
/// tidied away (XDG base directory specification).
fn default_root(caller: Uid) -> Result<PathBuf, Failure> {
    let machine = PathBuf::from("/run/hull");
    if caller.is_root() && !named_otherwise_in_user_namespace() {
        return Ok(machine);
    }
    let named = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let Some(dir) = named.or_else(|| login_directory(caller)) else { return Ok(machine) };
    let path = dir.join("hull");
    let unusable = |error| Failure::io(format!("make {path:?} (XDG_RUNTIME_DIR must be writable)"), &error);
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => return Ok(path),
        Err(error) => return Err(unusable(error)),
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1700)).map_err(unusable)?;
    Ok(path)
}

/// Where a user's logins have their `$XDG_RUNTIME_DIR`, for who has come without one (sudo(8), cron(8)), if it is there.
fn login_directory(user: Uid) -> Option<PathBuf> {
    let dir = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    let stat = rustix::fs::lstat(&dir).ok()?;
    (stat.st_uid == user.as_raw() && !user.is_root()).then_some(dir)
}

/// Whether uid 0 is only that of a user namespace, and `$USER` is not root: a user who has mapped himself.
fn named_otherwise_in_user_namespace() -> bool {
    if std::env::var_os("USER").is_some_and(|user| user == "root") {
        return false;
    }
    // The initial user namespace maps all of the 32-bit range to itself.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Order;

    fn globals(args: &[&str]) -> Result<Globals<'static>, Failure> {
        const LOG: &Log = &Log { file: None, json: false, level: Level::Error };
        let given = Given::read(args.iter().map(Into::into), &[OPTIONS], Order::OptionsFirst).unwrap();
        Globals::new(&given, LOG, "hull")
    }

    #[test]
    fn the_slash_is_no_root_however_it_is_written() {
        for root in ["/", "//", "/.", "/a/..", "/../.."] {
            let failure = globals(&["--root", root]).unwrap_err();
            assert_eq!(failure.text, "Option --root argument should not be set to /", "{root}");
        }
        assert_eq!(globals(&["--root", "/a/./b/../c"]).unwrap().root, Path::new("/a/c"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(globals(&["--root", "x"]).unwrap().root, here.join("x"));
    }

    #[test]
    fn drivers_and_rootless() {
        let read = |args: &[&str]| globals(args).map(|globals| (globals.driver, globals.rootless)).map_err(|f| f.text);
        assert_eq!(read(&["--root=/r"]), Ok((Driver::Cgroupfs, Rootless::Auto)));
        assert_eq!(read(&["--root=/r", "--systemd-cgroup", "--rootless=true"]), Ok((Driver::Systemd, Rootless::Yes)));
        assert_eq!(
            read(&["--root=/r", "--cgroup-manager", "disabled", "-rootless", "false"]),
            Ok((Driver::Disabled, Rootless::No))
        );
        assert!(read(&["--root=/r", "--cgroup-manager=zzz"]).unwrap_err().contains("zzz"));
        assert!(read(&["--root=/r", "--rootless=zzz"]).unwrap_err().contains("\"zzz\""));
    }

    #[test]
    fn what_is_logged() {
        let level = |args: &[&str]| {
            let given = Given::read(args.iter().map(Into::into), &[OPTIONS], Order::OptionsFirst).unwrap();
            log(&given).map(|log| (log.json, log.level)).map_err(|failure| failure.text)
        };
        assert_eq!(level(&[]), Ok((false, Level::Warning)));
        assert_eq!(level(&["--log-format", "json"]), Ok((true, Level::Error)));
        assert_eq!(level(&["--log-format=json", "--debug"]), Ok((true, Level::Debug)));
        assert_eq!(level(&["--log-format=json", "--log-level=warning"]), Ok((true, Level::Warning)));
        assert_eq!(level(&["--log-format=xml"]), Err("invalid log-format: xml".into()));
        let failure = level(&["--log", "/no/such/log"]).unwrap_err();
        assert_eq!(failure, "open log file \"/no/such/log\": no such file or directory");
    }
}
