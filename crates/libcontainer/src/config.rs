//! config.json as serde sees it: every field of runtime-spec 1.3 for Linux, with names kept as text.
//!
//! The `oci-spec` crate is not used here on purpose. It turns names into closed enums, so that a name it does not know
//! (a capability of a newer kernel, which the specification wants warned about) ends the whole parse, without the
//! field's path; and a config could then never be reported with all its faults at once. Here a parse fails on types
//! alone; what the names mean is decided in [`crate::spec`].

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Go encodes an empty slice or map as `null`; engines write such configs.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// serde reads a struct from an array as well, field by field; config.json has objects only.
struct Object<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Declares structs of config.json: camelCase, absent and null read as the default, defaults not written back. Fields after
/// a semicolon are numbers and truth values the specification requires: there is no default which could be told from a
/// value, so their absence ends the parse as a wrong type does. (What else is required, the rules see to.)
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$attr:meta])* $field:ident: $type:ty,)*
        $(; $($(#[$required_attr:meta])* $required:ident: $required_type:ty,)*)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", remote = "Self")]
        #[allow(missing_docs)] // the fields are the specification's, by its names
        pub struct $name {
            $($(#[$attr])* #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")] pub $field: $type,)*
            $($($(#[$required_attr])* pub $required: $required_type,)*)?
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $name::deserialize(Object(d))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, s)
            }
        }
    )*};
}

/// A map with a stable order, so that output and plans can be compared.
pub type Map<T> = BTreeMap<String, T>;

objects! {
    /// The whole file: config.md.
    Config {
        oci_version: String,
        process: Option<Process>,
        root: Option<Root>,
        hostname: Option<String>,
        domainname: Option<String>,
        mounts: Vec<Mount>,
        hooks: Hooks,
        annotations: Map<String>,
        linux: Linux,
    }
    /// config.md#root.
    Root { path: String, readonly: bool, }
    /// config.md#mounts.
    Mount {
        destination: String,
        #[serde(rename = "type")] kind: Option<String>,
        source: Option<String>,
        options: Vec<String>,
        #[serde(rename = "uidMappings")] uid_mappings: Vec<IdMapping>,
        #[serde(rename = "gidMappings")] gid_mappings: Vec<IdMapping>,
    }
    /// config.md#process; also the file that `exec --process` reads.
    Process {
        terminal: bool,
        console_size: Option<ConsoleSize>,
        cwd: String,
        env: Vec<String>,
        args: Option<Vec<String>>,
        command_line: Option<String>,
        rlimits: Vec<Rlimit>,
        apparmor_profile: Option<String>,
        capabilities: Option<Capabilities>,
        no_new_privileges: bool,
        oom_score_adj: Option<i64>,
        scheduler: Option<Scheduler>,
        selinux_label: Option<String>,
        io_priority: Option<IoPriority>,
        #[serde(rename = "execCPUAffinity")] exec_cpu_affinity: Option<CpuAffinity>,
        user: User,
    }
    /// Characters, not pixels.
    ConsoleSize { ; height: u64, width: u64, }
    /// setrlimit(2); the type is `RLIMIT_NOFILE` and its like.
    Rlimit { #[serde(rename = "type")] kind: String, ; soft: u64, hard: u64, }
    /// capabilities(7), by the kernel's names.
    Capabilities { bounding: Vec<String>, effective: Vec<String>, inheritable: Vec<String>, permitted: Vec<String>, ambient: Vec<String>, }
    /// sched_setattr(2).
    Scheduler { policy: String, nice: i32, priority: i32, flags: Vec<String>, runtime: u64, deadline: u64, period: u64, }
    /// ioprio_set(2).
    IoPriority { class: String, ; priority: i32, }
    /// CPU lists, as `0-3,7`.
    CpuAffinity { initial: Option<String>, #[serde(rename = "final")] last: Option<String>, }
    /// config.md#user, POSIX platform.
    User { uid: u32, gid: u32, umask: Option<u32>, additional_gids: Vec<u32>, username: Option<String>, }
    /// config.md#posix-platform-hooks.
    Hooks {
        prestart: Vec<Hook>,
        create_runtime: Vec<Hook>,
        create_container: Vec<Hook>,
        start_container: Vec<Hook>,
        poststart: Vec<Hook>,
        poststop: Vec<Hook>,
    }
    /// One program to call; the timeout is in seconds.
    Hook { path: String, args: Vec<String>, env: Vec<String>, timeout: Option<i64>, }
    /// config-linux.md.
    Linux {
        namespaces: Vec<Namespace>,
        uid_mappings: Vec<IdMapping>,
        gid_mappings: Vec<IdMapping>,
        time_offsets: Map<TimeOffset>,
        devices: Vec<Device>,
        net_devices: Map<NetDevice>,
        cgroups_path: Option<String>,
        resources: Option<Resources>,
        intel_rdt: Option<IntelRdt>,
        memory_policy: Option<MemoryPolicy>,
        sysctl: Map<String>,
        seccomp: Option<Seccomp>,
        rootfs_propagation: Option<String>,
        masked_paths: Vec<String>,
        readonly_paths: Vec<String>,
        mount_label: Option<String>,
        personality: Option<Personality>,
    }
    /// A namespace to make, or with a path to join.
    Namespace { #[serde(rename = "type")] kind: String, path: Option<String>, }
    /// One line of user_namespaces(7)'s id maps.
    IdMapping { ; #[serde(rename = "containerID")] container_id: u32, #[serde(rename = "hostID")] host_id: u32, size: u32, }
    /// time_namespaces(7).
    TimeOffset { secs: i64, nanosecs: u32, }
    /// A device file to make.
    Device {
        #[serde(rename = "type")] kind: String,
        path: String,
        major: Option<i64>,
        minor: Option<i64>,
        file_mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
    }
    /// A host interface to move into the container, under its new name.
    NetDevice { name: Option<String>, }
    /// Intel's resource director technology.
    IntelRdt {
        #[serde(rename = "closID")] clos_id: Option<String>,
        l3_cache_schema: Option<String>,
        mem_bw_schema: Option<String>,
        schemata: Vec<String>,
        enable_monitoring: bool,
    }
    /// set_mempolicy(2).
    MemoryPolicy { mode: String, nodes: Option<String>, flags: Vec<String>, }
    /// personality(2).
    Personality { domain: String, flags: Vec<String>, }

    /// config-linux.md#control-groups; also what `update --resources` reads.
    Resources {
        devices: Vec<DeviceRule>,
        memory: Option<Memory>,
        cpu: Option<Cpu>,
        pids: Option<Pids>,
        #[serde(rename = "blockIO")] block_io: Option<BlockIo>,
        hugepage_limits: Vec<HugepageLimit>,
        network: Option<Network>,
        rdma: Map<Rdma>,
        unified: Map<String>,
    }
    /// One rule of the device cgroup.
    DeviceRule { #[serde(rename = "type")] kind: Option<String>, major: Option<i64>, minor: Option<i64>, access: Option<String>, ; allow: bool, }
    /// Bytes; -1 is without limit.
    Memory {
        limit: Option<i64>,
        reservation: Option<i64>,
        swap: Option<i64>,
        kernel: Option<i64>,
        #[serde(rename = "kernelTCP")] kernel_tcp: Option<i64>,
        swappiness: Option<u64>,
        #[serde(rename = "disableOOMKiller")] disable_oom_killer: Option<bool>,
        use_hierarchy: Option<bool>,
        check_before_update: Option<bool>,
    }
    /// Microseconds, except shares.
    Cpu {
        shares: Option<u64>,
        quota: Option<i64>,
        burst: Option<u64>,
        period: Option<u64>,
        realtime_runtime: Option<i64>,
        realtime_period: Option<u64>,
        cpus: Option<String>,
        mems: Option<String>,
        idle: Option<i64>,
    }
    /// -1 is without limit; since 1.3 absent means unchanged and 0 is a limit.
    Pids { limit: Option<i64>, }
    /// Weights 10 to 1000, rates in bytes or operations a second.
    BlockIo {
        weight: Option<u16>,
        leaf_weight: Option<u16>,
        weight_device: Vec<WeightDevice>,
        throttle_read_bps_device: Vec<ThrottleDevice>,
        throttle_write_bps_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleReadIOPSDevice")] throttle_read_iops_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleWriteIOPSDevice")] throttle_write_iops_device: Vec<ThrottleDevice>,
    }
    /// A weight for one device.
    WeightDevice { weight: Option<u16>, leaf_weight: Option<u16>, ; major: i64, minor: i64, }
    /// A rate for one device.
    ThrottleDevice { ; major: i64, minor: i64, rate: u64, }
    /// `pageSize` as `2MB`, the limit in bytes.
    HugepageLimit { page_size: String, ; limit: u64, }
    /// net_cls and net_prio, v1 only.
    Network { #[serde(rename = "classID")] class_id: Option<u32>, priorities: Vec<InterfacePriority>, }
    /// A priority for one interface.
    InterfacePriority { name: String, ; priority: u32, }
    /// Limits of one RDMA device.
    Rdma { hca_handles: Option<u32>, hca_objects: Option<u32>, }

    /// config-linux.md#seccomp.
    Seccomp {
        default_action: String,
        default_errno_ret: Option<u32>,
        architectures: Vec<String>,
        flags: Vec<String>,
        listener_path: Option<String>,
        listener_metadata: Option<String>,
        syscalls: Vec<SeccompRule>,
    }
    /// One action for some system calls.
    SeccompRule { names: Vec<String>, action: String, errno_ret: Option<u32>, args: Vec<SeccompArg>, }
    /// A condition on one argument.
    SeccompArg { value_two: u64, op: String, ; index: u32, value: u64, }
}

impl Process {
    /// The name of its program, empty where none is given.
    pub(crate) fn program(&self) -> &str {
        self.args.as_ref().and_then(|args| args.first()).map_or("", String::as_str)
    }
}

impl Linux {
    /// The memory policy, if it says anything: an empty object, as runc reads it, asks for nothing.
    pub(crate) fn asked_memory_policy(&self) -> Option<&MemoryPolicy> {
        self.memory_policy.as_ref().filter(|policy| **policy != MemoryPolicy::default())
    }
}
