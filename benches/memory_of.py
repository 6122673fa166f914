"""Sizes in memory and on disk: of a process, of all processes of the view, of a program and its libraries."""

import os
import subprocess
from pathlib import Path


def smaps(pid):
    """Memory of a process in KiB from smaps_rollup; zeros for one that is gone or going."""
    found = {"rss": 0, "pss": 0, "private": 0}
    keys = {"Rss:": "rss", "Pss:": "pss", "Private_Clean:": "private", "Private_Dirty:": "private"}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, value, *_ = line.split()
            if name in keys:
                found[keys[name]] += int(value)
    except (OSError, ValueError):
        pass
    return found


def libraries(path):
    """Bytes of the shared libraries a program maps; 0 for a static one."""
    asked = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    words = [word for line in asked.stdout.splitlines() for word in line.split() if word.startswith("/")]
    return sum(os.stat(os.path.realpath(word)).st_size for word in words)


def pids_of_the_view():
    found = []
    for directory, _, _ in os.walk("/sys/fs/cgroup"):
        try:
            found += (Path(directory) / "cgroup.procs").read_text().split()
        except OSError:
            continue
    return [pid for pid in found if pid != str(os.getpid())]


def shmem_kib():
    return next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("Shmem:"))
