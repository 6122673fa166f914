//! What the controllers of version 2 do for a container, on a machine that has them (that of integration/machine).

use integration::bundle::Join;
use integration::cgroup::{is_v2_here, limit, read};
use integration::{Bundle, Runtime, json, proc};
use std::fs;
use std::path::{Path, PathBuf};

fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    bundle
}

/// Shows the container its cgroup to write in.
fn writable_cgroup(bundle: &mut Bundle) {
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid", "noexec", "nodev"]);
}

/// Cgroups of a test beside the container's, removed with the value.
struct Tree(PathBuf);

impl Tree {
    /// Makes `/TAG-tree` and a cgroup in it.
    fn new(rt: &Runtime, below: &str) -> Self {
        let top = PathBuf::from(format!("/sys/fs/cgroup/{}-tree", rt.tag()));
        fs::create_dir_all(top.join(below)).unwrap();
        Self(top)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// The `cgroupsPath` of a cgroup in it.
    fn path(&self, name: &str) -> String {
        format!("/{}/{name}", self.0.file_name().unwrap().to_str().unwrap())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fn remove(dir: &Path) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
                remove(&entry.path());
            }
            let _ = fs::remove_dir(dir);
        }
        remove(&self.0);
    }
}

#[test]
fn a_threaded_cgroup_is_explained() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let tree = Tree::new(&rt, "thread");
    tree.write("thread/cgroup.type", "threaded");
    let mut bundle = bundle(&rt);
    bundle.set("/linux/cgroupsPath", json!(tree.path("container"))).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.cgroupsPath").says("threaded").one_line();
    limit(&mut bundle, &json!({"memory": {"limit": 64 << 20}}));
    rt.run(&bundle).exits(1).says("linux.resources.memory").says("threaded").one_line();
    assert!(!tree.0.join("container").exists(), "nothing is left of it");
}

#[test]
fn a_cgroup_that_passes_controllers_on_is_explained() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let tree = Tree::new(&rt, "inner/leaf");
    tree.write("cgroup.subtree_control", "+pids");
    tree.write("inner/cgroup.subtree_control", "+pids");
    let mut bundle = bundle(&rt);
    bundle.set("/linux/cgroupsPath", json!(tree.path("inner"))).args(&["true"]);
    // pids is a controller of threads, which may be passed on beside processes; memory is not.
    rt.run(&bundle).ok();
    let tree = Tree::new(&rt, "inner/leaf");
    tree.write("cgroup.subtree_control", "+memory");
    tree.write("inner/cgroup.subtree_control", "+memory");
    rt.run(&bundle).exits(1).says("linux.cgroupsPath").says("controllers").one_line();
}

#[test]
fn a_parent_with_processes_is_explained() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut outer = bundle(&rt);
    let _outer = rt.sleeper(&mut outer);
    let mut inner = rt.bundle_named("inner");
    inner.set("/linux/cgroupsPath", json!(format!("/{}/inner", rt.tag()))).args(&["true"]);
    limit(&mut inner, &json!({"memory": {"limit": 64 << 20}}));
    inner.write();
    let output = rt.call(["run", "--bundle"]).arg(inner.dir()).arg(rt.id("inner")).go().exits(1);
    output.says("linux.resources.memory").says("with processes of its own").one_line();
    // For a limit that counts threads the kernel would make the parent the root of a threaded tree.
    inner.unset("/linux/resources/memory").set("/linux/resources/pids", json!({"limit": 5})).write();
    let output = rt.call(["run", "--bundle"]).arg(inner.dir()).arg(rt.id("inner")).go().exits(1);
    output.says("linux.resources.pids.limit").says("with processes of its own").one_line();
    assert_eq!(
        [read(&rt, "cgroup.type"), read(&rt, "cgroup.subtree_control")],
        ["domain", ""],
        "the parent is as it was"
    );
    inner.unset("/linux/resources/pids").write();
    rt.call(["run", "--bundle"]).arg(inner.dir()).arg(rt.id("inner")).go().ok();
}

