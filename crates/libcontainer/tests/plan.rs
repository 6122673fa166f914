//! The plan as text, for the default config and a machine that exists only here: without privileges, touching nothing.
//!
//! When a change of the plan is meant, `HULL_GOLDEN=write cargo test -p libcontainer --test plan` writes the new text; the
//! difference is then part of the change, to be read with it.

#![allow(clippy::unwrap_used)] // a panic is how a test reports

use libcontainer::Explanation;
use libcontainer::config::{Config, Process};
use libcontainer::host::Host;
use libcontainer::plan::{self, Cgroups, Input, LaunchFacts};
use std::path::Path;

fn host() -> Host {
    Host {
        euid: 0,
        egid: 0,
        real_ids: (0, 0),
        kernel: (6, 12),
        caps_effective: (1 << 41) - 1,
        in_user_namespace: false,
        owns_mounts: true,
        setgroups_denied: false,
        last_cap: 40,
        hard_limits: [None; 16],
        apparmor: false,
        lsm_call: false,
        selinux: false,
        resctrl: None,
    }
}

fn default_config() -> Config {
    let mut config: Config = serde_json::from_value(libcontainer::spec::default_config(None)).unwrap();
    // It has one on a machine with cgroup v2 alone.
    config.linux.namespaces.retain(|namespace| namespace.kind != "cgroup");
    config
}

fn explain(config: &Config, host: &Host, launch: LaunchFacts<'_>) -> String {
    explain_in(Cgroups { unified: true, ..Cgroups::default() }, config, host, launch)
}

fn explain_in(cgroup: Cgroups, config: &Config, host: &Host, launch: LaunchFacts<'_>) -> String {
    let process = config.process.as_ref().unwrap();
    let (bundle, rootfs) = (Path::new("/bundle"), Path::new("/bundle/rootfs"));
    let input = Input { config, process, host, id: "golden", bundle, rootfs, cgroup, filter: None, launch };
    let compile = if launch.join == 0 { plan::init } else { plan::exec };
    Explanation::of(compile(&input).unwrap()).to_string()
}

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var("HULL_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, golden, "the plan has changed: see this file's first lines");
}

#[test]
fn a_created_container() {
    let mut config = default_config();
    config.process.as_mut().unwrap().terminal = false;
    compare("create.txt", &explain(&config, &host(), LaunchFacts { barrier: true, ..LaunchFacts::default() }));
}

#[test]
fn a_container_of_a_user_namespace_and_another_user() {
    let mut config = default_config();
    let ids = libcontainer::config::IdMapping { container_id: 0, host_id: 100_000, size: 65_536 };
    config.linux.namespaces.push(libcontainer::config::Namespace { kind: "user".into(), path: None });
    (config.linux.uid_mappings, config.linux.gid_mappings) = (vec![ids.clone()], vec![ids]);
    let process = config.process.as_mut().unwrap();
    (process.user.uid, process.user.gid, process.user.additional_gids) = (1000, 1000, vec![5]);
    compare("user-namespace.txt", &explain(&config, &host(), LaunchFacts::default()));
}

#[test]
fn an_exec() {
    let mut config = default_config();
    config.process.as_mut().unwrap().terminal = false;
    let join = (libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET) as u64;
    compare("exec.txt", &explain(&config, &host(), LaunchFacts { join, ..LaunchFacts::default() }));
}

