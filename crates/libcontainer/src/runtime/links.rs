//! What the sources of bind mounts with `copy-symlink` point to: a fact of the machine that their plan depends on.

use crate::config::Mount;
use crate::error::{Error, Result};
use crate::spec::{Bundle, is_bind};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The mounts, by their place in the config, whose source is a symlink, with its target. A config without the option costs nothing.
pub(super) fn of(bundle: &Bundle) -> Result<Vec<(usize, PathBuf)>> {
    let asks = |mount: &Mount| is_bind(mount) && mount.options.iter().any(|option| option == "copy-symlink");
    let mut links = Vec::new();
    for (i, mount) in bundle.spec().mounts.iter().enumerate().filter(|(_, mount)| asks(mount)) {
        let source = bundle.dir().join(mount.source.as_deref().unwrap_or_default());
        match rustix::fs::readlink(&source, Vec::new()) {
            Ok(target) => links.push((i, OsString::from_vec(target.into_bytes()).into())),
            // What is no symlink is mounted as ever.
            Err(Errno::INVAL) => {}
            Err(errno) => {
                let what = format!("read the symlink {source:?}");
                return Err(Error::sys(what, errno).field(format!("mounts[{i}].source")));
            }
        }
    }
    Ok(links)
}
