//! From a profile to a program, by libseccomp.

use super::bpf;
use super::enosys::{self, Border};
use super::ffi::{self, Condition, Library};
use super::rules::{Profile, Rule};
use crate::{Error, Kind, Result};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use std::collections::HashMap;

/// The bytes of an array of `struct sock_filter`.
pub(super) type Program = Vec<u8>;

/// From so many system calls on a binary tree is shorter to walk than a chain. For no rules at all the tree of
/// libseccomp before 2.5.4 forgets the default action.
const TREE: usize = 32;
/// Above the numbers of all architectures that multiplex; those of MIPS begin at 4000.
const NUMBERS_END: u32 = 4600;

/// Compiles a profile; the second part are the names that the library does not know.
pub(super) fn program(profile: &Profile<'_>) -> Result<(Program, Vec<String>)> {
    let library = Library::lock();
    let mut warnings = Vec::new();
    let mut filter = library.filter(profile.default).map_err(|errno| refused("start a filter", errno))?;

    let native = library.native();
    let mut tokens = vec![native];
    for (index, architecture) in profile.architectures.iter().enumerate() {
        if tokens.contains(&architecture.token) {
            continue;
        }
        filter.add_architecture(architecture.token).map_err(|errno| {
            let what = match errno {
                Errno::INVAL => format!("{} does not know {}", library_name(), architecture.name),
                Errno::DOM => format!("{} has another byte order than this machine", architecture.name),
                errno => return refused("add an architecture", errno),
            };
            Error::new(Kind::Unsupported, what).field(format!("linux.seccomp.architectures[{index}]"))
        })?;
        tokens.push(architecture.token);
    }
    if profile.rules.iter().map(|rule| rule.names.len()).sum::<usize>() > TREE {
        // Libraries before 2.5 have no such attribute, and make a chain.
        let _ = filter.optimize();
    }

    let deciding = deciding(profile);
    for (index, rule) in profile.rules.iter().enumerate() {
        for (position, name) in rule.names.iter().enumerate() {
            if let Some(&(decider, action)) = deciding.get(name.as_str())
                && action != rule.action
            {
                warnings.push(format!(
                    "linux.seccomp.syscalls[{index}].names[{position}]: no effect, for linux.seccomp.syscalls[{decider}] decides \
                     on all of {name:?}"
                ));
            }
            let field = || format!("linux.seccomp.syscalls[{index}].names[{position}]");
            match library.number(native, name) {
                None => warnings.push(format!(
                    "{}: {} does not know system call {name:?}, ignored",
                    field(),
                    library_name()
                )),
                Some(_) if rule.action == profile.default => {} // says nothing new, and the library refuses it
                Some(number) => add(&mut filter, rule, number, name).map_err(|error| error.field(field()))?,
            }
        }
    }

    let mut program = Program::new();
    if wants_stub(profile) {
        let borders: Vec<_> = tokens.iter().filter_map(|&token| border(&library, profile, token)).collect();
        program.extend(enosys::stub(&borders).into_iter().flat_map(bpf::Instruction::to_bytes));
    }
    export(&filter, &mut program)?;
    let count = program.len() / bpf::SIZE;
    if count > bpf::MAX {
        let what = format!("the profile makes a program of {count} instructions, and the kernel takes {}", bpf::MAX);
        return Err(Error::new(Kind::Unsupported, what)
            .field("linux.seccomp.syscalls")
            .hint("use fewer conditions on arguments or fewer architectures"));
    }
    Ok((program, warnings))
}

/// The first rule without conditions of each system call, by index, with its action. libseccomp drops all other rules
/// of the call for it, wherever they stand.
fn deciding<'a>(profile: &Profile<'a>) -> HashMap<&'a str, (usize, u32)> {
    let mut deciding = HashMap::new();
    for (index, rule) in profile.rules.iter().enumerate() {
        if rule.conditions.is_empty() && rule.action != profile.default {
            for name in rule.names {
                deciding.entry(name.as_str()).or_insert((index, rule.action));
            }
        }
    }
    deciding
}

/// The stub is for profiles that refuse what they do not name. A tracer is thought to know what to do; and where
/// the answer is `ENOSYS` anyway, nothing is missing.
fn wants_stub(profile: &Profile<'_>) -> bool {
    !profile.permissive && profile.default != enosys::ENOSYS
}

/// The highest number named on an architecture: of every rule, for who names a system call has judged it.
fn border(library: &Library, profile: &Profile<'_>, token: u32) -> Option<Border> {
    let mut highest = None;
    let mut multiplexed = Vec::new();
    for name in profile.rules.iter().flat_map(|rule| rule.names) {
        match library.number(token, name) {
            Some(number) if ffi::MULTIPLEXED.contains(&number) => multiplexed.push(name.as_bytes()),
            number => highest = highest.max(number.and_then(|number| u32::try_from(number).ok())),
        }
    }
    if !multiplexed.is_empty() {
        // The number that such a call has of its own can only be found the other way round.
        let first = highest.map_or(0, |number| number + 1);
        let named =
            |number: &u32| library.name(token, *number).is_some_and(|name| multiplexed.contains(&name.as_bytes()));
        highest = highest.max((first..NUMBERS_END).rev().find(named));
    }
    highest.map(|number| Border { token, number })
}

/// Adds the rule for one system call. Conditions on different arguments have to hold together; where two are on the
/// same argument, libseccomp refuses that, and each condition becomes a rule of its own, any of which suffices: so
/// does runc, and profiles are written for it.
fn add(filter: &mut ffi::Filter<'_>, rule: &Rule<'_>, number: i32, name: &str) -> Result<()> {
    let failed = |errno| match errno {
        Errno::EXIST => Error::new(
            Kind::InvalidSpec,
            format!("another rule for {name:?} has the same conditions and another action"),
        ),
        errno => refused(&format!("add the rule for {name:?}"), errno),
    };
    if repeats(&rule.conditions) {
        for condition in &rule.conditions {
            filter.add_rule(rule.action, number, std::slice::from_ref(condition)).map_err(failed)?;
        }
        return Ok(());
    }
    filter.add_rule(rule.action, number, &rule.conditions).map_err(failed)
}

fn repeats(conditions: &[Condition]) -> bool {
    conditions.iter().enumerate().any(|(n, one)| conditions[..n].iter().any(|other| other.index == one.index))
}

/// Appends libseccomp's program. By way of a memfd: a pipe would block on a large one, and exporting to memory came
/// with 2.6 only.
fn export(filter: &ffi::Filter<'_>, program: &mut Program) -> Result<()> {
    let failed = |errno| refused("export the program", errno);
    let file =
        rustix::fs::memfd_create("seccomp", MemfdFlags::CLOEXEC).map_err(|errno| Error::sys("memfd_create", errno))?;
    filter.export(&file).map_err(failed)?;
    let size = rustix::fs::fstat(&file).map_err(failed)?.st_size;
    let start = program.len();
    program.resize(start + usize::try_from(size).unwrap_or_default(), 0);
    let read = rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut program[start..], 0)).map_err(failed)?;
    if start + read != program.len() || !read.is_multiple_of(bpf::SIZE) {
        return Err(Error::new(Kind::System, format!("libseccomp exported {size} bytes, {read} could be read")));
    }
    Ok(())
}

fn refused(what: &str, errno: Errno) -> Error {
    Error::sys(format!("{}: {what}", library_name()), errno)
}

fn library_name() -> String {
    let (major, minor, micro) = ffi::version();
    format!("libseccomp {major}.{minor}.{micro}")
}
