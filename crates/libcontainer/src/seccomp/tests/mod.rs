//! Filters as they decide: in an interpreter of classic BPF, and in the kernel.

mod interpreter;
mod kernel;
mod profiles;
mod verdicts;
