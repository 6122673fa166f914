//! Rules against NUL bytes: the kernel reads strings up to a NUL, so that another string than the one written would count.

use super::{Faults, hooks};
use crate::config::Config;
use std::fmt::{Arguments, Display};

/// Notes strings with a NUL byte.
struct Strings<'a>(&'a mut Faults);

impl Strings<'_> {
    fn one(&mut self, field: Arguments<'_>, text: &str) {
        self.0.require(!text.contains('\0'), field, "a string must not contain a NUL byte");
    }

    fn maybe(&mut self, field: Arguments<'_>, text: &Option<String>) {
        self.one(field, text.as_deref().unwrap_or_default());
    }

    fn all(&mut self, field: impl Display, texts: &[String]) {
        for (i, text) in texts.iter().enumerate() {
            self.one(format_args!("{field}[{i}]"), text);
        }
    }

    /// Keys and values; the field of a key with a NUL is the map.
    fn map<'m>(&mut self, field: impl Display, entries: impl Iterator<Item = (&'m String, &'m str)>) {
        for (key, value) in entries {
            if key.contains('\0') {
                self.one(format_args!("{field}"), key);
            } else {
                self.one(format_args!("{field}.{}", key.escape_debug()), value);
            }
        }
    }
}

pub(super) fn top_has_no_nul(config: &Config, faults: &mut Faults) {
    let mut strings = Strings(faults);
    if let Some(root) = &config.root {
        strings.one(format_args!("root.path"), &root.path);
    }
    strings.maybe(format_args!("hostname"), &config.hostname);
    strings.maybe(format_args!("domainname"), &config.domainname);
}

pub(super) fn mounts_have_no_nul(config: &Config, faults: &mut Faults) {
    let mut strings = Strings(faults);
    for (i, mount) in config.mounts.iter().enumerate() {
        strings.one(format_args!("mounts[{i}].destination"), &mount.destination);
        strings.maybe(format_args!("mounts[{i}].type"), &mount.kind);
        strings.maybe(format_args!("mounts[{i}].source"), &mount.source);
        strings.all(format_args!("mounts[{i}].options"), &mount.options);
    }
}

pub(super) fn process_has_no_nul(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    let mut strings = Strings(faults);
    strings.all("process.args", process.args.as_deref().unwrap_or_default());
    strings.one(format_args!("process.cwd"), &process.cwd);
    strings.all("process.env", &process.env);
    strings.maybe(format_args!("process.apparmorProfile"), &process.apparmor_profile);
    strings.maybe(format_args!("process.selinuxLabel"), &process.selinux_label);
}

pub(super) fn hooks_have_no_nul(config: &Config, faults: &mut Faults) {
    let mut strings = Strings(faults);
    for (kind, i, hook) in hooks::all(config) {
        strings.one(format_args!("hooks.{kind}[{i}].path"), &hook.path);
        strings.all(format_args!("hooks.{kind}[{i}].args"), &hook.args);
        strings.all(format_args!("hooks.{kind}[{i}].env"), &hook.env);
    }
}

pub(super) fn linux_has_no_nul(config: &Config, faults: &mut Faults) {
    let linux = &config.linux;
    let mut strings = Strings(faults);
    for (i, namespace) in linux.namespaces.iter().enumerate() {
        strings.maybe(format_args!("linux.namespaces[{i}].path"), &namespace.path);
    }
    for (i, device) in linux.devices.iter().enumerate() {
        strings.one(format_args!("linux.devices[{i}].path"), &device.path);
    }
    strings.maybe(format_args!("linux.cgroupsPath"), &linux.cgroups_path);
    strings.map("linux.sysctl", linux.sysctl.iter().map(|(key, value)| (key, value.as_str())));
    if let Some(rdt) = &linux.intel_rdt {
        strings.maybe(format_args!("linux.intelRdt.closID"), &rdt.clos_id);
        strings.maybe(format_args!("linux.intelRdt.l3CacheSchema"), &rdt.l3_cache_schema);
        strings.maybe(format_args!("linux.intelRdt.memBwSchema"), &rdt.mem_bw_schema);
        strings.all("linux.intelRdt.schemata", &rdt.schemata);
    }
    if let Some(seccomp) = &linux.seccomp {
        strings.maybe(format_args!("linux.seccomp.listenerPath"), &seccomp.listener_path);
        for (i, rule) in seccomp.syscalls.iter().enumerate() {
            strings.all(format_args!("linux.seccomp.syscalls[{i}].names"), &rule.names);
        }
    }
    strings.all("linux.maskedPaths", &linux.masked_paths);
    strings.all("linux.readonlyPaths", &linux.readonly_paths);
    strings.maybe(format_args!("linux.mountLabel"), &linux.mount_label);
}

