//! What config.json must have and lacks, and values nobody has defined: each is an error that names its field.

use integration::{Runtime, Value, json};

/// A field that is required, and around it a config that has it: (JSON pointer of the object, the object, the key, the
/// words of the error).
fn required() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let map = json!({"containerID": 0, "hostID": 0, "size": 1});
    let throttle = json!({"major": 8, "minor": 0, "rate": 1000});
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]});
    let mut cases = vec![
        ("", json!({}), "ociVersion", "ociVersion"),
        ("", json!({}), "root", "root"),
        ("/root", json!({}), "path", "root.path"),
        ("/mounts/0", json!({}), "destination", "mounts[0].destination"),
        ("", json!({}), "process", "process"),
        ("/process", json!({}), "cwd", "process.cwd"),
        ("/process", json!({}), "args", "process.args"),
        ("/process/consoleSize", json!({"height": 25, "width": 80}), "height", "process.consoleSize"),
        ("/process/consoleSize", json!({"height": 25, "width": 80}), "width", "process.consoleSize"),
        ("/process/rlimits/0", json!({}), "type", "process.rlimits[0].type"),
        ("/process/rlimits/0", json!({}), "soft", "process.rlimits[0]"),
        ("/process/rlimits/0", json!({}), "hard", "process.rlimits[0]"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER"}), "policy", "process.scheduler.policy"),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 4}),
            "class",
            "process.ioPriority.class",
        ),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}), "priority", "process.ioPriority"),
        ("/linux/namespaces/0", json!({}), "type", "linux.namespaces[0].type"),
        ("/linux/devices/0", json!({"type": "p", "path": "/dev/p"}), "type", "linux.devices[0].type"),
        ("/linux/devices/0", json!({"type": "p", "path": "/dev/p"}), "path", "linux.devices[0].path"),
        (
            "/linux/devices/0",
            json!({"type": "c", "path": "/dev/p", "major": 1, "minor": 3}),
            "major",
            "linux.devices[0].major",
        ),
        (
            "/linux/devices/0",
            json!({"type": "c", "path": "/dev/p", "major": 1, "minor": 3}),
            "minor",
            "linux.devices[0].minor",
        ),
        ("/linux/resources/devices/0", json!({}), "allow", "linux.resources.devices[0]"),
        (
            "/linux/resources/hugepageLimits/0",
            json!({"pageSize": "2MB", "limit": 0}),
            "pageSize",
            "hugepageLimits[0].pageSize",
        ),
        ("/linux/resources/hugepageLimits/0", json!({"pageSize": "2MB", "limit": 0}), "limit", "hugepageLimits[0]"),
        ("/linux/resources/network/priorities/0", json!({"name": "lo", "priority": 1}), "name", "priorities[0].name"),
        ("/linux/resources/network/priorities/0", json!({"name": "lo", "priority": 1}), "priority", "priorities[0]"),
        (
            "/linux/resources/blockIO/weightDevice/0",
            json!({"major": 8, "minor": 0, "weight": 100}),
            "major",
            "weightDevice[0]",
        ),
        (
            "/linux/resources/blockIO/weightDevice/0",
            json!({"major": 8, "minor": 0, "weight": 100}),
            "minor",
            "weightDevice[0]",
        ),
        (
            "/linux/resources/blockIO/weightDevice/0",
            json!({"major": 8, "minor": 0, "weight": 100}),
            "weight",
            "weightDevice[0]",
        ),
        ("/linux/resources/rdma/mlx5_1", json!({"hcaHandles": 3}), "hcaHandles", "rdma.mlx5_1"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}), "mode", "linux.memoryPolicy.mode"),
        ("/linux/personality", json!({"domain": "LINUX"}), "domain", "linux.personality.domain"),
        ("/linux/seccomp", filter.clone(), "defaultAction", "linux.seccomp.defaultAction"),
        ("/linux/seccomp/syscalls/0", filter["syscalls"][0].clone(), "names", "linux.seccomp.syscalls[0].names"),
        ("/linux/seccomp/syscalls/0", filter["syscalls"][0].clone(), "action", "linux.seccomp.syscalls[0].action"),
        ("/linux/seccomp/syscalls/0/args/0", filter["syscalls"][0]["args"][0].clone(), "index", "syscalls[0].args[0]"),
        ("/linux/seccomp/syscalls/0/args/0", filter["syscalls"][0]["args"][0].clone(), "value", "syscalls[0].args[0]"),
        ("/linux/seccomp/syscalls/0/args/0", filter["syscalls"][0]["args"][0].clone(), "op", "syscalls[0].args[0].op"),
    ];
    for list in ["throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice"]
    {
        for key in ["major", "minor", "rate"] {
            let pointer = format!("/linux/resources/blockIO/{list}/0").leak();
            cases.push((pointer, throttle.clone(), key, "linux.resources.blockIO"));
        }
    }
    for list in ["uidMappings", "gidMappings"] {
        for key in ["containerID", "hostID", "size"] {
            cases.push((format!("/linux/{list}/0").leak(), map.clone(), key, format!("linux.{list}[0]").leak()));
            cases.push((format!("/mounts/0/{list}/0").leak(), map.clone(), key, format!("mounts[0].{list}[0]").leak()));
        }
    }
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let field = format!("hooks.{kind}[0].path").leak();
        cases.push((format!("/hooks/{kind}/0").leak(), json!({"path": "/bin/true"}), "path", field));
    }
    cases
}

