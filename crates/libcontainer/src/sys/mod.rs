//! What touches the kernel without a safe interface of rustix: with hull-init, the only unsafe code.

pub mod program;
