//! What a container is allowed of block devices, seen by the time it takes and in the files of the scheduler that keeps it.

use integration::cgroup::{is_v2, is_v2_here, limit, path, read, some_disk};
use integration::{Bundle, Call, Runtime, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn a_limit_of_bytes_takes_its_time() {
    let Some((major, minor)) = some_disk() else { return };
    let device = rustix::fs::makedev(major, minor);
    let is_it = |file: &fs::File| file.metadata().is_ok_and(|metadata| metadata.rdev() == device);
    let names = ["vda", "sda", "loop0"].map(|name| Path::new("/dev").join(name));
    if !names.iter().filter_map(|path| fs::File::open(path).ok()).any(|file| is_it(&file)) {
        println!("skipped: this machine lets nobody read its disk");
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/disk", "type": "b", "major": major, "minor": minor}));
    let rule = json!({"allow": true, "type": "b", "major": major, "minor": minor, "access": "r"});
    bundle.push("/linux/resources/devices", rule);
    let container = rt.sleeper(&mut bundle);
    let reading = || {
        let start = Instant::now();
        container.exec(&["dd", "if=/dev/disk", "of=/dev/null", "bs=64k", "count=32", "iflag=direct"]).ok();
        start.elapsed()
    };
    let update = |rate: u64| {
        let resources = json!({"blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": rate}]}});
        rt.call(["update", "--resources", "-", &container.id]).input(resources.to_string()).go().ok();
    };
    let free = reading();
    update(1 << 20);
    let held = reading();
    // 2 MiB at 1 MiB a second; the kernel gives a part of a second in advance.
    assert!(held > Duration::from_millis(1300), "{held:?}, and {free:?} without a limit");
    update(0);
    assert_eq!(read(&rt, if is_v2() { "io.max" } else { "blkio.throttle.read_bps_device" }), "", "0 lifts it");
}

/// A block device of the test's own.
struct Loop(String);

impl Loop {
    fn new(rt: &Runtime) -> Self {
        Call::new("modprobe").arg("loop").go();
        let file = rt.path("disk");
        fs::File::create(&file).unwrap().set_len(8 << 20).unwrap();
        Self(Call::new("losetup").args(["-f", "--show"]).arg(file).go().word().to_owned())
    }

    /// Its major and minor number, and both in one word.
    fn numbers(&self) -> (u32, u32, String) {
        let word = fs::read_to_string(self.queue("../dev")).unwrap().trim().to_owned();
        let (major, minor) = word.split_once(':').unwrap();
        (major.parse().unwrap(), minor.parse().unwrap(), word)
    }

    fn queue(&self, file: &str) -> String {
        format!("/sys/block/{}/queue/{file}", self.0.trim_start_matches("/dev/"))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Call::new("losetup").args(["-d", &self.0]).go();
    }
}

/// The BFQ scheduler, whose files every cgroup has while its module is there.
struct Bfq;

impl Drop for Bfq {
    fn drop(&mut self) {
        Call::new("modprobe").args(["-r", "bfq"]).go();
    }
}

/// What the file of weights of a container with `bundle` has.
fn weights(rt: &Runtime, bundle: &mut Bundle, file: &str) -> String {
    let container = rt.sleeper(bundle);
    let text = read(rt, file);
    container.verb(&["delete", "--force"]).ok();
    text
}

#[test]
fn weights_go_to_the_scheduler_that_keeps_them() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let [cost, bfq] = ["io.weight", "io.bfq.weight"].map(|file| path(&rt, file).exists());
    container.verb(&["delete", "--force"]).ok();
    if bfq || !cost {
        println!("skipped: weights are kept by io.cost at first, and then by BFQ, whose module is not to be there yet");
        return;
    }
    let device = Loop::new(&rt);
    let (major, minor, numbers) = device.numbers();
    limit(
        &mut bundle,
        &json!({"blockIO": {"weight": 123, "weightDevice": [{"major": major, "minor": minor, "weight": 321}]}}),
    );
    let refused = |bundle: &mut Bundle, file: &str| {
        let output = rt.sh(bundle, "true").exits(1).one_line();
        output.says("linux.resources.blockIO.weightDevice[0].weight").says(&format!("/{file}\""));
    };
    refused(&mut bundle, "io.weight");
    let qos = "/sys/fs/cgroup/io.cost.qos";
    fs::write(qos, format!("{numbers} enable=1")).unwrap();
    // 10 to 1000 become 1 to 10000.
    assert_eq!(weights(&rt, &mut bundle, "io.weight"), format!("default 1142\n{numbers} 3142"));
    fs::write(qos, format!("{numbers} enable=0")).unwrap();
    if Call::new("modprobe").arg("bfq").go().code != 0 {
        println!("skipped: this kernel has no BFQ scheduler");
        return;
    }
    let _bfq = Bfq;
    let device = device; // goes first
    refused(&mut bundle, "io.bfq.weight");
    fs::write(device.queue("scheduler"), "bfq").unwrap();
    assert_eq!(weights(&rt, &mut bundle, "io.bfq.weight"), format!("default 123\n{numbers} 321"));
}

#[test]
fn what_a_kernel_may_lack_is_named() {
    if !is_v2_here() {
        return;
    }
    let Some((major, minor)) = some_disk() else { return };
    for (file, value) in [("io.latency", format!("{major}:{minor} target=10000")), ("io.prio.class", "idle".to_owned())]
    {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let container = rt.sleeper(&mut bundle);
        let there = path(&rt, file).exists();
        container.verb(&["delete", "--force"]).ok();
        limit(&mut bundle, &json!({"unified": {file: value}}));
        if there {
            rt.sleeper(&mut bundle);
            assert_eq!(read(&rt, file), value);
        } else {
            rt.run(&bundle)
                .exits(1)
                .says("linux.resources.unified")
                .says(&format!("has no \"{}", path(&rt, file).display()));
        }
    }
}
