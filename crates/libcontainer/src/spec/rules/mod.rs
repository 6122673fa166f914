//! The rules of the runtime specification: one function for each, in one table, in the order of its sections.

mod annotations;
mod devices;
mod hooks;
mod limits;
mod linux;
mod mounts;
mod namespaces;
mod process;
mod schedule;
mod seccomp;
mod strings;
mod sysctl;
mod top;

pub use sysctl::{sysctl_namespace, sysctl_path};

use super::Warning;
use crate::config::Config;
use crate::error::{Error, Result};
use std::fmt::Display;

/// A rule looks at the config and notes what breaks it.
type Rule = fn(&Config, &mut Faults);

const PROCESS: &str = "config.md, process";
const RESOURCES: &str = "config-linux.md, control groups";
const INTEL_RDT: &str = "config-linux.md, intelRdt";

/// Section of the specification, rule.
const RULES: &[(&str, Rule)] = &[
    ("config.md, specification version", top::version_is_supported),
    ("config.md, root", top::root_is_given),
    ("config.md, mounts", mounts::destination_is_given),
    ("config.md, mounts", mounts::source_and_type_are_given),
    ("config.md, mounts", mounts::id_mappings_are_whole),
    ("config.md, mounts", mounts::id_mapped_mounts_have_a_mapping),
    (PROCESS, process::args_are_given),
    (PROCESS, process::cwd_is_absolute),
    (PROCESS, process::env_is_assignments),
    (PROCESS, process::console_fits_a_terminal),
    (PROCESS, process::user_has_valid_ids),
    (PROCESS, process::rlimits_are_known_once_and_ordered),
    (PROCESS, process::capabilities_are_known),
    (PROCESS, process::capabilities_can_be_granted),
    (PROCESS, process::oom_score_adj_is_in_range),
    (PROCESS, schedule::scheduler_policy_is_known),
    (PROCESS, schedule::scheduler_values_fit_the_policy),
    (PROCESS, schedule::scheduler_flags_are_known),
    (PROCESS, schedule::io_priority_is_known),
    (PROCESS, schedule::exec_cpu_affinity_is_lists),
    ("config.md, user", process::user_is_mapped),
    ("config.md, hostname and domainname", top::names_have_their_uts_namespace),
    ("config.md, hooks", hooks::path_is_absolute),
    ("config.md, hooks", hooks::timeout_is_positive),
    ("config.md, annotations", top::annotations_have_keys),
    ("crun(1), extensions", annotations::paths_are_absolute),
    ("crun(1), extensions", annotations::cgroups_are_below),
    ("crun(1), extensions", annotations::mount_context_type_is_known),
    ("config-linux.md, namespaces", namespaces::kinds_are_known_once),
    ("config-linux.md, namespaces", namespaces::paths_are_absolute),
    ("config-linux.md, user namespace mappings", namespaces::mappings_go_with_a_new_user_namespace),
    ("config-linux.md, user namespace mappings", namespaces::mappings_are_whole),
    ("config-linux.md, offset for time namespace", namespaces::time_offsets_go_with_a_new_time_namespace),
    ("config-linux.md, offset for time namespace", namespaces::time_offsets_are_in_range),
    ("config-linux.md, devices", devices::paths_are_absolute_and_unique),
    ("config-linux.md, devices", devices::types_are_known_and_numbered),
    ("config-linux.md, network devices", devices::network_devices_have_valid_names),
    ("config-linux.md, network devices", devices::network_devices_have_a_namespace),
    (RESOURCES, devices::device_rules_are_known),
    (RESOURCES, limits::memory_is_in_range),
    (RESOURCES, limits::memory_has_what_kernels_still_have),
    (RESOURCES, limits::cpu_is_in_range),
    (RESOURCES, limits::cpu_lists_are_lists),
    (RESOURCES, limits::pids_are_in_range),
    (RESOURCES, limits::block_io_weights_are_in_range),
    (RESOURCES, limits::block_io_devices_are_numbered),
    (RESOURCES, limits::hugepage_sizes_are_sizes),
    (RESOURCES, limits::network_priorities_have_interfaces),
    (RESOURCES, limits::rdma_limits_something),
    (RESOURCES, limits::unified_names_are_files),
    (INTEL_RDT, linux::clos_id_is_a_name),
    (INTEL_RDT, linux::schemata_are_lines),
    ("config-linux.md, memory policy", linux::memory_policy_is_known),
    ("config-linux.md, memory policy", linux::memory_policy_nodes_fit_the_mode),
    ("config-linux.md, sysctl", sysctl::keys_are_namespaced),
    ("config-linux.md, seccomp", seccomp::actions_are_given),
    ("config-linux.md, seccomp", seccomp::errno_goes_with_its_actions),
    ("config-linux.md, seccomp", seccomp::arguments_are_indexed),
    ("config-linux.md, seccomp", seccomp::listener_is_whole),
    ("config-linux.md, rootfs mount propagation", linux::rootfs_propagation_is_known),
    ("config-linux.md, masked and readonly paths", linux::hidden_paths_are_absolute),
    ("config-linux.md, masked and readonly paths", linux::hidden_paths_have_a_mount_namespace),
    ("config-linux.md, personality", linux::personality_is_known),
    ("execve(2), mount(2) and their like", strings::top_has_no_nul),
    ("execve(2), mount(2) and their like", strings::mounts_have_no_nul),
    (PROCESS, strings::process_has_no_nul),
    ("execve(2), mount(2) and their like", strings::hooks_have_no_nul),
    ("execve(2), mount(2) and their like", strings::linux_has_no_nul),
    (RESOURCES, strings::resources_have_no_nul),
];

