//! What `features` says of seccomp against what a run takes.

use integration::features::{Features, faults};
use integration::seccomp_agent::Agent;
use integration::{Bundle, Runtime, Value, json};

/// A filter that allows all but what `rules` say.
fn filter(bundle: &mut Bundle, rules: Value) -> &mut Bundle {
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
}

/// System calls that neither busybox nor hull makes, so that any rule may stand on them.
const RARE: [&str; 9] =
    ["acct", "swapon", "swapoff", "quotactl", "mq_notify", "migrate_pages", "vhangup", "reboot", "syslog"];

#[test]
fn every_seccomp_action_is_taken_by_a_run() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    assert!(features.flag("/linux/seccomp/enabled"));
    let agent = Agent::new(rt.path("agent"));
    let actions = features.names("/linux/seccomp/actions");
    assert!(actions.len() <= RARE.len());
    let rules: Vec<_> =
        actions.iter().zip(RARE).map(|(action, name)| json!({"names": [name], "action": action})).collect();
    let mut bundle = rt.bundle();
    filter(&mut bundle, json!(rules)).set("/linux/seccomp/listenerPath", json!(rt.path("agent")));
    let run = rt
        .run_call(
            {
                bundle.script("grep '^Seccomp:' /proc/self/status");
                &bundle
            },
            &[],
        )
        .spawn();
    let _listener = agent.hear();
    assert_eq!(run.wait().word(), "Seccomp:\t2");
    filter(&mut bundle, json!([{"names": ["acct"], "action": "SCMP_ACT_ASK"}]));
    rt.sh(&mut bundle, "true").exits(1).says("SCMP_ACT_ASK").one_line();
}

#[test]
fn every_seccomp_operator_is_taken_by_a_run() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let operators = features.names("/linux/seccomp/operators");
    let rule = |name: &str, operator: &str| json!({"names": [name], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 7, "valueTwo": 7, "op": operator}]});
    let rules: Vec<_> = operators.iter().zip(RARE).map(|(operator, name)| rule(name, operator)).collect();
    assert_eq!(rules.len(), operators.len());
    let mut bundle = rt.bundle();
    filter(&mut bundle, json!(rules));
    assert_eq!(rt.sh(&mut bundle, "grep '^Seccomp:' /proc/self/status").word(), "Seccomp:\t2");
    filter(&mut bundle, json!([rule("acct", "SCMP_CMP_LIKE")]));
    rt.sh(&mut bundle, "true").exits(1).says("SCMP_CMP_LIKE").one_line();
}

#[test]
fn every_seccomp_architecture_is_taken_by_a_run() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let mut bundle = rt.bundle();
    for architecture in features.names("/linux/seccomp/archs") {
        filter(&mut bundle, json!([{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]))
            .set("/linux/seccomp/architectures", json!([architecture]));
        // One filter cannot see both byte orders; that is told of an architecture that is known.
        let found = faults(&rt, &bundle);
        assert!(
            found.is_empty() || found.contains("has another byte order than this machine"),
            "{architecture}: {found}"
        );
    }
    let native = match std::env::consts::ARCH {
        "x86_64" => json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
        other => json!([format!("SCMP_ARCH_{}", other.to_uppercase())]),
    };
    bundle.set("/linux/seccomp/architectures", native);
    assert_eq!(rt.sh(&mut bundle, "grep '^Seccomp:' /proc/self/status").word(), "Seccomp:\t2");
    bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_VAX"]));
    rt.sh(&mut bundle, "true").exits(1).says("SCMP_ARCH_VAX").one_line();
}

#[test]
fn every_supported_seccomp_flag_is_taken_by_a_run_and_each_is_known() {
    let rt = Runtime::new();
    let features = Features::of(&rt);
    let known = features.names("/linux/seccomp/knownFlags");
    let supported = features.names("/linux/seccomp/supportedFlags");
    let mut bundle = rt.bundle();
    for flag in &known {
        filter(&mut bundle, json!([{"names": ["acct"], "action": "SCMP_ACT_NOTIFY"}]));
        let path = rt.fresh("agent");
        let agent = Agent::new(path.clone());
        bundle.set("/linux/seccomp/flags", json!([flag])).set("/linux/seccomp/listenerPath", json!(path));
        bundle.script("grep '^Seccomp:' /proc/self/status");
        let run = rt.run_call(&bundle, &[]).spawn();
        if supported.contains(flag) {
            let _listener = agent.hear();
            assert_eq!(run.wait().word(), "Seccomp:\t2", "{flag}");
        } else {
            run.wait().exits(1).says(flag).one_line();
        }
    }
    assert!(supported.iter().all(|flag| known.contains(flag)));
    bundle.set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NEW_LISTENER"]));
    rt.sh(&mut bundle, "true").exits(1).says("SECCOMP_FILTER_FLAG_NEW_LISTENER").one_line();
}
