//! `update`: changes the limits of a container.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::size;
use libcontainer::config::{IntelRdt, Resources};
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

pub const VERB: Verb = Verb {
    name: "update",
    about: "change the limits of a container",
    operands: "CONTAINER",
    detail: "What is not named keeps its limit. Sizes are in bytes, or with a unit as in 512M; -1 is without limit.\n\
             --resources reads an object as config.json has it at linux.resources; the other options are then ignored.",
    options: &[OPTIONS, HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

const fn text(names: &'static [&'static str], what: &'static str, about: &'static str) -> Opt {
    Opt { names, takes: Takes::Text(what), about }
}

const OPTIONS: &[Opt] = &[
    Opt {
        names: &["resources", "r"],
        takes: Takes::Path("FILE"),
        about: "read the limits from a JSON file; - is standard input",
    },
    Opt { names: &["blkio-weight"], takes: Takes::Number("N"), about: "the share of block I/O, 10 to 1000" },
    text(&["cpu-period"], "USEC", "the period that --cpu-quota is for"),
    text(&["cpu-quota"], "USEC", "processor time in each period"),
    text(&["cpu-burst"], "USEC", "processor time that may be saved up beyond the quota"),
    text(&["cpu-share"], "N", "the weight beside other containers"),
    text(&["cpu-rt-period"], "USEC", "the period that --cpu-rt-runtime is for"),
    text(&["cpu-rt-runtime"], "USEC", "real-time processor time in each period"),
    text(&["cpu-idle"], "N", "1: run only when nothing else wants the processor; 0: as usual"),
    text(&["cpuset-cpus"], "LIST", "the processors to use, as 0-2,7"),
    text(&["cpuset-mems"], "LIST", "the memory nodes to use"),
    text(&["kernel-memory"], "SIZE", ""),
    text(&["kernel-memory-tcp"], "SIZE", ""),
    text(&["memory"], "SIZE", "the limit of memory"),
    text(&["memory-reservation"], "SIZE", "the memory kept when it is scarce"),
    text(&["memory-swap"], "SIZE", "the limit of memory and swap together"),
    Opt { names: &["pids-limit"], takes: Takes::Number("N"), about: "the number of processes; -1 is without limit" },
    text(&["l3-cache-schema"], "SCHEMA", "Intel RDT: the share of the L3 cache"),
    text(&["mem-bw-schema"], "SCHEMA", "Intel RDT: the share of memory bandwidth"),
];

fn run(globals: &Globals, given: &Given) -> Outcome {
    let container = globals.container(given)?;
    let mut resources = match given.path("resources") {
        Some(file) => read(file)?,
        None => {
            for option in ["kernel-memory", "kernel-memory-tcp"] {
                if given.text(option).is_some() {
                    globals.log.warning(&format!("--{option} is ignored: the kernel has no such limit any more"));
                }
            }
            from_options(given).map_err(Failure::new)?
        }
    };
    free_swap_with_memory(&mut resources);
    if let Some(class) = class_from_options(given) {
        container.update_class(&class)?;
    }
    container.update(&resources)?;
    Ok(0)
}

/// What the options say of the class of service, if anything; they count beside --resources too, which has no such fields.
fn class_from_options(given: &Given) -> Option<IntelRdt> {
    let schema = |option: &str| given.text(option).filter(|text| !text.is_empty()).map(str::to_owned);
    let (l3_cache_schema, mem_bw_schema) = (schema("l3-cache-schema"), schema("mem-bw-schema"));
    let is_asked = l3_cache_schema.is_some() || mem_bw_schema.is_some();
    is_asked.then(|| IntelRdt { l3_cache_schema, mem_bw_schema, ..IntelRdt::default() })
}

/// Memory without limit means swap without limit too, unless it is named: on cgroup v1 the sum may not be below memory.
fn free_swap_with_memory(resources: &mut Resources) {
    if let Some(memory) = resources.memory.as_mut().filter(|memory| memory.limit == Some(-1)) {
        memory.swap.get_or_insert(-1);
    }
}

fn read(file: &Path) -> Result<Resources, Failure> {
    let mut text = Vec::new();
    if file == Path::new("-") {
        let read = std::io::stdin().read_to_end(&mut text);
        read.map_err(|error| Failure::io("read standard input", &error))?;
    } else {
        text = std::fs::read(file).map_err(|error| Failure::io(format!("open {file:?}"), &error))?;
    }
    Ok(libcontainer::spec::parse_resources(&text)?)
}

/// The limits that the options name. The error is the line to print.
fn from_options(given: &Given) -> Result<Resources, String> {
    let mut resources = Resources::default();
    if let Some(weight) = given.number("blkio-weight").filter(|weight| *weight != 0) {
        let weight = u16::try_from(weight).map_err(|_| format!("invalid value for blkio-weight: {weight}"))?;
        resources.block_io.get_or_insert_default().weight = Some(weight);
    }
    let cpu = resources.cpu.get_or_insert_default();
    cpu.period = number(given, "cpu-period")?;
    cpu.quota = number(given, "cpu-quota")?;
    cpu.burst = number(given, "cpu-burst")?;
    cpu.shares = number(given, "cpu-share")?;
    cpu.realtime_period = number(given, "cpu-rt-period")?;
    cpu.realtime_runtime = number(given, "cpu-rt-runtime")?;
    cpu.idle = number(given, "cpu-idle")?;
    cpu.cpus = given.text("cpuset-cpus").map(str::to_owned);
    cpu.mems = given.text("cpuset-mems").map(str::to_owned);
    let memory = resources.memory.get_or_insert_default();
    memory.limit = amount(given, "memory")?;
    memory.reservation = amount(given, "memory-reservation")?;
    memory.swap = amount(given, "memory-swap")?;
    if let Some(limit) = given.number("pids-limit") {
        resources.pids.get_or_insert_default().limit = Some(limit);
    }
    Ok(resources)
}

fn number<N: FromStr>(given: &Given, option: &str) -> Result<Option<N>, String> {
    let invalid = |text: &str| format!("invalid value for {option}: {text:?} is not such a number");
    given.text(option).map(|text| text.parse().map_err(|_| invalid(text))).transpose()
}

fn amount(given: &Given, option: &str) -> Result<Option<i64>, String> {
    let read = |text: &str| if text == "-1" { Ok(-1) } else { size::bytes(text) };
    given.text(option).map(read).transpose().map_err(|fault| format!("invalid value for {option}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(line: &str) -> Result<Resources, String> {
        let args = line.split_whitespace().map(Into::into);
        let mut resources = from_options(&Given::read(args, &[OPTIONS], Order::Mixed)?)?;
        free_swap_with_memory(&mut resources);
        Ok(resources)
    }

    #[test]
    fn every_option() {
        let line = "--blkio-weight 100 --cpu-period 1 --cpu-quota -1 --cpu-burst 2 --cpu-share 3 --cpu-rt-period 4 \
                    --cpu-rt-runtime 5 --cpu-idle 1 --cpuset-cpus 0-1 --cpuset-mems 0 --memory 512M \
                    --memory-reservation=1k --memory-swap=-1 --pids-limit -1 c";
        let read = resources(line).unwrap();
        let expected: Resources = serde_json::from_str(
            r#"{"blockIO": {"weight": 100}, "pids": {"limit": -1},
                "cpu": {"period": 1, "quota": -1, "burst": 2, "shares": 3, "realtimePeriod": 4, "realtimeRuntime": 5, "idle": 1,
                        "cpus": "0-1", "mems": "0"},
                "memory": {"limit": 536870912, "reservation": 1024, "swap": -1}}"#,
        )
        .unwrap();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_not_named_is_not_set() {
        let read = resources("c").unwrap();
        assert_eq!((read.pids, read.block_io), (None, None));
        assert_eq!((read.memory.unwrap(), read.cpu.unwrap()), Default::default());
        assert_eq!(resources("--memory=-1 c").unwrap().memory.unwrap().swap, Some(-1));
        assert_eq!(resources("--memory=-1 --memory-swap=5 c").unwrap().memory.unwrap().swap, Some(5));
    }

    #[test]
    fn faults_name_the_option() {
        for (line, fault) in [
            ("--memory cat c", "invalid value for memory: invalid size: 'cat'"),
            ("--cpu-quota x c", "invalid value for cpu-quota: \"x\" is not such a number"),
            ("--cpu-period -1 c", "invalid value for cpu-period: \"-1\" is not such a number"),
            ("--blkio-weight 70000 c", "invalid value for blkio-weight: 70000"),
            ("--pids-limit x c", "invalid value \"x\" for flag -pids-limit: parse error"),
        ] {
            assert_eq!(resources(line).unwrap_err(), fault, "{line}");
        }
    }
}
