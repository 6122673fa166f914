//! Capabilities, filters, owners, namespaces and the program, as /proc shows them.

use super::draft::{AT_FDCWD, Draft, Running, root_or_skip};
use hull_init::op::{Op, Slot};
use hull_init::wire;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

fn status(running: &Running, name: &str) -> String {
    let status = running.proc("status");
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

#[test]
fn capabilities_are_dropped_and_raised() {
    if !root_or_skip("drop capabilities") {
        return;
    }
    let last: u32 = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    let mut draft = Draft::new(0);
    let keep = 1u64 | (1 << 10) | (1 << last);
    draft.step(Op::DropBounding { keep, last });
    // An ambient capability has to be permitted and inheritable: version 3 of struct cap_data, lower words first.
    let header = draft.words(&[0x2008_0522]);
    let data = draft.words(&[1 << 10 | (1 << 10) << 32, 1 << 10, 0, 0]);
    draft.call(libc::SYS_capset, 0, &[header.0, data.0]);
    draft.step(Op::Ambient { set: 1 << 10, last });
    draft.meet();
    draft.step(Op::Ambient { set: 1 << 11, last });
    let mut running = draft.start();
    running.reach();
    assert_eq!(u64::from_str_radix(&status(&running, "CapBnd:"), 16).unwrap(), keep);
    assert_eq!(u64::from_str_radix(&status(&running, "CapAmb:"), 16).unwrap(), 1 << 10);
    running.go();
    assert_eq!(running.failure().0, libc::EPERM);
}

/// A filter that answers mkdirat with `action` and allows everything else.
fn filter(draft: &mut Draft, action: u32) -> hull_init::op::Bytes {
    let instruction = |code: u32, jump_true: u8, jump_false: u8, k: u32| {
        [&(code as u16).to_ne_bytes()[..], &[jump_true, jump_false], &k.to_ne_bytes()].concat()
    };
    let program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_mkdirat as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    draft.bytes(&program.concat())
}

#[test]
fn a_filter_holds_from_its_step_on() {
    let mut draft = Draft::new(0);
    draft.call(libc::SYS_prctl, 0, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1]);
    let program = filter(&mut draft, libc::SECCOMP_RET_ERRNO | libc::EXDEV as u32);
    draft.step(Op::Seccomp { program, flags: 0, notify: false });
    draft.meet();
    let path = draft.text("/tmp");
    draft.call(libc::SYS_mkdirat, 0, &[AT_FDCWD, path.0, 0]);
    let mut running = draft.start();
    running.reach();
    assert_eq!((status(&running, "Seccomp:"), status(&running, "Seccomp_filters:")), ("2".into(), "1".into()));
    running.go();
    assert_eq!(running.failure().0, libc::EXDEV);
}

#[test]
fn a_listener_is_there_to_be_taken_and_then_closed() {
    let mut draft = Draft::new(0);
    draft.call(libc::SYS_prctl, 0, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1]);
    let program = filter(&mut draft, libc::SECCOMP_RET_USER_NOTIF);
    draft.step(Op::Seccomp { program, flags: 0, notify: true });
    draft.meet();
    let mut running = draft.start();
    let said = running.listen().unwrap();
    assert_eq!((said.message.kind, said.message.value), (wire::REACHED, wire::point::SECCOMP_LISTENER as i32));
    let listener = format!("/proc/{}/fd/{}", running.pid(), said.message.extra);
    assert_eq!(std::fs::read_link(&listener).unwrap().to_str(), Some("anon_inode:seccomp notify"));
    running.go();
    running.reach();
    assert!(std::fs::read_link(&listener).is_err());
}

#[test]
fn streams_get_their_owner_and_dev_null_keeps_its_own() {
    if !root_or_skip("change owners") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let null = || std::fs::metadata("/dev/null").unwrap().uid();
    let before = null();
    let output = std::fs::File::create(directory.path().join("output")).unwrap();
    // procfs lets nobody change an owner: not an error.
    let error = std::fs::File::open("/proc/version").unwrap();
    let mut draft = Draft::new(0);
    draft.stdio([Stdio::null(), output.into(), error.into()]);
    draft.step(Op::OwnStdio { uid: 1234, gid: 5678 });
    assert_eq!(draft.start().wait(), 0);
    let owned = std::fs::metadata(directory.path().join("output")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), null()), (1234, 5678, before));
}

