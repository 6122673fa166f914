//! Pure version 2, in a mount namespace where it is all there is.

use super::*;
use crate::sys::bpf;

#[test]
fn stand_still() {
    if on_v2("stand_still") {
        frozen_processes_stand_still(&Site::new());
    }
}

#[test]
fn kill() {
    if on_v2("kill") {
        a_kill_reaches_everybody(&Site::new());
    }
}

#[test]
fn forks() {
    if on_v2("forks") {
        forks_do_not_escape(&Site::new());
    }
}

#[test]
fn kill_frozen() {
    if on_v2("kill_frozen") {
        a_frozen_container_can_be_killed(&Site::new());
    }
}

#[test]
fn signal() {
    if on_v2("signal") {
        a_signal_reaches_everybody(&Site::new());
    }
}

#[test]
fn removal_waits() {
    if on_v2("removal_waits") {
        removal_waits_for_the_last_process(&Site::new());
    }
}

#[test]
fn deep() {
    if on_v2("deep") {
        a_tree_deeper_than_any_path(&Site::new(), "");
    }
}

#[test]
fn devices() {
    if on_v2("devices") {
        let site = Site::new();
        devices_are_denied_and_allowed(&site);
    }
}

#[test]
fn one_device_program_stays_one() {
    if !on_v2("one_device_program_stays_one") {
        return;
    }
    let site = Site::new();
    let mut cgroup = site.create("{}").unwrap();
    let programs = || bpf::device_programs(std::fs::File::open(site.path("")).unwrap()).unwrap().len();
    assert_eq!(programs(), 1);
    for json in
        [r#"{"devices":[{"allow":true,"type":"b","access":"r"}]}"#, r#"{"devices":[{"allow":false,"access":"rwm"}]}"#]
    {
        cgroup.update(&resources_of(json)).unwrap();
        assert_eq!(programs(), 1);
    }
    cgroup.update(&resources_of(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#)).unwrap();
    assert_eq!(programs(), 0);
    // A directory that was there before gets no second program either.
    cgroup.update(&resources_of(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#)).unwrap();
    let _again = site.create("{}").unwrap();
    assert_eq!(programs(), 1);
}

#[test]
fn the_kernel_takes_every_program() {
    if !on_v2("the_kernel_takes_every_program") {
        return;
    }
    let policies = devices::tests::random_policies(7, 150).into_iter().map(devices::Policy::reduced);
    for policy in policies.chain(devices::tests::random_minors(8, 50)) {
        bpf::load_device_program(&ebpf::compile(&policy).unwrap())
            .unwrap_or_else(|errno| panic!("{errno}: {policy:?}"));
    }
}

#[test]
fn controllers_are_enabled_on_the_way() {
    if !on_v2("controllers_are_enabled_on_the_way") {
        return;
    }
    let has = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    if !has.split_whitespace().any(|name| name == "hugetlb") {
        eprintln!("skipped: version 2 has no hugetlb controller here");
        return;
    }
    // The parent, made by somebody else, has no controllers.
    let site = Site::new();
    let mut cgroup = site
        .create(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],"unified":{"hugetlb.2MB.rsvd.max":"2097152"}}"#,
        )
        .unwrap();
    assert_eq!(site.read("", "hugetlb.2MB.max"), "4194304");
    assert_eq!(site.read("", "hugetlb.2MB.rsvd.max"), "2097152", "what is set by name comes last");
    let _shell = family(&mut cgroup);
    let stats = cgroup.stats().unwrap();
    assert_eq!(stats.hugetlb["2MB"], HugetlbStats::default());
    assert!(stats.cpu.total > 0);
    cgroup.update(&resources_of(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#)).unwrap();
    assert_eq!(site.read("", "hugetlb.2MB.max"), "0");
    let error = cgroup.update(&resources_of(r#"{"hugepageLimits":[{"pageSize":"3MB","limit":0}]}"#)).unwrap_err();
    assert_eq!(
        (error.kind(), error.config_field()),
        (Kind::Unsupported, Some("linux.resources.hugepageLimits[0]")),
        "{error}"
    );
}

#[test]
fn missing_controllers_are_named() {
    if !on_v2("missing_controllers_are_named") {
        return;
    }
    let has = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    if has.split_whitespace().any(|name| name == "memory") {
        eprintln!("skipped: version 2 has the memory controller here");
        return;
    }
    let site = Site::bare();
    let error =
        an_error_leaves_nothing_behind(&site, r#"{"memory":{"limit":1048576}}"#, "linux.resources.memory.limit");
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.what().contains("\"memory\" is not available"), "{error}");
    for file in ["memory.high", "nonsense.max", "nonsense"] {
        let error = site.create(&format!(r#"{{"unified":{{"{file}":"1"}}}}"#)).unwrap_err();
        assert_eq!(
            (error.kind(), error.config_field()),
            (Kind::Unsupported, Some("linux.resources.unified")),
            "{error}"
        );
    }
    assert_eq!(Cgroup::open(&site.location).oom_events().unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn a_container_without_limits_costs_few_calls() {
    if !on_v2("a_container_without_limits_costs_few_calls") {
        return;
    }
    let site = Site::new();
    let mut cgroup = site.create("{}").unwrap();
    let before = cgroup.opened.is_some();
    let entry = cgroup.entry().unwrap();
    assert!(before && entry.clone_into.is_some() && entry.procs.is_empty());
    assert!(cgroup.opened.is_none(), "the directory was opened twice");
}

#[test]
fn the_cgroup_of_a_process_below() {
    if !on_v2("the_cgroup_of_a_process_below") {
        return;
    }
    let site = Site::new();
    let cgroup = site.create("{}").unwrap();
    std::fs::create_dir(site.path("").join("init.scope")).unwrap();
    let shell = family(&mut cgroup.sub("init.scope").unwrap());
    let below = cgroup.beside(shell.pid()).unwrap();
    assert_eq!(below.location().paths().next().unwrap().1, site.path("").join("init.scope"));
    let elsewhere = cgroup.beside(std::process::id() as i32).unwrap();
    assert_eq!(elsewhere.location(), cgroup.location());
}

#[test]
fn the_owner_gets_what_may_be_delegated() {
    if !on_v2("the_owner_gets_what_may_be_delegated") {
        return;
    }
    let site = Site::new();
    let _cgroup =
        Cgroup::create(&site.location, &Resources::default(), &Options { owner: Some(1234), ..Options::default() })
            .unwrap();
    let owner = |name: &str| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(site.path("").join(name)).unwrap());
    assert_eq!(
        (owner(""), owner("cgroup.procs"), owner("cgroup.subtree_control"), owner("cgroup.freeze")),
        (1234, 1234, 1234, 0)
    );
}

/// As an ordinary user who owns the parent, in a cgroup `own` below it.
#[test]
fn a_delegated_cgroup_is_used() {
    const INNER: &str = "HULL_TEST_DELEGATED";
    if let Ok(top) = std::env::var(INNER) {
        let layout = Layout::detect().unwrap();
        let rootless = Options { rootless: true, ..Options::default() };
        let beside = Location::resolve(&layout, None, "c", Driver::Cgroupfs, false).unwrap();
        assert_eq!(beside.paths().next().unwrap().1, Path::new("/sys/fs/cgroup").join(&top).join("c"));
        let mut cgroup = Cgroup::create(&beside, &Resources::default(), &rootless).unwrap();
        assert!(cgroup.limits_skipped().is_empty(), "{:?}", cgroup.limits_skipped());
        let shell = family(&mut cgroup);
        assert!(cgroup.processes().unwrap().contains(&shell.pid()));
        cgroup.kill().unwrap();
        cgroup.remove().unwrap();
        // Where another user's cgroup is between here and there nobody is let in, owner or not.
        let apart = Location::resolve(&layout, Some(&format!("/{top}-apart/c")), "c", Driver::Cgroupfs, false).unwrap();
        let cgroup = Cgroup::create(&apart, &Resources::default(), &rootless).unwrap();
        assert_eq!(cgroup.location().paths().count(), 0);
        return;
    }
    if !on_v2("a_delegated_cgroup_is_used") {
        return;
    }
    let site = Site::new();
    let top = site.top[0].file_name().unwrap().to_str().unwrap().to_owned();
    let apart = format!("/sys/fs/cgroup/{top}-apart");
    let own = site.top[0].join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::create_dir(&apart).unwrap();
    for directory in [site.top[0].as_path(), Path::new(&apart)] {
        for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
            std::os::unix::fs::chown(directory.join(name), Some(65534), None).unwrap();
        }
    }
    let script = format!(
        "echo 0 >{}/cgroup.procs && export {INNER}={top} && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\"",
        own.display()
    );
    let result =
        std::panic::catch_unwind(|| again("cgroup::tests::v2::a_delegated_cgroup_is_used", &["sh", "-c", &script]));
    std::fs::remove_dir(&own).unwrap();
    std::fs::remove_dir(&apart).unwrap();
    result.unwrap();
}
