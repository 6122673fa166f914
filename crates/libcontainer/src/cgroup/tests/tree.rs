//! Limits of controllers that this machine's kernel does not have, or has on version 1 alone: a plain directory with the files stands in for
//! the cgroup. What the kernel makes of a value is not seen here, only which file gets which.

use super::*;

/// A cgroup of `controllers` (one empty name for version 2) with these files.
fn tree(controllers: &[&str], files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
    let mount = tempfile::tempdir().unwrap();
    let path = mount.path().join("c");
    std::fs::create_dir(&path).unwrap();
    for (file, text) in files {
        std::fs::write(path.join(file), text).unwrap();
    }
    let controllers = controllers.iter().map(|name| (*name).to_owned()).collect();
    let hierarchy = Hierarchy { controllers, mount: mount.path().to_owned(), path, made: 1 };
    (mount, Cgroup::open(&Location { hierarchies: vec![hierarchy], disabled: false, unit: None }))
}

/// Empty files get `resources`; the values they end with.
fn written(controllers: &[&str], resources: &str, files: &[&str]) -> Vec<String> {
    let empty: Vec<_> = files.iter().map(|file| (*file, "")).collect();
    let (mount, mut cgroup) = tree(controllers, &empty);
    cgroup.update(&resources_of(resources)).unwrap();
    files.iter().map(|file| std::fs::read_to_string(mount.path().join("c").join(file)).unwrap()).collect()
}

const V2: &[&str] = &[""];

#[test]
fn processor_time_on_version_2() {
    let files = ["cpu.max", "cpu.max.burst", "cpu.idle"];
    let cpu = r#"{"cpu":{"quota":20000,"period":50000,"burst":1000,"idle":1}}"#;
    assert_eq!(written(V2, cpu, &files), ["20000 50000", "1000", "1"]);
}

#[test]
fn rdma_on_both_versions() {
    let rdma = r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}}"#;
    for controllers in [V2, &["rdma"]] {
        assert_eq!(written(controllers, rdma, &["rdma.max"]), ["mlx5_1 hca_handle=3 hca_object=10000"]);
    }
}

#[test]
fn huge_pages_limit_reservations_where_the_kernel_can() {
    let pages = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#;
    let (v1, v2) = (["hugetlb"], V2);
    let old = ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes"];
    let new = ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"];
    assert_eq!(written(&v1, pages, &old), ["4194304"; 2]);
    assert_eq!(written(v2, pages, &new), ["4194304"; 2]);
    // A kernel before 5.7 counts page faults alone.
    assert_eq!(written(&v1, pages, &old[..1]), ["4194304"]);
    assert_eq!(written(v2, pages, &new[..1]), ["4194304"]);
}

#[test]
fn a_check_before_the_update_keeps_both_limits() {
    let files = [("memory.current", "1000000\n"), ("memory.max", "max\n"), ("memory.swap.max", "max\n")];
    let (mount, mut cgroup) = tree(V2, &files);
    let read = |file: &str| std::fs::read_to_string(mount.path().join("c").join(file)).unwrap();
    for (memory, field) in [
        (r#"{"limit":500000,"checkBeforeUpdate":true}"#, "linux.resources.memory.limit"),
        (r#"{"limit":400000,"swap":500000,"checkBeforeUpdate":true}"#, "linux.resources.memory.swap"),
    ] {
        let error = cgroup.update(&resources_of(&format!(r#"{{"memory":{memory}}}"#))).unwrap_err();
        assert_eq!(error.config_field(), Some(field), "{error}");
        assert_eq!([read("memory.max"), read("memory.swap.max")], ["max\n"; 2]);
    }
    cgroup.update(&resources_of(r#"{"memory":{"limit":2000000,"checkBeforeUpdate":true}}"#)).unwrap();
    assert_eq!(read("memory.max"), "2000000");
    cgroup.update(&resources_of(r#"{"memory":{"limit":5000000,"checkBeforeUpdate":false}}"#)).unwrap();
    assert_eq!(read("memory.max"), "5000000");
}

#[test]
fn without_the_check_the_kernel_decides() {
    let (mount, mut cgroup) = tree(V2, &[("memory.current", "1000000\n"), ("memory.max", ""), ("memory.swap.max", "")]);
    cgroup.update(&resources_of(r#"{"memory":{"limit":500000}}"#)).unwrap();
    assert_eq!(std::fs::read_to_string(mount.path().join("c/memory.max")).unwrap(), "500000");
}

#[test]
fn a_file_by_name_is_written_though_nobody_knows_it() {
    let unified = r#"{"memory":{"reservation":1},"unified":{"memory.low":"77","of.tomorrow":"any value"}}"#;
    assert_eq!(written(V2, unified, &["memory.low", "of.tomorrow"]), ["77", "any value"]);
    let (_mount, mut cgroup) = tree(V2, &[("cgroup.controllers", "cpu memory\n")]);
    let error = cgroup.update(&resources_of(r#"{"unified":{"io.max":"8:0 rbps=1"}}"#)).unwrap_err();
    assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("linux.resources.unified")), "{error}");
}
