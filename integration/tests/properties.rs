//! The properties of the design, each attacked: what of the runtime a container can see and reach, paths that change under way, machines
//! that forbid to execute memfds, plans made without privileges.

use integration::config::MANY_CAPS;
use integration::embedded::{load, quiet, runtime};
use integration::seccomp_agent::{Agent, answer, notified};
use integration::{Runtime, apart, caller, json, proc, user, view};
use libcontainer::config::Process;
use libcontainer::{Exec, Kind, Launch, Stdio};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, SealFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs the bundle's program to its end; its exit code and what it printed.
fn run(rt: &Runtime, id: &str, bundle: &libcontainer::Bundle) -> libcontainer::Result<(i32, String)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let launch = Launch { stdio: Stdio::Fds([null, write.try_clone().unwrap(), write]), ..Launch::default() };
    let (mut container, child) = runtime(rt).run(id, bundle, launch)?;
    let mut said = String::new();
    std::fs::File::from(read).read_to_string(&mut said).unwrap();
    let code = child.wait()?.code();
    container.delete(false)?;
    Ok((code, said))
}

/// Tries to get at the file behind `path` in every way that could change it.
fn assert_unwritable(path: &str) {
    for flags in [OFlags::WRONLY, OFlags::RDWR, OFlags::WRONLY | OFlags::TRUNC, OFlags::WRONLY | OFlags::APPEND] {
        let opened = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
        let error = opened.err().unwrap_or_else(|| panic!("{path} opens with {flags:?}"));
        assert!([Errno::TXTBSY, Errno::PERM, Errno::ROFS].contains(&error), "{path} with {flags:?}: {error}");
    }
}

/// A memfd that nobody can ever change.
fn assert_sealed(fd: impl AsFd) {
    let seals = rustix::fs::fcntl_get_seals(&fd).expect("it is a memfd");
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    assert!(seals.contains(all), "{seals:?}");
}

