//! hull-init: what a fresh process does to become a container's process, as data and as the program that does it.
//!
//! Both sides of hull share this crate. libcontainer compiles a bundle into [`op::Op`]s and lays them out with
//! [`wire`]; the program `hull-init`, built from the same sources without libc and without an allocator, maps that
//! layout and performs it ([`interpret`]). Nothing here parses, decides or allocates: whatever could be decided
//! beforehand has been, in the parent.
//!
//! ```text
//! parent (libcontainer)                              child (hull-init)
//!   compile Plan, open descriptors
//!   clone3 ──────────────────────────────────────►  execveat(sealed memfd)
//!   write id maps, if any ── gate ────────────────►  (before that exec)
//!                                                    map the plan, perform its operations
//!   ◄──────────────────────────── Reached(point) ──  Meet: hooks, rlimits, seccomp listener
//!   perform the acts of that point ── go ─────────►
//!   ◄──────────────────────────── Forked ──────────  Fork: into a joined pid namespace
//!   ◄──────────────────────────── Failed(step, errno, text), and exit
//!   ◄──────────────────────────── Created ─────────  Barrier
//!   write the record ── go ───────────────────────►
//!                                                    accept() on the start socket, which then takes the place of
//!   start: connect ───────────────────────────────►  the conversation: Failed, or end of file at the exec
//!   ◄──────────────────────────── end of file ─────  Exec: every descriptor is close-on-exec
//! ```
#![no_std]

pub mod interpret;
pub mod op;
pub mod sys;
pub mod wire;
