//! What `features` says against what the runtime does: each name is taken where a config names it, and no other is.

use integration::bundle::{Join, chown_tree};
use integration::features::{Features, faults};
use integration::{Bundle, Runtime, Value, json};
use std::collections::BTreeSet;

#[test]
fn every_property_of_version_1_3_is_there_and_no_other() {
    fn pointers(at: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) if at != "/annotations" => {
                object.iter().for_each(|(key, value)| pointers(&format!("{at}/{key}"), value, found));
            }
            Value::Null => panic!("{at} is null"),
            _ => drop(found.insert(at.to_owned())),
        }
    }
    let rt = Runtime::new();
    let mut found = BTreeSet::new();
    pointers("", Features::of(&rt).document(), &mut found);
    let expected = "/annotations /hooks /linux/apparmor/enabled /linux/capabilities /linux/cgroup/rdma /linux/cgroup/systemd \
         /linux/cgroup/systemdUser /linux/cgroup/v1 /linux/cgroup/v2 /linux/intelRdt/enabled /linux/intelRdt/monitoring \
         /linux/intelRdt/schemata /linux/memoryPolicy/flags /linux/memoryPolicy/modes /linux/mountExtensions/idmap/enabled \
         /linux/namespaces /linux/netDevices/enabled /linux/seccomp/actions /linux/seccomp/archs /linux/seccomp/enabled \
         /linux/seccomp/knownFlags /linux/seccomp/operators /linux/seccomp/supportedFlags /linux/selinux/enabled \
         /mountOptions /ociVersionMax /ociVersionMin /potentiallyUnsafeConfigAnnotations";
    assert_eq!(found, expected.split_whitespace().map(str::to_owned).collect());
}

#[test]
fn annotations_are_text_by_names_in_reverse_domain_order() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    for (key, value) in features.at("/annotations").as_object().unwrap() {
        assert!(value.is_string() && key.matches('.').count() >= 2, "{key}: {value}");
    }
}

#[test]
fn both_ends_of_the_versions_are_taken() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let mut bundle = rt.bundle();
    for end in ["/ociVersionMin", "/ociVersionMax"] {
        bundle.set("/ociVersion", features.at(end).clone());
        assert_eq!(rt.sh(&mut bundle, "echo ran").ok(), "ran\n", "{end}");
    }
    let numbers = |end: &str| {
        features.at(end).as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>()
    };
    assert!(numbers("/ociVersionMin") <= numbers("/ociVersionMax"));
    bundle.set("/ociVersion", json!("2.0.0"));
    rt.sh(&mut bundle, "echo ran").exits(1).says("ociVersion");
}

#[test]
fn every_hook_runs() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let log = rt.path("log");
    let mut bundle = rt.bundle();
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in features.names("/hooks") {
        let file = if kind == "startContainer" { "/host/log".into() } else { log.display().to_string() };
        bundle.hook(kind, &format!("echo {kind} >> {file}"));
    }
    rt.sh(&mut bundle, "true").ok();
    let ran = std::fs::read_to_string(&log).unwrap();
    assert_eq!(ran.lines().collect::<BTreeSet<_>>(), features.names("/hooks").into_iter().collect());
}

/// A bind mount has no filesystem to pass an option on to: one without a meaning here is at least told.
#[test]
fn every_mount_option_is_known_and_no_other() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let dir = rt.host_dir("dir");
    let mut bundle = rt.bundle();
    let options = features.names("/mountOptions");
    for (i, option) in options.iter().enumerate() {
        bundle.bind(&dir, &format!("/m/{i}"), &[option]);
    }
    // idmap and ridmap ask for maps, which the container's user namespace has.
    bundle.userns(100_000, 65_536);
    assert_eq!(faults(&rt, &bundle), "");
    let mut bundle = rt.bundle_named("other");
    for unknown in ["size=64k", "RO", "bindd", "rremount"] {
        assert!(!options.contains(&unknown));
        bundle.bind(&dir, "/other", &[unknown]);
        let output = rt.sh(&mut bundle, "true");
        assert!(output.mentions(unknown) && output.mentions(".options"), "{output}");
        bundle.unmount("/other");
    }
}