#[test]
fn controllers_are_enabled_on_the_way_down() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    // Cgroups above that hull makes, and one that somebody else has made.
    for (made, container) in [("", "a/b/container"), ("a", "a/container")] {
        let tree = Tree::new(&rt, made);
        bundle.set("/linux/cgroupsPath", json!(tree.path(container)));
        let seen = rt.sh(&mut bundle, "cat /sys/fs/cgroup/cgroup.controllers").ok();
        assert_eq!(
            seen,
            fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap(),
            "all of them, limits or not"
        );
    }
}

#[test]
fn a_tree_that_is_deep_or_wide_enough_is_explained() {
    if !is_v2_here() {
        return;
    }
    for (file, path) in [("cgroup.max.depth", "a/container"), ("cgroup.max.descendants", "a/container")] {
        let rt = Runtime::new();
        let tree = Tree::new(&rt, "");
        tree.write(file, "1");
        let mut bundle = bundle(&rt);
        bundle.set("/linux/cgroupsPath", json!(tree.path(path))).args(&["true"]);
        rt.run(&bundle).exits(1).says("linux.cgroupsPath").says(file).one_line();
        assert!(!tree.0.join("a").exists(), "nothing is left of it");
    }
    // The same for the container itself, which makes cgroups of its own.
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    writable_cgroup(&mut bundle);
    limit(&mut bundle, &json!({"unified": {"cgroup.max.descendants": "2"}}));
    let seen = rt.sh(&mut bundle, "cd /sys/fs/cgroup; for i in 1 2 3; do mkdir $i 2>/dev/null && echo $i; done; true");
    assert_eq!(seen.ok(), "1\n2\n");
}

#[test]
fn processors_are_those_of_the_cpuset() {
    if !is_v2_here() {
        return;
    }
    let last = std::thread::available_parallelism().unwrap().get() - 1;
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    limit(&mut bundle, &json!({"cpu": {"cpus": last.to_string(), "mems": "0"}}));
    let script = "grep -h 'Cpus_allowed_list\\|Mems_allowed_list' /proc/self/status | cut -f2; cat /sys/fs/cgroup/cpuset.cpus.partition";
    assert_eq!(rt.sh(&mut bundle, script).ok(), format!("{last}\n0\nmember\n"));
    if last == 0 {
        println!("skipped: a partition of the processors needs two of them");
        return;
    }
    limit(&mut bundle, &json!({"unified": {"cpuset.cpus.partition": "isolated"}}));
    assert_eq!(rt.sh(&mut bundle, script).ok(), format!("{last}\n0\nisolated\n"));
    // The kernel takes every partition, and says in the file alone that it is none.
    bundle.unset("/linux/resources/cpu");
    rt.run(&bundle).exits(1).says("linux.resources.unified").says("isolated invalid (").one_line();
}

#[test]
fn cgroups_that_the_container_makes_count_as_its_own() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    writable_cgroup(&mut bundle);
    let up = bundle.fifo("/up");
    // One of processes, with controllers; in it a threaded one, and a frozen one.
    bundle.script(
        "cd /sys/fs/cgroup; mkdir -p own/threads own/frozen; echo $$ >own/cgroup.procs; echo '+memory +pids' >cgroup.subtree_control
         echo threaded >own/threads/cgroup.type
         sh -c 'echo 0 >own/threads/cgroup.procs; exec sleep 1000' &
         mkdir cold; sh -c 'echo 0 >cold/cgroup.procs; echo up >/up; exec sleep 1000' &
         wait",
    );
    let container = rt.detach(&bundle);
    assert_eq!(up.line(), "up");
    container.sh("echo 1 >/sys/fs/cgroup/cold/cgroup.freeze").ok();
    let mut pids: Vec<i32> = serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap();
    let data = container.verb(&["events", "--stats"]).json()["data"].clone();
    assert_eq!(data["pids"]["current"], 3, "{data}");
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{data}");
    let listed = pids.len();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!((listed, pids.len()), (3, 3), "each once: {pids:?}");
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/own", "exec goes where the first process is");
    container.verb(&["kill", "--all"]).ok();
    assert!(pids.iter().all(|&pid| proc::ended(pid)), "the frozen one too");
    container.verb(&["delete"]).ok();
    assert!(!PathBuf::from(format!("/sys/fs/cgroup/{}", rt.tag())).exists());
}

