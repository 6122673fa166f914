//! A test in a process of its own, so that the descriptors, children, threads and limits it looks at are its own alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::fifo::readable;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, setrlimit,
};

/// Names the test whose body runs in this process.
const ROLE: &str = "HULL_TEST_APART";
/// Whose it is, in the tags of what the test makes: its own number may be another's in another pid namespace.
const TAG: &str = "HULL_TEST_APART_TAG";

/// How the tags of this process's tests begin, which no other process's do.
pub fn tag() -> String {
    std::env::var(TAG).unwrap_or_else(|_| format!("it{}", std::process::id()))
}

/// Descriptors that are many.
const MANY: u64 = 16384;

/// Runs `body` in a new process of the calling test's program, behind `wrapper` (the head of a command line). `test` is the
/// name of the calling test; nothing of it but this call may have an effect.
///
/// # Panics
/// When the body panics, or takes more than `seconds`: then with what each of its threads waits for.
#[track_caller]
pub fn apart(test: &str, wrapper: &[&str], seconds: u64, body: impl FnOnce()) {
    if std::env::var_os(ROLE).is_some_and(|role| role == test) {
        // A hundred containers at once need more descriptors than a shell has by default.
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(MANY, |maximum| maximum.min(MANY)).max(limit.current.unwrap_or(MANY));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
        return body();
    }
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let tag = format!("{}a{}", tag(), COUNT.fetch_add(1, Ordering::Relaxed));
    // By a descriptor: the wrapper may become a user who cannot get to where the program is.
    let program = fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let mut line: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
    line.push(OsStr::new("/proc/self/fd/0"));
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
    let mut child = command.env(ROLE, test).env(TAG, &tag).stdin(program).process_group(0).spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    if !readable(&pidfd, seconds) {
        let threads = waiting(&child);
        // With it whatever shares its memory still.
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        // What runs in its containers is in sessions of its own.
        crate::residue::sweep(&format!("{tag}n"));
        panic!("did not end within {:?}; its threads were in\n{threads}", Duration::from_secs(seconds));
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{test}, in a process of its own, ended with {status}");
}

/// The threads of a process, each with the kernel's functions it is in.
fn waiting(child: &Child) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let thread = |task: fs::DirEntry| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let stack =
            read("stack").lines().map(|line| line.split(' ').next_back().unwrap_or("").to_owned()).collect::<Vec<_>>();
        format!("{}: syscall {} {}\n", read("comm").trim(), read("syscall").trim(), stack.join(" "))
    };
    tasks.map(thread).collect()
}
