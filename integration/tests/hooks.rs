//! Hooks: six kinds, their order and place, the state they read, time limits, failures.

use integration::{Runtime, Value, json};
use std::fs;

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

#[test]
fn six_kinds_in_their_order() {
    let rt = Runtime::new();
    let log = rt.path("log");
    let mut bundle = rt.bundle();
    let inside = bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let file = if kind == "startContainer" { "/host/log".to_owned() } else { log.display().to_string() };
        for number in 1..=2 {
            inside.hook(kind, &format!("echo {kind} {number} >> {file}"));
        }
    }
    inside.script("echo program >> /host/log; exec sleep 1000");
    let container = rt.create(&bundle);
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let created = lines(fs::read_to_string(&log).unwrap());
    assert_eq!(
        created,
        ["prestart 1", "prestart 2", "createRuntime 1", "createRuntime 2", "createContainer 1", "createContainer 2"]
    );
    container.start();
    container.stop();
    container.verb(&["delete", "--force"]).ok();
    let all = lines(fs::read_to_string(&log).unwrap());
    let started = &all[6..];
    let at = |line: &str| started.iter().position(|have| have == line).unwrap_or_else(|| panic!("{line} in {all:?}"));
    assert!(at("startContainer 1") < at("startContainer 2"));
    assert!(at("startContainer 2") < at("poststart 1"), "{all:?}");
    assert!(at("poststart 1") < at("poststart 2"));
    assert_eq!(started[started.len() - 2..], ["poststop 1", "poststop 2"]);
    assert_eq!(started.iter().filter(|line| *line != "program").count(), 6, "each once: {all:?}");
}

#[test]
fn the_state_is_on_standard_input() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"key": "value"}));
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let file = if kind == "startContainer" { format!("/host/{kind}") } else { rt.path(kind).display().to_string() };
        bundle.hook(kind, &format!("cat > {file}"));
    }
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    container.start();
    let pid = container.pid();
    container.stop().verb(&["delete"]).ok();
    for (kind, status) in KINDS.iter().zip(["creating", "creating", "creating", "created", "running", "stopped"]) {
        let text = fs::read_to_string(rt.path(kind)).unwrap();
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}: {text}"));
        assert_eq!(state["id"], rt.tag(), "{kind}");
        assert_eq!(state["bundle"], bundle.dir().to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["key"], "value", "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}: {text}");
        assert_eq!(state["status"], status, "{kind}");
        if ["prestart", "createRuntime", "poststart"].contains(kind) {
            assert_eq!(state["pid"], pid, "{kind}");
        }
    }
}

#[test]
fn the_namespaces_they_run_in() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let dir = if kind == "startContainer" { "/host".to_owned() } else { rt.dir().display().to_string() };
        bundle.hook(
            kind,
            &format!("readlink /proc/self/ns/mnt > {dir}/{kind}; readlink /proc/self/ns/net >> {dir}/{kind}"),
        );
    }
    let container = rt.sleeper(&mut bundle);
    let init = container.pid();
    let inside = [integration::proc::link(init, "ns/mnt"), integration::proc::link(init, "ns/net")];
    let host =
        ["mnt", "net"].map(|ns| fs::read_link(format!("/proc/self/ns/{ns}")).unwrap().to_string_lossy().into_owned());
    container.stop().verb(&["delete"]).ok();
    for kind in KINDS {
        let text = fs::read_to_string(rt.path(kind)).unwrap();
        let seen: Vec<_> = text.lines().take(2).collect();
        let expected = if ["createContainer", "startContainer"].contains(&kind) { &inside } else { &host };
        assert_eq!(seen, *expected, "{kind}");
    }
}

#[test]
fn create_container_runs_before_the_pivot() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    bundle.hook(
        "createContainer",
        &format!(
            "readlink /proc/self/root > {0}; test -e /proc/self && test -d {1} && echo host root >> {0}",
            file.display(),
            rt.dir().display()
        ),
    );
    bundle.args(&["true"]);
    rt.run(&bundle).ok();
    assert!(fs::read_to_string(&file).unwrap().contains("host root"));
}

#[test]
fn arguments_and_environment_are_the_hooks() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    bundle.push("/hooks/createRuntime", json!({
        "path": "/bin/sh", "args": ["zeroth", "-c", format!("echo $0 $1 >> {0}; env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)=' >> {0}", file.display()), "a", "b c"],
        "env": ["ONLY=this"]
    }));
    bundle.args(&["true"]);
    rt.run_call(&bundle, &[]).env("FROM_CALLER", "1").go().ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "a b c\nONLY=this\n");
}

#[test]
fn a_failing_hook_fails_the_creation() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.hook(kind, "echo broken hook >&2; exit 3").args(&["true"]);
        bundle.write();
        let output = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        assert!(output.stderr.contains("hook"), "{kind}: {output}");
        assert!(output.stderr.contains('3') || output.stderr.contains("broken hook"), "{kind}: {output}");
        rt.container().verb(&["state"]).exits(1).says("container does not exist");
    }
}

