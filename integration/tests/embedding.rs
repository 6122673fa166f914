//! libcontainer in a program with many threads, a large heap and an async runtime: it works, and it changes nothing of the program.

use integration::caller::{self, Watch};
use integration::embedded::quiet;
use integration::{Bundle, Runtime, apart, forks, json, residue, signals};
use libcontainer::config::Process;
use libcontainer::{Child, Container, Exec, ExitStatus, Kind, Launch, Stdio};
use rustix::process::{Resource, Rlimit};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const THREADS: usize = 32;
const HEAP: usize = 50 << 20;
const EXECS: usize = 64;

/// How long the stress goes on: `HULL_STRESS_SECONDS`, else 5.
fn duration() -> Duration {
    let given = std::env::var("HULL_STRESS_SECONDS").map(|text| text.parse().unwrap());
    Duration::from_secs(given.unwrap_or(5))
}

/// What all threads work with.
struct Work {
    runtime: libcontainer::Runtime,
    /// Bundles which between them take every way of a start: plain, with a user namespace, with all kinds of hooks, with a filter.
    bundles: Vec<libcontainer::Bundle>,
    /// One whose program is not there.
    broken: libcontainer::Bundle,
    tag: String,
    serial: AtomicUsize,
    until: Instant,
    done: AtomicBool,
    /// How many threads have come to rest.
    idle: AtomicUsize,
    /// Told after each container's life.
    lived: Sender<()>,
}

fn work(rt: &Runtime, lived: Sender<()>) -> Work {
    let load = |bundle: &Bundle| {
        bundle.write();
        libcontainer::Bundle::load(bundle.dir()).unwrap()
    };
    let named = |name: &str| {
        let mut bundle = rt.bundle_named(name);
        // By id, so that one bundle serves many containers.
        bundle.unset("/linux/cgroupsPath").args(&["sleep", "1000"]);
        bundle
    };
    let plain = named("plain");
    let mut user = named("user");
    user.userns(100_000, 65_536);
    let mut mapped = named("mapped");
    let source = rt.path("shared");
    std::fs::create_dir(&source).unwrap();
    mapped.bind(&source, "/mnt", &["idmap"]);
    let map = json!([{"containerID": 0, "hostID": 5000, "size": 1000}]);
    mapped.set("/mounts/7/uidMappings", map.clone()).set("/mounts/7/gidMappings", map);
    std::fs::create_dir(mapped.inside("/mnt")).unwrap();
    let mut hooked = named("hooked");
    for kind in ["createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let program = if kind == "startContainer" { "/bin/true" } else { "/usr/bin/true" };
        hooked.push(&format!("/hooks/{kind}"), json!({"path": program, "timeout": 60}));
    }
    let mut filtered = named("filtered");
    filtered.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}),
    );
    let mut broken = named("broken");
    broken.args(&["/nowhere"]);
    Work {
        runtime: libcontainer::Runtime::at(rt.root()),
        bundles: [plain, user, mapped, hooked, filtered].iter().map(load).collect(),
        broken: load(&broken),
        tag: rt.tag().to_owned(),
        serial: AtomicUsize::new(0),
        until: Instant::now() + duration(),
        done: AtomicBool::new(false),
        idle: AtomicUsize::new(0),
        lived,
    }
}

impl Work {
    fn id(&self) -> (usize, String) {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        (serial, format!("{}-{serial}", self.tag))
    }

