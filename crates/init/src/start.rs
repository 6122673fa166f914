//! Where the kernel enters the program: a stack with argc and argv on it, and nothing else.

use core::arch::global_asm;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    enter = sym enter,
);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "b {enter}", enter = sym enter);

#[cfg(target_arch = "riscv64")]
global_asm!(
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "lla gp, __global_pointer$",
    ".option pop",
    "mv s0, zero",
    "mv a0, sp",
    "tail {enter}",
    enter = sym enter,
);

/// The plan's table of descriptors: the only memory that is written to and not on the stack.
static mut TABLE: [i32; crate::op::Slot::MAX as usize] = [0; crate::op::Slot::MAX as usize];

/// `stack` points to argc, behind which argv begins: where the plan is, as three decimal numbers: its descriptor, where in the
/// file it begins, and its size.
extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc there.
    if unsafe { *stack } < 4 {
        crate::sys::process::exit(125);
    }
    let number = |i: usize| {
        // SAFETY: the kernel puts argv behind argc; there are more than `i` arguments.
        let text = unsafe { crate::sys::Text::at(*stack.add(1 + i) as *const u8) };
        let digit = |value: u64, digit: &u8| value.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
        text.bytes().iter().fold(0u64, digit)
    };
    // SAFETY: this runs once, before anything else could refer to the table.
    let table = unsafe { &mut *(&raw mut TABLE) };
    crate::interpret::start(number(1) as i32, number(2)..number(2) + number(3), table)
}
