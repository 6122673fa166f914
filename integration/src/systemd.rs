//! systemd as a test sees it: whether it runs here, what it says of a unit, and a user with an instance of their own.

pub mod played;

use crate::bundle::{Join, chown_tree};
use crate::{Bundle, Call, Container, Runtime, json, proc, user};
use std::path::{Path, PathBuf};

/// The user of the machine (integration/machine) who has a login and an instance of systemd.
pub const LOGIN: &str = "tester";
/// Their id.
pub const LOGIN_ID: u32 = 1000;

/// Whether this machine was booted with systemd (sd_booted(3)). A test that needs it ends where not, and says so.
pub fn is_here() -> bool {
    let here = Path::new("/run/systemd/system").is_dir();
    if !here {
        println!("skipped: systemd does not run here; integration/machine has a machine where it does");
    }
    here
}

/// Whether it has pure cgroup v2; says so where not.
pub fn is_here_with_v2() -> bool {
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if is_here() && !v2 {
        println!("skipped: cgroup v2 alone is needed");
    }
    is_here() && v2
}

/// What `systemctl` is asked about: the system's units or those of [`LOGIN`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// The system's.
    System,
    /// The user's.
    User,
}

impl Instance {
    /// A call of `systemctl`.
    pub fn systemctl(self, args: &[&str]) -> Call {
        let call = Call::new("systemctl");
        let call = if self == Instance::User { call.args(["--user", "-M", &format!("{LOGIN}@")]) } else { call };
        call.args(args)
    }

    /// A property of a unit.
    #[track_caller]
    pub fn show(self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--value", "-p", property, unit]).go().ok().trim().to_owned()
    }

    /// The cgroup of a unit below /sys/fs/cgroup, as systemd tells it.
    #[track_caller]
    pub fn cgroup(self, unit: &str) -> PathBuf {
        let path = self.show(unit, "ControlGroup");
        assert!(path.len() > 1, "{unit} has no cgroup");
        PathBuf::from(format!("/sys/fs/cgroup{path}"))
    }

    /// Whether systemd knows the unit.
    pub fn knows(self, unit: &str) -> bool {
        self.show(unit, "LoadState") != "not-found"
    }
}

/// A bundle whose container is to have a scope of its own, and the root of its view there.
pub fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("hulltest.slice:hull:{}", rt.tag())));
    bundle.namespace("cgroup", Join::New);
    bundle
}

/// The name of that scope.
pub fn unit(rt: &Runtime) -> String {
    format!("hull-{}.scope", rt.tag())
}

/// A container that sleeps in its scope.
#[track_caller]
pub fn sleeper<'rt>(rt: &'rt Runtime, bundle: &mut Bundle) -> Container<'rt> {
    bundle.args(&["sleep", "1000"]);
    rt.make(bundle, "", &["--systemd-cgroup", "run", "--detach"])
}

/// What a file of a cgroup says.
#[track_caller]
pub fn read(cgroup: &Path, file: &str) -> String {
    std::fs::read_to_string(cgroup.join(file)).unwrap().trim().to_owned()
}

/// A runtime called by [`LOGIN`] in a login session: beside their instance of systemd, not below it.
pub fn login_runtime() -> Runtime {
    login_runtime_in(&[])
}

/// The same through a program that starts it.
pub fn login_runtime_in(starter: &[&str]) -> Runtime {
    let session = ["su", "--login", "--command", "exec \"$@\"", "--", LOGIN, "sh"];
    runtime_of_login(session.iter().chain(starter))
}

/// A runtime called by [`LOGIN`] without a login: from the system's part of the cgroup tree, with nothing in the environment. So it is
/// under sudo(8) and cron(8).
pub fn runtime_without_login() -> Runtime {
    let user = crate::view::as_user(LOGIN_ID);
    let environment = ["env", "-i", "PATH=/usr/bin:/bin"];
    runtime_of_login(user.iter().map(String::as_str).chain(environment))
}

fn runtime_of_login<'a, S: AsRef<str> + 'a>(wrapper: impl Iterator<Item = S>) -> Runtime {
    let rt = Runtime::wrapped(wrapper.map(|word| word.as_ref().to_owned()).collect());
    chown_tree(rt.dir(), LOGIN_ID);
    rt
}

/// A unit of the user's own in which cgroups may be made.
pub const DELEGATED: [&str; 6] = ["systemd-run", "--user", "--scope", "--quiet", "-p", "Delegate=yes"];

/// A bundle of theirs, with a cgroup.
pub fn login_bundle(rt: &Runtime) -> Bundle {
    let mut bundle = user::bundle_of(rt, LOGIN_ID);
    bundle.set("/linux/cgroupsPath", json!(format!(":hull:{}", rt.tag())));
    bundle.namespace("cgroup", Join::New);
    bundle
}

/// The cgroup of version 2 in which a process is.
pub fn cgroup_of(pid: i32) -> PathBuf {
    let text = proc::read(pid, "cgroup");
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned();
    PathBuf::from(format!("/sys/fs/cgroup{path}"))
}
