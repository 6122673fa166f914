//! What an engine relies on beyond the verbs: the container's process becomes the caller's, and is the caller's to reap.

use integration::{Runtime, json};
use rustix::process::{Pid, WaitOptions, set_child_subreaper, waitpid};

/// Reaps an orphan that became this process's child.
fn reap(pid: i32) -> i32 {
    let status = waitpid(Some(Pid::from_raw(pid).unwrap()), WaitOptions::empty())
        .expect("the orphan is this process's child")
        .unwrap();
    status.1.exit_status().unwrap_or_else(|| 128 + status.1.terminating_signal().unwrap())
}

fn parent(pid: i32) -> i32 {
    integration::proc::field(pid, "PPid").unwrap().parse().unwrap()
}

/// One test for all: whoever is a subreaper is so for the whole process, and these must not reap each other's.
#[test]
fn a_subreaper_gets_the_orphans() {
    set_child_subreaper(Some(Pid::from_raw(1).unwrap())).unwrap();
    let own = std::process::id() as i32;

    // create and start: the exit status of init is the caller's to read.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let go = bundle.fifo("/go");
    bundle.script("read x < /go; exit 42");
    let file = rt.path("init.pid");
    bundle.write();
    rt.call(["create", "--bundle"]).arg(bundle.dir()).arg("--pid-file").arg(&file).arg(rt.id("")).go().ok();
    let init: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(parent(init), own);
    rt.container().start();

    // exec --detach: the same, also where the process has ended before hull has.
    for _ in 0..30 {
        let file = rt.fresh("exec.pid");
        let call = ["--detach", "--pid-file", file.to_str().unwrap()];
        rt.container().exec_call(&call, &["true"]).go().ok();
        assert_eq!(reap(std::fs::read_to_string(&file).unwrap().parse().unwrap()), 0);
    }
    let exec_file = rt.path("exec.pid");
    let container = rt.container();
    container.exec_call(&["--detach", "--pid-file", exec_file.to_str().unwrap()], &["sh", "-c", "exit 7"]).go().ok();
    let exec: i32 = std::fs::read_to_string(&exec_file).unwrap().parse().unwrap();
    assert_eq!(reap(exec), 7);

    // While nobody has reaped it, a dead init is a stopped container.
    let children = |rt: &Runtime| integration::residue::processes(rt.tag());
    assert_eq!(children(&rt), [init], "nothing of the runtime stays beside the container");
    go.send("now");
    assert!(integration::proc::ended(init));
    assert_eq!(container.status(), "stopped");
    container.verb(&["kill"]).exits(1).says("not running");
    assert_eq!(reap(init), 42);
    container.verb(&["delete"]).ok();

    // delete before the caller reaps: the state goes, the zombie waits for its parent.
    bundle.set("/process/args", json!(["sleep", "1000"])).write();
    let container = rt.detach(&bundle);
    let init = container.pid();
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(reap(init), 137);

    // A creation that fails leaves no child to reap.
    bundle.set("/process/args", json!(["nosuchprogram"])).write();
    rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
    let left = waitpid(None, WaitOptions::NOHANG);
    assert!(matches!(left, Err(rustix::io::Errno::CHILD)), "{left:?}");
}