    /// The whole life of a container, with the ways it can go wrong in between.
    fn live(&self, execs: impl FnOnce(&Arc<Container>)) {
        let (serial, id) = self.id();
        let bundle = &self.bundles[serial % self.bundles.len()];
        let mut container = self.runtime.create(&id, bundle, quiet()).unwrap();
        container.start().unwrap();
        assert_eq!(descriptors_of(container.pid()), [0, 1, 2], "descriptors of the program");
        let container = Arc::new(container);
        execs(&container);
        if serial % 5 == 0 {
            let error =
                container.exec(&process(&["/nowhere"]), Exec { launch: quiet(), ..Exec::default() }).unwrap_err();
            assert_eq!(error.kind(), Kind::Program, "{error}");
            let error = self.runtime.create(&id, bundle, quiet()).unwrap_err();
            assert_eq!(error.kind(), Kind::AlreadyExists, "{error}");
            let error = self.runtime.create(&format!("{id}-broken"), &self.broken, quiet()).unwrap_err();
            assert_eq!(error.kind(), Kind::Program, "{error}");
        }
        drop(container);
        // A handle of its own: whichever thread and handle made a container, another may end it.
        let warnings = self.runtime.get(&id).unwrap().delete(true).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let _ = self.lived.send(()); // nobody hears it when the test has failed
    }

    /// `run`, whose caller has the child to wait for.
    fn run(&self) {
        let (serial, id) = self.id();
        let (mut container, child) =
            self.runtime.run(&id, &self.bundles[serial % self.bundles.len()], quiet()).unwrap();
        assert_eq!(echo(&container, "once").1.wait().unwrap(), ExitStatus::Exited(0));
        container.kill(libc::SIGKILL, false).unwrap();
        assert_eq!(child.wait().unwrap().code(), 128 + libc::SIGKILL);
        container.delete(false).unwrap();
        let _ = self.lived.send(()); // nobody hears it when the test has failed
    }

    fn over(&self) -> bool {
        self.done.load(Ordering::Relaxed) || Instant::now() > self.until
    }
}

fn process(args: &[&str]) -> Process {
    Process {
        args: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
        cwd: "/".into(),
        env: vec!["PATH=/bin".into()],
        ..Process::default()
    }
}

fn descriptors_of(pid: i32) -> Vec<i32> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut numbers: Vec<i32> = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
    numbers.sort();
    numbers
}

/// A process in the container which writes `word` and the number of its descriptors into a pipe.
fn echo(container: &Container, word: &str) -> (OwnedFd, Child) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let streams = [null.try_clone().unwrap(), write, null];
    let launch = Launch { stdio: Stdio::Fds(streams), ..Launch::default() };
    let script = format!("echo {word} $(ls /proc/self/fd | wc -l)");
    let child = container.exec(&process(&["sh", "-c", &script]), Exec { launch, ..Exec::default() }).unwrap();
    (read, child)
}

/// What was written into a pipe to the end of its last writer: one that leaked into another process would hold this up for ever.
fn all_of(pipe: OwnedFd) -> String {
    let mut text = String::new();
    std::fs::File::from(pipe).read_to_string(&mut text).unwrap();
    text
}

