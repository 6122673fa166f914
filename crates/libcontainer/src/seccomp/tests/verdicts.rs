//! What compiled filters answer: every action, every comparison, every architecture of the machine, and the stub.

use super::interpreter::*;
use super::profiles::*;
use crate::seccomp::ffi::Library;
use crate::seccomp::{check, compile};
use crate::{Error, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NONE: [u64; 6] = [0; 6];

/// The number of a system call as a filter of `architecture` sees it; on i386 the one that `socketcall` is not.
fn number(architecture: u32, name: &str) -> u32 {
    let library = Library::lock();
    let direct =
        |number: &u32| library.name(architecture, *number).is_some_and(|found| found.as_bytes() == name.as_bytes());
    let number = library.number(architecture, name).unwrap();
    u32::try_from(number).ok().or_else(|| (0..600).find(direct)).unwrap()
}

/// A profile that allows all but `getpid`, whose rule is given.
fn rule(action: &str, errno: Value, args: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/a.sock",
        "syscalls": [{"names": ["getpid"], "action": action, "errnoRet": errno, "args": args}]})
}

#[test]
fn every_action_of_a_rule_and_as_default() {
    for (name, code, expected) in [
        ("SCMP_ACT_KILL", Value::Null, KILL),
        ("SCMP_ACT_KILL_THREAD", Value::Null, KILL),
        ("SCMP_ACT_KILL_PROCESS", Value::Null, KILL_PROCESS),
        ("SCMP_ACT_TRAP", Value::Null, TRAP),
        ("SCMP_ACT_ERRNO", Value::Null, errno(1)),
        ("SCMP_ACT_ERRNO", json!(0), errno(0)),
        ("SCMP_ACT_ERRNO", json!(38), ENOSYS),
        ("SCMP_ACT_ERRNO", json!(4094), errno(4094)),
        ("SCMP_ACT_TRACE", Value::Null, TRACE | 1),
        ("SCMP_ACT_TRACE", json!(0xffff), TRACE | 0xffff),
        ("SCMP_ACT_LOG", Value::Null, LOG),
        ("SCMP_ACT_NOTIFY", Value::Null, NOTIFY),
    ] {
        let made = filter(rule(name, code.clone(), json!([])));
        assert_eq!(verdict(&made.program, X86_64, 39, NONE), expected, "{name} {code}");
        assert_eq!(verdict(&made.program, X86_64, 40, NONE), ALLOW);
        assert_eq!(made.notify, name == "SCMP_ACT_NOTIFY");
        if name == "SCMP_ACT_NOTIFY" {
            continue; // cannot be the default
        }
        let made = filter(json!({"defaultAction": name, "defaultErrnoRet": code,
            "syscalls": [{"names": ["getpid"], "action": "SCMP_ACT_ALLOW"}]}));
        assert_eq!(verdict(&made.program, X86_64, 38, NONE), expected, "default {name} {code}");
        assert_eq!(verdict(&made.program, X86_64, 39, NONE), ALLOW);
    }
    let made = filter(rule("SCMP_ACT_ALLOW", Value::Null, json!([])));
    assert_eq!(verdict(&made.program, X86_64, 39, NONE), ALLOW, "a rule that says what is so anyway");
}

