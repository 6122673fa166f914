//! $NOTIFY_SOCKET, as runc serves it: a socket of the container's own, whose READY goes to the service manager.

use integration::fifo::readable;
use integration::{Bundle, Call, Fifo, Runtime, json};
use rustix::fd::OwnedFd;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

/// The service manager of a test.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(rt: &Runtime) -> Manager {
        let path = rt.fresh("manager");
        Manager { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// The next message, and what descriptors came with it.
    fn hear(&self) -> (String, Vec<OwnedFd>) {
        assert!(readable(&self.socket, integration::PATIENCE), "the manager hears nothing");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 4096];
        let got = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::empty()).unwrap();
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        (String::from_utf8_lossy(&buffer[..got.bytes]).into_owned(), fds)
    }

    #[track_caller]
    fn hears(&self, message: &str) {
        assert_eq!(self.hear().0, message);
    }

    /// READY, MAINPID and the barrier, which is held until the result is dropped.
    #[track_caller]
    fn hears_ready(&self, rt: &Runtime) -> OwnedFd {
        self.hears("READY=1\n");
        self.hears(&format!("MAINPID={}\n", rt.container().pid()));
        let (text, mut fds) = self.hear();
        assert_eq!((text.as_str(), fds.len()), ("BARRIER=1", 1));
        fds.remove(0)
    }

    fn silent(&self) -> bool {
        !readable(&self.socket, 0)
    }

    fn call(&self, call: Call) -> Call {
        call.env("NOTIFY_SOCKET", &self.path)
    }
}

/// A program that says something through its $NOTIFY_SOCKET when the fifo lets it go, then waits for it again.
fn talker(rt: &Runtime, says: &str) -> (Bundle, Fifo) {
    let mut bundle = rt.bundle();
    let go = bundle.fifo("/go");
    bundle.bind("/usr".as_ref(), "/usr", &["ro"]);
    std::os::unix::fs::symlink("usr/lib", bundle.inside("/lib")).unwrap();
    std::os::unix::fs::symlink("usr/lib64", bundle.inside("/lib64")).unwrap();
    let say = "use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0) && connect(S, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!; \
               syswrite(S, $_) or die $! for @ARGV";
    bundle.script(&format!("read x < /go; perl -e '{say}' {says} || exit 9; read x < /go; exit 42"));
    bundle.write();
    (bundle, go)
}

const READY: &str = r#""STATUS=almost" "$(printf 'STATUS=there\nREADY=1\nMAINPID=1')""#;
/// In nanoseconds: long for a call that has nothing to wait for.
const LONG: u64 = 300_000_000;

#[test]
fn start_waits_until_the_program_is_ready() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (bundle, go) = talker(&rt, READY);
    manager.call(rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id(""))).go().ok();
    let container = rt.container();
    let start = manager.call(rt.call(["start", &container.id])).spawn();
    assert!(!start.ended_within(LONG), "start did not wait");
    assert!(manager.silent());
    let second = manager.call(rt.call(["start", &container.id])).go().exits(1);
    second.says("cannot start an already running container");
    go.send("now");
    let barrier = manager.hears_ready(&rt);
    assert!(!start.ended_within(LONG), "start did not wait for the manager");
    drop(barrier);
    start.wait().ok();
    assert!(manager.silent());
    assert_eq!(container.status(), "running");
}

#[test]
fn a_program_that_ends_first_is_not_waited_for() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (mut bundle, go) = talker(&rt, "");
    bundle.script("read x < /go");
    bundle.write();
    manager.call(rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id(""))).go().ok();
    let start = manager.call(rt.call(["start", &rt.container().id])).spawn();
    assert!(!start.ended_within(LONG));
    go.send("end");
    start.wait().ok();
    assert!(manager.silent());
}

#[test]
fn run_detached_waits_too() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (bundle, go) = talker(&rt, READY);
    let run = manager.call(rt.call(["run", "--detach", "--bundle"]).arg(bundle.dir()).arg(rt.id(""))).spawn();
    assert!(!run.ended_within(LONG), "run did not wait");
    go.send("now");
    drop(manager.hears_ready(&rt));
    run.wait().ok();
}

#[test]
fn in_the_foreground_the_service_is_the_runtime_itself() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (bundle, go) = talker(&rt, READY);
    let run = manager.call(rt.run_call(&bundle, &[])).spawn();
    go.send("now");
    manager.hears("READY=1\n");
    manager.hears(&format!("MAINPID={}\n", run.pid()));
    go.send("end");
    run.wait().exits(42);
    assert!(manager.silent());
}

#[test]
fn the_real_client_of_systemd() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (mut bundle, go) = talker(&rt, "");
    if !std::path::Path::new("/usr/bin/systemd-notify").exists() {
        return eprintln!("skipped: systemd-notify is not installed");
    }
    bundle.script("systemd-notify --no-block --ready --status=up && read x < /go");
    let run = manager.call(rt.run_call(&bundle, &[])).spawn();
    manager.hears("READY=1\n");
    go.send("end");
    run.wait().ok();
}

#[test]
fn what_the_program_sees() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let mut bundle = rt.bundle();
    bundle.push("/process/env", json!("NOTIFY_SOCKET=/of/the/image"));
    bundle.script(
        "echo $NOTIFY_SOCKET; stat -c %F:%a $NOTIFY_SOCKET; touch /run/notify/x 2>/dev/null || echo ro; \
         grep ' /run/notify ' /proc/self/mountinfo | grep nosuid | grep nodev | grep -c noexec",
    );
    let seen = manager.call(rt.run_call(&bundle, &[])).go().ok();
    assert_eq!(seen, "/run/notify/notify.sock\nsocket:777\nro\n1\n");
    assert_eq!(rt.sh(&mut bundle, "echo $NOTIFY_SOCKET").word(), "/of/the/image");
}

#[test]
fn a_user_of_a_user_namespace_is_heard() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (mut bundle, go) = talker(&rt, "READY=1");
    bundle.userns(700_000, 65536).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let run = manager.call(rt.run_call(&bundle, &[])).spawn();
    go.send("now");
    manager.hears("READY=1\n");
    go.send("end");
    run.wait().exits(42);
}

#[test]
fn a_manager_with_an_abstract_socket() {
    let rt = Runtime::new();
    let (bundle, go) = talker(&rt, "READY=1");
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(rt.tag()).unwrap()).unwrap();
    let manager = Manager { socket, path: format!("@{}", rt.tag()).into() };
    let run = manager.call(rt.run_call(&bundle, &[])).spawn();
    go.send("now");
    manager.hears("READY=1\n");
    go.send("end");
    run.wait().exits(42);
}

#[test]
fn what_cannot_be_told_is_said() {
    let rt = Runtime::new();
    let manager = Manager::new(&rt);
    let (mut bundle, _go) = talker(&rt, "");
    bundle.args(&["true"]);
    // Made without a place for the socket, it would never be ready.
    let container = rt.create(&bundle);
    manager.call(rt.call(["start", &container.id])).go().exits(1).says("created without a socket").one_line();
    assert_eq!(container.status(), "created");
    rt.call(["start", &container.id]).env("NOTIFY_SOCKET", "/no/such").go().exits(1).says("/no/such").one_line();
    container.start();
    container.verb(&["delete", "--force"]).ok();
    // A container that runs is worth more than a manager that is gone.
    let output = rt.run_call(&bundle, &[]).env("NOTIFY_SOCKET", "/no/such").go().exits(0);
    output.says("/no/such").says("warning");
    rt.run_call(&bundle, &[]).env("NOTIFY_SOCKET", "").go().ok();
}