#[test]
fn a_working_directory_outside_the_root_is_refused() {
    if !root_or_skip("change the root") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("work")).unwrap();
    for outside in [false, true] {
        let mut draft = Draft::new(libc::CLONE_NEWNS);
        // A descriptor of the host that was left open (CVE-2024-21626), through a procfs of the container.
        let host = std::fs::File::open("/").unwrap();
        let leaked = format!("/proc/self/fd/{}", host.as_raw_fd());
        draft.fd(host);
        let root = draft.root(directory.path());
        let (proc, params) = (draft.text("proc"), draft.params(&[]));
        let procfs = draft.step_to_slot(Op::Filesystem { kind: proc, params, attrs: 0 });
        draft.attach(procfs, root, "proc", 0);
        draft.step(Op::Enter { root, pivot: true, shared: false });
        let path = draft.text(if outside { &leaked } else { "/work" });
        draft.step(Op::Chdir { path });
        let again = draft.text("/missing");
        draft.step(Op::Chdir { path: again });
        draft.meet();
        let mut running = draft.start();
        if outside {
            assert_eq!(running.failure(), (libc::EXDEV, leaked));
        } else {
            running.reach();
            let work = std::fs::metadata(format!("/proc/{}/cwd", running.pid())).unwrap().ino();
            assert_eq!(work, std::fs::metadata(directory.path().join("work")).unwrap().ino());
        }
    }
}

#[test]
fn a_joined_pid_namespace_holds_from_the_fork_on() {
    if !root_or_skip("join namespaces") {
        return;
    }
    let mut draft = Draft::new(libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS);
    draft.step(Op::Fork { namespaces: 0 });
    draft.meet();
    let mut container = draft.start();
    container.expect(wire::FORKED);
    container.reach();
    assert!(container.proc("status").contains(&format!("\nNSpid:\t{}\t1\n", container.pid())));

    let pidfd = rustix::process::Pid::from_raw(container.pid()).unwrap();
    let pidfd = rustix::process::pidfd_open(pidfd, rustix::process::PidfdFlags::empty()).unwrap();
    let mut draft = Draft::new(0);
    let namespace = draft.fd(pidfd);
    let kinds = (libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS) as u64;
    draft.step(Op::Join { namespace, kinds });
    draft.step(Op::Fork { namespaces: 0 });
    draft.meet();
    let mut joined = draft.start();
    joined.expect(wire::FORKED);
    joined.reach();
    assert!(joined.proc("status").contains(&format!("\nNSpid:\t{}\t2\n", joined.pid())));
    let namespace =
        |running: &Running, kind: &str| std::fs::read_link(format!("/proc/{}/ns/{kind}", running.pid())).unwrap();
    for kind in ["mnt", "pid", "uts"] {
        assert_eq!(namespace(&joined, kind), namespace(&container, kind));
    }
}

#[test]
fn a_namespace_that_was_refused_is_joined_later_and_only_once() {
    if !root_or_skip("join namespaces") {
        return;
    }
    let own = std::fs::File::open("/proc/self/ns/uts").unwrap();
    let mut draft = Draft::new(libc::CLONE_NEWUTS);
    let namespace = draft.fd(own);
    let kinds = libc::CLONE_NEWUTS as u64;
    // The wrong kind is refused, and the place still has its descriptor.
    draft.step(Op::Join { namespace, kinds: libc::CLONE_NEWNET as u64 });
    draft.skip_last([libc::EINVAL as u16, 0]);
    draft.step(Op::Join { namespace, kinds });
    // What would be refused now is left alone.
    draft.step(Op::Join { namespace, kinds: libc::CLONE_NEWNET as u64 });
    draft.meet();
    let mut running = draft.start();
    running.reach();
    let link = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/uts")).unwrap();
    assert_eq!(link(running.pid()), link(std::process::id() as i32));
}

