//! How a verb ends: with an exit code, or with the one line that says why it failed.

use libcontainer::Error;

/// What a verb returns: the exit code of the program.
pub type Outcome = Result<u8, Failure>;

/// The one error of a call.
#[derive(Debug)]
pub struct Failure {
    /// The line, without a final period or newline.
    pub text: String,
    /// The exit code.
    pub code: u8,
    /// The library's error, whose parts a structured log shows on their own.
    pub cause: Option<Error>,
}

impl Failure {
    /// A failure of the command line itself; exit code 1.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1, cause: None }
    }

    /// Changes the exit code.
    pub fn exit(mut self, code: u8) -> Failure {
        self.code = code;
        self
    }

    /// Puts what was being done in front: `CONTEXT: text`.
    pub fn context(mut self, context: impl std::fmt::Display) -> Failure {
        self.text = format!("{context}: {}", self.text);
        self
    }

    /// A system call of the command line that failed: `what` names the operation and its object.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Failure {
        Error::io(what, error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { text: error.to_string(), code: 1, cause: Some(error) }
    }
}
