//! linux.netDevices: devices of the host that move into the container, and back where none comes of it.
//!
//! Each test is a process in a network namespace of its own, which is the host to the runtime. Its devices are veth pairs: `p-x` is the peer of `x`.

use integration::apart::apart;
use integration::bundle::Join;
use integration::{Bundle, Call, Container, Output, Runtime, Value, json, user};

/// Runs `body` in a network namespace that nobody else has.
#[track_caller]
fn on_a_host(test: &str, body: impl FnOnce()) {
    apart(test, &["unshare", "--net"], 60, body);
}

/// `ip` on the host, a line a call.
#[track_caller]
fn ip(lines: &str) -> String {
    let mut said = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        said.push_str(&Call::new("ip").args(line.split_whitespace()).go().ok());
    }
    said
}

/// A veth `name`, up, with both ends on the host.
#[track_caller]
fn veth(name: &str) {
    ip(&format!("link add {name} type veth peer name p-{name}\n link set p-{name} up\n link set {name} up"));
}

/// What `ip` tells of the devices of the host.
#[track_caller]
fn host() -> Vec<Value> {
    Call::new("ip").args(["-json", "-details", "address"]).go().json().as_array().unwrap().clone()
}

/// What `ip` tells of the devices of a container.
#[track_caller]
fn inside(container: &Container<'_>) -> Vec<Value> {
    let net = format!("--net=/proc/{}/ns/net", container.pid());
    Call::new("nsenter").args([&net, "ip", "-json", "-details", "address"]).go().json().as_array().unwrap().clone()
}

fn names(devices: &[Value]) -> Vec<&str> {
    devices.iter().map(|device| device["ifname"].as_str().unwrap()).collect()
}

#[track_caller]
fn device<'a>(devices: &'a [Value], name: &str) -> &'a Value {
    devices.iter().find(|device| device["ifname"] == name).unwrap_or_else(|| panic!("no {name} in {devices:#?}"))
}

fn is_up(device: &Value) -> bool {
    device["flags"].as_array().unwrap().iter().any(|flag| flag == "UP")
}

/// The addresses of a device but those that the kernel makes from the hardware's, `10.1.0.2/24`.
fn addresses(device: &Value) -> Vec<String> {
    let all = device["addr_info"].as_array().unwrap().iter().filter(|a| a["family"] == "inet" || a["scope"] != "link");
    all.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"])).collect()
}

/// A bundle whose container gets these devices.
fn bundle(rt: &Runtime, devices: Value) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/linux/netDevices", devices);
    bundle
}

/// The container is refused, and the error is one line that names the field.
#[track_caller]
fn refused(rt: &Runtime, bundle: &mut Bundle, field: &str) -> Output {
    bundle.args(&["true"]);
    rt.run(bundle).exits(1).says(field).one_line()
}

