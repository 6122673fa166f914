//! File systems, nodes, masks and the change of root, as the kernel shows them.

use super::draft::{Draft, Root, Running, root_or_skip};
use hull_init::op::{ATTACH_DIRECTORY, ATTACH_FRESH, LINK_KEEP, LINK_REFUSE, LINK_REPLACE, Op, Slot};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

/// Runs `steps` on a root file system in a new mount namespace and enters it; the process then waits.
fn rooted(prepare: impl Fn(&Path), steps: impl Fn(&mut Draft, Slot)) -> (tempfile::TempDir, Running) {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let mut draft = Draft::new(libc::CLONE_NEWNS);
    let root = draft.root(directory.path());
    steps(&mut draft, root);
    draft.step(Op::Enter { root, pivot: true, shared: false });
    draft.meet();
    (directory, draft.start())
}

/// The options of the last mount at a path: mountinfo's sixth field.
fn options(running: &Running, path: &str) -> String {
    let mounts = running.proc("mountinfo");
    let mount = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(path)).unwrap_or_else(|| panic!("{mounts}"));
    mount.split(' ').nth(5).unwrap().to_owned()
}

#[test]
fn the_old_root_is_gone() {
    if !root_or_skip("change the root") {
        return;
    }
    for pivot in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("here"), "").unwrap();
        let mut draft = Draft::new(libc::CLONE_NEWNS);
        let root = draft.root(directory.path());
        draft.step(Op::Enter { root, pivot, shared: false });
        draft.meet();
        let mut running = draft.start();
        let root = running.reach();
        let names =
            |path: &str| -> Vec<_> { fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
        assert_eq!(names(&root.at("")), ["here"]);
        assert_eq!(names(&format!("/proc/{}/cwd", running.pid())), ["here"]);
        if pivot {
            let mounts = running.proc("mountinfo");
            assert_eq!(mounts.lines().count(), 1, "{mounts}");
        }
    }
}

#[test]
fn a_file_system_has_its_parameters_and_attributes() {
    if !root_or_skip("mount a tmpfs") {
        return;
    }
    let (_directory, mut running) = rooted(
        |_| {},
        |draft, root| {
            let kind = draft.text("tmpfs");
            let params =
                draft.params(&[("size", Some("64k")), ("mode", Some("711")), ("ro", None), ("source", Some("me"))]);
            let attrs = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
            let tmpfs = draft.step_to_slot(Op::Filesystem { kind, params, attrs });
            draft.attach(tmpfs, root, "t", ATTACH_FRESH | ATTACH_DIRECTORY);
            let attr = draft.words(&[libc::MOUNT_ATTR_NODEV, libc::MOUNT_ATTR_NOEXEC, 0, 0]);
            draft.step(Op::SetAttr { tree: tmpfs, attr, recursive: true });
        },
    );
    let root = running.reach();
    assert_eq!(fs::metadata(root.at("t")).unwrap().mode(), 0o040711);
    assert_eq!(options(&running, "/t"), "rw,nosuid,nodev,relatime");
    let mounts = running.proc("mountinfo");
    assert!(mounts.contains("- tmpfs me ro,size=64k,mode=711"), "{mounts}");
}

#[test]
fn a_refused_parameter_brings_the_kernels_words() {
    if !root_or_skip("configure a tmpfs") {
        return;
    }
    for (kind, params, errno, text) in [
        ("tmpfs", &[("nonsense", Some("1"))][..], libc::EINVAL, "tmpfs: Unknown parameter 'nonsense'"),
        ("tmpfs", &[("size", Some("64k")), ("mode", Some("rwx"))], libc::EINVAL, "tmpfs: Bad value for 'mode'"),
        // Nothing said: at least the parameter is named.
        ("overlay", &[("lowerdir", Some("/no/such/dir"))], libc::ENOENT, "lowerdir"),
        ("nonsense", &[], libc::ENODEV, "nonsense"),
    ] {
        let mut draft = Draft::new(libc::CLONE_NEWNS);
        let (name, params) = (draft.text(kind), draft.params(params));
        draft.step(Op::Filesystem { kind: name, params, attrs: 0 });
        let (got, said) = draft.start().failure();
        assert!(got == errno && said.contains(text), "{kind}: {got} {said:?}");
    }
}

