//! Paths that somebody else changes while they are walked and made.

use super::draft::{Draft, root_or_skip};
use hull_init::op::{Op, Slot};
use rustix::fs::{AtFlags, CWD, RenameFlags};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `disturbance` again and again in another thread, already before and while `work` runs.
fn while_disturbed(disturbance: impl Fn() + Send, work: impl FnOnce()) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A failure of the work ends the disturbance, too.
        let _over = Over(&over);
        let (begun, first) = std::sync::mpsc::channel();
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                disturbance();
                let _ = begun.send(());
            }
        });
        first.recv().unwrap();
        work();
    });
}

#[test]
fn a_storm_of_renames_fails_no_walk() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["root/a", "root/b", "x"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    let mut draft = Draft::new(0);
    let root = draft.fd(fs::File::open(at("root")).unwrap());
    let path = draft.text("a/../b/../".repeat(4) + "missing");
    for _ in 0..20_000 {
        draft.step(Op::Mask { root, path, null: Slot::SYNC, dir: Slot::SYNC, own: false });
    }
    let rename = || {
        fs::rename(at("x"), at("y")).unwrap();
        fs::rename(at("y"), at("x")).unwrap();
    };
    while_disturbed(rename, || {
        let mut running = draft.start();
        if let Some(said) = running.listen() {
            panic!("{said:?}");
        }
        assert_eq!(running.wait(), 0);
    });
}

#[test]
fn a_directory_that_becomes_a_symlink_leads_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["root/a", "outside"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    // What it points to is, seen from the host, outside; in the root it is the root's own.
    symlink("../outside", at("root/link")).unwrap();
    let mut draft = Draft::new(0);
    let root = draft.fd(fs::File::open(at("root")).unwrap());
    for i in 0..500 {
        let path = draft.text(format!("a/x{i}/y"));
        draft.step(Op::MakeDirs { root, path, mode: 0o755 });
        // Somebody who changes it all the time may make a walk fail; never may he make it leave.
        draft.skip_last([libc::ELOOP as u16, libc::ENOTDIR as u16]);
    }
    let exchange =
        || rustix::fs::renameat_with(CWD, at("root/a"), CWD, at("root/link"), RenameFlags::EXCHANGE).unwrap();
    while_disturbed(exchange, || {
        let mut running = draft.start();
        if let Some(said) = running.listen() {
            panic!("{said:?}");
        }
        assert_eq!(running.wait(), 0);
    });
    assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 0);
    // Both ways have been walked, else this has tested nothing.
    assert!(fs::read_dir(at("root/outside")).unwrap().count() > 0);
}

#[test]
fn many_make_the_same_path() {
    let directory = tempfile::tempdir().unwrap();
    let mut all: Vec<_> = (0..8)
        .map(|_| {
            let mut draft = Draft::new(0);
            let root = draft.fd(fs::File::open(directory.path()).unwrap());
            draft.meet();
            for i in 0..40 {
                let path = draft.text(format!("p{i}/q/r/s"));
                draft.step(Op::MakeDirs { root, path, mode: 0o755 });
            }
            draft.start()
        })
        .collect();
    for running in &mut all {
        running.reach();
    }
    for running in &all {
        running.go();
    }
    for running in &mut all {
        if let Some(said) = running.listen() {
            panic!("{said:?}");
        }
        assert_eq!(running.wait(), 0);
    }
    assert!((0..40).all(|i| directory.path().join(format!("p{i}/q/r/s")).is_dir()));
}

#[test]
fn a_device_whose_name_becomes_a_symlink_changes_nothing_else() {
    if !root_or_skip("make devices") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("victim"), "").unwrap();
    symlink("victim", at("link")).unwrap();
    let before = rustix::fs::statat(CWD, at("victim"), AtFlags::empty()).unwrap();
    let mut draft = Draft::new(0);
    let dir = draft.fd(fs::File::open(directory.path()).unwrap());
    let name = draft.text("null");
    for i in 0..2000 {
        let mode = libc::S_IFCHR | if i % 2 == 0 { 0o666 } else { 0o622 };
        draft.step(Op::Node { dir, name, mode, device: libc::makedev(1, 3), uid: 7 + i % 2, gid: 7 });
        draft.skip_last([libc::EEXIST as u16, libc::ENOENT as u16]);
    }
    let exchange = || {
        let _ = rustix::fs::renameat_with(CWD, at("null"), CWD, at("link"), RenameFlags::EXCHANGE);
    };
    while_disturbed(exchange, || {
        let mut running = draft.start();
        if let Some(said) = running.listen() {
            panic!("{said:?}");
        }
        assert_eq!(running.wait(), 0);
    });
    let after = rustix::fs::statat(CWD, at("victim"), AtFlags::empty()).unwrap();
    assert_eq!((after.st_uid, after.st_gid, after.st_mode), (before.st_uid, before.st_gid, before.st_mode));
}
