//! --pidfd-socket: a pidfd of the new process, sent to whoever listens.

use integration::Runtime;
use integration::console::FdSocket;
use rustix::process::{Signal, pidfd_send_signal};

fn pid_of(pidfd: &rustix::fd::OwnedFd) -> i32 {
    let text =
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(pidfd))).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap_or_else(|| panic!("no pidfd: {text}"));
    line.trim().parse().unwrap()
}

#[test]
fn of_create_and_run() {
    for verb in [&["create"][..], &["run", "--detach"]] {
        let rt = Runtime::new();
        let socket = FdSocket::new(rt.path("pidfd"));
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]);
        let mut args = verb.to_vec();
        args.extend(["--pidfd-socket", socket.arg()]);
        let container = rt.make(&bundle, "", &args);
        let (_, fds) = socket.receive(|_, fds| !fds.is_empty());
        assert_eq!(fds.len(), 1);
        assert_eq!(pid_of(&fds[0]), container.pid());
        pidfd_send_signal(&fds[0], Signal::KILL).unwrap();
        assert!(integration::fifo::readable(&fds[0], integration::PATIENCE), "it tells of the end");
    }
}

#[test]
fn of_exec() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("pidfd"));
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("exec.pid");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap(), "--pidfd-socket", socket.arg()];
    container.exec_call(&flags, &["sleep", "1000"]).go().ok();
    let (_, fds) = socket.receive(|_, fds| !fds.is_empty());
    let pid = std::fs::read_to_string(&file).unwrap();
    assert_eq!(pid_of(&fds[0]).to_string(), pid);
}

#[test]
fn a_socket_nobody_listens_at() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let output =
        rt.call(["create", "--pidfd-socket", "/no/such/socket", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    output.exits(1).says("/no/such/socket").one_line();
}
