//! What the program starts with: working directory, environment, home, scheduling, personality, descriptors.

use integration::{Call, Runtime, Value, json};
use std::os::unix::fs::symlink;

#[test]
fn cwd() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/cwd", json!("/etc"));
    assert_eq!(rt.sh(&mut bundle, "pwd; ls passwd").ok(), "/etc\npasswd\n");
    bundle.set("/process/cwd", json!("/made/on/demand")).writable();
    assert_eq!(rt.sh(&mut bundle, "pwd -P; stat -c '%u %a' .").ok(), "/made/on/demand\n0 755\n");
    assert!(bundle.inside("/made/on/demand").is_dir());
}

#[test]
fn cwd_that_leads_out_is_refused() {
    // CVE-2024-21626: a descriptor of the host's, leaked to the container, as a working directory.
    for number in 3..16 {
        let rt = Runtime::wrapped(
            ["sh", "-c", "exec 3</ 4</etc 5</ 6</ 7</ 8</ 9</; exec \"$@\"", "sh"].map(str::to_owned).to_vec(),
        );
        let mut bundle = rt.bundle();
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{number}"))).script("pwd; ls");
        let output = rt.run(&bundle).exits(1);
        assert_eq!(output.stdout, "", "{output}");
        output.one_line();
    }
}

#[test]
fn exec_cwd_that_leads_out_is_refused() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    symlink("/proc/self/fd/7", bundle.inside("/link")).unwrap();
    let container = rt.sleeper(&mut bundle);
    for number in 3..16 {
        let cwd = format!("/proc/self/fd/{number}");
        let output = container.exec_call(&["--cwd", &cwd], &["ls"]).go().exits(255);
        assert_eq!(output.stdout, "", "{output}");
    }
    assert_eq!(container.exec_call(&["--cwd", "/link"], &["ls"]).go().exits(255).stdout, "");
}

#[test]
fn cwd_of_a_symlink_inside() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    symlink("/etc", bundle.inside("/link")).unwrap();
    bundle.set("/process/cwd", json!("/link"));
    assert_eq!(rt.sh(&mut bundle, "pwd -P").word(), "/etc");
}

#[test]
fn cwd_that_only_the_user_may_enter() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    std::fs::create_dir(bundle.inside("/private")).unwrap();
    std::fs::set_permissions(bundle.inside("/private"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(bundle.inside("/private"), Some(1000), Some(1000)).unwrap();
    bundle.set("/process/cwd", json!("/private")).set("/process/user/uid", json!(1000));
    assert_eq!(rt.sh(&mut bundle, "pwd").word(), "/private", "the user's own directory");
}

#[test]
fn the_environment_is_the_configs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/env", json!(["PATH=/bin", "ONE=1", "EMPTY=", "EQUALS=a=b", "SPACES=a b  c", "ONE=2"]));
    bundle.args(&["env"]);
    let text = rt.run_call(&bundle, &[]).env("FROM_THE_CALLER", "1").go().ok();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EMPTY=", "EQUALS=a=b", "HOME=/root", "ONE=2", "PATH=/bin", "SPACES=a b  c"]);
}

#[test]
fn home_comes_from_the_images_passwd() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (uid, home) in [(0, "/root"), (1000, "/home/user"), (77, "/")] {
        bundle.set("/process/user/uid", json!(uid));
        assert_eq!(rt.sh(&mut bundle, "echo $HOME").word(), home, "{uid}");
    }
    bundle.set("/process/user/uid", json!(1000)).push("/process/env", json!("HOME="));
    assert_eq!(rt.sh(&mut bundle, "echo $HOME").word(), "/home/user", "an empty one counts as none");
    bundle.push("/process/env", json!("HOME=/set"));
    assert_eq!(rt.sh(&mut bundle, "echo $HOME").word(), "/set");
}

#[test]
fn home_without_a_passwd() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    std::fs::remove_file(bundle.inside("/etc/passwd")).unwrap();
    assert_eq!(rt.sh(&mut bundle, "echo $HOME").word(), "/");
    symlink("/no/such", bundle.inside("/etc/passwd")).unwrap();
    assert_eq!(rt.sh(&mut bundle, "echo $HOME").word(), "/");
}

