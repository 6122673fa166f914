//! The calls that Podman and CRI-O make beside conmon, in Podman's bare environment, and what they read of the answers.

use integration::{Bundle, Call, Runtime, Value, binary, cgroup, json, proc};
use std::fs;

/// A call with what Podman leaves of the environment.
fn podman(rt: &Runtime, args: &[&str]) -> Call {
    let home = format!("XDG_RUNTIME_DIR={}", rt.dir().display());
    let tag = format!("{}={}", integration::residue::TAG, rt.tag());
    let env = ["-i", &home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", &tag];
    Call::new("env").args(env).arg(binary::path()).arg("--root").arg(rt.root()).args(args)
}

/// `create` as conmon calls it for Podman.
fn create(rt: &Runtime, bundle: &Bundle) -> i32 {
    bundle.write();
    let file = rt.path("pidfile");
    let globals = ["--log-format=json", "--log", "oci-log"];
    let call = podman(rt, &globals).args(["create", "--bundle"]).arg(bundle.dir()).arg("--pid-file").arg(&file);
    call.arg(rt.id("")).cwd(rt.dir()).go().ok();
    fs::read_to_string(&file).unwrap().parse().unwrap()
}

#[test]
fn every_direct_call() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("trap '' TERM; while :; do sleep 1000 & wait; done");
    let pid = create(&rt, &bundle);
    let id = rt.tag();
    let does = |args: &[&str]| assert_eq!(podman(&rt, args).go().ok(), "", "{args:?}");
    let state = || podman(&rt, &["state", id]).go().json();
    let status = || state()["status"].as_str().unwrap().to_owned();
    assert_eq!((status().as_str(), &state()["pid"]), ("created", &json!(pid)));
    does(&["start", id]);
    assert_eq!(status(), "running");
    does(&["pause", id]);
    assert_eq!(status(), "paused");
    does(&["resume", id]);
    assert_eq!(status(), "running");
    let file = rt.path("resources.json");
    fs::write(&file, json!({"pids": {"limit": 77}}).to_string()).unwrap();
    does(&["update", &format!("--resources={}", file.display()), id]);
    assert_eq!(cgroup::read(&rt, "pids.max"), "77");
    does(&["kill", id, "15"]);
    assert_eq!(status(), "running", "it takes no notice");
    does(&["kill", "--all", id, "9"]);
    assert!(proc::ended(pid));
    assert_eq!((status().as_str(), &state()["pid"]), ("stopped", &json!(0)));
    does(&["delete", "--force", id]);
    // How Podman finds out that a container is gone.
    podman(&rt, &["state", id]).go().exits(1).says_one_of(&["does not exist", "No such file"]);
    podman(&rt, &["delete", id]).go().exits(1).says("does not exist");
    does(&["delete", "--force", id]);
    assert_eq!(fs::read_to_string(rt.path("oci-log")).unwrap_or_default(), "");
}

#[test]
fn version_is_stored_as_it_is() {
    let rt = Runtime::new();
    let text = podman(&rt, &["--version"]).go().ok();
    assert!(text.starts_with("hull version "), "{text}");
}

#[test]
fn what_becomes_126_and_127() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/etc/text", "");
    for (program, texts) in [
        ("nosuchprogram", &["executable file not found in"][..]),
        ("/no/such", &["no such file or directory"]),
        ("/etc/text", &["permission denied", "operation not permitted"]),
    ] {
        let log = rt.fresh("oci-log");
        bundle.args(&[program]).write();
        let call = podman(&rt, &["--log-format=json", "--log", log.to_str().unwrap(), "create", "--bundle"]);
        call.arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        // One Unmarshal of the whole file.
        let object: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
        let message = object["msg"].as_str().unwrap();
        assert!(texts.iter().any(|text| message.contains(text)), "{message}");
    }
}

#[test]
fn exec_as_conmon_and_as_cri_o() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    create(&rt, &bundle);
    podman(&rt, &["start", rt.tag()]).go().ok();
    let file = rt.path("process.json");
    let process = |args: &[&str]| {
        let process = json!({"user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/"});
        fs::write(&file, process.to_string()).unwrap();
        file.to_str().unwrap()
    };
    let pid = rt.path("exec.pid");
    let sleep =
        ["exec", "--pid-file", pid.to_str().unwrap(), "--process", process(&["sleep", "1001"]), "--detach", rt.tag()];
    podman(&rt, &sleep).go().ok();
    let pid: i32 = fs::read_to_string(&pid).unwrap().parse().unwrap();
    assert!(proc::alive(pid));
    // CRI-O's ExecSync is attached: its streams and code are the process's own.
    let script = process(&["sh", "-c", "read x; echo got $x; echo wrong >&2; exit 33"]);
    let output = podman(&rt, &["exec", "--process", script, rt.tag()]).input("word\n").go().exits(33);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("got word\n", "wrong\n"));
    let output = podman(&rt, &["exec", "--process", process(&["nosuchprogram"]), rt.tag()]).go().exits(255);
    output.says("executable file not found in $PATH");
    let update =
        podman(&rt, &["update", "--resources", "-", rt.tag()]).input(json!({"pids": {"limit": 40}}).to_string());
    update.go().ok();
    podman(&rt, &["features"]).go().json();
}
