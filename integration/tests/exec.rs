//! exec: a second process in a container, by flags and by a process file; what it may and what goes wrong.

use integration::{Runtime, json, proc};

#[test]
fn streams_and_exit_code() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let output = container.exec_call(&[], &["sh", "-c", "cat; echo err >&2; exit 42"]).input("in\n").go().exits(42);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("in\n", "err\n"));
    container.sh("kill -KILL $$").exits(137);
    container.sh("kill -TERM $$").exits(143);
    assert_eq!(container.status(), "running");
}

#[test]
fn it_is_in_every_namespace_and_cgroup_of_the_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let inside = container
        .sh("for ns in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$ns; done; cat /proc/self/cgroup")
        .ok();
    let init = container.pid();
    let mut expected: String = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"]
        .map(|ns| proc::link(init, &format!("ns/{ns}")) + "\n")
        .concat();
    expected += &proc::read(init, "cgroup");
    assert_eq!(inside, expected);
}

#[test]
fn user_table() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let ids = |spec: &str| container.exec_call(&["--user", spec], &["sh", "-c", "echo $(id -u):$(id -g)"]).go();
    assert_eq!(ids("0").word(), "0:0");
    assert_eq!(ids("1").word(), "1:0");
    assert_eq!(ids("1:2").word(), "1:2");
    assert_eq!(ids("1000:2000").word(), "1000:2000");
    assert_eq!(ids("2147483647").word(), "2147483647:0");
    for bad in ["x", ":1", "1:", "4294967296", "18446744073709551617", "-1", "1:x", "1:4294967296", "1x"] {
        let output = ids(bad).exits(255);
        assert!(!output.stdout.contains(':'), "nothing ran: {output}");
        output.one_line();
    }
}

#[test]
fn additional_groups() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let groups = container.exec_call(
        &["--user", "1000:1000", "--additional-gids", "7", "--additional-gids", "8"],
        &["cat", "/proc/self/status"],
    );
    assert_eq!(status_line(&groups.go().ok(), "Groups"), "7 8");
    let none = container.exec_call(&["--user", "1000:1000"], &["cat", "/proc/self/status"]).go().ok();
    assert_eq!(status_line(&none, "Groups"), "");
}

#[test]
fn cwd_and_environment() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push("/process/env", json!("FROM_CONFIG=yes")).set("/process/cwd", json!("/etc"));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.exec(&["pwd"]).ok(), "/etc\n");
    assert_eq!(container.exec_call(&["--cwd", "/bin"], &["pwd"]).go().ok(), "/bin\n");
    let env = container.exec_call(&["--env", "A=1", "--env", "B=two words", "--env", "TERM=vt100"], &["env"]).go().ok();
    for line in ["A=1", "B=two words", "FROM_CONFIG=yes"] {
        assert!(env.lines().any(|have| have == line), "{line} in {env}");
    }
    assert_eq!(
        env.lines().filter(|line| line.starts_with("TERM=")).collect::<Vec<_>>(),
        ["TERM=vt100"],
        "the last one wins, once"
    );
}

#[test]
fn home_is_the_users() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("echo $HOME").ok(), "/root\n");
    assert_eq!(container.exec_call(&["--user", "1000"], &["sh", "-c", "echo $HOME"]).go().ok(), "/home/user\n");
    assert_eq!(container.exec_call(&["--user", "77"], &["sh", "-c", "echo $HOME"]).go().ok(), "/\n");
    assert_eq!(container.exec_call(&["--env", "HOME=/x"], &["sh", "-c", "echo $HOME"]).go().ok(), "/x\n");
}

#[test]
fn capabilities_are_never_inheritable() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_KILL", "CAP_NET_RAW"]);
    let container = rt.sleeper(&mut bundle);
    let plain = container.exec(&["cat", "/proc/self/status"]).ok();
    assert_eq!(status_line(&plain, "CapEff"), "0000000000002020");
    let more =
        container.exec_call(&["-c", "CAP_CHOWN", "-c", "CAP_SYS_PTRACE"], &["cat", "/proc/self/status"]).go().ok();
    assert_eq!(status_line(&more, "CapInh"), "0000000000000000");
    assert_eq!(status_line(&more, "CapAmb"), "0000000000000000");
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(status_line(&more, set), "0000000000082021", "{set}");
    }
}

#[test]
fn no_new_privileges() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/noNewPrivileges", json!(false));
    let container = rt.sleeper(&mut bundle);
    let status = ["cat", "/proc/self/status"];
    assert_eq!(status_line(&container.exec(&status).ok(), "NoNewPrivs"), "0");
    let with = container.exec_call(&["--no-new-privs"], &status).go().ok();
    assert_eq!(status_line(&with, "NoNewPrivs"), "1");
}

#[test]
fn process_file() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("process.json");
    let process = json!({
        "terminal": false, "cwd": "/etc", "args": ["sh", "-c", "id -u; id -g; pwd; echo $X; grep Groups /proc/self/status; ulimit -n"],
        "env": ["PATH=/bin", "X=from-file"], "user": {"uid": 1000, "gid": 1001, "additionalGids": [5, 6]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]
    });
    std::fs::write(&file, process.to_string()).unwrap();
    for flag in ["--process", "-p"] {
        let output = rt.call(["exec", flag]).arg(&file).arg(&container.id).go().ok();
        assert_eq!(output, "1000\n1001\n/etc\nfrom-file\nGroups:\t5 6 \n77\n", "{flag}");
    }
}

