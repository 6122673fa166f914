//! linux.netDevices that cannot be had: the error names device and field, and the devices are where and as they were.

use integration::bundle::Join;
use integration::network::{addresses, device, host, inside, ip, is_up, names, on_a_host, veth, with_devices};
use integration::{Bundle, Output, Runtime, Value, json, user};
use std::time::{Duration, Instant};

/// The container is refused, and the error is one line that names the field.
#[track_caller]
fn refused(rt: &Runtime, bundle: &mut Bundle, field: &str) -> Output {
    bundle.args(&["true"]);
    rt.run(bundle).exits(1).says(field).one_line()
}

/// A device `v0` with all that the kernel drops when it leaves.
fn well_connected() -> String {
    veth("v0");
    ip("addr add 10.1.0.2/24 dev v0 label v0:one\n addr add fd00:1::2/64 dev v0 nodad\n addr add 10.5.0.2/24 dev v0 scope host
        route add 10.9.0.0/16 via 10.1.0.1");
    when(|seen| seen.contains(" state UP ") && seen.contains(" inet6 fe80:") && seen.contains("\nfe80::/64 "))
}

/// What is of `v0` once that is so, and anyway in the end: that the link is up, and what the kernel makes of that, it does in its own time.
fn when(so: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(integration::PATIENCE);
    loop {
        let seen = all_of_v0();
        if so(&seen) || Instant::now() > end {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
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
        refused(&rt, &mut with_devices(&rt, json!({"v0": {"name": "lo"}})), "linux.netDevices.v0")
            .says("move the network device \"v0\" into the container as \"lo\": file exists");
        assert_eq!(all_of_v0(), before);
        drop(rt);
        // A namespace that is there already, with a device of that name.
        let rt = Runtime::new();
        veth("v1");
        let first = rt.sleeper(&mut with_devices(&rt, json!({"v1": {"name": "web0"}})));
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
        refused(&rt, &mut with_devices(&rt, json!({"v0": {"name": "web0"}, "v1": {}})), "linux.netDevices.v1")
            .says("find the network device \"v1\" of the host: no such device");
        assert_eq!(all_of_v0(), before);
        assert!(!rt.root().join(rt.tag()).exists());
    });
}

/// What comes back of a device that was away: all but the routes somebody else had made.
#[track_caller]
fn assert_back(before: &str) {
    let without = |text: &str| text.lines().filter(|line| !line.starts_with("10.9.0.0")).collect::<Vec<_>>().join("\n");
    assert_eq!(without(&when(|seen| without(seen) == without(before))), without(before));
}

#[test]
fn a_device_that_cannot_move_gives_the_others_back() {
    on_a_host("a_device_that_cannot_move_gives_the_others_back", || {
        let before = well_connected();
        ip("link add name br type bridge");
        let rt = Runtime::new();
        refused(
            &rt,
            &mut with_devices(&rt, json!({"v0": {"name": "web0"}, "br": {"name": "web1"}})),
            "linux.netDevices.br",
        )
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

/// Only the kernel finds out, once the device has moved: another one has got there under its other name.
#[test]
fn a_name_refused_after_the_move_gives_all_back() {
    on_a_host("a_name_refused_after_the_move_gives_all_back", || {
        let before = well_connected();
        ip("link property add dev v0 altname uplink");
        veth("v1");
        ip("addr add 10.7.0.2/24 dev v1");
        let rt = Runtime::new();
        refused(&rt, &mut with_devices(&rt, json!({"uplink": {}, "v1": {"name": "v0"}})), "linux.netDevices.v1")
            .says("file exists");
        ip("link property del dev v0 altname uplink");
        assert_back(&before);
        assert_eq!(addresses(device(&host(), "v1")), ["10.7.0.2/24"]);
    });
}

#[test]
fn a_creation_that_fails_later_gives_the_devices_back() {
    on_a_host("a_creation_that_fails_later_gives_the_devices_back", || {
        let before = well_connected();
        veth("v1");
        let swap = || json!({"v0": {"name": "v1"}, "v1": {"name": "v0"}});
        let fail: [fn(&mut Bundle); 4] = [
            |bundle| _ = bundle.hook("createRuntime", "exit 3"),
            |bundle| _ = bundle.hook("createContainer", "exit 3"),
            |bundle| _ = bundle.args(&["no-such-program"]),
            |bundle| _ = bundle.mount("/dev/x", "no-such-fs", "none", &[]),
        ];
        for (i, (fail, in_userns)) in fail.iter().flat_map(|fail| [(fail, false), (fail, true)]).enumerate() {
            let rt = Runtime::new();
            let mut bundle = with_devices(&rt, swap());
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
fn two_names_of_one_device_are_an_error() {
    on_a_host("two_names_of_one_device_are_an_error", || {
        let before = well_connected();
        ip("link property add dev v0 altname uplink");
        let rt = Runtime::new();
        let devices = json!({"v0": {"name": "x"}, "uplink": {"name": "y"}});
        refused(&rt, &mut with_devices(&rt, devices), "linux.netDevices.v0").says("one network device");
        ip("link property del dev v0 altname uplink");
        assert_eq!(all_of_v0(), before);
    });
}

#[test]
fn it_needs_a_network_namespace_of_the_container() {
    on_a_host("it_needs_a_network_namespace_of_the_container", || {
        let before = well_connected();
        let rt = Runtime::new();
        let mut bundle = with_devices(&rt, json!({"v0": {}}));
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
