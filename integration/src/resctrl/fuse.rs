//! The protocol of /dev/fuse, as far as the tree of tests needs it: fuse(4), include/uapi/linux/fuse.h.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Mutex;

use rustix::io::Errno;

use super::{Answer, Tree};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const MKDIR: u32 = 9;
const RMDIR: u32 = 11;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// `FOPEN_DIRECT_IO`: each read asks anew, whatever size the file is said to have.
const DIRECT: u32 = 1;

/// Answers until the file system is unmounted.
pub(super) fn serve(mut device: File, tree: &Mutex<Tree>) {
    let mut buffer = vec![0; 256 << 10];
    // An error is the end of the mount.
    while let Ok(length) = device.read(&mut buffer) {
        let request = &buffer[..length];
        let (opcode, unique, node) = (u32_at(request, 4), &request[8..16], u64_at(request, 16));
        if [FORGET, BATCH_FORGET, INTERRUPT].contains(&opcode) {
            continue;
        }
        let answer = perform(&mut tree.lock().unwrap(), opcode, node, &request[40..]);
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(errno) => (-errno.raw_os_error(), Vec::new()),
        };
        let size = u32::try_from(16 + body.len()).unwrap();
        let reply = [&size.to_ne_bytes()[..], &error.to_ne_bytes(), unique, &body].concat();
        let _ = device.write(&reply); // whoever asked may have been killed
    }
}

fn perform(tree: &mut Tree, opcode: u32, node: u64, body: &[u8]) -> Answer<Vec<u8>> {
    let path = tree.numbers.get(usize::try_from(node).unwrap()).cloned().unwrap_or_default();
    let named = |body: &[u8]| path.join(text(body.split(|byte| *byte == 0).next().unwrap_or_default()));
    match opcode {
        // major, minor, readahead, flags, background and congestion, max_write, then what is left at 0.
        INIT => Ok(words(&[7, 31, 0, 0, 0, 64 << 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        LOOKUP => entry(tree, &named(body)),
        GETATTR | SETATTR => Ok([vec![0; 16], attributes(tree, &path)?].concat()),
        MKDIR => {
            let path = named(&body[8..]);
            tree.mkdir(&path)?;
            entry(tree, &path)
        }
        RMDIR => tree.rmdir(&named(body)).map(|()| Vec::new()),
        OPEN | OPENDIR => {
            tree.nodes.get(&path).ok_or(Errno::NOENT)?;
            Ok(words(&[0, 0, DIRECT, 0]))
        }
        READ => Ok(part(tree.read(&path)?.as_bytes(), body)),
        WRITE => {
            let size = u32_at(body, 16);
            let data = &body[40..40 + usize::try_from(size).unwrap()];
            tree.write(&path, text(data)).map(|()| words(&[size, 0]))
        }
        READDIR => Ok(listing(tree, &path, u64_at(body, 8))),
        RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
        _ => Err(Errno::NOSYS),
    }
}

fn entry(tree: &mut Tree, path: &Path) -> Answer<Vec<u8>> {
    let attributes = attributes(tree, path)?;
    // nodeid, generation, and how long name and attributes may be remembered: not at all.
    Ok([tree.number(path).to_ne_bytes().to_vec(), vec![0; 32], attributes].concat())
}

fn attributes(tree: &mut Tree, path: &Path) -> Answer<Vec<u8>> {
    let mode = match tree.nodes.get(path).ok_or(Errno::NOENT)? {
        None => 0o040_755,
        Some(_) => 0o100_644,
    };
    // ino; size, blocks and times are 0; mode, nlink; owner, device, block size and flags are 0.
    let number = tree.number(path).to_ne_bytes();
    Ok([&number[..], &[0; 52], &words(&[mode, 1]), &[0; 20]].concat())
}

fn listing(tree: &mut Tree, dir: &Path, from: u64) -> Vec<u8> {
    let mut listing = Vec::new();
    for (place, path) in (1u64..).zip(tree.entries(dir)).skip(usize::try_from(from).unwrap()) {
        let kind = if tree.nodes[&path].is_none() { 4 } else { 8 };
        let name = path.file_name().unwrap().as_encoded_bytes();
        listing.extend(tree.number(&path).to_ne_bytes());
        listing.extend(place.to_ne_bytes());
        listing.extend(words(&[u32::try_from(name.len()).unwrap(), kind]));
        listing.extend(name);
        listing.resize(listing.len().next_multiple_of(8), 0);
    }
    listing
}

/// The part of `whole` that a read asks for.
fn part(whole: &[u8], body: &[u8]) -> Vec<u8> {
    let from = usize::try_from(u64_at(body, 8)).unwrap().min(whole.len());
    let size = usize::try_from(u32_at(body, 16)).unwrap();
    whole[from..].iter().take(size).copied().collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}
