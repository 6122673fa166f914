//! A bundle: the directory, its config.json read once, and the Spec that came out of it.

use super::{Spec, Warning, json};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Larger than any config an engine writes, small enough to hold.
const LARGEST_CONFIG: u64 = 64 << 20;

/// A checked bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    spec: Spec,
    raw: String,
    warnings: Vec<Warning>,
}

impl Bundle {
    /// Opens `dir`, reads its config.json once, and applies every rule.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no such directory, `InvalidSpec` with the first fault of the config, `System` if it
    /// cannot be read.
    pub fn load(dir: &Path) -> Result<Bundle> {
        let (dir, raw) = read(dir)?;
        let config = json::parse(raw.as_bytes(), "config.json", "")?;
        Bundle::checked(dir, config, raw).map_err(first)
    }

    /// Every fault of the bundle in `dir`, for `hull validate`; empty if there is none.
    pub fn faults(dir: &Path) -> Vec<Error> {
        let parsed = read(dir).and_then(|(_, raw)| json::parse(raw.as_bytes(), "config.json", ""));
        match parsed {
            Ok(config) => Spec::check(config).err().unwrap_or_default(),
            Err(error) => vec![error],
        }
    }

    /// A bundle without a config.json: `config` as an embedding program made it, its relative paths below `dir`.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn from_config(dir: &Path, config: Config) -> Result<Bundle> {
        let (dir, _) = open_dir(dir)?;
        let raw = serde_json::to_string(&config)
            .map_err(|error| Error::new(Kind::InvalidSpec, format!("the config cannot be written as JSON: {error}")))?;
        Bundle::checked(dir, config, raw).map_err(first)
    }

    fn checked(dir: PathBuf, config: Config, raw: String) -> std::result::Result<Bundle, Vec<Error>> {
        let (spec, warnings) = Spec::check(config)?;
        Ok(Bundle { dir, spec, raw, warnings })
    }

    /// The directory: absolute, without symbolic links.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The checked config.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The text of config.json, byte for byte as it was parsed; valid JSON.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The root filesystem as an absolute path, not resolved: `root.path`, below the bundle if it is relative.
    pub fn rootfs(&self) -> PathBuf {
        let path = self.spec.root.as_ref().map_or("", |root| root.path.as_str());
        self.dir.join(path).components().collect()
    }

    /// What the config asks for and will not get.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn first(faults: Vec<Error>) -> Error {
    let fallback = || Error::new(Kind::InvalidSpec, "the config is not valid");
    faults.into_iter().next().unwrap_or_else(fallback)
}

/// The directory's real path and a descriptor of it: what is read later is read from this very directory.
fn open_dir(dir: &Path) -> Result<(PathBuf, OwnedFd)> {
    let failed = |errno| Error::sys(format!("open the bundle {dir:?}"), errno).with_kind(Kind::InvalidArgument);
    let fd =
        rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    // One readlink tells the real path, where realpath(3) makes a call for each component.
    let real = match rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()) {
        Ok(path) => PathBuf::from(OsString::from_vec(path.into_bytes())),
        Err(_) => std::fs::canonicalize(dir).map_err(|error| Error::io(format!("resolve {dir:?}"), &error))?,
    };
    Ok((real, fd))
}

fn read(dir: &Path) -> Result<(PathBuf, String)> {
    let (dir, fd) = open_dir(dir)?;
    let path = dir.join("config.json");
    // Without NONBLOCK a FIFO of this name would hang the runtime.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(&fd, "config.json", flags, Mode::empty()).map_err(|errno| {
        let error = Error::sys(format!("open {path:?}"), errno).object("config.json");
        match errno {
            Errno::NOENT => {
                error.with_kind(Kind::InvalidSpec).hint("a bundle needs a config.json: `hull spec` writes one")
            }
            _ => error,
        }
    })?;
    let bytes = read_all(&file, &path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(Kind::InvalidSpec, format!("config.json is not JSON: byte {at} is not UTF-8"))
    })?;
    Ok((dir, text))
}

/// Reads a regular file with one call, if it does not grow meanwhile.
fn read_all(file: impl AsFd, path: &Path) -> Result<Vec<u8>> {
    let failed = |errno| Error::sys(format!("read {path:?}"), errno);
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::new(Kind::InvalidSpec, format!("{path:?} is not a regular file")));
    }
    if size > LARGEST_CONFIG {
        return Err(Error::new(Kind::InvalidSpec, format!("{path:?} is larger than {} MiB", LARGEST_CONFIG >> 20)));
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(8 << 10);
        }
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)))
            .map_err(failed)?;
        if count == 0 || bytes.len() as u64 == size {
            return Ok(bytes);
        }
    }
}