#[test]
fn every_mount_option_is_taken_by_a_run() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let dir = rt.host_dir("dir");
    let mut bundle = rt.bundle();
    let maps = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    let mut number = 0;
    for option in features.names("/mountOptions") {
        bundle.bind(&dir, &format!("/m/{number}"), &[option]);
        if option.ends_with("idmap") {
            let last = bundle.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
            (last["uidMappings"], last["gidMappings"]) = (maps.clone(), maps.clone());
        }
        if option == "remount" {
            // Of the mount before.
            let last = bundle.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
            last["destination"] = json!(format!("/m/{}", number - 1));
            number -= 1;
        }
        number += 1;
    }
    let output = rt.sh(&mut bundle, "ls -d /m/*/file | wc -l");
    assert_eq!(output.stderr, "", "no option is left out");
    assert_eq!(output.word(), number.to_string());
}

#[test]
fn an_option_that_is_not_named_goes_to_the_filesystem() {
    let rt = Runtime::new();
    assert!(!Features::of(&rt).names("/mountOptions").iter().any(|option| option.contains('=')));
    let mut bundle = rt.bundle();
    bundle.mount("/m", "tmpfs", "tmpfs", &["nr_inodes=77"]);
    assert_eq!(rt.sh(&mut bundle, "df -i /m | tail -1 | awk '{print $2}'").word(), "77");
    bundle.unmount("/m").mount("/m", "tmpfs", "tmpfs", &["not-of-tmpfs"]);
    rt.sh(&mut bundle, "true").exits(1).says("not-of-tmpfs").says("mounts[").one_line();
}

#[test]
fn every_namespace_is_made() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let kinds = features.names("/linux/namespaces");
    let mut bundle = rt.bundle();
    bundle.userns(100_000, 65_536);
    for kind in &kinds {
        bundle.namespace(kind, Join::New);
    }
    let container = rt.sleeper(&mut bundle);
    for kind in &kinds {
        let file = match *kind {
            "mount" => "mnt",
            "network" => "net",
            other => other,
        };
        let own = std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap();
        assert_ne!(integration::proc::link(container.pid(), &format!("ns/{file}")), own.to_str().unwrap(), "{kind}");
    }
    bundle.set("/linux/namespaces", json!([{"type": "disk"}]));
    assert!(faults(&rt, &bundle).contains("disk"));
}

#[test]
fn every_capability_is_known_and_no_other() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let all = features.names("/linux/capabilities");
    let mut bundle = rt.bundle();
    let known = |bundle: &mut Bundle, caps: &[&str]| {
        bundle.caps(caps);
        let output = rt.sh(bundle, "true").exits(0);
        !output.stderr.contains("unknown capabilit")
    };
    assert!(known(&mut bundle, &all));
    assert!(!known(&mut bundle, &["CAP_KILL", "CAP_TIME_TRAVEL"]));
    assert!(!known(&mut bundle, &["cap_kill"]));
    // The running kernel's last one is among them.
    let last: usize = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    assert!(all.len() > last, "{all:?}");
}

#[test]
fn every_cgroup_version_is_used_that_is_said_to_be() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let pids = |rt: &Runtime, file: &str| {
        let mut bundle = rt.bundle();
        bundle.set("/linux/resources/pids", json!({"limit": 77}));
        let container = rt.sleeper(&mut bundle);
        assert_eq!(std::fs::read_to_string(format!("/proc/{}/root/{file}", container.pid())).unwrap().trim(), "77");
    };
    let hybrid = std::path::Path::new("/sys/fs/cgroup/pids").exists();
    match hybrid && features.flag("/linux/cgroup/v1") {
        true => pids(&rt, "sys/fs/cgroup/pids/pids.max"),
        false => eprintln!("skipped: no cgroup v1 on this machine"),
    }
    assert!(features.flag("/linux/cgroup/v2"));
    a_cgroup_of_v2();
    assert!(features.flag("/linux/cgroup/rdma"));
    let mut bundle = rt.bundle_named("rdma");
    bundle.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3}}));
    assert_eq!(faults(&rt, &bundle), "");
}

/// Version 2 has the controllers that version 1 does not hold, which may be none: the cgroup itself is what shows.
fn a_cgroup_of_v2() {
    let rt = Runtime::pure_v2();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let cgroups = integration::proc::read(container.pid(), "cgroup");
    assert!(cgroups.lines().any(|line| line.starts_with("0::") && line.ends_with(rt.tag())), "{cgroups}");
}

