//! What holds on any layout: each is called for version 1 and for version 2.

use super::*;

pub(super) fn frozen_processes_stand_still(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    // Of version 2 a signal that ends a process ends it frozen too; one with a handler waits.
    let mut shell = ready(&mut cgroup, "trap 'exit 7' TERM; READY; while :; do :; done");
    assert!(!cgroup.frozen().unwrap());
    cgroup.freeze().unwrap();
    assert!(cgroup.frozen().unwrap());
    cgroup.signal_all(Signal::TERM).unwrap();
    assert!(cgroup.frozen().unwrap(), "a signal thawed it");
    assert_eq!(shell.ends_within(100), None, "it ran on");
    let error = Cgroup::create(&site.location, &Resources::default(), &Options::default()).unwrap_err();
    assert_eq!(error.what(), "container's cgroup is not empty: 1 process(es) found");
    cgroup.thaw().unwrap();
    assert!(!cgroup.frozen().unwrap());
    assert_eq!(shell.ends().unwrap().code(), Some(7));
    assert!(cgroup.wait_empty().unwrap());
    cgroup.freeze().unwrap();
    let error = Cgroup::create(&site.location, &Resources::default(), &Options::default()).unwrap_err();
    assert_eq!((error.what(), error.kind()), ("container's cgroup unexpectedly frozen", Kind::WrongState));
    cgroup.thaw().unwrap();
    cgroup.remove().unwrap();
    assert!(!cgroup.frozen().unwrap(), "what is gone is not frozen");
}

pub(super) fn a_kill_reaches_everybody(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    for (_, path) in site.location.paths() {
        std::fs::create_dir_all(path.join("inner/most")).unwrap();
    }
    for hierarchy in site.location.hierarchies().iter().filter(|h| h.has("cpuset")) {
        pass_cpuset_on(&hierarchy.path, &hierarchy.path.join("inner"));
        pass_cpuset_on(&hierarchy.path, &hierarchy.path.join("inner/most"));
    }
    let mut outer = family(&mut cgroup);
    let mut inner = family(&mut cgroup.sub("inner/most").unwrap());
    let mut pids = cgroup.processes().unwrap();
    pids.sort_unstable();
    assert_eq!(pids.len(), 6);
    assert!(pids.contains(&outer.pid()) && pids.contains(&inner.pid()));
    cgroup.kill().unwrap();
    assert_eq!(outer.ends().unwrap().signal(), Some(9));
    assert_eq!(inner.ends().unwrap().signal(), Some(9));
    cgroup.remove().unwrap();
    assert!(site.location.paths().all(|(_, path)| !path.exists()));
    cgroup.remove().unwrap();
    cgroup.kill().unwrap();
}

pub(super) fn forks_do_not_escape(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    let mut shell = Shell::inside(&mut cgroup, "while :; do (:) & (:) & (:) & wait; done");
    for _ in 0..20 {
        cgroup.freeze().unwrap();
        let mut before = cgroup.processes().unwrap();
        cgroup.signal_all(Signal::WINCH).unwrap();
        let mut after = cgroup.processes().unwrap();
        before.sort_unstable();
        after.sort_unstable();
        assert_eq!(before, after, "somebody moved");
        cgroup.thaw().unwrap();
    }
    cgroup.kill().unwrap();
    assert_eq!(shell.ends().unwrap().signal(), Some(9));
    cgroup.remove().unwrap();
}

pub(super) fn a_frozen_container_can_be_killed(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    let mut shell = family(&mut cgroup);
    cgroup.freeze().unwrap();
    cgroup.signal_all(Signal::KILL).unwrap();
    assert_eq!(shell.ends().unwrap().signal(), Some(9));
    cgroup.remove().unwrap();
}

pub(super) fn a_signal_reaches_everybody(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    let mut shell = family(&mut cgroup);
    cgroup.signal_all(Signal::TERM).unwrap();
    assert_eq!(shell.ends().unwrap().signal(), Some(15));
    assert!(cgroup.wait_empty().unwrap());
    assert!(cgroup.processes().unwrap().is_empty());
}

pub(super) fn removal_waits_for_the_last_process(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    let mut shell = Shell::new("sleep 0.1; exit 3");
    shell.enter(&mut cgroup);
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| cgroup.remove());
        shell.go();
        removal.join().unwrap().unwrap();
    });
    assert!(site.location.paths().all(|(_, path)| !path.exists()));
}

pub(super) fn an_error_leaves_nothing_behind(site: &Site, resources: &str, field: &str) -> Error {
    let error = site.create(resources).unwrap_err();
    assert_eq!(error.config_field(), Some(field), "{error}");
    assert_eq!(site.left(), [] as [&Path; 0]);
    // What was there before stays.
    site.top.iter().for_each(|top| std::fs::create_dir(top).unwrap());
    assert_eq!(site.create(resources).unwrap_err().config_field(), Some(field));
    assert_eq!(site.left().len(), site.top.len());
    error
}

/// Whether a process in `cgroup` may open the kernel's log, a device that is on nobody's list.
pub(super) fn may_open_the_log(cgroup: &mut Cgroup) -> bool {
    let mut shell =
        Shell::inside(cgroup, "exec 3</dev/null && exec 4>/dev/zero || exit 2; exec 5</dev/kmsg || exit 1; exit 0");
    let code = shell.ends().unwrap().code().unwrap();
    // A shell ends with 2 when exec cannot open a file.
    assert!(code <= 2, "{code}");
    let mut permitted = Shell::inside(cgroup, "exec 3</dev/null && exec 4>/dev/zero || exit 7; exit 0");
    assert_eq!(permitted.ends().unwrap().code(), Some(0), "what always holds does not");
    code == 0
}

pub(super) fn devices_are_denied_and_allowed(site: &Site) {
    let mut cgroup = site.create("{}").unwrap();
    assert!(!may_open_the_log(&mut cgroup));
    let allow = r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#;
    cgroup.update(&resources_of(allow)).unwrap();
    assert!(may_open_the_log(&mut cgroup));
    cgroup.update(&resources_of(r#"{"pids":{}}"#)).unwrap();
    assert!(may_open_the_log(&mut cgroup), "an update without rules changed them");
    cgroup.update(&resources_of(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#)).unwrap();
    assert!(!may_open_the_log(&mut cgroup));
    cgroup.update(&resources_of(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#)).unwrap();
    assert!(may_open_the_log(&mut cgroup));
    cgroup.remove().unwrap();
    let mut without =
        Cgroup::create(&site.location, &Resources::default(), &Options { devices: false, ..Options::default() })
            .unwrap();
    assert!(may_open_the_log(&mut without));
}

/// Directories so deep that no path leads there.
pub(super) fn a_tree_deeper_than_any_path(site: &Site, controller: &str) {
    let cgroup = site.create("{}").unwrap();
    let name = "d".repeat(250);
    let mut dir = rustix::fs::open(site.path(controller), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&dir, &name, Mode::from_raw_mode(0o755)).unwrap();
        dir = rustix::fs::openat(&dir, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(dir);
    assert!(cgroup.processes().unwrap().is_empty());
    cgroup.remove().unwrap();
    assert!(!site.path(controller).exists());
}
