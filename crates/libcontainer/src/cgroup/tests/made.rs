//! Removal takes what came with the container, and nothing else.

use super::*;

/// On this machine's layout, and on pure version 2.
fn in_each_world(name: &str, test: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    if is_root() {
        test();
        again(&format!("cgroup::tests::made::{name}"), PURE_V2);
    }
}

/// What was created, as the record remembers it.
fn remembered(cgroup: &Cgroup) -> Cgroup {
    let record = serde_json::to_string(cgroup.location()).unwrap();
    Cgroup::open(&serde_json::from_str(&record).unwrap())
}

#[test]
fn parents_go_with_the_container() {
    in_each_world("parents_go_with_the_container", || {
        let site = Site::bare();
        let cgroup = remembered(&site.create("{}").unwrap());
        assert!(!site.left().is_empty());
        cgroup.remove().unwrap();
        assert!(site.left().is_empty(), "{:?}", site.left());
    });
}

#[test]
fn parents_that_others_use_stay() {
    in_each_world("parents_that_others_use_stay", || {
        let site = Site::bare();
        let cgroup = remembered(&site.create("{}").unwrap());
        let others: Vec<_> = site.top.iter().map(|top| top.join("other")).collect();
        others.iter().for_each(|other| std::fs::create_dir(other).unwrap());
        cgroup.remove().unwrap();
        assert_eq!(site.left(), site.top);
        others.iter().for_each(|other| std::fs::remove_dir(other).unwrap());
    });
}

#[test]
fn a_cgroup_that_was_there_stays() {
    in_each_world("a_cgroup_that_was_there_stays", || {
        let site = Site::new();
        let theirs: Vec<_> = site.location.hierarchies().iter().map(|h| h.path.clone()).collect();
        theirs.iter().for_each(|path| std::fs::create_dir(path).unwrap());
        let mut cgroup = site.create("{}").unwrap();
        let mut shell = Shell::new("sleep 0.1; exit 3");
        shell.enter(&mut cgroup);
        let cgroup = remembered(&cgroup);
        std::thread::scope(|scope| {
            let removal = scope.spawn(|| cgroup.remove());
            shell.go();
            removal.join().unwrap().unwrap();
        });
        assert!(theirs.iter().all(|path| path.exists()), "it stays");
        assert!(cgroup.processes().unwrap().is_empty(), "and nobody is in it");
    });
}
