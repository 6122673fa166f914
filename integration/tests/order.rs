//! The order of things: what a verb reports is so by then, and what waits for another does not wait for ever.

use integration::bundle::Join;
use integration::console::FdSocket;
use integration::{Bundle, Fifo, Runtime, residue};
use rustix::process::Signal;

/// A container whose last hook before its program says so, and goes on at a word.
fn held(rt: &Runtime) -> (Bundle, Fifo, Fifo) {
    let mut bundle = rt.bundle();
    let (says, hears) = (bundle.fifo("/says"), bundle.fifo("/hears"));
    bundle.hook("startContainer", "echo held >/says; read go </hears").args(&["sleep", "1000"]);
    bundle.write();
    (bundle, says, hears)
}

/// The end of hull-init by a signal is silence, as its exec is.
#[test]
fn a_program_that_was_never_reached_has_not_been_run() {
    for flags in [&["run"][..], &["run", "--detach"], &["--cgroup-manager", "disabled", "run"]] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.namespace("pid", Join::None).hook("startContainer", "kill -9 $PPID").args(&["true"]).write();
        let file = rt.path("pid");
        let output = rt.call(flags).arg("--pid-file").arg(&file).arg("--bundle").arg(bundle.dir()).arg(rt.id("")).go();
        output.exits(1).says("container init was killed by signal 9").one_line();
        assert!(!file.exists(), "{flags:?}");
        rt.container().verb(&["state"]).exits(1).says("container does not exist");
    }
}

#[test]
fn a_start_whose_program_was_never_reached_has_failed() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("pid", Join::None).hook("startContainer", "kill -9 $PPID").args(&["true"]);
    let container = rt.create(&bundle);
    container.verb(&["start"]).exits(1).says("container init ended without a word").one_line();
    assert_eq!(container.status(), "stopped");
    container.verb(&["start"]).exits(1).says("cannot start a container that has stopped");
}

#[test]
fn a_start_that_waits_for_a_hook_does_not_hold_up_a_delete_by_force() {
    let rt = Runtime::new();
    let (bundle, says, _hears) = held(&rt);
    let container = rt.create(&bundle);
    let start = rt.call(["start", &container.id]).spawn();
    assert_eq!(says.line(), "held");
    container.verb(&["delete"]).exits(1).says("that is not stopped: created");
    rt.call(["delete", "--force", &container.id]).within(20).go().ok();
    start.wait().exits(1).one_line();
    rt.assert_clean();
}

#[test]
fn a_start_whose_container_is_frozen_does_not_hold_up_a_delete_by_force() {
    for rt in [Runtime::new(), Runtime::pure_v2()] {
        let (bundle, says, _hears) = held(&rt);
        let container = rt.create(&bundle);
        let start = rt.call(["start", &container.id]).spawn();
        assert_eq!(says.line(), "held");
        container.verb(&["pause"]).ok();
        rt.call(["delete", "--force", &container.id]).within(20).go().ok();
        start.wait().exits(1).one_line();
        rt.assert_clean();
    }
}

/// Without a cgroup the record alone leads to the process, so it is there before the program is.
#[test]
fn a_run_that_was_killed_leaves_no_program_that_nobody_knows() {
    for global in [&[][..], &["--cgroup-manager", "disabled"]] {
        let rt = Runtime::new();
        let (bundle, says, hears) = held(&rt);
        let run = rt.call(global).args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).spawn();
        assert_eq!(says.line(), "held");
        run.signal(Signal::KILL);
        run.wait();
        hears.send("go");
        rt.call(["delete", "--force", rt.tag()]).go().ok();
        assert_eq!(residue::left(rt.tag(), &rt.root(), &[]), [""; 0], "{global:?}");
    }
}

#[test]
fn a_pid_file_is_of_a_process_that_stays() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let file = rt.path("pid");
    for verb in [&["create"][..], &["run", "--detach"]] {
        let flags = ["--pidfd-socket", "/no/such/socket", "--pid-file"];
        rt.call(verb).args(flags).arg(&file).arg("--bundle").arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        assert!(!file.exists(), "{verb:?}");
    }
    let socket = FdSocket::new(rt.path("pidfd"));
    let flags = ["create", "--pidfd-socket", socket.arg(), "--pid-file", "/no/such/directory/pid"];
    rt.call(flags).arg("--bundle").arg(bundle.dir()).arg(rt.id("")).go().exits(1).says("/no/such/directory/pid");
    let (_, fds) = socket.receive(|_, fds| !fds.is_empty());
    assert!(integration::fifo::readable(&fds[0], 10), "the pidfd tells that its process was ended");
}

#[test]
fn what_a_killed_runtime_left_of_a_pid_file_stands_in_nobodys_way() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let file = rt.path("pid");
    std::fs::write(rt.path(".pid"), "").unwrap();
    let container = rt.make(&bundle, "", &["create", "--pid-file", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), container.pid().to_string());
    assert_eq!(std::fs::read_dir(rt.dir()).unwrap().flatten().filter(|e| e.path() != file).count(), 3);
}