/// What the rules have found so far.
#[derive(Default)]
struct Faults {
    errors: Vec<Error>,
    warnings: Vec<Warning>,
}

impl Faults {
    /// `field` breaks a rule. Call with `format_args!`: nothing is formatted for a config without faults.
    fn error(&mut self, field: impl Display, what: impl Display) {
        self.errors.push(Error::spec(field.to_string(), what.to_string()));
    }

    /// `field` will not be done as written, and the specification wants no error.
    fn warn(&mut self, field: impl Display, what: impl Display) {
        self.warnings.push(Warning { field: field.to_string(), what: what.to_string() });
    }

    /// Breaks a rule unless `kept`.
    fn require(&mut self, kept: bool, field: impl Display, what: impl Display) {
        if !kept {
            self.error(field, what);
        }
    }
}

/// Every rule: the warnings, or all faults.
pub(super) fn check(config: &Config) -> std::result::Result<Vec<Warning>, Vec<Error>> {
    apply(config, |_| true)
}

/// The rules of `process` alone.
pub(super) fn check_process(config: &Config) -> Result<()> {
    first(apply(config, |section| section == PROCESS))
}

/// The rules of `linux.resources` alone.
pub(super) fn check_resources(config: &Config) -> Result<()> {
    first(apply(config, |section| section == RESOURCES))
}

/// The rules of `linux.intelRdt` alone.
pub(super) fn check_class(config: &Config) -> Result<()> {
    first(apply(config, |section| section == INTEL_RDT))
}

fn apply(config: &Config, wanted: impl Fn(&str) -> bool) -> std::result::Result<Vec<Warning>, Vec<Error>> {
    let mut faults = Faults::default();
    for (_, rule) in RULES.iter().filter(|(section, _)| wanted(section)) {
        rule(config, &mut faults);
    }
    if faults.errors.is_empty() { Ok(faults.warnings) } else { Err(faults.errors) }
}

