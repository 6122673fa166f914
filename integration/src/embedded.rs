//! The library called by the test itself, as a program calls it that embeds it.

use crate::{Bundle, Runtime};
use libcontainer::config::Process;
use libcontainer::{Launch, Stdio};
use std::io::Read;
use std::os::fd::OwnedFd;

/// A launch whose standard streams are nobody's.
pub fn quiet() -> Launch {
    Launch { stdio: Stdio::Null, ..Launch::default() }
}

/// The bundle as the library reads it.
pub fn load(bundle: &Bundle) -> libcontainer::Bundle {
    bundle.write();
    libcontainer::Bundle::load(bundle.dir()).unwrap()
}

/// The library's runtime over the containers of `rt`.
pub fn runtime(rt: &Runtime) -> libcontainer::Runtime {
    libcontainer::Runtime::at(rt.root())
}

/// A process of a container.
pub fn process(args: &[&str]) -> Process {
    Process {
        args: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
        cwd: "/".into(),
        env: vec!["PATH=/bin".into()],
        ..Process::default()
    }
}

/// What was written into a pipe to the end of its last writer: one that leaked into another process would hold this up for ever.
pub fn all_of(pipe: OwnedFd) -> String {
    let mut text = String::new();
    std::fs::File::from(pipe).read_to_string(&mut text).unwrap();
    text
}
