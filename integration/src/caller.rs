//! What a library must leave as it is in the process that calls it: threads' attributes, descriptors, children, environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What the kernel tells of one thread and a library could have changed, by name.
pub type Attributes = BTreeMap<String, String>;

/// The lines of /proc/TID/status which belong to what a thread is, not to what it does.
const LASTING: [&str; 20] = [
    "Umask",
    "Tgid",
    "NStgid",
    "PPid",
    "TracerPid",
    "Uid",
    "Gid",
    "Groups",
    "Kthread",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// The files of /proc/TID which do.
const FILES: [&str; 8] =
    ["comm", "limits", "cgroup", "personality", "loginuid", "oom_score_adj", "timerslack_ns", "coredump_filter"];

/// The attributes of a thread of this process; nothing where it has ended.
pub fn attributes(tid: i32) -> Option<Attributes> {
    let dir = PathBuf::from(format!("/proc/self/task/{tid}"));
    let mut found = Attributes::new();
    let status = fs::read_to_string(dir.join("status")).ok()?;
    for line in status.lines() {
        let (key, value) = line.split_once(':')?;
        if LASTING.contains(&key) {
            found.insert(key.to_owned(), value.trim().to_owned());
        }
    }
    for file in FILES {
        if let Ok(text) = fs::read_to_string(dir.join(file)) {
            found.insert(file.to_owned(), text);
        }
    }
    for link in ["cwd", "root", "exe"] {
        found.insert(link.to_owned(), fs::read_link(dir.join(link)).ok()?.display().to_string());
    }
    for namespace in fs::read_dir(dir.join("ns")).ok()?.flatten() {
        let name = namespace.file_name().to_string_lossy().into_owned();
        found.insert(format!("namespace {name}"), fs::read_link(namespace.path()).ok()?.display().to_string());
    }
    // It may have ended on the way, and what was read then is nothing.
    dir.join("status").exists().then_some(found)
}

/// The numbers of this process's threads.
pub fn threads() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The threads of this process at one time, with their attributes. Each later look must find the same.
pub struct Watch {
    /// By number and start: a number comes back.
    first: BTreeMap<(i32, String), Attributes>,
    /// How many looks there were.
    pub looks: usize,
}

impl Watch {
    /// Begins to watch. No thread may be just starting: its creator's libc blocks signals in it for a moment.
    pub fn begin() -> Watch {
        let all = threads().into_iter().filter_map(|tid| Some(((tid, started(tid)?), attributes(tid)?)));
        Watch { first: all.collect(), looks: 0 }
    }

    /// Looks at all threads; what changed, one line each. A new thread is a change.
    pub fn look(&mut self) -> Vec<String> {
        self.looks += 1;
        let mut changed = Vec::new();
        for tid in threads() {
            let Some((start, now)) = started(tid).zip(attributes(tid)) else { continue };
            let name = format!("thread {tid} ({})", now["comm"].trim());
            match self.first.get(&(tid, start)) {
                Some(first) => changed.extend(difference(first, &now).map(|line| format!("{name}: {line}"))),
                None => changed.push(format!("{name} is new")),
            }
        }
        changed
    }
}

/// Field 22 of /proc/TID/stat.
fn started(tid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

fn difference<'a>(first: &'a Attributes, now: &'a Attributes) -> impl Iterator<Item = String> + 'a {
    let keys = first.keys().chain(now.keys().filter(|key| !first.contains_key(*key)));
    keys.filter(|key| first.get(*key) != now.get(*key))
        .map(|key| format!("{key} was {:?}, is {:?}", first.get(key), now.get(key)))
}

/// The descriptors of this process with what they stand for, but the one that reads them.
pub fn descriptors() -> BTreeMap<i32, PathBuf> {
    let listed: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path()).collect();
    let target = |path: PathBuf| Some((path.file_name()?.to_str()?.parse().ok()?, fs::read_link(&path).ok()?));
    listed.into_iter().filter_map(target).collect()
}

/// The children of this process, whichever thread made them, each with its command and state.
pub fn children() -> Vec<(i32, String)> {
    let of = |tid: i32| fs::read_to_string(format!("/proc/self/task/{tid}/children")).unwrap_or_default();
    let lists: Vec<String> = threads().into_iter().map(of).collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok());
    let stat = |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    pids.map(|pid| (pid, stat(pid).split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "))).collect()
}

/// What of this process belongs to all its threads and is not in [`Attributes`].
#[derive(Debug, PartialEq)]
pub struct Whole {
    environment: Vec<(OsString, OsString)>,
    /// As the kernel sees it: the strings on the first stack.
    initial_environment: Vec<u8>,
    cwd: PathBuf,
}

/// Looks at the process as a whole.
pub fn whole() -> Whole {
    let mut environment: Vec<_> = std::env::vars_os().collect();
    environment.sort();
    Whole {
        environment,
        initial_environment: fs::read("/proc/self/environ").unwrap(),
        cwd: std::env::current_dir().unwrap(),
    }
}

/// Everything below a directory, sorted.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(tree(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}
