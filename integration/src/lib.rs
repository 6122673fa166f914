//! The harness of the integration tests: real containers, made with any runtime that has runc's command line.
//!
//! `HULL` names the binary under test; without it the newest `hull` of the workspace's target directory is taken.
//! A test makes one [`Runtime`] (its own `--root`, its own tag), one or more [`Bundle`]s, and calls verbs. When the
//! `Runtime` is dropped its containers are deleted and the [`residue`] of the test is looked for: a process, a mount,
//! a cgroup or a file which carries the test's tag fails the test.
//!
//! ```no_run
//! let rt = integration::Runtime::new();
//! let mut bundle = rt.bundle();
//! assert_eq!(rt.sh(&mut bundle, "echo hello").ok(), "hello\n");
//! ```

pub mod apart;
pub mod apparmor;
pub mod binary;
pub mod births;
pub mod bundle;
pub mod call;
pub mod caller;
pub mod cgroup;
pub mod config;
pub mod console;
pub mod corpus;
pub mod coverage;
pub mod embedded;
pub mod features;
pub mod fifo;
pub mod forks;
pub mod network;
pub mod place;
pub mod proc;
pub mod resctrl;
pub mod residue;
pub mod runtime;
pub mod seccomp_agent;
pub mod selinux;
pub mod signals;
mod sys;
pub mod systemd;
pub mod user;
pub mod view;

pub use bundle::Bundle;
pub use call::{Call, Output};
pub use fifo::Fifo;
pub use runtime::{Container, Runtime};
pub use serde_json::{Value, json};
pub use sys::Refusal;

/// How long anything a test waits for may take, in seconds, before the test fails instead of hanging.
pub const PATIENCE: u64 = 180;