#[test]
fn a_class_of_service_is_entered_before_any_hook() {
    let mut config = default_config();
    config.linux.intel_rdt = Some(serde_json::from_str(r#"{"closID": "gold", "enableMonitoring": true}"#).unwrap());
    config.hooks.create_runtime = vec![libcontainer::config::Hook { path: "/hook".into(), ..Default::default() }];
    let host = Host { resctrl: Some("/resctrl".into()), ..host() };
    for join in [0, libc::CLONE_NEWPID as u64] {
        let text = explain(&config, &host, LaunchFacts { join, ..LaunchFacts::default() });
        let act = r#"meanwhile the parent puts it into "/resctrl/gold" and "/resctrl/gold/mon_groups/golden""#;
        let (_, after) = text.split_once(act).unwrap_or_else(|| panic!("{text}"));
        assert!(join != 0 || after.contains("runs the prestart and createRuntime hooks"), "{text}");
    }
}

#[test]
fn the_delegated_cgroup_is_below_the_root_of_the_containers_view() {
    let mut config = default_config();
    config.linux.namespaces.push(libcontainer::config::Namespace { kind: "cgroup".into(), path: None });
    config.annotations.insert("run.oci.delegate-cgroup".to_owned(), "init".to_owned());
    let text = explain(&config, &host(), LaunchFacts::default());
    let mut rest = text.as_str();
    for step in ["make a cgroup namespace", "moves it to the cgroup \"init\" below"] {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("{step} in {text}")).1;
    }
    let joining = LaunchFacts { join: libc::CLONE_NEWPID as u64, ..LaunchFacts::default() };
    assert!(!explain(&config, &host(), joining).contains("below"), "who joins is put where the container is");
}

#[test]
fn a_container_with_network_devices() {
    let mut config = default_config();
    let mut add = |host_name: &str, name: Option<&str>| {
        let device = libcontainer::config::NetDevice { name: name.map(str::to_owned) };
        config.linux.net_devices.insert(host_name.into(), device);
    };
    add("eth0", Some("web0"));
    add("eth1", Some(""));
    add("eth2", Some("wan%d"));
    let text = explain(&config, &host(), LaunchFacts::default());
    let (pass, rest) = text.split_once(" network devices\n").unwrap().1.split_once("\n rootfs\n").unwrap();
    assert!(rest.contains("mount"), "before anything is mounted");
    let mut lines = pass.lines().map(str::trim);
    let step = lines.next().unwrap().trim_start_matches(|c: char| c.is_ascii_digit()).trim();
    assert_eq!(step, "Meet           wait for the network devices   (linux.netDevices)");
    let act = "moves, with permanent global addresses, and brings up: eth0 into the container as web0, eth1 into the container, eth2 into the container as wan%d";
    assert_eq!(lines.next(), Some(format!("meanwhile the parent {act}").as_str()));
    // To read it takes no privilege.
    let nobody = Host { euid: 1000, egid: 1000, real_ids: (1000, 1000), caps_effective: 0, ..host() };
    assert!(explain(&config, &nobody, LaunchFacts::default()).contains(act));
}

#[test]
fn who_does_not_own_the_mounts_leaves_them_to_the_child() {
    let config: Config = serde_json::from_value(libcontainer::spec::default_config(Some((0, 0)))).unwrap();
    let in_user_namespace = Host { in_user_namespace: true, ..host() };
    let by_child = |host: &Host| {
        let text = explain(&config, host, LaunchFacts::default());
        text.lines().any(|line| line.contains("CloneTree") && line.contains("open the root file system"))
    };
    assert!(!by_child(&in_user_namespace));
    assert!(by_child(&Host { owns_mounts: false, ..in_user_namespace }));
}

#[test]
fn a_mount_label_is_of_the_type_asked_for() {
    let host = Host { selinux: true, ..host() };
    let mut config = default_config();
    config.linux.mount_label = Some("u:r:t:s0".to_owned());
    let text = explain(&config, &host, LaunchFacts::default());
    assert!(text.contains(" context u:r:t:s0"), "{text}");
    config.annotations.insert("run.oci.mount_context_type".to_owned(), "rootcontext".to_owned());
    let text = explain(&config, &host, LaunchFacts::default());
    assert!(text.contains(" rootcontext u:r:t:s0") && !text.contains(" context u:r:t:s0"), "{text}");
}

#[test]
fn a_profile_goes_to_the_kernel_by_the_call_or_by_the_file() {
    let mut config = default_config();
    config.process.as_mut().unwrap().apparmor_profile = Some("web server".to_owned());
    config.process.as_mut().unwrap().selinux_label = Some("u:r:t:s0".to_owned());
    // An exec, whose own process names neither, has the container's, and is labelled before it is in the container.
    let own = Config {
        process: Some(Process { apparmor_profile: None, selinux_label: None, ..config.process.clone().unwrap() }),
        ..config.clone()
    };
    let process = own.process.as_ref().unwrap();
    for lsm_call in [true, false] {
        let host = Host { apparmor: true, lsm_call, selinux: true, ..host() };
        let wanted = if lsm_call {
            "apply AppArmor profile \"web server\": lsm_set_self_attr"
        } else {
            "apply AppArmor profile \"web server\": write \"exec web server\" to /proc/self/attr/apparmor/exec"
        };
        let init = explain(&config, &host, LaunchFacts::default());
        let launch = LaunchFacts { join: libc::CLONE_NEWNS as u64, ..LaunchFacts::default() };
        let (bundle, rootfs, cgroup) = (Path::new("/bundle"), Path::new("/bundle/rootfs"), Cgroups::default());
        let input =
            Input { config: &config, process, host: &host, id: "golden", bundle, rootfs, cgroup, filter: None, launch };
        let exec = Explanation::of(plan::exec(&input).unwrap()).to_string();
        for text in [&init, &exec] {
            assert!(text.contains(&format!("{wanted}   (process.apparmorProfile)\n")), "{text}");
            assert!(text.contains("write \"u:r:t:s0\" to /proc/self/attr/exec"), "{text}");
        }
        assert!(exec.find(wanted) < exec.find("join the container's namespaces"), "{exec}");
    }
}

#[test]
fn what_the_runtime_mounts_of_its_own_has_the_mount_label_too() {
    let host = Host { selinux: true, ..host() };
    let mut config = default_config();
    config.linux.mount_label = Some("u:r:t:s0".to_owned());
    let cgroup = Cgroups { v1: vec![("pids".to_owned(), "/sys/fs/cgroup/pids".into())], ..Cgroups::default() };
    let text = explain_in(cgroup, &config, &host, LaunchFacts::default());
    for step in
        [r#"mount "cgroup" on "/sys/fs/cgroup": mode 755"#, "prepare what masked paths are hidden under: nr_inodes 1"]
    {
        assert!(text.contains(&format!("{step} context u:r:t:s0")), "{step} in {text}");
    }
}

#[test]
fn keys_are_labelled_before_one_is_made() {
    let host = Host { selinux: true, ..host() };
    let mut config = default_config();
    config.process.as_mut().unwrap().selinux_label = Some("u:r:t:s0".to_owned());
    for join in [0, libc::CLONE_NEWPID as u64] {
        let text = explain(&config, &host, LaunchFacts { join, ..LaunchFacts::default() });
        let (before, after) = text.split_once("join a session keyring").unwrap();
        let (keys, program) = ("/proc/self/attr/keycreate", "/proc/self/attr/exec");
        assert!(before.contains(keys) && !after.contains(keys) && text.contains(program), "{text}");
        let kept = explain(&config, &host, LaunchFacts { join, no_new_keyring: true, ..LaunchFacts::default() });
        assert!(!kept.contains(keys) && kept.contains(program), "{kept}");
    }
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let (config, host) = (default_config(), host());
    assert_eq!(explain(&config, &host, LaunchFacts::default()), explain(&config, &host, LaunchFacts::default()));
}
