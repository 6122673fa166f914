//! An ordinary user's containers in scopes of the user's own systemd (in the machine of integration/machine): limits seen from inside and
//! enforced, every verb, what is delegated to the container, what is not delegated to the user.

use integration::systemd::{Instance, cgroup_of, is_here_with_v2, login_bundle, login_runtime, runtime_without_login};
use integration::{Bundle, Container, Output, Runtime, json, proc, user};
use std::fs;
use std::path::Path;

const USERS: Instance = Instance::User;
const INSTANCE: &str = "/user.slice/user-1000.slice/user@1000.service";

/// A bundle that sees its cgroup.
fn bundle(rt: &Runtime, access: &str) -> Bundle {
    let mut bundle = login_bundle(rt);
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", access]);
    bundle
}

fn unit(rt: &Runtime) -> String {
    format!("hull-{}.scope", rt.tag())
}

fn sleeper<'rt>(rt: &'rt Runtime, bundle: &mut Bundle) -> Container<'rt> {
    bundle.args(&["sleep", "1000"]);
    rt.make(bundle, "", &["--systemd-cgroup", "run", "--detach"])
}

fn run(rt: &Runtime, bundle: &mut Bundle, script: &str) -> Output {
    bundle.script(script).write();
    rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go()
}

fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap().trim().to_owned()
}

/// The files of the container's cgroup as it sees them, a line each.
const SEEN: &str = "cd /sys/fs/cgroup; for f in memory.max memory.swap.max memory.low memory.high pids.max cpu.weight cpu.max; do cat $f; done";

#[test]
fn limits_are_seen_inside_and_known_to_the_users_systemd() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "ro");
    bundle.set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 16 << 20}, "pids": {"limit": 20},
            "cpu": {"shares": 2048, "quota": 20000, "period": 50000}, "unified": {"memory.high": "50331648"}}),
    );
    let container = sleeper(&rt, &mut bundle);
    assert_eq!(container.sh(SEEN).ok(), "67108864\n33554432\n16777216\n50331648\n20\n174\n20000 50000\n");
    assert_eq!(container.sh("echo 1 > /sys/fs/cgroup/pids.max || echo refused").stdout, "refused\n");
    let properties = [
        ("MemoryMax", "67108864"),
        ("MemorySwapMax", "33554432"),
        ("MemoryLow", "16777216"),
        ("MemoryHigh", "50331648"),
        ("TasksMax", "20"),
        ("CPUWeight", "174"),
        ("CPUQuotaPerSecUSec", "400ms"),
        ("Delegate", "yes"),
        ("Slice", "user.slice"),
    ];
    for (property, value) in properties {
        assert_eq!(USERS.show(&unit(&rt), property), value, "{property}");
    }
    let update =
        ["update", "--memory", "33554432", "--memory-swap", "33554432", "--pids-limit", "9", "--cpu-share", "2"];
    container.verb(&update).ok();
    container.verb(&["update", "--cpu-quota", "10000"]).ok();
    assert_eq!(container.sh(SEEN).ok(), "33554432\n0\n16777216\n50331648\n9\n1\n10000 50000\n");
    for (property, value) in [("MemoryMax", "33554432"), ("TasksMax", "9"), ("CPUQuotaPerSecUSec", "200ms")] {
        assert_eq!(USERS.show(&unit(&rt), property), value, "{property}");
    }
}

#[test]
fn limits_are_enforced() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "ro");
    bundle.set("/linux/resources", json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}}));
    let script = "tail /dev/zero; echo ended with $?; grep ^oom_kill /sys/fs/cgroup/memory.events";
    assert_eq!(run(&rt, &mut bundle, script).stdout, "ended with 137\noom_kill 1\n");
    bundle.set("/linux/resources", json!({"pids": {"limit": 3}}));
    let output = run(&rt, &mut bundle, "sleep 1000 & sleep 1000 & (echo a third); true");
    assert!(output.stderr.contains("fork") && !output.stdout.contains("third"), "{output}");
    bundle.set("/linux/resources", json!({"cpu": {"quota": 10_000, "period": 100_000}}));
    let script = "while grep -q '^nr_throttled 0$' /sys/fs/cgroup/cpu.stat; do :; done; \
                  sed -n 's/^nr_throttled //p' /sys/fs/cgroup/cpu.stat";
    let throttled: u32 = run(&rt, &mut bundle, script).word().parse().unwrap();
    assert!(throttled > 0);
}

