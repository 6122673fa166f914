//! Instructions of classic BPF as seccomp(2) takes them.

/// The most instructions the kernel takes in one program (`BPF_MAXINSNS`).
pub const MAX: usize = 4096;
/// The size of an instruction in bytes.
pub const SIZE: usize = 8;

/// Where the system call's number is in `struct seccomp_data`.
pub const NUMBER: u32 = 0;
/// Where its architecture is.
pub const ARCHITECTURE: u32 = 4;

/// `BPF_LD | BPF_W | BPF_ABS`: a word of `struct seccomp_data` into the accumulator.
pub const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`: go on `k` instructions further.
pub const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub const IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`, unsigned.
pub const IF_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JSET | BPF_K`: if any of the bits is set.
pub const IF_BITS: u16 = 0x45;
/// `BPF_JMP | BPF_JGE | BPF_K`, unsigned.
pub const IF_NOT_LESS: u16 = 0x35;
/// `BPF_LD | BPF_MEM`: a word of the scratch memory into the accumulator.
pub const RECALL: u16 = 0x60;
/// `BPF_ST`: the accumulator into the scratch memory.
pub const STORE: u16 = 0x02;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub const AND: u16 = 0x54;
/// `BPF_RET | BPF_K`.
pub const RETURN: u16 = 0x06;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if the condition holds.
    pub yes: u8,
    /// How many to skip if not.
    pub no: u8,
    /// The operand.
    pub k: u32,
}

impl Instruction {
    /// An instruction without a condition.
    pub const fn plain(code: u16, k: u32) -> Instruction {
        Instruction { code, yes: 0, no: 0, k }
    }

    /// A comparison of the accumulator with `k`.
    pub const fn branch(code: u16, k: u32, yes: u8, no: u8) -> Instruction {
        Instruction { code, yes, no, k }
    }

    /// The kernel's layout.
    pub fn to_bytes(self) -> [u8; SIZE] {
        let [a, b] = self.code.to_ne_bytes();
        let [e, f, g, h] = self.k.to_ne_bytes();
        [a, b, self.yes, self.no, e, f, g, h]
    }
}
