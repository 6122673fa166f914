//! `kill`: which signals it knows, whom they reach, and what becomes of a container by them.

use integration::{Runtime, proc};

#[test]
fn kill_takes_names_and_numbers() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script(
        "for s in HUP USR1 USR2 TERM WINCH; do trap \"echo $s > /said\" $s; done; echo up > /said; \
         while true; do sleep 1000 & wait $!; done",
    );
    let container = rt.detach(&bundle);
    assert_eq!(said.line(), "up");
    for (signal, name) in [
        ("HUP", "HUP"),
        ("SIGUSR1", "USR1"),
        ("usr2", "USR2"),
        ("sigterm", "TERM"),
        ("10", "USR1"),
        ("1", "HUP"),
        ("WINCH", "WINCH"),
        ("28", "WINCH"),
    ] {
        container.kill(signal);
        assert_eq!(said.line(), name, "kill {signal}");
    }
    rt.call(["kill", &container.id]).go().ok();
    assert_eq!(said.line(), "TERM", "TERM is the default");
}

#[test]
fn kill_of_an_unknown_signal() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    rt.call(["kill", &container.id, "BOGUS"]).go().exits(1).says("unknown signal \"BOGUS\"");
    assert_eq!(container.status(), "running");
}

#[test]
fn kill_of_a_stopped_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.stop();
    rt.call(["kill", &container.id, "TERM"]).go().exits(1).says("container not running").one_line();
}

#[test]
fn kill_of_a_created_container() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    let container = rt.create(&bundle);
    container.stop();
    assert_eq!(container.status(), "stopped");
}

#[test]
fn kill_all_reaches_every_process() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("pid", integration::bundle::Join::None);
    let said = bundle.fifo("/said");
    bundle.script("sleep 1000 & sleep 1000 & echo up > /said; wait");
    let container = rt.detach(&bundle);
    said.line();
    let processes = integration::residue::processes(rt.tag());
    assert!(processes.len() >= 3, "{processes:?}");
    rt.call(["kill", "--all", &container.id, "KILL"]).go().ok();
    for pid in processes {
        assert!(proc::ended(pid), "{pid} survived kill --all");
    }
    rt.call(["delete", &container.id]).go().ok();
}

#[test]
fn a_created_container_ends_at_a_signal_as_a_program_would() {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let rt = Runtime::new();
        let container = rt.create(&rt.bundle());
        let pid = container.pid();
        container.kill(signal);
        assert!(proc::ended(pid), "{signal}");
        assert_eq!(container.status(), "stopped", "{signal}");
    }
}

#[test]
fn kill_of_what_its_first_process_has_left() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("pid", integration::bundle::Join::None);
    let said = bundle.fifo("/said");
    bundle.script("sleep 1000 & echo up > /said; wait");
    let container = rt.detach(&bundle);
    said.line();
    let first = container.pid();
    let left: Vec<_> = integration::residue::processes(rt.tag()).into_iter().filter(|pid| *pid != first).collect();
    assert!(!left.is_empty());
    rustix::process::kill_process(rustix::process::Pid::from_raw(first).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    assert!(proc::ended(first));
    container.kill("KILL");
    for pid in left {
        assert!(proc::ended(pid), "{pid} survived");
    }
    assert_eq!(container.status(), "stopped");
}

#[test]
fn signal_0_asks_whether_it_runs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.kill("0");
    rt.call(["kill", "--all", &container.id, "0"]).go().ok();
    container.stop();
    rt.call(["kill", &container.id, "0"]).go().exits(1).says("container not running");
    rt.call(["kill", "--all", &container.id, "0"]).go().ok();
}
