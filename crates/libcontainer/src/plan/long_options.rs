//! File systems with an option too long for fsconfig(2): mount(2) takes the options of one as a single text.

use super::MountAttr;
use super::builder::{Arg, Builder};
use super::mounts::{self, Target};
use crate::config::Mount;
use crate::error::{Error, Kind, Result};
use hull_init::op::{Op, Slot};

/// fsconfig(2) takes values of as many bytes; layers of an overlay are the ones that are longer.
const VALUE: usize = 255;
/// mount(2) reads one page, and leaves out what goes beyond it without a word.
const TEXT: usize = 4095;
/// All `MOUNT_ATTR_*` of access times, one field: a choice among them clears the field.
const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// Whether one of the parameters is too long.
pub(super) fn among(params: &[(String, Option<String>)]) -> bool {
    params.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.len() > VALUE))
}

/// The file system as a detached mount, as `Op::Filesystem` makes it of shorter ones. mount(2) needs a place: over `/`, which
/// is the top of what is stacked there, and which `/..` leads to. Nothing is seen there before it is gone.
pub(super) fn file_system(
    b: &mut Builder<'_>,
    mount: &Mount,
    kind: &str,
    attrs: u64,
    target: &Target<'_>,
) -> Result<Slot> {
    let refuse = |what: String| Err(Error::new(Kind::Unsupported, what).field(format!("{}.options", target.field)));
    if !b.has_namespace("mount") {
        return refuse(format!("an option of more than {VALUE} bytes needs a mount namespace"));
    }
    let mut options = target.options.data.clone();
    if let Some((key, label)) = mounts::label(b, kind)? {
        options.push(format!("{key}=\"{label}\""));
    }
    let options = options.join(",");
    if options.len() > TEXT {
        return refuse(format!("options of {} bytes; mount(2) takes {TEXT}", options.len()));
    }
    let flags = target.options.sb_flags & !libc::MS_RDONLY;
    let source = b.string(mount.source.as_deref().filter(|source| !source.is_empty()).unwrap_or("none"));
    let [root, above, kind, options] = ["/", "/..", kind, &options].map(|text| b.string(text));
    let args = [Arg::Addr(source), Arg::Addr(root), Arg::Addr(kind), Arg::Value(flags), Arg::Addr(options)];
    b.call(target.origin(), libc::SYS_mount, &args);
    let tree = b.step_to_slot(target.origin(), Op::CloneTree { dir: Slot::CWD, path: above, flags: 0 });
    b.call(target.origin(), libc::SYS_umount2, &[Arg::Addr(above), Arg::Value(libc::MNT_DETACH as u64)]);
    b.set_attr(target.origin(), tree, MountAttr { set: attrs, clear: ATIME, ..MountAttr::default() }, false);
    Ok(tree)
}
