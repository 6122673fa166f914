//! Seccomp: actions, arguments, architectures, and notifications with an agent.

use integration::seccomp_agent::{Agent, answer, notified};
use integration::{Bundle, Runtime, Value, json};

/// A filter that allows all but what `rules` say.
fn allow_but(bundle: &mut Bundle, rules: Value) {
    bundle.set("/linux/seccomp", json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": rules
    }));
}

fn mode(rt: &Runtime, bundle: &mut Bundle) -> String {
    rt.sh(bundle, "grep '^Seccomp:' /proc/self/status | cut -f2").word()
}

#[test]
fn a_filter_is_in_force() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    assert_eq!(mode(&rt, &mut bundle), "0");
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
    assert_eq!(mode(&rt, &mut bundle), "2");
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("grep '^Seccomp:' /proc/self/status | cut -f2").word(), "2", "exec too");
}

#[test]
fn errno() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.writable();
    for (rule, message) in [
        (json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}), "Operation not permitted"),
        (json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}), "No space left on device"),
        (
            json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
            "Function not implemented",
        ),
    ] {
        allow_but(&mut bundle, json!([rule]));
        let output = rt.sh(&mut bundle, "mkdir /new && echo made; echo alive");
        assert_eq!(output.stdout, "alive\n");
        assert!(output.stderr.contains(message), "{output}");
    }
    assert!(!bundle.inside("/new").exists());
}

#[test]
fn default_errno() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/seccomp", json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 28, "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"action": "SCMP_ACT_ALLOW", "names": [
            "execve", "execveat", "exit", "exit_group", "brk", "arch_prctl", "mmap", "munmap", "mprotect", "read", "write", "open", "openat", "close", "stat",
            "fstat", "newfstatat", "lstat", "ioctl", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "getuid", "geteuid", "getgid", "getegid", "getpid", "getppid",
            "fcntl", "dup2", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "getrandom", "uname", "prctl", "getcwd", "fork", "vfork",
            "clone", "wait4", "setpgid", "poll", "futex", "sched_yield", "capget", "capset", "setgroups", "setuid", "setgid", "setresuid", "setresgid", "chdir",
            "close_range", "sched_getaffinity", "nanosleep", "clock_nanosleep", "select", "madvise", "sigaltstack", "gettid", "tgkill", "faccessat", "faccessat2",
            "getdents64", "fstatfs", "statfs", "umask", "epoll_ctl", "epoll_pwait", "lseek", "access", "statx"
        ]}]
    }));
    let output = rt.sh(&mut bundle, "mkdir /dev/shm/new; echo alive");
    assert_eq!(output.stdout, "alive\n", "{output}");
    assert!(output.stderr.contains("No space left on device"), "{output}");
}

#[test]
fn newer_system_calls_than_the_profile_are_not_implemented() {
    // A profile whose newest call is an old one: a C library must see ENOSYS from clone3 or statx and take the older way, not EPERM.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"action": "SCMP_ACT_ALLOW", "names": all_old_calls()}]
        }),
    );
    bundle.script("echo alive");
    assert_eq!(rt.run(&bundle).ok(), "alive\n");
}

/// The first three hundred calls of x86-64 by the names of a few that matter to busybox.
fn all_old_calls() -> Vec<&'static str> {
    "read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl access pipe select \
     sched_yield madvise dup dup2 nanosleep getpid sendfile socket clone fork vfork execve exit wait4 kill uname fcntl getdents getcwd chdir mkdir readlink \
     umask gettimeofday getrlimit getuid getgid geteuid getegid setpgid getppid setsid setuid setgid setgroups setresuid setresgid capget capset sigaltstack \
     statfs fstatfs prctl arch_prctl gettid futex sched_getaffinity set_tid_address getdents64 exit_group openat newfstatat readlinkat faccessat \
     set_robust_list prlimit64 getrandom execveat"
        .split_whitespace()
        .collect()
}

#[test]
fn kill() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"] {
        allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": action}]));
        let seen = rt.sh(&mut bundle, "mkdir /dev/shm/new; echo $?").word();
        assert_eq!(seen, "159", "{action}: killed by SIGSYS");
    }
    bundle.args(&["mkdir", "/dev/shm/new"]);
    rt.run(&bundle).exits(159);
}

#[test]
fn trap_and_log() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_TRAP"}]));
    assert_eq!(rt.sh(&mut bundle, "mkdir /dev/shm/new; echo $?").word(), "159");
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"}]));
    assert_eq!(rt.sh(&mut bundle, "mkdir /dev/shm/new; echo $?").word(), "0", "logged and let through");
}

