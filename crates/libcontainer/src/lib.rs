//! libcontainer: Linux containers from OCI bundles.
//!
//! ```no_run
//! use libcontainer::{Bundle, Launch, Runtime};
//! # fn main() -> libcontainer::Result<()> {
//! let runtime = Runtime::at("/run/my-program");
//! let bundle = Bundle::load("/containers/web".as_ref())?;
//! let (mut container, program) = runtime.run("web", &bundle, Launch::default())?;
//! let status = program.wait()?;
//! container.delete(false)?;
//! println!("ended with {}", status.code());
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a container
//!
//! [`Bundle`] reads and checks config.json ([`spec`]); [`plan`] compiles it into data: what to open, which namespaces to clone, which
//! steps the new process takes; `launch` opens, clones, and talks with the child, which is the embedded program hull-init; [`state`]
//! remembers what came of it. Imports point downwards only:
//!
//! ```text
//! runtime container exec process  ──►  launch  ──►  plan  ──►  spec host cgroup resctrl seccomp state  ──►  config proc  ──►  sys  ──►  error
//! ```
//!
//! # In a program of yours
//!
//! Every call may be made from any thread, with any allocator and any async runtime around it. Nothing of the calling process is
//! changed: not its working directory, umask, signal mask, environment or limits; no thread is started; no descriptor is left open or leaks into
//! a container; a child process is made only by [`Runtime::create`], [`Runtime::run`], [`Container::exec`] and for hooks.
#![warn(missing_docs)]

pub mod cgroup;
pub mod config;
mod container;
mod error;
mod exec;
pub mod features;
pub mod host;
mod launch;
pub mod plan;
mod proc;
mod process;
pub mod resctrl;
mod runtime;
pub mod seccomp;
pub mod spec;
pub mod state;
mod sys;

pub use cgroup::Driver;
pub use container::{Container, NotifySocket, Status};
pub use error::{Error, Kind, Result, errno_words};
pub use exec::Exec;
pub use features::Features;
pub use plan::Explanation;
pub use process::{Child, Console, ExitStatus, Launch, Stdio};
pub use runtime::{Rootless, Runtime};
pub use spec::Bundle;
pub use sys::signal;
