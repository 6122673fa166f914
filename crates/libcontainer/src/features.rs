//! What hull knows, in the structure of features.md and features-linux.md: read off the tables by which it works.

use crate::config::Map;
use crate::plan::{self, options};
use crate::seccomp::{self, names as filter};
use crate::spec::names;
use crate::state::oci;
use serde::Serialize;

/// What this build of hull is made for; whether the machine has it is another question. Serialized it is the specification's
/// features document, keys in its order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The oldest version of the specification that a config may name.
    pub oci_version_min: &'static str,
    /// The newest one whose fields are known.
    pub oci_version_max: &'static str,
    /// The kinds of hook, in the order of a container's life.
    pub hooks: Vec<&'static str>,
    /// The mount options that are not passed on to a filesystem.
    pub mount_options: Vec<&'static str>,
    /// features-linux.md.
    pub linux: Linux,
    /// Free text: versions of what hull is made of. A program that embeds the library adds its own.
    pub annotations: Map<String>,
    /// The annotations (with a dot at the end: their prefix) by which a config asks for more than its fields show. Engines that pass
    /// on annotations of strangers filter these.
    pub potentially_unsafe_config_annotations: &'static [&'static str],
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(missing_docs)] // the fields are the specification's, by its names
        pub struct $name { $(pub $field: $type,)* }
    )*};
}

parts! {
    /// features-linux.md.
    Linux {
        namespaces: Vec<&'static str>,
        capabilities: Vec<&'static str>,
        cgroup: Cgroup,
        seccomp: Seccomp,
        apparmor: Enabled,
        selinux: Enabled,
        intel_rdt: IntelRdt,
        memory_policy: MemoryPolicy,
        mount_extensions: MountExtensions,
        net_devices: Enabled,
    }
    /// Cgroup managers and controllers.
    Cgroup { v1: bool, v2: bool, systemd: bool, systemd_user: bool, rdma: bool, }
    /// Names of `linux.seccomp`; the supported flags are those of the running kernel.
    Seccomp {
        enabled: bool,
        actions: Vec<&'static str>,
        operators: Vec<&'static str>,
        archs: Vec<&'static str>,
        known_flags: Vec<&'static str>,
        supported_flags: Vec<&'static str>,
    }
    /// Something that is there as a whole, or not.
    Enabled { enabled: bool, }
    /// `linux.intelRdt`.
    IntelRdt { enabled: bool, schemata: bool, monitoring: bool, }
    /// Names of `linux.memoryPolicy`.
    MemoryPolicy { modes: Vec<&'static str>, flags: Vec<&'static str>, }
    /// Fields of a mount beyond its options.
    MountExtensions { idmap: Enabled, }
}

impl Features {
    /// The features of this build. Asks the kernel for nothing but the seccomp flags it takes.
    pub fn known() -> Features {
        let intel_rdt = plan::performs("class of service");
        let (major, minor, patch) = seccomp::version();
        Features {
            oci_version_min: oci::OLDEST_VERSION,
            oci_version_max: oci::VERSION,
            hooks: names::HOOKS.names().collect(),
            mount_options: options::known().collect(),
            linux: Linux {
                namespaces: names::NAMESPACES.sorted_names(),
                capabilities: names::CAPABILITIES.names().collect(),
                cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
                seccomp: Seccomp {
                    enabled: true,
                    actions: filter::ACTIONS.iter().map(|action| action.name).collect(),
                    operators: filter::OPERATORS.iter().map(|operator| operator.name).collect(),
                    archs: filter::supported_architectures(),
                    known_flags: filter::FLAGS.iter().map(|flag| flag.name).collect(),
                    supported_flags: filter::supported_flags(),
                },
                apparmor: Enabled { enabled: true },
                selinux: Enabled { enabled: true },
                intel_rdt: IntelRdt { enabled: intel_rdt, schemata: intel_rdt, monitoring: intel_rdt },
                memory_policy: MemoryPolicy {
                    modes: names::MEMORY_POLICY_MODES.names().collect(),
                    flags: names::MEMORY_POLICY_FLAGS.names().collect(),
                },
                mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
                net_devices: Enabled { enabled: plan::performs("network devices") },
            },
            annotations: Map::from([(
                "io.github.seccomp.libseccomp.version".to_owned(),
                format!("{major}.{minor}.{patch}"),
            )]),
            potentially_unsafe_config_annotations: names::UNSAFE_ANNOTATIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_null_and_every_list_has_names_once() {
        fn look(at: &str, value: &serde_json::Value) {
            match value {
                serde_json::Value::Null => panic!("{at} is null"),
                serde_json::Value::Object(object) => {
                    object.iter().for_each(|(key, value)| look(&format!("{at}/{key}"), value))
                }
                serde_json::Value::Array(names) => {
                    let once: std::collections::BTreeSet<_> = names.iter().map(|name| name.as_str().unwrap()).collect();
                    assert!(!names.is_empty() && once.len() == names.len(), "{at}: {names:?}");
                }
                _ => {}
            }
        }
        look("", &serde_json::to_value(Features::known()).unwrap());
    }
}
