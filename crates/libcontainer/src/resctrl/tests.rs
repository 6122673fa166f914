//! Decisions that a plain directory can stand in for: nothing here has to be made by the kernel. What a container does with classes is in
//! integration/tests/intel_rdt.rs.

use super::*;

fn rdt(json: &str) -> IntelRdt {
    serde_json::from_str(json).unwrap()
}

/// A directory with the files of the default class and of one named `gold`.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for class in ["", "gold"] {
        let dir = root.path().join(class);
        std::fs::create_dir_all(dir.join("mon_groups/theirs")).unwrap();
        std::fs::write(dir.join("schemata"), "    L3:0=00ff\n").unwrap();
        std::fs::write(dir.join("tasks"), "").unwrap();
    }
    root
}

fn claim(root: &Path, json: &str) -> Result<Claim> {
    let rdt = rdt(json);
    Claim::of(Group::of(Some(root), &rdt, "id")?, &rdt)
}

#[test]
fn places() {
    let of = |json| Group::of(Some(Path::new("/r")), &rdt(json), "id").unwrap().to_string();
    assert_eq!(of("{}"), r#""/r/id""#);
    assert_eq!(of(r#"{"closID": "", "enableMonitoring": true}"#), r#""/r/id" and "/r/id/mon_groups/id""#);
    assert_eq!(of(r#"{"closID": "gold"}"#), r#""/r/gold""#);
    assert_eq!(of(r#"{"closID": "/", "enableMonitoring": true}"#), r#""/r" and "/r/mon_groups/id""#);
}

#[test]
fn a_claim_changes_nothing_and_tells_whose_the_class_will_be() {
    let root = machine();
    let before = std::fs::read_dir(root.path()).unwrap().count();
    for (json, owner) in [
        ("{}", Owner::Container),
        (r#"{"closID": "new", "schemata": ["L3:0=1"]}"#, Owner::Shared),
        (r#"{"closID": "gold"}"#, Owner::Others),
        (r#"{"closID": "gold", "l3CacheSchema": "L3:0=ff"}"#, Owner::Others),
        (r#"{"closID": "/", "enableMonitoring": true}"#, Owner::Others),
    ] {
        assert_eq!(claim(root.path(), json).unwrap().group().owner, owner, "{json}");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), before, "{json}");
    }
}

#[test]
fn an_existing_class_is_not_written() {
    let root = machine();
    claim(root.path(), r#"{"closID": "gold", "schemata": ["L3:0=0ff"]}"#).unwrap().make().unwrap();
    assert_eq!(std::fs::read_to_string(root.path().join("gold/schemata")).unwrap(), "    L3:0=00ff\n");
}

#[test]
fn what_somebody_made_without_the_lock_is_an_error_and_stays() {
    let root = machine();
    for json in
        ["{}", r#"{"closID": "new", "schemata": ["L3:0=1"]}"#, r#"{"closID": "gold", "enableMonitoring": true}"#]
    {
        let claim = claim(root.path(), json).unwrap();
        let (class, monitoring) = (claim.group.class.clone(), claim.group.monitoring.clone());
        let theirs = monitoring.unwrap_or(class);
        std::fs::create_dir(&theirs).unwrap();
        assert_eq!(claim.make().unwrap_err().raw_os_error(), Some(libc::EEXIST), "{json}");
        assert!(theirs.exists(), "{json}");
    }
}

#[test]
fn two_claims_wait_for_each_other() {
    let root = machine();
    let first = claim(root.path(), "{}").unwrap();
    let lock = std::fs::File::open(root.path()).unwrap();
    assert_eq!(rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
    drop(first);
    // A child that another test makes just now may have a copy of the descriptor until it executes its program.
    assert_eq!(rustix::fs::flock(&lock, FlockOperation::LockExclusive), Ok(()));
}

#[test]
fn what_a_record_says_is_removed_be_it_there_or_not() {
    let root = machine();
    let group = |json| claim(root.path(), json).unwrap().group().clone();
    let own = group(r#"{"enableMonitoring": true}"#);
    own.remove().unwrap();
    // As a kill after the first directory leaves it.
    std::fs::create_dir(root.path().join("id")).unwrap();
    own.remove().unwrap();
    assert!(!root.path().join("id").exists());
    let again: Group = serde_json::from_value(serde_json::to_value(&own).unwrap()).unwrap();
    assert_eq!(again, own);
    std::fs::remove_dir_all(root.path()).unwrap();
    own.remove().unwrap();
}

#[test]
fn a_class_in_use_is_one_with_living_tasks_or_groups() {
    let root = machine();
    let gold = Group::of(Some(root.path()), &rdt(r#"{"closID": "gold"}"#), "id").unwrap();
    assert!(gold.is_used(), "theirs is still there");
    std::fs::remove_dir(root.path().join("gold/mon_groups/theirs")).unwrap();
    assert!(!gold.is_used());
    std::fs::write(root.path().join("gold/tasks"), format!("{}\n", std::process::id())).unwrap();
    assert!(gold.is_used());
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&ended);
    rustix::process::waitid(
        rustix::process::WaitId::Pid(pid),
        rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
    )
    .unwrap();
    std::fs::write(root.path().join("gold/tasks"), format!("{}\n", ended.id())).unwrap();
    assert!(!gold.is_used(), "ended, and not yet waited for");
    ended.wait().unwrap();
}
