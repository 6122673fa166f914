//! Rules of the rest of `linux`: resctrl, memory policy, propagation, hidden paths, personality.

use super::Faults;
use super::namespaces::has;
use crate::config::{Config, MemoryPolicy};
use crate::spec::{given, names, parse_list};

pub(super) fn clos_id_is_a_name(config: &Config, faults: &mut Faults) {
    let Some(id) = config.linux.intel_rdt.as_ref().and_then(|rdt| given(&rdt.clos_id)) else { return };
    // `/` alone is the default class, at the root of the file system.
    let name = id == "/" || (id != "." && id != ".." && !id.contains('/'));
    faults.require(name, "linux.intelRdt.closID", format_args!("{id:?} cannot be the name of a class of service"));
}

pub(super) fn schemata_are_lines(config: &Config, faults: &mut Faults) {
    let Some(rdt) = &config.linux.intel_rdt else { return };
    if given(&rdt.l3_cache_schema).is_some_and(|schema| !schema.starts_with("L3")) {
        faults.warn("linux.intelRdt.l3CacheSchema", "the schema should start with L3:");
    }
    if let Some(schema) = given(&rdt.mem_bw_schema) {
        let field = "linux.intelRdt.memBwSchema";
        faults.require(schema.starts_with("MB:"), field, "the schema must start with MB:");
        faults.require(!schema.contains('\n'), field, "the schema must be one line");
    }
    for (i, line) in rdt.schemata.iter().enumerate() {
        let field = format_args!("linux.intelRdt.schemata[{i}]");
        faults.require(!line.contains('\n'), field, "each schema must be one line");
    }
}

pub(super) fn memory_policy_is_known(config: &Config, faults: &mut Faults) {
    let Some(policy) = config.linux.asked_memory_policy() else { return };
    let mode = &policy.mode;
    if names::MEMORY_POLICY_MODES.get(mode).is_none() {
        let choices = names::MEMORY_POLICY_MODES.choices();
        let what = format_args!("invalid memory policy mode {mode:?}: it is one of {choices}");
        faults.error("linux.memoryPolicy.mode", what);
    }
    for (i, flag) in policy.flags.iter().enumerate() {
        let known = names::MEMORY_POLICY_FLAGS.get(flag).is_some();
        let what = format_args!("invalid memory policy flag {flag:?}");
        faults.require(known, format_args!("linux.memoryPolicy.flags[{i}]"), what);
    }
}

/// set_mempolicy(2): which modes take nodes, which flags they take.
pub(super) fn memory_policy_nodes_fit_the_mode(config: &Config, faults: &mut Faults) {
    let Some(policy) = config.linux.asked_memory_policy() else { return };
    let mode = policy.mode.as_str();
    let has_nodes = match parse_list(given(&policy.nodes).unwrap_or_default()) {
        Ok(nodes) => !nodes.is_empty(),
        Err(what) => {
            return faults.error("linux.memoryPolicy.nodes", format_args!("invalid memory policy nodes: {what}"));
        }
    };
    match mode {
        "MPOL_DEFAULT" | "MPOL_LOCAL" => {
            faults.require(!has_nodes, "linux.memoryPolicy.nodes", format_args!("{mode} takes no nodes"));
        }
        "MPOL_BIND" | "MPOL_INTERLEAVE" | "MPOL_WEIGHTED_INTERLEAVE" | "MPOL_PREFERRED_MANY" => {
            faults.require(has_nodes, "linux.memoryPolicy.nodes", format_args!("{mode} requires nodes"));
        }
        _ => (),
    }
    flags_fit(policy, has_nodes, faults);
}

fn flags_fit(policy: &MemoryPolicy, has_nodes: bool, faults: &mut Faults) {
    let mode = policy.mode.as_str();
    let has = |flag: &str| policy.flags.iter().any(|given| given == flag);
    let (fixed, relative) = (has("MPOL_F_STATIC_NODES"), has("MPOL_F_RELATIVE_NODES"));
    let field = "linux.memoryPolicy.flags";
    let what = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
    faults.require(!(fixed && relative), field, what);
    let nodeless = mode == "MPOL_LOCAL" || (mode == "MPOL_PREFERRED" && !has_nodes);
    let what = format_args!("{mode} without nodes takes no flag about nodes");
    faults.require(!(nodeless && (fixed || relative)), field, what);
    let balances = matches!(mode, "MPOL_BIND" | "MPOL_PREFERRED_MANY");
    let what = "MPOL_F_NUMA_BALANCING goes with MPOL_BIND or MPOL_PREFERRED_MANY alone";
    faults.require(balances || !has("MPOL_F_NUMA_BALANCING"), field, what);
}

pub(super) fn rootfs_propagation_is_known(config: &Config, faults: &mut Faults) {
    let Some(value) = given(&config.linux.rootfs_propagation) else { return };
    let choices = names::PROPAGATION.choices();
    let what = format_args!("unknown propagation {value:?}: it is one of {choices}");
    faults.require(names::PROPAGATION.get(value).is_some(), "linux.rootfsPropagation", what);
}

