//! The container's terminal, from its devpts to the program that has it.

use super::draft::{Draft, Running, root_or_skip};
use hull_init::op::{ATTACH_DIRECTORY, Op, Slot};
use rustix::net::{AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType};
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// A plan up to its console; `steps` prepare what is at dev.
fn console(prepare: impl Fn(&Path), steps: impl Fn(&mut Draft, Slot)) -> (tempfile::TempDir, Draft, OwnedFd) {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("dev")).unwrap();
    prepare(directory.path());
    let mut draft = Draft::new(libc::CLONE_NEWNS);
    let socket = draft.fd(theirs);
    let root = draft.root(directory.path());
    draft.call(libc::SYS_setsid, 0, &[]);
    steps(&mut draft, root);
    draft.step(Op::Console { root, socket, size: 37 << 16 | 121, mount: true, control: true, uid: 1234 });
    draft.meet();
    (directory, draft, ours)
}

fn devpts(draft: &mut Draft, root: Slot) {
    let (kind, params) = (draft.text("devpts"), draft.params(&[("newinstance", None), ("ptmxmode", Some("0666"))]));
    let devpts = draft.step_to_slot(Op::Filesystem { kind, params, attrs: 0 });
    draft.attach(devpts, root, "dev/pts", ATTACH_DIRECTORY);
}

#[test]
fn the_program_has_a_terminal_and_the_caller_its_master() {
    if !root_or_skip("make a terminal") {
        return;
    }
    let (_directory, mut draft, socket) = console(|_| {}, devpts);
    draft.shell("stty size; test -t 0 && test -t 1 && test -t 2 && echo terminal; read line </dev/tty; echo got $line");
    let mut running: Running = draft.start();
    running.reach();

    let mut name = [0; 64];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut name)], &mut control, flags).unwrap();
    assert_eq!(&name[..got.bytes], b"/dev/pts/ptmx");
    let mut fds: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
            _ => vec![],
        })
        .collect();
    assert_eq!(fds.len(), 1);
    let mut master = std::fs::File::from(fds.pop().unwrap());

    let process = format!("/proc/{}", running.pid());
    let stat = |path: &str| std::fs::metadata(format!("{process}/{path}")).unwrap();
    let terminal = stat("fd/0");
    assert_eq!((libc::major(terminal.rdev()), terminal.uid()), (136, 1234));
    for path in ["fd/1", "fd/2"] {
        assert_eq!(stat(path).rdev(), terminal.rdev(), "{path}");
    }
    assert!(running.proc("mountinfo").lines().any(|line| line.contains(" /dev/console ") && line.contains(" devpts ")));
    // The seventh field of stat is the controlling terminal.
    let controlling: u64 = running.proc("stat").split(' ').nth(6).unwrap().parse().unwrap();
    assert_eq!(controlling, terminal.rdev());

    running.go();
    master.write_all(b"hello\n").unwrap();
    assert_eq!(running.wait(), 0);
    // A terminal whose other end is gone answers EIO after what was written.
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = master.read(&mut buffer) {
        said.extend_from_slice(&buffer[..len]);
    }
    let said = String::from_utf8_lossy(&said).replace('\r', "");
    assert!(["37 121\n", "terminal\n", "got hello\n"].iter().all(|line| said.contains(line)), "{said}");
}

#[test]
fn what_only_looks_like_a_devpts_is_refused() {
    if !root_or_skip("make a terminal") {
        return;
    }
    let prepare = |root: &Path| {
        std::fs::create_dir(root.join("dev/pts")).unwrap();
        symlink("/etc/passwd", root.join("dev/pts/ptmx")).unwrap();
    };
    let (_directory, draft, _socket) = console(prepare, |_, _| {});
    assert_eq!(draft.start().failure(), (libc::ENODEV, "dev/pts/ptmx".into()));
    // The right device, in the wrong place.
    let (_directory, draft, _socket) = console(prepare, |draft, root| {
        let tmpfs = draft.tmpfs();
        draft.attach(tmpfs, root, "dev/pts", 0);
        let name = draft.text("ptmx");
        draft.step(Op::Node {
            dir: tmpfs,
            name,
            mode: libc::S_IFCHR | 0o666,
            device: libc::makedev(5, 2),
            uid: 0,
            gid: 0,
        });
    });
    assert_eq!(draft.start().failure(), (libc::ENODEV, "dev/pts/ptmx".into()));
    // A devpts whose ptmx is covered by something else.
    let (_directory, draft, _socket) = console(
        |_| {},
        |draft, root| {
            devpts(draft, root);
            let null = draft.clone_of("/dev/null");
            draft.attach(null, root, "dev/pts/ptmx", 0);
        },
    );
    assert_eq!(draft.start().failure(), (libc::EXDEV, "dev/pts/ptmx".into()));
}

#[test]
fn the_console_is_never_mounted_through_a_symlink() {
    if !root_or_skip("mount a console") {
        return;
    }
    for target in ["/victim", "/missing"] {
        let (directory, draft, _socket) = console(
            |root| {
                std::fs::write(root.join("victim"), "").unwrap();
                symlink(target, root.join("dev/console")).unwrap();
            },
            devpts,
        );
        assert_eq!(draft.start().failure(), (libc::ELOOP, "dev/console".into()));
        assert!(!directory.path().join("missing").exists());
    }
}
