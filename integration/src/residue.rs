//! What a test left behind: every process, mount, cgroup and file that carries the test's tag.
//!
//! A tag is unique, is in the environment of each call and container, and in the names of directories, ids and cgroups.

use std::fs;
use std::path::{Path, PathBuf};

use crate::proc;

/// The environment variable that carries a test's tag.
pub const TAG: &str = "HULL_TEST_TAG";

/// The processes of a tag: by environment, cgroup, root, working directory or an open file.
pub fn processes(tag: &str) -> Vec<i32> {
    proc::all().into_iter().filter(|&pid| proc::alive(pid) && belongs(pid, tag)).collect()
}

fn belongs(pid: i32, tag: &str) -> bool {
    let dir = format!("/proc/{pid}");
    // Another test's call that has not executed its program yet: it still holds whatever this process holds.
    let program = |of: &str| fs::read_link(format!("{of}/exe")).ok();
    if program(&dir).is_some_and(|theirs| program("/proc/self").is_some_and(|ours| ours == theirs)) {
        return false;
    }
    let mark = format!("{TAG}={tag}");
    let environ = fs::read(format!("{dir}/environ")).unwrap_or_default();
    if environ.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()) {
        return true;
    }
    if fs::read_to_string(format!("{dir}/cgroup")).is_ok_and(|text| text.contains(tag)) {
        return true;
    }
    let link_has = |path: &Path| fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains(tag));
    let holds = || fs::read_dir(format!("{dir}/fd")).is_ok_and(|fds| fds.flatten().any(|fd| link_has(&fd.path())));
    // For an instant of its exec such a call has its own program already, and this process's descriptors still.
    let still = || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        holds()
    };
    ["root", "cwd"].iter().any(|link| link_has(&Path::new(&dir).join(link))) || holds() && still()
}

/// The lines of the mount table with a tag.
pub fn mounts(tag: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|line| line.contains(tag)).map(str::to_owned).collect()
}

/// The cgroups of a tag, in every hierarchy, children before parents.
pub fn cgroups(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), tag, &mut found);
    found
}

fn walk(dir: &Path, tag: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        walk(&entry.path(), tag, found);
        if entry.path().to_string_lossy().contains(tag) {
            found.push(entry.path());
        }
    }
}

/// Everything left of a test, one description each; `root` is the runtime's state directory.
pub fn left(tag: &str, root: &Path, bundles: &[PathBuf]) -> Vec<String> {
    let mut left = Vec::new();
    // A process killed a moment ago is not yet gone: wait for it by its pidfd, then look again. One that another test has just begun
    // soon turns out to be none of these.
    for pid in processes(tag) {
        let belongs = |_: &u64| proc::alive(pid) && belongs(pid, tag);
        (0..crate::PATIENCE).take_while(belongs).find(|_| proc::ended_within(pid, 1));
    }
    for pid in processes(tag) {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        left.push(format!("process {pid}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
    }
    left.extend(mounts(tag).into_iter().map(|line| format!("mount: {line}")));
    left.extend(cgroups(tag).into_iter().map(|path| format!("cgroup: {}", path.display())));
    // `@` begins what is kept for all containers of a root, such as the cache of seccomp programs: no id can begin so.
    let of_containers = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@'));
    left.extend(entries(root, &[]).into_iter().filter(of_containers).map(|path| format!("state: {}", path.display())));
    for bundle in bundles {
        left.extend(
            entries(bundle, &["config.json", "rootfs"]).into_iter().map(|path| format!("file: {}", path.display())),
        );
    }
    for place in ["/tmp", "/run", "/var/tmp", "/dev/shm", "/dev/mqueue"] {
        let strays = entries(Path::new(place), &[]).into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(tag) && !root.starts_with(path)
        });
        left.extend(strays.map(|path| format!("file: {}", path.display())));
    }
    left
}

fn entries(dir: &Path, but: &[&str]) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    names.filter(|entry| !but.iter().any(|name| entry.file_name() == *name)).map(|entry| entry.path()).collect()
}

/// Removes what a failed test left, so that it does not disturb the next.
pub fn sweep(tag: &str) {
    for pid in processes(tag) {
        proc::kill(pid);
        proc::ended(pid);
    }
    for path in cgroups(tag) {
        let _ = fs::write(path.join("freezer.state"), "THAWED");
        let _ = fs::remove_dir(path);
    }
    for line in mounts(tag) {
        if let Some(target) = line.split(' ').nth(4) {
            let _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
        }
    }
}
