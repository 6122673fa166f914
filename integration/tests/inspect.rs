//! list, ps, features, spec, --version, --help: what people and engines read.

use integration::{Call, Runtime, Value, binary, json};

#[test]
fn list_of_nothing() {
    let rt = Runtime::new();
    assert_eq!(rt.call(["list", "--format", "json"]).go().word(), "null");
    assert_eq!(rt.call(["list", "-q"]).go().ok(), "");
    let table = rt.call(["list"]).go().ok();
    assert_eq!(table.split_whitespace().collect::<Vec<_>>(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
}

#[test]
fn list_table_json_and_quiet() {
    let rt = Runtime::new();
    let mut first = rt.bundle();
    first.set("/annotations", json!({"key": "value"}));
    let first = rt.sleeper(&mut first);
    let mut second = rt.bundle_named("two");
    second.args(&["sleep", "1000"]);
    let second = rt.make(&second, "two", &["create"]);

    let mut quiet: Vec<_> = rt.call(["list", "--quiet"]).go().ok().lines().map(str::to_owned).collect();
    quiet.sort();
    assert_eq!(quiet, [first.id.clone(), second.id.clone()]);

    let text = rt.call(["list", "-f", "json"]).go().ok();
    assert_eq!(text.trim_end().lines().count(), 1, "one line: {text}");
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |id: &str| all.iter().find(|entry| entry["id"] == id).unwrap();
    assert_eq!(of(&first.id)["status"], "running");
    assert_eq!(of(&second.id)["status"], "created");
    assert_eq!(of(&first.id)["pid"], first.pid());
    assert_eq!(of(&first.id)["owner"], "root");
    assert_eq!(of(&first.id)["annotations"]["key"], "value");
    for key in ["ociVersion", "bundle", "rootfs", "created"] {
        assert!(of(&first.id)[key].is_string(), "{key}: {text}");
    }

    let table = rt.call(["list"]).go().ok();
    let row = table.lines().find(|line| line.starts_with(&format!("{} ", first.id))).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[1..3], [first.pid().to_string(), "running".to_owned()]);
    assert_eq!(cells[5], "root");
    let columns: Vec<_> =
        table.lines().map(|line| line.find("OWNER").or_else(|| line.find("root ").or(line.rfind("root")))).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "aligned: {table}");

    second.verb(&["delete", "--force"]).ok();
    first.stop();
    let all: Vec<Value> = serde_json::from_str(&rt.call(["list", "-f", "json"]).go().ok()).unwrap();
    assert_eq!((all.len(), &all[0]["status"], &all[0]["pid"]), (1, &json!("stopped"), &json!(0)));
}

#[test]
fn list_wants_a_known_format() {
    let rt = Runtime::new();
    rt.call(["list", "--format", "yaml"]).go().exits(1).one_line();
}

#[test]
fn list_lives_with_strangers_in_the_root() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    std::fs::write(rt.root().join("a-file"), "").unwrap();
    std::fs::create_dir(rt.root().join("a-directory")).unwrap();
    let output = rt.call(["list", "-q"]).go().exits(0);
    assert!(output.stdout.contains(&container.id));
    std::fs::remove_file(rt.root().join("a-file")).unwrap();
    std::fs::remove_dir(rt.root().join("a-directory")).unwrap();
}

#[test]
fn ps_json_is_the_hosts_numbers() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let pid = container.pid();
    assert_eq!(rt.call(["ps", "--format", "json", &container.id]).go().ok().trim(), format!("[{pid}]"));
    container.exec_call(&["-d"], &["sleep", "1001"]).go().ok();
    let pids: Vec<i32> = serde_json::from_str(&rt.call(["ps", "-f", "json", &container.id]).go().ok()).unwrap();
    assert_eq!(pids.len(), 2);
    assert!(pids.contains(&pid));
}

#[test]
fn ps_table() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let table = rt.call(["ps", &container.id]).go().ok();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].split_whitespace().any(|cell| cell == "PID"), "{table}");
    assert!(lines[1].contains(&container.pid().to_string()) && lines[1].contains("sleep 1000"), "{table}");
    let chosen = rt.call(["ps", &container.id, "-o", "pid,comm"]).go().ok();
    assert_eq!(
        chosen.split_whitespace().collect::<Vec<_>>(),
        ["PID", "COMMAND", &container.pid().to_string(), "sleep"]
    );
    rt.call(["ps", &container.id, "-o", "comm"]).go().exits(1).says("PID").one_line();
}