fn first(outcome: std::result::Result<Vec<Warning>, Vec<Error>>) -> Result<()> {
    match outcome.map_err(|faults| faults.into_iter().next()) {
        Err(Some(fault)) => Err(fault),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// A change to a valid config, as a JSON merge patch (RFC 7396), and what it breaks: the field and the text, which
    /// starts with `warning: ` for a warning. An empty field is a config that must stay without fault.
    pub(super) type Cases = &'static [(&'static str, &'static str, &'static str)];

    const ALL: &[Cases] = &[
        top::CASES,
        mounts::CASES,
        process::CASES,
        schedule::CASES,
        hooks::CASES,
        annotations::CASES,
        namespaces::CASES,
        devices::CASES,
        limits::CASES,
        linux::CASES,
        sysctl::CASES,
        seccomp::CASES,
        strings::CASES,
    ];

    fn valid() -> Value {
        let namespaces: Vec<_> =
            ["pid", "network", "ipc", "uts", "mount"].iter().map(|t| json!({ "type": t })).collect();
        json!({
            "ociVersion": "1.3.0",
            "root": { "path": "rootfs" },
            "process": { "cwd": "/", "args": ["sh"] },
            "linux": { "namespaces": namespaces },
        })
    }

    fn merge(into: &mut Value, patch: Value) {
        match (into, patch) {
            (Value::Object(into), Value::Object(patch)) => {
                for (key, value) in patch {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, patch) => *into = patch,
        }
    }

    fn config(patch: &str) -> Config {
        let mut config = valid();
        merge(&mut config, serde_json::from_str(patch).unwrap());
        serde_json::from_value(config).unwrap()
    }

    /// What each rule notes, with its place in the table.
    fn findings(config: &Config) -> Vec<(usize, String, String)> {
        let mut all = Vec::new();
        for (i, (_, rule)) in RULES.iter().enumerate() {
            let mut faults = Faults::default();
            rule(config, &mut faults);
            let errors = faults.errors.iter().map(|e| (i, e.config_field().unwrap().to_owned(), e.what().to_owned()));
            all.extend(errors);
            all.extend(faults.warnings.into_iter().map(|w| (i, w.field, format!("warning: {}", w.what))));
        }
        all
    }

    #[test]
    fn each_case_breaks_exactly_its_rule_and_each_rule_has_a_case() {
        assert_eq!(findings(&config("{}")), []);
        let mut broken = BTreeSet::new();
        for (patch, field, what) in ALL.iter().copied().flatten() {
            let found = findings(&config(patch));
            let texts: Vec<_> = found.iter().map(|(_, field, what)| (field.as_str(), what.as_str())).collect();
            let expected = if field.is_empty() { vec![] } else { vec![(*field, *what)] };
            assert_eq!(texts, expected, "{patch}");
            broken.extend(found.iter().map(|found| found.0));
        }
        let untried: Vec<_> = (0..RULES.len()).filter(|i| !broken.contains(i)).map(|i| (i, RULES[i].0)).collect();
        assert_eq!(untried, [], "rules without a case, by their place in the table");
    }

    #[test]
    fn every_text_is_one_line() {
        for (patch, ..) in ALL.iter().copied().flatten() {
            for (_, field, what) in findings(&config(patch)) {
                assert!(!format!("{field}{what}").contains(char::is_control), "{patch}");
            }
        }
        let odd = config(r#"{"linux": {"sysctl": {"a\nb": "1"}, "rootfsPropagation": "a\nb"}}"#);
        assert!(findings(&odd).iter().all(|(_, field, what)| !format!("{field}{what}").contains('\n')));
    }

    #[test]
    fn all_faults_are_told_at_once_in_the_order_of_the_specification() {
        let faults = check(&config(r#"{"root": null, "process": {"cwd": "x"}, "linux": {"rootfsPropagation": "x"}}"#));
        let fields: Vec<_> = faults.unwrap_err().iter().map(|e| e.config_field().unwrap().to_owned()).collect();
        assert_eq!(fields, ["root", "process.cwd", "linux.rootfsPropagation"]);
    }
}
