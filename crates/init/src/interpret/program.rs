//! The container's own program: found before the last doors close, executed behind them.

use super::Run;
use crate::op::Addr;
use crate::sys::AT_FDCWD;
use crate::sys::{Errno, Result, Text, fs, process};

impl Run {
    pub(super) fn find(&mut self, candidates: Addr) -> Result<()> {
        let mut reason = Errno::NOENT;
        for path in self.plan.texts(candidates) {
            match fs::executable(path).and_then(|()| fs::stat(AT_FDCWD, path, 0)) {
                Ok(stat) if stat.kind() == fs::S_IFREG => {
                    self.program = Some(path);
                    return Ok(());
                }
                Ok(_) | Err(Errno::ACCES) => {
                    self.object = path.bytes();
                    reason = Errno::ACCES;
                }
                Err(_) => {}
            }
        }
        Err(reason)
    }

    pub(super) fn exec(&mut self, candidates: Addr, argv: Addr, envp: Addr) -> Result<()> {
        let (argv, envp) = (argv.0 as *const *const u8, envp.0 as *const *const u8);
        // SAFETY: the layout has null-terminated arrays of strings there.
        let execute = |path: Text<'static>| unsafe { process::execve(path, argv, envp) };
        if let Some(path) = self.program {
            self.object = path.bytes();
            let errno = execute(path);
            self.extra = i32::from(errno == Errno::NOENT && is_there(path));
            return Err(errno);
        }
        let mut reason = Errno::NOENT;
        for path in self.plan.texts(candidates) {
            match execute(path) {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCES => {
                    self.object = path.bytes();
                    reason = Errno::ACCES;
                }
                errno => {
                    self.object = path.bytes();
                    return Err(errno);
                }
            }
        }
        if reason == Errno::NOENT && self.plan.texts(candidates).any(is_there) {
            self.extra = 1;
        }
        Err(reason)
    }
}

/// A file which is there and does not exist for execve(2) names an interpreter that does not.
#[cold]
fn is_there(path: Text) -> bool {
    fs::stat(AT_FDCWD, path, 0).is_ok()
}
