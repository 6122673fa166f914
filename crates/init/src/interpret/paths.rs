//! Paths below a root, made where they are missing, with every symlink resolved in that root (CVE-2019-19921, CVE-2024-45310).

use super::release;
use crate::sys::fs::{self, PATH_MAX};
use crate::sys::{Errno, Fd, Result, Text};

/// How a path of the container is walked.
pub const IN_ROOT: u64 = fs::RESOLVE_IN_ROOT | fs::RESOLVE_NO_MAGICLINKS;

/// Symlinks are resolved in the root, the last component's too.
pub const FOLLOW: How = How { flags: 0, resolve: IN_ROOT };
/// The last component is not followed.
pub const NO_FOLLOW: How = How { flags: fs::O_NOFOLLOW, resolve: IN_ROOT };
/// No symlink is accepted anywhere.
pub const NO_SYMLINK: How = How { flags: 0, resolve: IN_ROOT | fs::RESOLVE_NO_SYMLINKS };

/// How often a walk may be changed by symlinks and by others who make what it makes: as many as the kernel follows.
const TURNS: u32 = 40;

/// Which symlinks a walk follows.
#[derive(Clone, Copy)]
pub struct How {
    flags: u64,
    resolve: u64,
}

/// What a missing path becomes.
#[derive(Clone, Copy)]
pub enum Leaf {
    /// A directory of this mode, which those that lead to it have too.
    Directory(u32),
    /// What the root of a detached mount is: a directory, else an empty regular file.
    Like(Fd),
}

/// The permissions of what is made to mount on.
pub const MODE: u32 = 0o755;

impl Leaf {
    fn mode(self) -> u32 {
        match self {
            Leaf::Directory(mode) => mode,
            Leaf::Like(_) => MODE,
        }
    }

    /// What is opened where it is there already.
    fn flags(self) -> u64 {
        match self {
            Leaf::Directory(_) => fs::O_PATH | fs::O_DIRECTORY,
            Leaf::Like(_) => fs::O_PATH,
        }
    }

    /// Makes it as `name` in `dir`.
    pub fn make(self, dir: Fd, name: Text) -> Result<()> {
        match self {
            Leaf::Like(tree) if fs::fstat(tree)?.kind() != fs::S_IFDIR => fs::mknodat(dir, name, fs::S_IFREG | MODE, 0),
            _ => fs::mkdirat(dir, name, self.mode()),
        }
    }
}

/// The place `path` below `root` as an `O_PATH` descriptor, made if it is missing.
pub fn reach(root: Fd, path: Text, leaf: Leaf, how: How) -> Result<Fd> {
    match fs::openat2(root, path, leaf.flags() | how.flags, how.resolve) {
        Err(Errno::NOENT) => make(root, path, leaf, how),
        found => found,
    }
}

/// Opens the longest part of the path that exists and makes the rest; a symlink that points to nothing is put in place of its name,
/// and the walk begins again.
#[inline(never)]
fn make(root: Fd, path: Text, leaf: Leaf, how: How) -> Result<Fd> {
    let mut walk = Walk { path: [0; PATH_MAX], len: 0 };
    walk.append(path.bytes())?;
    for _ in 0..TURNS {
        let (dir, at) = walk.existing(root, how)?;
        let made = walk.descend(dir, at, leaf, how);
        if dir != root {
            release(dir);
        }
        if let Some(place) = made? {
            return Ok(place);
        }
        match fs::openat2(root, walk.text(), leaf.flags() | how.flags, how.resolve) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
    }
    Err(Errno::LOOP)
}

/// A path that changes while it is walked. Behind its bytes there is always a NUL.
struct Walk {
    path: [u8; PATH_MAX],
    len: usize,
}

