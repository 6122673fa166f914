//! Network devices of the host that move into the container's network namespace.

use super::Act;
use super::builder::{Builder, origin};
use crate::error::Result;
use hull_init::wire::point;

/// The field of config.json.
pub(crate) const FIELD: &str = "linux.netDevices";

/// A device that moves.
#[derive(Clone, Debug, PartialEq)]
pub struct NetDevice {
    /// Its name on the host.
    pub host_name: String,
    /// Its name in the container, or with `%d` the template of it; `None` for the one it has.
    pub name: Option<String>,
}

impl NetDevice {
    /// The field of config.json that asks for it.
    pub fn field(&self) -> String {
        format!("{FIELD}.{}", self.host_name.escape_debug())
    }

    /// Whether the kernel makes up the name.
    pub fn is_template(&self) -> bool {
        self.name.as_deref().is_some_and(|name| name.contains('%'))
    }
}

/// The parent moves the devices before anything else uses the network: hooks find them in place.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let devices = &b.input.config.linux.net_devices;
    if devices.is_empty() {
        return Ok(());
    }
    let device = |(host_name, device): (&String, &crate::config::NetDevice)| {
        let name = device.name.clone().filter(|name| !name.is_empty());
        NetDevice { host_name: host_name.clone(), name }
    };
    let devices = devices.iter().map(device).collect();
    b.meet(origin(FIELD, "wait for the network devices"), point::NAMESPACES, [Act::NetDevices(devices)]);
    Ok(())
}
