//! Limits of `linux.resources`: read inside the container on version 1, on version 2 and as systemd's unit from one table, and a
//! clear error where this machine has no controller for them.

use integration::bundle::Join;
use integration::cgroup::{either, inside, inside_namespace, is_here, is_v1_of, limit, of, read, show_v2, some_disk};
use integration::{Bundle, Runtime, Value, json, systemd};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// systemd takes a controller from the cgroups below the root once no unit of its own needs it any more, whoever else may have limits
/// there. Who looks at files of such a controller is alone with it.
static CONTROLLERS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    CONTROLLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked for, and the files that show it, on version 1 and on version 2.
type Row = (Value, Vec<(&'static str, String)>, Vec<(&'static str, String)>);

/// Files and their contents.
fn files<const N: usize>(files: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    files.map(|(file, text)| (file, text.to_owned())).to_vec()
}

fn table() -> Vec<Row> {
    let mut rows = vec![
        (
            json!({"memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}}),
            files([
                ("memory.limit_in_bytes", "67108864"),
                ("memory.memsw.limit_in_bytes", "100663296"),
                ("memory.soft_limit_in_bytes", "33554432"),
            ]),
            files([("memory.max", "67108864"), ("memory.swap.max", "33554432"), ("memory.low", "33554432")]),
        ),
        (
            json!({"memory": {"limit": -1, "swap": -1}}),
            files([
                ("memory.limit_in_bytes", "9223372036854771712"),
                ("memory.memsw.limit_in_bytes", "9223372036854771712"),
            ]),
            files([("memory.max", "max"), ("memory.swap.max", "max")]),
        ),
        (
            json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}}),
            files([("memory.memsw.limit_in_bytes", "67108864")]),
            files([("memory.max", "67108864"), ("memory.swap.max", "0")]),
        ),
        (
            json!({"memory": {"limit": 64 << 20, "swap": -1, "reservation": -1}}),
            files([
                ("memory.memsw.limit_in_bytes", "9223372036854771712"),
                ("memory.soft_limit_in_bytes", "9223372036854771712"),
            ]),
            files([("memory.max", "67108864"), ("memory.swap.max", "max"), ("memory.low", "max")]),
        ),
        (
            json!({"cpu": {"quota": 40000, "period": 80000, "burst": 2000, "shares": 333}}),
            files([
                ("cpu.cfs_quota_us", "40000"),
                ("cpu.cfs_period_us", "80000"),
                ("cpu.cfs_burst_us", "2000"),
                ("cpu.shares", "333"),
            ]),
            files([("cpu.max", "40000 80000"), ("cpu.max.burst", "2000"), ("cpu.weight", "42")]),
        ),
        (
            json!({"cpu": {"period": 50000}}),
            files([("cpu.cfs_quota_us", "-1"), ("cpu.cfs_period_us", "50000")]),
            files([("cpu.max", "max 50000")]),
        ),
        (
            json!({"cpu": {"cpus": "0", "mems": "0"}}),
            files([("cpuset.cpus", "0"), ("cpuset.mems", "0")]),
            files([("cpuset.cpus", "0"), ("cpuset.mems", "0")]),
        ),
        (json!({"cpu": {"shares": 1024}}), files([("cpu.shares", "1024")]), files([("cpu.weight", "100")])),
        (json!({"cpu": {"shares": 2}}), files([("cpu.shares", "2")]), files([("cpu.weight", "1")])),
        (json!({"cpu": {"shares": 262_144}}), files([("cpu.shares", "262144")]), files([("cpu.weight", "10000")])),
        (json!({"cpu": {"idle": 0}}), files([("cpu.idle", "0")]), files([("cpu.idle", "0")])),
        (json!({"cpu": {"idle": 1, "shares": 512}}), files([("cpu.idle", "1")]), files([("cpu.idle", "1")])),
        (json!({"pids": {"limit": 77}}), files([("pids.max", "77")]), files([("pids.max", "77")])),
        (json!({"pids": {"limit": -1}}), files([("pids.max", "max")]), files([("pids.max", "max")])),
        (
            json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}),
            files([("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")]),
            files([("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")]),
        ),
    ];
    if let Some((major, minor)) = some_disk() {
        let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
        rows.push((
            json!({"blockIO": {"throttleReadBpsDevice": rate(1 << 20), "throttleWriteIOPSDevice": rate(500)}}),
            vec![
                ("blkio.throttle.read_bps_device", format!("{major}:{minor} 1048576")),
                ("blkio.throttle.write_iops_device", format!("{major}:{minor} 500")),
            ],
            vec![("io.max", format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=500"))],
        ));
    }
    rows
}

/// Of a row's files those of the hierarchies of version 1 that this machine has, and the rest of version 2.
fn of_this_machine(v1: Vec<(&'static str, String)>, v2: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let of_v1 = |file: &str| is_v1_of(controller(file));
    let mut files: Vec<_> = v1.into_iter().filter(|(file, _)| of_v1(file)).collect();
    files.extend(v2.into_iter().filter(|(file, _)| !of_v1(file)));
    files
}

/// Version 1's name of the controller that has a file.
fn controller(file: &str) -> &str {
    file.split('.').next().map(|name| if name == "io" { "blkio" } else { name }).unwrap()
}

/// The table's rows with one driver, each in a container that has its own view of its cgroup.
fn seen_inside(driver: &[&str], path: impl Fn(&Runtime) -> String, on_host: impl Fn(&Runtime) -> String) {
    let _alone = alone();
    for (resources, v1, v2) in table() {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.namespace("cgroup", Join::New).set("/linux/cgroupsPath", json!(path(&rt)));
        show_v2(&mut bundle);
        limit(&mut bundle, &resources);
        let files = of_this_machine(v1, v2);
        let missing = files.iter().map(|(file, _)| controller(file)).find(|name| !is_here(name));
        let place = on_host(&rt);
        let args =
            files.iter().map(|(file, _)| inside_namespace(&place, file).display().to_string()).collect::<Vec<_>>();
        bundle.script(&format!("head -n 99 {} /dev/null", args.join(" "))).write();
        let call = rt.call(driver).args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        if let Some(name) = missing {
            call.go().exits(1).says("linux.resources.").says(&format!("{name:?} is not available")).one_line();
            continue;
        }
        let seen = call.go().ok();
        for ((_, text), place) in files.iter().zip(args) {
            let wanted = format!("==> {place} <==\n{text}\n");
            assert!(seen.contains(&wanted), "{resources}: {wanted:?} in {seen}");
        }
    }
}

#[test]
fn what_is_asked_for_is_seen_inside() {
    seen_inside(&[], |rt| format!("/{}", rt.tag()), |rt| rt.tag().to_owned());
}

#[test]
fn and_so_it_is_where_systemd_makes_the_cgroup() {
    if systemd::is_here() {
        let scope = |rt: &Runtime| format!("hulltest.slice/hull-{}.scope", rt.tag());
        seen_inside(&["--systemd-cgroup"], |rt| format!("hulltest.slice:hull:{}", rt.tag()), scope);
    }
}

/// Runs `cat` of files of the container's cgroup.
fn cat(rt: &Runtime, bundle: &mut Bundle, files: &[&str]) -> Vec<String> {
    let mut args = vec!["cat".to_owned()];
    args.extend(files.iter().map(|file| inside(rt, file).display().to_string()));
    bundle.set("/process/args", json!(args));
    rt.run(bundle).ok().lines().map(str::to_owned).collect()
}

#[test]
fn what_version_1_alone_has() {
    if !is_v1_of("memory") {
        println!("skipped: this machine has no hierarchy of version 1 for memory");
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let memory = json!({"limit": 64 << 20, "kernelTCP": 8 << 20, "swappiness": 17, "disableOOMKiller": true, "useHierarchy": true});
    limit(&mut bundle, &json!({"memory": memory}));
    let files = ["memory.kmem.tcp.limit_in_bytes", "memory.swappiness", "memory.use_hierarchy", "memory.oom_control"];
    let seen = cat(&rt, &mut bundle, &files);
    assert_eq!(seen[..4], ["8388608", "17", "1", "oom_kill_disable 1"]);
    limit(&mut bundle, &json!({"memory": {"disableOOMKiller": false}}));
    assert_eq!(cat(&rt, &mut bundle, &["memory.oom_control"])[0], "oom_kill_disable 0");
}

#[test]
fn realtime_is_for_a_kernel_that_shares_it_out() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    limit(&mut bundle, &json!({"cpu": {"realtimePeriod": 900_000, "realtimeRuntime": 2000}}));
    if is_v1_of("cpu") && Path::new("/sys/fs/cgroup/cpu/cpu.rt_period_us").exists() {
        assert_eq!(cat(&rt, &mut bundle, &["cpu.rt_period_us", "cpu.rt_runtime_us"]), ["900000", "2000"]);
    } else {
        rt.sh(&mut bundle, "true").exits(1).says("linux.resources.cpu.realtimePeriod").one_line();
    }
}

#[test]
fn limits_no_kernel_has_any_more_are_told() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (field, value) in [("kernel", json!(1 << 20)), ("useHierarchy", json!(false))] {
        bundle.set("/linux/resources/memory", json!({field: value})).args(&["echo", "ran"]);
        let output = rt.run(&bundle).exits(0).says(&format!("linux.resources.memory.{field}")).one_line();
        assert_eq!(output.stdout, "ran\n");
    }
}

#[test]
fn a_limit_below_the_usage_is_refused() {
    // On version 1 by the kernel, with checkBeforeUpdate or without; on version 2 by hull.
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 128 << 20})).unmount("/dev/shm");
    bundle.mount("/dev/shm", "tmpfs", "shm", &["size=64m"]);
    if fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1 {
        println!("skipped: this machine has swap, into which the usage would go");
        return;
    }
    let container = rt.sleeper(&mut bundle);
    container.exec(&["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=32"]).ok();
    // Without the check, version 2 would set the limit and kill.
    for check in of("memory", vec![true, false], vec![true]) {
        let resources = json!({"memory": {"limit": 4 << 20, "checkBeforeUpdate": check}}).to_string();
        let update = rt.call(["update", "--resources", "-", &container.id]).input(resources).go();
        update.exits(1).says("linux.resources.memory.limit").one_line();
        assert_eq!(read(&rt, of("memory", "memory.limit_in_bytes", "memory.max")), "134217728");
    }
    assert_eq!(container.status(), "running", "and nobody was killed");
}

