//! What touches the kernel without a safe interface of rustix, each in a thin safe wrapper: with hull-init, the only unsafe code.

pub mod bpf;
pub mod clone;
pub mod lsm;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod process;
pub mod program;
pub mod rtnetlink;
pub mod signal;
pub mod silent;
pub mod socket;
