//! The program's start, its weight, and the conversation.

use super::draft::{Draft, IGNORED, ignored, seqpacket};
use crate::sys::program::{PROGRAM, sealed};
use hull_init::op::{Op, Slot};
use hull_init::wire;
use rustix::fs::SealFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;

#[test]
fn the_program_is_small() {
    assert!(PROGRAM.len() < 64 * 1024, "{} bytes", PROGRAM.len());
    assert_eq!(PROGRAM[..4], *b"\x7fELF");
}

#[test]
fn the_program_cannot_be_written() {
    let program = sealed(b"").unwrap();
    let seals = rustix::fs::fcntl_get_seals(&program).unwrap();
    assert!(seals.contains(SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE), "{seals:?}");
    assert_eq!(rustix::io::write(&program, b"x"), Err(rustix::io::Errno::PERM));
    assert!(rustix::io::fcntl_getfd(&program).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn what_the_caller_does_to_signals_goes_no_further() {
    let mut draft = Draft::new(0);
    draft.meet();
    let mut running = draft.start();
    running.reach();
    let status = running.proc("status");
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!((mask("SigIgn:") & ignored(), mask("SigBlk:")), (0, 0));
    assert_eq!(
        std::fs::read_link(format!("/proc/{}/exe", running.pid())).unwrap().to_str().unwrap(),
        "/memfd:hull-init (deleted)"
    );
}

#[test]
fn a_plan_without_exec_ends_well() {
    let mut draft = Draft::new(0);
    draft.call(libc::SYS_getpid, 0, &[]);
    let mut running = draft.start();
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 0);
}

#[test]
fn a_failure_names_step_operation_and_object() {
    let mut draft = Draft::new(0);
    draft.call(libc::SYS_getpid, 0, &[]);
    let path = draft.text("no/such/file");
    draft.step(Op::Open { root: Slot::CWD, path, flags: 0 });
    let mut running = draft.start();
    let said = running.listen().unwrap();
    let op = Op::Open { root: Slot::CWD, path, flags: 0 };
    let expected = wire::Message { kind: wire::FAILED, step: 1, code: op.code().into(), value: libc::ENOENT, extra: 0 };
    assert_eq!((said.message, said.text.as_str()), (expected, "no/such/file"));
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 1);
}

#[test]
fn a_skipped_refusal_leaves_the_place_empty() {
    let mut draft = Draft::new(0);
    let file = draft.fd(std::fs::File::open("/dev/null").unwrap());
    let path = draft.text("no/such/file");
    draft.step(Op::Open { root: Slot::CWD, path, flags: 0 });
    draft.skip_last([libc::EIO as u16, libc::ENOENT as u16]);
    draft.call(libc::SYS_fsync, 1, &[file.0.into()]);
    let mut running = draft.start();
    // /dev/null knows no fsync: the place of another result is untouched.
    assert_eq!(running.failure().0, libc::EINVAL);
}

#[test]
fn an_empty_place_is_a_bad_descriptor() {
    let mut draft = Draft::new(0);
    let path = draft.text("no/such/file");
    let skipped = draft.step_to_slot(Op::Open { root: Slot::CWD, path, flags: 0 });
    draft.skip_last([libc::ENOENT as u16, 0]);
    draft.call(libc::SYS_fsync, 1, &[skipped.0.into()]);
    let mut running = draft.start();
    let said = running.listen().unwrap();
    assert_eq!((said.message.step, said.message.value), (1, libc::EBADF));
}

#[test]
fn a_parent_that_is_gone_ends_the_process() {
    let mut draft = Draft::new(0);
    draft.meet();
    let mut running = draft.start();
    running.reach();
    running.socket = seqpacket().0;
    assert_eq!(running.wait(), 1);
}

#[test]
fn what_is_no_plan_is_refused() {
    for bytes in [b"".as_slice(), &[0; 40], &[0; 8192]] {
        let mut running = Draft::new(0).execute(bytes, vec![], seqpacket().0);
        assert_eq!(running.wait(), 125);
    }
}

