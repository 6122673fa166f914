//! Raw system calls that rustix does not carry: with hull-init, the only unsafe code.

pub mod bpf;