async fn all_of_async(pipe: OwnedFd) -> String {
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe).unwrap();
    let mut text = Vec::new();
    loop {
        pipe.readable().await.unwrap();
        let mut buffer = [0; 512];
        match pipe.try_read(&mut buffer) {
            Ok(0) => return String::from_utf8(text).unwrap(),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

/// As `ls` lists them: the three streams and the directory it reads.
fn expected(word: &str) -> String {
    format!("{word} 4\n")
}

/// Allocates all the time in all sizes, so that some lock of the allocator is always held, and now and then leads a container's life.
fn allocate(work: &Work, seed: u64, start: &Barrier) {
    signals::block(libc::SIGRTMIN() + (seed % 20) as i32);
    start.wait(); // until all are there, with their masks
    start.wait(); // until they have been looked at
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for round in 0u64.. {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        kept.push(vec![random as u8; 1 << (random % 17)]);
        if kept.len() > 64 {
            kept.swap_remove(random as usize % 64);
        }
        if round % 4096 == 0 {
            if work.over() {
                break;
            }
            match round / 4096 % 2 {
                0 => work.live(|container| {
                    let (pipe, child) = echo(container, "thread");
                    let said = all_of(pipe);
                    assert_eq!((child.wait().unwrap(), said), (ExitStatus::Exited(0), expected("thread")));
                }),
                _ => work.run(),
            }
        }
    }
    work.idle.fetch_add(1, Ordering::Relaxed);
    start.wait(); // until all have come to rest and have been looked at
}

/// One container after the other from tasks of an async runtime, each with [`EXECS`] processes at once.
async fn serve(work: Arc<Work>) {
    while !work.over() {
        let (_, id) = work.id();
        let made = work.clone();
        let container = tokio::task::spawn_blocking(move || {
            let mut container = made.runtime.create(&id, &made.bundles[0], quiet()).unwrap();
            container.start().unwrap();
            container
        });
        let container = Arc::new(container.await.unwrap());
        let mut execs = tokio::task::JoinSet::new();
        for i in 0..EXECS {
            let container = container.clone();
            execs.spawn(async move {
                let word = format!("exec{i}");
                let (begun, said) = (container.clone(), word.clone());
                let (pipe, child) = tokio::task::spawn_blocking(move || echo(&begun, &said)).await.unwrap();
                let said = all_of_async(pipe).await;
                let status = tokio::task::spawn_blocking(|| child.wait()).await.unwrap().unwrap();
                assert_eq!((status, said), (ExitStatus::Exited(0), expected(&word)));
            });
        }
        while let Some(exec) = execs.join_next().await {
            exec.unwrap();
        }
        let mut container = Arc::into_inner(container).unwrap();
        // From a worker thread of the runtime itself, as careless programs do.
        container.delete(true).unwrap();
        let _ = work.lived.send(());
    }
}

/// A runtime all of whose threads are there from the start and stay.
fn runtime() -> tokio::runtime::Runtime {
    let hour = Duration::from_secs(3600);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let tokio =
        builder.worker_threads(4).max_blocking_threads(EXECS).thread_keep_alive(hour).enable_io().build().unwrap();
    let all = Arc::new(Barrier::new(EXECS + 1));
    for _ in 0..EXECS {
        let all = all.clone();
        drop(tokio.spawn_blocking(move || all.wait()));
    }
    all.wait();
    tokio
}

#[test]
fn stress() {
    apart::apart("stress", &[], duration().as_secs() * 3 + 120, || {
        let rt = Runtime::new();
        let heap = vec![1u8; HEAP];
        // A descriptor of a program that does not know of O_CLOEXEC, and a directory at that: no container may have it.
        let open = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        forks::watch();
        signals::interrupt_by(libc::SIGUSR2);
        let (descriptors, whole) = (caller::descriptors(), caller::whole());
        let (sender, lives) = channel();
        let work = Arc::new(work(&rt, sender));
        let begin = Arc::new(Barrier::new(THREADS + 1));
        let threads: Vec<_> = (1..=THREADS as u64)
            .map(|seed| {
                let (work, begin) = (work.clone(), begin.clone());
                std::thread::Builder::new()
                    .name(format!("allocates{seed}"))
                    .spawn(move || allocate(&work, seed, &begin))
                    .unwrap()
            })
            .collect();
        let tokio = runtime();
        begin.wait();
        let mut watch = Watch::begin();
        begin.wait();
        let tasks: Vec<_> = (0..2).map(|_| tokio.spawn(serve(work.clone()))).collect();
        let mut lived = 0;
        let resting = || {
            work.idle.load(Ordering::Relaxed) + threads.iter().filter(|thread| thread.is_finished()).count() == THREADS
        };
        while !resting() || tasks.iter().any(|task| !task.is_finished()) {
            // The time limit is for the end alone, when nobody lives any more.
            if lives.recv_timeout(Duration::from_secs(1)).is_ok() {
                lived += 1;
            }
            signals::send_to_all_threads(libc::SIGUSR2);
            let changed = watch.look();
            if !changed.is_empty() {
                work.done.store(true, Ordering::Relaxed);
                panic!("changed in the caller:\n{}", changed.join("\n"));
            }
        }
        for task in tasks {
            tokio.block_on(task).unwrap();
        }
        assert_eq!(work.idle.load(Ordering::Relaxed), THREADS, "some threads have panicked");
        assert_eq!(watch.look(), [""; 0]);
        begin.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(tokio);
        println!("{} containers lived; {} looks at all threads", work.serial.load(Ordering::Relaxed), watch.looks);
        assert!(lived > 0);
        assert_eq!(caller::children(), []);
        let unasked = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
        assert_eq!(unasked.err(), Some(rustix::io::Errno::CHILD), "a child nobody asked for");
        assert_eq!(caller::descriptors(), descriptors);
        assert_eq!(caller::whole(), whole);
        assert_eq!(forks::seen(), 0, "the heap was forked");
        // The cache of filters stays on purpose.
        std::fs::remove_dir_all(rt.root().join("@seccomp")).unwrap();
        assert_eq!(residue::left(rt.tag(), &rt.root(), &[]), [""; 0]);
        drop(open);
        assert_eq!(heap[HEAP / 2], 1);
    });
}

/// The child that holds a user namespace for an id-mapped mount has copies of what other threads have open at that moment: they must
/// not keep each other alive.
#[test]
fn id_mapped_mounts_from_many_threads() {
    apart::apart("id_mapped_mounts_from_many_threads", &[], 60, || {
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

/// What a process of a container tells of itself, as lines of a script's output.
const CONFESS: &str = "grep -E 'SigBlk|SigIgn|Umask' /proc/self/status; env | sort; ls /proc/self/fd | wc -l; pwd";

/// Its bit in the masks of /proc/PID/status.
const SIGPIPE: u64 = 1 << (libc::SIGPIPE - 1);

#[test]
fn a_container_inherits_nothing_of_its_caller() {
    let test = "a_container_inherits_nothing_of_its_caller";
    // The descriptor 9 and the variable are the caller's own.
    let wrapper = ["sh", "-c", "export SECRET=1; umask 027; cd /etc; exec 9</etc/passwd; exec \"$@\"", "sh"];
    apart::apart(test, &wrapper, 60, || {
        let rt = Runtime::new();
        [libc::SIGUSR1, libc::SIGTERM, libc::SIGCHLD, libc::SIGRTMIN() + 3].into_iter().for_each(signals::block);
        assert_eq!(caller::descriptors().get(&9), Some(&"/etc/passwd".into()), "the premise");
        let mut bundle = rt.bundle();
        bundle
            .script(CONFESS)
            .set("/process/env", json!(["PATH=/bin", "HOME=/"]))
            .unset("/process/user")
            .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o77}));
        bundle.push("/hooks/createRuntime", json!({"path": "/bin/sh", "args": ["sh", "-c", format!("({CONFESS}) > {}", rt.path("hook").display())], "env": ["PATH=/bin:/usr/bin"]}));
        bundle.write();
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let streams = [null.try_clone().unwrap(), write.try_clone().unwrap(), write];
        let launch = Launch { stdio: Stdio::Fds(streams), ..Launch::default() };
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let (mut container, child) = libcontainer::Runtime::at(rt.root()).run(rt.tag(), &bundle, launch).unwrap();
        let said = all_of(read);
        assert!(child.wait().unwrap().success());
        container.delete(false).unwrap();
        // What was ignored when this program began goes on, as with runc; what Rust has it ignore does not.
        let own = caller::attributes(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let ignored = u64::from_str_radix(&own["SigIgn"], 16).unwrap();
        assert_ne!(ignored & SIGPIPE, 0, "the premise");
        let unblocked = "SigBlk:\t0000000000000000".to_owned();
        let ignored = format!("SigIgn:\t{:016x}", ignored & !SIGPIPE);
        let expected = format!("Umask:\t0077\n{unblocked}\n{ignored}\nHOME=/\nPATH=/bin\nPWD=/\nSHLVL=1\n4\n/\n");
        assert_eq!(said, expected, "the container's program");
        let hook = std::fs::read_to_string(rt.path("hook")).unwrap();
        let lines: Vec<&str> = hook.lines().collect();
        assert_eq!(lines[1..3], [unblocked, ignored], "a hook: {hook}");
        assert!(!hook.contains("SECRET"), "a hook: {hook}");
        assert_eq!(lines[lines.len() - 2], "4", "a hook has three descriptors: {hook}");
    });
}

/// Each verb with ever more descriptors: every call that opens one fails once, and each failure is told and leaves nothing.
#[test]
fn running_out_of_descriptors_anywhere_leaves_nothing() {
    apart::apart("running_out_of_descriptors_anywhere_leaves_nothing", &[], 120, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]).push("/hooks/createRuntime", json!({"path": "/bin/true"}));
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let create = || runtime.create(rt.tag(), &bundle, quiet());
        let clean = |count: usize| {
            assert_eq!(caller::children(), [], "with {count} descriptors");
            assert_eq!(residue::left(rt.tag(), &rt.root(), &[]), [""; 0], "with {count} descriptors");
        };
        let refused = each_count(|count, with| {
            let done = with(&mut || create().map(drop));
            if done.is_ok() {
                runtime.get(rt.tag())?.delete(true)?;
            }
            clean(count);
            done
        });
        assert!(refused > 20, "create: {refused}");

        let mut container = create().unwrap();
        let refused = each_count(|_, with| with(&mut || container.start()));
        assert!(refused > 1, "start: {refused}");
        let child = container.child().unwrap();
        let refused = each_count(|count, with| {
            let mut child = None;
            let done = with(&mut || {
                child = Some(container.exec(&process(&["true"]), Exec { launch: quiet(), ..Exec::default() })?);
                Ok(())
            });
            if let Some(child) = child {
                assert!(child.wait().unwrap().success());
            }
            assert_eq!(caller::children().len(), 1, "with {count} descriptors");
            done
        });
        assert!(refused > 10, "exec: {refused}");
        container.delete(true).unwrap();
        assert_eq!(child.wait().unwrap().code(), 128 + libc::SIGKILL);

        let refused = each_count(|count, with| {
            let mut container = create()?;
            container.start()?;
            let done = with(&mut || container.delete(true).map(drop));
            if done.is_err() {
                runtime.get(rt.tag())?.delete(true)?;
            }
            clean(count);
            done
        });
        assert!(refused > 2, "delete: {refused}");
    });
}