#[test]
fn the_flag_of_the_systemd_driver_is_what_create_does() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let bundle = rt.bundle();
    bundle.write();
    let create = rt.bare().arg("--systemd-cgroup").arg("--root").arg(rt.root()).args(["create", "--bundle"]);
    let output = create.arg(bundle.dir()).arg(rt.id("")).go();
    let refused = output.mentions("the systemd cgroup driver is not supported");
    assert_eq!(!refused, features.flag("/linux/cgroup/systemd"), "{output}");
}

/// Whether the labels take effect is for a machine with the modules; on one without a label must not be passed over.
#[test]
fn security_labels_are_never_passed_over() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    for (flag, field, label) in [
        ("/linux/apparmor/enabled", "apparmorProfile", "hull-test-no-such-profile"),
        ("/linux/selinux/enabled", "selinuxLabel", "no:such:label:s0"),
    ] {
        assert!(features.flag(flag));
        let mut bundle = rt.bundle();
        bundle.set(&format!("/process/{field}"), json!(label));
        rt.sh(&mut bundle, "true").exits(1).says(&format!("process.{field}")).one_line();
        std::fs::remove_dir_all(bundle.dir()).unwrap();
    }
}

#[test]
fn every_memory_policy_passes_the_rules_and_no_other() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let mut bundle = rt.bundle();
    for mode in features.names("/linux/memoryPolicy/modes") {
        let mut policy = json!({"mode": mode});
        bundle.set("/linux/memoryPolicy", policy.clone());
        if !faults(&rt, &bundle).is_empty() {
            policy["nodes"] = json!("0");
            bundle.set("/linux/memoryPolicy", policy);
        }
        assert_eq!(faults(&rt, &bundle), "", "{mode}");
    }
    for flag in features.names("/linux/memoryPolicy/flags") {
        bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}));
        assert_eq!(faults(&rt, &bundle), "", "{flag}");
    }
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_NEAR", "nodes": "0", "flags": ["MPOL_F_FAR"]}));
    let found = faults(&rt, &bundle);
    assert!(found.contains("MPOL_NEAR") && found.contains("MPOL_F_FAR"), "{found}");
}

/// A field that is not acted on is refused: nothing is passed over in silence.
#[test]
fn the_flags_of_fields_are_what_the_compiler_does() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    for (flags, field, value) in [
        (
            &["/linux/intelRdt/enabled", "/linux/intelRdt/schemata", "/linux/intelRdt/monitoring"][..],
            "intelRdt",
            json!({"closID": "hull-test", "schemata": ["L3:0=f"], "enableMonitoring": true}),
        ),
        (&["/linux/netDevices/enabled"], "netDevices", json!({"hull-test0": {"name": "eth7"}})),
    ] {
        let mut bundle = rt.bundle();
        bundle.set(&format!("/linux/{field}"), value);
        assert_eq!(faults(&rt, &bundle), "");
        let explained = rt.call(["explain"]).arg(bundle.dir()).go();
        let refused = explained.mentions("not supported");
        assert!(!refused || explained.mentions(&format!("linux.{field}")), "{explained}");
        for flag in flags {
            assert_eq!(features.flag(flag), !refused, "{flag}: {explained}");
        }
        std::fs::remove_dir_all(bundle.dir()).unwrap();
    }
}

#[test]
fn id_mapped_mounts_are_parsed_and_used() {
    let rt = Runtime::new();
    assert!(Features::of(&rt).flag("/linux/mountExtensions/idmap/enabled"));
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 1000);
    let mut bundle = rt.bundle();
    let map = |host: u32| json!([{"containerID": 1000, "hostID": host, "size": 1}]);
    bundle.push(
        "/mounts",
        json!({"destination": "/m", "type": "none", "source": dir, "options": ["bind"], "uidMappings": map(0), "gidMappings": map(0)}),
    );
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /m/file").word(), "0:0");
}

#[test]
fn annotations_that_change_what_is_done_are_told() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let told = features.names("/potentiallyUnsafeConfigAnnotations");
    let covers = |name: &str| told.iter().any(|one| *one == name || one.ends_with('.') && name.starts_with(one));
    for name in ["run.oci.keep_original_groups", "org.systemd.property.TimeoutStopUSec", "org.criu.config", "bundle"] {
        assert!(covers(name), "{name} in {told:?}");
    }
    assert!(!covers("org.example.key"));
}
