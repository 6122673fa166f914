//! Rules of config.json's top level: version, root, host and domain name, annotations.

use super::Faults;
use super::namespaces::has;
use crate::config::Config;
use crate::spec::given;

/// The longest host or domain name of sethostname(2), in bytes.
const LONGEST_UTS_NAME: usize = 64;

pub(super) fn version_is_supported(config: &Config, faults: &mut Faults) {
    let version = &config.oci_version;
    if version.is_empty() {
        return faults.error("ociVersion", "the version of the specification is required");
    }
    match major(version) {
        None => faults.error("ociVersion", format_args!("{version:?} is not a semantic version such as 1.3.0")),
        Some(1) => (),
        Some(_) => {
            faults.error("ociVersion", format_args!("version {version} of the specification is not supported, 1.x is"))
        }
    }
}

/// The major number of a version in the form of semver.org, 2.0.0.
fn major(version: &str) -> Option<u64> {
    let (version, build) = version.split_once('+').unwrap_or((version, "0"));
    let (core, pre_release) = version.split_once('-').unwrap_or((version, "0"));
    let identifier = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        digits.parse::<u64>().ok().filter(|_| plain)
    };
    let numbers: Option<Vec<u64>> = core.split('.').map(number).collect();
    let tails = [build, pre_release].iter().all(|tail| tail.split('.').all(identifier));
    numbers.filter(|numbers| numbers.len() == 3 && tails).map(|numbers| numbers[0])
}

pub(super) fn root_is_given(config: &Config, faults: &mut Faults) {
    match &config.root {
        None => faults.error("root", "a root filesystem is required"),
        Some(root) => faults.require(!root.path.is_empty(), "root.path", "the path of the root filesystem is required"),
    }
}

pub(super) fn names_have_their_uts_namespace(config: &Config, faults: &mut Faults) {
    let names = [("hostname", "host name", &config.hostname), ("domainname", "domain name", &config.domainname)];
    for (field, words, name) in names {
        let Some(name) = given(name) else { continue };
        let own = has(config, "uts");
        faults.require(own, field, format_args!("the {words} of the host would change: a uts namespace is required"));
        let fits = name.len() <= LONGEST_UTS_NAME;
        faults.require(fits, field, format_args!("the {words} is longer than {LONGEST_UTS_NAME} bytes"));
    }
}

pub(super) fn annotations_have_keys(config: &Config, faults: &mut Faults) {
    faults.require(!config.annotations.contains_key(""), "annotations", "an annotation's key must not be empty");
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"ociVersion": null}"#, "ociVersion", "the version of the specification is required"),
    (r#"{"ociVersion": "1.3"}"#, "ociVersion", r#""1.3" is not a semantic version such as 1.3.0"#),
    (r#"{"ociVersion": "1.03.0"}"#, "ociVersion", r#""1.03.0" is not a semantic version such as 1.3.0"#),
    (r#"{"ociVersion": "1.0.0-"}"#, "ociVersion", r#""1.0.0-" is not a semantic version such as 1.3.0"#),
    (r#"{"ociVersion": "2.0.0"}"#, "ociVersion", "version 2.0.0 of the specification is not supported, 1.x is"),
    (r#"{"ociVersion": "0.6.0-dev"}"#, "ociVersion", "version 0.6.0-dev of the specification is not supported, 1.x is"),
    (r#"{"ociVersion": "1.0.2-dev"}"#, "", ""),
    (r#"{"ociVersion": "1.9.0-rc.1+build.5"}"#, "", ""),
    (r#"{"root": null}"#, "root", "a root filesystem is required"),
    (r#"{"root": {"path": ""}}"#, "root.path", "the path of the root filesystem is required"),
    (
        r#"{"hostname": "box", "linux": {"namespaces": []}}"#,
        "hostname",
        "the host name of the host would change: a uts namespace is required",
    ),
    (
        r#"{"domainname": "box", "linux": {"namespaces": []}}"#,
        "domainname",
        "the domain name of the host would change: a uts namespace is required",
    ),
    (r#"{"hostname": "box", "linux": {"namespaces": [{"type": "uts", "path": "/run/uts"}]}}"#, "", ""),
    (r#"{"hostname": "", "linux": {"namespaces": []}}"#, "", ""),
    (r#"{"hostname": "0123456789012345678901234567890123456789012345678901234567890123"}"#, "", ""),
    (
        r#"{"hostname": "01234567890123456789012345678901234567890123456789012345678901234"}"#,
        "hostname",
        "the host name is longer than 64 bytes",
    ),
    (r#"{"annotations": {"": "x"}}"#, "annotations", "an annotation's key must not be empty"),
    (r#"{"annotations": {"x": ""}}"#, "", ""),
];