#[test]
fn a_fork_may_be_in_new_namespaces() {
    if !root_or_skip("make namespaces") {
        return;
    }
    let mut draft = Draft::new(0);
    draft.step(Op::Fork { namespaces: (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64 });
    draft.meet();
    let mut running = draft.start();
    running.expect(wire::FORKED);
    running.reach();
    assert!(running.proc("status").contains(&format!("\nNSpid:\t{}\t1\n", running.pid())));
    assert_eq!(status(&running, "CapEff:"), status(&running, "CapBnd:"), "all capabilities of the new user namespace");
}

#[test]
fn a_time_namespace_has_its_offsets() {
    if !root_or_skip("make a time namespace") {
        return;
    }
    let mut draft = Draft::new(0);
    let proc = draft.fd(std::fs::File::open("/proc").unwrap());
    let offsets = draft.bytes(b"monotonic 86400 0\nboottime 604800 0\n");
    draft.call(libc::SYS_unshare, 0, &[libc::CLONE_NEWTIME as u64]);
    draft.step(Op::TimeNamespace { proc, offsets });
    draft.meet();
    let mut running = draft.start();
    running.reach();
    let own = std::fs::read_link("/proc/self/ns/time").unwrap();
    assert_ne!(std::fs::read_link(format!("/proc/{}/ns/time", running.pid())).unwrap(), own);
    assert!(running.proc("timens_offsets").contains("604800"), "{}", running.proc("timens_offsets"));
}

#[test]
fn the_umask_comes_back() {
    let mut draft = Draft::new(0);
    draft.call(libc::SYS_umask, 0, &[0o27]);
    draft.step(Op::ClearUmask {});
    draft.meet();
    draft.step(Op::RestoreUmask {});
    draft.meet();
    let mut running = draft.start();
    running.reach();
    assert_eq!(status(&running, "Umask:"), "0000");
    running.go();
    running.reach();
    assert_eq!(status(&running, "Umask:"), "0027");
}

/// A plan that looks for one of `candidates` and runs it, or runs them in turn.
fn program(find: bool, candidates: &[&str]) -> Running {
    let mut draft = Draft::new(0);
    let candidates = draft.texts(candidates);
    let (argv, envp) = (draft.texts(&["true"]), draft.texts(&[]));
    if find {
        draft.step(Op::Find { candidates });
        draft.meet();
    }
    draft.step(Op::Exec { candidates, argv, envp });
    draft.start()
}

#[test]
fn the_first_program_that_may_be_executed_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("true");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (forbidden, directory) = (file.to_str().unwrap(), directory.path().to_str().unwrap());
    let (missing, good) = ("/no/such/true", "/bin/true");

    for find in [true, false] {
        let mut running = program(find, &[missing, forbidden, directory, good]);
        if find {
            running.reach();
            running.go();
        }
        assert!(running.listen().is_none());
        assert_eq!(running.wait(), 0);

        assert_eq!(program(find, &[missing, "/etc/passwd/true"]).failure(), (libc::ENOENT, missing.into()));
        assert_eq!(program(find, &[forbidden, missing]).failure(), (libc::EACCES, forbidden.into()));
        assert_eq!(program(find, &[directory]).failure(), (libc::EACCES, directory.into()));
        assert_eq!(program(find, &[]).failure().0, libc::ENOENT);
    }
}

#[test]
fn a_call_takes_places_numbers_and_addresses() {
    let mut draft = Draft::new(0);
    let null = draft.fd(std::fs::File::open("/dev/null").unwrap());
    // dup to a place, a NONE place as -1, and an empty place as an error.
    let copy = draft.step_to_slot(super::draft::call(libc::SYS_dup, 1, &[null.0.into()]));
    // A number that is this plan's alone: any other may be that of the conversation.
    let other = std::fs::File::open("/").unwrap();
    let number = other.as_raw_fd();
    draft.fd(other);
    draft.call(libc::SYS_dup2, 1, &[copy.0.into(), number as u64]);
    draft.meet();
    draft.call(libc::SYS_dup, 1, &[Slot::NONE.0.into()]);
    let mut running = draft.start();
    running.reach();
    let link = std::fs::read_link(format!("/proc/{}/fd/{number}", running.pid())).unwrap();
    assert_eq!(link.to_str(), Some("/dev/null"));
    running.go();
    assert_eq!(running.failure().0, libc::EBADF);
}
