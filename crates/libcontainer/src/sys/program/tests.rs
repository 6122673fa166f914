//! hull-init as it runs: plans of a few steps, and what the kernel shows of the process that performs them.

mod console;
mod draft;
mod hooks;
mod identity;
mod mounts;
mod paths;
mod races;
mod sealing;
mod start;
