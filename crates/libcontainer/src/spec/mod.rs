//! Bundle and Spec: what the caller hands in, parsed and checked. Only the rules can make a Spec.

pub mod annotations;
mod bundle;
mod default;
mod json;
mod lists;
pub mod names;
mod rules;

pub use bundle::Bundle;
pub use default::default_config;
pub use lists::parse_list;
pub use rules::{sysctl_namespace, sysctl_path};

use crate::config::{Config, IntelRdt, Mount, Process, Resources};
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Deref;

/// A config that breaks no rule of the specification. What depends on the machine (a path, a device, a privilege) is not
/// decided here.
#[derive(Clone, Debug)]
pub struct Spec(Config);

impl Spec {
    /// Applies every rule.
    ///
    /// # Errors
    /// All faults at once, each with its field, in the order of the specification's sections.
    pub fn check(mut config: Config) -> std::result::Result<(Spec, Vec<Warning>), Vec<Error>> {
        annotations::settle(&mut config);
        let warnings = rules::check(&config)?;
        Ok((Spec(config), warnings))
    }
}

impl Deref for Spec {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.0
    }
}

/// Something in a config that will not be done as written, and for which the specification wants no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The field of config.json, as `process.capabilities.bounding[3]`.
    pub field: String,
    /// One line for people, without the field.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.field)
    }
}

/// Reads the file of `exec --process`; `what` names the file in errors. Fields are named as in config.json (`process.cwd`).
///
/// # Errors
/// The first fault, under the same rules as a bundle's process.
pub fn parse_process(bytes: &[u8], what: &str) -> Result<Process> {
    let process: Process = json::parse(bytes, what, "process.")?;
    let config = Config { process: Some(process), ..Config::default() };
    rules::check_process(&config)?;
    config.process.ok_or_else(|| Error::spec("process", "a process is required"))
}

/// Checks a process that did not come out of a config, by the rules for `process` in one.
///
/// # Errors
/// The first rule that is broken, with its field.
pub fn check_process(process: &Process) -> Result<()> {
    rules::check_process(&Config { process: Some(process.clone()), ..Config::default() })
}

/// Reads the file of `update --resources`. Fields are named as in config.json (`linux.resources.memory.limit`).
///
/// # Errors
/// The first fault, under the same rules as a bundle's resources.
pub fn parse_resources(bytes: &[u8]) -> Result<Resources> {
    let resources: Resources = json::parse(bytes, "the resources", "linux.resources.")?;
    let mut config = Config::default();
    config.linux.resources = Some(resources);
    rules::check_resources(&config)?;
    Ok(config.linux.resources.unwrap_or_default())
}

/// Checks what `update` asks of a class of service, by the rules for `linux.intelRdt` in a config.
///
/// # Errors
/// The first rule that is broken, with its field.
pub fn check_class(rdt: &IntelRdt) -> Result<()> {
    let mut config = Config::default();
    config.linux.intel_rdt = Some(rdt.clone());
    rules::check_class(&config)
}

/// Whether a mount binds existing files instead of mounting a filesystem: by its options, or by the type `bind`, which
/// some engines write without the option.
pub fn is_bind(mount: &Mount) -> bool {
    mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// A string of config.json that counts as absent when it is empty, as Go's `omitempty` writes it.
pub fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_reads_a_process_under_the_same_rules_and_names() {
        let text = |json: &str| parse_process(json.as_bytes(), "p.json").unwrap_err().to_string();
        assert_eq!(text(r#"{"args": ["sh"]}"#), "a working directory is required (process.cwd)");
        assert_eq!(text(r#"{"cwd": "/"}"#), "a program to run is required (process.args)");
        assert_eq!(text("{"), "p.json is not JSON: EOF while parsing an object at line 1 column 1");
        let wrong = "p.json: invalid type: integer `1`, expected a string at line 1 column 11 (process.args[0])";
        assert_eq!(text(r#"{"args": [1]}"#), wrong);
        let process = parse_process(br#"{"args": ["sh"], "cwd": "/", "user": {"uid": 5}}"#, "p.json").unwrap();
        assert_eq!(process.user.uid, 5);
    }

    #[test]
    fn update_reads_resources_under_the_same_rules_and_names() {
        let error = parse_resources(br#"{"pids": {"limit": -5}}"#).unwrap_err();
        assert_eq!(error.config_field(), Some("linux.resources.pids.limit"));
        let error = parse_resources(br#"{"cpu": {"shares": -5}}"#).unwrap_err();
        assert_eq!(error.config_field(), Some("linux.resources.cpu.shares"));
        assert_eq!(parse_resources(br#"{"pids": {"limit": 7}}"#).unwrap().pids.and_then(|pids| pids.limit), Some(7));
    }

    #[test]
    fn a_mount_is_bound_by_option_or_by_type() {
        let mount = |kind: &str, option: &str| Mount {
            kind: Some(kind.to_owned()),
            options: vec![option.to_owned()],
            ..Mount::default()
        };
        assert!(is_bind(&mount("none", "rbind")) && is_bind(&mount("none", "bind")) && is_bind(&mount("bind", "ro")));
        assert!(!is_bind(&mount("tmpfs", "ro")));
    }
}