#[test]
fn every_verb() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "ro");
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}));
    bundle.script("sleep 1000 & exec sleep 1000");
    let container = rt.make(&bundle, "", &["--systemd-cgroup", "create"]);
    assert_eq!(container.status(), "created");
    assert!(cgroup_of(container.pid()).ends_with(unit(&rt)), "it waits in its scope");
    container.start();
    assert_eq!(container.sh("cat /proc/self/cgroup; id -u").ok(), "0::/\n0\n");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    assert_eq!(read(&cgroup_of(container.pid()), "cgroup.freeze"), "1");
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "running");
    let pids = container.verb(&["ps", "--format", "json"]).json();
    let pids: Vec<_> = pids.as_array().unwrap().iter().map(|pid| pid.as_i64().unwrap() as i32).collect();
    assert!(pids.contains(&container.pid()) && pids.len() == 2, "{pids:?}");
    let stats = container.verb(&["events", "--stats"]).json();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20, "{stats}");
    assert_eq!(stats["data"]["pids"], json!({"current": 2, "limit": 20}));
    assert!(stats["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{stats}");
    let cgroup = cgroup_of(container.pid());
    rt.call(["kill", "--all", &container.id, "KILL"]).go().ok();
    for pid in pids {
        assert!(proc::ended(pid), "{pid}");
    }
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete"]).ok();
    assert!(!cgroup.exists() && !USERS.knows(&unit(&rt)));
}

#[test]
fn slices_are_the_users_own() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "ro");
    for (path, slices) in [
        (format!("hulltest-a-b.slice:hull:{}", rt.tag()), "hulltest.slice/hulltest-a.slice/hulltest-a-b.slice"),
        (format!("app.slice:hull:{}", rt.tag()), "app.slice"),
        (format!("-.slice:hull:{}", rt.tag()), "."),
        (format!(":hull:{}", rt.tag()), "user.slice"),
        (String::new(), "user.slice"),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path));
        let container = sleeper(&rt, &mut bundle);
        let wanted = Path::new(&format!("/sys/fs/cgroup{INSTANCE}")).join(slices).join(unit(&rt));
        assert_eq!(
            fs::canonicalize(cgroup_of(container.pid())).unwrap(),
            fs::canonicalize(wanted).unwrap(),
            "{path:?}"
        );
        container.verb(&["delete", "--force"]).ok();
    }
}

/// What a program does that manages its cgroups itself: leaves the root of them, passes controllers on, sets limits below.
const MANAGE: &str =
    "cd /sys/fs/cgroup && mkdir all one && for p in $(cat cgroup.procs); do echo $p > all/cgroup.procs; done;
    echo '+memory +pids +cpu' > cgroup.subtree_control && echo 2 > one/pids.max && cat one/pids.max &&
    echo $$ > one/cgroup.procs && cat /proc/self/cgroup; echo 9 > pids.max; cat pids.max";

fn manages(rt: &Runtime, bundle: &mut Bundle) {
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}));
    let container = sleeper(rt, bundle);
    let seen = container.sh(MANAGE);
    assert_eq!(seen.stdout, "2\n0::/one\n20\n", "the scope's own limits are out of its reach: {seen}");
    let beside = container.sh("cat /proc/self/cgroup").ok();
    assert_eq!(beside, "0::/all\n", "an exec goes where the first process is");
    container.verb(&["pause"]).ok();
    container.verb(&["resume"]).ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!USERS.knows(&unit(rt)));
}

#[test]
fn a_container_manages_what_is_below_its_scope_with_one_id() {
    if is_here_with_v2() {
        let rt = login_runtime();
        let mut bundle = bundle(&rt, "rw");
        manages(&rt, &mut bundle);
    }
}

#[test]
fn a_container_manages_what_is_below_its_scope_with_ranges_of_ids() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "rw");
    let map =
        json!([{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, "hostID": 100_000, "size": 65536}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.caps(&integration::config::MANY_CAPS);
    manages(&rt, &mut bundle);
    let seen = run(&rt, &mut bundle, "cat /proc/self/uid_map; stat -c %u /sys/fs/cgroup /sys/fs/cgroup/cgroup.procs");
    assert_eq!(seen.ok().split_whitespace().collect::<Vec<_>>(), ["0", "1000", "1", "1", "100000", "65536", "0", "0"]);
}

#[test]
fn a_subgroup_keeps_the_limits_out_of_reach() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "rw");
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}));
    bundle.set("/annotations", json!({"run.oci.systemd.subgroup": "payload"}));
    let container = sleeper(&rt, &mut bundle);
    let cgroup = cgroup_of(container.pid());
    assert!(cgroup.ends_with(format!("{}/payload", unit(&rt))), "{}", cgroup.display());
    assert_eq!(
        container.sh("cat /sys/fs/cgroup/pids.max; mkdir /sys/fs/cgroup/x && cat /proc/self/cgroup").ok(),
        "max\n0::/\n"
    );
    assert_eq!(read(cgroup.parent().unwrap(), "pids.max"), "20");
    container.verb(&["update", "--pids-limit", "10"]).ok();
    assert_eq!(
        (read(cgroup.parent().unwrap(), "pids.max").as_str(), read(&cgroup, "pids.max").as_str()),
        ("10", "max")
    );
}

