//! libcontainer: Linux containers from OCI bundles.
#![allow(dead_code)] // TEMPORARY: while the rooms are being filled

pub mod config;
mod error;
pub mod host;
mod plan;
pub mod seccomp;
pub mod spec;
pub mod state;
mod sys;

pub use error::{Error, Kind, Result, errno_words};
