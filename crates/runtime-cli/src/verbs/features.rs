//! `features`: what hull knows, in the structure of the runtime specification's features.md.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::{json_text, output, version};
use libcontainer::seccomp::names as seccomp;
use libcontainer::spec::names;
use serde_json::{Value, json};

pub const VERB: Verb = Verb {
    name: "features",
    about: "show what hull knows, as JSON",
    operands: "",
    detail: "The structure is that of the runtime specification. It says what hull is made for, not what this machine can do.",
    options: &[HELP],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run,
};

/// The order of the specification's examples.
const FIRST: &[&str] = &[
    "ociVersionMin",
    "ociVersionMax",
    "hooks",
    "mountOptions",
    "linux",
    "namespaces",
    "capabilities",
    "cgroup",
    "seccomp",
    "apparmor",
    "selinux",
    "intelRdt",
    "memoryPolicy",
    "mountExtensions",
    "netDevices",
    "enabled",
    "v1",
    "v2",
    "actions",
    "operators",
    "archs",
    "modes",
];

fn run(_: &Globals, _: &Given) -> Outcome {
    output::print(&json_text::pretty(&features(), "    ", FIRST))?;
    Ok(0)
}

/// Annotations by which a config asks for more than its fields show. Engines that pass on annotations of strangers
/// filter these.
const UNSAFE_ANNOTATIONS: &[&str] = &["bundle", "org.systemd.property.", "org.criu.config"];

fn features() -> Value {
    let mut mount_options: Vec<_> = libcontainer::plan::options::known().collect();
    mount_options.sort_unstable();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": version::SPEC,
        "hooks": names::HOOKS.names().collect::<Vec<_>>(),
        "mountOptions": mount_options,
        "linux": {
            "namespaces": names::NAMESPACES.sorted_names(),
            "capabilities": names::CAPABILITIES.names().collect::<Vec<_>>(),
            "cgroup": { "v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": seccomp::ACTIONS.iter().map(|action| action.name).collect::<Vec<_>>(),
                "operators": seccomp::OPERATORS.iter().map(|operator| operator.name).collect::<Vec<_>>(),
                "archs": seccomp::supported_architectures(),
                "knownFlags": seccomp::FLAGS.iter().map(|flag| flag.name).collect::<Vec<_>>(),
                "supportedFlags": seccomp::supported_flags(),
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": names::MEMORY_POLICY_MODES.names().collect::<Vec<_>>(),
                "flags": names::MEMORY_POLICY_FLAGS.names().collect::<Vec<_>>(),
            },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "io.github.hull-oci.hull.version": version::VERSION,
            "io.github.hull-oci.hull.commit": version::COMMIT,
            "io.github.seccomp.libseccomp.version": version::libseccomp(),
            "org.opencontainers.runc.checkpoint.enabled": "false",
        },
        "potentiallyUnsafeConfigAnnotations": UNSAFE_ANNOTATIONS,
    })
}
