//! linux.netDevices: devices of the host that move into the container.

use integration::network::{addresses, device, host, inside, ip, is_up, names, on_a_host, veth, with_devices};
use integration::{Runtime, caller, json};
use libcontainer::{Launch, Stdio};

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
        let mut bundle = with_devices(&rt, json!({"v0": {"name": "web0"}}));
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
        container.sh("ping -c 1 -w 60 10.1.0.1 && ping -c 1 -w 60 fd00:1::1").ok();
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
        let container = rt.sleeper(&mut with_devices(&rt, json!({"v0": {"name": "web0"}})));
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
        let container = rt.sleeper(&mut with_devices(&rt, json!({"v0": {}, "v1": {"name": ""}})));
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
        let container = rt
            .sleeper(&mut with_devices(&rt, json!({"v0": {"name": "v1"}, "v1": {"name": "v2"}, "v2": {"name": "v0"}})));
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
        let container = rt.sleeper(&mut with_devices(&rt, devices));
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
        let mut bundle = with_devices(&rt, json!({"v0": {"name": "web0"}}));
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
        let mut bundle = with_devices(&rt, json!({"v0": {"name": "web0"}}));
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
        let container = rt.sleeper(&mut with_devices(&rt, json!({"uplink": {}})));
        let found = inside(&container);
        assert_eq!(device(&found, "v0")["altnames"], json!(["uplink"]));
    });
}

#[test]
fn created_and_started_it_is_the_same_device() {
    on_a_host("created_and_started_it_is_the_same_device", || {
        veth("v0");
        ip("addr add 10.1.0.2/24 dev v0");
        let rt = Runtime::new();
        let mut bundle = with_devices(&rt, json!({"v0": {"name": "web0"}}));
        // A setting of the device by its new name: it is there before the sysctls are.
        bundle.args(&["sleep", "1000"]).set("/linux/sysctl", json!({"net.ipv4.conf.web0.rp_filter": "2"}));
        let container = rt.create(&bundle);
        assert_eq!(addresses(device(&inside(&container), "web0")), ["10.1.0.2/24"]);
        container.start();
        assert!(container.sh("ip -o addr show web0").ok().contains("10.1.0.2/24"));
        assert_eq!(container.sh("cat /proc/sys/net/ipv4/conf/web0/rp_filter").word(), "2");
        // A container that has been keeps its devices to the end: no moving back before deletion.
        container.verb(&["delete", "--force"]).ok();
        assert!(!names(&host()).contains(&"v0"));
    });
}

/// A library enters no namespace of its container, and keeps nothing of it open.
#[test]
fn the_caller_stays_where_it_is() {
    on_a_host("the_caller_stays_where_it_is", || {
        veth("v0");
        let rt = Runtime::new();
        let mut bundle = with_devices(&rt, json!({"v0": {"name": "web0"}}));
        bundle.args(&["sleep", "1000"]).write();
        let runtime = libcontainer::Runtime::at(rt.root());
        let bundle = libcontainer::Bundle::load(bundle.dir()).unwrap();
        let (mut watch, open) = (caller::Watch::begin(), caller::descriptors());
        let launch = || Launch { stdio: Stdio::Null, ..Launch::default() };
        let mut container = runtime.create(rt.tag(), &bundle, launch()).unwrap();
        assert_eq!(watch.look(), [""; 0]);
        assert_eq!(names(&inside(&rt.container())), ["lo", "web0"]);
        let child = container.child().unwrap();
        assert_eq!(caller::children().len(), 1, "the container's init alone");
        container.delete(true).unwrap();
        child.wait().unwrap();
        let error = runtime.create(rt.tag(), &bundle, launch()).unwrap_err();
        assert_eq!((error.config_field(), error.failed_object()), (Some("linux.netDevices.v0"), Some("v0")));
        assert_eq!((caller::children(), caller::descriptors()), (vec![], open));
    });
}
