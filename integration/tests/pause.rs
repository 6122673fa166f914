//! pause and resume, and the other verbs on a paused container.

use integration::cgroup::{either, read};
use integration::{Runtime, proc};

fn frozen(rt: &Runtime) -> bool {
    let state = read(rt, either("freezer.state", "cgroup.events"));
    state == "FROZEN" || state.lines().any(|line| line == "frozen 1")
}

#[test]
fn a_paused_container_stands_still() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let ticks = bundle.fifo("/ticks");
    let go = bundle.fifo("/go");
    bundle.script("while read x < /go; do echo $x > /ticks; done");
    let container = rt.detach(&bundle);
    go.send("one");
    assert_eq!(ticks.line(), "one");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    assert!(frozen(&rt));
    go.send("two");
    assert_eq!(ticks.line_within(0), None);
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "running");
    assert!(!frozen(&rt));
    assert_eq!(ticks.line(), "two");
}

#[test]
fn list_and_ps_show_a_paused_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let pid = container.pid();
    container.verb(&["pause"]).ok();
    assert!(rt.call(["list"]).go().ok().contains("paused"));
    assert_eq!(rt.call(["ps", "-f", "json", &container.id]).go().word(), format!("[{pid}]"));
}

#[test]
fn resume_of_a_running_container_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.verb(&["resume"]).exits(1).says("container not paused").one_line();
    assert_eq!(container.status(), "running");
}

#[test]
fn pause_of_a_stopped_container_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.stop();
    container.verb(&["pause"]).exits(1).says("container not running").one_line();
    container.verb(&["resume"]).exits(1).one_line();
}

#[test]
fn a_created_container_can_be_paused() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script("echo ran > /said; exec sleep 1000");
    let container = rt.create(&bundle);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(said.line(), "ran");
}

#[test]
fn kill_reaches_a_paused_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let pid = container.pid();
    container.verb(&["pause"]).ok();
    container.kill("KILL");
    assert!(proc::ended(pid), "a frozen process does not die of a signal unless it is thawed for it");
    assert_eq!(container.status(), "stopped");
}

#[test]
fn delete_of_a_paused_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.verb(&["pause"]).ok();
    container.verb(&["delete"]).exits(1).says("not stopped: paused").one_line();
    container.verb(&["delete", "--force"]).ok();
    rt.assert_clean();
}
