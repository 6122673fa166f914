//! hull-init as it runs: plans of a few steps, and what the kernel shows of the process that performs them.

mod draft;
mod mounts;
mod paths;
mod start;
