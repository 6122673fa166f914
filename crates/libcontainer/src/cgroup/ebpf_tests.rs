//! The program's answers against the rules' meaning, by an interpreter that is as strict as the kernel's verifier.

use super::super::devices::tests::{allowed, random_minors, random_policies, requests};
use super::*;
use crate::config::DeviceRule;

/// Runs `program` as the kernel would.
fn run(program: &[Instruction], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    const CONTEXT: u64 = 0xffff_0000_0000_0000;
    let context = [u32::from(access.0) << 16 | kind as u32, major, minor];
    let mut registers: [Option<u64>; 11] = [None; 11];
    registers[1] = Some(CONTEXT);
    let mut at = 0;
    loop {
        let Instruction { code, registers: pair, offset, immediate } = program[at];
        let (to, from) = ((pair & 15) as usize, (pair >> 4) as usize);
        at += 1;
        let jump = |holds: bool| {
            assert!(offset >= 0, "a jump backwards");
            if holds { offset as usize } else { 0 }
        };
        match code {
            LDX_MEM_W => {
                assert_eq!(registers[from], Some(CONTEXT), "a load from something else");
                assert!(offset >= 0 && offset % 4 == 0);
                registers[to] = Some(context[offset as usize / 4].into());
            }
            ALU64_MOV_X => registers[to] = Some(registers[from].unwrap()),
            ALU64_MOV_K => registers[to] = Some(immediate as i64 as u64),
            ALU64_RSH_K => registers[to] = Some(registers[to].unwrap() >> immediate),
            ALU64_LSH_X => {
                assert!(registers[from].unwrap() < 64, "a shift without meaning");
                registers[to] = Some(registers[to].unwrap() << registers[from].unwrap());
            }
            ALU32_AND_K => registers[to] = Some((registers[to].unwrap() as u32 & immediate as u32).into()),
            JMP_JA => at += jump(true),
            JMP32_JEQ_K => at += jump(registers[to].unwrap() as u32 == immediate as u32),
            JMP32_JNE_K => at += jump(registers[to].unwrap() as u32 != immediate as u32),
            JMP32_JSET_K => at += jump(registers[to].unwrap() as u32 & immediate as u32 != 0),
            JMP32_JGT_K => at += jump(registers[to].unwrap() as u32 > immediate as u32),
            JMP32_JLT_K => at += jump((registers[to].unwrap() as u32) < immediate as u32),
            JMP32_JLE_K => at += jump(registers[to].unwrap() as u32 <= immediate as u32),
            JMP_EXIT => return registers[0].unwrap() == 1,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// Whether a path leads to every instruction, whatever the values: what the kernel asks for.
fn all_reachable(program: &[Instruction]) -> bool {
    let mut reached = vec![false; program.len()];
    let mut todo = vec![0];
    while let Some(at) = todo.pop() {
        if std::mem::replace(&mut reached[at], true) {
            continue;
        }
        let target = at + 1 + program[at].offset as usize;
        match program[at].code {
            JMP_EXIT => {}
            JMP_JA => todo.push(target),
            JMP32_JEQ_K | JMP32_JNE_K | JMP32_JSET_K | JMP32_JGT_K | JMP32_JLT_K | JMP32_JLE_K => {
                todo.extend([at + 1, target])
            }
            _ => todo.push(at + 1),
        }
    }
    reached.iter().all(|reached| *reached)
}

fn check(policy: &Policy, requests: impl Iterator<Item = (Kind, u32, u32, Access)>) {
    let program = compile(policy).unwrap();
    assert!(all_reachable(&program), "{policy:?}");
    for (kind, major, minor, access) in requests.filter(|request| !request.3.is_empty()) {
        let answer = run(&program, kind, major, minor, access);
        assert_eq!(answer, allowed(policy, kind, major, minor, access), "{policy:?} {kind:?} {major}:{minor} {access}");
    }
}

#[test]
fn random_rules() {
    for policy in random_policies(3, 3000) {
        let reduced = Policy::reduced(policy);
        check(&reduced, requests());
    }
}

#[test]
fn random_sets_of_minor_numbers() {
    for policy in random_minors(5, 500) {
        let minors = (0..80).chain([0x7fff_ffff, 0x8000_0000, u32::MAX]);
        check(&policy, minors.flat_map(|minor| (1..8).map(move |access| (Kind::Char, 1, minor, Access(access)))));
    }
}

#[test]
fn what_engines_write() {
    let configs = [
        "[]",
        r#"[{"allow":true,"access":"rwm"}]"#,
        r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"},
            {"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},{"allow":true,"type":"b","major":8,"access":"r"}]"#,
        r#"[{"allow":true,"access":"rwm"},{"allow":false,"type":"b","access":"w"},{"allow":false,"type":"c","major":1,"access":"rwm"}]"#,
        r#"[{"allow":true,"type":"c","access":"rwm"},{"allow":true,"type":"b","access":"rwm"}]"#,
        r#"[{"allow":true,"type":"c","major":4294967295,"minor":2147483648,"access":"rw"}]"#,
    ];
    let numbers = [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 136, 137, 200, 229, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for json in configs {
        let policy = Policy::new(&serde_json::from_str::<Vec<DeviceRule>>(json).unwrap()).unwrap();
        let all = [Kind::Block, Kind::Char].into_iter().flat_map(|kind| {
            numbers.into_iter().flat_map(move |major| {
                numbers.into_iter().flat_map(move |minor| (0..8).map(move |a| (kind, major, minor, Access(a))))
            })
        });
        check(&policy, all);
    }
}

#[test]
fn the_usual_program_is_short() {
    let program = compile(&Policy::new(&[]).unwrap()).unwrap();
    assert!(program.len() <= 26, "{}", program.len());
}

#[test]
fn too_many_rules_are_not_cut_off() {
    let rule = |minor| DeviceRule {
        allow: true,
        kind: Some("c".into()),
        major: Some(1),
        minor: Some(minor),
        access: Some("r".into()),
    };
    let mut policy = Policy { default_allow: false, rules: Vec::new() };
    let one = Policy::new(&[rule(77)]).unwrap().rules.remove(0);
    policy.rules = (0..20_000).map(|_| one.clone()).collect();
    assert_eq!(compile(&policy), None);
}