#[test]
fn every_comparison_has_64_bits() {
    const BIG: u64 = 0x1_0000_0005;
    let equal = |holds: fn(u64, u64) -> bool| holds;
    type Comparison = (&'static str, fn(u64, u64) -> bool);
    let comparisons: [Comparison; 6] = [
        ("EQ", equal(|a, b| a == b)),
        ("NE", |a, b| a != b),
        ("LT", |a, b| a < b),
        ("LE", |a, b| a <= b),
        ("GT", |a, b| a > b),
        ("GE", |a, b| a >= b),
    ];
    let values =
        [0, 4, 5, 6, 0xffff_ffff, 1 << 32, BIG - 1, BIG, BIG + 1, 0x2_0000_0004, 0x2_0000_0006, 1 << 63, u64::MAX];
    for (name, holds) in comparisons {
        for compared in values {
            let args = json!([{"index": 5, "value": compared, "op": format!("SCMP_CMP_{name}")}]);
            let made = filter(rule("SCMP_ACT_ERRNO", json!(7), args));
            for value in values {
                let expected = if holds(value, compared) { errno(7) } else { ALLOW };
                let found = verdict(&made.program, X86_64, 39, [9, 9, 9, 9, 9, value]);
                assert_eq!(found, expected, "{value:#x} {name} {compared:#x}");
            }
        }
    }
    for (mask, wanted) in [(0xff, 5), (0xff_0000_0000, 0x1_0000_0000), (u64::MAX, BIG), (1 << 63 | 1, 1 << 63)] {
        let args = json!([{"index": 0, "value": mask, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ"}]);
        let made = filter(rule("SCMP_ACT_ERRNO", json!(7), args));
        for value in values {
            let expected = if value & mask == wanted { errno(7) } else { ALLOW };
            assert_eq!(verdict(&made.program, X86_64, 39, [value, 9, 9, 9, 9, 9]), expected, "{value:#x} & {mask:#x}");
        }
    }
}

#[test]
fn conditions_hold_together_and_on_one_argument_each_suffices() {
    let arg = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let both = filter(rule("SCMP_ACT_ERRNO", json!(7), json!([arg(0, 1), arg(1, 2)])));
    let either = filter(rule("SCMP_ACT_ERRNO", json!(7), json!([arg(0, 1), arg(0, 2)])));
    for (a, b, in_both, in_either) in
        [(1, 2, true, true), (1, 3, false, true), (2, 2, false, true), (3, 2, false, false)]
    {
        let of = |made: &crate::seccomp::Filter| verdict(&made.program, X86_64, 39, [a, b, 0, 0, 0, 0]) == errno(7);
        assert_eq!((of(&both), of(&either)), (in_both, in_either), "{a} {b}");
    }
}

#[test]
fn architectures_not_listed_are_killed() {
    let listed = |names: Value| {
        filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": names,
            "syscalls": [{"names": ["getpid"], "action": "SCMP_ACT_ERRNO"}]}))
        .program
    };
    let pid32 = number(I386, "getpid");
    for (names, native, i386, x32, arm) in [
        (json!([]), errno(1), KILL, KILL, KILL),
        (json!(["SCMP_ARCH_X86_64"]), errno(1), KILL, KILL, KILL),
        (json!(["SCMP_ARCH_X86"]), errno(1), errno(1), KILL, KILL),
        (json!(X86), errno(1), errno(1), errno(1), KILL),
        (json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_X86", "SCMP_ARCH_X86"]), errno(1), errno(1), KILL, errno(1)),
    ] {
        let program = listed(names.clone());
        let found = [(X86_64, 39), (I386, pid32), (X86_64, X32 | 39), (AARCH64, 172)]
            .map(|(architecture, number)| verdict(&program, architecture, number, NONE));
        assert_eq!(found, [native, i386, x32, arm], "{names}");
        assert_eq!(verdict(&program, X86_64, 41, NONE), ALLOW);
    }
}

/// On i386 a call as `socket` has a number of its own and one behind `socketcall`.
#[test]
fn what_is_named_is_never_newer() {
    let program = filter(allows(&["read", "socket"], "SCMP_ACT_ERRNO", json!(["SCMP_ARCH_X86"]))).program;
    let call = |number, argument| verdict(&program, I386, number, [argument, 0, 0, 0, 0, 0]);
    let (socketcall, socket) = (102, 359);
    assert_eq!([call(3, 0), call(socketcall, 1), call(socket, 0)], [ALLOW; 3]);
    assert_eq!([call(socketcall, 2), call(socket - 1, 0)], [errno(1); 2]);
    assert_eq!(call(socket + 1, 0), ENOSYS);
}

/// A profile that allows three calls; the highest of them is the border.
fn allows(names: &[&str], default: &str, architectures: Value) -> Value {
    json!({"defaultAction": default, "architectures": architectures,
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
}

#[test]
fn newer_calls_get_enosys_on_each_architecture_by_its_own_numbers() {
    let names = ["read", "renameat2", "write"];
    for architectures in [
        json!([]),
        json!(["SCMP_ARCH_X86_64"]),
        json!(["SCMP_ARCH_X86"]),
        json!(["SCMP_ARCH_X32", "SCMP_ARCH_X86_64"]),
        json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_X86", "SCMP_ARCH_ARM", "SCMP_ARCH_X32"]),
    ] {
        let listed = |name: &str| architectures.as_array().unwrap().iter().any(|one| one == name);
        for default in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
            let program = filter(allows(&names, default, architectures.clone())).program;
            let refusal = verdict(&program, X86_64, 2, NONE);
            for (token, audit, present) in [
                (X86_64, X86_64, true), // the machine's own is in every filter
                (I386, I386, listed("SCMP_ARCH_X86")),
                (0x4000_003e, X86_64, listed("SCMP_ARCH_X32")),
                (AARCH64, AARCH64, listed("SCMP_ARCH_AARCH64")),
                (0x4000_0028, 0x4000_0028, listed("SCMP_ARCH_ARM")),
            ] {
                let border = number(token, "renameat2");
                let expected = if present { [ALLOW, ENOSYS, ENOSYS, ALLOW, refusal] } else { [KILL; 5] };
                let read = number(token, "read");
                let found = [border, border + 1, border + 1000, read, border - 1]
                    .map(|number| verdict(&program, audit, number, NONE));
                assert_eq!(found, expected, "{default}, {token:#x} in {architectures}");
            }
        }
    }
}

#[test]
fn no_stub_where_calls_run_anyway_or_enosys_is_the_answer() {
    let refuse = json!([{"names": ["read"], "action": "SCMP_ACT_KILL"}]);
    for (default, expected) in [("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_LOG", LOG), ("SCMP_ACT_TRACE", TRACE | 1)] {
        let program = filter(json!({"defaultAction": default, "syscalls": refuse})).program;
        assert_eq!(verdict(&program, X86_64, 9999, NONE), expected, "{default}");
        assert_eq!(verdict(&program, X86_64, 0, NONE), KILL);
    }
    let mut profile = allows(&["read"], "SCMP_ACT_ERRNO", json!([]));
    let with = filter(profile.clone()).program;
    profile["defaultErrnoRet"] = json!(38);
    let without = filter(profile.clone()).program;
    assert_eq!(verdict(&without, X86_64, 9999, NONE), ENOSYS);
    assert!(without.len() < with.len());

    // Nothing named, nothing judged: the border would be a guess.
    let program = filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 9})).program;
    assert_eq!(verdict(&program, X86_64, 9999, NONE), errno(9));
    // What a rule refuses as the default does is named all the same.
    let program = filter(json!({"defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["openat2"], "action": "SCMP_ACT_ERRNO"}, {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}));
    let found = [0, 436, 437, 438].map(|number| verdict(&program.program, X86_64, number, NONE));
    assert_eq!(found, [ALLOW, errno(1), errno(1), ENOSYS]);
}

/// Every number of every architecture against a second reading of the profile.
#[test]
fn the_docker_like_profile_number_by_number() {
    let program = filter(docker_like()).program;
    let profile = profile(docker_like());
    let mut longest = 0;
    for (token, audit) in [(X86_64, X86_64), (I386, I386), (0x4000_003e, X86_64)] {
        let first = if token == 0x4000_003e { X32 } else { 0 };
        let library = Library::lock();
        let numbers: BTreeMap<String, u32> = (first..first + 600)
            .filter_map(|number| Some((library.name(token, number)?.into_string().unwrap(), number)))
            .collect();
        drop(library);
        let mut rules: BTreeMap<u32, u32> = BTreeMap::new();
        let mut conditional = Vec::new();
        for rule in &profile.syscalls {
            for name in &rule.names {
                let Some(&number) = numbers.get(name.as_str()) else { continue };
                let action = match rule.action.as_str() {
                    "SCMP_ACT_ALLOW" => ALLOW,
                    "SCMP_ACT_ERRNO" => errno(rule.errno_ret.unwrap()),
                    "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
                    "SCMP_ACT_LOG" => LOG,
                    other => panic!("{other}"),
                };
                if rule.args.is_empty() {
                    assert!(rules.insert(number, action).is_none_or(|before| before == action), "{name}");
                } else {
                    conditional.push(number);
                }
            }
        }
        let border = *rules.keys().max().unwrap();
        for number in (first..first + 600).filter(|number| !conditional.contains(number)) {
            let expected = match rules.get(&number) {
                Some(action) => *action,
                None if number > border => ENOSYS,
                None => errno(1),
            };
            let (found, steps) = run(&program, audit, number, [u64::MAX; 6]);
            assert_eq!(found, expected, "call {number:#x} of {token:#x}");
            longest = longest.max(steps);
        }
        let call = |name, argument| verdict(&program, audit, number(token, name), [argument, 0, 0, 0, 0, 0]);
        for (name, argument, expected) in [
            ("personality", 0, ALLOW),
            ("personality", 8, ALLOW),
            ("personality", 0xffff_ffff, ALLOW),
            ("personality", 9, errno(1)),
            ("clone", 0x0001_0000, ALLOW),    // CLONE_THREAD
            ("clone", 0x1000_0000, errno(1)), // CLONE_NEWUSER
            ("clone", 0x0200_0000, errno(1)), // CLONE_NEWCGROUP
            ("socket", 2, ALLOW),
            ("socket", 40, errno(1)), // AF_VSOCK
        ] {
            assert_eq!(call(name, argument), expected, "{name}({argument:#x}) of {token:#x}");
        }
    }
    assert!(longest < 40, "{longest} instructions for one call: no tree");
}

#[test]
fn flags_and_their_default() {
    let flags = |names: Value, action: &str| {
        let text = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": names, "listenerPath": "/a.sock",
            "syscalls": [{"names": ["getpid"], "action": action}]});
        compile(&profile(text)).map(|(made, warnings)| (made.flags, warnings.len())).unwrap()
    };
    let (tsync, killable) = ("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
    assert_eq!(flags(Value::Null, "SCMP_ACT_TRAP"), (4, 0), "SPEC_ALLOW");
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_LOG"]), "SCMP_ACT_TRAP"), (2, 0));
    assert_eq!(flags(json!([tsync, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]), "SCMP_ACT_TRAP"), (5, 0));
    assert_eq!(flags(json!([tsync]), "SCMP_ACT_NOTIFY"), (1 | 16, 0), "with TSYNC_ESRCH");
    assert_eq!(flags(json!([killable]), "SCMP_ACT_TRAP"), (0, 1), "a warning");
    if crate::seccomp::names::supported_flags().contains(&killable) {
        assert_eq!(flags(json!([killable]), "SCMP_ACT_NOTIFY"), (32, 0));
    } else {
        let text = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [killable], "listenerPath": "/a.sock",
            "syscalls": [{"names": ["getpid"], "action": "SCMP_ACT_NOTIFY"}]});
        assert_eq!(compile(&profile(text)).unwrap_err().config_field(), Some("linux.seccomp.flags[0]"));
    }
}

