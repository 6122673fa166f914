//! The process of an exec as the container can lay hands on it: from its first instant in the container's pid namespace on it
//! has the rights of its program and no more, whoever traces it (CAP_SYS_PTRACE) or looks at its descriptors.

use integration::births::look_at_births;
use integration::console::FdSocket;
use integration::{Bundle, Call, Container, Output, Runtime, json, proc};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use std::fs;

/// What /proc/PID/status says of a process's rights.
const RIGHTS: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// A process at its birth.
struct Born {
    rights: Vec<String>,
    descriptors: Vec<String>,
    cwd: String,
    root: (u64, u64),
}

fn rights(status: &str) -> Vec<String> {
    let right = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        format!("{name} {}", line.unwrap_or_else(|| panic!("{name} in {status}")).trim())
    };
    RIGHTS.iter().map(|name| right(name)).collect()
}

/// Makes the call of an exec: the one process it makes in the container's pid namespace, at its birth.
fn born_inside(call: Call, container: &Container<'_>) -> (Born, Output) {
    let namespace = proc::link(container.pid(), "ns/pid");
    let mut born = Vec::new();
    let output = look_at_births(call, |pid| {
        if proc::link(pid, "ns/pid") != namespace {
            return true;
        }
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut descriptors: Vec<_> = fds
            .map(|fd| (fd.file_name().into_string().unwrap(), fs::read_link(fd.path()).unwrap().display().to_string()))
            .map(|(number, target)| format!("{number} {}", target.split(':').next().unwrap()))
            .collect();
        descriptors.sort();
        born.push(Born {
            rights: rights(&proc::read(pid, "status")),
            descriptors,
            cwd: proc::link(pid, "cwd"),
            root: place(pid),
        });
        false
    });
    assert_eq!(born.len(), 1, "processes that the runtime makes in the container: {output}");
    (born.remove(0), output)
}

/// The root directory of a process: device and inode.
fn place(pid: i32) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let root = fs::metadata(format!("/proc/{pid}/root/.")).unwrap();
    (root.dev(), root.ino())
}

/// The exec has from its birth on what its program has in the end, and no descriptor but the streams and the conversation.
#[track_caller]
fn nothing_to_gain(container: &Container<'_>, flags: &[&str]) {
    let (born, output) = born_inside(container.exec_call(flags, &["cat", "/proc/self/status"]), container);
    assert_eq!(output.code, 0, "{output}");
    let (mut before, mut after) = (born.rights.clone(), rights(&output.stdout));
    if !after[0].starts_with("Uid 0") {
        // The exec of a user's program leaves of the sets that the config names the ambient one.
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(set_of(&before, set) & !set_of(&after, "CapBnd"), 0, "{before:?}");
        }
        for rights in [&mut before, &mut after] {
            rights.retain(|right| !right.starts_with("CapPrm") && !right.starts_with("CapEff"));
        }
    }
    assert_eq!(before, after, "{flags:?}");
    let others: Vec<_> = born.descriptors.iter().filter(|fd| !["0", "1", "2"].contains(&&fd[..1])).collect();
    assert_eq!(others, ["3 socket"], "{flags:?}: {:?}", born.descriptors);
    assert_eq!(born.root, place(container.pid()), "the host's root");
    assert_eq!(born.cwd, "/");
}

/// A container in which everybody may trace everybody.
fn tracers(bundle: &mut Bundle) -> &mut Bundle {
    bundle.caps(&["CAP_SYS_PTRACE", "CAP_KILL", "CAP_NET_RAW"])
}

#[test]
fn rights_of_root_and_of_users() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(tracers(&mut bundle));
    nothing_to_gain(&container, &[]);
    nothing_to_gain(&container, &["--user", "1000:1000", "--additional-gids", "7"]);
    nothing_to_gain(&container, &["--cap", "CAP_CHOWN"]);
}

#[test]
fn without_no_new_privs_and_with_ambient_capabilities() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    tracers(&mut bundle).set("/process/noNewPrivileges", json!(false));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    for set in ["inheritable", "ambient"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_NET_RAW"]));
    }
    let container = rt.sleeper(&mut bundle);
    nothing_to_gain(&container, &[]);
}

#[test]
fn a_filter_is_in_force_from_the_first_instant() {
    for no_new_privs in [true, false] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        tracers(&mut bundle).set("/process/noNewPrivileges", json!(no_new_privs));
        forbid(&mut bundle, &["mount", "keyctl"]);
        let container = rt.sleeper(&mut bundle);
        nothing_to_gain(&container, &[]);
        nothing_to_gain(&container, &["--user", "1000"]);
    }
}

