//! Where the files of a test are: in a directory that programs can be executed in, devices be opened, everybody get to, and whose
//! path leaves room for the sockets below it.

use rustix::fs::{StatVfsMountFlags, statvfs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What unix(7) leaves of its 107 bytes for the directory, beside those of the test and a socket in it.
const ROOM: usize = 50;

/// The directory for temporary files, or the first one that serves as it should.
pub fn for_tests() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let usual = std::env::temp_dir();
        let all = [usual.as_path(), Path::new("/tmp"), Path::new("/var/tmp")];
        all.into_iter().find(|dir| serves(dir)).unwrap_or(&usual).to_owned()
    })
}

fn serves(dir: &Path) -> bool {
    let never = StatVfsMountFlags::NOEXEC | StatVfsMountFlags::NODEV;
    let usable = statvfs(dir).is_ok_and(|stat| !stat.f_flag.intersects(never | StatVfsMountFlags::RDONLY));
    usable && dir.is_absolute() && dir.as_os_str().len() <= ROOM && is_open(dir)
}

/// Whether everybody gets there: through all directories on the way, and to execute what is there.
pub fn is_open(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|place| place.metadata().is_ok_and(|found| found.permissions().mode() & 1 != 0))
}
