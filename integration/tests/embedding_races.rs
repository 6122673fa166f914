//! libcontainer's verbs on one container at the same time, from many threads of one program: each works or says why not.

use integration::embedded::{process, quiet};
use integration::{Runtime, apart, caller, json};
use libcontainer::{Exec, Kind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The child that holds a user namespace for an id-mapped mount has copies of what other threads have open at that moment: they must
/// not keep each other alive.
#[test]
fn id_mapped_mounts_from_many_threads() {
    apart::apart("id_mapped_mounts_from_many_threads", &[], 600, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.unset("/linux/cgroupsPath").args(&["/nowhere"]);
        let source = rt.path("shared");
        std::fs::create_dir(&source).unwrap();
        std::fs::create_dir(bundle.inside("/mnt")).unwrap();
        let map = json!([{"containerID": 0, "hostID": 5000, "size": 1000}]);
        for _ in 0..30 {
            let mount = json!({"destination": "/mnt", "type": "none", "source": source, "options": ["bind"], "uidMappings": map, "gidMappings": map});
            bundle.push("/mounts", mount);
        }
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (runtime, bundle, tag) = (&runtime, &bundle, rt.tag());
                scope.spawn(move || {
                    for _ in 0..12 {
                        let error = runtime.run(&format!("{tag}-{thread}"), bundle, quiet()).unwrap_err();
                        assert_eq!(error.kind(), Kind::Program, "{error}");
                    }
                });
            }
        });
        assert_eq!(caller::children(), []);
    });
}
/// A process that joins a container just when that ends runs to its end, ends with it, or is told that the container has stopped.
#[test]
fn exec_in_a_container_that_ends() {
    apart::apart("exec_in_a_container_that_ends", &[], 900, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["true"]);
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let mut refused = 0;
        let mut rounds = 0;
        while rounds < 300 || refused == 0 {
            rounds += 1;
            let (mut container, child) = runtime.run(rt.tag(), &bundle, quiet()).unwrap();
            match container.exec(&process(&["true"]), Exec { launch: quiet(), ..Exec::default() }) {
                Ok(child) => assert!([0, 128 + libc::SIGKILL].contains(&child.wait().unwrap().code())),
                Err(error) => {
                    assert_eq!(
                        (error.kind(), error.to_string().as_str()),
                        (Kind::WrongState, "cannot exec in a stopped container")
                    );
                    refused += 1;
                }
            }
            assert!(child.wait().unwrap().success());
            container.delete(false).unwrap();
        }
        assert_eq!(caller::children(), []);
    });
}

/// The processes of a container go with it, whoever has lost sight of them.
#[test]
fn delete_takes_processes_nobody_waits_for() {
    apart::apart("delete_takes_processes_nobody_waits_for", &[], 600, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]);
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let mut container =
            runtime.create(rt.tag(), &libcontainer::Bundle::load(bundle.dir()).unwrap(), quiet()).unwrap();
        container.start().unwrap();
        for args in [["sleep", "1000"], ["true", ""]] {
            drop(container.exec(&process(&args), Exec { launch: quiet(), ..Exec::default() }).unwrap());
        }
        let before = Instant::now();
        container.delete(true).unwrap();
        // It takes some milliseconds; for a process that stays it would wait ten seconds.
        assert!(before.elapsed() < Duration::from_secs(9), "{:?}", before.elapsed());
        assert_eq!(caller::children(), []);
    });
}

/// Processes that join a container while another thread deletes it: each runs, ends with it or is refused, and none is lost.
#[test]
fn delete_while_processes_join() {
    apart::apart("delete_while_processes_join", &[], 900, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]);
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let refused = AtomicUsize::new(0);
        for round in 0..40 {
            let mut container = runtime.create(rt.tag(), &bundle, quiet()).unwrap();
            container.start().unwrap();
            let ready = Barrier::new(9);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    let container = runtime.get(rt.tag()).unwrap();
                    let (ready, refused) = (&ready, &refused);
                    scope.spawn(move || {
                        ready.wait();
                        loop {
                            match container.exec(&process(&["true"]), Exec { launch: quiet(), ..Exec::default() }) {
                                Ok(child) => assert!([0, 128 + libc::SIGKILL].contains(&child.wait().unwrap().code())),
                                Err(error) => {
                                    assert_eq!(error.kind(), Kind::WrongState, "{error}");
                                    refused.fetch_add(1, Ordering::Relaxed);
                                    break;
                                }
                            }
                        }
                    });
                }
                ready.wait();
                // A few processes later, each time at another point of theirs.
                for _ in 0..round % 8 {
                    let child =
                        container.exec(&process(&["true"]), Exec { launch: quiet(), ..Exec::default() }).unwrap();
                    assert!(child.wait().unwrap().success());
                }
                container.delete(true).unwrap();
            });
            assert_eq!(caller::children(), []);
        }
        assert_eq!(refused.into_inner(), 40 * 8);
    });
}
