//! Paths below a root: symlinks, missing parts, and what refuses them.

use super::draft::{Draft, Running, root_or_skip};
use hull_init::op::{ATTACH_DIRECTORY, ATTACH_FRESH, ATTACH_KEEP_MODE, ATTACH_NO_FOLLOW, ATTACH_NO_SYMLINK, Op, Slot};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Makes `path` below `root` with MakeDirs, as a process without privileges of its own would.
fn make(root: &Path, path: &str) -> Running {
    let mut draft = Draft::new(0);
    let root = draft.fd(fs::File::open(root).unwrap());
    let path = draft.text(path);
    draft.step(Op::ClearUmask {});
    draft.step_to_slot(Op::MakeDirs { root, path, mode: 0o751 });
    draft.start()
}

#[track_caller]
fn made(root: &Path, path: &str) {
    let mut running = make(root, path);
    if let Some(said) = running.listen() {
        panic!("{path}: {said:?}");
    }
    assert_eq!(running.wait(), 0);
}

#[test]
fn directories_are_made_with_all_that_lead_to_them() {
    let root = tempfile::tempdir().unwrap();
    made(root.path(), "/a/b/c");
    for path in ["a", "a/b", "a/b/c"] {
        assert_eq!(fs::metadata(root.path().join(path)).unwrap().mode(), 0o040751, "{path}");
    }
    made(root.path(), "a/b/c");
    made(root.path(), "a/b/d/e");
    made(root.path(), "/");
    assert!(root.path().join("a/b/d/e").is_dir());
}

