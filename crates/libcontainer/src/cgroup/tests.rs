//! The cgroup face against the real kernel: what both versions must do, run on this machine's layout and, in a mount
//! namespace of its own, on pure version 2.

mod any_layout;
mod made;
mod oom;
mod renderings;
mod rootless;
mod tree;
mod v1;
mod v2;

use super::*;
use crate::config::Resources;
use any_layout::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::io::Write as _;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A command in a mount namespace of its own, where there is version 2 and nothing else.
const PURE_V2: &[&str] = &[
    "unshare",
    "-m",
    "sh",
    "-c",
    "mount --make-rprivate / && umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$0\" \"$@\"",
];

/// How long what must come may take, in milliseconds, before a test fails instead of hanging.
const PATIENCE_MS: i64 = 120_000;

/// Set in a test process that was started again in another view of the machine.
const INSIDE: &str = "HULL_TEST_INSIDE";

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: cgroups can only be made by root");
    }
    root
}

/// Runs the test `name` of this program again behind `prefix` (a program and its first arguments), and passes its result on.
fn again(name: &str, prefix: &[&str]) {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(prefix[0]);
    // By its descriptor: an ordinary user may not get to where the program is, nor to this one's temporary files.
    command.stdin(std::fs::File::open(this).unwrap());
    command
        .args(&prefix[1..])
        .arg("/proc/self/fd/0")
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1");
    command.env_remove("TMPDIR");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{name} inside: {}\n{text}", output.status);
}

/// Whether this process is to do the test's work on pure version 2; starts it again for that otherwise.
fn on_v2(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !is_root() {
        return false;
    }
    again(&format!("cgroup::tests::v2::{name}"), PURE_V2);
    false
}

/// A location of its own for a test, removed with all that is in it.
struct Site {
    location: Location,
    top: Vec<std::path::PathBuf>,
    /// The controllers which the root of version 2 passed on before.
    enabled: String,
}

impl Site {
    fn new() -> Site {
        let site = Site::bare();
        site.top.iter().for_each(|top| std::fs::create_dir(top).unwrap());
        for hierarchy in site.location.hierarchies().iter().filter(|h| h.has("cpuset")) {
            pass_cpuset_on(&hierarchy.mount, hierarchy.path.parent().unwrap());
        }
        site
    }