/// Sets `value` at a pointer whose lists may be missing.
fn put(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for key in pointer.split('/').skip(1) {
        at = match key.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                let list = at.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Err(_) => {
                if !at.is_object() {
                    *at = json!({});
                }
                at.as_object_mut().unwrap().entry(key).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

#[test]
fn every_required_field_that_is_absent_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let whole = bundle.config.clone();
    for (pointer, object, key, says) in required() {
        bundle.config = whole.clone();
        if object.as_object().is_some_and(|object| !object.is_empty()) {
            // The filter's parts need the filter around them.
            if pointer.starts_with("/linux/seccomp/") {
                put(
                    &mut bundle.config,
                    "/linux/seccomp",
                    required().into_iter().find(|case| case.0 == "/linux/seccomp").unwrap().1,
                );
            }
            put(&mut bundle.config, pointer, object);
        }
        let removed = bundle.config.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        assert!(removed.is_some(), "{pointer}/{key} was there");
        bundle.write();
        let output = rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
        let named = output.code == 1 && output.mentions(says);
        assert!(named, "{pointer}/{key}: «{says}»: {output}");
        output.one_line();
    }
}

#[test]
fn a_user_that_is_not_given_is_root() {
    // The schema of the specification lets a user be without ids; what engines write has them.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.unset("/process/user");
    assert_eq!(rt.sh(&mut bundle, "id -u; id -g").ok(), "0\n0\n");
    bundle.set("/process/user", json!({"gid": 5}));
    assert_eq!(rt.sh(&mut bundle, "id -u; id -g").ok(), "0\n5\n");
}

#[test]
fn every_value_nobody_has_defined_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let whole = bundle.config.clone();
    let rule = |action: &str, op: &str| {
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": action,
               "args": [{"index": 0, "value": 1, "op": op}]}]})
    };
    for (pointer, value, says) in [
        ("/ociVersion", json!("one"), "ociVersion"),
        ("/process/rlimits/0/type", json!("RLIMIT_X"), "process.rlimits[0].type"),
        ("/process/scheduler", json!({"policy": "SCHED_X"}), "process.scheduler.policy"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}),
            "process.scheduler.flags[0]",
        ),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_X", "priority": 1}), "process.ioPriority.class"),
        ("/process/execCPUAffinity", json!({"initial": "x"}), "process.execCPUAffinity.initial"),
        ("/process/execCPUAffinity", json!({"final": "x"}), "process.execCPUAffinity.final"),
        ("/linux/namespaces/0/type", json!("x"), "linux.namespaces[0].type"),
        ("/linux/devices", json!([{"type": "x", "path": "/dev/x"}]), "linux.devices[0].type"),
        ("/linux/resources/devices/0/type", json!("x"), "linux.resources.devices[0].type"),
        ("/linux/resources/devices/0/access", json!("x"), "linux.resources.devices[0].access"),
        ("/linux/resources/cpu", json!({"cpus": "x"}), "linux.resources.cpu.cpus"),
        ("/linux/resources/cpu", json!({"mems": "x"}), "linux.resources.cpu.mems"),
        ("/linux/resources/cpu", json!({"idle": 2}), "linux.resources.cpu.idle"),
        ("/linux/resources/hugepageLimits", json!([{"pageSize": "x", "limit": 0}]), "hugepageLimits[0].pageSize"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_X"}), "linux.memoryPolicy.mode"),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}),
            "linux.memoryPolicy.flags[0]",
        ),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_X"}), "linux.seccomp.defaultAction"),
        ("/linux/seccomp", rule("SCMP_ACT_X", "SCMP_CMP_EQ"), "linux.seccomp.syscalls[0].action"),
        ("/linux/seccomp", rule("SCMP_ACT_LOG", "SCMP_CMP_X"), "linux.seccomp.syscalls[0].args[0].op"),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X"]}),
            "linux.seccomp.architectures[0]",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_LOG", "flags": ["SECCOMP_FILTER_FLAG_X"]}),
            "linux.seccomp.flags[0]",
        ),
        ("/linux/rootfsPropagation", json!("x"), "linux.rootfsPropagation"),
        ("/linux/personality", json!({"domain": "x"}), "linux.personality.domain"),
        ("/linux/personality", json!({"domain": "LINUX", "flags": ["x"]}), "linux.personality.flags"),
    ] {
        bundle.config = whole.clone();
        put(&mut bundle.config, pointer, value.clone());
        let output = rt.run(&bundle);
        assert!(output.code == 1 && output.mentions(says), "{pointer} {value}: «{says}»: {output}");
    }
}

