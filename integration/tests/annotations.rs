//! Annotations of crun that engines set: what each does, and what a wrong one says.

use integration::bundle::Join;
use integration::console::FdSocket;
use integration::seccomp_agent::{Agent, answer, notified};
use integration::{Bundle, Runtime, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn annotate(bundle: &mut Bundle, name: &str, value: &str) {
    bundle.config["annotations"][name] = json!(value);
}

#[test]
fn keep_original_groups() {
    let groups = "setpriv --groups 5,6 \"$@\"";
    let rt = Runtime::wrapped(["sh", "-c", groups, "sh"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    bundle.set("/process/user/additionalGids", json!([7]));
    assert_eq!(rt.sh(&mut bundle, "grep Groups: /proc/self/status").word(), "Groups:\t7");
    for value in ["1", "true"] {
        annotate(&mut bundle, "run.oci.keep_original_groups", value);
        assert_eq!(rt.sh(&mut bundle, "grep Groups: /proc/self/status").word(), "Groups:\t5 6");
    }
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("grep Groups: /proc/self/status").word(), "Groups:\t5 6", "exec");
}

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

fn with_hooks(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    for kind in KINDS {
        bundle.hook(kind, &format!("cat > /dev/null; echo {kind} out; echo {kind} err >&2"));
    }
    bundle.script("echo program");
    bundle
}

#[test]
fn output_of_hooks_goes_to_files() {
    for verbs in [&["run"][..], &["create", "start"]] {
        let rt = Runtime::new();
        let (out, err) = (rt.path("out"), rt.path("err"));
        fs::write(&out, "before\n").unwrap();
        let mut bundle = with_hooks(&rt);
        annotate(&mut bundle, "run.oci.hooks.stdout", out.to_str().unwrap());
        annotate(&mut bundle, "run.oci.hooks.stderr", err.to_str().unwrap());
        if verbs == ["run"] {
            let output = rt.run(&bundle);
            assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("program\n", ""), "{output}");
        } else {
            let go = bundle.fifo("/go");
            bundle.script("read x < /go");
            let container = rt.create(&bundle);
            container.start();
            let pid = container.pid();
            go.send("end");
            assert!(integration::proc::ended(pid));
            container.verb(&["delete"]).ok();
        }
        // The poststart hooks run beside the program, and in the foreground its end can come first.
        let lines = |path: &PathBuf| {
            let mut lines: Vec<_> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let mut expected: Vec<_> = KINDS.iter().map(|kind| format!("{kind} out")).chain(["before".into()]).collect();
        expected.sort();
        assert_eq!(lines(&out), expected, "{verbs:?}");
        assert_eq!(lines(&err).len(), 6, "{verbs:?}");
        assert_eq!(fs::metadata(&err).unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn one_file_for_both_and_none_of_them() {
    let rt = Runtime::new();
    let both = rt.path("both");
    let mut bundle = with_hooks(&rt);
    annotate(&mut bundle, "run.oci.hooks.stdout", both.to_str().unwrap());
    annotate(&mut bundle, "run.oci.hooks.stderr", both.to_str().unwrap());
    rt.run(&bundle).ok();
    assert_eq!(fs::read_to_string(&both).unwrap().lines().count(), 12);
    annotate(&mut bundle, "run.oci.hooks.stdout", "");
    annotate(&mut bundle, "run.oci.hooks.stderr", "");
    let output = rt.run(&bundle);
    assert!(output.stdout.contains("prestart out") && output.stderr.contains("poststart err"), "{output}");

    annotate(&mut bundle, "run.oci.hooks.stdout", "/no/such/dir/file");
    rt.run(&bundle).exits(1).says("/no/such/dir/file").says("run.oci.hooks.stdout").one_line();
    annotate(&mut bundle, "run.oci.hooks.stdout", "relative");
    rt.run(&bundle).exits(1).says("not an absolute path").says("run.oci.hooks.stdout").one_line();
}

fn notifies(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}));
    bundle.script("mkdir /dev/shm/x || echo refused; exec sleep 1000");
    bundle
}

#[test]
fn seccomp_receiver_by_annotation_and_by_environment() {
    for by_environment in [false, true] {
        let rt = Runtime::new();
        let agent = Agent::new(rt.path("agent"));
        let mut bundle = notifies(&rt);
        if !by_environment {
            annotate(&mut bundle, "run.oci.seccomp.receiver", rt.path("agent").to_str().unwrap());
        }
        bundle.write();
        let mut call = rt.call(["run", "--detach", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        if by_environment {
            call = call.env("RUN_OCI_SECCOMP_RECEIVER", rt.path("agent"));
        }
        call.go().ok();
        let (state, fds) = agent.hear();
        assert_eq!(state["state"]["id"], rt.tag());
        answer(&fds[0], &notified(&fds[0]), Ok(0));
        // Who joins has the same filter, and needs no environment.
        let exec = rt.container().exec_call(&[], &["mkdir", "/dev/shm/y"]).spawn();
        let (_, fds) = agent.hear();
        answer(&fds[0], &notified(&fds[0]), Err(1));
        exec.wait().exits(1).says("Operation not permitted");
    }
}

#[test]
fn the_listener_path_of_the_config_comes_first() {
    let rt = Runtime::new();
    let agent = Agent::new(rt.path("agent"));
    let mut bundle = notifies(&rt);
    bundle.set("/linux/seccomp/listenerPath", json!(rt.path("agent")));
    annotate(&mut bundle, "run.oci.seccomp.receiver", "/no/such");
    bundle.write();
    let call = rt.call(["run", "--detach", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    call.env("RUN_OCI_SECCOMP_RECEIVER", "/no/such/either").go().ok();
    let (_, fds) = agent.hear();
    answer(&fds[0], &notified(&fds[0]), Ok(0));
    bundle.unset("/linux/seccomp/listenerPath");
    annotate(&mut bundle, "run.oci.seccomp.receiver", "agent");
    rt.container().verb(&["delete", "--force"]).ok();
    rt.run(&bundle).exits(1).says("not an absolute path").says("run.oci.seccomp.receiver").one_line();
}

#[test]
fn pidfd_receiver() {
    for verb in [&["create"][..], &["run", "--detach"]] {
        let rt = Runtime::new();
        let socket = FdSocket::new(rt.path("pidfd"));
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]);
        annotate(&mut bundle, "run.oci.pidfd_receiver", socket.arg());
        let container = rt.make(&bundle, "", verb);
        let (_, fds) = socket.receive(|_, fds| !fds.is_empty());
        container.verb(&["kill", "--all"]);
        container.verb(&["delete", "--force"]).ok();
        assert!(integration::fifo::readable(&fds[0], integration::PATIENCE), "it tells of the end");
        drop(socket);
        annotate(&mut bundle, "run.oci.pidfd_receiver", "/no/such");
        bundle.write();
        let output = rt.call(verb).arg("--bundle").arg(bundle.dir()).arg(&container.id).go();
        output.exits(1).says("/no/such").one_line();
    }
}

#[test]
fn an_unknown_mount_context_type_is_refused() {
    // The known ones need SELinux: libcontainer's tests/plan.rs shows what is asked of the kernel.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    annotate(&mut bundle, "run.oci.mount_context_type", "label");
    bundle.write();
    rt.run(&bundle).exits(1).says("label").says("run.oci.mount_context_type").one_line();
}

/// Where the host, which sees a hybrid, has the container's v2 cgroup.
fn cgroup(rt: &Runtime) -> PathBuf {
    integration::view::v2_root().join(rt.tag())
}

#[test]
fn a_delegated_cgroup_is_the_containers_to_manage() {
    let rt = Runtime::pure_v2();
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New).userns(700_000, 65536).unmount("/sys/fs/cgroup");
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"]);
    annotate(&mut bundle, "run.oci.delegate-cgroup", "/payload/init");
    let said = bundle.fifo("/said");
    bundle.script(
        // The shell itself says the end, when it has waited for what it has forked.
        "(cat /proc/self/cgroup; mkdir /sys/fs/cgroup/payload/init/sub && echo made) > /said; echo end > /said; exec sleep 1000",
    );
    let container = rt.detach(&bundle);
    let lines: Vec<_> = std::iter::from_fn(|| Some(said.line()).filter(|line| line != "end")).collect();
    assert!(lines.iter().any(|line| line == "0::/payload/init"), "{lines:?}");
    assert!(lines.iter().any(|line| line == "made"), "{lines:?}");
    let below = cgroup(&rt).join("payload/init");
    let procs = fs::read_to_string(below.join("cgroup.procs")).unwrap();
    assert!(procs.lines().any(|line| line == container.pid().to_string()), "{procs}");
    assert_eq!(fs::metadata(&below).unwrap().uid(), 700_000);
    // All controllers that the machine has for version 2, down to its place.
    let file = |dir: &Path, name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let all = file(integration::view::v2_root(), "cgroup.controllers");
    let (top, middle) = (cgroup(&rt), cgroup(&rt).join("payload"));
    assert_eq!(file(&top, "cgroup.subtree_control"), all);
    assert_eq!(file(&middle, "cgroup.subtree_control"), all);
    assert_eq!(file(&below, "cgroup.controllers"), all);
    assert_eq!(container.sh("echo joined").word(), "joined");
    let pids: Vec<i32> = serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap();
    assert_eq!(pids, [container.pid()]);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["delete", "--force"]).ok();
    assert!(!cgroup(&rt).exists());
}

#[test]
fn only_version_2_delegates_and_only_downwards() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    if integration::cgroup::is_v1_here() {
        annotate(&mut bundle, "run.oci.delegate-cgroup", "init");
        rt.run(&bundle).exits(1).says("cgroup v2 only").says("run.oci.delegate-cgroup").one_line();
    }
    annotate(&mut bundle, "run.oci.delegate-cgroup", "../out");
    rt.run(&bundle).exits(1).says("../out").says("run.oci.delegate-cgroup").one_line();
    annotate(&mut bundle, "run.oci.delegate-cgroup", "");
    rt.run(&bundle).ok();
}

#[test]
fn a_writable_cgroup_is_its_users_own() {
    // config-linux.md#cgroup-ownership.
    for (options, uid, owner) in [(&[][..], 0, 700_000), (&[], 5, 700_005), (&["ro"], 5, 0)] {
        let rt = Runtime::pure_v2();
        let mut bundle = rt.bundle();
        bundle.namespace("cgroup", Join::New).userns(700_000, 65536).unmount("/sys/fs/cgroup");
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", options).set("/process/user/uid", json!(uid));
        rt.sleeper(&mut bundle);
        let owns = |file: &str| fs::metadata(cgroup(&rt).join(file)).unwrap().uid();
        assert_eq!([owns(""), owns("cgroup.procs"), owns("cgroup.subtree_control")], [owner; 3], "{options:?}");
        assert_eq!(owns("cgroup.max.depth"), 0);
    }
}

#[test]
fn features_warns_of_them() {
    let features = Runtime::new().call(["features"]).go().json();
    assert!(features["potentiallyUnsafeConfigAnnotations"].as_array().unwrap().contains(&json!("run.oci.")));
}
