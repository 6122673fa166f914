//! systemd that executes itself anew, as an upgrade of its package makes it do: containers stay, and go on being made and deleted (in the
//! machine of integration/machine). `systemctl` itself loses its connection meanwhile, so nothing else runs beside this.

use integration::systemd::{Instance, bundle, is_here, sleeper, unit};
use integration::{Runtime, json};

const SYSTEM: Instance = Instance::System;

fn reexec() {
    SYSTEM.systemctl(&["daemon-reexec"]).go();
}

#[test]
fn another_systemd_takes_over_and_is_no_trouble_on_its_way() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/pids", json!({"limit": 64}));
    let container = sleeper(&rt, &mut bundle);
    reexec();
    let cgroup = SYSTEM.cgroup(&unit(&rt));
    container.verb(&["update", "--pids-limit", "32"]).ok();
    assert_eq!(SYSTEM.show(&unit(&rt), "TasksMax"), "32");
    assert_eq!(container.sh("echo joined").word(), "joined");
    container.verb(&["delete", "--force"]).ok();
    assert!(!SYSTEM.knows(&unit(&rt)) && !cgroup.exists());

    let meanwhile = std::thread::spawn(|| (0..8).for_each(|_| reexec()));
    while !meanwhile.is_finished() {
        let container = sleeper(&rt, &mut bundle);
        container.verb(&["update", "--pids-limit", "32"]).ok();
        container.verb(&["delete", "--force"]).ok();
    }
    assert!(!SYSTEM.knows(&unit(&rt)));
}
