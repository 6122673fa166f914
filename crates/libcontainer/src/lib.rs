//! libcontainer: Linux containers from OCI bundles.
#![allow(dead_code)] // TEMPORARY: while the rooms are being filled

pub mod config;
mod error;
pub mod spec;
pub mod state;

pub use error::{Error, Kind, Result, errno_words};
