//! Runtime: where containers live, and how new ones come to be.

mod links;
mod making;

use crate::cgroup::{Cgroup, Driver, Layout, Location, Options, Subgroup};
use crate::config::{Config, Process};
use crate::container::{Container, NotifySocket, notify};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::launch::{self, Launched, hook};
use crate::plan::{self, Cgroups, Explanation, Input, LaunchFacts};
use crate::process::{Child, Launch, send_pidfd};
use crate::resctrl::{Claim, Group};
use crate::seccomp::Filter;
use crate::spec::{Bundle, annotations};
use crate::state::oci::State;
use crate::state::{self, Contents, Entry, Id, Phase, Record, Store};
use making::Making;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::LazyLock;

/// Whether hull may leave out what an ordinary user is not permitted (cgroups above all).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// Without privileges on the host: yes.
    #[default]
    Auto,
    /// Yes.
    Yes,
    /// No: what is asked for and refused is an error.
    No,
}

/// The entry to everything: containers in directories below one root.
#[derive(Clone, Debug)]
pub struct Runtime {
    store: Store,
    driver: Driver,
    rootless: Rootless,
}

impl Runtime {
    /// Containers live below `root`, which is made when the first one is. Makes no system call.
    pub fn at(root: impl AsRef<Path>) -> Runtime {
        Runtime { store: Store::at(root.as_ref()), driver: Driver::Cgroupfs, rootless: Rootless::Auto }
    }

    /// Who makes cgroups; by default hull itself.
    pub fn cgroup_driver(mut self, driver: Driver) -> Runtime {
        self.driver = driver;
        self
    }

    /// What to do about missing privileges; by default what they call for.
    pub fn rootless(mut self, rootless: Rootless) -> Runtime {
        self.rootless = rootless;
        self
    }

