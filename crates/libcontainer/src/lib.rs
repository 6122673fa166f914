//! libcontainer: Linux containers from OCI bundles.
#![allow(dead_code)] // TEMPORARY: while the rooms are being filled

pub mod cgroup;
pub mod config;
mod error;
pub mod spec;

mod sys;

pub use error::{Error, Kind, Result, errno_words};
