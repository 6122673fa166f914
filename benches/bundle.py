"""Makes the bundles that are measured: `runc spec`'s default around a static busybox, with or without Docker's filter.

docker-seccomp.json is what Docker hands a container with its default capabilities on x86_64: data in the form of the
spec's `linux.seccomp`, after the list of allowed calls in moby's profiles/seccomp/default.json (Apache-2.0).
"""

import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
APPLETS = ("true", "sleep", "sh")
# By libseccomp's enum scmp_compare.
COMPARISONS = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
ARCHITECTURES = {"x86_64": ["X86_64", "X86", "X32"], "aarch64": ["AARCH64", "ARM"], "riscv64": ["RISCV64"]}


def docker_filter():
    """The profile as `linux.seccomp`, for the architecture this runs on."""
    profile = json.loads((HERE / "docker-seccomp.json").read_text())
    profile["architectures"] = ["SCMP_ARCH_" + name for name in ARCHITECTURES[platform.machine()]]
    return profile


def default_config(runc):
    """The config `runc spec` writes in this view (a cgroup namespace belongs to it on v2 only), as an object."""
    with tempfile.TemporaryDirectory(dir="/run") as work:
        subprocess.run([runc, "spec", "--bundle", work], check=True)
        config = json.loads((Path(work) / "config.json").read_text())
    config["process"]["terminal"] = False
    return config


def make_bundle(directory, config, busybox, args, seccomp=None):
    """Writes `directory`/config.json with the program `args` and a root file system of one static program."""
    rootfs = directory / "rootfs"
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy(busybox, rootfs / "bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", rootfs / "bin" / applet)
    config = json.loads(json.dumps(config))
    config["process"]["args"] = args
    if seccomp:
        config["linux"]["seccomp"] = seccomp
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    return directory


def compile_filter(compiler, profile, output):
    """Has filter.c turn `profile` into the finished program that the floor loads."""
    lines = [f"default {profile['defaultErrnoRet']}"]
    lines += [f"arch {name.removeprefix('SCMP_ARCH_').lower()}" for name in profile["architectures"]]
    for rule in profile["syscalls"]:
        errno = 0 if rule["action"] == "SCMP_ACT_ALLOW" else rule["errnoRet"]
        conditions = "".join(
            f" {c['index']} {COMPARISONS[c['op']]} {c['value']} {c.get('valueTwo', 0)}" for c in rule.get("args", ())
        )
        lines += [f"rule {errno} {name}{conditions}" for name in rule["names"]]
    with open(output, "wb") as file:
        subprocess.run([compiler], input="\n".join(lines).encode() + b"\n", stdout=file, check=True)
    return output