#[test]
fn what_waits_for_start_is_a_sealed_memfd() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let mut container = runtime(&rt).create(rt.tag(), &load(bundle.args(&["sleep", "1000"])), quiet()).unwrap();
    let pid = container.pid();
    let exe = format!("/proc/{pid}/exe");
    assert_eq!(proc::link(pid, "exe"), "/memfd:hull-init (deleted)");
    assert_unwritable(&exe);
    let open = rustix::fs::open(exe.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    assert_sealed(&open);
    // Nothing else of the host is in its memory, and nothing of it can be written through.
    for map in std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let name = map.split_whitespace().nth(5).unwrap_or("");
        assert!(!name.starts_with('/') || name.starts_with("/memfd:hull-init") || name == "/dev/zero", "{map}");
        assert!(
            !(name.starts_with("/memfd") && map.split(' ').nth(1).unwrap().ends_with('s') && map.contains('w')),
            "{map}"
        );
    }
    container.start().unwrap();
    assert_eq!(
        proc::link(pid, "exe"),
        bundle.inside("/bin/busybox").to_string_lossy().replace(bundle.rootfs().to_str().unwrap(), "")
    );
    container.delete(true).unwrap();
    // It is executed no more, so the seals alone are what holds.
    use std::os::fd::AsRawFd;
    let again =
        rustix::fs::open(format!("/proc/self/fd/{}", open.as_raw_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .unwrap();
    assert_eq!(rustix::io::write(&again, b"x"), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(&again, 0), Err(Errno::PERM));
}

#[test]
fn an_entrypoint_of_proc_self_exe_finds_nothing_of_the_host() {
    let own = std::env::current_exe().unwrap();
    let before = (std::fs::metadata(&own).unwrap().modified().unwrap(), std::fs::metadata(&own).unwrap().len());
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.writable();
    std::os::unix::fs::symlink("/proc/self/exe", bundle.inside("/evil")).unwrap();
    bundle.program("/script", "#!/proc/self/exe\n");
    for args in [
        &["/proc/self/exe"] as &[&str],
        &["/evil"],
        &["/script"],
        &["/proc/self/exe", "3", "0", "4096"],
        &["/proc/1/exe", "0"],
    ] {
        match run(&rt, rt.tag(), &load(bundle.args(args))) {
            Ok((code, said)) => assert!(code != 0 && said.is_empty(), "{args:?} ended with {code}: {said}"),
            Err(error) => assert_eq!(error.kind(), Kind::Program, "{args:?}: {error}"),
        }
    }
    let after = (std::fs::metadata(&own).unwrap().modified().unwrap(), std::fs::metadata(&own).unwrap().len());
    assert_eq!(before, after);
}

/// Looks for the process whose parent is outside and tries what an attacker would; one line for each attempt.
const ATTACK: &str = r#"
until pid=$(grep -l '^PPid:.0$' /proc/[0-9]*/status 2>/dev/null | grep -v '^/proc/1/' | grep -o '[0-9]*'); do :; done
echo found
readlink /proc/$pid/exe && echo exe is seen
cat /proc/$pid/exe >/dev/null && echo exe is read
(echo evil >/proc/$pid/exe) && echo exe is written
(echo evil >>/proc/$pid/exe) && echo exe is appended to
truncate -s 0 /proc/$pid/exe && echo exe is cut off
for fd in /proc/$pid/fd/*; do readlink $fd && echo $fd is seen; ls $fd/ && echo $fd is a directory; done
ls /proc/$pid/cwd/ /proc/$pid/root/ && echo places are seen
cat /proc/$pid/environ && echo environment is read
(echo evil >/proc/$pid/mem) && echo memory is written
echo end
exec sleep 1000
"#;

/// What the attack says beside its beginning and end, with `caps` for the attacker.
fn attack(caps: &[&str]) -> Vec<String> {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script(ATTACK).caps(caps);
    let agent = Agent::before_the_program(&rt, &mut bundle);
    let fifo = rt.path("said");
    let fifo = integration::Fifo::new(&fifo);
    let said: OwnedFd = std::fs::OpenOptions::new().write(true).open(rt.path("said")).unwrap().into();
    let null: OwnedFd = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap().into();
    let launch = Launch { stdio: Stdio::Fds([null.try_clone().unwrap(), said, null]), ..Launch::default() };
    let (mut container, child) = std::thread::scope(|scope| {
        scope.spawn(|| agent.let_one_pass());
        runtime(&rt).run(rt.tag(), &load(&bundle), launch).unwrap()
    });
    let process = Process { cwd: "/".into(), args: Some(vec!["/bin/true".into()]), ..Process::default() };
    let (lines, joined) = std::thread::scope(|scope| {
        let joins = scope.spawn(|| container.exec(&process, Exec { launch: quiet(), ..Exec::default() }));
        let (_, listeners) = agent.hear();
        let held = notified(&listeners[0]);
        assert_eq!(fifo.line(), "found");
        let lines: Vec<String> = std::iter::from_fn(|| Some(fifo.line()).filter(|line| line != "end")).collect();
        answer(&listeners[0], &held, Ok(0));
        (lines, joins.join().unwrap())
    });
    assert_eq!(joined.unwrap().wait().unwrap(), libcontainer::ExitStatus::Exited(0));
    container.kill(libc::SIGKILL, false).unwrap();
    child.wait().unwrap();
    container.delete(false).unwrap();
    lines
}

#[test]
fn what_joins_a_container_is_closed_to_it() {
    assert_eq!(
        attack(&["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID"]),
        [""; 0]
    );
}

#[test]
fn what_joins_a_container_can_not_even_be_written_by_a_debugger() {
    let mut caps = MANY_CAPS.to_vec();
    caps.extend(["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
    let lines = attack(&caps);
    assert!(
        lines.iter().any(|line| line.starts_with("/memfd:hull-init")),
        "the premise: a debugger sees it: {lines:?}"
    );
    assert!(!lines.iter().any(|line| line == "usr" || line == "boot"), "a directory of the host is open: {lines:?}");
    for written in ["exe is written", "exe is appended to", "exe is cut off"] {
        assert!(!lines.iter().any(|line| line == written), "{lines:?}");
    }
}

/// Exchanges two entries until told to stop.
fn storm(a: &Path, b: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
    }
}

#[test]
fn a_rename_storm_leads_nothing_out_of_the_root() {
    const SECONDS: u64 = 4;
    let rt = Runtime::new();
    let host = rt.path("host");
    std::fs::create_dir_all(host.join("sub/inner")).unwrap();
    std::fs::write(host.join("secret"), "a secret of the host").unwrap();
    std::fs::write(host.join("sub/secret"), "a secret of the host").unwrap();
    let before = caller::tree(&host);
    let mut bundle = rt.bundle();
    bundle.writable();
    for (dir, link) in [("a", "link"), ("b/c", "b/link")] {
        std::fs::create_dir_all(bundle.inside(dir).join("sub")).unwrap();
        std::os::unix::fs::symlink(&host, bundle.inside(link)).unwrap();
    }
    // A symlink with the host's path leads below the root when it is resolved there; that place exists as well.
    std::fs::create_dir_all(bundle.rootfs().join(host.strip_prefix("/").unwrap()).join("sub")).unwrap();
    bundle.mount("/a/made", "tmpfs", "tmpfs", &[]);
    bundle.mount("/a/sub/copy", "tmpfs", "tmpfs", &["tmpcopyup"]);
    bundle.mount("/b/c/sub", "tmpfs", "tmpfs", &["tmpcopyup"]);
    bundle.bind(&rt.path("root"), "/b/c/bound/deep/down", &[]);
    bundle.bind(&bundle.inside("/etc/passwd"), "/a/file", &[]);
    bundle.push("/linux/devices", json!({"path": "/a/device", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}));
    bundle.push(
        "/linux/devices",
        json!({"path": "/b/c/new/device", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}),
    );
    bundle.push("/linux/maskedPaths", json!("/a/secret")).push("/linux/maskedPaths", json!("/b/c/sub/secret"));
    bundle.push("/linux/readonlyPaths", json!("/a/sub"));
    bundle
        .script("cat /a/secret /a/sub/secret /a/sub/copy/secret /b/c/secret /b/c/sub/secret 2>/dev/null; echo through");
    let bundle = &load(&bundle);
    let stop = &AtomicBool::new(false);
    let (mut through, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        for (dir, link) in [("a", "link"), ("b/c", "b/link")] {
            scope.spawn(move || storm(&bundle.rootfs().join(dir), &bundle.rootfs().join(link), stop));
        }
        let end = Instant::now() + Duration::from_secs(SECONDS);
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let latest = end + Duration::from_secs(integration::PATIENCE);
            while Instant::now() < end || through == 0 && Instant::now() < latest {
                match run(&rt, rt.tag(), bundle) {
                    Ok((_, said)) => {
                        assert_eq!(said, "through\n");
                        through += 1;
                    }
                    Err(_) => refused += 1,
                }
                assert_eq!(caller::tree(&host), before, "something has come into the host's directory");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        rounds.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    println!("{through} containers ran, {refused} were refused");
    assert!(through > 0, "{refused} were refused");
    assert_eq!(std::fs::read_to_string(host.join("secret")).unwrap(), "a secret of the host");
}

#[test]
fn where_memfds_may_not_be_executed_a_mount_of_its_own_serves() {
    let forbid = "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"";
    let wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", forbid, "sh"];
    apart::apart("where_memfds_may_not_be_executed_a_mount_of_its_own_serves", &wrapper, 900, || {
        assert_eq!(std::fs::read_to_string("/proc/sys/vm/memfd_noexec").unwrap(), "2\n", "the premise");
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let (code, said) = run(&rt, rt.tag(), &load(bundle.script("echo in; readlink /proc/self/exe"))).unwrap();
        assert_eq!((code, said.as_str()), (0, "in\n/bin/busybox\n"));
        let mut container = runtime(&rt).create(rt.tag(), &load(bundle.args(&["sleep", "1000"])), quiet()).unwrap();
        let pid = container.pid();
        assert!(proc::link(pid, "exe").contains("/hull-init"), "{}", proc::link(pid, "exe"));
        assert_unwritable(&format!("/proc/{pid}/exe"));
        assert_eq!(container.status().unwrap(), libcontainer::Status::Created);
        container.start().unwrap();
        assert_eq!(container.status().unwrap(), libcontainer::Status::Running);
        let process = Process { cwd: "/".into(), args: Some(vec!["/bin/true".into()]), ..Process::default() };
        // From many threads at once: a program that another's child still has open for writing cannot be executed.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (container, process) = (&container, &process);
                scope.spawn(move || {
                    for _ in 0..25 {
                        let child = container.exec(process, Exec { launch: quiet(), ..Exec::default() }).unwrap();
                        assert!(child.wait().unwrap().success());
                    }
                });
            }
        });
        container.delete(true).unwrap();
    });
}

#[test]
fn an_ordinary_user_reads_a_plan_and_nothing_is_touched() {
    let wrapper = view::as_user(user::USER);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    apart::apart("an_ordinary_user_reads_a_plan_and_nothing_is_touched", &wrapper, 600, || {
        assert_eq!(rustix::process::getuid().as_raw(), user::USER, "the premise");
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.userns(user::USER, 1).mount("/mnt", "tmpfs", "tmpfs", &["size=1m"]);
        let bundle = load(&bundle);
        let look = || (caller::tree(rt.dir()), caller::descriptors(), caller::children());
        let before = look();
        let plan = runtime(&rt).explain(&bundle).unwrap().to_string();
        assert_eq!(look(), before);
        for part in ["mounts[7]", "linux.maskedPaths", "size 1m", "hostname", "exec"] {
            assert!(plan.contains(part), "{part} is not in\n{plan}");
        }
    });
}
