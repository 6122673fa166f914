//! The public face: a Runtime holds containers, a Container is a handle to one of them.
#![allow(unused_variables, missing_docs, clippy::unimplemented)]
// PLACEHOLDER of the lead's room for the command line to compile against; replaced at the merge.

use crate::config::{Config, Process, Resources};
use crate::error::Result;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver { Cgroupfs, Systemd, Disabled }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rootless { Auto, Yes, No }

pub struct Runtime {}
impl Runtime {
    /// Containers live in directories below `root`.
    pub fn at(root: impl AsRef<Path>) -> Runtime { unimplemented!() }
    pub fn cgroup_driver(self, driver: Driver) -> Runtime { unimplemented!() }
    pub fn rootless(self, rootless: Rootless) -> Runtime { unimplemented!() }
    /// Makes a container and leaves it before its program.
    pub fn create(&self, id: &str, bundle: &Bundle, launch: Launch) -> Result<Container> { unimplemented!() }
    /// Makes a container and runs its program at once. The Child is this process's child.
    pub fn run(&self, id: &str, bundle: &Bundle, launch: Launch) -> Result<(Container, Child)> { unimplemented!() }
    /// Kind::NotFound `container does not exist`; a half-made one is a Container with status Creating or Stopped.
    pub fn get(&self, id: &str) -> Result<Container> { unimplemented!() }
    pub fn list(&self) -> Result<Vec<(String, Result<Container>)>> { unimplemented!() }
    /// The compiled plan, for `hull explain`: no privileges needed, nothing is run. Prints with Display.
    pub fn explain(&self, bundle: &Bundle) -> Result<Explanation> { unimplemented!() }
}
pub struct Explanation {}
impl std::fmt::Display for Explanation { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { unimplemented!() } }

/// What a new process gets from its caller.
#[derive(Default)]
pub struct Launch {
    pub stdio: Stdio,
    /// Where a terminal's master goes; required with process.terminal.
    pub console: Option<Console>,
    /// Descriptors 3.. that the process inherits (LISTEN_FDS included; the CLI adds LISTEN_FDS/LISTEN_PID to env itself through `extra_env`).
    pub preserve_fds: u32,
    pub extra_env: Vec<String>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub pid_file: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
}
#[derive(Default)]
pub enum Stdio { #[default] Inherit, Null, Fds([OwnedFd; 3]) }
pub enum Console { /** connect to this socket */ Socket(PathBuf), /** a connected unix socket */ Connected(OwnedFd) }

/// A child of the calling process.
pub struct Child {}
impl Child {
    pub fn pid(&self) -> i32 { unimplemented!() }
    pub fn pidfd(&self) -> BorrowedFd<'_> { unimplemented!() }
    /// Waits (waitid on the pidfd) and reaps.
    pub fn wait(self) -> Result<ExitStatus> { unimplemented!() }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus { Exited(i32), Signaled(i32) }
impl ExitStatus { /** 128+n on a signal */ pub fn code(self) -> i32 { unimplemented!() } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status { Creating, Created, Running, Paused, Stopped }
impl Status { pub fn as_str(self) -> &'static str { unimplemented!() } }

pub struct Container {}
impl Container {
    pub fn id(&self) -> &str { unimplemented!() }
    pub fn status(&self) -> Result<Status> { unimplemented!() }
    /// 0 when stopped.
    pub fn pid(&self) -> i32 { unimplemented!() }
    pub fn bundle(&self) -> &Path { unimplemented!() }
    pub fn rootfs(&self) -> &Path { unimplemented!() }
    /// RFC 3339, nanoseconds, UTC.
    pub fn created(&self) -> &str { unimplemented!() }
    pub fn owner_uid(&self) -> u32 { unimplemented!() }
    /// config.json as it was at create.
    pub fn config(&self) -> &Config { unimplemented!() }
    pub fn start(&self) -> Result<()> { unimplemented!() }
    pub fn kill(&self, signal: i32, all: bool) -> Result<()> { unimplemented!() }
    pub fn delete(&self, force: bool) -> Result<()> { unimplemented!() }
    pub fn pause(&self) -> Result<()> { unimplemented!() }
    pub fn resume(&self) -> Result<()> { unimplemented!() }
    /// Pids as this process sees them.
    pub fn processes(&self) -> Result<Vec<i32>> { unimplemented!() }
    pub fn update(&self, resources: &Resources) -> Result<()> { unimplemented!() }
    pub fn stats(&self) -> Result<crate::cgroup::Stats> { unimplemented!() }
    pub fn oom_events(&self) -> Result<crate::cgroup::OomEvents> { unimplemented!() }
    /// Runs `process` (already merged with the container's own: see the CLI's exec) in the container.
    pub fn exec(&self, process: &Process, exec: Exec) -> Result<Child> { unimplemented!() }
}
#[derive(Default)]
pub struct Exec {
    pub launch: Launch,
    /// `--cgroup [controller:]path`, relative to the container's.
    pub cgroup: Vec<String>,
    pub ignore_paused: bool,
}

pub struct Bundle {}
impl Bundle {
    pub fn load(dir: &Path) -> Result<Bundle> { unimplemented!() }
    /// Every fault of a bundle at once, for `hull validate`.
    pub fn faults(dir: &Path) -> Vec<crate::error::Error> { unimplemented!() }
    pub fn config(&self) -> &Config { unimplemented!() }
    pub fn warnings(&self) -> &[String] { unimplemented!() }
}
