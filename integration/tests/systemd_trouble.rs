//! The systemd driver where things are not as they should be: a unit that is gone, in use or failed, many containers at once, no bus (in the machine of integration/machine).

use integration::systemd::{Instance, bundle, cgroup_of, is_here, is_here_with_v2, read, sleeper, unit};
use integration::{Runtime, json, proc};
use std::time::{Duration, Instant};

const SYSTEM: Instance = Instance::System;

#[test]
fn a_unit_in_use_is_left_alone() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let first = sleeper(&rt, &mut bundle);
    let id = rt.id("second");
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(&id);
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains(&unit(&rt)), "{said}");
    assert_eq!(first.status(), "running");
    assert_eq!(SYSTEM.show(&unit(&rt), "ActiveState"), "active");
}

#[test]
fn a_unit_that_has_failed_is_forgotten() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set(
        "/annotations",
        json!({"org.systemd.property.RuntimeMaxSec": "1", "org.systemd.property.TimeoutStopSec": "1",
            "org.systemd.property.CollectMode": "'inactive'"}),
    );
    let container = sleeper(&rt, &mut bundle);
    // Where it has ended by now there is none.
    let pid = i32::try_from(container.state()["pid"].as_i64().unwrap()).unwrap();
    assert!(pid == 0 || proc::ended(pid), "systemd ends it");
    container.verb(&["delete"]).ok();
    assert!(!SYSTEM.knows(&unit(&rt)), "{}", SYSTEM.show(&unit(&rt), "ActiveState"));
}

#[test]
fn stopping_the_unit_stops_the_container() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let container = sleeper(&rt, &mut bundle);
    let pid = container.pid();
    SYSTEM.systemctl(&["kill", "--signal=KILL", &unit(&rt)]).go().ok();
    assert!(proc::ended(pid));
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete"]).ok();
}

#[test]
fn a_unit_that_somebody_has_stopped() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    // Nothing ends the first process of a pid namespace but a signal it wants, or this.
    bundle.set("/annotations", json!({"org.systemd.property.TimeoutStopUSec": "uint64 500000"}));
    for verb in [&["delete"][..], &["delete", "--force"]] {
        let container = sleeper(&rt, &mut bundle);
        SYSTEM.systemctl(&["stop", &unit(&rt)]).go().ok();
        assert_eq!(container.status(), "stopped");
        assert!(!SYSTEM.knows(&unit(&rt)), "it has gone before the container");
        container.verb(verb).ok();
        assert!(rt.call(["state", &container.id]).go().exits(1).mentions("does not exist"));
    }
}

#[test]
fn the_bus_is_gone_when_the_container_is_deleted() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let container = sleeper(&rt, &mut bundle);
    let delete = rt.call(["delete", "--force", &container.id]);
    delete.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus").go().ok();
    // It hears of that from the kernel, in its own time.
    let deadline = Instant::now() + Duration::from_secs(integration::PATIENCE);
    while SYSTEM.knows(&unit(&rt)) {
        assert!(Instant::now() < deadline, "systemd forgets a scope without processes");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn systemd_without_a_bus_is_spoken_to_directly() {
    if !is_here_with_v2() {
        return;
    }
    let hide = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /run/dbus && exec \"$@\"", "sh"];
    let rt = Runtime::wrapped(hide.map(str::to_owned).to_vec());
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/pids", json!({"limit": 30}));
    let container = sleeper(&rt, &mut bundle);
    let cgroup = SYSTEM.cgroup(&unit(&rt));
    assert_eq!(cgroup, cgroup_of(container.pid()));
    assert_eq!(read(&cgroup, "pids.max"), "30");
    container.verb(&["update", "--pids-limit", "20"]).ok();
    assert_eq!((read(&cgroup, "pids.max").as_str(), SYSTEM.show(&unit(&rt), "TasksMax").as_str()), ("20", "20"));
    container.verb(&["delete", "--force"]).ok();
    assert!(!SYSTEM.knows(&unit(&rt)));
}

#[test]
fn thirty_at_once() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let unit = |n: usize| format!("hull-{}-{n}.scope", rt.tag());
    bundle.args(&["sleep", "1000"]);
    let id = |n: usize| rt.id(&n.to_string());
    let bundles: Vec<_> = (0..30)
        .map(|n| {
            let mut one = rt.bundle_named(&format!("b{n}"));
            one.config = bundle.config.clone();
            one.set("/linux/cgroupsPath", json!(format!("hulltest-many{}.slice:hull:{}-{n}", n % 3, rt.tag())));
            one.write();
            one
        })
        .collect();
    let verb = ["--systemd-cgroup", "run", "--detach", "--bundle"];
    let run = |n: usize| rt.call(verb).arg(bundles[n].dir()).arg(id(n)).within(300).spawn();
    let running: Vec<_> = (0..30).map(run).collect();
    for one in running {
        one.wait().exits(0);
    }
    for n in 0..30 {
        assert_eq!(SYSTEM.show(&unit(n), "ActiveState"), "active");
    }
    let ending: Vec<_> = (0..30).map(|n| rt.call(["delete", "--force", &id(n)]).within(300).spawn()).collect();
    for one in ending {
        one.wait().exits(0);
    }
    for n in 0..30 {
        assert!(!SYSTEM.knows(&unit(n)), "{n}");
    }
}
