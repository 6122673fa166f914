//! The store against a real file system: concurrent creators, removals under a reader, and kills at any instant.

use super::*;
use serde_json::value::RawValue;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

const CONFIG: &str =
    "{ \"ociVersion\":\"1.3.0\",\n\t\"hostname\": \"h\\u00e4\", \"annotations\":{\"a.b\":\"c\"},  \"root\":null }";

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("run/hull"));
    (dir, store)
}

fn id(name: &str) -> Id {
    Id::new(name).unwrap()
}

fn record(name: &str) -> Record {
    let config = RawValue::from_string(CONFIG.into()).unwrap();
    Record::new(&id(name), "/b".into(), "/b/rootfs".into(), 0, config)
}

fn stored(contents: Contents) -> Record {
    match contents {
        Contents::Record(record) => *record,
        Contents::Unfinished => panic!("no record"),
    }
}

fn kind<T>(result: Result<T>) -> Kind {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.kind(),
    }
}

fn names(store: &Store) -> Vec<String> {
    // A creator that was killed at once has not made the root yet.
    let entries = match std::fs::read_dir(store.root()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap(),
    };
    let mut names: Vec<_> = entries.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_container_from_create_to_remove() {
    let (_dir, store) = store();
    assert!(store.list().unwrap().is_empty(), "a missing root has no containers");
    assert_eq!(store.open(&id("c")).unwrap_err().to_string(), "container does not exist");

    let entry = store.create(&id("c")).unwrap();
    assert_eq!(entry.path(), store.root().join("c"));
    for path in [store.root(), entry.path(), store.root().parent().unwrap()] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o700, "{path:?}");
    }
    assert!(matches!(store.read(&id("c")).unwrap(), Contents::Unfinished));
    let again = store.create(&id("c")).unwrap_err();
    assert_eq!(
        (again.kind(), again.to_string().as_str()),
        (Kind::AlreadyExists, "container with given ID already exists")
    );
    assert_eq!(names(&store), ["c"], "a failed creator leaves nothing");

    let mut record = record("c");
    entry.write(&record).unwrap();
    assert_eq!(entry.path().join("state.json").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(stored(store.read(&id("c")).unwrap()).phase, Phase::Creating);
    record.phase = Phase::Created;
    record.init = Some(Process { pid: 7, start_time: u64::MAX });
    record.cgroup = serde_json::json!({"v2": "/c"});
    entry.write(&record).unwrap();
    drop(entry);

    let read = stored(store.open(&id("c")).unwrap().read().unwrap());
    assert_eq!(
        (read.init, &read.cgroup, read.phase, &read.created),
        (record.init, &record.cgroup, Phase::Created, &record.created)
    );
    assert_eq!(read.config.get(), CONFIG, "the config keeps its bytes");
    assert_eq!(read.annotations().unwrap()["a.b"], "c");
    assert_eq!(read.parsed_config().unwrap().hostname.as_deref(), Some("hä"));
    let text = std::fs::read_to_string(store.root().join("c/state.json")).unwrap();
    assert!(text.ends_with(&format!("\"config\":{CONFIG}}}")), "the config is the last field: {text}");

    let entry = store.open(&id("c")).unwrap();
    std::fs::create_dir_all(entry.path().join("deep/er")).unwrap();
    std::fs::write(entry.path().join("deep/er/file"), "").unwrap();
    std::fs::write(store.root().join("outside"), "").unwrap();
    symlink(store.root().join("outside"), entry.path().join("deep/link")).unwrap();
    symlink(store.root(), entry.path().join("up")).unwrap();
    entry.remove().unwrap();
    assert_eq!(names(&store), ["outside"], "links are removed, not followed");
    assert_eq!(kind(store.read(&id("c"))), Kind::NotFound);
}

#[test]
fn the_lock_is_waited_for_and_tells_who_is_at_work() {
    let (_dir, store) = store();
    let entry = store.create(&id("c")).unwrap();
    assert!(store.try_open(&id("c")).unwrap().is_none());
    assert!(matches!(store.read(&id("c")).unwrap(), Contents::Unfinished), "reading does not wait");

    let waiter = std::thread::spawn({
        let store = store.clone();
        move || kind(store.open(&id("c")))
    });
    while !waits_for_lock() {
        std::thread::yield_now();
    }
    entry.remove().unwrap();
    assert_eq!(waiter.join().unwrap(), Kind::NotFound, "a waiter does not get a removed container");

    let held = store.create(&id("c")).unwrap().unlock().unwrap();
    let entry = store.try_open(&id("c")).unwrap().expect("the lock was given back");
    entry.remove().unwrap();
    let successor = store.create(&id("c")).unwrap();
    assert!(held.lock().unwrap().is_none(), "the successor is another container");
    successor.remove().unwrap();
}