impl Walk {
    fn text(&self) -> Text<'_> {
        // SAFETY: a NUL stands behind the bytes.
        unsafe { Text::at(self.path.as_ptr()) }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.len + bytes.len();
        self.path.get_mut(self.len..end).filter(|_| end < PATH_MAX).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
        self.path[end] = 0;
        self.len = end;
        Ok(())
    }

    /// Where the component before `end` begins.
    fn component_before(&self, end: usize) -> usize {
        let end = self.path[..end].iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        self.path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)
    }

    /// The component from `start` on, as one that ends there; [`Walk::rejoin`] makes it part of the path again.
    fn split(&mut self, start: usize) -> usize {
        let end =
            self.path[start..self.len].iter().position(|byte| *byte == b'/').map_or(self.len, |slash| start + slash);
        self.path[end] = 0;
        end
    }

    fn rejoin(&mut self, end: usize) {
        if end < self.len {
            self.path[end] = b'/';
        }
    }

    /// The deepest directory of the path that is there, and where the missing part begins.
    fn existing(&mut self, root: Fd, how: How) -> Result<(Fd, usize)> {
        let mut at = self.len;
        loop {
            at = self.component_before(at);
            if at == 0 || self.path[..at].iter().all(|byte| *byte == b'/') {
                return Ok((root, at));
            }
            self.path[at - 1] = 0;
            let dir = fs::openat2(root, self.text(), fs::O_PATH | fs::O_DIRECTORY, how.resolve);
            self.path[at - 1] = b'/';
            match dir {
                Err(Errno::NOENT) => {}
                other => return other.map(|dir| (dir, at)),
            }
        }
    }

    /// Makes what follows from `at` on, in `dir`. `None` is a walk that must begin again, because the path has changed.
    fn descend(&mut self, dir: Fd, mut at: usize, leaf: Leaf, how: How) -> Result<Option<Fd>> {
        let mut here = dir;
        let result = loop {
            while at < self.len && self.path[at] == b'/' {
                at += 1;
            }
            if at == self.len {
                // Only slashes and dots: what is there already is the place.
                break if here == dir { fs::openat(dir, c".".into(), fs::O_PATH).map(Some) } else { Ok(Some(here)) };
            }
            let end = self.split(at);
            let last = self.path[end..self.len].iter().all(|byte| matches!(byte, 0 | b'/'));
            let next = match &self.path[at..end] {
                b"." => Ok(Next::Here),
                // What has been made just now is there on the next walk, and the kernel goes up in it.
                b".." => Ok(Next::Again),
                _ => {
                    // SAFETY: the component has been ended with NUL.
                    let name = unsafe { Text::at(self.path[at..].as_ptr()) };
                    step(here, name, if last { leaf } else { Leaf::Directory(leaf.mode()) }, last, how)
                }
            };
            self.rejoin(end);
            match next {
                Ok(Next::Here) => {}
                Ok(Next::Into(place)) => {
                    if here != dir {
                        release(here);
                    }
                    here = place;
                }
                Ok(Next::Again) => break Ok(None),
                Ok(Next::Symlink) => break self.follow(here, at, end).map(|()| None),
                Err(errno) => break Err(errno),
            }
            at = end;
        };
        if here != dir && !matches!(result, Ok(Some(_))) {
            release(here);
        }
        result
    }

    /// Puts the target of the symlink at `start..end`, which is in `dir`, in its place.
    #[inline(never)]
    fn follow(&mut self, dir: Fd, start: usize, end: usize) -> Result<()> {
        let mut link = Walk { path: [0; PATH_MAX], len: 0 };
        self.split(start);
        // SAFETY: the component has been ended with NUL.
        let target = fs::readlinkat(dir, unsafe { Text::at(self.path[start..].as_ptr()) }, &mut link.path);
        self.rejoin(end);
        link.len = match target {
            // It has become something else: the next walk will see what.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            target => target?,
        };
        if link.len == PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        link.append(&self.path[end..self.len])?;
        self.len = if link.path[0] == b'/' { 0 } else { start };
        self.append(&link.path[..link.len])
    }
}

/// Where one component leads.
enum Next {
    Here,
    Into(Fd),
    Symlink,
    Again,
}

/// Makes `name` in `dir`, or takes it as somebody else made it meanwhile, without following anything.
fn step(dir: Fd, name: Text, leaf: Leaf, last: bool, how: How) -> Result<Next> {
    match leaf.make(dir, name) {
        Err(Errno::EXIST) => match fs::readlinkat(dir, name, &mut [0]) {
            Ok(_) if how.resolve & fs::RESOLVE_NO_SYMLINKS != 0 => return Err(Errno::LOOP),
            Ok(_) if last && how.flags & fs::O_NOFOLLOW != 0 => {}
            Ok(_) => return Ok(Next::Symlink),
            Err(Errno::INVAL) => {}
            Err(Errno::NOENT) => return Ok(Next::Again),
            Err(errno) => return Err(errno),
        },
        made => made?,
    }
    match fs::openat(dir, name, leaf.flags() | fs::O_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(Next::Again),
        place => place.map(Next::Into),
    }
}
