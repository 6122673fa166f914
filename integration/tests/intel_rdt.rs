//! linux.intelRdt: the class of service and its monitoring group, seen in a resctrl that a file system in user space stands in for
//! (see `integration::resctrl`), since no machine of ours has the processor for the kernel's. Everything but the type in the mount table
//! and the tasks' real move goes the same way as there.

use integration::resctrl::{CLASSES, Resctrl};
use integration::{Bundle, Call, Runtime, Value, json, view};
use rustix::process::Signal;
use std::fs;
use std::time::Instant;

fn with_resctrl() -> (Runtime, Resctrl) {
    let mut rt = Runtime::new();
    let resctrl = Resctrl::new(rt.dir());
    rt.wrap(resctrl.wrapper());
    (rt, resctrl)
}

fn asking(rt: &Runtime, rdt: Value) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).set("/linux/intelRdt", rdt);
    bundle
}

#[test]
fn without_closid_the_class_is_the_containers_own() {
    let (rt, resctrl) = with_resctrl();
    let bundle = asking(&rt, json!({"l3CacheSchema": "L3:0=ff;1=f", "memBwSchema": "MB:0=20"}));
    let container = rt.create(&bundle);
    let id = rt.tag();
    assert_eq!(resctrl.tasks(id), [container.pid()], "before the program runs");
    assert_eq!(resctrl.read(&format!("{id}/schemata")), "    L3:0=000ff;1=0000f\n    MB:0=  20;1= 100\n");
    container.start();
    assert_eq!(container.status(), "running");
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), [""; 0]);
}

#[test]
fn run_is_in_its_class_too_and_takes_it_along() {
    let (rt, resctrl) = with_resctrl();
    let mut bundle = asking(&rt, json!({"schemata": ["L3:0=1", "MB:1=50"], "enableMonitoring": true}));
    let seen = rt.path("seen");
    let hook = format!("cat {}/mon_groups/*/tasks {0}/schemata > {}", resctrl.path(rt.tag()).display(), seen.display());
    bundle.args(&["true"]).push("/hooks/createRuntime", json!({"path": "/bin/sh", "args": ["sh", "-c", hook]}));
    rt.run(&bundle).ok();
    let seen = fs::read_to_string(seen).unwrap();
    let (pid, schemata) = seen.split_once('\n').unwrap();
    assert!(pid.parse::<i32>().is_ok(), "{seen}");
    assert_eq!(schemata, "    L3:0=00001;1=fffff\n    MB:0= 100;1=  50\n");
    assert_eq!(resctrl.classes(), [""; 0]);
}

#[test]
fn schemata_is_written_last() {
    let (rt, resctrl) = with_resctrl();
    let rdt = json!({"l3CacheSchema": "L3:0=f\nMB:0=90", "memBwSchema": "MB:1=30", "schemata": ["L3:0=3"]});
    rt.create(&asking(&rt, rdt));
    assert_eq!(resctrl.read(&format!("{}/schemata", rt.tag())), "    L3:0=00003;1=fffff\n    MB:0= 100;1=  30\n");
}

#[test]
fn an_exec_enters_class_and_monitoring_group() {
    let (rt, resctrl) = with_resctrl();
    let container = rt.detach(&asking(&rt, json!({"enableMonitoring": true})));
    let group = format!("{0}/mon_groups/{0}", rt.tag());
    assert_eq!(resctrl.tasks(&group), [container.pid()]);
    container.exec_call(&["--detach"], &["sleep", "1000"]).go().ok();
    assert_eq!(resctrl.tasks(rt.tag()).len(), 2);
    assert_eq!(resctrl.tasks(&group).len(), 2);
}

#[test]
fn a_closid_is_made_once_shared_and_removed_by_its_maker_when_nobody_uses_it() {
    let (rt, resctrl) = with_resctrl();
    let rdt = json!({"closID": "gold", "l3CacheSchema": "L3:0=ff", "enableMonitoring": true});
    let bundle_of_first = asking(&rt, rdt);
    let first = rt.create(&bundle_of_first);
    let mut bundle = rt.bundle_named("two");
    // The same value in other words.
    bundle.args(&["sleep", "1000"]).set("/linux/intelRdt", json!({"closID": "gold", "l3CacheSchema": "L3:0=00FF;"}));
    let second = rt.detach_named(&bundle, "two");
    assert_eq!(resctrl.tasks("gold"), {
        let mut pids = [first.pid(), second.pid()];
        pids.sort();
        pids
    });
    first.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), ["gold"], "the second container runs in it");
    assert!(!resctrl.path(&format!("gold/mon_groups/{}", rt.tag())).exists());
    second.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), ["gold"], "the second has not made it");
    fs::remove_dir(resctrl.path("gold")).unwrap();
    let third = rt.create(&bundle_of_first);
    third.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), [""; 0], "who made it alone takes it away");
}

