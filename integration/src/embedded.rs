//! The library called by the test itself, as a program calls it that embeds it.

use crate::{Bundle, Runtime};
use libcontainer::{Launch, Stdio};

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