/// Calls `one` with 0, 1, 2 ... and a limiter, until it succeeds; how often it did not. What `one` does within the limiter can open
/// this many descriptors.
fn each_count(
    mut one: impl FnMut(
        usize,
        &dyn Fn(&mut dyn FnMut() -> libcontainer::Result<()>) -> libcontainer::Result<()>,
    ) -> libcontainer::Result<()>,
) -> usize {
    let usual = rustix::process::getrlimit(Resource::Nofile);
    for count in 0..200 {
        let before = caller::descriptors();
        let limit = (0..).filter(|fd| !before.contains_key(fd)).nth(count).unwrap() as u64;
        let limited = |what: &mut dyn FnMut() -> libcontainer::Result<()>| {
            rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..usual }).unwrap();
            let done = what();
            rustix::process::setrlimit(Resource::Nofile, usual).unwrap();
            done
        };
        match one(count, &limited) {
            Ok(()) => return count,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "with {count} descriptors: {error}"),
        }
        assert_eq!(caller::descriptors(), before, "with {count} descriptors");
    }
    panic!("200 descriptors are not enough");
}

/// A process that joins a container just when that ends runs to its end, ends with it, or is told that the container has stopped.
#[test]
fn exec_in_a_container_that_ends() {
    apart::apart("exec_in_a_container_that_ends", &[], 120, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["true"]);
        bundle.write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let mut refused = 0;
        for _ in 0..300 {
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
        assert_ne!(refused, 0);
        assert_eq!(caller::children(), []);
    });
}

/// The processes of a container go with it, whoever has lost sight of them.
#[test]
fn delete_takes_processes_nobody_waits_for() {
    apart::apart("delete_takes_processes_nobody_waits_for", &[], 60, || {
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
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
        assert_eq!(caller::children(), []);
    });
}

/// Processes that join a container while another thread deletes it: each runs, ends with it or is refused, and none is lost.
#[test]
fn delete_while_processes_join() {
    apart::apart("delete_while_processes_join", &[], 120, || {
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
