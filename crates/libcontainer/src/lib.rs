//! libcontainer: Linux containers from OCI bundles.
#![allow(dead_code)] // TEMPORARY: while the rooms are being filled

pub mod config;
mod container;
mod error;
#[path = "sys/signal.rs"]
pub mod signal;
pub mod spec { pub fn default_config(_: Option<(u32,u32)>) -> serde_json::Value { serde_json::Value::Null } }
pub mod state;
pub mod cgroup { pub struct Stats {} pub struct OomEvents {} }

pub use container::*;
pub use error::{Error, Kind, Result, errno_words};
