//! create, start, kill, delete and what `state` says between them.

use integration::{Runtime, json, proc};

#[test]
fn create_start_stop_delete() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    assert_eq!(container.status(), "created");
    let init = container.pid();
    container.start();
    assert_eq!(container.status(), "running");
    assert_eq!(container.pid(), init, "start keeps the process of create");
    assert_eq!(proc::read(init, "cmdline"), "sleep\x001000\0");
    container.stop();
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete"]).ok();
    container.verb(&["state"]).exits(1).says("container does not exist");
    assert!(!rt.root().join(&container.id).exists());
}

#[test]
fn create_runs_nothing_of_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script("echo ran > /said");
    let container = rt.create(&bundle);
    let init = container.pid();
    assert_ne!(proc::link(init, "ns/mnt"), std::fs::read_link("/proc/self/ns/mnt").unwrap().to_str().unwrap());
    container.start();
    assert_eq!(said.line(), "ran");
    assert!(proc::ended(init, 10));
}

#[test]
fn state_has_every_key() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"org.example.key": "value", "empty": ""}));
    let container = rt.sleeper(&mut bundle);
    let text = container.verb(&["state"]).ok();
    assert!(text.starts_with("{\n  \"ociVersion\""), "indented by two: {text}");
    let state = container.state();
    assert_eq!(state["id"], container.id);
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"], bundle.dir().to_str().unwrap());
    assert_eq!(state["rootfs"], bundle.rootfs().to_str().unwrap());
    assert_eq!(state["annotations"]["org.example.key"], "value");
    assert_eq!(state["annotations"]["empty"], "");
    assert_eq!(state["owner"], "");
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    let created = state["created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z') && created.contains('T'), "{created}");
    container.stop();
    let state = container.state();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)));
}

#[test]
fn state_of_nothing() {
    let rt = Runtime::new();
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        rt.call([verb, "nobody"]).go().exits(1).says("container does not exist").one_line();
    }
    rt.call(["exec", "nobody", "true"]).go().exits(255).says("container does not exist").one_line();
}

#[test]
fn an_id_is_used_once() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    for verb in ["create", "run"] {
        let again = rt.call([verb, "--bundle"]).arg(bundle.dir()).arg(&container.id).go();
        again.exits(1).says("container with given ID already exists").one_line();
    }
    assert_eq!(container.status(), "running", "the first one lives on");
}

#[test]
fn start_twice() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    container.start();
    container.verb(&["start"]).exits(1).says("cannot start an already running container").one_line();
    assert_eq!(container.status(), "running");
    container.stop();
    container.verb(&["start"]).exits(1).says("cannot start a container that has stopped").one_line();
}

#[test]
fn delete_while_running() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let expected = format!("cannot delete container {} that is not stopped: running", container.id);
    container.verb(&["delete"]).exits(1).says(&expected).one_line();
    assert_eq!(container.status(), "running");
    let init = container.pid();
    container.verb(&["delete", "--force"]).ok();
    assert!(!proc::alive(init));
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn delete_force_of_nothing_succeeds() {
    let rt = Runtime::new();
    let output = rt.call(["delete", "--force", "nobody"]).go().exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    rt.call(["delete", "-f", "nobody"]).go().ok();
}

#[test]
fn delete_of_a_created_container() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    let container = rt.create(&bundle);
    let init = container.pid();
    container.verb(&["delete"]).ok();
    assert!(!proc::alive(init), "the waiting init goes with its container");
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn delete_ends_every_process_of_a_shared_pid_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.namespace("pid", integration::bundle::Join::None);
    bundle.script("sleep 1000 & echo up > /said; exec sleep 1000");
    let container = rt.detach(&bundle);
    said.line();
    let processes = integration::residue::processes(rt.tag());
    assert!(processes.len() >= 2, "{processes:?}");
    container.verb(&["delete", "--force"]).ok();
    rt.assert_clean();
}

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
        assert!(proc::ended(pid, 10), "{pid} survived kill --all");
    }
    rt.call(["delete", &container.id]).go().ok();
}

#[test]
fn a_fresh_root_directory_is_made() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let root = rt.path("root/deep/er");
    let run = rt.bare().arg("--root").arg(&root).args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.tag());
    run.go().ok();
    assert!(root.is_dir());
    std::fs::remove_dir_all(rt.path("root/deep")).unwrap();
}

#[test]
fn ids_hold_only_safe_characters() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let id = format!("{}_A+b-c.9", rt.tag());
    rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(&id).go().ok();
}

#[test]
fn bundle_is_the_working_directory_by_default() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "here"]).write();
    assert_eq!(rt.call(["run", &rt.id("")]).cwd(bundle.dir()).go().ok(), "here\n");
    let relative = rt.call(["run", "-b", "bundle", &rt.id("")]).cwd(rt.dir()).go();
    assert_eq!(relative.ok(), "here\n");
}

#[test]
fn a_created_container_ends_at_a_signal_as_a_program_would() {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let rt = Runtime::new();
        let container = rt.create(&rt.bundle());
        let pid = container.pid();
        container.kill(signal);
        assert!(proc::ended(pid, 10), "{signal}");
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
    assert!(proc::ended(first, 10));
    container.kill("KILL");
    for pid in left {
        assert!(proc::ended(pid, 10), "{pid} survived");
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
