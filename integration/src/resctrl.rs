//! A resctrl of the tests' own: a file system in user space (FUSE) with the kernel's files and refusals, for machines whose processor
//! has none.
//!
//! What it cannot be is of type `resctrl` in the mount table, by which hull finds it, so a runtime is called with a mount table
//! that says so ([`Resctrl::wrapper`]): hull itself has no way to be told. Nor does it move tasks: a `tasks` file lists who was
//! written there and has not been reaped, without the children that the kernel would add.

mod fuse;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::view;

/// How many classes there can be beside the default one.
pub const CLASSES: usize = 3;
/// The widest bit mask of the two L3 caches.
const FULL: u64 = 0xf_ffff;

/// A mounted file system, until it is dropped.
pub struct Resctrl {
    path: PathBuf,
    table: PathBuf,
    server: Option<JoinHandle<()>>,
}

impl Resctrl {
    /// Mounts one in `dir`, which belongs to the test.
    pub fn new(dir: &Path) -> Self {
        let (path, table) = (dir.join("resctrl"), dir.join("mountinfo"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(&table, format!("40 30 0:40 / {} rw - resctrl resctrl rw\n", path.display())).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let data = std::ffi::CString::new(data).unwrap();
        rustix::mount::mount("resctrl", &path, "fuse", MountFlags::empty(), &*data).unwrap();
        let tree = Arc::new(Mutex::new(Tree::new()));
        let server = Some(std::thread::spawn(move || fuse::serve(device, &tree)));
        Self { path, table, server }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of a file in it.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The processes that were written to a `tasks` file and are still there.
    #[track_caller]
    pub fn tasks(&self, group: &str) -> Vec<i32> {
        self.read(Path::new(group).join("tasks").to_str().unwrap()).lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The classes beside the default one.
    pub fn classes(&self) -> Vec<String> {
        let own = ["info", "mon_groups", "mon_data"];
        let entries = std::fs::read_dir(&self.path).unwrap().flatten();
        let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let mut names: Vec<_> = dirs.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !own.contains(&name.as_str()));
        names.sort();
        names
    }

    /// The head of a command line (see [`view`]) for a program that finds this file system in its mount table.
    pub fn wrapper(&self) -> Vec<String> {
        // The shell executes the program in its own place, so that this is the program's table.
        view::in_mount_namespace(&format!("mount --bind {} /proc/$$/mountinfo", self.table.display()))
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        // By force: the server ends although a mount namespace somewhere still has a copy.
        let _ = rustix::mount::unmount(&self.path, UnmountFlags::FORCE);
        let _ = rustix::mount::unmount(&self.path, UnmountFlags::DETACH);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// All that is there. Paths are relative to the root, whose own is empty.
struct Tree {
    /// Directories, and files with their text; those of `schemata` and `tasks` are made when they are read.
    nodes: BTreeMap<PathBuf, Option<String>>,
    /// What each class may use, by resource and cache.
    shares: BTreeMap<PathBuf, BTreeMap<(String, u32), u64>>,
    /// Where a task is: its class, and the monitoring group in it.
    tasks: BTreeMap<i32, (PathBuf, Option<PathBuf>)>,
    /// Node numbers of the protocol; the place in the list is the number.
    numbers: Vec<PathBuf>,
}

type Answer<T> = Result<T, Errno>;

impl Tree {
    fn new() -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            shares: BTreeMap::new(),
            tasks: BTreeMap::new(),
            // Numbers begin at 1, which is the root.
            numbers: vec![PathBuf::from("?"), PathBuf::new()],
        };
        tree.class(Path::new(""));
        for (file, text) in [
            ("info/last_cmd_status", "ok\n"),
            ("info/L3/cbm_mask", "fffff\n"),
            ("info/L3/min_cbm_bits", "1\n"),
            ("info/L3/num_closids", "4\n"),
            ("info/MB/bandwidth_gran", "10\n"),
            ("info/MB/delay_linear", "1\n"),
            ("info/MB/min_bandwidth", "10\n"),
            ("info/MB/num_closids", "4\n"),
        ] {
            tree.file(Path::new(file), text);
        }
        tree
    }

    fn file(&mut self, path: &Path, text: &str) {
        for above in path.ancestors().skip(1) {
            self.nodes.entry(above.to_owned()).or_insert(None);
        }
        self.nodes.insert(path.to_owned(), Some(text.to_owned()));
    }

    fn class(&mut self, path: &Path) {
        self.group(path);
        self.file(&path.join("schemata"), "");
        self.nodes.insert(path.join("mon_groups"), None);
        let all = [("L3", FULL), ("MB", 100)];
        let shares = all.iter().flat_map(|(name, value)| [0, 1].map(|cache| ((String::from(*name), cache), *value)));
        self.shares.insert(path.to_owned(), shares.collect());
    }

    fn group(&mut self, path: &Path) {
        self.file(&path.join("tasks"), "");
        for (cache, bytes) in [("mon_L3_00", "4096\n"), ("mon_L3_01", "0\n")] {
            for counter in ["llc_occupancy", "mbm_total_bytes", "mbm_local_bytes"] {
                self.file(&path.join("mon_data").join(cache).join(counter), bytes);
            }
        }
    }

    /// Remembers why something is refused.
    fn refuse<T>(&mut self, errno: Errno, why: &str) -> Answer<T> {
        self.file(Path::new("info/last_cmd_status"), &format!("{why}\n"));
        Err(errno)
    }

    fn mkdir(&mut self, path: &Path) -> Answer<()> {
        if self.nodes.contains_key(path) {
            return Err(Errno::EXIST);
        }
        let parent = path.parent().unwrap_or(path);
        match parent.file_name().and_then(|name| name.to_str()) {
            None if self.shares.len() > CLASSES => self.refuse(Errno::NOSPC, "Out of CLOSIDs"),
            None => {
                self.class(path);
                Ok(())
            }
            Some("mon_groups") => {
                self.group(path);
                Ok(())
            }
            Some(_) => Err(Errno::PERM),
        }
    }

    fn rmdir(&mut self, path: &Path) -> Answer<()> {
        let parent = path.parent().unwrap_or(path);
        if !self.nodes.contains_key(path) {
            return Err(Errno::NOENT);
        }
        if !self.shares.contains_key(path) && !parent.ends_with("mon_groups") {
            return Err(Errno::PERM);
        }
        self.nodes.retain(|node, _| !node.starts_with(path));
        self.shares.remove(path);
        for (class, group) in self.tasks.values_mut() {
            if class == path {
                (*class, *group) = (PathBuf::new(), None);
            } else if group.as_deref() == Some(path) {
                *group = None;
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> Answer<String> {
        let text = self.nodes.get(path).ok_or(Errno::NOENT)?.as_ref().ok_or(Errno::ISDIR)?;
        let dir = path.parent().unwrap_or(path);
        match path.file_name().and_then(|name| name.to_str()) {
            Some("schemata") => Ok(self.schemata(dir)),
            Some("tasks") => Ok(self.members(dir)),
            _ => Ok(text.clone()),
        }
    }

    /// Padded as the kernel pads it.
    fn schemata(&self, class: &Path) -> String {
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((resource, cache), value) in self.shares.get(class).into_iter().flatten() {
            let text = if resource == "MB" { format!("{cache}={value:>4}") } else { format!("{cache}={value:05x}") };
            lines.entry(resource).or_default().push(text);
        }
        lines.into_iter().map(|(resource, values)| format!("    {resource}:{}\n", values.join(";"))).collect()
    }

    fn members(&self, dir: &Path) -> String {
        let is_there = |pid: i32| Path::new(&format!("/proc/{pid}")).exists();
        let within = |class: &PathBuf, group: &Option<PathBuf>| match self.shares.contains_key(dir) {
            true => class == dir,
            false => group.as_deref() == Some(dir),
        };
        let members = self.tasks.iter().filter(|(pid, (class, group))| within(class, group) && is_there(**pid));
        members.map(|(pid, _)| format!("{pid}\n")).collect()
    }

    fn write(&mut self, path: &Path, text: &str) -> Answer<()> {
        let dir = path.parent().unwrap_or(path).to_owned();
        self.nodes.get(path).ok_or(Errno::NOENT)?;
        self.file(Path::new("info/last_cmd_status"), "ok\n");
        match path.file_name().and_then(|name| name.to_str()) {
            Some("schemata") => self.change(&dir, text),
            Some("tasks") => self.put(&dir, text.trim().parse().map_err(|_| Errno::INVAL)?),
            _ => Err(Errno::ACCESS),
        }
    }

    fn put(&mut self, dir: &Path, pid: i32) -> Answer<()> {
        if self.shares.contains_key(dir) {
            self.tasks.insert(pid, (dir.to_owned(), None));
            return Ok(());
        }
        let class = dir.ancestors().nth(2).map(Path::to_owned);
        match self.tasks.get_mut(&pid).filter(|(of, _)| Some(of) == class.as_ref()) {
            Some((_, group)) => {
                *group = Some(dir.to_owned());
                Ok(())
            }
            None => self.refuse(Errno::INVAL, "Can't move task to different control group"),
        }
    }

    fn change(&mut self, class: &Path, text: &str) -> Answer<()> {
        if !text.ends_with('\n') {
            return self.refuse(Errno::INVAL, "no newline");
        }
        let mut new = self.shares.get(class).cloned().ok_or(Errno::NODEV)?;
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            let Some((resource, domains)) = line.split_once(':') else {
                return self.refuse(Errno::INVAL, &format!("Missing ':' in {line}"));
            };
            let base = if resource == "MB" { 10 } else { 16 };
            for domain in domains.split(';').filter(|domain| !domain.is_empty()) {
                let parsed = domain
                    .split_once('=')
                    .and_then(|(id, value)| Some((id.parse().ok()?, u64::from_str_radix(value, base).ok()?)));
                let Some((id, value)) = parsed else {
                    return self.refuse(Errno::INVAL, &format!("Missing '=' or a number in {domain}"));
                };
                let key = (resource.trim().to_owned(), id);
                if !seen.insert(key.clone()) {
                    return self.refuse(Errno::INVAL, &format!("Duplicate domain {id}"));
                }
                if !new.contains_key(&key) {
                    return self.refuse(Errno::INVAL, &format!("Unknown or unsupported resource name '{resource}'"));
                }
                if value == 0 || value > FULL {
                    return self.refuse(Errno::INVAL, &format!("Mask out of range: {domain}"));
                }
                new.insert(key, value);
            }
        }
        self.shares.insert(class.to_owned(), new);
        Ok(())
    }

    fn number(&mut self, path: &Path) -> u64 {
        let known = self.numbers.iter().position(|one| one == path);
        let number = known.unwrap_or_else(|| {
            self.numbers.push(path.to_owned());
            self.numbers.len() - 1
        });
        u64::try_from(number).unwrap()
    }

    fn entries(&self, dir: &Path) -> Vec<PathBuf> {
        self.nodes.keys().filter(|path| path.parent() == Some(dir)).cloned().collect()
    }
}
