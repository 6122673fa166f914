//! Where errors go: standard error, the text log, the JSON log; one error is one object.

use integration::{Output, Runtime, Value, json};
use std::path::Path;

fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn broken(rt: &Runtime, verb: &str, globals: &[&str]) -> Output {
    let mut bundle = rt.bundle();
    bundle.args(&["nosuchprogram"]).write();
    rt.call(globals).args([verb, "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go()
}

#[test]
fn json_log_is_one_object() {
    for verb in ["create", "run"] {
        let rt = Runtime::new();
        let log = rt.path("log.json");
        let output = broken(&rt, verb, &["--log", log.to_str().unwrap(), "--log-format", "json"]).exits(1);
        // podman reads the whole file as one object.
        let object: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
        assert_eq!(object["level"], "error");
        let message = object["msg"].as_str().unwrap();
        assert!(message.contains("executable file not found in $PATH"), "{message}");
        assert!(message.contains("nosuchprogram"), "{message}");
        assert!(message.contains(&format!(" {verb} failed: ")), "{message}");
        let time = object["time"].as_str().unwrap();
        assert!(time.starts_with("20") && time.contains('T'), "{time}");
        assert!(output.stderr.contains(message), "the bare message goes to standard error: {output}");
        output.one_line();
    }
}

#[test]
fn json_log_is_appended_to() {
    let rt = Runtime::new();
    let log = rt.path("log.json");
    for _ in 0..3 {
        let flags = ["--log", log.to_str().unwrap(), "--log-format", "json", "state", "nobody"];
        rt.call(flags).go().exits(1).says("container does not exist").one_line();
    }
    let objects = objects(&log);
    assert_eq!(objects.len(), 3, "{objects:?}");
    assert!(objects.iter().all(|object| object["msg"] == "container does not exist"), "{objects:?}");
}

#[test]
fn a_success_logs_nothing() {
    let rt = Runtime::new();
    let log = rt.path("log.json");
    let flags = ["--log", log.to_str().unwrap(), "--log-format", "json"];
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    rt.call(flags).args(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().ok();
    rt.call(flags).args(["start", rt.tag()]).go().ok();
    rt.call(flags).args(["exec", rt.tag(), "true"]).go().ok();
    rt.call(flags).args(["delete", "--force", rt.tag()]).go().ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), "");
}

#[test]
fn text_log_has_its_form() {
    let rt = Runtime::new();
    let log = rt.path("log.txt");
    let output = rt.call(["--log", log.to_str().unwrap(), "state", "nobody"]).go().exits(1);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("time=\"20"), "{text}");
    assert!(text.contains(" level=error msg=\"container does not exist\"\n"), "{text}");
    assert_eq!(output.stderr, "container does not exist\n");
}

#[test]
fn without_a_log_file_standard_error_has_the_line() {
    let rt = Runtime::new();
    let output = rt.call(["state", "nobody"]).go().exits(1).one_line();
    assert!(output.stderr.contains("level=error"), "{output}");
    let output = rt.call(["--log-format", "json", "state", "nobody"]).go().exits(1).one_line();
    let object: Value = serde_json::from_str(&output.stderr).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!((&object["level"], &object["msg"]), (&json!("error"), &json!("container does not exist")));
}

#[test]
fn an_unknown_format_is_an_error() {
    let rt = Runtime::new();
    rt.call(["--log-format", "xml", "list"]).go().exits(1).says("xml").one_line();
}

#[test]
fn quotes_and_newlines_stay_inside_one_object() {
    let rt = Runtime::new();
    let log = rt.path("log.json");
    let mut bundle = rt.bundle();
    bundle.args(&["no\"such\n\u{1b}[31m\u{e9}"]).write();
    let flags = ["--log", log.to_str().unwrap(), "--log-format", "json", "run", "--bundle"];
    rt.call(flags).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
    let objects = objects(&log);
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert_eq!(objects[0]["level"], "error");
}

#[test]
fn exec_errors_are_logged_too() {
    let rt = Runtime::new();
    let log = rt.path("log.json");
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let flags = ["--log", log.to_str().unwrap(), "--log-format", "json", "exec", &container.id, "nosuchprogram"];
    rt.call(flags).go().exits(255).one_line();
    let objects = objects(&log);
    assert_eq!(objects.len(), 1, "{objects:?}");
    let message = objects[0]["msg"].as_str().unwrap();
    assert!(message.starts_with("exec failed: "), "{message}");
    assert!(message.contains("executable file not found in $PATH"), "{message}");
}

#[test]
fn an_unwritable_log_is_an_error() {
    let rt = Runtime::new();
    rt.call(["--log", "/no/such/dir/log", "list"]).go().exits(1).says("/no/such/dir/log");
}
