//! Processes seen from the host through /proc.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;

/// The numbers of all processes but the caller's.
pub fn all() -> Vec<i32> {
    let own = std::process::id() as i32;
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&pid| pid != own).collect()
}

/// Whether a process is there and runs: it is neither a zombie nor about to be one. On its way there it has left its cgroup already, so that
/// a `delete` which has seen that is not a moment too early.
pub fn alive(pid: i32) -> bool {
    const EXITING: u32 = 4; // PF_EXITING
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let fields: Vec<&str> = stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    // State and flags of proc_pid_stat(5).
    match (fields.first(), fields.get(6).and_then(|flags| flags.parse::<u32>().ok())) {
        (Some(state), Some(flags)) => !["Z", "X"].contains(state) && flags & EXITING == 0,
        _ => false,
    }
}

/// A line of /proc/PID/status, without its key.
pub fn field(pid: i32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
}

/// A file of /proc/PID.
#[track_caller]
pub fn read(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| panic!("/proc/{pid}/{file}: {error}"))
}

/// The target of a link of /proc/PID.
#[track_caller]
pub fn link(pid: i32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    let target = fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    target.to_string_lossy().into_owned()
}

/// Waits for a process to end; false when it has not within the harness's patience.
pub fn ended(pid: i32) -> bool {
    ended_within(pid, crate::PATIENCE)
}

/// The same; false when it has not within `seconds`.
pub fn ended_within(pid: i32, seconds: u64) -> bool {
    match pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
        Ok(pidfd) => crate::fifo::readable(pidfd, seconds),
        Err(_) => true,
    }
}

/// Kills a process; one that is gone already is well.
pub fn kill(pid: i32) {
    if let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }
}

/// The last entry of a mount table (/proc/PID/mountinfo) for a place.
#[track_caller]
pub fn mount_entry(table: &str, place: &str) -> String {
    let found = table.lines().rfind(|line| line.split(' ').nth(4) == Some(place));
    found.unwrap_or_else(|| panic!("{place} in {table}")).to_owned()
}
