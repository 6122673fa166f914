//! A process that joins a running container.

use crate::cgroup::Cgroup;
use crate::config::Process;
use crate::container::{Container, Status};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::launch::{self, Launched};
use crate::plan::{self, Cgroups, Input, LaunchFacts};
use crate::process::{Child, Launch};
use crate::runtime::{complete_host, filter_of};
use crate::spec::{annotations, names};
use std::path::PathBuf;

/// How a process joins a container.
#[derive(Debug, Default)]
pub struct Exec {
    /// What it gets from its caller.
    pub launch: Launch,
    /// Cgroups below the container's: `[CONTROLLERS:]PATH`.
    pub cgroup: Vec<String>,
    /// Into a paused container, too; the process then waits with the others.
    pub ignore_paused: bool,
}

impl Container {
    /// Runs `process` in the container. It is a child of this process, to be waited for.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where the container does not run; else what is at fault with the process.
    pub fn exec(&self, process: &Process, exec: Exec) -> Result<Child> {
        self.join(process, exec).map_err(|error| {
            // It has ended on the way, and what of it was missing then (a namespace, a cgroup) is not the reason to tell.
            let ends = || self.init_process().is_some_and(|init| init.ends().unwrap_or(false));
            if error.kind() == Kind::System && ends() { stopped() } else { error }
        })
    }

    fn join(&self, process: &Process, exec: Exec) -> Result<Child> {
        match self.status()? {
            Status::Stopped => return Err(stopped()),
            Status::Creating => {
                return Err(Error::new(Kind::WrongState, "cannot exec in a container that is being created"));
            }
            Status::Paused if !exec.ignore_paused => {
                let what = "cannot exec in a paused container (use --ignore-paused to override)";
                return Err(Error::new(Kind::WrongState, what));
            }
            _ => {}
        }
        crate::spec::check_process(process)?;
        exec.launch.check(process.terminal)?;
        let mut cgroup = self.cgroup()?;
        if let Some(path) = self.subgroup(&cgroup) {
            cgroup = cgroup.sub(path)?;
        }
        for path in &exec.cgroup {
            cgroup = cgroup.sub(path)?;
        }
        let launched = match self.exec_in(process, &exec.launch, &mut cgroup) {
            // A container that manages its own cgroups has moved its first process down, and nobody may enter here; or one of its
            // cgroups is gone.
            Err(error) if exec.cgroup.is_empty() && is_elsewhere(&error) => {
                let init = self.init_process().map_or(0, |init| init.pid);
                self.exec_in(process, &exec.launch, &mut cgroup.beside(init)?)?
            }
            launched => launched?,
        };
        let child = Child::new(launched.pid, launched.pidfd, self.init_process());
        match exec.launch.announce(child.pid(), child.pidfd()) {
            Ok(()) => Ok(child),
            Err(error) => {
                child.end();
                Err(error)
            }
        }
    }

    /// The cgroup below a scope of systemd's in which the container is.
    fn subgroup(&self, cgroup: &Cgroup) -> Option<&str> {
        annotations::asked(self.config(), annotations::SYSTEMD_SUBGROUP).filter(|_| cgroup.location().unit.is_some())
    }

    fn exec_in(&self, process: &Process, launch: &Launch, cgroup: &mut Cgroup) -> Result<Launched> {
        let stopped = || Error::new(Kind::WrongState, "cannot exec in a stopped container");
        let init = self.init_process().ok_or_else(stopped)?;
        let init_pidfd = init.pidfd()?.ok_or_else(stopped)?;
        let config = self.config();
        let mut host = Host::read()?;
        complete_host(&mut host, process, config)?;
        let filter = filter_of(config, Some(&self.store().beside("seccomp")))?;
        let entry = cgroup.entry()?;
        let root = PathBuf::from(format!("/proc/{}/root", init.pid));
        let home = crate::process::home(process, None, &root);
        let input = Input {
            config,
            process,
            host: &host,
            id: self.id(),
            bundle: self.bundle(),
            rootfs: self.rootfs(),
            // Where the hierarchies are matters to those who mount them only.
            cgroup: Cgroups { procs: entry.procs.len() as u16, by_admission: entry.by_admission, ..Cgroups::default() },
            filter: filter.as_ref(),
            launch: LaunchFacts { join: namespaces_of(self, init.pid), home: home.as_deref(), ..launch.facts() },
        };
        let plan = plan::exec(&input)?;
        let console = launch.console_socket()?;
        let stdio = launch.stdio_fds()?;
        launch::perform(
            &plan,
            launch::Launch {
                config,
                host: &host,
                id: self.id(),
                program: process.program(),
                bundle: self.bundle(),
                rootfs: self.rootfs(),
                cgroup: entry,
                stdio: stdio.numbers(),
                preserve: launch.preserve_fds,
                console,
                start_socket: None,
                init: Some((Some(init_pidfd), init.pid)),
                on_process: None,
                group: Some(cgroup),
            },
        )
    }
}

/// Whether the cgroup could not be entered because the container's processes are in another.
fn is_elsewhere(error: &Error) -> bool {
    error.kind() == Kind::System && [libc::EBUSY, libc::ENOENT].map(Some).contains(&error.raw_os_error())
}

fn stopped() -> Error {
    Error::new(Kind::WrongState, "cannot exec in a stopped container")
}

/// The namespaces of the container's own; to join the user namespace one is in already is an error for the kernel.
fn namespaces_of(container: &Container, pid: i32) -> u64 {
    let kinds = container.config().linux.namespaces.iter().filter_map(|n| names::NAMESPACES.get(&n.kind));
    let joins = kinds.filter(|kind| kind.file != "user" || !same_namespace(pid, kind.file));
    joins.fold(0, |flags, kind| flags | kind.flag)
}

fn same_namespace(pid: i32, file: &str) -> bool {
    let of = |pid: &str| rustix::fs::stat(format!("/proc/{pid}/ns/{file}")).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((of("self"), of(&pid.to_string())), (Ok(ours), Ok(theirs)) if ours == theirs)
}
