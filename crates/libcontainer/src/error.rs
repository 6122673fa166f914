//! The one error of the library: opaque, with a kind to match, and every part a reader needs to act on it.

use std::fmt;

/// What went wrong, coarsely enough to decide on. More kinds may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `config.json` is missing, is not JSON, or breaks a rule of the runtime specification.
    InvalidSpec,
    /// An argument of the caller (an id, a path, a signal name) is not usable.
    InvalidArgument,
    /// No container has this id.
    NotFound,
    /// A container has this id already.
    AlreadyExists,
    /// The container is in a state that does not allow the operation.
    WrongState,
    /// The kernel, the machine or the caller's privileges do not offer what the config asks for.
    Unsupported,
    /// The operation was allowed and the kernel refused it.
    System,
    /// The container's own program could not be started.
    Program,
    /// A hook failed or ran out of time.
    Hook,
    /// What is stored of the container cannot be read.
    Corrupt,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    field: Option<String>,
    step: Option<String>,
    object: Option<String>,
    errno: Option<i32>,
    hint: Option<String>,
}

/// An error of libcontainer. `Display` is one readable line: what was done, to which object, why it failed, and the
/// field of config.json which asked for it.
#[derive(thiserror::Error)]
pub struct Error(Box<Inner>);

/// The result of every fallible call of the library.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`; `what` is the operation that failed or the rule that was broken, without a final period.
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        let what = what.into();
        Error(Box::new(Inner { kind, what, field: None, step: None, object: None, errno: None, hint: None }))
    }

    /// A broken rule of config.json at `field` (`mounts[3].source`).
    pub fn spec(field: impl Into<String>, what: impl Into<String>) -> Error {
        Error::new(Kind::InvalidSpec, what).field(field)
    }

    /// A system call that failed: `what` names the operation and its object (`open "/dev/null"`).
    pub fn sys(what: impl Into<String>, errno: rustix::io::Errno) -> Error {
        Error::new(Kind::System, what).errno(errno.raw_os_error())
    }

    /// The same for an error of the standard library.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno) => Error::new(Kind::System, what).errno(errno),
            None => Error::new(Kind::System, format!("{}: {error}", what.into())),
        }
    }

    /// Names the field of config.json that asked for what failed. The first name given is kept: it is the nearest.
    pub fn field(mut self, field: impl Into<String>) -> Error {
        self.0.field.get_or_insert(field.into());
        self
    }

    /// Names the step of the plan that failed.
    pub fn step(mut self, step: impl Into<String>) -> Error {
        self.0.step.get_or_insert(step.into());
        self
    }

    /// Names the file, namespace, cgroup or device concerned, for structured logs; the text of `what` shows it already.
    pub fn object(mut self, object: impl Into<String>) -> Error {
        self.0.object.get_or_insert(object.into());
        self
    }

    /// The kernel's reason, as a positive errno.
    pub fn errno(mut self, errno: i32) -> Error {
        self.0.errno.get_or_insert(errno);
        self
    }

    /// What a person could do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    /// What else failed after it, while its traces were removed: in the place of a hint.
    pub(crate) fn and_afterwards(self, left: &[String]) -> Error {
        if left.is_empty() { self } else { self.hint(format!("and afterwards: {}", left.join(", "))) }
    }

    /// Puts what was being done in front of the text: `CONTEXT: what`.
    pub fn context(mut self, context: impl fmt::Display) -> Error {
        self.0.what = format!("{context}: {}", self.0.what);
        self
    }

    /// Replaces the kind, where a caller knows better than the place that failed.
    pub fn with_kind(mut self, kind: Kind) -> Error {
        self.0.kind = kind;
        self
    }

    /// The kind, to decide on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
    /// The operation or rule, without errno, field and hint.
    pub fn what(&self) -> &str {
        &self.0.what
    }
    /// The field of config.json concerned, as `mounts[3].source`.
    pub fn config_field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }
    /// The step of the plan that failed, as `hull explain` prints it.
    pub fn plan_step(&self) -> Option<&str> {
        self.0.step.as_deref()
    }
    /// The file, namespace, cgroup or device concerned.
    pub fn failed_object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }
    /// The kernel's reason as a positive errno.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.errno
    }
    /// What a person could do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        if let Some(errno) = self.0.errno {
            write!(f, ": {}", errno_words(errno))?;
        }
        if let Some(field) = &self.0.field {
            write!(f, " ({field})")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

/// The kernel's reason in the words that engines match on: lower case, without the number (`no such file or directory`).
pub fn errno_words(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_operation_reason_field_and_advice() {
        let error =
            Error::sys("open \"/nowhere\"", rustix::io::Errno::NOENT).field("mounts[3].source").hint("create it");
        assert_eq!(error.to_string(), "open \"/nowhere\": no such file or directory (mounts[3].source); create it");
        assert_eq!((error.kind(), error.raw_os_error()), (Kind::System, Some(2)));
    }

    #[test]
    fn the_nearest_field_is_kept() {
        assert_eq!(Error::spec("a.b", "x").field("a").config_field(), Some("a.b"));
    }
}
