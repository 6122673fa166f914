//! A filter in the kernel: what the interpreter says is what happens.

use super::profiles::{docker_like, filter};
use crate::seccomp::ffi::kernel::{call, install};
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// Runs one of the ignored tests below in a process of its own: a filter cannot be taken off again.
fn in_child(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", &format!("seccomp::tests::kernel::{test}")])
        .output()
        .unwrap()
}

#[test]
fn the_kernel_decides_as_the_interpreter() {
    let output = in_child("confined");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("getpid 0, mount 1, call 9000 38, clone3 38, vsock 1, x32 getpid 0\n"), "{text}");
}

#[test]
#[ignore = "confines its process for good; another test runs it in a child"]
fn confined() {
    let made = filter(docker_like());
    rustix::thread::set_no_new_privs(true).unwrap();
    install(&made.program, made.flags).unwrap();
    let seen = [
        call(libc::SYS_getpid, [0; 3]),
        call(libc::SYS_mount, [0; 3]),
        call(9000, [0; 3]),
        call(libc::SYS_clone3, [0; 3]),
        call(libc::SYS_socket, [40, 1, 0]),
        // Without x32 in the kernel the call is unknown to it, but never killed: the profile has that architecture.
        call(0x4000_0000 | libc::SYS_getpid, [0; 3]) % libc::ENOSYS,
    ];
    let [getpid, mount, new, clone3, vsock, x32] = seen;
    println!("getpid {getpid}, mount {mount}, call 9000 {new}, clone3 {clone3}, vsock {vsock}, x32 getpid {x32}");
}

#[test]
fn a_kill_is_a_kill() {
    let output = in_child("killed");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}

#[test]
#[ignore = "is killed by its filter; another test runs it in a child"]
fn killed() {
    let made = filter(json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}]}));
    rustix::thread::set_no_new_privs(true).unwrap();
    install(&made.program, made.flags).unwrap();
    call(libc::SYS_getppid, [0; 3]);
}

#[test]
fn a_listener_comes_of_each_combination_of_flags() {
    let output = in_child("listened");
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "confines its process for good; another test runs it in a child"]
fn listened() {
    const NEW_LISTENER: u32 = 8;
    rustix::thread::set_no_new_privs(true).unwrap();
    for flags in [json!([]), json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"])] {
        let made = filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "listenerPath": "/a.sock",
            "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}]}));
        assert!(made.notify);
        // Two listeners in one process: the kernel refuses the second (EBUSY), after it has taken the flags.
        match install(&made.program, made.flags | NEW_LISTENER) {
            Ok(descriptor) => assert!(descriptor > 2),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{flags}"),
        }
    }
}