#[test]
fn what_was_there_before_stays() {
    let (rt, resctrl) = with_resctrl();
    fs::create_dir(resctrl.path("silver")).unwrap();
    let container = rt.create(&asking(&rt, json!({"closID": "silver", "enableMonitoring": true})));
    assert_eq!(resctrl.tasks("silver"), [container.pid()]);
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), ["silver"]);
    assert_eq!(fs::read_dir(resctrl.path("silver/mon_groups")).unwrap().count(), 0);
}

#[test]
fn the_default_class() {
    let (rt, resctrl) = with_resctrl();
    let before = resctrl.read("schemata");
    let container =
        rt.create(&asking(&rt, json!({"closID": "/", "memBwSchema": "MB:0=100", "enableMonitoring": true})));
    assert_eq!(resctrl.tasks(""), [container.pid()]);
    assert_eq!(resctrl.tasks(&format!("mon_groups/{}", rt.tag())), [container.pid()]);
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.read("schemata"), before);
    assert_eq!(fs::read_dir(resctrl.path("mon_groups")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_had_is_refused_with_its_field_and_leaves_nothing() {
    let (rt, resctrl) = with_resctrl();
    fs::create_dir(resctrl.path("silver")).unwrap();
    fs::create_dir(resctrl.path(&format!("mon_groups/{}", rt.tag()))).unwrap();
    for (rdt, says) in [
        (
            json!({"closID": "gold"}),
            r#"the class of service "gold" does not exist, and no schema says what to make (linux.intelRdt.closID)"#,
        ),
        (
            json!({"closID": "silver", "l3CacheSchema": "L3:0=f"}),
            r#"class of service "silver" exists and has L3:0=fffff, not L3:0=f (linux.intelRdt.l3CacheSchema)"#,
        ),
        (json!({"closID": "info"}), r#"the class of service "info" does not exist"#),
        (json!({"closID": "info", "schemata": ["L3:0=f"]}), "info\""),
        (json!({"closID": "/", "enableMonitoring": true}), "exists already (linux.intelRdt.enableMonitoring)"),
        (json!({"l3CacheSchema": "L3:7=f"}), "(linux.intelRdt.l3CacheSchema)"),
        (json!({"schemata": ["L9:0=f"]}), "the kernel says: Unknown or unsupported resource name 'L9'"),
        (json!({"closID": "bronze", "schemata": ["MB:0=x"]}), "(linux.intelRdt.schemata)"),
    ] {
        asking(&rt, rdt).write();
        let output = rt.call(["create", "--bundle"]).arg(rt.path("bundle")).arg(rt.id("")).go();
        assert_ne!(output.code, 0, "{output}");
        output.one_line().says(says);
        assert_eq!(resctrl.classes(), ["silver"]);
        fs::remove_dir_all(rt.path("bundle")).unwrap();
    }
}

#[test]
fn an_id_whose_class_is_there_and_a_machine_without_classes_left() {
    let (rt, resctrl) = with_resctrl();
    let create = || rt.call(["create", "--bundle"]).arg(rt.path("bundle")).arg(rt.id("")).go();
    asking(&rt, json!({"memBwSchema": "MB:0=10"})).write();
    fs::create_dir(resctrl.path(rt.tag())).unwrap();
    create().exits(1).says("exists already").says("linux.intelRdt");
    fs::remove_dir(resctrl.path(rt.tag())).unwrap();
    for n in 0..CLASSES {
        fs::create_dir(resctrl.path(&n.to_string())).unwrap();
    }
    create().exits(1).says("no more classes").says("Out of CLOSIDs");
    assert_eq!(resctrl.classes().len(), CLASSES);
}

#[test]
fn a_failure_after_the_class_was_made_removes_it() {
    let (rt, resctrl) = with_resctrl();
    let mut bundle = asking(&rt, json!({"closID": "gold", "schemata": ["L3:0=f"], "enableMonitoring": true}));
    bundle.args(&["/no/such/program"]);
    rt.run(&bundle).says("/no/such/program");
    assert_eq!(resctrl.classes(), [""; 0]);
}

#[test]
fn update_changes_the_class() {
    let (rt, resctrl) = with_resctrl();
    let container = rt.detach(&asking(&rt, json!({"l3CacheSchema": "L3:0=ff"})));
    let schemata = || resctrl.read(&format!("{}/schemata", rt.tag()));
    container.verb(&["update", "--l3-cache-schema", "L3:1=f", "--mem-bw-schema", "MB:0=40"]).ok();
    assert_eq!(schemata(), "    L3:0=000ff;1=0000f\n    MB:0=  40;1= 100\n");
    container.verb(&["update", "--mem-bw-schema", "L3:0=1"]).exits(1).says("the schema must start with MB:");
    container.verb(&["update", "--l3-cache-schema", "L3:0=0"]).exits(1).says("Mask out of range");
    assert_eq!(schemata(), "    L3:0=000ff;1=0000f\n    MB:0=  40;1= 100\n");
}

#[test]
fn events_have_the_figures_of_runc() {
    let (rt, resctrl) = with_resctrl();
    let container = rt.detach(&asking(&rt, json!({"l3CacheSchema": "L3:0=ff", "enableMonitoring": true})));
    assert!(resctrl.path(rt.tag()).exists());
    let stats = container.verb(&["events", "--stats"]).json();
    assert_eq!(
        stats["data"]["intel_rdt"],
        json!({
            "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 1, "num_closids": 4},
            "l3_cache_schema_root": "L3:0=fffff;1=fffff", "l3_cache_schema": "L3:0=000ff;1=fffff",
            "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 4},
            "mem_bw_schema_root": "MB:0= 100;1= 100", "mem_bw_schema": "MB:0= 100;1= 100",
            "mbm_stats": [{"mbm_total_bytes": 4096, "mbm_local_bytes": 4096}, {}],
            "cmt_stats": [{"llc_occupancy": 4096}, {}],
        })
    );
}

#[test]
fn the_joined_pid_namespace_changes_nothing() {
    let (rt, resctrl) = with_resctrl();
    let host = rt.detach_named(rt.bundle_named("host").args(&["sleep", "1000"]), "host");
    let mut bundle = asking(&rt, json!({}));
    let namespaces = json!([
        {"type": "pid", "path": format!("/proc/{}/ns/pid", host.pid())},
        {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
    ]);
    bundle.set("/linux/namespaces", namespaces);
    let container = rt.create(&bundle);
    assert_eq!(resctrl.tasks(rt.tag()), [container.pid()]);
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(resctrl.classes(), [""; 0]);
}

/// Calls the verb on a container that is made for it by `before`, again and again, and kills it later each time.
fn killed_at_every_instant(rt: &Runtime, resctrl: &Resctrl, before: impl Fn(), verb: impl Fn() -> Call) {
    const INSTANTS: u64 = 12;
    before();
    let begin = Instant::now();
    verb().go().ok();
    let whole = u64::try_from(begin.elapsed().as_nanos()).unwrap();
    let end = |when: u64| {
        let delete = rt.call(["delete", "--force", rt.tag()]).go();
        assert!(delete.code == 0 && delete.stderr.is_empty(), "after {when} ns of {whole}: {delete}");
        assert_eq!(resctrl.classes(), ["silver"], "after {when} ns of {whole}");
        assert_eq!(fs::read_dir(resctrl.path("silver/mon_groups")).unwrap().count(), 0, "after {when} ns of {whole}");
    };
    end(whole);
    for at in (0..INSTANTS).map(|step| whole * 11 / 10 * step / INSTANTS) {
        before();
        let running = verb().spawn();
        if !running.ended_within(at) {
            running.signal(Signal::KILL);
        }
        running.wait();
        end(at);
    }
}

#[test]
fn create_and_delete_killed_at_any_instant_leave_nothing() {
    for rdt in [
        json!({"l3CacheSchema": "L3:0=f", "enableMonitoring": true}),
        json!({"closID": "gold", "schemata": ["L3:0=f"], "enableMonitoring": true}),
        json!({"closID": "silver", "enableMonitoring": true}),
    ] {
        let (rt, resctrl) = with_resctrl();
        fs::create_dir(resctrl.path("silver")).unwrap();
        let bundle = asking(&rt, rdt);
        bundle.write();
        let create = || rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        killed_at_every_instant(&rt, &resctrl, || {}, create);
        let delete = || rt.call(["delete", "--force", rt.tag()]);
        killed_at_every_instant(&rt, &resctrl, || drop(create().go().ok()), delete);
    }
}

#[test]
fn without_intel_rdt_nothing_looks_at_resctrl() {
    let (rt, resctrl) = with_resctrl();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    assert_eq!(resctrl.classes(), [""; 0]);
    assert_eq!(resctrl.tasks(""), [0; 0]);
    let data = container.verb(&["events", "--stats"]).json();
    assert_eq!(data["data"]["intel_rdt"], json!({}));
    container.verb(&["update", "--l3-cache-schema", "L3:0=f"]).exits(1).says("the container has no class of service");
}

#[test]
fn a_machine_without_resctrl_says_so() {
    let rt = Runtime::wrapped(view::in_mount_namespace("mount --bind /dev/null /proc/$$/mountinfo"));
    asking(&rt, json!({"closID": "x"})).write();
    let create = rt.call(["create", "--bundle"]).arg(rt.path("bundle")).arg(rt.id("")).go();
    create.exits(1).one_line().says("no resctrl file system is mounted (linux.intelRdt)");
}
