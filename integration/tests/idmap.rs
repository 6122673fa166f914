//! Id-mapped mounts: whose maps count, how far they reach, and what is an error.

use integration::bundle::chown_tree;
use integration::{Bundle, Runtime, Value, json};
use std::path::Path;

fn map(host: u32, container: u32) -> Value {
    json!([{"containerID": host, "hostID": container, "size": 1}])
}

/// Binds `dir` at /mnt with these options and maps.
fn bind(bundle: &mut Bundle, dir: &Path, options: &[&str], maps: &[(&str, Value)]) {
    let mut mount = json!({"destination": "/mnt", "source": dir, "options": options});
    for (key, value) in maps {
        mount[*key] = value.clone();
    }
    bundle.push("/mounts", mount);
}

#[test]
fn maps_of_the_mount_come_before_those_of_the_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 1000);
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 5);
    // 5 on disk is 700007 on the host through the mount, and so 7 in the container.
    let maps = [("uidMappings", map(5, 700_007)), ("gidMappings", map(5, 700_008))];
    bind(&mut bundle, &dir, &["bind", "idmap"], &maps);
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /mnt/file").word(), "7:8");
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&dir.join("file").metadata().unwrap()),
        5,
        "nothing was changed on disk"
    );
}

#[test]
fn what_is_made_through_the_mount_is_mapped_back() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 1000);
    bind(&mut bundle, &dir, &["bind", "idmap"], &[("uidMappings", map(1000, 0)), ("gidMappings", map(1000, 0))]);
    rt.sh(&mut bundle, "touch /mnt/new").ok();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&dir.join("new").metadata().unwrap()), 1000);
}

#[test]
fn maps_without_the_option_map_as_well() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 5);
    bind(&mut bundle, &dir, &["rbind"], &[("uidMappings", map(5, 6)), ("gidMappings", map(5, 6))]);
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /mnt/file").word(), "6:6");
}

#[test]
fn a_map_of_users_without_one_of_groups_is_an_error() {
    let rt = Runtime::new();
    let dir = rt.host_dir("dir");
    for (given, missing) in [("uidMappings", "gidMappings"), ("gidMappings", "uidMappings")] {
        let mut bundle = rt.bundle_named(given);
        bundle.args(&["true"]);
        bind(&mut bundle, &dir, &["bind", "idmap"], &[(given, map(5, 6))]);
        rt.run(&bundle).exits(1).says(&format!("mounts[7].{missing}")).one_line();
    }
}

#[test]
fn no_map_at_all_is_an_error() {
    let rt = Runtime::new();
    let dir = rt.host_dir("dir");
    for option in ["idmap", "ridmap"] {
        let mut bundle = rt.bundle_named(option);
        bundle.args(&["true"]);
        bind(&mut bundle, &dir, &["rbind", option], &[]);
        rt.run(&bundle).exits(1).says("mounts[7].options").one_line();
    }
}

#[test]
fn the_option_is_no_option_of_the_file_system() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 65536);
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 3);
    bind(&mut bundle, &dir, &["bind", "ridmap"], &[]);
    let seen = rt.sh(&mut bundle, "stat -c %u /mnt/file; grep ' /mnt ' /proc/self/mountinfo").ok();
    let (owner, entry) = seen.split_once('\n').unwrap();
    assert_eq!(owner, "3", "the container's own map serves");
    assert!(!entry.contains("ridmap"), "{entry}");
}
