//! The cgroup of a test's container as this machine has it: in the hierarchies of version 1, or on version 2 alone.

use crate::{Bundle, Runtime, Value, view};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether the machine has version 2 alone.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Whether it has hierarchies of version 1; says so where not.
pub fn is_v1_here() -> bool {
    if is_v2() {
        println!("skipped: this machine has no hierarchies of cgroup v1");
    }
    !is_v2()
}

/// Whether it has version 2 alone; says so where not.
pub fn is_v2_here() -> bool {
    if !is_v2() {
        println!("skipped: cgroup v2 alone is needed; integration/machine has a machine with it");
    }
    is_v2()
}

/// What is true of version 1, or what is of version 2.
pub fn either<T>(v1: T, v2: T) -> T {
    if is_v2() { v2 } else { v1 }
}

/// Whether `controller` is in a hierarchy of version 1. A kernel may have it for version 2 alone, though the machine has version 1 too.
pub fn is_v1_of(controller: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(controller).join("cgroup.procs").exists()
}

/// Whether all of these controllers are in hierarchies of version 1; says so where not.
pub fn are_v1_here(controllers: &[&str]) -> bool {
    let missing = controllers.iter().find(|name| !is_v1_of(name));
    if let Some(name) = missing {
        println!("skipped: this machine has no hierarchy of version 1 for {name}");
    }
    missing.is_none()
}

/// Whether `controller`, by version 1's name, is anywhere; says so where not.
pub fn is_here(controller: &str) -> bool {
    let names = fs::read_to_string(view::v2_root().join("cgroup.controllers")).unwrap_or_default();
    let name = if controller == "blkio" { "io" } else { controller };
    let here = is_v1_of(controller) || names.split_whitespace().any(|have| have == name);
    if !here {
        println!("skipped: this machine has no controller {controller} of either version");
    }
    here
}

/// What is true of `controller` on version 1, or what is on version 2.
pub fn of<T>(controller: &str, v1: T, v2: T) -> T {
    if is_v1_of(controller) { v1 } else { v2 }
}

fn controller(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

/// Where the host has a file of the test's first container: the controller is what the file's name begins with.
pub fn path(rt: &Runtime, file: &str) -> PathBuf {
    let top = Path::new("/sys/fs/cgroup").join(controller(file));
    of(controller(file), top.as_path(), view::v2_root()).join(rt.tag()).join(file)
}

/// Such a file.
#[track_caller]
pub fn read(rt: &Runtime, file: &str) -> String {
    let path = path(rt, file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Where that container sees the file, which has no cgroup namespace: version 1 shows it its own directories all the same.
pub fn inside(rt: &Runtime, file: &str) -> PathBuf {
    if is_v2() { path(rt, file) } else { Path::new("/sys/fs/cgroup").join(controller(file)).join(file) }
}

/// Where a container with a cgroup namespace sees a file of its cgroup, after [`show_v2`]; `path` is the cgroup's on the host.
pub fn inside_namespace(path: &str, file: &str) -> PathBuf {
    let top = Path::new("/sys/fs/cgroup").join(controller(file));
    let v2 = either(Path::new("/v2").join(path), "/sys/fs/cgroup".into());
    of(controller(file), top, v2).join(file)
}

/// Shows a container the whole of the version 2 that is beside version 1 and not among its mounts.
pub fn show_v2(bundle: &mut Bundle) {
    if !is_v2() {
        bundle.bind(view::v2_root(), "/v2", &["ro"]);
    }
}

/// A quota and its period as `cpu.max` of version 2 has them.
#[track_caller]
pub fn bandwidth(rt: &Runtime) -> String {
    if !is_v1_of("cpu") {
        return read(rt, "cpu.max");
    }
    let quota = read(rt, "cpu.cfs_quota_us").replace("-1", "max");
    format!("{quota} {}", read(rt, "cpu.cfs_period_us"))
}

/// The numbers of a block device of this machine; says so where it has none.
pub fn some_disk() -> Option<(u32, u32)> {
    let table = fs::read_to_string("/proc/partitions").unwrap();
    let disk = table.lines().find(|line| [" vda", " sda", " loop0"].iter().any(|name| line.ends_with(name)));
    if disk.is_none() {
        println!("skipped: this machine has no block device");
    }
    let mut numbers = disk?.split_whitespace().map(|word| word.parse().unwrap());
    Some((numbers.next()?, numbers.next()?))
}

/// The resources of a bundle, key by key: the device rules of the default stay.
pub fn limit(bundle: &mut Bundle, resources: &Value) {
    for (key, value) in resources.as_object().unwrap() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
}
