//! Kernel parameters of the container's namespaces.

use super::builder::{Builder, origin};
use crate::error::Result;
use hull_init::op::Op;

/// Writes each parameter through the host's procfs: which namespace it belongs to is decided by who writes.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let config = b.input.config;
    for (key, value) in &config.linux.sysctl {
        let proc = b.procfs();
        let why = origin(format!("linux.sysctl[{key:?}]"), format!("set {key} to {value:?}"));
        let (path, data) = (b.string(format!("sys/{}", path_of(key))), b.bytes(value.as_bytes()));
        b.step(why, Op::Write { dir: proc, path, data });
    }
    Ok(())
}

/// sysctl(8): whichever of `.` and `/` comes first separates; the other then stands for itself (`net/ipv4/conf/eth0.1/forwarding`, `net.ipv4.conf.eth0/1.forwarding`).
fn path_of(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'.' => {
            key.chars().map(|c| if c == '.' { '/' } else if c == '/' { '.' } else { c }).collect()
        }
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn either_separator_names_a_parameter() {
        assert_eq!(path_of("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path_of("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(path_of("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }
}