#[test]
fn arguments() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let kill = |op: &str, value: i64, two: i64| {
        json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
                "args": [{"index": 1, "value": value, "valueTwo": two, "op": op}]}])
    };
    // (operator, value, second value, signal 0 is let through, signal 15 is let through)
    for (op, value, two, zero, term) in [
        ("SCMP_CMP_EQ", 0, 0, false, true),
        ("SCMP_CMP_NE", 0, 0, true, false),
        ("SCMP_CMP_GT", 5, 0, true, false),
        ("SCMP_CMP_GE", 15, 0, true, false),
        ("SCMP_CMP_LT", 1, 0, false, true),
        ("SCMP_CMP_LE", 0, 0, false, true),
        ("SCMP_CMP_MASKED_EQ", 8, 8, true, false),
    ] {
        allow_but(&mut bundle, kill(op, value, two));
        let script = "sleep 1000 & p=$!; kill -0 $p && echo zero; kill -15 $p && echo term; kill -9 $p; true";
        let output = rt.sh(&mut bundle, script);
        let expected = format!("{}{}", if zero { "zero\n" } else { "" }, if term { "term\n" } else { "" });
        assert_eq!(output.stdout, expected, "{op}: {output}");
    }
}

#[test]
fn rules_of_one_call_are_alternatives() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    allow_but(
        &mut bundle,
        json!([
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": [{"index": 1, "value": 18, "op": "SCMP_CMP_EQ"}]}
        ]),
    );
    let output = rt.sh(&mut bundle, "kill -0 1; kill -18 1; kill -17 1 && echo other");
    assert_eq!(output.stdout, "other\n");
    assert!(output.stderr.contains("No space left") && output.stderr.contains("not implemented"), "{output}");
}

#[test]
fn unknown_system_calls_are_passed_over() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    allow_but(
        &mut bundle,
        json!([{"names": ["call_from_the_future", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]),
    );
    assert_eq!(rt.sh(&mut bundle, "mkdir /dev/shm/x || echo refused").word(), "refused");
}

#[test]
fn it_holds_without_no_new_privileges_too() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .set("/process/noNewPrivileges", json!(false))
        .set("/process/user/uid", json!(1000))
        .set("/process/capabilities", json!({}));
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]));
    let seen = rt.sh(
        &mut bundle,
        "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2; mkdir /dev/shm/x 2>&1 | grep -o 'No space.*'",
    );
    assert_eq!(seen.stdout, "0\n2\nNo space left on device\n");
}

#[test]
fn flags() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
    ] {
        allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
        bundle.set("/linux/seccomp/flags", flags.clone());
        assert_eq!(mode(&rt, &mut bundle), "2", "{flags}");
    }
    bundle.set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NONSENSE"]));
    rt.run(&bundle).exits(1).says_one_of(&["linux.seccomp.flags", "SECCOMP_FILTER_FLAG_NONSENSE"]).one_line();
}

#[test]
fn notify() {
    let rt = Runtime::new();
    let agent = Agent::new(rt.path("agent"));
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"who": "me"}));
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]));
    bundle
        .set("/linux/seccomp/listenerPath", json!(rt.path("agent")))
        .set("/linux/seccomp/listenerMetadata", json!("some data"));
    bundle.script("mkdir /dev/shm/one && echo one; mkdir /dev/shm/two || echo refused; ls /dev/shm");
    let run = rt.run_call(&bundle, &[]).spawn();
    let (state, mut fds) = agent.hear();
    assert_eq!(state["metadata"], "some data");
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(state["state"]["id"], rt.tag());
    assert_eq!(state["state"]["annotations"]["who"], "me");
    assert_eq!(state["state"]["bundle"], bundle.dir().to_str().unwrap());
    assert!(["creating", "created", "running"].contains(&state["state"]["status"].as_str().unwrap()), "{state}");
    assert_eq!(state["pid"], state["state"]["pid"]);
    assert!(state["ociVersion"].is_string(), "{state}");
    assert_eq!(fds.len(), 1);
    let listener = fds.remove(0);
    let first = notified(&listener);
    assert!(first.pid > 0 && first.nr > 0, "{first:?}");
    answer(&listener, &first, Ok(0));
    let second = notified(&listener);
    answer(&listener, &second, Err(28));
    let output = run.wait().exits(0);
    assert_eq!(output.stdout, "one\nrefused\n", "no directory was really made: {output}");
    assert!(output.stderr.contains("No space left on device"), "{output}");
}

#[test]
fn notify_of_exec() {
    let rt = Runtime::new();
    let agent = Agent::new(rt.path("agent"));
    let mut bundle = rt.bundle();
    allow_but(&mut bundle, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]));
    bundle.set("/linux/seccomp/listenerPath", json!(rt.path("agent")));
    let container = rt.sleeper(&mut bundle);
    let (of_init, _keep) = agent.hear();
    let exec = container.exec_call(&[], &["mkdir", "/dev/shm/x"]).spawn();
    let (state, fds) = agent.hear();
    assert_eq!(state["state"]["pid"], of_init["state"]["pid"], "the container's process");
    assert_ne!(state["pid"], of_init["pid"], "and the exec's own");
    answer(&fds[0], &notified(&fds[0]), Err(1));
    exec.wait().exits(1).says("Operation not permitted");
}

#[test]
fn notify_without_an_agent_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    allow_but(&mut bundle, json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]));
    rt.run(&bundle).exits(1).says("listenerPath").one_line();
    bundle.set("/linux/seccomp/listenerPath", json!("/no/such/socket"));
    rt.run(&bundle).exits(1).says("/no/such/socket").one_line();
}