/// One that forbids what the exec itself has to do yet comes later, and the exec works all the same.
#[test]
fn a_filter_that_would_be_in_the_way_comes_last() {
    for (no_new_privs, more) in [(true, 0), (false, 1 << 21)] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        tracers(&mut bundle).set("/process/noNewPrivileges", json!(no_new_privs));
        forbid(&mut bundle, &["setsid"]);
        let container = rt.sleeper(&mut bundle);
        let (born, output) = born_inside(container.exec_call(&[], &["cat", "/proc/self/status"]), &container);
        let (before, after) = (set_of(&born.rights, "CapPrm"), set_of(&rights(&output.stdout), "CapPrm"));
        // CAP_SYS_ADMIN, which seccomp(2) asks for.
        assert_eq!(before, after | more, "{output}");
        assert_eq!(set_of(&rights(&output.stdout), "Seccomp"), 2);
    }
}

fn set_of(rights: &[String], name: &str) -> u64 {
    let value = rights.iter().find_map(|right| right.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    u64::from_str_radix(value, 16).unwrap()
}

fn forbid(bundle: &mut Bundle, names: &[&str]) {
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}],
        }),
    );
}

#[test]
fn in_a_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    tracers(&mut bundle).userns(100_000, 65_536);
    let container = rt.sleeper(&mut bundle);
    let (born, output) = born_inside(container.exec_call(&[], &["cat", "/proc/self/status"]), &container);
    // Inside the ids read otherwise.
    let sets = |rights: &[String]| rights.iter().filter(|right| right.starts_with("Cap")).cloned().collect::<Vec<_>>();
    assert_eq!(sets(&born.rights), sets(&rights(&output.stdout)));
    assert!(born.rights.iter().any(|right| right == "Uid 100000\t100000\t100000\t100000"), "{:?}", born.rights);
    assert_eq!(born.descriptors.len(), 4, "{:?}", born.descriptors);
}

#[test]
fn with_a_terminal_and_descriptors_that_go_along() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(tracers(&mut bundle));
    let socket = FdSocket::new(rt.path("console"));
    let flags = ["--tty", "--detach", "--console-socket", socket.arg(), "--pid-file", "pid"];
    let (born, output) = born_inside(container.exec_call(&flags, &["sleep", "1000"]).cwd(rt.dir()), &container);
    assert_eq!(output.code, 0, "{output}");
    let master = socket.terminal();
    assert_eq!(born.descriptors, ["0 /dev/pts/0", "1 /dev/pts/0", "2 /dev/pts/0", "3 socket"]);
    let pid: i32 = fs::read_to_string(rt.path("pid")).unwrap().trim().parse().unwrap();
    // Session and controlling terminal are the process's own.
    let stat = proc::read(pid, "stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!(fields[3], pid.to_string(), "it leads a session: {stat}");
    assert_ne!(fields[4], "0", "a controlling terminal: {stat}");
    proc::kill(pid);
    drop(master);
}

/// RLIMIT_NPROC counts all processes of a user: the two of a fork must not be one too many.
#[test]
fn the_last_process_a_user_may_have() {
    const USER: u32 = 23_091;
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NPROC", "soft": 2, "hard": 2}]));
    bundle.set("/process/user", json!({"uid": USER, "gid": USER}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.exec(&["sh", "-c", "ulimit -u; ulimit -H -u"]).ok(), "2\n2\n");
    // With the one that sleeps it was the last.
    container.sh("true & wait").says("fork");
}

/// Who holds the process's end of the conversation cannot name another process of the host as the one of the exec: it would get the
/// signals and the end meant for that.
#[test]
fn nobody_else_is_taken_for_the_process() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(tracers(&mut bundle));
    let victim = Call::new("sleep").arg("1000").spawn();
    let namespace = proc::link(container.pid(), "ns/pid");
    let call = container.exec_call(&["--pid-file", "pid"], &["sleep", "1000"]).cwd(rt.dir());
    let output = look_at_births(call, |pid| {
        let inside = proc::link(pid, "ns/pid") == namespace;
        if inside {
            // "The process goes on as another one": kind, step, operation, value, extra.
            let forged = [2, 1, 2, victim.pid(), 0].map(u32::to_ne_bytes).concat();
            let process = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
            let sync = socket_of(pid);
            let conversation = pidfd_getfd(&process, sync, PidfdGetfdFlags::empty()).unwrap();
            assert_eq!(rustix::io::write(&conversation, &forged).unwrap(), forged.len());
        }
        !inside
    });
    output.exits(255).says("somebody else speaks for the process").one_line();
    assert!(proc::alive(victim.pid() as i32), "killed in place of the exec");
    assert!(!rt.path("pid").exists());
    victim.signal(Signal::KILL);
    victim.wait();
}

/// The number of the one socket that a process has.
fn socket_of(pid: i32) -> i32 {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let sockets = fds.filter(|fd| fs::read_link(fd.path()).unwrap().to_string_lossy().starts_with("socket:"));
    let numbers: Vec<i32> = sockets.map(|fd| fd.file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers[numbers.len() - 1]
}
