//! What the controllers of version 2 do for a container, on a machine that has them (that of integration/machine).

use integration::bundle::Join;
use integration::cgroup::{is_v2_here, limit, read};
use integration::{Bundle, Runtime, binary, json};
use std::fs;
use std::path::{Path, PathBuf};

fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    bundle
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
}

#[test]
fn controllers_are_enabled_on_the_way_down() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let tree = Tree::new(&rt, "");
    let mut bundle = bundle(&rt);
    bundle.set("/linux/cgroupsPath", json!(tree.path("a/b/container")));
    let seen = rt.sh(&mut bundle, "cat /sys/fs/cgroup/cgroup.controllers").ok();
    assert_eq!(seen, fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap(), "all of them, limits or not");
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
    container.sh("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done").ok();
    let data = container.verb(&["events", "--stats"]).json()["data"].clone();
    for (kind, scope) in [("cpu", "some"), ("memory", "full"), ("blkio", "some")] {
        let pressure = &data[kind]["psi"][scope];
        assert!(pressure["avg10"].is_number() && pressure["total"].is_u64(), "{kind}: {data}");
    }
    assert!(data["cpu"]["psi"]["some"]["total"].as_u64().unwrap() > 0, "it was held back: {data}");
    assert!(data["cpu"]["throttling"]["throttledPeriods"].as_u64().unwrap() > 0, "{data}");
    assert!(data["hugetlb"].is_object() || data["hugetlb"].is_null(), "{data}");
}

#[test]
fn a_container_makes_containers_in_its_own_cgroup_namespace() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut outer = bundle(&rt);
    outer.caps(&integration::config::MANY_CAPS).writable();
    for cap in ["CAP_SYS_RESOURCE", "CAP_NET_ADMIN", "CAP_BPF"] {
        for set in ["bounding", "effective", "permitted"] {
            outer.push(&format!("/process/capabilities/{set}"), json!(cap));
        }
    }
    outer.unset("/linux/maskedPaths").unset("/linux/readonlyPaths");
    outer.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    outer.mount("/run", "tmpfs", "tmpfs", &[]);
    limit(&mut outer, &json!({"memory": {"limit": 256 << 20}, "pids": {"limit": 100}}));
    // The inner bundle, and the runtime that makes a container of it.
    let mut inner = rt.bundle_named("inner");
    inner.namespace("cgroup", Join::New).set("/linux/cgroupsPath", json!("/below/inner"));
    limit(&mut inner, &json!({"memory": {"limit": 64 << 20}}));
    inner.script("cat /proc/self/cgroup /sys/fs/cgroup/memory.max").write();
    outer.bind(inner.dir(), "/inner", &["rbind", "rw"]);
    outer.bind(binary::path(), "/hull", &["ro"]);
    let seen = rt.sh(
        &mut outer,
        "cd /sys/fs/cgroup && mkdir runtime && echo $$ > runtime/cgroup.procs && /hull run --bundle /inner inner; echo $?; \
         cat /proc/self/cgroup; ls -d /sys/fs/cgroup/below/inner 2>/dev/null; true",
    );
    assert_eq!(seen.ok(), "0::/\n67108864\n0\n0::/runtime\n");
}

/// A root file system with the host's programs and nothing of its set-up.
fn root_with_systemd(bundle: &mut Bundle) {
    let rootfs = bundle.rootfs();
    fs::remove_dir_all(rootfs.join("bin")).unwrap();
    for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        std::os::unix::fs::symlink(target, rootfs.join(link)).unwrap();
    }
    bundle.bind(Path::new("/usr"), "/usr", &["rbind", "ro"]);
    for place in ["/run", "/tmp", "/var"] {
        bundle.mount(place, "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=755"]);
    }
    bundle.file("/etc/machine-id", "68756c6c68756c6c68756c6c68756c6c\n");
}

#[test]
fn systemd_runs_in_a_container_and_sets_limits_below_its_own() {
    if !is_v2_here() || !integration::systemd::is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    root_with_systemd(&mut bundle);
    bundle.caps(&integration::config::MANY_CAPS).writable().set("/process/noNewPrivileges", json!(false));
    bundle.unset("/linux/maskedPaths").unset("/linux/readonlyPaths");
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid", "noexec", "nodev"]);
    bundle.push("/process/env", json!("container=hull"));
    limit(&mut bundle, &json!({"memory": {"limit": 256 << 20}, "pids": {"limit": 200}}));
    let said = bundle.fifo("/said");
    bundle.file(
        "/etc/systemd/system/look.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\nMemoryMax=32M\n\
         ExecStart=/bin/sh -c 'cat /proc/self/cgroup /sys/fs/cgroup/system.slice/look.service/memory.max >/said'\n",
    );
    bundle.args(&["/lib/systemd/systemd", "--unit=look.service"]);
    let container = rt.detach(&bundle);
    assert_eq!((said.line().as_str(), said.line().as_str()), ("0::/system.slice/look.service", "33554432"));
    let pid = container.pid();
    container.kill("KILL");
    assert!(integration::proc::ended(pid, 20));
    container.verb(&["delete"]).ok();
    assert!(!PathBuf::from(format!("/sys/fs/cgroup/{}", rt.tag())).exists(), "what systemd made in it is gone too");
}