#[test]
fn unknown_calls_are_warned_of_and_ignored() {
    let text = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getpid", "a\nb", "no_such_call", "nul\u{0}"], "action": "SCMP_ACT_ERRNO"}]});
    let (made, warnings) = compile(&profile(text)).unwrap();
    assert_eq!(verdict(&made.program, X86_64, 39, NONE), errno(1));
    assert_eq!(warnings.len(), 3);
    assert!(warnings[1].starts_with("linux.seccomp.syscalls[0].names[2]: libseccomp 2."), "{}", warnings[1]);
    assert!(warnings[1].ends_with("does not know system call \"no_such_call\", ignored"), "{}", warnings[1]);
    assert!(warnings.iter().all(|line| !line.contains('\n')));
}

#[test]
fn every_fault_names_its_field() {
    let text = json!({
        "defaultAction": "SCMP_ACT_SING", "defaultErrnoRet": 3, "listenerMetadata": "m",
        "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_VAX"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_NEW_LISTENER"],
        "syscalls": [
            {"names": [], "action": "SCMP_ACT_ALLOW"},
            {"names": ["read", ""], "action": "", "errnoRet": 3},
            {"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY", "errnoRet": 0},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095,
                "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 6, "value": 1, "op": "SCMP_CMP_IS"}]},
        ],
    });
    let expected = "\
        unknown action \"SCMP_ACT_SING\" (linux.seccomp.defaultAction)\n\
        unknown architecture \"SCMP_ARCH_VAX\" (linux.seccomp.architectures[1])\n\
        a rule needs at least one system call (linux.seccomp.syscalls[0].names)\n\
        empty string is not a valid system call (linux.seccomp.syscalls[1].names[1])\n\
        missing action (linux.seccomp.syscalls[1].action)\n\
        SCMP_ACT_NOTIFY cannot be used for the write syscall (linux.seccomp.syscalls[2].names[1])\n\
        SCMP_ACT_NOTIFY takes no errno (linux.seccomp.syscalls[2].errnoRet)\n\
        errno 4095 is above 4094 (linux.seccomp.syscalls[3].errnoRet)\n\
        a system call has arguments 0 to 5, not 6 (linux.seccomp.syscalls[3].args[1].index)\n\
        unknown operator \"SCMP_CMP_IS\" (linux.seccomp.syscalls[3].args[1].op)\n\
        SCMP_ACT_NOTIFY needs a listener path (linux.seccomp.listenerPath)\n\
        listener metadata without a listener path (linux.seccomp.listenerMetadata)\n\
        unknown seccomp flag \"SECCOMP_FILTER_FLAG_NEW_LISTENER\" (linux.seccomp.flags[1])";
    let faults = check(&profile(text.clone()));
    assert_eq!(faults.iter().map(Error::to_string).collect::<Vec<_>>().join("\n"), expected);
    assert!(faults.iter().all(|fault| fault.kind() == Kind::InvalidSpec));
    let first = compile(&profile(text)).unwrap_err();
    assert_eq!(first.config_field(), Some("linux.seccomp.defaultAction"));

    let fault = |text: Value| compile(&profile(text)).unwrap_err();
    for (text, field) in [
        (json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/a"}), "defaultAction"),
        (json!({}), "defaultAction"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 0}), "defaultErrnoRet"),
    ] {
        assert_eq!(fault(text).config_field(), Some(format!("linux.seccomp.{field}").as_str()));
    }
}