/// The two lists of paths with their fields.
fn hidden(config: &Config) -> [(&'static str, &[String]); 2] {
    [("linux.maskedPaths", &config.linux.masked_paths), ("linux.readonlyPaths", &config.linux.readonly_paths)]
}

pub(super) fn hidden_paths_are_absolute(config: &Config, faults: &mut Faults) {
    for (field, paths) in hidden(config) {
        for (i, path) in paths.iter().enumerate() {
            let what = format_args!("the path must be absolute, not {path:?}");
            faults.require(path.starts_with('/'), format_args!("{field}[{i}]"), what);
        }
    }
}

pub(super) fn hidden_paths_have_a_mount_namespace(config: &Config, faults: &mut Faults) {
    for (field, paths) in hidden(config) {
        let kept = paths.is_empty() || has(config, "mount");
        faults.require(kept, field, "these paths of the host would change: a mount namespace is required");
    }
}

pub(super) fn personality_is_known(config: &Config, faults: &mut Faults) {
    let Some(personality) = &config.linux.personality else { return };
    let domain = &personality.domain;
    if domain.is_empty() {
        faults.error("linux.personality.domain", "an execution domain is required");
    } else if names::PERSONALITY_DOMAINS.get(domain).is_none() {
        let choices = names::PERSONALITY_DOMAINS.choices();
        let what = format_args!("unknown execution domain {domain:?}: it is {choices}");
        faults.error("linux.personality.domain", what);
    }
    for (i, flag) in personality.flags.iter().enumerate() {
        let what = format_args!("unknown flag {flag:?}: the specification has none");
        faults.error(format_args!("linux.personality.flags[{i}]"), what);
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (
        r#"{"linux": {"intelRdt": {"closID": ".."}}}"#,
        "linux.intelRdt.closID",
        r#"".." cannot be the name of a class of service"#,
    ),
    (
        r#"{"linux": {"intelRdt": {"closID": "a/b"}}}"#,
        "linux.intelRdt.closID",
        r#""a/b" cannot be the name of a class of service"#,
    ),
    (
        r#"{"linux": {"intelRdt": {"closID": "/", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10", "schemata": ["L2:0=f"]}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"intelRdt": {"l3CacheSchema": "0=f"}}}"#,
        "linux.intelRdt.l3CacheSchema",
        "warning: the schema should start with L3:",
    ),
    (
        r#"{"linux": {"intelRdt": {"memBwSchema": "0=10"}}}"#,
        "linux.intelRdt.memBwSchema",
        "the schema must start with MB:",
    ),
    (
        r#"{"linux": {"intelRdt": {"memBwSchema": "MB:0=10\nMB:1=10"}}}"#,
        "linux.intelRdt.memBwSchema",
        "the schema must be one line",
    ),
    (
        r#"{"linux": {"intelRdt": {"schemata": ["L3:0=f", "L2:0=f\n"]}}}"#,
        "linux.intelRdt.schemata[1]",
        "each schema must be one line",
    ),
    (r#"{"linux": {"memoryPolicy": {}}}"#, "", ""),
    (
        r#"{"linux": {"memoryPolicy": {"nodes": "0"}}}"#,
        "linux.memoryPolicy.mode",
        r#"invalid memory policy mode "": it is one of MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED_MANY or MPOL_WEIGHTED_INTERLEAVE"#,
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_NEAR"}}}"#,
        "linux.memoryPolicy.mode",
        r#"invalid memory policy mode "MPOL_NEAR": it is one of MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED_MANY or MPOL_WEIGHTED_INTERLEAVE"#,
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}}}"#,
        "linux.memoryPolicy.flags[0]",
        r#"invalid memory policy flag "MPOL_F_X""#,
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0;1"}}}"#,
        "linux.memoryPolicy.nodes",
        r#"invalid memory policy nodes: "0;1" is not a number or range such as 0-3,7"#,
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0"}}}"#,
        "linux.memoryPolicy.nodes",
        "MPOL_LOCAL takes no nodes",
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_INTERLEAVE"}}}"#,
        "linux.memoryPolicy.nodes",
        "MPOL_INTERLEAVE requires nodes",
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}}}"#,
        "linux.memoryPolicy.flags",
        "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other",
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_PREFERRED", "flags": ["MPOL_F_STATIC_NODES"]}}}"#,
        "linux.memoryPolicy.flags",
        "MPOL_PREFERRED without nodes takes no flag about nodes",
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}}}"#,
        "linux.memoryPolicy.flags",
        "MPOL_F_NUMA_BALANCING goes with MPOL_BIND or MPOL_PREFERRED_MANY alone",
    ),
    (
        r#"{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"]}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"rootfsPropagation": "public"}}"#,
        "linux.rootfsPropagation",
        r#"unknown propagation "public": it is one of unbindable, private, slave, shared, runbindable, rprivate, rslave or rshared"#,
    ),
    (r#"{"linux": {"rootfsPropagation": ""}}"#, "", ""),
    (r#"{"linux": {"rootfsPropagation": "rslave"}}"#, "", ""),
    (
        r#"{"linux": {"maskedPaths": ["/proc/kcore", "proc/acpi"]}}"#,
        "linux.maskedPaths[1]",
        r#"the path must be absolute, not "proc/acpi""#,
    ),
    (r#"{"linux": {"readonlyPaths": [""]}}"#, "linux.readonlyPaths[0]", r#"the path must be absolute, not """#),
    (
        r#"{"linux": {"namespaces": [], "readonlyPaths": ["/proc/sys"]}}"#,
        "linux.readonlyPaths",
        "these paths of the host would change: a mount namespace is required",
    ),
    (
        r#"{"linux": {"namespaces": [], "maskedPaths": ["/proc/kcore"]}}"#,
        "linux.maskedPaths",
        "these paths of the host would change: a mount namespace is required",
    ),
    (r#"{"linux": {"personality": {}}}"#, "linux.personality.domain", "an execution domain is required"),
    (
        r#"{"linux": {"personality": {"domain": "SVR4"}}}"#,
        "linux.personality.domain",
        r#"unknown execution domain "SVR4": it is LINUX or LINUX32"#,
    ),
    (
        r#"{"linux": {"personality": {"domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]}}}"#,
        "linux.personality.flags[0]",
        r#"unknown flag "ADDR_NO_RANDOMIZE": the specification has none"#,
    ),
];