pub(super) fn resources_have_no_nul(config: &Config, faults: &mut Faults) {
    let Some(resources) = &config.linux.resources else { return };
    let mut strings = Strings(faults);
    let unified = resources.unified.iter().map(|(key, value)| (key, value.as_str()));
    strings.map("linux.resources.unified", unified);
    strings.map("linux.resources.rdma", resources.rdma.keys().map(|key| (key, "")));
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"root": {"path": "a\u0000"}}"#, "root.path", "a string must not contain a NUL byte"),
    (r#"{"hostname": "a\u0000"}"#, "hostname", "a string must not contain a NUL byte"),
    (
        r#"{"mounts": [{"destination": "/a\u0000", "type": "tmpfs"}]}"#,
        "mounts[0].destination",
        "a string must not contain a NUL byte",
    ),
    (
        r#"{"mounts": [{"destination": "/a", "type": "tmpfs", "options": ["nosuid", "size=1\u0000"]}]}"#,
        "mounts[0].options[1]",
        "a string must not contain a NUL byte",
    ),
    (
        r#"{"mounts": [{"destination": "/a", "type": "tmpfs", "source": "\u0000"}]}"#,
        "mounts[0].source",
        "a string must not contain a NUL byte",
    ),
    (r#"{"process": {"args": ["sh", "a\u0000b"]}}"#, "process.args[1]", "a string must not contain a NUL byte"),
    (r#"{"process": {"cwd": "/a\u0000"}}"#, "process.cwd", "a string must not contain a NUL byte"),
    (r#"{"process": {"env": ["A=\u0000"]}}"#, "process.env[0]", "a string must not contain a NUL byte"),
    (
        r#"{"process": {"apparmorProfile": "\u0000"}}"#,
        "process.apparmorProfile",
        "a string must not contain a NUL byte",
    ),
    (
        r#"{"hooks": {"poststop": [{"path": "/a", "args": ["b", "c\u0000"]}]}}"#,
        "hooks.poststop[0].args[1]",
        "a string must not contain a NUL byte",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "pid", "path": "/proc\u0000"}]}}"#,
        "linux.namespaces[0].path",
        "a string must not contain a NUL byte",
    ),
    (r#"{"linux": {"cgroupsPath": "/a\u0000"}}"#, "linux.cgroupsPath", "a string must not contain a NUL byte"),
    (r#"{"linux": {"sysctl": {"net.a": "1\u0000"}}}"#, "linux.sysctl.net.a", "a string must not contain a NUL byte"),
    (r#"{"linux": {"sysctl": {"net.a\u0000": "1"}}}"#, "linux.sysctl", "a string must not contain a NUL byte"),
    (
        r#"{"linux": {"devices": [{"type": "p", "path": "/dev/p\u0000"}]}}"#,
        "linux.devices[0].path",
        "a string must not contain a NUL byte",
    ),
    (r#"{"linux": {"maskedPaths": ["/proc\u0000"]}}"#, "linux.maskedPaths[0]", "a string must not contain a NUL byte"),
    (
        r#"{"linux": {"resources": {"unified": {"memory.high": "1\u0000"}}}}"#,
        "linux.resources.unified.memory.high",
        "a string must not contain a NUL byte",
    ),
];
