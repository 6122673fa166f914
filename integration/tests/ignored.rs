//! What hull must not mind: other platforms' sections, fields and annotations it does not know, what means nothing here.

use integration::{Bundle, Runtime, Value, json};

/// The mount table and the identity of the program: what anything that is ignored must not change.
const LOOK: &str = "cut -d' ' -f4- /proc/self/mountinfo; cat /proc/self/status | grep -E '^(Uid|Gid|Cap|Seccomp|NoNewPrivs)'; hostname; env | sort; pwd; ulimit -n; stat -c '%n %t:%T %a' /dev/*";

fn look(rt: &Runtime, bundle: &mut Bundle) -> String {
    let output = rt.sh(bundle, LOOK).exits(0);
    assert_eq!(output.stderr, "", "nothing is said of it: {output}");
    // Numbers of anonymous devices and of mount groups differ from run to run.
    output.stdout.split_whitespace().filter(|word| !word.contains("master:")).collect::<Vec<_>>().join(" ")
}

#[test]
fn sections_of_other_platforms() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let without = look(&rt, &mut bundle);
    for (name, section) in [
        (
            "windows",
            json!({"layerFolders": ["C:\\Layers\\base"], "hyperv": {}, "servicing": true, "network": {"allowUnqualifiedDNSQuery": true}}),
        ),
        (
            "solaris",
            json!({"milestone": "svc:/milestone/container:default", "limitpriv": "default", "cappedCPU": {"ncpus": "8"}}),
        ),
        (
            "vm",
            json!({"hypervisor": {"path": "/vmm", "parameters": ["a"]}, "kernel": {"path": "/vmlinuz"}, "hwConfig": {"vcpus": 1}}),
        ),
        ("zos", json!({"namespaces": [{"type": "pid"}, {"type": "no such"}]})),
        ("freebsd", json!({"devices": [{"path": "pf", "mode": 448}], "jail": {"host": "new", "vnet": "new"}})),
    ] {
        bundle.set(&format!("/{name}"), section);
        assert_eq!(look(&rt, &mut bundle), without, "{name}");
        // Nor does its form matter: it is not for this platform to read.
        bundle.set(&format!("/{name}"), json!([1, "two"]));
        assert_eq!(look(&rt, &mut bundle), without, "{name}");
    }
}

#[test]
fn fields_for_windows_alone() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let without = look(&rt, &mut bundle);
    bundle.set("/process/commandLine", json!("cmd /c exit 3")).set("/process/user/username", json!("administrator"));
    assert_eq!(look(&rt, &mut bundle), without);
}

/// Gives every object of a config a field nobody knows.
fn sprinkle(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(sprinkle);
            object.insert("org.example.unknown".into(), json!({"list": [1, null], "text": "x"}));
        }
        Value::Array(list) => list.iter_mut().for_each(sprinkle),
        _ => {}
    }
}

#[test]
fn unknown_fields_of_every_object() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}),
    );
    bundle
        .set("/linux/resources/memory", json!({"limit": 64 << 20}))
        .set("/linux/resources/pids", json!({"limit": 50}));
    bundle.set("/linux/resources/cpu", json!({"shares": 100}));
    bundle.set("/linux/devices", json!([{"type": "c", "path": "/dev/mine", "major": 1, "minor": 3}]));
    bundle
        .hook("createRuntime", "exit 0")
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}));
    let without = look(&rt, &mut bundle);
    sprinkle(&mut bundle.config);
    assert_eq!(look(&rt, &mut bundle), without);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.state().get("org.example.unknown"), None);
}

#[test]
fn a_console_size_without_a_terminal() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let without = look(&rt, &mut bundle);
    bundle.set("/process/consoleSize", json!({"height": 70_000, "width": 0}));
    assert_eq!(look(&rt, &mut bundle), without);
}

#[test]
fn annotations_are_kept_and_change_nothing() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let without = look(&rt, &mut bundle);
    let annotations = json!({
        "com.example.key": "", "no domain": "value", "org.opencontainers.image.os": "plan9", "org.opencontainers.image.architecture": "pdp11",
        "org.opencontainers.image.variant": "v0", "org.opencontainers.image.os.version": "0", "org.opencontainers.image.os.features": "none",
        "org.opencontainers.image.author": "nobody", "org.opencontainers.image.created": "never",
        "org.opencontainers.image.stopSignal": "SIGWINCH", "org.opencontainers.reserved": "x"
    });
    bundle.set("/annotations", annotations.clone());
    assert_eq!(look(&rt, &mut bundle), without);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.state()["annotations"], annotations);
    container.verb(&["delete", "--force"]).ok();
    for annotations in [json!({}), Value::Null] {
        bundle.set("/annotations", annotations);
        assert_eq!(look(&rt, &mut bundle), without);
    }
    for wrong in [json!({"": "x"}), json!({"a": 1}), json!({"a": null}), json!(["a"])] {
        bundle.set("/annotations", wrong.clone());
        let output = rt.run(&bundle);
        // Go writes no null into a map of strings; whoever does means the empty one.
        assert!(output.code == 1 && output.mentions("annotations") || wrong == json!({"a": null}), "{wrong}: {output}");
    }
}
