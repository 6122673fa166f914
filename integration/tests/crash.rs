//! kill -9 of the runtime at many instants of each verb: what is left is understood and can be deleted.

use integration::{Bundle, Call, Runtime, Value, proc, residue};
use rustix::process::Signal;

/// The instants of each verb.
const INSTANTS: u32 = 10;

/// How long a call takes when nobody disturbs it, in nanoseconds.
fn duration(call: Call) -> u64 {
    let begin = std::time::Instant::now();
    call.go().ok();
    u64::try_from(begin.elapsed().as_nanos()).unwrap()
}

/// Starts the call and kills the runtime after `nanoseconds`; whether it was still there to be killed.
fn killed_after(call: Call, nanoseconds: u64) -> bool {
    let running = call.spawn();
    if running.ended_within(nanoseconds) {
        running.wait();
        return false;
    }
    running.signal(Signal::KILL);
    running.wait();
    true
}

/// state, list and delete --force understand whatever is there; then nothing is.
fn understood(rt: &Runtime, when: &str) {
    let state = rt.call(["state", rt.tag()]).go();
    match state.code {
        0 => {
            let value: Value =
                serde_json::from_str(&state.stdout).unwrap_or_else(|error| panic!("{when}: {error}: {state}"));
            let status = value["status"].as_str().unwrap().to_owned();
            assert!(["creating", "created", "running", "stopped"].contains(&status.as_str()), "{when}: {state}");
        }
        _ => assert!(state.mentions("container does not exist"), "{when}: {state}"),
    }
    let list = rt.call(["list", "--format", "json"]).go();
    assert_eq!(list.code, 0, "{when}: {list}");
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert!(list.is_null() || list.as_array().unwrap().len() <= 1, "{when}: {list}");
    let delete = rt.call(["delete", "--force", rt.tag()]).go();
    assert_eq!(delete.code, 0, "{when}: {delete}");
    assert_eq!(delete.stderr, "", "{when}");
    let left = residue::left(rt.tag(), &rt.root(), &[rt.path("bundle")]);
    if !left.is_empty() {
        residue::sweep(rt.tag());
        panic!("{when}: left behind:\n {}", left.join("\n "));
    }
}

fn instants(whole: u64) -> impl Iterator<Item = u64> {
    // A little beyond the whole, so that the last instants of a slower run are met as well.
    (0..INSTANTS).map(move |step| whole * 11 / 10 * u64::from(step) / u64::from(INSTANTS))
}

fn sleeping(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    bundle
}

fn create(rt: &Runtime, bundle: &Bundle) -> Call {
    rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id(""))
}

#[test]
fn create_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    let whole = duration(create(&rt, &bundle));
    rt.call(["delete", "--force", rt.tag()]).go().ok();
    for at in instants(whole) {
        killed_after(create(&rt, &bundle), at);
        understood(&rt, &format!("create killed after {at} ns of {whole}"));
        // And the id is free again.
        create(&rt, &bundle).go().ok();
        rt.call(["delete", "--force", rt.tag()]).go().ok();
    }
}

#[test]
fn run_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    let run = |flags: &[&str]| rt.call(["run"]).args(flags).arg("--bundle").arg(bundle.dir()).arg(rt.id(""));
    let whole = duration(run(&["--detach"]));
    rt.call(["delete", "--force", rt.tag()]).go().ok();
    for at in instants(whole * 2) {
        killed_after(run(&[]), at);
        understood(&rt, &format!("run killed after {at} ns"));
    }
}

#[test]
fn start_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    create(&rt, &bundle).go().ok();
    let start = || rt.call(["start", rt.tag()]);
    let whole = duration(start());
    rt.call(["delete", "--force", rt.tag()]).go().ok();
    for at in instants(whole) {
        create(&rt, &bundle).go().ok();
        killed_after(start(), at);
        let status = rt.container().status();
        assert!(["created", "running"].contains(&status.as_str()), "start killed after {at} ns: {status}");
        if status == "created" {
            let again = start().go();
            assert!(again.code == 0 || again.mentions("already running"), "start again after {at} ns: {again}");
        }
        understood(&rt, &format!("start killed after {at} ns of {whole}"));
    }
}

#[test]
fn exec_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    let container = rt.detach(&bundle);
    let exec = || container.exec_call(&["--detach"], &["sleep", "2000"]);
    let whole = duration(exec());
    for at in instants(whole) {
        killed_after(exec(), at);
        assert_eq!(container.status(), "running", "exec killed after {at} ns");
        assert_eq!(container.exec(&["echo", "ok"]).ok(), "ok\n", "exec killed after {at} ns");
    }
    // Whatever was half way is the container's own by now, or nothing.
    let init = container.pid();
    for pid in residue::processes(rt.tag()) {
        let inside = std::fs::read_link(format!("/proc/{pid}/ns/pid"))
            .ok()
            .is_none_or(|ns| ns.to_str() == Some(&proc::link(init, "ns/pid")));
        assert!(
            inside || proc::ended(pid), // it hears of the runtime's end in its own time
            "{pid} is outside: {:?}",
            std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
        );
    }
    understood(&rt, "after execs killed half way");
}

#[test]
fn delete_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    let delete = || rt.call(["delete", "--force", rt.tag()]);
    create(&rt, &bundle).go().ok();
    let whole = duration(delete());
    for at in instants(whole) {
        create(&rt, &bundle).go().ok();
        rt.call(["start", rt.tag()]).go().ok();
        killed_after(delete(), at);
        understood(&rt, &format!("delete killed after {at} ns of {whole}"));
    }
}

#[test]
fn pause_killed() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    let container = rt.detach(&bundle);
    let whole = duration(rt.call(["pause", rt.tag()]));
    for at in instants(whole) {
        rt.call(["resume", rt.tag()]).go();
        killed_after(rt.call(["pause", rt.tag()]), at);
        let status = container.status();
        assert!(["running", "paused"].contains(&status.as_str()), "{status}");
    }
    rt.call(["delete", "--force", rt.tag()]).go().ok();
}

#[test]
fn a_killed_init_is_a_stopped_container() {
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    for verb in [&["create"][..], &["run", "--detach"]] {
        let container = rt.make(&bundle, "", verb);
        let pid = container.pid();
        proc::kill(pid);
        assert!(proc::ended(pid));
        assert_eq!(container.status(), "stopped");
        container.verb(&["start"]).exits(1).one_line();
        understood(&rt, "init killed");
    }
}

#[test]
fn two_of_everything_at_once() {
    // The same verb twice at the same time: one wins, the other has a clear error, the state stays whole.
    let rt = Runtime::new();
    let bundle = sleeping(&rt);
    for _ in 0..5 {
        let pair = [create(&rt, &bundle).spawn(), create(&rt, &bundle).spawn()].map(integration::call::Running::wait);
        assert_eq!(pair.iter().filter(|output| output.code == 0).count(), 1, "{} {}", pair[0], pair[1]);
        let pair = [rt.call(["start", rt.tag()]).spawn(), rt.call(["start", rt.tag()]).spawn()]
            .map(integration::call::Running::wait);
        assert!(pair.iter().any(|output| output.code == 0), "{} {}", pair[0], pair[1]);
        assert_eq!(rt.container().status(), "running");
        let pair =
            [(); 2].map(|()| rt.call(["delete", "--force", rt.tag()]).spawn()).map(integration::call::Running::wait);
        assert!(pair.iter().all(|output| output.code == 0), "{} {}", pair[0], pair[1]);
        understood(&rt, "after pairs");
    }
}