#[test]
fn nodes_are_made_and_kept_and_never_replaced_by_another_kind() {
    if !root_or_skip("make devices") {
        return;
    }
    let (_directory, mut running) = rooted(
        |_| {},
        |draft, root| {
            let dev = draft.tmpfs();
            draft.step(Op::ClearUmask {});
            draft.attach(dev, root, "dev", ATTACH_FRESH | ATTACH_DIRECTORY);
            let mut node = |name: &str, mode, device, uid, gid| {
                let name = draft.text(name);
                draft.step(Op::Node { dir: dev, name, mode, device, uid, gid });
            };
            node("null", libc::S_IFCHR | 0o666, libc::makedev(1, 3), 0, 0);
            node("owned", libc::S_IFBLK | 0o640, libc::makedev(259, 70_000), 7, 8);
            node("fifo", libc::S_IFIFO | 0o600, 0, 0, 0);
            node("null", libc::S_IFCHR | 0o600, libc::makedev(1, 3), 5, 6);
            draft.step(Op::RestoreUmask {});
        },
    );
    let root = running.reach();
    let stat = |name: &str| fs::symlink_metadata(root.at(name)).unwrap();
    let (null, owned) = (stat("dev/null"), stat("dev/owned"));
    assert_eq!((null.mode(), null.rdev(), null.uid(), null.gid()), (0o020600, libc::makedev(1, 3), 5, 6));
    assert_eq!((owned.mode(), owned.uid(), owned.gid()), (0o060640, 7, 8));
    assert_eq!(owned.rdev(), libc::makedev(259, 70_000));
    assert!(stat("dev/fifo").file_type().is_fifo());

    for (there, device) in [("file", 3), ("link", 3), ("zero", 3)] {
        let (_directory, mut running) = rooted(
            |root| {
                fs::write(root.join("file"), "").unwrap();
                symlink("/dev/null", root.join("link")).unwrap();
                let path = std::ffi::CString::new(root.join("zero").to_str().unwrap()).unwrap();
                // SAFETY: the string lives through the call.
                assert_eq!(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR, libc::makedev(1, 5)) }, 0);
            },
            |draft, root| {
                let name = draft.text(there);
                let device = libc::makedev(1, device);
                draft.step(Op::Node { dir: root, name, mode: libc::S_IFCHR | 0o666, device, uid: 0, gid: 0 });
            },
        );
        assert_eq!(running.failure(), (libc::EEXIST, there.into()));
    }
}