#[test]
fn a_fork_is_said_before_anything_else() {
    let mut draft = Draft::new(0);
    draft.step(Op::Fork { namespaces: 0 });
    draft.meet();
    let mut running = draft.start();
    let pid = running.expect(wire::FORKED);
    running.reach();
    // The copy is a child of this process, and the process that was has left.
    assert!(running.proc("status").contains(&format!("\nPPid:\t{}\n", std::process::id())));
    assert_ne!(pid, running.pids[0]);
    running.go();
    assert_eq!(running.wait(), 0);
    assert_eq!(running.wait(), 0);
}

#[test]
fn the_barrier_keeps_little_and_goes_on_with_the_starter() {
    let directory = tempfile::tempdir().unwrap();
    let address = SocketAddrUnix::new(directory.path().join("start")).unwrap();
    let socket = || rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let listener = socket().unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 1).unwrap();

    let mut draft = Draft::new(0);
    let other = draft.fd(std::fs::File::open("/dev/null").unwrap());
    let listener = draft.fd(listener);
    let stdout = draft.fd(std::fs::File::open("/dev/null").unwrap());
    draft.step(Op::Barrier { listener, keep: 3, stdout, stderr: Slot::NONE });
    draft.meet();
    draft.call(libc::SYS_fsync, 1, &[other.0.into()]);
    let mut running = draft.start();
    running.expect(wire::CREATED);
    running.go();
    // The parent's socket is closed: nobody but the starter is talked to.
    assert!(running.listen().is_none());

    let starter: OwnedFd = socket().unwrap();
    rustix::net::connect(&starter, &address).unwrap();
    running.socket = starter;
    running.reach();
    let mut fds: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().collect();
    fds.retain(|entry| entry.is_ok());
    // Standard streams, the listener, what hooks write to, the starter.
    assert_eq!(fds.len(), 6, "{fds:?}");
    let rss = running.rss();
    assert!(rss < 256, "{rss} KB resident");
    running.go();
    assert_eq!(running.failure().0, libc::EBADF, "a place whose descriptor was closed is empty");
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 1);
}

#[test]
fn the_conversation_ends_with_the_barrier_wherever_its_descriptor_is() {
    let (_ours, listener) = seqpacket();
    let keep = listener.as_raw_fd() as u32 + 1;
    let mut draft = Draft::new(0);
    let listener = draft.fd(listener);
    draft.step(Op::Barrier { listener, keep, stdout: Slot::NONE, stderr: Slot::NONE });
    let mut running = draft.start();
    running.expect(wire::CREATED);
    running.go();
    // It is closed all the same, though its number is below that of the listener, which is none: nobody hears of it.
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 1);
}

#[test]
fn the_end_of_the_conversation_is_the_exec() {
    let mut draft = Draft::new(0);
    let (output, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    draft.stdio([Stdio::null(), theirs.into(), Stdio::inherit()]);
    draft.shell("echo $0 $PATH; ls /proc/self/fd | wc -l");
    let mut running = draft.start();
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 0);
    // Standard streams and the directory that ls reads.
    assert_eq!(std::io::read_to_string(std::fs::File::from(output)).unwrap(), "sh /bin:/usr/bin\n4\n");
}

#[test]
fn a_plan_costs_few_calls_of_its_own() {
    let mut draft = Draft::new(0);
    draft.traced();
    draft.meet();
    draft.call(libc::SYS_getuid, 0, &[]);
    let mut running = draft.start();
    running.go();
    let signals = [vec![libc::SYS_rt_sigaction; IGNORED.len()], vec![libc::SYS_rt_sigprocmask]].concat();
    let plan = [libc::SYS_mmap];
    let steps = [libc::SYS_write, libc::SYS_read, libc::SYS_getuid, libc::SYS_exit_group];
    assert_eq!(running.trace(), [&[libc::SYS_prctl], &signals[..], &plan, &steps].concat());
}
