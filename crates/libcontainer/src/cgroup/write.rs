//! A value for a file of a cgroup, and the act of writing it.

use super::dir::Dir;
use crate::error::{Error, Kind};
use rustix::io::Errno;

/// One value for one file, and the field of config.json that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub file: String,
    pub value: String,
    pub field: String,
    pub absent: Absent,
}

/// What it means that the kernel does not have the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// What was asked for cannot be had.
    Refuse,
    /// What was asked for is so anyway.
    Accept,
    /// Another file serves.
    Instead(Box<Write>),
}

impl Write {
    pub fn new(file: impl Into<String>, value: impl ToString, field: impl Into<String>) -> Write {
        Write { file: file.into(), value: value.to_string(), field: field.into(), absent: Absent::Refuse }
    }

    pub fn absent(mut self, absent: Absent) -> Write {
        self.absent = absent;
        self
    }

    /// Refused is what was tried last.
    fn act(&self, dir: &Dir) -> Result<(), (&Write, Errno)> {
        match (dir.write(&self.file, &self.value), &self.absent) {
            (Err(Errno::NOENT), Absent::Accept) => Ok(()),
            (Err(Errno::NOENT), Absent::Instead(other)) => other.act(dir),
            (result, _) => result.map_err(|errno| (self, errno)),
        }
    }
}

/// Writes values which bound each other (a quota and its period, memory and memory with swap). The kernel checks each
/// write against what stands in the other files, so that the right order depends on both old and new values: what it
/// refuses is tried again after the others, for as long as that leads on.
///
/// # Errors
/// The write that cannot be done, and why.
pub(crate) fn write_group<'a>(dir: &Dir, group: &'a [Write]) -> Result<(), (&'a Write, Errno)> {
    let mut pending: Vec<&Write> = group.iter().collect();
    loop {
        let mut refused = Vec::new();
        let mut again = Vec::new();
        for &write in &pending {
            match write.act(dir) {
                Ok(()) => {}
                Err(failed @ (_, Errno::INVAL | Errno::BUSY)) => {
                    refused.push(failed);
                    again.push(write);
                }
                Err(failed) => return Err(failed),
            }
        }
        match refused.first() {
            None => return Ok(()),
            Some(&first) if refused.len() == pending.len() => return Err(first),
            Some(_) => pending = again,
        }
    }
}

/// The error of a write that the kernel refused.
pub(crate) fn refused(dir: &Dir, write: &Write, errno: Errno) -> Error {
    let path = dir.path().join(&write.file).display().to_string();
    if errno == Errno::NOENT {
        let what = format!("this kernel has no \"{path}\"");
        return Error::new(Kind::Unsupported, what).field(&write.field).object(path);
    }
    if errno == Errno::BUSY
        && write.file == "memory.limit_in_bytes"
        && let (Ok(usage), Ok(peak)) =
            (dir.read_number("memory.usage_in_bytes"), dir.read_number("memory.max_usage_in_bytes"))
    {
        let what =
            format!("unable to set memory limit to {} (current usage: {usage}, peak usage: {peak})", write.value);
        return Error::sys(what, errno).field(&write.field).object(path);
    }
    Error::sys(format!("write {:?} to \"{path}\"", write.value), errno).field(&write.field).object(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_refused_accepted_or_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::at(temporary.path());
        std::fs::write(temporary.path().join("there"), "").unwrap();
        let missing = Write::new("missing", 1, "a.b");
        assert_eq!(missing.act(&dir), Err((&missing, Errno::NOENT)));
        assert_eq!(missing.clone().absent(Absent::Accept).act(&dir), Ok(()));
        let instead = Write::new("there", 7, "a.b");
        assert_eq!(missing.clone().absent(Absent::Instead(Box::new(instead))).act(&dir), Ok(()));
        let other = Write::new("missing too", 7, "a.b");
        let neither = missing.clone().absent(Absent::Instead(Box::new(other.clone())));
        assert_eq!(neither.act(&dir), Err((&other, Errno::NOENT)), "the error names what was tried");
        assert_eq!(std::fs::read_to_string(temporary.path().join("there")).unwrap(), "7");
        let error = refused(&dir, &missing, Errno::NOENT);
        assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("a.b")));
    }
}