#[test]
fn every_form_that_is_demanded_is_demanded() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let whole = bundle.config.clone();
    let mut cases = vec![
        ("/ociVersion", json!("1.3"), "ociVersion".to_owned()),
        ("/ociVersion", json!("1.3.0.0"), "ociVersion".to_owned()),
        ("/root/path", json!("/no/such/directory"), "root.path".to_owned()),
        ("/root/path", json!("config.json"), "root.path".to_owned()),
        ("/process/cwd", json!("etc"), "process.cwd".to_owned()),
        ("/process/rlimits/1", whole["process"]["rlimits"][0].clone(), "process.rlimits[1].type".to_owned()),
        (
            "/linux/namespaces/5",
            json!({"type": "cgroup", "path": "proc/self/ns/cgroup"}),
            "linux.namespaces[5].path".to_owned(),
        ),
        ("/linux/maskedPaths", json!(["/proc/keys", "proc/keys"]), "linux.maskedPaths[1]".to_owned()),
        ("/linux/readonlyPaths", json!(["/proc/sys", "proc/sys"]), "linux.readonlyPaths[1]".to_owned()),
        ("/linux/resources/unified", json!({"memory.max": "1"}), "linux.resources.unified".to_owned()),
        ("/annotations", json!(["a"]), "annotations".to_owned()),
    ];
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let pointer: &str = format!("/hooks/{kind}").leak();
        cases.push((pointer, json!([{"path": "bin/true"}]), format!("hooks.{kind}[0].path")));
        for timeout in [0, -1] {
            cases.push((
                pointer,
                json!([{"path": "/bin/true", "timeout": timeout}]),
                format!("hooks.{kind}[0].timeout"),
            ));
        }
    }
    for (pointer, value, says) in cases {
        bundle.config = whole.clone();
        put(&mut bundle.config, pointer, value.clone());
        let output = rt.run(&bundle);
        assert!(output.code == 1 && output.mentions(&says), "{pointer} {value}: «{says}»: {output}");
    }
}
