//! What config.json must have and lacks, and values nobody has defined: each is an error that names its field.

use integration::{Runtime, Value, json};

/// Objects with fields that are required: (JSON pointer, the object where the default config has none, the fields).
fn required() -> Vec<(String, Value, &'static str)> {
    let rule = json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]});
    let objects = [
        ("", Value::Null, "ociVersion root process"),
        ("/root", Value::Null, "path"),
        ("/mounts/0", Value::Null, "destination"),
        ("/process", Value::Null, "cwd args"),
        ("/process/consoleSize", json!({"height": 25, "width": 80}), "height width"),
        ("/process/rlimits/0", Value::Null, "type soft hard"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER"}), "policy"),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}), "class priority"),
        ("/linux/namespaces/0", Value::Null, "type"),
        ("/linux/devices/0", json!({"type": "c", "path": "/dev/x", "major": 1, "minor": 3}), "type path major minor"),
        ("/linux/resources/devices/0", Value::Null, "allow"),
        ("/linux/resources/hugepageLimits/0", json!({"pageSize": "2MB", "limit": 0}), "pageSize limit"),
        ("/linux/resources/network/priorities/0", json!({"name": "lo", "priority": 1}), "name priority"),
        ("/linux/resources/blockIO/weightDevice/0", json!({"major": 8, "minor": 0, "weight": 9}), "major minor weight"),
        ("/linux/resources/rdma/mlx5_1", json!({"hcaHandles": 3}), "hcaHandles"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}), "mode"),
        ("/linux/personality", json!({"domain": "LINUX"}), "domain"),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}), "defaultAction"),
        ("/linux/seccomp/syscalls/0", rule.clone(), "names action"),
        ("/linux/seccomp/syscalls/0/args/0", rule["args"][0].clone(), "index value op"),
    ];
    let mut all: Vec<_> =
        objects.into_iter().map(|(pointer, object, keys)| (pointer.to_owned(), object, keys)).collect();
    for list in ["throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice"]
    {
        let device = json!({"major": 8, "minor": 0, "rate": 1000});
        all.push((format!("/linux/resources/blockIO/{list}/0"), device, "major minor rate"));
    }
    for list in ["/linux/uidMappings", "/linux/gidMappings", "/mounts/0/uidMappings", "/mounts/0/gidMappings"] {
        let map = json!({"containerID": 0, "hostID": 0, "size": 1});
        all.push((format!("{list}/0"), map, "containerID hostID size"));
    }
    all.extend(HOOKS.map(|kind| (format!("/hooks/{kind}/0"), json!({"path": "/bin/true"}), "path")));
    all
}

const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// `/process/rlimits/0` as errors have it: `process.rlimits[0]`.
fn field(pointer: &str) -> String {
    let mut field = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<u32>() {
            Ok(index) => field.push_str(&format!("[{index}]")),
            Err(_) if field.is_empty() => field.push_str(step),
            Err(_) => field.extend([".", step]),
        }
    }
    field
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
    for (pointer, object, keys) in required() {
        for key in keys.split(' ') {
            bundle.config = whole.clone();
            if pointer.starts_with("/linux/seccomp/") {
                // The filter's parts need the filter around them.
                put(
                    &mut bundle.config,
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
                );
            }
            if !object.is_null() {
                put(&mut bundle.config, &pointer, object.clone());
            }
            let removed = bundle.config.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(key);
            assert!(removed.is_some(), "{pointer}/{key} was there");
            bundle.write();
            let output = rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
            let says = if pointer.is_empty() { key.to_owned() } else { field(&pointer) };
            assert!(output.code == 1 && output.mentions(&says), "{pointer}/{key}: «{says}»: {output}");
            output.one_line();
        }
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
        ("/ociVersion".to_owned(), json!("1.3"), "ociVersion".to_owned()),
        ("/ociVersion".to_owned(), json!("1.3.0.0"), "ociVersion".to_owned()),
        ("/annotations".to_owned(), json!(["a"]), "annotations".to_owned()),
        ("/linux/resources/unified".to_owned(), json!({"memory.max": "much"}), "linux.resources.unified".to_owned()),
    ];
    for (pointer, value) in [
        ("/root/path", json!("/no/such/directory")),
        ("/root/path", json!("config.json")),
        ("/process/cwd", json!("etc")),
        ("/process/rlimits/1", whole["process"]["rlimits"][0].clone()),
        ("/linux/namespaces/5", json!({"type": "cgroup", "path": "proc/self/ns/cgroup"})),
        ("/linux/maskedPaths/0", json!("proc/keys")),
        ("/linux/readonlyPaths/0", json!("proc/sys")),
    ] {
        cases.push((pointer.to_owned(), value, field(pointer)));
    }
    for kind in HOOKS {
        let pointer = format!("/hooks/{kind}/0");
        cases.push((pointer.clone(), json!({"path": "bin/true"}), format!("hooks.{kind}[0].path")));
        for timeout in [0, -1] {
            let hook = json!({"path": "/bin/true", "timeout": timeout});
            cases.push((pointer.clone(), hook, format!("hooks.{kind}[0].timeout")));
        }
    }
    for (pointer, value, says) in cases {
        bundle.config = whole.clone();
        put(&mut bundle.config, &pointer, value.clone());
        let output = rt.run(&bundle);
        assert!(output.code == 1 && output.mentions(&says), "{pointer} {value}: «{says}»: {output}");
    }
}
