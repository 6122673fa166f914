//! A bundle: a private static busybox root file system and a config.json, in a directory that carries the test's tag.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Call, Fifo, config};

/// The programs of busybox the tests call inside a container.
const APPLETS: &str = "sh ash awk base64 cat chgrp chmod chown cmp cp cut date dd df dirname du echo env expr false find free fold \
    grep head hexdump hostname id ifconfig ionice ip kill killall ln ls md5sum mkdir mkfifo mknod mktemp mount mountpoint mv nice \
    nproc nsenter od pidof ping printf ps pwd readlink realpath renice rm rmdir route sed seq setpriv setsid sha256sum \
    sleep sort stat stty su sync sysctl tail tar taskset tee test timeout top touch tr true truncate tty umount uname \
    uniq unlink unshare uptime usleep watch wc which whoami xargs yes";

/// A bundle directory. It lives in its test's [`Runtime`](crate::Runtime) directory and goes with it.
pub struct Bundle {
    dir: PathBuf,
    /// The config.json to be; [`write`](Self::write) puts it on disk.
    pub config: Value,
}

impl Bundle {
    /// Makes the bundle `dir` with a busybox `rootfs` and the default config.
    pub fn new(dir: &Path, tag: &str) -> Self {
        let bundle = Self { dir: dir.to_owned(), config: config::default(tag) };
        fs::create_dir(dir).unwrap();
        populate(&bundle.rootfs());
        bundle
    }

    /// The bundle's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root file system's directory.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// A path below the root file system, seen from the host; `path` is absolute inside.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    /// Writes a file into the root file system, with the directories it needs.
    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program into the root file system, with the directories it needs.
    pub fn program(&self, path: &str, text: &str) -> PathBuf {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_program(&path, text);
        path
    }

    /// Makes a FIFO in the root file system, open on the host's side, so that a container never blocks on opening it.
    pub fn fifo(&self, path: &str) -> Fifo {
        Fifo::new(&self.inside(path))
    }

    /// Writes config.json.
    pub fn write(&self) {
        fs::write(self.dir.join("config.json"), serde_json::to_vec_pretty(&self.config).unwrap()).unwrap();
    }

    /// Sets the value at a JSON pointer (`/process/cwd`), making the objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut at = &mut self.config;
        for key in pointer.split('/').skip(1) {
            at = match at {
                Value::Array(list) => {
                    let index: usize = key.parse().unwrap();
                    &mut list[index]
                }
                other => {
                    if other.is_null() {
                        *other = json!({});
                    }
                    other.as_object_mut().unwrap().entry(key).or_insert(Value::Null)
                }
            };
        }
        *at = value;
        self
    }

    /// Removes the key at a JSON pointer.
    pub fn unset(&mut self, pointer: &str) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        self
    }

    /// Appends to the array at a JSON pointer, making it when it is absent.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        if self.config.pointer(pointer).is_none_or(Value::is_null) {
            self.set(pointer, json!([]));
        }
        self.config.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value);
        self
    }

    /// Sets the program to run.
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", json!(args))
    }

    /// Sets the program to run to a script for busybox sh.
    pub fn script(&mut self, script: &str) -> &mut Self {
        self.args(&["sh", "-c", script])
    }

    /// Adds a mount.
    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        self.push("/mounts", json!({"destination": destination, "type": kind, "source": source, "options": options}))
    }

    /// Adds a bind mount.
    pub fn bind(&mut self, source: &Path, destination: &str, options: &[&str]) -> &mut Self {
        let mut all = vec!["bind"];
        all.extend(options);
        self.mount(destination, "none", source.to_str().unwrap(), &all)
    }

    /// Drops the mount at `destination`.
    pub fn unmount(&mut self, destination: &str) -> &mut Self {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        let before = mounts.len();
        mounts.retain(|mount| mount["destination"] != destination);
        assert_ne!(mounts.len(), before, "no mount at {destination}");
        self
    }

    /// Makes the namespace of this kind a new one, one joined by `path`, or (`None` as `join`) drops it.
    pub fn namespace(&mut self, kind: &str, join: Join) -> &mut Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|ns| ns["type"] != kind);
        match join {
            Join::New => list.push(json!({"type": kind})),
            Join::Path(path) => list.push(json!({"type": kind, "path": path})),
            Join::None => {}
        }
        self
    }

    /// A user namespace in which root is `uid`/`gid` of the host, with `size` ids, and the root file system chowned so.
    pub fn userns(&mut self, id: u32, size: u32) -> &mut Self {
        self.namespace("user", Join::New);
        let map = json!([{"containerID": 0, "hostID": id, "size": size}]);
        self.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        chown_tree(&self.rootfs(), id);
        self
    }

    /// Gives the process these capabilities in four sets, none ambient.
    pub fn caps(&mut self, caps: &[&str]) -> &mut Self {
        self.set("/process/capabilities", json!({"bounding": caps, "effective": caps, "permitted": caps}))
    }

    /// Adds a hook which runs a shell script on the host.
    pub fn hook(&mut self, kind: &str, script: &str) -> &mut Self {
        self.push(&format!("/hooks/{kind}"), json!({"path": "/bin/sh", "args": ["sh", "-c", script]}))
    }

    /// Makes the root file system writable.
    pub fn writable(&mut self) -> &mut Self {
        self.set("/root/readonly", json!(false))
    }
}

/// What becomes of a namespace of the config.
pub enum Join {
    /// A new one.
    New,
    /// The one at this path.
    Path(String),
    /// The runtime's own.
    None,
}

fn populate(rootfs: &Path) {
    for dir in ["bin", "etc", "proc", "sys", "dev", "root"] {
        fs::create_dir_all(rootfs.join(dir)).unwrap();
    }
    copy_program(Path::new("/bin/busybox"), &rootfs.join("bin/busybox"));
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
        .unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n").unwrap();
}

/// Copies a program. Another process does it: a child that another thread makes just then would have a copy of the descriptor to write it, and as
/// long as it has, until its own exec, nobody could execute the program (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    Call::new("cp").args([from, to]).go().ok();
}

/// Writes a program, in the same way.
pub fn write_program(path: &Path, text: &str) {
    let write = "cat > \"$1\" && chmod 755 \"$1\"";
    Call::new("sh").args(["-c", write, "sh"]).arg(path).input(text).go().ok();
}

/// Gives a tree to a user and their group of the same number.
pub fn chown_tree(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            chown_tree(&entry.unwrap().path(), id);
        }
    }
}
