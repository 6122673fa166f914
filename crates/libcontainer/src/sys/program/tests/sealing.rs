//! The sealed program where memfds may not be executed: in a pid namespace of its own, which has its own vm.memfd_noexec.

use crate::sys::program::sealed;
use std::os::fd::AsRawFd;
use std::process::Command;

/// In the child: not a test, but this very file's body run by [`without_executable_memfds`] in the namespace.
const INSIDE: &str = "HULL_TEST_INSIDE_MEMFD_NOEXEC";

/// Runs the test `name` of this program again, in new pid and mount namespaces with a procfs of their own, after `sysctl` has been set there.
fn again_inside(name: &str, sysctl: &str) -> std::process::Output {
    let script = format!(
        "mount -t proc proc /proc && echo {sysctl} >/proc/sys/vm/memfd_noexec && exec \"$0\" --exact --nocapture {name}"
    );
    Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, sysctl)
        .output()
        .unwrap()
}

#[test]
fn the_program_runs_where_memfds_may_not_be_executed() {
    const NAME: &str = "sys::program::tests::sealing::the_program_runs_where_memfds_may_not_be_executed";
    if let Some(sysctl) = std::env::var_os(INSIDE) {
        return inside(sysctl == "2");
    }
    if !super::draft::root_or_skip("vm.memfd_noexec in a pid namespace") {
        return;
    }
    if !std::path::Path::new("/proc/sys/vm/memfd_noexec").exists() {
        eprintln!("skipped: this kernel has no vm.memfd_noexec");
        return;
    }
    for sysctl in ["1", "2"] {
        let output = again_inside(NAME, sysctl);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    }
}

fn inside(forbidden: bool) {
    let program = sealed(b"").unwrap();
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let is_memfd = std::fs::read_link(&path).unwrap().to_str().unwrap().contains("memfd:");
    assert_eq!(is_memfd, !forbidden);

    // It runs,
    let mut draft = super::draft::Draft::new(0);
    draft.meet();
    let mut running = draft.start();
    running.reach();

    // and it can be written neither by its descriptor, nor by the way a container takes, nor after a change of its mount.
    let executable = format!("/proc/{}/exe", running.pid());
    if forbidden {
        for path in [&path, &executable] {
            let error = std::fs::OpenOptions::new().write(true).open(path).unwrap_err();
            assert!(matches!(error.raw_os_error(), Some(libc::EROFS | libc::ETXTBSY)), "{error}");
        }
        let clear_read_only = [0, libc::MOUNT_ATTR_RDONLY, 0, 0];
        let changed = hull_init::sys::mount::set_attributes(program.as_raw_fd(), &clear_read_only, 0);
        assert_eq!(changed, Err(hull_init::sys::Errno::INVAL));
        drop(running);
        let error = std::fs::OpenOptions::new().write(true).open(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    } else {
        let mut file = std::fs::OpenOptions::new().write(true).open(&executable).or_else(|_| {
            drop(running);
            std::fs::OpenOptions::new().write(true).open(&path)
        });
        if let Ok(file) = &mut file {
            let error = std::io::Write::write(file, b"x").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        }
    }
}
