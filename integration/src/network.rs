//! A host of a test's own, as far as its network goes: a process in a network namespace that nobody else has, and the devices there.
//!
//! The devices are veth pairs, which every kernel has that runs containers: `p-x` is the peer of `x`.

use crate::apart::apart;
use crate::{Bundle, Call, Container, Runtime, Value};

/// Runs `body` in a network namespace that nobody else has.
#[track_caller]
pub fn on_a_host(test: &str, body: impl FnOnce()) {
    apart(test, &["unshare", "--net"], 600, body);
}

/// `ip` on the host, a line a call.
#[track_caller]
pub fn ip(lines: &str) -> String {
    let mut said = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        said.push_str(&Call::new("ip").args(line.split_whitespace()).go().ok());
    }
    said
}

/// A veth `name`, up, with both ends on the host.
#[track_caller]
pub fn veth(name: &str) {
    ip(&format!("link add {name} type veth peer name p-{name}\n link set p-{name} up\n link set {name} up"));
}

/// What `ip` tells of the devices of the host.
#[track_caller]
pub fn host() -> Vec<Value> {
    Call::new("ip").args(["-json", "-details", "address"]).go().json().as_array().unwrap().clone()
}

/// What `ip` tells of the devices of a container.
#[track_caller]
pub fn inside(container: &Container<'_>) -> Vec<Value> {
    let net = format!("--net=/proc/{}/ns/net", container.pid());
    Call::new("nsenter").args([&net, "ip", "-json", "-details", "address"]).go().json().as_array().unwrap().clone()
}

/// Their names.
pub fn names(devices: &[Value]) -> Vec<&str> {
    devices.iter().map(|device| device["ifname"].as_str().unwrap()).collect()
}

/// The one of this name.
#[track_caller]
pub fn device<'a>(devices: &'a [Value], name: &str) -> &'a Value {
    devices.iter().find(|device| device["ifname"] == name).unwrap_or_else(|| panic!("no {name} in {devices:#?}"))
}

/// Whether it is up.
pub fn is_up(device: &Value) -> bool {
    device["flags"].as_array().unwrap().iter().any(|flag| flag == "UP")
}

/// The addresses of a device but those that the kernel makes from the hardware's, `10.1.0.2/24`.
pub fn addresses(device: &Value) -> Vec<String> {
    let all = device["addr_info"].as_array().unwrap().iter().filter(|a| a["family"] == "inet" || a["scope"] != "link");
    all.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"])).collect()
}

/// A bundle whose container gets these devices.
pub fn with_devices(rt: &Runtime, devices: Value) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/linux/netDevices", devices);
    bundle
}
