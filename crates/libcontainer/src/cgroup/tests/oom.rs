//! Notice of want of memory, from a process that really has too little.

use super::*;

#[test]
fn an_oom_kill_is_told_and_so_is_the_end() {
    if std::env::var_os(INSIDE).is_some() || !is_root() {
        return;
    }
    let site = Site::new();
    let mut cgroup = match site.create(r#"{"memory":{"limit":8388608}}"#) {
        Ok(cgroup) => cgroup,
        Err(error) if error.kind() == Kind::Unsupported => {
            eprintln!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let mut events = cgroup.oom_events().unwrap();
    assert_eq!(events.read().unwrap(), None);
    let mut shell = Shell::inside(&mut cgroup, "tail /dev/zero");
    // Version 2 also tells of memory that was got back in time, which is no news.
    let first = loop {
        assert!(readable(events.fd(), PATIENCE_MS), "no event");
        if let Some(event) = events.read().unwrap() {
            break event;
        }
    };
    assert_eq!(first, OomEvent::Oom);
    assert!(shell.ends().is_some());
    cgroup.remove().unwrap();
    // What came together with the kill is read without a wait.
    while events.read().unwrap() != Some(OomEvent::Gone) {
        assert!(readable(events.fd(), PATIENCE_MS), "no event at the end");
    }
}