    /// Below a parent which does not exist yet, so that a failed `create` shows whether it leaves that behind.
    fn bare() -> Site {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let top = format!("hull-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let layout = Layout::detect().unwrap();
        let location =
            Location::resolve(&layout, Some(&format!("/{top}/c")), "unused", Driver::Cgroupfs, false).unwrap();
        let top = location.hierarchies().iter().map(|h| h.mount.join(&top)).collect();
        let enabled = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
        Site { location, top, enabled }
    }

    fn create(&self, resources: &str) -> Result<Cgroup> {
        let _alone = Site::alone();
        Cgroup::create(&self.location, &resources_of(resources), &Options::default())
    }

    /// Nobody else of these tests, whose processes are many, gives controllers to the root's children meanwhile, or takes them away: between
    /// the root and the parent of the container's they would be missed.
    fn alone() -> OwnedFd {
        let root = rustix::fs::open("/sys/fs/cgroup", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        rustix::fs::flock(&root, rustix::fs::FlockOperation::LockExclusive).unwrap();
        root
    }

    fn path(&self, controller: &str) -> &Path {
        self.location.paths().find(|(name, _)| *name == controller).unwrap().1
    }

    fn read(&self, controller: &str, file: &str) -> String {
        std::fs::read_to_string(self.path(controller).join(file)).unwrap().trim().to_owned()
    }

    /// The directories that are there, of the container and of the parent made for it.
    fn left(&self) -> Vec<&Path> {
        let all = self.top.iter().map(|p| p.as_path()).chain(self.location.paths().map(|(_, path)| path));
        all.filter(|path| path.exists()).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let cgroup = Cgroup::open(&self.location);
        let _ = cgroup.kill();
        let _ = cgroup.remove();
        for top in &self.top {
            let _ = std::fs::remove_dir(top);
        }
        let _alone = Site::alone();
        let file = "/sys/fs/cgroup/cgroup.subtree_control";
        let now = std::fs::read_to_string(file).unwrap_or_default();
        for name in now.split_whitespace().filter(|name| !self.enabled.split_whitespace().any(|before| before == *name))
        {
            let _ = std::fs::write(file, format!("-{name}"));
        }
    }
}

fn pass_cpuset_on(from: &Path, to: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        std::fs::write(to.join(file), std::fs::read_to_string(from.join(file)).unwrap()).unwrap();
    }
}

fn resources_of(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

/// A shell that runs its script when told to, in a process group of its own, killed at the end.
struct Shell(std::process::Child);

impl Shell {
    fn new(script: &str) -> Shell {
        let script = format!("read go; {script}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        Shell(command.spawn().unwrap())
    }

    /// A shell in `cgroup` that has begun.
    fn inside(cgroup: &mut Cgroup, script: &str) -> Shell {
        let mut shell = Shell::new(script);
        shell.enter(cgroup);
        shell.go();
        shell
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    fn enter(&self, cgroup: &mut Cgroup) {
        let entry = cgroup.entry().unwrap();
        let pid = self.pid().to_string();
        for procs in &entry.procs {
            dir::write_whole(procs.as_fd(), &pid).unwrap();
        }
        if let Some(into) = entry.clone_into {
            let flags = OFlags::WRONLY;
            let procs = rustix::fs::openat(&into, "cgroup.procs", flags, Mode::empty()).unwrap();
            dir::write_whole(procs.as_fd(), &pid).unwrap();
        }
    }

    fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Its end, which must come.
    fn ends(&mut self) -> Option<ExitStatus> {
        self.ends_within(PATIENCE_MS)
    }

    /// Its end, or `None` if it still runs after `milliseconds`.
    fn ends_within(&mut self, milliseconds: i64) -> Option<ExitStatus> {
        let process = pidfd_open(Pid::from_raw(self.pid()).unwrap(), PidfdFlags::empty()).unwrap();
        readable(process.as_fd(), milliseconds).then(|| self.0.wait().unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(Pid::from_raw(self.pid()).unwrap(), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn readable(fd: BorrowedFd<'_>, milliseconds: i64) -> bool {
    let timeout = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// A shell in `cgroup` that has come to the word READY of its script.
fn ready(cgroup: &mut Cgroup, script: &str) -> Shell {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("ready");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
    let shell = Shell::inside(cgroup, &script.replace("READY", &format!("echo ready >'{}'", fifo.display())));
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "ready\n");
    shell
}

/// A shell in `cgroup` with two children, all there.
fn family(cgroup: &mut Cgroup) -> Shell {
    ready(cgroup, "sleep 1000 & sleep 1000 & READY; wait")
}

#[test]
fn a_sub_cgroup_stays_inside() {
    let hierarchy = |controllers: &[&str], path: &str| Hierarchy {
        controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        mount: "/m".into(),
        path: path.into(),
        made: 1,
    };
    let hierarchies = vec![hierarchy(&["cpu", "cpuacct"], "/m/a"), hierarchy(&["memory"], "/m/b")];
    let cgroup = Cgroup::open(&Location { hierarchies, disabled: false, unit: None });
    let paths = |cgroup: &Cgroup| {
        cgroup.location().hierarchies().iter().map(|h| h.path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&cgroup.sub("x/./y").unwrap()), ["/m/a/x/y", "/m/b/x/y"]);
    assert_eq!(paths(&cgroup.sub("/").unwrap()), ["/m/a", "/m/b"]);
    assert_eq!(paths(&cgroup.sub("cpuacct:x").unwrap().sub("memory:y").unwrap()), ["/m/a/x", "/m/b/y"]);
    for bad in ["../x", "x/../..", "pids:x", ":x", "cpu,:x"] {
        assert_eq!(cgroup.sub(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
}

#[test]
fn without_a_cgroup_of_its_own() {
    let location = Location::resolve(&Layout::detect().unwrap(), None, "id", Driver::Disabled, false).unwrap();
    let resources = resources_of(r#"{"pids":{"limit":3},"devices":[{"allow":true,"access":"rwm"}]}"#);
    let mut cgroup = Cgroup::create(&location, &resources, &Options::default()).unwrap();
    assert_eq!(cgroup.limits_skipped().len(), 1, "{:?}", cgroup.limits_skipped());
    assert!(cgroup.limits_skipped()[0].contains("linux.resources.pids.limit"));
    let entry = cgroup.entry().unwrap();
    assert!(entry.clone_into.is_none() && entry.procs.is_empty());
    assert_eq!(cgroup.processes().unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(cgroup.update(&resources).unwrap_err().kind(), Kind::Unsupported);
    cgroup.remove().unwrap();
}