#[test]
fn a_controller_that_is_not_delegated_is_named_with_what_to_do() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = bundle(&rt, "ro");
    let (own, disk) = (
        read(Path::new(&format!("/sys/fs/cgroup{INSTANCE}")), "cgroup.controllers"),
        json!({"major": 254, "minor": 0, "rate": 1000}),
    );
    let mut tried = 0;
    for (controller, resources, field) in [
        ("cpuset", json!({"cpu": {"cpus": "0"}}), "linux.resources.cpu.cpus"),
        ("cpuset", json!({"cpu": {"mems": "0"}}), "linux.resources.cpu.mems"),
        ("io", json!({"blockIO": {"weight": 100}}), "linux.resources.blockIO.weight"),
        (
            "io",
            json!({"blockIO": {"throttleReadBpsDevice": [disk]}}),
            "linux.resources.blockIO.throttleReadBpsDevice[0]",
        ),
        ("hugetlb", json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}), "linux.resources.hugepageLimits[0]"),
        ("io", json!({"unified": {"io.weight": "50"}}), "linux.resources.unified"),
    ] {
        if own.split(' ').any(|name| name == controller) {
            continue;
        }
        tried += 1;
        bundle.set("/linux/resources", resources);
        let said = run(&rt, &mut bundle, "true").exits(1).one_line();
        assert!(said.stderr.contains(&format!("({field})")), "{said}");
        let way = if controller == "hugetlb" { "cgroup.subtree_control" } else { "Delegate= of user@.service" };
        assert!(said.stderr.contains(controller) && said.stderr.contains(way), "{said}");
        assert!(!USERS.knows(&unit(&rt)), "{field}");
    }
    assert!(tried > 0, "everything is delegated here: {own}");
    bundle.set("/linux/resources", json!({}));
    let seen = run(&rt, &mut bundle, "cat /proc/self/cgroup");
    assert_eq!((seen.stdout.as_str(), seen.stderr.as_str(), seen.code), ("0::/\n", "", 0), "who asks for nothing");
}

#[test]
fn the_users_systemd_is_found_without_a_login() {
    if !is_here_with_v2() {
        return;
    }
    let rt = runtime_without_login();
    let mut bundle = bundle(&rt, "ro");
    bundle.set("/linux/resources", json!({"pids": {"limit": 20}}));
    let container = sleeper(&rt, &mut bundle);
    assert!(cgroup_of(container.pid()).starts_with(format!("/sys/fs/cgroup{INSTANCE}")));
    assert_eq!(container.sh("cat /sys/fs/cgroup/pids.max").ok(), "20\n");
    container.verb(&["update", "--pids-limit", "10"]).ok();
    assert_eq!(USERS.show(&unit(&rt), "TasksMax"), "10");
    // Another user's environment, as `sudo -E` has it.
    let foreign = rt.call(["update", "--pids-limit", "11", &container.id]).env("XDG_RUNTIME_DIR", "/run/user/0");
    foreign.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus").go().ok();
    assert_eq!(USERS.show(&unit(&rt), "TasksMax"), "11");
}

#[test]
fn a_user_without_a_systemd_is_told_how_to_get_one() {
    if !is_here_with_v2() {
        return;
    }
    let rt = user::runtime();
    let mut bundle = user::bundle(&rt);
    bundle.args(&["true"]).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let said = call.no_env("XDG_RUNTIME_DIR").no_env("DBUS_SESSION_BUS_ADDRESS").go().exits(1).one_line();
    assert!(said.stderr.contains(&format!("/run/user/{}/bus", user::USER)), "{said}");
    assert!(said.stderr.contains("linux.cgroupsPath") && said.stderr.contains("enable-linger"), "{said}");
}
