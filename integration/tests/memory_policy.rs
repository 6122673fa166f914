//! linux.memoryPolicy: what set_mempolicy(2) has done, as the container's own process reads it in numa_maps(5).
//!
//! One memory node is enough: the kernel writes the policy as it was asked for, whatever there is to choose from.

use integration::{Bundle, Runtime, Value, json};

/// The first line of numa_maps, from the policy on.
const READ: &str = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2-";

fn asking(rt: &Runtime, policy: Value) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/linux/memoryPolicy", policy);
    bundle
}

#[test]
fn every_mode_and_flag() {
    let features = Runtime::new().call(["features"]).go().json();
    let mut left: Vec<String> = ["modes", "flags"]
        .iter()
        .flat_map(|list| features["linux"]["memoryPolicy"][list].as_array().unwrap().clone())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    for (policy, seen) in [
        (json!({"mode": "MPOL_DEFAULT"}), "default "),
        (json!({"mode": "MPOL_DEFAULT", "nodes": "", "flags": []}), "default "),
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), "bind:0 "),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-0"}), "interleave:0 "),
        (json!({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0,0"}), "weighted interleave:0 "),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), "prefer:0 "),
        (json!({"mode": "MPOL_PREFERRED"}), "local "),
        (json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}), "prefer (many):0 "),
        (json!({"mode": "MPOL_LOCAL"}), "local "),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "bind=static:0 "),
        // The second node of a set of one is the first again.
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0,1", "flags": ["MPOL_F_RELATIVE_NODES"]}), "prefer=relative:0 "),
        (
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_STATIC_NODES"]}),
            "bind=static|balancing:0 ",
        ),
    ] {
        let rt = Runtime::new();
        let mut bundle = asking(&rt, policy.clone());
        let line = rt.sh(&mut bundle, READ).ok();
        assert!(line.starts_with(seen), "{policy}: {line}");
        left.retain(|name| !policy.to_string().contains(&format!("\"{name}\"")));
    }
    assert_eq!(left, [""; 0], "features names what no container here has seen");
}

#[test]
fn an_exec_has_the_containers_policy() {
    let rt = Runtime::new();
    let mut bundle = asking(&rt, json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}));
    let container = rt.sleeper(&mut bundle);
    let line = container.sh(READ).ok();
    assert!(line.starts_with("interleave:0 "), "{line}");
}

#[test]
fn an_empty_policy_is_none() {
    let rt = Runtime::new();
    let line = rt.sh(&mut asking(&rt, json!({})), READ).ok();
    assert!(line.starts_with("default "), "{line}");
}

#[test]
fn in_a_user_namespace_as_an_ordinary_user() {
    let rt = Runtime::new();
    let mut bundle = asking(&rt, json!({"mode": "MPOL_BIND", "nodes": "0"}));
    let ids = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    bundle
        .push("/linux/namespaces", json!({"type": "user"}))
        .set("/linux/uidMappings", ids.clone())
        .set("/linux/gidMappings", ids)
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set("/process/capabilities", json!({}));
    let line = rt.sh(&mut bundle, READ).ok();
    assert!(line.starts_with("bind:0 "), "{line}");
}

#[test]
fn faults_name_their_field() {
    for (policy, says) in [
        (json!({"nodes": "0"}), r#"invalid memory policy mode """#),
        (json!({"mode": "INTERLEAVE", "nodes": "0"}), r#"invalid memory policy mode "INTERLEAVE""#),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["X"]}), "(linux.memoryPolicy.flags[0])"),
        (json!({"mode": "MPOL_BIND"}), "MPOL_BIND requires nodes (linux.memoryPolicy.nodes)"),
        (json!({"mode": "MPOL_DEFAULT", "nodes": "0"}), "MPOL_DEFAULT takes no nodes (linux.memoryPolicy.nodes)"),
        (json!({"mode": "MPOL_BIND", "nodes": "0-9876543210"}), "invalid memory policy nodes"),
        // Within what a list may name, and more than there are: the kernel refuses.
        (json!({"mode": "MPOL_BIND", "nodes": "4000"}), "(linux.memoryPolicy)"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "16383"}), "(linux.memoryPolicy)"),
    ] {
        let rt = Runtime::new();
        let mut bundle = asking(&rt, policy);
        bundle.args(&["true"]);
        let output = rt.run(&bundle);
        assert_ne!(output.code, 0, "{output}");
        output.one_line().says(says);
    }
}
