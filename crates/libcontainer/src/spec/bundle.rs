//! A bundle: the directory, its config.json read once, and the Spec that came out of it.

use super::{Spec, Warning, json};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::borrow::Cow;
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
        Bundle::load_changed(dir, None, |_| false)
    }

    /// As [`Bundle::load`], from `file` (as the caller's working directory has it) if that is not config.json, and with what
    /// `change` makes of the config before any rule is applied; it says whether it has changed anything.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn load_changed(dir: &Path, file: Option<&Path>, change: impl FnOnce(&mut Config) -> bool) -> Result<Bundle> {
        let (dir, raw) = read(dir, file)?;
        let mut config = json::parse(raw.as_bytes(), &name(file), "")?;
        let raw = if change(&mut config) { written(&config)? } else { raw };
        Bundle::checked(dir, config, raw).map_err(first)
    }

    /// Every fault of the bundle in `dir`, for `hull validate`; empty if there is none.
    pub fn faults(dir: &Path) -> Vec<Error> {
        let parsed = read(dir, None).and_then(|(_, raw)| json::parse(raw.as_bytes(), "config.json", ""));
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
        let raw = written(&config)?;
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

fn written(config: &Config) -> Result<String> {
    serde_json::to_string(config)
        .map_err(|error| Error::new(Kind::InvalidSpec, format!("the config cannot be written as JSON: {error}")))
}

/// How errors call the file with the config.
fn name(file: Option<&Path>) -> Cow<'static, str> {
    file.map_or(Cow::Borrowed("config.json"), |file| Cow::Owned(format!("{file:?}")))
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

fn read(dir: &Path, file: Option<&Path>) -> Result<(PathBuf, String)> {
    let (dir, fd) = open_dir(dir)?;
    let path = file.map_or_else(|| dir.join("config.json"), Path::to_owned);
    // Without NONBLOCK a FIFO of this name would hang the runtime.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match file {
        None => rustix::fs::openat(&fd, "config.json", flags, Mode::empty()),
        Some(file) => rustix::fs::open(file, flags, Mode::empty()),
    };
    let opened = opened.map_err(|errno| {
        let error = Error::sys(format!("open {path:?}"), errno).object(name(file));
        match errno {
            Errno::NOENT if file.is_none() => {
                error.with_kind(Kind::InvalidSpec).hint("a bundle needs a config.json: `hull spec` writes one")
            }
            _ => error,
        }
    })?;
    let bytes = read_all(&opened, &path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(Kind::InvalidSpec, format!("{} is not JSON: byte {at} is not UTF-8", name(file)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::default_config;
    use std::fs;

    /// A bundle with this text as config.json.
    fn bundle(text: impl AsRef<[u8]>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), text).unwrap();
        dir
    }

    fn good() -> String {
        default_config(None).to_string()
    }

    #[test]
    fn a_bundle_keeps_its_text_and_knows_its_paths() {
        let dir = bundle(good() + "\n");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(".", &link).unwrap();
        let bundle = Bundle::load(&link).unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        assert_eq!(bundle.dir(), real);
        assert_eq!(bundle.rootfs(), real.join("rootfs"));
        assert_eq!(bundle.raw(), good() + "\n");
        assert_eq!(bundle.spec().hostname.as_deref(), Some("runc"));
        assert_eq!(bundle.warnings(), []);
    }

    #[test]
    fn the_root_is_absolute_and_plain() {
        let root = |path: &str| {
            let mut config = default_config(None);
            config["root"]["path"] = path.into();
            let dir = bundle(config.to_string());
            let bundle = Bundle::load(dir.path()).unwrap();
            bundle.rootfs().strip_prefix(bundle.dir()).map(Path::to_owned).unwrap_or_else(|_| bundle.rootfs())
        };
        assert_eq!(root("./a//b/"), Path::new("a/b"));
        assert_eq!(root("/srv/root/"), Path::new("/srv/root"));
        assert_eq!(root("../x"), Path::new("../x"));
    }

    #[test]
    fn load_tells_the_first_fault_and_faults_all() {
        let dir =
            bundle(r#"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"args": ["sh"], "env": ["x"]}}"#);
        assert_eq!(Bundle::load(dir.path()).unwrap_err().to_string(), "a working directory is required (process.cwd)");
        let fields = Bundle::faults(dir.path()).iter().map(|e| e.config_field().map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(fields, [Some("process.cwd".to_owned()), Some("process.env[0]".to_owned())]);
        assert!(Bundle::faults(bundle(good()).path()).is_empty());
    }

    #[test]
    fn warnings_stay_with_the_bundle() {
        let mut config = default_config(None);
        config["process"]["capabilities"]["bounding"] = serde_json::json!(["CAP_X"]);
        let bundle = Bundle::load(bundle(config.to_string()).path()).unwrap();
        let text = "unknown capability \"CAP_X\" is not granted (process.capabilities.bounding[0])";
        assert_eq!(bundle.warnings().iter().map(Warning::to_string).collect::<Vec<_>>(), [text]);
    }

    #[test]
    fn what_is_not_there_is_told_in_one_line() {
        let error = Bundle::load(Path::new("/nonexistent/bundle")).unwrap_err();
        assert_eq!(error.to_string(), "open the bundle \"/nonexistent/bundle\": no such file or directory");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        let dir = tempfile::tempdir().unwrap();
        let error = Bundle::load(dir.path()).unwrap_err();
        let path = fs::canonicalize(dir.path()).unwrap().join("config.json");
        let hint = "a bundle needs a config.json: `hull spec` writes one";
        assert_eq!(error.to_string(), format!("open {path:?}: no such file or directory; {hint}"));
        assert_eq!((error.kind(), Bundle::faults(dir.path()).len()), (Kind::InvalidSpec, 1));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Bundle::load(&file).unwrap_err().to_string().ends_with(": not a directory"));
    }

    #[test]
    fn a_config_that_is_no_text_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.json");
        rustix::fs::mknodat(rustix::fs::CWD, &config, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(Bundle::load(dir.path()).unwrap_err().to_string().ends_with("config.json\" is not a regular file"));
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        assert!(Bundle::load(dir.path()).unwrap_err().to_string().ends_with("config.json\" is not a regular file"));
        fs::remove_dir(&config).unwrap();
        fs::File::create(&config).unwrap().set_len(LARGEST_CONFIG + 1).unwrap();
        assert!(Bundle::load(dir.path()).unwrap_err().to_string().ends_with("config.json\" is larger than 64 MiB"));
        let error = Bundle::load(bundle(b"{\"hostname\": \"\xff\"}").path()).unwrap_err();
        assert_eq!(error.to_string(), "config.json is not JSON: byte 14 is not UTF-8");
    }

    #[test]
    fn a_program_hands_in_a_config_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let config: Config = serde_json::from_value(default_config(None)).unwrap();
        let bundle = Bundle::from_config(dir.path(), config.clone()).unwrap();
        assert_eq!(serde_json::from_str::<Config>(bundle.raw()).unwrap(), config);
        assert_eq!(bundle.rootfs(), bundle.dir().join("rootfs"));
        assert_eq!(Bundle::from_config(dir.path(), Config::default()).unwrap_err().config_field(), Some("ociVersion"));
    }
}
