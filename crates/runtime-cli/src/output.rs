//! Standard output, in as few writes as the text needs.

use crate::failure::Failure;
use rustix::io::Errno;

/// Writes all of `text` to standard output, unbuffered.
pub fn write(text: &str) -> rustix::io::Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The same for the result of a verb, which has failed if its result cannot be delivered.
pub fn print(text: &str) -> Result<(), Failure> {
    write(text).map_err(|errno| libcontainer::Error::sys("write to standard output", errno).into())
}
