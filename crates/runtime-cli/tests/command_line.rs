//! The program as a caller sees it, where no container is needed: usage, exit codes, where messages go.
#![allow(clippy::unwrap_used)] // also outside the test functions: what cannot be read has failed

use std::path::Path;
use std::process::{Command, Output};

fn hull(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hull")).args(args).env_remove("XDG_RUNTIME_DIR").output().unwrap()
}

/// A root directory nobody has.
const ROOT: &str = "--root=/run/hull-command-line-test";

#[track_caller]
fn fails(args: &[&str], code: i32, message: &str) {
    let output = hull(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    let quoted = message.replace('"', "\\\"");
    assert!(stderr.contains(&quoted) && stderr.contains("level=error"), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

fn stdout(args: &[&str]) -> String {
    let output = hull(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn unknown_verbs_are_3() {
    fails(&["bogus"], 3, "No help topic for 'bogus'");
    fails(&["help", "bogus"], 3, "No help topic for 'bogus'");
    fails(&["--debug", "bogus", "create"], 3, "No help topic for 'bogus'");
}

#[test]
fn wrong_command_lines_are_1() {
    fails(&["--bogus"], 1, "flag provided but not defined: -bogus");
    fails(&["create", "--bogus", "c"], 1, "flag provided but not defined: -bogus");
    fails(&["create", "--bundle"], 1, "flag needs an argument: -bundle");
    fails(&["create"], 1, "\"create\" requires exactly 1 argument(s)");
    fails(&["run", "a", "b"], 1, "\"run\" requires exactly 1 argument(s)");
    fails(&["kill"], 1, "\"kill\" requires a minimum of 1 argument(s)");
    fails(&["kill", "a", "9", "b"], 1, "\"kill\" requires a maximum of 2 argument(s)");
    fails(&["exec"], 1, "\"exec\" requires a minimum of 1 argument(s)");
    fails(&["exec", "--preserve-fds=x", "c", "ls"], 1, "invalid value \"x\" for flag -preserve-fds: parse error");
    fails(&["list", "c"], 1, "\"list\" requires exactly 0 argument(s)");
    fails(&["--root", "/", "list"], 1, "Option --root argument should not be set to /");
    fails(&["--log-format", "xml", "list"], 1, "invalid log-format: xml");
    fails(&["--rootless", "perhaps", "list"], 1, "invalid value \"perhaps\" for --rootless");
    fails(&["--log", "/no/such/dir/log", "list"], 1, "open log file \"/no/such/dir/log\": no such file or directory");
    fails(&["checkpoint", "--leave-running", "c"], 1, "checkpoint is not supported yet");
    fails(&["restore", "-no-subreaper", "--bundle", "/b", "c"], 1, "restore is not supported yet");
}

#[test]
fn help_is_for_the_program_and_for_each_verb() {
    let program = stdout(&["--help"]);
    for same in [&["help"][..], &["h"], &["-h"], &[], &["--debug"]] {
        assert_eq!(stdout(same), program, "{same:?}");
    }
    for verb in program.lines().skip_while(|line| *line != "Verbs:").skip(1).take_while(|line| !line.is_empty()) {
        let verb = verb.split_whitespace().next().unwrap();
        if verb != "help" {
            let text = stdout(&["help", verb]);
            assert!(text.starts_with(&format!("hull {verb} - ")), "{text}");
            assert_eq!(stdout(&[verb, "--help"]), text);
            assert_eq!(stdout(&[verb, "-h"]), text);
        }
    }
}

#[test]
fn version_has_its_lines_in_order() {
    let text = stdout(&["--version"]);
    assert_eq!(stdout(&["-v"]), text);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], concat!("hull version ", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].strip_prefix("commit: ").is_some_and(|commit| !commit.is_empty()), "{text}");
    assert_eq!(lines[2], "spec: 1.3.0");
    assert!(lines[3].starts_with("rust: 1."), "{text}");
}

#[test]
fn errors_go_to_the_log_as_one_object_and_bare_to_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for count in 1..3 {
        let output = hull(&[ROOT, "--log", log.to_str().unwrap(), "--log-format", "json", "list", "-f", "yaml"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "invalid format option\n");
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), count);
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&object["level"], &object["msg"]), (&"error".into(), &"invalid format option".into()));
        }
    }
    use std::os::unix::fs::PermissionsExt;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    let mode = 0o644 & !u32::from_str_radix(umask.trim(), 8).unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o7777, mode);
}

#[test]
fn a_closed_stream_is_nobody_elses_number() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = r#"exec "$0" "$@" <&- >&- 2>&-"#;
    let args = [ROOT, "--log", log.to_str().unwrap(), "--log-format", "json", "list", "-f", "yaml"];
    let status = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_hull")]).args(args).status().unwrap();
    assert_eq!(status.code(), Some(1));
    // With standard error's number, the log would have got the bare message too.
    let text = std::fs::read_to_string(&log).unwrap();
    let object: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(object["msg"], "invalid format option");
}

#[test]
fn called_as_runc_it_speaks_as_runc() {
    let dir = tempfile::tempdir().unwrap();
    let runc = dir.path().join("runc");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hull"), &runc).unwrap();
    let said = |program: &Path, args: &[&str]| {
        String::from_utf8(Command::new(program).args(args).output().unwrap().stderr).unwrap()
    };
    let args = [ROOT, "run", "--bundle", "/no/such/bundle", "c"];
    assert!(said(&runc, &args).contains("runc run failed: "));
    assert!(said(Path::new(env!("CARGO_BIN_EXE_hull")), &args).contains("hull run failed: "));
}

#[test]
fn spec_writes_a_config_and_overwrites_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert_eq!(stdout(&["spec", "--bundle", path]), "");
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
    fails(&["spec", "-b", path], 1, "File config.json exists. Remove it first");
    fails(&["spec", "-b", "/no/such/dir"], 1, "no such file or directory");
    let rootless = tempfile::tempdir().unwrap();
    stdout(&["spec", "--rootless", "--bundle", rootless.path().to_str().unwrap()]);
    let config = std::fs::read_to_string(rootless.path().join("config.json")).unwrap();
    assert!(config.contains("uidMappings"), "{config}");
}
