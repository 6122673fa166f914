//! Security labels of the program, its session keyring and its mounts: SELinux. A label that cannot be applied is an error, never silence.

use super::builder::{Arg, Builder, Origin, origin};
use crate::config::Process;
use crate::error::{Error, Kind, Result};
use hull_init::op::{Op, Slot};

/// Sets the label that the next exec takes.
pub(super) fn label(b: &mut Builder<'_>) -> Result<()> {
    if let Some(label) = process_label(b)? {
        write(b, "process.selinuxLabel", "self/attr/exec", label);
    }
    Ok(())
}

/// Sets the label of the keys that the process makes until its exec, for its session keyring: with the caller's, the
/// container could not use it.
pub(super) fn key_label(b: &mut Builder<'_>) -> Result<()> {
    match process_label(b)? {
        Some(label) if !b.input.launch.no_new_keyring => {
            write(b, "process.selinuxLabel", "self/attr/keycreate", label);
        }
        _ => {}
    }
    Ok(())
}

fn process_label<'a>(b: &Builder<'a>) -> Result<Option<&'a str>> {
    selinux(b, own_or_containers(b, |process| &process.selinux_label), "process.selinuxLabel")
}

/// A label of the process: its own, or for an exec without one the container's, which nobody leaves by saying nothing.
pub(super) fn own_or_containers<'a>(b: &Builder<'a>, label: fn(&Process) -> &Option<String>) -> Option<&'a str> {
    let mut processes = [Some(b.input.process), b.input.config.process.as_ref()].into_iter().flatten();
    processes.find_map(|process| label(process).as_deref().filter(|label| !label.is_empty()))
}

/// `linux.mountLabel`, where it can be applied.
pub(super) fn mount_label<'a>(b: &Builder<'a>) -> Result<Option<&'a str>> {
    selinux(b, b.input.config.linux.mount_label.as_deref(), "linux.mountLabel")
}

fn selinux<'a>(b: &Builder<'a>, label: Option<&'a str>, field: &'static str) -> Result<Option<&'a str>> {
    match label.filter(|label| !label.is_empty()) {
        Some(label) if !b.input.host.selinux => {
            let what = format!("SELinux label {label:?} cannot be applied: SELinux is not enabled on this host");
            Err(Error::new(Kind::Unsupported, what).field(field))
        }
        label => Ok(label),
    }
}

/// Labels the root of a new file system of a type that takes no label as an option.
pub(super) fn label_root(b: &mut Builder<'_>, tree: Slot, why: impl Fn() -> Origin) -> Result<()> {
    let Some(label) = mount_label(b)? else { return Ok(()) };
    // The mount's own descriptor is O_PATH, for which there is no fsetxattr(2).
    let here = b.string(".");
    let root = b.step_to_slot(why(), Op::Open { root: tree, path: here, flags: libc::O_DIRECTORY as u64 });
    let name = b.string("security.selinux");
    let value = b.bytes(label.as_bytes());
    let args = [Arg::Fd(root), Arg::Addr(name), Arg::Addr(value.at), Arg::Value(value.len.into()), Arg::Value(0)];
    b.call(origin("linux.mountLabel", format!("{}: set the label {label:?}", why().what)), libc::SYS_fsetxattr, &args);
    Ok(())
}

fn write(b: &mut Builder<'_>, field: &'static str, path: &str, value: &str) {
    let dir = b.procfs();
    let why = origin(field, format!("write {value:?} to /proc/{path}"));
    let (path, data) = (b.string(path), b.bytes(value.as_bytes()));
    b.step(why, Op::Write { dir, path, data });
}