#[test]
fn the_hooks_after_a_failing_one_do_not_run() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("ran");
    bundle.hook("createRuntime", "exit 1").hook("createRuntime", &format!("touch {}", file.display()));
    bundle.hook("createContainer", &format!("touch {}", file.display())).args(&["true"]);
    rt.run(&bundle).exits(1);
    assert!(!file.exists());
}

#[test]
fn a_failing_start_container_hook_fails_the_start() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = bundle.fifo("/ran");
    bundle.hook("startContainer", "exit 5").script("echo ran > /ran");
    let container = rt.create(&bundle);
    let pid = container.pid();
    container.verb(&["start"]);
    assert!(integration::proc::ended(pid, 10), "the container does not go on");
    assert_eq!(file.line_within(0), None, "the program never ran");
}

#[test]
fn a_failing_poststart_hook_stops_the_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.hook("poststart", "exit 5").args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let pid = container.pid();
    let output = container.verb(&["start"]).exits(1);
    assert!(output.stderr.contains("hook"), "{output}");
    assert!(integration::proc::ended(pid, 10), "spec 1.3: the container is stopped");
}

#[test]
fn a_failing_poststop_hook_is_only_a_warning() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("second");
    bundle.hook("poststop", "exit 5").hook("poststop", &format!("touch {}", file.display())).args(&["sleep", "1000"]);
    let container = rt.detach(&bundle);
    container.stop().verb(&["delete"]).exits(0);
    assert!(file.exists(), "the hooks after it run");
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .push("/hooks/createRuntime", json!({"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}))
        .args(&["true"]);
    let begin = std::time::Instant::now();
    let output = rt.run_call(&bundle, &[]).env("HOOK", "1").go().exits(1);
    assert!(output.stderr.contains("hook"), "{output}");
    let seconds = begin.elapsed().as_secs();
    assert!((1..30).contains(&seconds), "{seconds}");
}

#[test]
fn a_hook_in_time_is_not_ended() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .push("/hooks/createRuntime", json!({"path": "/bin/true", "args": ["true"], "timeout": 30}))
        .args(&["echo", "ok"]);
    assert_eq!(rt.run(&bundle).ok(), "ok\n");
}

#[test]
fn a_missing_hook_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push("/hooks/createRuntime", json!({"path": "/no/such/hook"})).args(&["true"]);
    rt.run(&bundle).exits(1).says("/no/such/hook").one_line();
}

#[test]
fn a_hook_may_not_read_its_state() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"long": "x".repeat(300_000)}));
    bundle.push("/hooks/createRuntime", json!({"path": "/bin/true", "args": ["true"]})).args(&["echo", "ok"]);
    assert_eq!(rt.run(&bundle).ok(), "ok\n", "more than a pipe holds, and nobody reads");
}

#[test]
fn a_hook_prepares_the_network() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.hook("createRuntime", "pid=$(sed -n 's/.*\"pid\":[ ]*\\([0-9]*\\).*/\\1/p'); nsenter -t $pid -n ip link add it-veth type dummy 2>/dev/null || nsenter -t $pid -n busybox ip link set lo mtu 1234");
    let seen = rt.sh(&mut bundle, "ls /sys/class/net; cat /sys/class/net/lo/mtu").ok();
    assert!(seen.contains("it-veth") || seen.contains("1234"), "{seen}");
}

#[test]
fn a_create_that_fails_goes_on_with_poststop() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("poststop-state");
    bundle.hook("createRuntime", "exit 3").hook("poststop", &format!("cat > {}", file.display())).args(&["true"]);
    rt.run(&bundle).exits(1).says("createRuntime").one_line();
    let state: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&state["status"], &state["id"]), (&"stopped".into(), &rt.tag().into()));
    rt.assert_clean();
}

#[test]
fn a_timeout_that_no_clock_reaches() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": "/bin/true", "timeout": i64::MAX}]));
    }
    assert_eq!(rt.sh(&mut bundle, "echo ran").ok(), "ran\n");
}

#[test]
fn a_start_container_hook_is_confined_as_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).set("/process/env", json!(["PATH=/bin", "ONE=two"]));
    bundle.set(
        "/hooks/startContainer",
        json!([{"path": "/bin/sh", "args": ["sh", "-c", "[ $ONE = two ] && [ $HOME = /root ]"]}]),
    );
    rt.run(&bundle).ok();
    let deny = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": deny}));
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]));
    bundle.set("/hooks/startContainer", json!([{"path": "/bin/sh", "args": ["sh", "-c", "exec mkdir /dev/shm/x"]}]));
    rt.run(&bundle).exits(1).says("error running startContainer hook #0").says("bad system call").one_line();
    let container = rt.create(&bundle);
    container.verb(&["start"]).exits(1).says("error running startContainer hook #0");
}

#[test]
fn a_create_container_hook_works_in_the_root_file_system() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.writable().hook("createContainer", "echo made > ./made").args(&["cat", "/made"]);
    assert_eq!(rt.run(&bundle).ok(), "made\n");
}

#[test]
fn what_a_failing_hook_says_on_the_terminal_is_seen() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/terminal", json!(true)).args(&["true"]);
    bundle
        .set("/hooks/startContainer", json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo it is broken; exit 3"]}]));
    let output = rt.run(&bundle).exits(1).says("exit status 3");
    assert!(output.stdout.contains("it is broken"), "{output}");
}
