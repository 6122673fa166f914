//! System calls that rustix does not have, each in a thin safe wrapper. With hull-init, the only unsafe code.

pub mod clone;
pub mod limits;
pub mod mount;
pub mod namespace;
pub mod socket;