#[test]
fn a_device_moves_with_its_addresses_and_is_up() {
    on_a_host("a_device_moves_with_its_addresses_and_is_up", || {
        veth("v0");
        ip("link set v0 mtu 1400 address 02:00:00:00:00:aa txqueuelen 77 alias uplink
            addr add 10.1.0.2/24 dev v0
            addr add fd00:1::2/64 dev v0 nodad
            addr add 10.1.0.1/24 dev p-v0
            addr add fd00:1::1/64 dev p-v0 nodad");
        let rt = Runtime::new();
        let mut bundle = bundle(&rt, json!({"v0": {"name": "web0"}}));
        bundle.caps(&integration::config::MANY_CAPS);
        let container = rt.sleeper(&mut bundle);
        assert_eq!(names(&host()), ["lo", "p-v0"]);
        let found = inside(&container);
        assert_eq!(names(&found), ["lo", "web0"]);
        let web0 = device(&found, "web0");
        assert!(is_up(web0), "{web0:#}");
        assert_eq!(addresses(web0), ["10.1.0.2/24", "fd00:1::2/64"]);
        let kept = ["mtu", "txqlen", "address", "ifalias"].map(|key| web0[key].clone());
        assert_eq!(kept, [json!(1400), json!(77), json!("02:00:00:00:00:aa"), json!("uplink")]);
        // What runs in the container, its first process or an exec, sees and uses it.
        let seen = container.sh("ls /sys/class/net; cat /sys/class/net/web0/mtu; ip -o addr show web0").ok();
        assert!(seen.starts_with("lo\nweb0\n1400\n") && seen.contains("10.1.0.2/24"), "{seen}");
        container.sh("ping -c 1 -w 5 10.1.0.1 && ping -c 1 -w 5 fd00:1::1").ok();
        // Its life is the network namespace's: nothing of it comes back.
        container.stop();
        container.verb(&["delete"]).ok();
        assert!(!names(&host()).contains(&"v0") && !names(&host()).contains(&"web0"));
    });
}

#[test]
fn only_permanent_global_addresses_go_along_and_go_as_they_are() {
    on_a_host("only_permanent_global_addresses_go_along_and_go_as_they_are", || {
        veth("v0");
        ip("addr add 10.1.0.2/24 dev v0 label v0:one metric 50
            addr add 10.1.0.3/24 dev v0
            addr add 10.2.0.2 peer 10.2.0.9/32 dev v0
            addr add 10.3.0.2/24 broadcast 10.3.0.77 dev v0 noprefixroute
            addr add 10.4.0.2/24 dev v0 valid_lft 900 preferred_lft 900
            addr add 169.254.9.9/16 dev v0 scope link
            addr add 10.5.0.2/24 dev v0 scope host
            addr add fd00:1::2/64 dev v0 nodad preferred_lft 0
            addr add fd00:2::2/64 dev v0 nodad valid_lft 900 preferred_lft 900
            addr add fd00:3::2/64 dev v0 noprefixroute metric 60");
        let rt = Runtime::new();
        let container = rt.sleeper(&mut bundle(&rt, json!({"v0": {"name": "web0"}})));
        let found = inside(&container);
        let web0 = device(&found, "web0");
        let mut all = addresses(web0);
        all.sort();
        let wanted = ["10.1.0.2/24", "10.1.0.3/24", "10.2.0.2/32", "10.3.0.2/24", "fd00:1::2/64", "fd00:3::2/64"];
        assert_eq!(all, wanted);
        let find = |local: &str| web0["addr_info"].as_array().unwrap().iter().find(|a| a["local"] == local).unwrap();
        assert_eq!((&find("10.1.0.2")["label"], &find("10.1.0.2")["metric"]), (&json!("web0:one"), &json!(50)));
        assert_eq!((&find("10.1.0.3")["label"], &find("10.1.0.3")["secondary"]), (&json!("web0"), &json!(true)));
        assert_eq!(find("10.2.0.2")["address"], "10.2.0.9");
        assert_eq!(find("10.3.0.2")["broadcast"], "10.3.0.77");
        assert_eq!(find("10.3.0.2")["noprefixroute"], true);
        assert_eq!(find("fd00:1::2")["preferred_life_time"], 0);
        assert_eq!((&find("fd00:3::2")["noprefixroute"], &find("fd00:3::2")["metric"]), (&json!(true), &json!(60)));
        assert!(find("fd00:3::2").get("nodad").is_none());
    });
}

#[test]
fn without_a_name_it_keeps_its_own_and_one_that_was_down_is_up() {
    on_a_host("without_a_name_it_keeps_its_own_and_one_that_was_down_is_up", || {
        veth("v0");
        veth("v1");
        ip("link set v0 down");
        let rt = Runtime::new();
        let container = rt.sleeper(&mut bundle(&rt, json!({"v0": {}, "v1": {"name": ""}})));
        let found = inside(&container);
        assert!(is_up(device(&found, "v0")) && is_up(device(&found, "v1")), "{found:#?}");
    });
}

#[test]
fn several_devices_may_swap_their_names() {
    on_a_host("several_devices_may_swap_their_names", || {
        for (name, address) in [("v0", "10.1.0.2/24"), ("v1", "10.2.0.2/24"), ("v2", "10.3.0.2/24")] {
            veth(name);
            ip(&format!("addr add {address} dev {name}"));
        }
        let rt = Runtime::new();
        let container =
            rt.sleeper(&mut bundle(&rt, json!({"v0": {"name": "v1"}, "v1": {"name": "v2"}, "v2": {"name": "v0"}})));
        let found = inside(&container);
        let of = |name| addresses(device(&found, name));
        assert_eq!([of("v0"), of("v1"), of("v2")], [["10.3.0.2/24"], ["10.1.0.2/24"], ["10.2.0.2/24"]]);
    });
}

#[test]
fn the_kernel_counts_a_template_up() {
    on_a_host("the_kernel_counts_a_template_up", || {
        for name in ["v0", "v1", "n0"] {
            veth(name);
        }
        ip("addr add 10.1.0.2/24 dev v1");
        let rt = Runtime::new();
        let devices = json!({"v0": {"name": "n%d"}, "v1": {"name": "n%d"}, "n0": {"name": "other"}});
        let container = rt.sleeper(&mut bundle(&rt, devices));
        let found = inside(&container);
        let mut all = names(&found);
        all.sort_unstable();
        assert_eq!(all, ["lo", "n0", "n1", "other"]);
        assert_eq!(addresses(device(&found, "n1")), ["10.1.0.2/24"]);
        assert!(is_up(device(&found, "n0")) && is_up(device(&found, "n1")));
    });
}

#[test]
fn hooks_find_the_devices() {
    on_a_host("hooks_find_the_devices", || {
        veth("v0");
        let rt = Runtime::new();
        let mut bundle = bundle(&rt, json!({"v0": {"name": "web0"}}));
        for kind in ["prestart", "createRuntime"] {
            let seen = rt.path(kind);
            let enter = "nsenter --net=/proc/$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')/ns/net ip -br link show web0";
            bundle.hook(kind, &format!("{enter} > {}", seen.display()));
        }
        bundle.args(&["true"]);
        rt.run(&bundle).ok();
        for kind in ["prestart", "createRuntime"] {
            let seen = std::fs::read_to_string(rt.path(kind)).unwrap();
            assert!(seen.starts_with("web0@") && seen.contains(",UP"), "{kind}: {seen}");
        }
    });
}

#[test]
fn into_a_user_namespaces_network() {
    on_a_host("into_a_user_namespaces_network", || {
        veth("v0");
        ip("addr add 10.1.0.2/24 dev v0\n addr add fd00:1::2/64 dev v0");
        let rt = Runtime::new();
        let mut bundle = bundle(&rt, json!({"v0": {"name": "web0"}}));
        bundle.userns(100_000, 65536);
        let container = rt.sleeper(&mut bundle);
        let found = inside(&container);
        assert_eq!(addresses(device(&found, "web0")), ["10.1.0.2/24", "fd00:1::2/64"]);
        assert!(container.sh("ip -o addr show web0").ok().contains("10.1.0.2/24"));
    });
}

#[test]
fn another_name_of_the_device_finds_it() {
    on_a_host("another_name_of_the_device_finds_it", || {
        veth("v0");
        ip("link property add dev v0 altname uplink");
        let rt = Runtime::new();
        let mut both = bundle(&rt, json!({"v0": {"name": "x"}, "uplink": {"name": "y"}}));
        refused(&rt, &mut both, "linux.netDevices.v0").says("one network device");
        drop(rt);
        let rt = Runtime::new();
        let container = rt.sleeper(&mut bundle(&rt, json!({"uplink": {}})));
        let found = inside(&container);
        assert_eq!(device(&found, "v0")["altnames"], json!(["uplink"]));
    });
}

/// A device `v0` with all that the kernel drops when it leaves.
fn well_connected() -> String {
    veth("v0");
    ip("addr add 10.1.0.2/24 dev v0 label v0:one\n addr add fd00:1::2/64 dev v0 nodad\n addr add 10.5.0.2/24 dev v0 scope host
        route add 10.9.0.0/16 via 10.1.0.1");
    all_of_v0()
}

/// The kernel asks the network whether an address is free (`tentative`) in its own time.
fn all_of_v0() -> String {
    let all = "-oneline link show dev v0\n -oneline addr show dev v0\n route show dev v0\n -6 route show dev v0";
    ip(all).replace(" tentative", "")
}

#[test]
fn a_name_taken_in_the_container_leaves_the_device_alone() {
    on_a_host("a_name_taken_in_the_container_leaves_the_device_alone", || {
        let before = well_connected();
        let rt = Runtime::new();
        refused(&rt, &mut bundle(&rt, json!({"v0": {"name": "lo"}})), "linux.netDevices.v0")
            .says("move the network device \"v0\" into the container as \"lo\": file exists");
        assert_eq!(all_of_v0(), before);
        drop(rt);
        // A namespace that is there already, with a device of that name.
        let rt = Runtime::new();
        veth("v1");
        let first = rt.sleeper(&mut bundle(&rt, json!({"v1": {"name": "web0"}})));
        let mut second = rt.bundle_named("two");
        second.set("/linux/netDevices", json!({"v0": {"name": "web0"}}));
        second.args(&["true"]).namespace("network", Join::Path(format!("/proc/{}/ns/net", first.pid())));
        second.write();
        let run = rt.call(["run", "--bundle"]).arg(second.dir()).arg(rt.id("two")).go();
        run.exits(1).says("linux.netDevices.v0").says("file exists").one_line();
        assert_eq!(all_of_v0(), before);
        // With a free name it joins the one that is there.
        second.set("/linux/netDevices", json!({"v0": {"name": "web1"}})).write();
        rt.call(["run", "--bundle"]).arg(second.dir()).arg(rt.id("two")).go().ok();
        let found = inside(&first);
        assert!(is_up(device(&found, "web0")) && is_up(device(&found, "web1")));
    });
}

#[test]
fn a_missing_device_leaves_the_others_alone() {
    on_a_host("a_missing_device_leaves_the_others_alone", || {
        let before = well_connected();
        let rt = Runtime::new();
        refused(&rt, &mut bundle(&rt, json!({"v0": {"name": "web0"}, "v1": {}})), "linux.netDevices.v1")
            .says("find the network device \"v1\" of the host: no such device");
        assert_eq!(all_of_v0(), before);
        assert!(!rt.root().join(rt.tag()).exists());
    });
}

/// What comes back of a device that was away: all but the routes somebody else had made.
#[track_caller]
fn assert_back(before: &str) {
    let without = |text: &str| text.lines().filter(|line| !line.starts_with("10.9.0.0")).collect::<Vec<_>>().join("\n");
    assert_eq!(without(&all_of_v0()), without(before));
}

#[test]
fn a_device_that_cannot_move_gives_the_others_back() {
    on_a_host("a_device_that_cannot_move_gives_the_others_back", || {
        let before = well_connected();
        ip("link add name br type bridge");
        let rt = Runtime::new();
        refused(&rt, &mut bundle(&rt, json!({"v0": {"name": "web0"}, "br": {"name": "web1"}})), "linux.netDevices.br")
            .says("move the network device \"br\" into the container as \"web1\"")
            .says("invalid argument");
        assert_back(&before);
        refused(&rt, &mut bundle_named(&rt, json!({"lo": {"name": "lo1"}})), "linux.netDevices.lo");
    });
}

fn bundle_named(rt: &Runtime, devices: Value) -> Bundle {
    let mut bundle = rt.bundle_named("two");
    bundle.set("/linux/netDevices", devices);
    bundle
}

#[test]
fn a_creation_that_fails_later_gives_the_devices_back() {
    on_a_host("a_creation_that_fails_later_gives_the_devices_back", || {
        let before = well_connected();
        veth("v1");
        let swap = || json!({"v0": {"name": "v1"}, "v1": {"name": "v0"}});
        let fail: [fn(&mut Bundle); 4] = [
            |bundle| drop(bundle.hook("createRuntime", "exit 3")),
            |bundle| drop(bundle.hook("createContainer", "exit 3")),
            |bundle| drop(bundle.args(&["no-such-program"])),
            |bundle| drop(bundle.mount("/dev/x", "no-such-fs", "none", &[])),
        ];
        for (i, (fail, in_userns)) in fail.iter().flat_map(|fail| [(fail, false), (fail, true)]).enumerate() {
            let rt = Runtime::new();
            let mut bundle = bundle(&rt, swap());
            bundle.args(&["true"]);
            if in_userns {
                bundle.userns(100_000, 65536);
            }
            fail(&mut bundle);
            let output = rt.run(&bundle);
            assert!(output.code != 0 && !output.mentions("given back"), "{i}: {output}");
            output.one_line();
            assert_back(&before);
            assert!(is_up(device(&host(), "v1")), "{i}");
        }
    });
}

#[test]
fn it_needs_a_network_namespace_of_the_container() {
    on_a_host("it_needs_a_network_namespace_of_the_container", || {
        let before = well_connected();
        let rt = Runtime::new();
        let mut bundle = bundle(&rt, json!({"v0": {}}));
        bundle.namespace("network", Join::None);
        refused(&rt, &mut bundle, "linux.netDevices").says("requires a network namespace");
        bundle.namespace("network", Join::Path("/proc/self/ns/net".into()));
        refused(&rt, &mut bundle, "linux.netDevices").says("the runtime's own");
        assert_eq!(all_of_v0(), before);
    });
}

#[test]
fn a_rootless_caller_is_told() {
    on_a_host("a_rootless_caller_is_told", || {
        veth("v0");
        let rt = user::runtime();
        let mut bundle = user::bundle(&rt);
        bundle.namespace("network", Join::New).set("/linux/netDevices", json!({"v0": {}}));
        refused(&rt, &mut bundle, "linux.netDevices").says("CAP_NET_ADMIN");
        assert_eq!(names(&host()).len(), 3);
    });
}

#[test]
fn created_and_started_it_is_the_same_device() {
    on_a_host("created_and_started_it_is_the_same_device", || {
        veth("v0");
        ip("addr add 10.1.0.2/24 dev v0");
        let rt = Runtime::new();
        let mut bundle = bundle(&rt, json!({"v0": {"name": "web0"}}));
        bundle.args(&["sleep", "1000"]);
        let container = rt.create(&bundle);
        assert_eq!(addresses(device(&inside(&container), "web0")), ["10.1.0.2/24"]);
        container.start();
        assert!(container.sh("ip -o addr show web0").ok().contains("10.1.0.2/24"));
        // A container that has been keeps its devices to the end: no moving back before deletion.
        container.verb(&["delete", "--force"]).ok();
        assert!(!names(&host()).contains(&"v0"));
    });
}
