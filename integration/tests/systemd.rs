//! The systemd driver with a real systemd (in the machine of integration/machine), and what is said where there is none.

use integration::systemd::{
    Instance, bundle, cgroup_of, is_here, is_here_with_v2, login_bundle, login_runtime, read, sleeper, unit,
};
use integration::{Runtime, json, proc};
use std::path::Path;

const SYSTEM: Instance = Instance::System;

#[test]
fn without_systemd_the_socket_is_named() {
    let rt = Runtime::new();
    let bundle = bundle(&rt);
    bundle.write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let said = call.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus").go().exits(1).one_line();
    assert!(said.stderr.contains("/nowhere/bus"), "{said}");
    assert!(said.stderr.contains("linux.cgroupsPath"), "{said}");
}

#[test]
fn a_path_is_slice_prefix_name() {
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    for path in ["/absolute", "a:b", "a.slice/b.slice:c:d", "a.slice:b:c d", "a.slice:b:c@d"] {
        bundle.set("/linux/cgroupsPath", json!(path)).write();
        let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        let said = call.go().exits(1).one_line();
        assert!(said.stderr.contains("linux.cgroupsPath"), "{said}");
    }
}

#[test]
fn the_container_is_in_its_scope_and_the_scope_goes_with_it() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let container = sleeper(&rt, &mut bundle);
    let unit = unit(&rt);
    let wanted = [
        ("ActiveState", "active"),
        ("Slice", "hulltest.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("CollectMode", "inactive-or-failed"),
        ("CPUAccounting", "yes"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
    ];
    for (property, value) in wanted {
        assert_eq!(SYSTEM.show(&unit, property), value, "{property}");
    }
    let group = SYSTEM.show(&unit, "ControlGroup");
    assert_eq!(group, format!("/hulltest.slice/{unit}"));
    let memberships = proc::read(container.pid(), "cgroup");
    assert!(memberships.lines().all(|line| line.ends_with(&group)), "in every hierarchy: {memberships}");
    let inside = container.sh("cat /proc/self/cgroup").ok();
    assert!(inside.lines().all(|line| line.ends_with(":/")), "the scope is the root of the container's view: {inside}");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!SYSTEM.knows(&unit));
    assert!(!Path::new("/sys/fs/cgroup").join(group.trim_start_matches('/')).exists());
}

#[test]
fn run_in_the_foreground() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.script("cat /proc/self/cgroup; exit 3").write();
    for _ in 0..3 {
        let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        let output = call.go().exits(3);
        assert!(output.stdout.lines().all(|line| line.ends_with(":/")), "{output}");
        assert!(!SYSTEM.knows(&unit(&rt)), "the name is free at once");
    }
}

#[test]
fn a_container_waits_in_its_scope_for_its_start() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.args(&["sleep", "1000"]);
    let container = rt.make(&bundle, "", &["--systemd-cgroup", "create"]);
    assert!(proc::read(container.pid(), "cgroup").contains(&unit(&rt)));
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.status(), "running");
}