#[test]
fn a_burst_longer_than_the_quota_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/cpu", json!({"quota": 40000, "period": 80000, "burst": 40001})).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.resources.cpu.burst").one_line();
}

#[test]
fn no_process_is_a_limit() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = inside(&rt, "pids.max").display().to_string();
    bundle.set("/linux/resources/pids", json!({"limit": 0})).script(&format!("cat {file}; echo forked"));
    let output = rt.run(&bundle);
    assert_eq!((output.code == 0, output.stdout.as_str()), (false, ""), "the shell cannot fork: {output}");
    bundle.script(&format!("read max < {file}; echo $max"));
    assert_eq!(rt.run(&bundle).word(), "0");
    bundle.set("/linux/resources/pids", json!({"limit": -1}));
    assert_eq!(rt.run(&bundle).word(), "max");
    bundle.set("/linux/resources/pids", json!({}));
    assert_eq!(rt.run(&bundle).word(), "max", "absent is unchanged");
}

#[test]
fn huge_pages() {
    let _alone = alone();
    if !is_here("hugetlb") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}]));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, of("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max")), "4194304");
    let mut other = rt.bundle_named("two");
    other.set("/linux/resources/hugepageLimits", json!([{"pageSize": "64KB", "limit": 0}])).write();
    let output = rt.call(["run", "--bundle"]).arg(other.dir()).arg(rt.id("two")).go();
    output.exits(1).says("linux.resources.hugepageLimits[0]").one_line();
}