#[test]
fn ps_of_a_stopped_container_is_empty() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.stop();
    let text = rt.call(["ps", "-f", "json", &container.id]).go().word();
    assert!(text == "[]" || text == "null", "{text}");
}

#[test]
fn features_is_the_specs_json() {
    let rt = Runtime::new();
    let text = rt.call(["features"]).go().ok();
    let features: Value = serde_json::from_str(&text).unwrap();
    assert!(text.starts_with("{\n    \""), "indented by four: {text}");
    assert!(features["ociVersionMin"].as_str().unwrap().starts_with("1."));
    assert!(features["ociVersionMax"].as_str().unwrap().starts_with("1."));
    let has = |pointer: &str, value: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer} in {text}"));
        assert!(list.iter().any(|entry| entry == value), "{value} in {pointer}: {list:?}");
    };
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        has("/hooks", hook);
    }
    for option in ["bind", "rbind", "ro", "rro", "rw", "nosuid", "rslave", "tmpcopyup", "nosymfollow", "lazytime"] {
        has("/mountOptions", option);
    }
    for kind in ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] {
        has("/linux/namespaces", kind);
    }
    has("/linux/capabilities", "CAP_CHECKPOINT_RESTORE");
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"] {
        has("/linux/seccomp/actions", action);
    }
    has("/linux/seccomp/operators", "SCMP_CMP_MASKED_EQ");
    has("/linux/seccomp/archs", "SCMP_ARCH_X86_64");
    has("/linux/seccomp/knownFlags", "SECCOMP_FILTER_FLAG_LOG");
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
}

#[test]
fn spec_writes_a_bundle_that_runs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    rt.call(["spec"]).cwd(bundle.dir()).go().ok();
    let text = std::fs::read_to_string(bundle.dir().join("config.json")).unwrap();
    bundle.config = serde_json::from_str(&text).unwrap();
    assert_eq!(bundle.config["process"]["terminal"], true);
    assert_eq!(bundle.config["process"]["args"], json!(["sh"]));
    bundle.set("/process/terminal", json!(false)).args(&["echo", "from spec"]);
    bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
    assert_eq!(rt.run(&bundle).ok(), "from spec\n");
    let again = rt.call(["spec", "--bundle"]).arg(bundle.dir()).go().exits(1);
    again.says("File config.json exists. Remove it first").one_line();
}

#[test]
fn spec_rootless_has_a_user_namespace() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    rt.call(["spec", "--rootless", "-b"]).arg(bundle.dir()).go().ok();
    let config: Value = serde_json::from_slice(&std::fs::read(bundle.dir().join("config.json")).unwrap()).unwrap();
    let namespaces = config["linux"]["namespaces"].as_array().unwrap();
    assert!(namespaces.iter().any(|ns| ns["type"] == "user"));
    assert!(!namespaces.iter().any(|ns| ns["type"] == "network"));
    assert_eq!(config["linux"]["uidMappings"], json!([{"containerID": 0, "hostID": 0, "size": 1}]));
    assert!(config["linux"].get("resources").is_none());
}

#[test]
fn version_is_what_engines_parse() {
    for flag in ["--version", "-v"] {
        let text = Call::new(binary::path()).arg(flag).go().ok();
        let lines: Vec<_> = text.lines().collect();
        let mut words = lines[0].split(' ');
        assert!(words.next().is_some(), "{text}");
        assert_eq!(words.next(), Some("version"), "{text}");
        assert!(words.next().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())), "{text}");
        assert!(lines[1].starts_with("commit: "), "{text}");
        assert!(lines[2].starts_with("spec: 1."), "{text}");
    }
}

#[test]
fn help_names_every_verb() {
    for args in [&["--help"][..], &["help"], &["-h"]] {
        let text = Call::new(binary::path()).args(args).go().ok();
        for verb in [
            "create", "start", "run", "state", "kill", "delete", "exec", "ps", "list", "pause", "resume", "update",
            "events", "spec", "features",
        ] {
            assert!(text.contains(verb), "{verb} in {text}");
        }
    }
    let text = Call::new(binary::path()).args(["exec", "--help"]).go().ok();
    assert!(text.contains("--additional-gids") || text.contains("additional-gids"), "{text}");
}

#[test]
fn an_unknown_command_is_3() {
    let output = Call::new(binary::path()).arg("frobnicate").go().exits(3);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("No help topic for 'frobnicate'"), "{output}");
}