    /// Makes a container and leaves it just before its program: runtime.md's `create`. Its first process is a child of this process: see
    /// [`Container::child`].
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] where the id is taken; else what in the config, the machine or the program is at fault. Nothing is left behind.
    pub fn create(&self, id: &str, bundle: &Bundle, launch: Launch) -> Result<Container> {
        let (container, _) = self.make(id, bundle, launch, true)?;
        if let Some(init) = container.init_process() {
            Child::leave(init);
        }
        Ok(container)
    }

    /// Makes a container and runs its program at once. The program is a child of this process, to be waited for.
    ///
    /// # Errors
    /// As [`Runtime::create`].
    pub fn run(&self, id: &str, bundle: &Bundle, launch: Launch) -> Result<(Container, Child)> {
        program_is_given(bundle.spec())?;
        let (mut container, launched) = self.make(id, bundle, launch, false)?;
        let child = Child::new(launched.pid, launched.pidfd, container.init_process()).telling(container.end());
        match container.after_start() {
            Ok(()) => Ok((container, child)),
            Err(error) => {
                child.end();
                Err(container.end_over(error))
            }
        }
    }

    /// The container of this id.
    ///
    /// # Errors
    /// [`Kind::NotFound`], `container does not exist`.
    pub fn get(&self, id: &str) -> Result<Container> {
        let id = Id::new(id)?;
        let contents = self.store.read(&id)?;
        Container::from_contents(&self.store, id, contents)
    }

    /// All containers, by id. One whose record cannot be read comes with its error.
    ///
    /// # Errors
    /// Where the root cannot be read.
    pub fn list(&self) -> Result<Vec<(String, Result<Container>)>> {
        let found = self.store.list()?;
        let container = |(id, contents): (Id, Result<Contents>)| {
            let name = id.as_str().to_owned();
            (name, contents.and_then(|contents| Container::from_contents(&self.store, id, contents)))
        };
        Ok(found.into_iter().map(container).collect())
    }

    /// The plan that `create` would perform. Needs no privileges and changes nothing.
    ///
    /// # Errors
    /// What would keep the plan from being made.
    pub fn explain(&self, bundle: &Bundle) -> Result<Explanation> {
        let host = host_for(bundle)?;
        let id = "explained";
        let config: &Config = bundle.spec();
        let process = process_of(config);
        let layout = Layout::detect()?;
        let location = self.locate(&layout, &host, config, id)?;
        let by_admission = self.driver == Driver::Systemd;
        let walks_in = !location.is_v2() && !by_admission;
        let procs = if walks_in { location.hierarchies().len() as u16 } else { 0 };
        let filter = filter_of(config, None)?;
        let rootfs = bundle.rootfs();
        let links = links::of(bundle)?;
        let input = Input {
            config,
            process,
            host: &host,
            id,
            bundle: bundle.dir(),
            rootfs: &rootfs,
            cgroup: cgroups(&layout, &location, procs, by_admission),
            filter: filter.as_ref(),
            launch: LaunchFacts { barrier: true, links: &links, ..LaunchFacts::default() },
        };
        plan::init(&input).map(Explanation::of)
    }

    fn make(&self, id: &str, bundle: &Bundle, launch: Launch, barrier: bool) -> Result<(Container, Launched)> {
        let id = Id::new(id)?;
        launch.check(bundle.spec().process.as_ref().is_some_and(|process| process.terminal))?;
        let host = host_for(bundle)?;
        check_rootfs(bundle)?;
        let entry = self.store.create(&id)?;
        let mut making = Making { entry: Some(entry), ..Making::default() };
        let made = self.make_in(&mut making, &id, &host, bundle, launch, barrier);
        match made {
            Ok((record, launched, skipped)) => {
                let notify = making.notify.take();
                let held = making.keep().map(Entry::unlock).transpose()?;
                let config = Config::clone(bundle.spec());
                Ok((Container::made(&self.store, id, record, config, skipped, held, notify), launched))
            }
            Err(error) => {
                let mut left = making.undo();
                // runtime.md#lifecycle goes on with the end.
                let state = State {
                    id: id.as_str(),
                    status: "stopped",
                    pid: None,
                    bundle: bundle.dir(),
                    annotations: &bundle.spec().annotations,
                };
                left.extend(hook::poststop(&bundle.spec().hooks.poststop, &state));
                Err(error.and_afterwards(&left))
            }
        }
    }

    fn make_in(
        &self,
        making: &mut Making,
        id: &Id,
        host: &Host,
        bundle: &Bundle,
        launch: Launch,
        barrier: bool,
    ) -> Result<(Record, Launched, Vec<String>)> {
        let config: &Config = bundle.spec();
        let rootfs = bundle.rootfs();
        let rootless = self.is_rootless(host);
        let layout = Layout::detect()?;
        let mut location = self.locate(&layout, host, config, id.as_str())?;
        let filter = filter_of(config, Some(&self.store.beside("seccomp")))?;

        let raw = serde_json::value::RawValue::from_string(bundle.raw().to_owned())
            .map_err(|error| Error::new(Kind::InvalidSpec, format!("config.json: {error}")))?;
        let mut record = Record::new(id, bundle.dir().to_owned(), rootfs.clone(), host.euid, raw);
        record.rootless = rootless;
        record.systemd = self.driver == Driver::Systemd;
        record.cgroup = serde_json::to_value(&location).unwrap_or_default();
        let place = |rdt| Claim::of(Group::of(host.resctrl.as_deref(), rdt, id.as_str())?, rdt);
        let claim = config.linux.intel_rdt.as_ref().map(place).transpose()?;
        record.resctrl = serde_json::to_value(claim.as_ref().map(Claim::group)).unwrap_or_default();
        // The record comes before cgroup and class: only it could find what a kill from here on leaves behind.
        making.write(&record)?;
        making.class = claim.map(Claim::make).transpose()?;

        let with_notify = launch.notify.then(|| notify::prepare(making.entry()?, config)).transpose()?;
        let config = with_notify.as_ref().unwrap_or(config);
        let process = process_of(config);
        if launch.notify && !barrier {
            making.notify = Some(NotifySocket::bind(making.entry()?)?);
        }

        let default_resources = crate::config::Resources::default();
        let resources = config.linux.resources.as_ref().unwrap_or(&default_resources);
        let in_user_namespace = config.linux.namespaces.iter().any(|n| n.kind == "user");
        let owner = crate::cgroup::owner::of_cgroup(config, process);
        let devices = !(in_user_namespace && rootless);
        let subgroup = annotations::asked(config, annotations::SYSTEMD_SUBGROUP)
            .map(|path| Subgroup { path: path.to_owned(), field: annotations::field(annotations::SYSTEMD_SUBGROUP) });
        let named = config.linux.cgroups_path.as_deref().is_some_and(|path| !path.is_empty());
        let options = Options { rootless, named, devices, owner, annotations: Some(&config.annotations), subgroup };
        let cgroup = making.cgroup.insert(Cgroup::create(&location, resources, &options)?);
        let cgroup_entry = cgroup.entry()?;
        if *cgroup.location() != location {
            // Rootless, some hierarchies were not to be had.
            location = cgroup.location().clone();
            record.cgroup = serde_json::to_value(&location).unwrap_or_default();
        }

        let without_cgroup = location.hierarchies().is_empty();

        let home = crate::process::home(process, Some(config), &rootfs);
        let kernel_file_systems = if launch.no_pivot { Host::kernel_file_systems()? } else { Vec::new() };
        let links = links::of(bundle)?;
        let input = Input {
            config,
            process,
            host,
            id: id.as_str(),
            bundle: bundle.dir(),
            rootfs: &rootfs,
            cgroup: cgroups(&layout, &location, cgroup_entry.procs.len() as u16, cgroup_entry.by_admission),
            filter: filter.as_ref(),
            launch: LaunchFacts {
                barrier,
                noted: without_cgroup,
                home: home.as_deref(),
                kernel_file_systems: &kernel_file_systems,
                links: &links,
                ..launch.facts()
            },
        };
        let plan = plan::init(&input)?;
        let start_socket = match barrier {
            true => Some(
                crate::sys::socket::listen_in(making.entry()?.dir(), START_SOCKET)
                    .map_err(|errno| Error::sys("make the start socket", errno))?,
            ),
            false => None,
        };
        let console = launch.console_socket()?;
        let stdio = launch.stdio_fds()?;
        let mut cgroup = making.cgroup.take(); // lent to the launch
        let mut on_process = |process: Result<state::Process>| {
            record.init = match process {
                Err(error) if barrier => return Err(error),
                // A program that has ended already is no process to find again.
                process => process.ok(),
            };
            if barrier || without_cgroup { making.write(&record) } else { Ok(()) }
        };
        let launched = launch::perform(
            &plan,
            launch::Launch {
                config,
                host,
                id: id.as_str(),
                program: process.program(),
                bundle: bundle.dir(),
                rootfs: &rootfs,
                cgroup: cgroup_entry,
                stdio: stdio.numbers(),
                preserve: launch.preserve_fds,
                console,
                start_socket,
                init: None,
                on_process: Some(&mut on_process),
                group: cgroup.as_mut(),
            },
        );
        let mut skipped = cgroup.as_ref().map(|cgroup| cgroup.limits_skipped().to_vec()).unwrap_or_default();
        skipped.extend(plan.warnings.iter().cloned());
        making.cgroup = cgroup;
        let mut launched = launched?;
        record.phase = if barrier { Phase::Created } else { Phase::Started };
        let receiver = annotations::asked(config, annotations::PIDFD_RECEIVER);
        let told = making
            .write(&record)
            .and_then(|()| receiver.map_or(Ok(()), |path| send_pidfd(Path::new(path), launched.pidfd.as_fd())))
            .and_then(|()| launch.announce(launched.pid, launched.pidfd.as_fd()));
        match told.and_then(|()| launched.release()) {
            Ok(()) => Ok((record, launched, skipped)),
            Err(error) => {
                let error = launched.give_back(error);
                Child::new(launched.pid, launched.pidfd, None).end();
                Err(error)
            }
        }
    }

    fn locate(&self, layout: &Layout, host: &Host, config: &Config, id: &str) -> Result<Location> {
        let path = config.linux.cgroups_path.as_deref();
        Location::resolve(layout, path, id, self.driver, self.is_rootless(host))
    }

    fn is_rootless(&self, host: &Host) -> bool {
        match self.rootless {
            Rootless::Yes => true,
            Rootless::No => false,
            Rootless::Auto => host.euid != 0 || host.in_user_namespace,
        }
    }
}