#[test]
fn symlinks_stay_in_the_root() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("root");
    fs::create_dir(&inside).unwrap();
    symlink("/var/run", inside.join("absolute")).unwrap();
    symlink("../../../above", inside.join("up")).unwrap();
    fs::create_dir(inside.join("dir")).unwrap();
    symlink("../beside/./that//", inside.join("dir/relative")).unwrap();
    symlink("dir/relative", inside.join("chain")).unwrap();
    made(&inside, "absolute/x");
    made(&inside, "up/y");
    made(&inside, "chain/z");
    for path in ["var/run/x", "above/y", "beside/that/z"] {
        assert!(inside.join(path).exists(), "{path}");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn a_dangling_symlink_may_go_through_what_is_not_there_yet() {
    let root = tempfile::tempdir().unwrap();
    symlink("new/../../other/./deep", root.path().join("link")).unwrap();
    made(root.path(), "link/er");
    assert!(root.path().join("other/deep/er").is_dir());
}

#[test]
fn a_loop_and_a_file_in_the_way_are_refused() {
    let root = tempfile::tempdir().unwrap();
    symlink("b", root.path().join("a")).unwrap();
    symlink("a", root.path().join("b")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    assert_eq!(make(root.path(), "a/x").failure(), (libc::ELOOP, "a/x".into()));
    assert_eq!(make(root.path(), "file/x").failure().0, libc::ENOTDIR);
    assert_eq!(make(root.path(), "file").failure().0, libc::ENOTDIR);
    // Each step of this one is another symlink: more than anyone may have in a path.
    for i in 0..50 {
        symlink(format!("l{}", i + 1), root.path().join(format!("l{i}"))).unwrap();
    }
    assert_eq!(make(root.path(), "l0").failure().0, libc::ELOOP);
}

#[test]
fn a_path_that_grows_too_long_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let long = vec!["x".repeat(250); 16].join("/");
    symlink(&long, root.path().join("link")).unwrap();
    let rest = vec!["y".repeat(100); 2].join("/");
    assert_eq!(make(root.path(), &format!("link/{rest}")).failure().0, libc::ENAMETOOLONG);
}

/// A root file system in a new mount namespace, over which trees are attached and looked at.
fn attach(prepare: impl Fn(&Path), attach: impl Fn(&mut Draft, Slot)) -> (tempfile::TempDir, Running) {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let mut draft = Draft::new(libc::CLONE_NEWNS);
    let root = draft.root(directory.path());
    attach(&mut draft, root);
    draft.step(Op::Enter { root, pivot: true, shared: false });
    draft.meet();
    (directory, draft.start())
}

#[test]
fn a_missing_target_is_made_as_what_is_attached() {
    if !root_or_skip("attach to what is missing") {
        return;
    }
    let (directory, mut running) = attach(
        |_| {},
        |draft, root| {
            let (tmpfs, null) = (draft.tmpfs(), draft.clone_of("/dev/null"));
            draft.attach(tmpfs, root, "/some/where", 0);
            draft.attach(null, root, "/some/other/null", 0);
        },
    );
    let root = running.reach();
    assert!(fs::metadata(root.at("some/other/null")).unwrap().file_type().is_char_device());
    assert!(running.proc("mountinfo").contains(" /some/where "));
    drop(running);
    assert!(directory.path().join("some/where").is_dir());
    assert_eq!(fs::metadata(directory.path().join("some/other/null")).unwrap().len(), 0);
}

#[test]
fn a_target_over_symlinks_is_below_the_root() {
    if !root_or_skip("attach over symlinks") {
        return;
    }
    let (directory, mut running) = attach(
        |root| {
            symlink("/there", root.join("existing")).unwrap();
            fs::create_dir(root.join("there")).unwrap();
            symlink("/nowhere/file", root.join("dangling")).unwrap();
        },
        |draft, root| {
            let (tmpfs, null) = (draft.tmpfs(), draft.clone_of("/dev/null"));
            draft.attach(tmpfs, root, "existing", 0);
            draft.attach(null, root, "dangling", 0);
        },
    );
    running.reach();
    let mounts = running.proc("mountinfo");
    assert!(mounts.contains(" /there ") && mounts.contains(" /nowhere/file "), "{mounts}");
    drop(running);
    assert!(directory.path().join("nowhere/file").is_file());
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn a_symlink_at_the_end_can_be_mounted_over() {
    if !root_or_skip("attach over a symlink itself") {
        return;
    }
    let (_directory, mut running) = attach(
        |root| {
            symlink("/nowhere", root.join("link")).unwrap();
        },
        |draft, root| {
            let null = draft.clone_of("/dev/null");
            draft.attach(null, root, "link", ATTACH_NO_FOLLOW);
        },
    );
    running.reach();
    assert!(running.proc("mountinfo").contains(" /link "));
}

#[test]
fn where_no_symlink_may_be_none_is_followed() {
    if !root_or_skip("attach without symlinks") {
        return;
    }
    for target in ["link", "link/below", "dangling"] {
        let (directory, mut running) = attach(
            |root| {
                fs::create_dir(root.join("real")).unwrap();
                symlink("real", root.join("link")).unwrap();
                symlink("not", root.join("dangling")).unwrap();
            },
            |draft, root| {
                let tmpfs = draft.tmpfs();
                draft.attach(tmpfs, root, target, ATTACH_NO_SYMLINK | ATTACH_DIRECTORY);
            },
        );
        assert_eq!(running.failure(), (libc::ELOOP, target.into()));
        assert_eq!(fs::read_dir(directory.path().join("real")).unwrap().count(), 0);
        assert!(!directory.path().join("not").exists());
    }
    let (_directory, mut running) = attach(
        |_| {},
        |draft, root| {
            let tmpfs = draft.tmpfs();
            draft.attach(tmpfs, root, "new/proc", ATTACH_NO_SYMLINK | ATTACH_DIRECTORY);
        },
    );
    running.reach();
    assert!(running.proc("mountinfo").contains(" /new/proc "));
}

#[test]
fn a_fresh_name_is_made_first_and_one_that_is_there_after_all_is_used() {
    if !root_or_skip("attach to a fresh name") {
        return;
    }
    let (directory, mut running) = attach(
        |root| fs::create_dir(root.join("old")).unwrap(),
        |draft, root| {
            let (new, old, null) = (draft.tmpfs(), draft.tmpfs(), draft.clone_of("/dev/null"));
            draft.attach(new, root, "new", ATTACH_FRESH | ATTACH_DIRECTORY);
            draft.attach(old, root, "old", ATTACH_FRESH | ATTACH_DIRECTORY);
            draft.attach(null, root, "null", ATTACH_FRESH);
        },
    );
    running.reach();
    let mounts = running.proc("mountinfo");
    assert!([" /new ", " /old ", " /null "].iter().all(|path| mounts.contains(path)), "{mounts}");
    drop(running);
    assert!(directory.path().join("null").is_file() && directory.path().join("new").is_dir());
}

#[test]
fn a_mount_may_have_the_mode_of_what_it_hides() {
    if !root_or_skip("attach a tmpfs") {
        return;
    }
    let (_directory, mut running) = attach(
        |root| {
            fs::create_dir(root.join("there")).unwrap();
            fs::set_permissions(root.join("there"), fs::Permissions::from_mode(0o1705)).unwrap();
        },
        |draft, root| {
            for path in ["there", "missing"] {
                let tmpfs = draft.tmpfs();
                draft.attach(tmpfs, root, path, ATTACH_KEEP_MODE | ATTACH_DIRECTORY);
            }
        },
    );
    let root = running.reach();
    assert_eq!(fs::metadata(root.at("there")).unwrap().mode(), 0o041705);
    assert_eq!(fs::metadata(root.at("missing")).unwrap().mode(), 0o041777);
}

#[test]
fn a_file_on_a_directory_and_a_directory_on_a_file_say_so() {
    if !root_or_skip("attach a tmpfs") {
        return;
    }
    for (path, file) in [("directory", true), ("file", false)] {
        let (_directory, mut running) = attach(
            |root| {
                fs::create_dir(root.join("directory")).unwrap();
                fs::write(root.join("file"), "").unwrap();
            },
            |draft, root| {
                let tree = if file { draft.clone_of("/dev/null") } else { draft.tmpfs() };
                draft.attach(tree, root, path, 0);
            },
        );
        assert_eq!(running.failure(), (libc::ENOTDIR, path.into()));
    }
}

#[test]
fn opening_goes_no_further_than_the_root_and_no_magic_link() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("passwd"), "inside").unwrap();
    symlink("../../../../../passwd", root.path().join("link")).unwrap();
    let mut draft = Draft::new(0);
    let slot = draft.fd(fs::File::open(root.path()).unwrap());
    let path = draft.text("link");
    let opened = draft.step_to_slot(Op::Open { root: slot, path, flags: libc::O_RDONLY as u64 });
    // A number that is this plan's alone: any other may be that of the conversation.
    let other = fs::File::open("/").unwrap();
    let number = other.as_raw_fd();
    draft.fd(other);
    draft.call(libc::SYS_dup2, 1, &[opened.0.into(), number as u64]);
    draft.meet();
    let proc = draft.fd(fs::File::open("/proc").unwrap());
    let path = draft.text("self/root/etc");
    draft.step(Op::Open { root: proc, path, flags: 0 });
    let mut running = draft.start();
    running.reach();
    assert_eq!(fs::read_to_string(format!("/proc/{}/fd/{number}", running.pid())).unwrap(), "inside");
    running.go();
    assert_eq!(running.failure(), (libc::ELOOP, "self/root/etc".into()));
}