#[test]
fn what_the_library_or_the_kernel_cannot_do_names_its_field() {
    let fault = |text: Value| compile(&profile(text)).unwrap_err();
    let error =
        fault(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_S390X"]}));
    assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("linux.seccomp.architectures[1]")));
    assert_eq!(error.what(), "SCMP_ARCH_S390X has another byte order than this machine");

    let arg = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    let error = fault(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": arg},
        {"names": ["write", "read"], "action": "SCMP_ACT_TRAP", "args": arg}]}));
    assert_eq!((error.kind(), error.config_field()), (Kind::InvalidSpec, Some("linux.seccomp.syscalls[1].names[1]")));

    let rules: Vec<_> = (0..700_u64)
        .map(|n| {
            let value = n << 35 | 1 << 33 | n << 3 | 1;
            json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 1, "value": value, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]})
        })
        .collect();
    let error = fault(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}));
    assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("linux.seccomp.syscalls")));
    assert!(error.what().ends_with("instructions, and the kernel takes 4096"), "{error}");
}

/// libseccomp lets a rule without conditions swallow all others of its call, be they stricter: at least it is said.
#[test]
fn a_rule_without_effect_is_warned_of() {
    let allow = json!({"names": ["write", "read"], "action": "SCMP_ACT_ALLOW"});
    let kill = |args: Value| json!({"names": ["read"], "action": "SCMP_ACT_KILL", "args": args});
    let args = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    for (rules, verdict_of_read, idle, deciding) in [
        (json!([allow, kill(json!([]))]), ALLOW, "syscalls[1].names[0]", "syscalls[0]"),
        (json!([kill(json!([])), allow]), KILL, "syscalls[1].names[1]", "syscalls[0]"),
        (json!([kill(args.clone()), allow]), ALLOW, "syscalls[0].names[0]", "syscalls[1]"),
        (json!([allow, kill(args.clone())]), ALLOW, "syscalls[1].names[0]", "syscalls[0]"),
    ] {
        let (made, warnings) =
            compile(&profile(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))).unwrap();
        assert_eq!(verdict(&made.program, X86_64, 0, [1; 6]), verdict_of_read, "{rules}");
        let expected =
            format!("linux.seccomp.{idle}: no effect, for linux.seccomp.{deciding} decides on all of \"read\"");
        assert_eq!(warnings, [expected]);
    }
}