/// The socket in a container's directory on which its init waits for `start`.
pub(crate) const START_SOCKET: &str = "start.sock";

/// Facts of the machine, as many as this config asks for.
pub(crate) fn host_for(bundle: &Bundle) -> Result<Host> {
    let mut host = Host::read()?;
    complete_host(&mut host, process_of(bundle.spec()), bundle.spec())?;
    Ok(host)
}

/// Reads the facts that only some configs depend on.
pub(crate) fn complete_host(host: &mut Host, process: &Process, config: &Config) -> Result<()> {
    let label = |label: &Option<String>| label.as_deref().is_some_and(|label| !label.is_empty());
    let labels = |process: &Process| label(&process.apparmor_profile) || label(&process.selinux_label);
    if labels(process) || config.process.as_ref().is_some_and(labels) || label(&config.linux.mount_label) {
        host.read_security_modules();
    }
    if config.linux.namespaces.iter().any(|n| n.kind == "user") {
        host.read_limits(process.rlimits.iter().filter_map(|limit| crate::spec::names::RLIMITS.get(&limit.kind)));
    }
    if config.linux.intel_rdt.is_some() {
        host.read_resctrl().map_err(|error| error.field("linux.intelRdt"))?;
    }
    Ok(())
}

/// The process to make a container for. A config may do without one as long as the container is not started.
fn process_of(config: &Config) -> &Process {
    static NONE: LazyLock<Process> = LazyLock::new(|| Process { cwd: "/".to_owned(), ..Process::default() });
    config.process.as_ref().unwrap_or(&NONE)
}

