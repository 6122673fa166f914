//! Bundle and Spec: what the caller hands in, parsed and checked. Only the rules can make a Spec.

mod bundle;
mod default;
mod json;
mod lists;
pub mod names;
mod rules;

pub use bundle::Bundle;
pub use default::default_config;
pub use lists::parse_list;
pub use rules::sysctl_path;

use crate::config::{Config, Mount, Process, Resources};
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
    pub fn check(config: Config) -> std::result::Result<(Spec, Vec<Warning>), Vec<Error>> {
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

/// Whether a mount binds existing files instead of mounting a filesystem: by its options, or by the type `bind`, which
/// some engines write without the option.
pub fn is_bind(mount: &Mount) -> bool {
    mount.kind.as_deref() == Some("bind") || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// A string of config.json that counts as absent when it is empty, as Go's `omitempty` writes it.
pub fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}