#[test]
fn symlinks_are_made_kept_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    symlink("target", at("same")).unwrap();
    symlink("elsewhere", at("other")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::write(at("kept"), "").unwrap();
    symlink("target", at("wanted")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    let mut draft = Draft::new(0);
    let dir = draft.fd(fs::File::open(directory.path()).unwrap());
    let inode = fs::symlink_metadata(at("same")).unwrap().ino();
    for (name, other) in [
        ("new", LINK_KEEP),
        ("same", LINK_REPLACE),
        ("other", LINK_REPLACE),
        ("file", LINK_REPLACE),
        ("kept", LINK_KEEP),
        ("wanted", LINK_REFUSE),
        ("refused", LINK_REFUSE),
        ("dir", LINK_REPLACE),
    ] {
        let (target, name) = (draft.text("target"), draft.text(name));
        draft.step(Op::Symlink { target, dir, name, other });
    }
    assert_eq!(draft.start().failure(), (libc::EISDIR, "dir".into()));
    for name in ["new", "same", "other", "file", "wanted", "refused"] {
        assert_eq!(fs::read_link(at(name)).unwrap(), Path::new("target"), "{name}");
    }
    assert_eq!(fs::symlink_metadata(at("same")).unwrap().ino(), inode);
    assert!(at("kept").is_file());

    let mut draft = Draft::new(0);
    let dir = draft.fd(fs::File::open(directory.path()).unwrap());
    let (target, name) = (draft.text("elsewhere"), draft.text("new"));
    draft.step(Op::Symlink { target, dir, name, other: LINK_REFUSE });
    assert_eq!(draft.start().failure(), (libc::EEXIST, "new".into()));
}

#[test]
fn masked_paths_show_nothing() {
    if !root_or_skip("mask paths") {
        return;
    }
    let mask = |draft: &mut Draft, root, paths: &[&str]| {
        let null = draft.clone_of("/dev/null");
        let (kind, params) = (draft.text("tmpfs"), draft.params(&[("nr_inodes", Some("1"))]));
        let dir = draft.step_to_slot(Op::Filesystem { kind, params, attrs: libc::MOUNT_ATTR_RDONLY });
        for path in paths {
            let path = draft.text(path);
            draft.step(Op::Mask { root, path, null, dir, own: false });
        }
    };
    let prepare = |root: &Path| {
        for name in ["a", "b", "dir1/inner", "dir2/inner"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "secret").unwrap();
        }
        symlink("a", root.join("link")).unwrap();
    };
    let (_directory, mut running) =
        rooted(prepare, |draft, root| mask(draft, root, &["/a", "/b", "/dir1", "/missing", "/a/missing", "/dir2"]));
    let root: Root = running.reach();
    for name in ["a", "b"] {
        assert!(fs::metadata(root.at(name)).unwrap().file_type().is_char_device(), "{name}");
    }
    for name in ["dir1", "dir2"] {
        assert_eq!(fs::read_dir(root.at(name)).unwrap().count(), 0, "{name}");
        assert!(options(&running, &format!("/{name}")).starts_with("ro"));
        assert!(fs::write(root.at(name) + "/file", "").is_err());
    }
    let (_directory, mut running) = rooted(prepare, |draft, root| mask(draft, root, &["/link"]));
    assert_eq!(running.failure(), (libc::ELOOP, "/link".into()));
}

#[test]
fn readonly_paths_are_readonly_with_all_mounts_below() {
    if !root_or_skip("make paths read-only") {
        return;
    }
    let (directory, mut running) = rooted(
        |root| {
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("file"), "").unwrap();
        },
        |draft, root| {
            let tmpfs = draft.tmpfs();
            draft.attach(tmpfs, root, "dir/below", 0);
            for path in ["/dir", "/file", "/missing", "/file/missing"] {
                let path = draft.text(path);
                draft.step(Op::Readonly { root, path, own: false });
            }
        },
    );
    let root = running.reach();
    for name in ["dir/x", "dir/below/x", "file"] {
        let error = fs::write(root.at(name), "").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EROFS), "{name}");
    }
    fs::write(root.at("elsewhere"), "").unwrap();
    fs::write(directory.path().join("dir/x"), "").unwrap();
}

#[test]
fn writing_stays_on_the_mount() {
    if !root_or_skip("write below a directory") {
        return;
    }
    for (path, errno) in [("file", 0), ("covered", libc::EXDEV), ("absolute", libc::EXDEV), ("../file", libc::EXDEV)] {
        let (directory, mut running) = rooted(
            |root| {
                fs::write(root.join("file"), "").unwrap();
                fs::write(root.join("covered"), "").unwrap();
                symlink("/file", root.join("absolute")).unwrap();
            },
            |draft, root| {
                let null = draft.clone_of("/dev/null");
                draft.attach(null, root, "covered", 0);
                let (data, path) = (draft.bytes(b"written"), draft.text(path));
                draft.step(Op::Write { dir: root, path, data });
            },
        );
        if errno == 0 {
            running.reach();
        } else {
            assert_eq!(running.failure(), (errno, path.into()));
        }
        let written = fs::read_to_string(directory.path().join("file")).unwrap();
        assert_eq!(written, if errno == 0 { "written" } else { "" }, "{path}");
    }
}
