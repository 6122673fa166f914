//! A container's id, checked once: afterwards it is the name of a directory and nothing else.

use crate::{Error, Kind, Result};
use std::fmt;

/// The id of a container: letters, digits and `_+-.`, neither `.` nor `..`, at most [`Id::MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// The longest id, in bytes. A file name has at most 255 (`NAME_MAX`), and cgroups and scopes are named after
    /// containers with a few letters around the id.
    pub const MAX: usize = 240;

    /// Checks an id by runc's rule.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`].
    pub fn new(id: &str) -> Result<Id> {
        let invalid = |what: String| Err(Error::new(Kind::InvalidArgument, what));
        if id.is_empty() {
            return invalid("container id cannot be empty".into());
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if !id.bytes().all(allowed) || id == "." || id == ".." {
            return invalid(format!("invalid container ID format: {id:?}"));
        }
        if id.len() > Id::MAX {
            return invalid(format!("invalid container ID format: longer than {} bytes: {id:?}", Id::MAX));
        }
        Ok(Id(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names_and_cannot_leave_the_root() {
        for good in ["a", "A-z_0+1.2", ".x", "...", "-", &"x".repeat(Id::MAX)] {
            assert_eq!(Id::new(good).map(|id| id.to_string()).ok().as_deref(), Some(good));
        }
        for bad in [".", "..", "../x", "a/b", "/", "a b", "a\0", "ä", "@new", "a\n", &"x".repeat(Id::MAX + 1)] {
            let error = Id::new(bad).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.to_string().starts_with("invalid container ID format: "), "{error}");
        }
        assert_eq!(Id::new("../x").unwrap_err().to_string(), "invalid container ID format: \"../x\"");
        assert_eq!(Id::new("").unwrap_err().to_string(), "container id cannot be empty");
    }
}
