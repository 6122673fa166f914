//! The program hull-init: the root of the sources that libcontainer's build script compiles, without libc, to one static file.
//!
//! It is no target of cargo's: `cargo build` must not try to link it as it links everything else.
#![no_std]
#![no_main]

mod interpret;
mod memory;
mod op;
mod start;
mod sys;
mod wire;

/// There is nobody to tell, and nothing to unwind.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::process::exit(125)
}