/// A weight of block devices is for a scheduler to keep: where there is none that does, the kernel refuses it.
fn weighs(blkio: &Value, files: [&str; 2], wanted: &[String], field: &str) {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    limit(&mut bundle, &json!({"blockIO": blkio}));
    let [first, second] = files.map(|file| inside(&rt, file).display().to_string());
    let output = rt.sh(&mut bundle, &format!("cat {first} 2>/dev/null || cat {second}"));
    let seen = output.stdout.lines().any(|line| wanted.iter().any(|wanted| wanted == line));
    let refused = output.code == 1 && output.mentions(&format!("linux.resources.blockIO.{field}"));
    assert!(seen || refused, "{output}");
}

#[test]
fn weights_of_block_devices() {
    let _alone = alone();
    let wanted = either(vec!["123"], vec!["default 123", "default 1142"]).into_iter().map(str::to_owned);
    let files = either(["blkio.bfq.weight", "blkio.weight"], ["io.bfq.weight", "io.weight"]);
    weighs(&json!({"weight": 123}), files, &wanted.collect::<Vec<_>>(), "weight");
    let Some((major, minor)) = some_disk() else { return };
    let device = json!([{"major": major, "minor": minor, "weight": 321}]);
    let wanted = [format!("{major}:{minor} 321"), format!("{major}:{minor} 3142")];
    let files = either(["blkio.bfq.weight_device", "blkio.weight_device"], ["io.bfq.weight", "io.weight"]);
    weighs(&json!({"weightDevice": device}), files, &wanted, "weightDevice[0].weight");
}

/// Whether a hierarchy of version 1 has this controller: an engine may have mounted one.
fn mounted(controller: &str) -> bool {
    let table = fs::read_to_string("/proc/cgroups").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    lines.any(|words| words[0] == controller && words[1] != "0")
}

#[test]
fn what_this_machine_has_no_controller_for_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let whole = bundle.config.clone();
    // Leaf weights went with the CFQ scheduler in Linux 5.0.
    let device = json!([{"major": 8, "minor": 0, "leafWeight": 100}]);
    for (name, value, controller) in [
        ("network", json!({"classID": 1_048_577}), "net_cls"),
        ("network", json!({"priorities": [{"name": "lo", "priority": 5}]}), "net_prio"),
        ("rdma", json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}), "rdma"),
        ("blockIO", json!({"leafWeight": 100}), either("leaf_weight", "leaf weights")),
        ("blockIO", json!({"weightDevice": device}), either("leaf_weight", "leaf weights")),
    ] {
        if mounted(controller) {
            println!("skipped: the hierarchy of {controller} is mounted");
            continue;
        }
        bundle.config = whole.clone();
        bundle.set(&format!("/linux/resources/{name}"), value.clone());
        let output = rt.run(&bundle).exits(1).says(&format!("linux.resources.{name}")).one_line();
        assert!(output.mentions(controller), "{value}: {output}");
    }
}
