//! Profiles for the tests.

use crate::config::Seccomp;
use crate::seccomp::{Filter, compile};
use serde_json::Value;

/// A profile from JSON, as config.json has it.
pub fn profile(text: Value) -> Seccomp {
    serde_json::from_value(text).unwrap()
}

/// Compiles a profile which must be without warnings.
pub fn filter(text: Value) -> Filter {
    let (filter, warnings) = compile(&profile(text)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    filter
}

/// The three ways to call an x86_64 kernel.
pub const X86: [&str; 3] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

/// A profile of the form of Docker's: what is not named gets EPERM, most calls are allowed, some by their arguments.
pub fn docker_like() -> Value {
    serde_json::from_str(include_str!("docker-like.json")).unwrap()
}