/// Whether a thread of this process sleeps in flock(2), as the kernel tells.
fn waits_for_lock() -> bool {
    let flock = libc::SYS_flock.to_string();
    std::fs::read_dir("/proc/self/task").unwrap().any(|task| {
        std::fs::read_to_string(task.unwrap().path().join("syscall"))
            .is_ok_and(|call| call.split(' ').next() == Some(flock.as_str()))
    })
}

#[test]
fn one_of_many_creators_wins_and_list_disturbs_none() {
    let (_dir, store) = store();
    for round in 0..30 {
        let name = format!("c{round}");
        let won: usize = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| match store.create(&id(&name)) {
                        Ok(entry) => {
                            entry.write(&record(&name)).unwrap();
                            1
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), Kind::AlreadyExists, "{error}");
                            0
                        }
                    })
                })
                .collect();
            for _ in 0..8 {
                store.list().unwrap();
            }
            creators.into_iter().map(|creator| creator.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
        store.open(&id(&name)).unwrap().remove().unwrap();
    }
    assert!(names(&store).is_empty());
}

#[test]
fn list_shows_all_and_buries_the_unborn() {
    let (_dir, store) = store();
    for name in ["b", "a", ".hidden"] {
        store.create(&id(name)).unwrap().write(&record(name)).unwrap();
    }
    std::fs::write(store.root().join("a/state.json"), "{\"version\":99,\"new\":true}").unwrap();
    std::fs::write(store.root().join("file"), "").unwrap();
    std::fs::create_dir(store.beside("cache")).unwrap();
    std::fs::create_dir(store.root().join("@new-1-1")).unwrap();
    std::fs::create_dir(store.root().join("@new-1-2")).unwrap();
    let alive = std::fs::File::open(store.root().join("@new-1-2")).unwrap();
    rustix::fs::flock(&alive, FlockOperation::LockExclusive).unwrap();

    let list = store.list().unwrap();
    let ids: Vec<_> = list.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, [".hidden", "a", "b"]);
    let error = list[1].1.as_ref().unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().ends_with("a/state.json\": state of version 99, written by a newer hull"), "{error}");
    assert_eq!(names(&store), [".hidden", "@cache", "@new-1-2", "a", "b", "file"]);

    std::fs::write(store.root().join("a/state.json"), "{\"version\":1,").unwrap();
    assert_eq!(kind(store.read(&id("a"))), Kind::Corrupt);
    store.open(&id("a")).unwrap().remove().unwrap();
}

#[test]
fn a_failed_write_keeps_the_record_before() {
    let (_dir, store) = store();
    let entry = store.create(&id("c")).unwrap();
    entry.write(&record("c")).unwrap();
    symlink("/dev/full", entry.path().join("state.json.next")).unwrap();
    assert_eq!(entry.write(&record("c")).unwrap_err().raw_os_error(), Some(libc::ELOOP), "no link is followed");
    assert_eq!(stored(entry.read().unwrap()).phase, Phase::Creating);
    assert!(!entry.path().join("state.json.next").exists());
    entry.write(&record("c")).unwrap();
    assert!(rustix::io::fcntl_getfd(entry.dir().as_fd()).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

/// The child of [`a_kill_at_any_instant_leaves_something_known`].
#[test]
#[ignore = "never ends; another test runs it in a child process and kills it"]
fn churn() {
    let store = Store::at(std::env::var_os("HULL_TEST_ROOT").expect("is set by the test that runs this one"));
    println!("at work");
    loop {
        let entry = store.create(&id("c")).unwrap();
        for phase in [Phase::Creating, Phase::Created, Phase::Started] {
            let mut record = record("c");
            record.phase = phase;
            entry.write(&record).unwrap();
        }
        std::fs::write(entry.path().join("start.sock"), "").unwrap();
        entry.remove().unwrap();
    }
}

#[test]
fn a_kill_at_any_instant_leaves_something_known() {
    use std::io::{BufRead, BufReader};
    let (_dir, store) = store();
    let (mut records, mut unfinished) = (0, 0);
    for round in 0..40 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "state::tests::churn"])
            .env("HULL_TEST_ROOT", store.root())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("at work")));
        std::thread::sleep(Duration::from_micros(500 + 37 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for (id, contents) in store.list().unwrap() {
            match contents.unwrap() {
                Contents::Record(record) => records += usize::from(record.config.get() == CONFIG),
                Contents::Unfinished => unfinished += 1,
            }
            let entry = store.try_open(&id).unwrap().expect("a killed process holds no lock");
            entry.remove().unwrap();
        }
        assert!(names(&store).is_empty(), "nothing is left after list and remove: {:?}", names(&store));
    }
    assert!(records > 0, "{records} records, {unfinished} unfinished: the kills did not meet the work");
}