#[test]
fn files_by_name_bring_their_controller() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    limit(
        &mut bundle,
        &json!({"unified": {"memory.high": "50331648", "memory.oom.group": "1", "cpu.weight.nice": "-5"}}),
    );
    let seen = rt.sh(&mut bundle, "cd /sys/fs/cgroup; cat memory.high memory.oom.group cpu.weight.nice").ok();
    assert_eq!(seen, "50331648\n1\n-5\n");
    // A resource that no machine has.
    limit(&mut bundle, &json!({"unified": {"misc.max": "nosuch 1"}}));
    rt.run(&bundle).exits(1).says("linux.resources.unified").says("misc.max").one_line();
    limit(&mut bundle, &json!({"unified": {"rdma.max": "nosuch hca_handle=2"}}));
    rt.run(&bundle).exits(1).says("linux.resources.unified").says("rdma.max").one_line();
}

#[test]
fn memory_and_swap_are_one_limit_in_the_config_and_two_in_the_kernel() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    limit(&mut bundle, &json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}}));
    let container = rt.sleeper(&mut bundle);
    let both = || (read(&rt, "memory.max"), read(&rt, "memory.swap.max"));
    let mebibytes = |memory: u64, swap: u64| ((memory << 20).to_string(), (swap << 20).to_string());
    assert_eq!(both(), mebibytes(64, 0));
    container.verb(&["update", "--memory-swap", "100663296"]).ok();
    assert_eq!(both(), mebibytes(64, 32));
    container.verb(&["update", "--memory", "33554432"]).ok();
    assert_eq!(both(), mebibytes(32, 64), "the sum stays");
    container.verb(&["update", "--memory", "134217728", "--memory-swap", "134217728"]).ok();
    assert_eq!(both(), mebibytes(128, 0));
    container.verb(&["update", "--memory-swap", "67108864"]).exits(1).says("linux.resources.memory.swap").one_line();
    container.verb(&["update", "--memory-swap", "-1"]).ok();
    assert_eq!(read(&rt, "memory.swap.max"), "max");
}

#[test]
fn pressure_is_in_the_stats() {
    if !is_v2_here() {
        return;
    }
    if fs::read("/proc/pressure/cpu").is_err() {
        println!("skipped: this kernel tells no pressure");
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    limit(&mut bundle, &json!({"memory": {"limit": 64 << 20}, "cpu": {"quota": 5000, "period": 100_000}}));
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"]);
    let container = rt.sleeper(&mut bundle);
    container.sh("while grep -q '^nr_throttled 0$' /sys/fs/cgroup/cpu.stat; do :; done").ok();
    let data = container.verb(&["events", "--stats"]).json()["data"].clone();
    for (kind, scope) in [("cpu", "some"), ("memory", "full"), ("blkio", "some")] {
        let pressure = &data[kind]["psi"][scope];
        assert!(pressure["avg10"].is_number() && pressure["total"].is_u64(), "{kind}: {data}");
    }
    assert!(data["cpu"]["psi"]["some"]["total"].as_u64().unwrap() > 0, "it was held back: {data}");
    assert!(data["cpu"]["throttling"]["throttledPeriods"].as_u64().unwrap() > 0, "{data}");
    container.verb(&["delete", "--force"]).ok();
    // Without it, which is no error.
    limit(&mut bundle, &json!({"unified": {"cgroup.pressure": "0"}}));
    let container = rt.sleeper(&mut bundle);
    let data = container.verb(&["events", "--stats"]).json()["data"].clone();
    assert!(data["cpu"]["usage"]["total"].is_u64() && data["cpu"]["psi"].is_null(), "{data}");
}