#[test]
fn umask_is_the_containers_or_the_process_files() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/user/umask", json!(0o027));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("umask").ok(), "0027\n");
    let file = rt.path("process.json");
    let process = json!({"cwd": "/", "args": ["sh", "-c", "umask"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0, "umask": 0o077}});
    std::fs::write(&file, process.to_string()).unwrap();
    assert_eq!(rt.call(["exec", "--process"]).arg(&file).arg(&container.id).go().ok(), "0077\n");
}

#[test]
fn broken_process_files() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("process.json");
    for (text, expected) in [
        ("{", "EOF"),
        (r#"{"args": ["true"], "cwd": "relative", "env": []}"#, "cwd"),
        (r#"{"args": [], "cwd": "/"}"#, "args"),
        (r#"{"cwd": "/"}"#, "args"),
        (r#"{"args": "true", "cwd": "/"}"#, "args"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = rt.call(["exec", "--process"]).arg(&file).arg(&container.id).go().exits(255).one_line();
        assert!(output.stderr.to_lowercase().contains(&expected.to_lowercase()), "«{expected}» for {text}: {output}");
    }
    rt.call(["exec", "--process", "/no/such/file", &container.id]).go().exits(255).says("/no/such/file").one_line();
}

#[test]
fn detached_with_a_pid_file() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("exec.pid");
    container.exec_call(&["--detach", "--pid-file", file.to_str().unwrap()], &["sleep", "1001"]).go().ok();
    let text = std::fs::read_to_string(&file).unwrap();
    let pid: i32 = text.parse().expect("a number without a newline");
    assert_eq!(proc::read(pid, "cmdline"), "sleep\x001001\0");
    assert_eq!(proc::link(pid, "ns/pid"), proc::link(container.pid(), "ns/pid"));
    container.exec_call(&["-d"], &["sleep", "1002"]).go().ok();
    assert!(container.sh("ps").ok().contains("sleep 1002"));
    container.stop();
    assert!(proc::ended(pid), "it ends with its pid namespace");
}

#[test]
fn errors_are_255() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/plain", "not a program");
    let container = rt.sleeper(&mut bundle);
    container
        .exec(&["nosuchprogram"])
        .exits(255)
        .says("nosuchprogram")
        .says("executable file not found in $PATH")
        .one_line();
    container.exec(&["/no/such"]).exits(255).says("/no/such").says("no such file or directory").one_line();
    container.exec(&["/plain"]).exits(255).says("permission denied").one_line();
    container.exec_call(&["--cwd", "/no/dir"], &["true"]).go().exits(255).says("/no/dir").one_line();
    container.exec_call(&["--cwd", "relative"], &["true"]).go().exits(255).says("wd").one_line();
    container.exec_call(&["--preserve-fds", "20"], &["true"]).go().exits(255).one_line();
    container.exec_call(&["--console-socket", "/no/such"], &["true"]).go().exits(255).says("console").one_line();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_stopped_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.stop();
    container.exec(&["true"]).exits(255).says("cannot exec in a stopped container").one_line();
}

#[test]
fn a_created_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    assert_eq!(container.exec(&["echo", "early"]).ok(), "early\n");
    assert_eq!(container.status(), "created");
}

#[test]
fn a_paused_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.verb(&["pause"]).ok();
    let refused = container.exec(&["true"]).exits(255);
    refused.says("cannot exec in a paused container (use --ignore-paused to override)").one_line();
    let waiting = container.exec_call(&["--ignore-paused"], &["echo", "thawed"]).spawn();
    assert!(!waiting.ended_within(200_000_000), "a process of a frozen cgroup does not run");
    container.verb(&["resume"]).ok();
    assert_eq!(waiting.wait().ok(), "thawed\n");
}

#[test]
fn many_at_once() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let all: Vec<_> =
        (0..12).map(|n| container.exec_call(&[], &["sh", "-c", &format!("echo {n}; exit {n}")]).spawn()).collect();
    for (n, running) in all.into_iter().enumerate() {
        let output = running.wait().exits(n as i32);
        assert_eq!(output.stdout, format!("{n}\n"));
    }
}

#[test]
fn a_cgroup_below_the_containers() {
    if !integration::cgroup::is_v1_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let sub = format!("/sys/fs/cgroup/pids/{}/sub", rt.tag());
    std::fs::create_dir(&sub).unwrap();
    let cgroup = container.exec_call(&["--cgroup", "pids:sub"], &["cat", "/proc/self/cgroup"]).go().ok();
    assert!(cgroup.contains(&format!("pids:/{}/sub\n", rt.tag())), "{cgroup}");
    assert!(cgroup.contains(&format!("freezer:/{}\n", rt.tag())), "{cgroup}");
    container.exec_call(&["--cgroup", "pids:none"], &["true"]).go().exits(255).one_line();
}

#[test]
fn the_limits_of_the_container_hold() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .set("/process/oomScoreAdj", json!(123))
        .set("/process/rlimits/0/soft", json!(50))
        .set("/process/rlimits/0/hard", json!(60));
    let container = rt.sleeper(&mut bundle);
    let seen = container.sh("ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj").ok();
    assert_eq!(seen, "50\n60\n123\n");
}

#[test]
fn arguments_that_look_like_flags_belong_to_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.exec(&["echo", "-n", "--detach", "x"]).ok(), "--detach x");
    assert_eq!(rt.call(["exec", "--", &container.id, "echo", "--", "x"]).go().ok(), "-- x\n");
    rt.call(["exec", &container.id]).go().exits(255).one_line();
}

fn status_line(status: &str, key: &str) -> String {
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {status}"));
    line.split_once(':').unwrap().1.trim().to_owned()
}
