//! What libcontainer takes from the program that calls it: nothing goes into a container, and without descriptors nothing is left behind.

use integration::embedded::{all_of, process, quiet};
use integration::{Runtime, apart, caller, json, residue, signals};
use libcontainer::{Exec, Launch, Stdio};
use rustix::process::{Resource, Rlimit};
use std::os::fd::OwnedFd;

/// What a process of a container tells of itself, as lines of a script's output.
const CONFESS: &str = "grep -E 'SigBlk|SigIgn|Umask' /proc/self/status; env | sort; ls /proc/self/fd | wc -l; pwd";

/// Its bit in the masks of /proc/PID/status.
const SIGPIPE: u64 = 1 << (libc::SIGPIPE - 1);

#[test]
fn a_container_inherits_nothing_of_its_caller() {
    let test = "a_container_inherits_nothing_of_its_caller";
    // The descriptor 9 and the variable are the caller's own.
    let wrapper = ["sh", "-c", "export SECRET=1; umask 027; cd /etc; exec 9</etc/passwd; exec \"$@\"", "sh"];
    apart::apart(test, &wrapper, 600, || {
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
    apart::apart("running_out_of_descriptors_anywhere_leaves_nothing", &[], 900, || {
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
