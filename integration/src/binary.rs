//! Finds the runtime under test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The runtime's binary: `$HULL`, else the newest `hull` below the workspace's target directory.
///
/// # Panics
/// When there is none: a test without its subject must not pass.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("HULL") {
        Some(path) => PathBuf::from(path),
        None => newest().expect("no hull in the target directory: build it, or name a runtime in $HULL"),
    })
}

fn newest() -> Option<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target"),
    };
    let mut dirs = vec![target.clone()];
    dirs.extend(std::fs::read_dir(&target).ok()?.flatten().map(|entry| entry.path()));
    let age = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    dirs.iter()
        .flat_map(|dir| [dir.join("release/hull"), dir.join("debug/hull")])
        .filter(|path| path.is_file())
        .max_by_key(age)
}
