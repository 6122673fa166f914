//! The process that `exec` runs: the container's own with what the options change, or one read from a file.

use crate::args::Given;
use crate::failure::Failure;
use libcontainer::config::{Config, Process};

/// The process of the command line, made from the one in the container's config.
pub fn from_options(config: &Config, given: &Given) -> Result<Process, Failure> {
    let mut process = config.process.clone().unwrap_or_default();
    process.args = Some(command(given)?);
    if let Some(cwd) = given.text("cwd") {
        process.cwd = cwd.to_owned();
    }
    if let Some(profile) = given.text("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if let Some(label) = given.text("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    for name in given.texts("cap") {
        add_capability(&mut process, name);
    }
    for variable in given.texts("env") {
        // What an environment without it does to a program is for nobody to find out.
        if variable.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return Err(Failure::new(format!("invalid environment variable {variable:?}: NAME=VALUE is needed")));
        }
        process.env.push(variable.to_owned());
    }
    process.terminal = given.is("tty");
    if given.has("no-new-privs") {
        process.no_new_privileges = given.is("no-new-privs");
    }
    if let Some(user) = given.text("user") {
        let (uid, gid) = user_and_group(user).map_err(Failure::new)?;
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    for gid in given.texts("additional-gids") {
        process.user.additional_gids.push(id("additional gid", gid).map_err(Failure::new)?);
    }
    Ok(process)
}

/// What every process needs, whoever described it.
pub fn check(process: &Process) -> Result<(), Failure> {
    let fault = if process.cwd.is_empty() {
        "Cwd property must not be empty"
    } else if !process.cwd.starts_with('/') {
        "Cwd must be an absolute path"
    } else if process.args.as_ref().is_none_or(Vec::is_empty) {
        "process args cannot be empty"
    } else {
        return Ok(());
    };
    Err(Failure::new(fault))
}

/// What follows the container's id; a `--` between them is no part of it.
fn command(given: &Given) -> Result<Vec<String>, Failure> {
    let rest = given.operands.get(1..).unwrap_or_default();
    let rest = if rest.first().is_some_and(|first| first == "--") { &rest[1..] } else { rest };
    rest.iter()
        .map(|arg| match arg.to_str() {
            Some(arg) => Ok(arg.to_owned()),
            None => Err(Failure::new(format!("argument {arg:?} is not UTF-8"))),
        })
        .collect()
}

/// Adds a capability to the sets that a program gets by itself. Never to the inheritable set: a file with inheritable
/// capabilities would raise the program above its bounds (CVE-2022-29162). The ambient set can only hold what the
/// inheritable one does.
fn add_capability(process: &mut Process, name: &str) {
    let sets = process.capabilities.get_or_insert_default();
    let add = |set: &mut Vec<String>| {
        if !set.iter().any(|known| known == name) {
            set.push(name.to_owned());
        }
    };
    add(&mut sets.bounding);
    add(&mut sets.effective);
    add(&mut sets.permitted);
    if sets.inheritable.iter().any(|known| known == name) {
        add(&mut sets.ambient);
    }
}

/// `UID[:GID]`, strictly in numbers: a part of it read loosely has meant uid 0 (CVE-2026-30892).
fn user_and_group(text: &str) -> Result<(u32, Option<u32>), String> {
    match text.split_once(':') {
        None => Ok((id("uid", text)?, None)),
        Some((uid, gid)) => Ok((id("uid", uid)?, Some(id("gid", gid)?))),
    }
}

/// A user or group id: decimal digits, below the number that stands for none (setuid(2) takes -1 as no change).
fn id(what: &str, text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(number) if digits && number != u32::MAX => Ok(number),
        _ if digits => Err(format!("bad {what}: {text} is above 4294967294")),
        _ => Err(format!("bad {what}: {text:?} is not a number; names are not looked up")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Order;
    use crate::verbs::exec::OPTIONS;

    fn process(config: &str, line: &[&str]) -> Result<Process, String> {
        let given = Given::read(line.iter().map(Into::into), &[OPTIONS], Order::OptionsFirst)?;
        from_options(&serde_json::from_str(config).unwrap(), &given).map_err(|failure| failure.text)
    }

    const CONFIG: &str = r#"{"process": {"cwd": "/", "terminal": true, "args": ["sh"], "env": ["A=1"],
        "user": {"uid": 5, "gid": 6, "additionalGids": [7]}, "noNewPrivileges": true,
        "capabilities": {"bounding": ["CAP_CHOWN"], "inheritable": ["CAP_KILL"]}}}"#;

    #[test]
    fn the_containers_process_with_another_command() {
        let made = process(CONFIG, &["c", "ls", "-l"]).unwrap();
        assert_eq!(made.args.unwrap(), ["ls", "-l"]);
        assert_eq!((made.cwd.as_str(), made.env, made.terminal), ("/", vec!["A=1".into()], false));
        assert_eq!((made.user.uid, made.user.gid, made.user.additional_gids), (5, 6, vec![7]));
        assert!(made.no_new_privileges);
    }

    #[test]
    fn every_option() {
        let line = [
            "--cwd",
            "/tmp",
            "-e",
            "B=2",
            "--env=A=3",
            "-t",
            "-u",
            "1000",
            "-g",
            "8",
            "--additional-gids=9",
            "-c",
            "CAP_CHOWN",
            "--cap",
            "CAP_KILL",
            "--no-new-privs=false",
            "--apparmor",
            "p",
            "--process-label",
            "l",
            "c",
            "--",
            "id",
            "--",
            "-u",
        ];
        let made = process(CONFIG, &line).unwrap();
        assert_eq!(made.args.unwrap(), ["id", "--", "-u"]);
        assert_eq!((made.cwd.as_str(), made.terminal, made.no_new_privileges), ("/tmp", true, false));
        assert_eq!(made.env, ["A=1", "B=2", "A=3"]);
        assert_eq!((made.user.uid, made.user.gid, made.user.additional_gids), (1000, 6, vec![7, 8, 9]));
        let sets = made.capabilities.unwrap();
        assert_eq!(sets.bounding, ["CAP_CHOWN", "CAP_KILL"]);
        assert_eq!((sets.effective, sets.permitted), (sets.bounding.clone(), sets.bounding));
        assert_eq!((sets.inheritable, sets.ambient), (vec!["CAP_KILL".into()], vec!["CAP_KILL".into()]));
        assert_eq!((made.apparmor_profile.as_deref(), made.selinux_label.as_deref()), (Some("p"), Some("l")));
    }

    #[test]
    fn users_are_numbers() {
        for (text, expected) in [("0", (0, 6)), ("1", (1, 6)), ("1:2", (1, 2)), ("4294967294:0", (4_294_967_294, 0))] {
            let user = process(CONFIG, &["-u", text, "c", "id"]).unwrap().user;
            assert_eq!((user.uid, user.gid), expected, "{text}");
        }
        for text in ["x", ":1", "1:", "1:x", "4294967295", "4294967296", "-1", "+1", "1 ", "0x1", "1:2:3", "root:root"]
        {
            let fault = process(CONFIG, &["-u", text, "c", "id"]).unwrap_err();
            assert!(fault.starts_with("bad "), "{text}: {fault}");
        }
        let fault = process(CONFIG, &["-u", "alice", "c", "id"]).unwrap_err();
        assert_eq!(fault, "bad uid: \"alice\" is not a number; names are not looked up");
        for text in ["NOEQUALS", "=1", ""] {
            let fault = process(CONFIG, &["-e", text, "c", "id"]).unwrap_err();
            assert_eq!(fault, format!("invalid environment variable {text:?}: NAME=VALUE is needed"));
        }
        assert!(process(CONFIG, &["-g", "-4", "c", "id"]).unwrap_err().starts_with("bad additional gid"));
    }

    #[test]
    fn what_a_process_needs() {
        let fault = |json: &str| check(&serde_json::from_str(json).unwrap()).err().map(|failure| failure.text);
        assert_eq!(fault(r#"{"cwd": "/", "args": ["a"]}"#), None);
        assert_eq!(fault(r#"{"args": ["a"]}"#).unwrap(), "Cwd property must not be empty");
        assert_eq!(fault(r#"{"cwd": "a", "args": ["a"]}"#).unwrap(), "Cwd must be an absolute path");
        assert_eq!(fault(r#"{"cwd": "/", "args": []}"#).unwrap(), "process args cannot be empty");
        assert_eq!(fault(r#"{"cwd": "/"}"#).unwrap(), "process args cannot be empty");
    }
}