#[test]
fn dashes_are_levels_and_the_default_is_the_system_slice() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    for (path, slices) in [
        (format!("hulltest-a-b.slice:hull:{}", rt.tag()), "hulltest.slice/hulltest-a.slice/hulltest-a-b.slice"),
        (format!(":hull:{}", rt.tag()), "system.slice"),
        (String::new(), "system.slice"),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path));
        let container = sleeper(&rt, &mut bundle);
        assert_eq!(SYSTEM.show(&unit(&rt), "ControlGroup"), format!("/{slices}/{}", unit(&rt)), "{path:?}");
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn limits_are_known_to_systemd_and_in_force() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}));
    bundle.set("/linux/resources/pids", json!({"limit": 50}));
    let cpu = json!({"shares": 2048, "quota": 12345, "period": 100000, "cpus": "0", "mems": "0", "burst": 100});
    bundle.set("/linux/resources/cpu", cpu);
    bundle.set("/linux/resources/unified", json!({"memory.high": "50331648", "memory.oom.group": "1"}));
    let container = sleeper(&rt, &mut bundle);
    let unit = unit(&rt);
    let properties = [
        ("MemoryMax", "67108864"),
        ("MemorySwapMax", "33554432"),
        ("MemoryLow", "33554432"),
        ("MemoryHigh", "50331648"),
        ("TasksMax", "50"),
        ("CPUWeight", "174"),
        ("CPUQuotaPerSecUSec", "130ms"),
        ("AllowedCPUs", "0"),
        ("AllowedMemoryNodes", "0"),
        ("OOMPolicy", "kill"),
    ];
    for (property, value) in properties {
        assert_eq!(SYSTEM.show(&unit, property), value, "{property}");
    }
    let cgroup = SYSTEM.cgroup(&unit);
    let files = [
        ("memory.max", "67108864"),
        ("memory.swap.max", "33554432"),
        ("memory.low", "33554432"),
        ("memory.high", "50331648"),
        ("memory.oom.group", "1"),
        ("pids.max", "50"),
        ("cpu.weight", "174"),
        ("cpu.max", "12345 100000"),
        ("cpu.max.burst", "100"),
        ("cpuset.cpus", "0"),
    ];
    for (file, value) in files {
        assert_eq!(read(&cgroup, file), value, "{file}");
    }
    assert_eq!(container.sh("nproc").word(), "1");
}

#[test]
fn no_process_may_be_forked_where_the_limit_is_0() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/pids", json!({"limit": 0}));
    bundle.script("(true) 2>/dev/null && echo forked || echo alone").write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let output = call.go();
    assert!(!output.stdout.contains("forked"), "{output}");
}

#[test]
fn annotations_are_properties() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set(
        "/annotations",
        json!({
            "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
            "org.systemd.property.RuntimeMaxSec": "1.5e3",
            "org.systemd.property.After": "['network.target']",
            "org.systemd.property.Description": "'by annotation'",
        }),
    );
    sleeper(&rt, &mut bundle);
    let unit = unit(&rt);
    assert_eq!(SYSTEM.show(&unit, "TimeoutStopUSec"), "2min 3s");
    assert_eq!(SYSTEM.show(&unit, "RuntimeMaxUSec"), "25min");
    assert!(SYSTEM.show(&unit, "After").contains("network.target"));
    assert_eq!(SYSTEM.show(&unit, "Description"), "by annotation");
}

#[test]
fn an_annotation_that_systemd_refuses() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/annotations", json!({"org.systemd.property.NoSuchThing": "1"})).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains("NoSuchThing") && said.stderr.contains(&unit(&rt)), "{said}");
    assert!(!SYSTEM.knows(&unit(&rt)));
}

#[test]
fn a_user_limits_a_container_from_a_login_session() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = login_bundle(&rt);
    bundle
        .set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512}}));
    let container = sleeper(&rt, &mut bundle);
    let cgroup = cgroup_of(container.pid());
    let wanted = format!("user.slice/user-1000.slice/user@1000.service/user.slice/{}", unit(&rt));
    assert!(cgroup.ends_with(&wanted), "{}", cgroup.display());
    for (file, value) in [("memory.max", "67108864"), ("pids.max", "20"), ("cpu.weight", "59")] {
        assert_eq!(read(&cgroup, file), value, "{file}");
    }
    assert_eq!(Instance::User.show(&unit(&rt), "MemoryMax"), "67108864");
    let exec = container.sh("cat /proc/self/cgroup; id -u").ok();
    assert_eq!(exec, "0::/\n0\n", "an exec is let in as well");
    container.verb(&["update", "--memory", "33554432"]).ok();
    assert_eq!(read(&cgroup, "memory.max"), "33554432");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!cgroup.exists() && !Instance::User.knows(&unit(&rt)));
}