fn stat_fields(text: &str) -> Vec<String> {
    text.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn scheduler() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // A v1 cpu cgroup has no real time of its own unless it is given some, where the kernel shares it out.
    if std::path::Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists() {
        bundle.set("/linux/resources/cpu", json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}));
    }
    // Of policies other than the two that know a nice value, the kernel leaves the caller's.
    let callers = Call::new("nice").go().word();
    // Fields 19 (nice), 40 (rt_priority) and 41 (policy) of proc_pid_stat(5).
    for (value, nice, priority, policy) in [
        (json!({"policy": "SCHED_BATCH", "nice": 7}), "7", "0", "3"),
        (json!({"policy": "SCHED_OTHER", "nice": 3}), "3", "0", "0"),
        (json!({"policy": "SCHED_IDLE"}), callers.as_str(), "0", "5"),
        (json!({"policy": "SCHED_FIFO", "priority": 10}), &callers, "10", "1"),
        (json!({"policy": "SCHED_RR", "priority": 20, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}), &callers, "20", "2"),
    ] {
        bundle.set("/process/scheduler", value.clone()).args(&["cat", "/proc/self/stat"]);
        let fields = stat_fields(&rt.run(&bundle).ok());
        assert_eq!(
            (fields[16].as_str(), fields[37].as_str(), fields[38].as_str()),
            (nice, priority, policy),
            "{value}"
        );
    }
}

#[test]
fn scheduler_of_exec() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("process.json");
    let process = json!({"cwd": "/", "args": ["cat", "/proc/self/stat"], "env": ["PATH=/bin"], "scheduler": {"policy": "SCHED_BATCH", "nice": 4}});
    std::fs::write(&file, process.to_string()).unwrap();
    let fields = stat_fields(&rt.call(["exec", "--process"]).arg(&file).arg(&container.id).go().ok());
    assert_eq!((fields[16].as_str(), fields[38].as_str()), ("4", "3"));
}

#[test]
fn io_priority() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (class, level, expected) in [("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"), ("IOPRIO_CLASS_IDLE", 0, "idle")] {
        bundle.set("/process/ioPriority", json!({"class": class, "priority": level}));
        bundle.args(&["ionice", "-p", "1"]);
        assert_eq!(rt.run(&bundle).word(), expected);
    }
}

#[test]
fn personality() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["cat", "/proc/self/personality"]);
    assert_eq!(rt.run(&bundle).word(), "00000000");
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    assert_eq!(rt.run(&bundle).word(), "00000008");
    bundle.args(&["uname", "-m"]);
    assert_eq!(rt.run(&bundle).word(), "i686");
    bundle.set("/linux/personality", json!({"domain": "LINUX"})).args(&["cat", "/proc/self/personality"]);
    assert_eq!(rt.run(&bundle).word(), "00000000");
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    assert_eq!(rt.sleeper(&mut bundle).sh("uname -m").word(), "i686", "an exec has it too");
}

#[test]
fn annotations_do_not_change_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"a": "1", "run.oci.handler": "wasm", "long": "x".repeat(100_000)}));
    let container = rt.sleeper(&mut bundle);
    let state: Value = container.state();
    assert_eq!(state["annotations"]["long"].as_str().unwrap().len(), 100_000);
}

/// Since Linux 6.2 an affinity goes along into another cgroup: an engine bound to one CPU would bind its containers.
#[test]
fn the_callers_cpu_affinity_is_not_the_containers() {
    let wrapper = ["taskset", "-c", "0"].map(str::to_owned).to_vec();
    let allowed = |text: String| text.split_whitespace().last().map(str::to_owned);
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let whole = allowed(rt.sh(&mut bundle, "grep Cpus_allowed_list: /proc/self/status").ok());
    if whole.as_deref() == Some("0") {
        println!("skipped: there is one CPU, and a caller cannot be bound to fewer");
        return;
    }
    let bound = Runtime::wrapped(wrapper);
    let mut bundle = bound.bundle();
    let script = "grep Cpus_allowed_list: /proc/self/status";
    assert_eq!(allowed(bound.sh(&mut bundle, script).ok()), whole, "run");
    assert_eq!(allowed(bound.sleeper(&mut bundle).sh(script).ok()), whole, "exec");
}

#[test]
fn a_program_without_its_interpreter() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.program("/run.sh", "#!/no/such/interpreter\n");
    bundle.args(&["/run.sh"]);
    rt.run(&bundle).exits(1).says("exec /run.sh: no such file or directory").says("interpreter").one_line();
    let container = rt.create(&bundle);
    container.verb(&["start"]).exits(1).says("interpreter");
}