/// config.md: `process` is required when `start` is called.
pub(crate) fn program_is_given(config: &Config) -> Result<()> {
    match config.process {
        Some(_) => Ok(()),
        None => Err(Error::spec("process", "a process is required to start the container")),
    }
}

pub(crate) fn filter_of(config: &Config, cache: Option<&Path>) -> Result<Option<Filter>> {
    match &config.linux.seccomp {
        Some(seccomp) => crate::seccomp::compile_cached(seccomp, cache).map(|(filter, _)| Some(filter)),
        None => Ok(None),
    }
}

/// The container's cgroups as the plan needs to know them.
pub(crate) fn cgroups(layout: &Layout, location: &Location, procs: u16, by_admission: bool) -> Cgroups {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let v1 = location.hierarchies().iter().filter(|h| !h.is_v2()).map(|h| (name(&h.mount), h.path.clone())).collect();
    Cgroups { procs, by_admission, unified: layout.is_v2(), v1 }
}

fn check_rootfs(bundle: &Bundle) -> Result<()> {
    let rootfs = bundle.rootfs();
    match rustix::fs::stat(&rootfs) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => Ok(()),
        Ok(_) => Err(Error::spec("root.path", format!("the root file system {rootfs:?} is no directory"))),
        Err(errno) => Err(Error::sys(format!("open the root file system {rootfs:?}"), errno)
            .with_kind(Kind::InvalidSpec)
            .field("root.path")),
    }
}
