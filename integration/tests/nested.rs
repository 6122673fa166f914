//! Containers that manage cgroups of their own: hull in a container of hull's, and systemd.

use integration::bundle::Join;
use integration::cgroup::{is_v2_here, limit};
use integration::{Bundle, Runtime, binary, json};
use std::fs;
use std::path::{Path, PathBuf};

fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    bundle
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
    assert!(integration::proc::ended(pid));
    container.verb(&["delete"]).ok();
    assert!(!PathBuf::from(format!("/sys/fs/cgroup/{}", rt.tag())).exists(), "what systemd made in it is gone too");
}
