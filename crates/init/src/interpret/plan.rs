//! The plan as hull-init has it: mapped, checked, and its table of descriptors, the one thing in it that changes.

use crate::op::{Addr, Bytes, Slot, Step};
use crate::sys::{self, Errno, Fd, Result, Text};
use crate::wire::{self, Header, RawStep};
use core::ops::Range;

/// A mapped plan.
pub struct Plan {
    size: u64,
    steps: u64,
    count: u32,
    fds: &'static mut [Fd],
}

impl Plan {
    /// Maps the plan at `place` of the file behind `fd` at [`wire::BASE`] and copies its descriptor table into `table`.
    pub fn map(fd: Fd, place: Range<u64>, table: &'static mut [Fd]) -> Result<Plan> {
        let mapped = place.end - place.start;
        sys::process::map(wire::BASE, mapped, fd, place.start)?;
        if mapped < size_of::<Header>() as u64 {
            return Err(Errno::INVAL);
        }
        // SAFETY: that many bytes are mapped, at the start of a page.
        let header = unsafe { *(wire::BASE as *const Header) };
        let holds = |at: u32, count: u32, each: usize| u64::from(at) + u64::from(count) * each as u64 <= header.size;
        let valid = header.magic == wire::MAGIC
            && header.size <= mapped
            && holds(header.fds, header.slots, size_of::<Fd>())
            && holds(header.steps, header.count, size_of::<RawStep>())
            && (header.fds as usize).is_multiple_of(align_of::<Fd>())
            && (header.steps as usize).is_multiple_of(align_of::<RawStep>());
        let fds = table.get_mut(..header.slots as usize).filter(|fds| valid && !fds.is_empty()).ok_or(Errno::INVAL)?;
        // SAFETY: the table lies within what is mapped, aligned.
        fds.copy_from_slice(unsafe {
            core::slice::from_raw_parts((wire::BASE + u64::from(header.fds)) as *const Fd, fds.len())
        });
        Ok(Plan { size: header.size, steps: wire::BASE + u64::from(header.steps), count: header.count, fds })
    }

    /// How many steps it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// A step; `None` beyond the last, and for an operation that is not known.
    pub fn step(&self, at: u32) -> Option<Step> {
        if at >= self.count {
            return None;
        }
        // SAFETY: the steps lie within what is mapped, aligned.
        wire::read_step(unsafe { &*(self.steps as *const RawStep).add(at as usize) })
    }

    /// The descriptor in a place.
    pub fn fd(&self, slot: Slot) -> Result<Fd> {
        match slot {
            Slot::CWD => Ok(sys::AT_FDCWD),
            slot => self.fds.get(usize::from(slot.0)).copied().filter(|fd| *fd >= 0).ok_or(Errno::BADF),
        }
    }

    /// Puts a descriptor into a place.
    pub fn set(&mut self, slot: Slot, fd: Fd) {
        if let Some(place) = self.fds.get_mut(usize::from(slot.0)) {
            *place = fd;
        }
    }

    /// Empties the places of descriptors that are no more.
    pub fn forget(&mut self, gone: impl Fn(Fd) -> bool) {
        for fd in self.fds.iter_mut().filter(|fd| **fd >= 0 && gone(**fd)) {
            *fd = -1;
        }
    }

    /// The value at an address of the plan.
    pub fn value<T>(&self, at: Addr) -> Result<&'static T> {
        self.within(at, size_of::<T>() as u64)?;
        if !(at.0 as usize).is_multiple_of(align_of::<T>()) {
            return Err(Errno::FAULT);
        }
        // SAFETY: mapped, aligned, never unmapped; every T that is laid out in a plan is made of integers.
        Ok(unsafe { &*(at.0 as *const T) })
    }

    /// The string at an address of the plan, which the parent has ended with NUL.
    pub fn text(&self, at: Addr) -> Result<Text<'static>> {
        self.within(at, 1)?;
        // SAFETY: within the plan, which is mapped for ever; the layout promises the NUL.
        Ok(unsafe { Text::at(at.0 as *const u8) })
    }

    /// Bytes of the plan.
    pub fn bytes(&self, bytes: Bytes) -> Result<&'static [u8]> {
        if bytes.len == 0 {
            return Ok(&[]);
        }
        self.within(bytes.at, u64::from(bytes.len))?;
        // SAFETY: mapped for ever.
        Ok(unsafe { core::slice::from_raw_parts(bytes.at.0 as *const u8, bytes.len as usize) })
    }

    /// The strings of a null-terminated array.
    pub fn texts(&self, at: Addr) -> impl Iterator<Item = Text<'static>> + '_ {
        let mut at = at.0;
        core::iter::from_fn(move || {
            let word = *self.value::<u64>(Addr(at)).ok()?;
            at += 8;
            self.text(Addr(word)).ok()
        })
    }

    fn within(&self, at: Addr, len: u64) -> Result<()> {
        match at.0.checked_sub(wire::BASE) {
            Some(offset) if offset.saturating_add(len) <= self.size => Ok(()),
            _ => Err(Errno::FAULT),
        }
    }
}
