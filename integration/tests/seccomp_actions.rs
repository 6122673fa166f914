//! Seccomp, value by value: every action as rule and as default, errno, the listener's fields and its flag.

use integration::seccomp_agent::{Agent, answer, notified};
use integration::{Bundle, Output, Runtime, json};

/// A filter that allows all but `mkdir` and `mkdirat`.
fn filter(bundle: &mut Bundle, action: &str, errno: Option<u32>) {
    let mut rule = json!({"names": ["mkdir", "mkdirat"], "action": action});
    if let Some(errno) = errno {
        rule["errnoRet"] = json!(errno);
    }
    let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures, "syscalls": [rule]}),
    );
}

fn mkdir(rt: &Runtime, bundle: &mut Bundle) -> Output {
    rt.sh(bundle, "mkdir /dev/shm/new; echo $?")
}

#[test]
fn every_action() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (action, errno, code, message) in [
        ("SCMP_ACT_ALLOW", None, "0", ""),
        ("SCMP_ACT_LOG", None, "0", ""),
        ("SCMP_ACT_ERRNO", None, "1", "Operation not permitted"),
        ("SCMP_ACT_ERRNO", Some(28), "1", "No space left on device"),
        // Without a tracer the call is not implemented, whatever it would tell one.
        ("SCMP_ACT_TRACE", None, "1", "Function not implemented"),
        ("SCMP_ACT_TRACE", Some(28), "1", "Function not implemented"),
        ("SCMP_ACT_TRAP", None, "159", ""),
        ("SCMP_ACT_KILL", None, "159", ""),
        ("SCMP_ACT_KILL_THREAD", None, "159", ""),
        ("SCMP_ACT_KILL_PROCESS", None, "159", ""),
    ] {
        filter(&mut bundle, action, errno);
        let output = mkdir(&rt, &mut bundle);
        assert_eq!(output.stdout.trim(), code, "{action}: {output}");
        assert!(output.stderr.contains(message), "{action}: {output}");
    }
}

#[test]
fn every_action_as_default() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] {
        bundle.set("/linux/seccomp", json!({"defaultAction": action}));
        assert_eq!(mkdir(&rt, &mut bundle).word(), "0", "{action}");
    }
    // Nothing is allowed, neither to execute the program nor to end: a process that can do nothing is ended by a trap.
    for action in [
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_KILL_PROCESS",
    ] {
        bundle.set("/linux/seccomp", json!({"defaultAction": action, "architectures": ["SCMP_ARCH_X86_64"]}));
        bundle.script("echo ran");
        let output = rt.run_call(&bundle, &[]).go();
        assert!(output.code != 0 && output.stdout.is_empty(), "{action}: {output}");
    }
}

#[test]
fn an_errno_for_an_action_that_has_none_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for action in [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_KILL_PROCESS",
    ] {
        filter(&mut bundle, action, Some(5));
        bundle.args(&["true"]);
        rt.run(&bundle).exits(1).says("linux.seccomp.syscalls[0].errnoRet").one_line();
        bundle.set("/linux/seccomp", json!({"defaultAction": action, "defaultErrnoRet": 5}));
        rt.run(&bundle).exits(1).says("linux.seccomp.defaultErrnoRet").one_line();
    }
}

#[test]
fn a_listener_with_the_flag_of_killable_waits() {
    let rt = Runtime::new();
    let agent = Agent::new(rt.path("agent"));
    let mut bundle = rt.bundle();
    filter(&mut bundle, "SCMP_ACT_NOTIFY", None);
    bundle.set("/linux/seccomp/listenerPath", json!(rt.path("agent")));
    bundle.set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]));
    bundle.script("mkdir /dev/shm/new; echo $?");
    let run = rt.run_call(&bundle, &[]).spawn();
    let (state, fds) = agent.hear();
    assert_eq!((state["fds"].clone(), fds.len()), (json!(["seccompFd"]), 1));
    assert_eq!(state["state"]["status"], "creating");
    answer(&fds[0], &notified(&fds[0]), Ok(0));
    assert_eq!(run.wait().word(), "0");
}

#[test]
fn a_listener_nobody_notifies_is_not_asked() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    filter(&mut bundle, "SCMP_ACT_ERRNO", None);
    bundle
        .set("/linux/seccomp/listenerPath", json!("/no/such/socket"))
        .set("/linux/seccomp/listenerMetadata", json!("x"));
    assert_eq!(mkdir(&rt, &mut bundle).exits(0).stdout, "1\n");
}

#[test]
fn metadata_without_a_listener_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    filter(&mut bundle, "SCMP_ACT_ERRNO", None);
    bundle.set("/linux/seccomp/listenerMetadata", json!("x")).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.seccomp.listenerMetadata").one_line();
}

#[test]
fn an_agent_that_hangs_up_is_an_error() {
    let rt = Runtime::new();
    let path = rt.path("agent");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // A child that another thread makes just now has a copy of it: what it closes is the socket itself.
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    let mut bundle = rt.bundle();
    filter(&mut bundle, "SCMP_ACT_NOTIFY", None);
    bundle.set("/linux/seccomp/listenerPath", json!(path)).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.seccomp.listenerPath").one_line();
    std::os::unix::net::UnixDatagram::bind(rt.path("datagrams")).unwrap();
    bundle.set("/linux/seccomp/listenerPath", json!(rt.path("datagrams")));
    rt.run(&bundle).exits(1).says("linux.seccomp.listenerPath").one_line();
}
