//! Notice of processes killed for want of memory.

use super::Cgroup;
use super::dir::{Dir, value_of};
use crate::error::{Error, Kind, Result};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, inotify};
use rustix::io::Errno;

/// What happened in a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// Memory ran out.
    Oom,
    /// The cgroup has no processes any more, or was removed: no event will follow.
    Gone,
}

/// A subscription to a cgroup's events: wait for [`OomEvents::fd`] to be readable, then [`OomEvents::read`] until it has
/// nothing more.
#[derive(Debug)]
pub struct OomEvents {
    fd: OwnedFd,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// An eventfd; the kernel signals it also when the cgroup is removed.
    V1(Dir),
    /// An inotify on `memory.events` and `cgroup.events`, how often there was an OOM kill so far, and whether the end
    /// may have come together with the last.
    V2 { dir: Dir, kills: u64, look: bool },
}

impl Cgroup {
    /// Subscribes to out-of-memory events.
    ///
    /// # Errors
    /// `Unsupported` if the cgroup has no memory controller, `System` if the kernel refuses.
    pub fn oom_events(&self) -> Result<OomEvents> {
        if let Some(hierarchy) = self.hierarchy("memory") {
            return subscribe_v1(Dir::at(&hierarchy.path));
        }
        match self.hierarchy("") {
            Some(hierarchy) => subscribe_v2(Dir::at(&hierarchy.path)),
            None => {
                Err(Error::new(Kind::Unsupported, "the cgroup controller \"memory\" is not available").object("memory"))
            }
        }
    }
}

/// cgroup-v1/memory.txt, chapter 9 and 10.
fn subscribe_v1(dir: Dir) -> Result<OomEvents> {
    let failed = |act: &str, name: &str, errno| dir.failed(act, name, errno);
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| failed("make an eventfd for", "", errno))?;
    let control =
        dir.file("memory.oom_control", OFlags::RDONLY).map_err(|errno| failed("open", "memory.oom_control", errno))?;
    let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    dir.write("cgroup.event_control", &line).map_err(|errno| failed("write", "cgroup.event_control", errno))?;
    Ok(OomEvents { fd, source: Source::V1(dir) })
}

fn subscribe_v2(dir: Dir) -> Result<OomEvents> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(|errno| dir.failed("make an inotify for", "", errno))?;
    for name in ["memory.events", "cgroup.events"] {
        match inotify::add_watch(&fd, dir.path().join(name), inotify::WatchFlags::MODIFY) {
            Ok(_) => {}
            Err(Errno::NOENT) if name == "memory.events" => {
                let what = "the cgroup controller \"memory\" is not available";
                return Err(Error::new(Kind::Unsupported, what).object("memory"));
            }
            Err(errno) => return Err(dir.failed("watch", name, errno)),
        }
    }
    // Read after the watch: what happens in between is reported by it.
    let kills = dir.read_key("memory.events", "oom_kill").ok().flatten().unwrap_or(0);
    Ok(OomEvents { fd, source: Source::V2 { dir, kills, look: false } })
}

impl OomEvents {
    /// Readable when there is something to [`read`](OomEvents::read).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What has happened since the last call, if it is of interest. Does not wait.
    ///
    /// # Errors
    /// `System` if the kernel refuses.
    pub fn read(&mut self) -> Result<Option<OomEvent>> {
        match &mut self.source {
            Source::V1(dir) => {
                if !drain(self.fd.as_fd()).map_err(|errno| dir.failed("read the events of", "", errno))? {
                    return Ok(None);
                }
                let exists =
                    rustix::fs::access(dir.path().join("cgroup.event_control"), rustix::fs::Access::EXISTS).is_ok();
                Ok(Some(if exists { OomEvent::Oom } else { OomEvent::Gone }))
            }
            Source::V2 { dir, kills, look } => {
                let fresh = drain(self.fd.as_fd()).map_err(|errno| dir.failed("read the events of", "", errno))?;
                if !std::mem::take(look) && !fresh {
                    return Ok(None);
                }
                let now = dir.read_key("memory.events", "oom_kill").ok().flatten().unwrap_or(*kills);
                if now > std::mem::replace(kills, now) {
                    *look = true;
                    return Ok(Some(OomEvent::Oom));
                }
                let empty = match dir.read("cgroup.events") {
                    Ok(text) => value_of(&text, "populated") != Some(1),
                    Err(_) => true,
                };
                Ok(empty.then_some(OomEvent::Gone))
            }
        }
    }
}

/// Takes all that is there to read; whether there was anything.
fn drain(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let mut buffer = [0u8; 4096];
    let mut any = false;
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(any),
            Ok(_) => any = true,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of version 2 in an ordinary directory: what matters is that they change.
    #[test]
    fn version_2_tells_kills_and_the_end() {
        let temporary = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(temporary.path().join(file), text).unwrap();
        write("memory.events", "low 0\noom 3\noom_kill 2\n");
        write("cgroup.events", "populated 1\nfrozen 0\n");
        let mut events = subscribe_v2(Dir::at(temporary.path())).unwrap();
        assert_eq!(events.read().unwrap(), None);
        write("memory.events", "low 1\noom 3\noom_kill 2\n");
        assert_eq!(events.read().unwrap(), None, "memory pressure is no kill");
        write("memory.events", "low 1\noom 4\noom_kill 3\n");
        assert_eq!(events.read().unwrap(), Some(OomEvent::Oom));
        assert_eq!(events.read().unwrap(), None);
        write("memory.events", "low 1\noom 5\noom_kill 4\n");
        write("cgroup.events", "populated 0\nfrozen 0\n");
        assert_eq!(events.read().unwrap(), Some(OomEvent::Oom));
        assert_eq!(events.read().unwrap(), Some(OomEvent::Gone), "which came together with it");
    }
}
