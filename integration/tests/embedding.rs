//! libcontainer in a program with many threads, a large heap and an async runtime: it works, and it changes nothing of the program.

use integration::caller::{self, Watch};
use integration::embedded::{all_of, process, quiet};
use integration::{Bundle, Runtime, apart, forks, json, residue, signals};
use libcontainer::{Child, Container, Exec, ExitStatus, Kind, Launch, Stdio};
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

    /// On a machine so busy that all the time has gone before it began, not yet.
    fn over(&self) -> bool {
        let begun = self.serial.load(Ordering::Relaxed) > THREADS;
        self.done.load(Ordering::Relaxed) || begun && Instant::now() > self.until
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
    apart::apart("stress", &[], duration().as_secs() * 3 + 900, || {
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
