// The kernel's share of `run` and `exec` on the default bundle and nothing more: what any runtime must pay.
//
//   floor run ROOTFS none|v1|v2 [FILTER]     FILTER: a finished seccomp program, as filter.c writes it
//   floor exec PID CGROUP_DIR [FILTER]       /bin/true inside the container whose first process is PID
//
// No config is read, nothing is checked, no state is kept. The work is that of `runc spec`'s config.json:
// five namespaces (six with cgroups), seven mounts, six devices, masks, pivot, capabilities, /bin/true.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define CGROUPS "/sys/fs/cgroup"
#define QUIET (MS_NOSUID | MS_NOEXEC | MS_NODEV)

enum view { NONE, V1, V2 };

static const char *const hierarchies[] = {
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd",
};

static const struct { const char *type, *target, *data; unsigned long flags; } mounts[] = {
    {"proc", "proc", NULL, 0},
    {"tmpfs", "dev", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
    {"devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "dev/shm", "mode=1777,size=65536k", QUIET},
    {"mqueue", "dev/mqueue", NULL, QUIET},
    {"sysfs", "sys", NULL, QUIET | MS_RDONLY},
};

static const struct { const char *path; unsigned major, minor; } devices[] = {
    {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
    {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};

static const char *const links[][2] = {
    {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},
};

static const char *const frozen[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
static const char *const hidden_files[] = {
    "/proc/kcore", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/keys",
};
static const char *const hidden_directories[] = {"/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware"};

static long must(long result, const char *step, const char *object)
{
    if (result < 0) {
        fprintf(stderr, "floor: %s %s: %s\n", step, object, strerror(errno));
        _exit(99);
    }
    return result;
}

static struct sock_fprog filter;

static void read_filter(const char *path)
{
    static struct sock_filter code[BPF_MAXINSNS];
    int fd = must(open(path, O_RDONLY | O_CLOEXEC), "open", path);
    filter.len = must(read(fd, code, sizeof code), "read", path) / sizeof *code;
    filter.filter = code;
    close(fd);
}

// From here the process has what the container's process has: limits, capabilities, filter, program.
static void become_the_program(void)
{
    struct rlimit files = {1024, 1024};
    must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit", "NOFILE");
    const unsigned kept = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (cap >= 32 || !(kept >> cap & 1))
            must(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "drop", "capability");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{kept, kept, kept}, {0, 0, 0}};
    must(syscall(SYS_capset, &header, sets), "capset", "");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "no_new_privs");
    if (filter.len)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter), "seccomp", "");
    char *const argv[] = {"/bin/true", NULL}, *const envp[] = {"PATH=/bin", NULL};
    must(execve(argv[0], argv, envp), "exec", argv[0]);
}

static void mount_cgroups(enum view view)
{
    if (view == V2)
        must(mount("cgroup", "sys/fs/cgroup", "cgroup2", QUIET | MS_RDONLY, NULL), "mount", "cgroup2");
    if (view != V1)
        return;
    must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", QUIET, "mode=755"), "mount", "tmpfs of cgroups");
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        char at[64];
        snprintf(at, sizeof at, "sys/fs/cgroup/%s", hierarchies[i]);
        must(mkdir(at, 0755), "mkdir", at);
        const char *data = strcmp(hierarchies[i], "systemd") ? hierarchies[i] : "none,name=systemd";
        must(mount("cgroup", at, "cgroup", QUIET | MS_RDONLY, data), "mount", at);
    }
    must(mount("", "sys/fs/cgroup", "", MS_REMOUNT | MS_BIND | MS_RDONLY | QUIET, NULL), "remount", "cgroups");
}

static void build_the_root(const char *rootfs, enum view view)
{
    must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "enslave", "/");
    must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind", rootfs);
    must(chdir(rootfs), "chdir", rootfs);
    for (size_t i = 0; i < COUNT(mounts); i++) {
        // What lies below dev is new with each container, since dev is.
        if (!strncmp(mounts[i].target, "dev/", 4))
            must(mkdir(mounts[i].target, 0755), "mkdir", mounts[i].target);
        must(mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data), "mount",
             mounts[i].target);
    }
    mount_cgroups(view);
    for (size_t i = 0; i < COUNT(devices); i++)
        must(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), "mknod",
             devices[i].path);
    for (size_t i = 0; i < COUNT(links); i++)
        must(symlink(links[i][0], links[i][1]), "symlink", links[i][1]);
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root", rootfs);
    must(umount2(".", MNT_DETACH), "umount", "the old root");
    must(chdir("/"), "chdir", "/");
    must(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "remount", "/");
}

// A path that this kernel does not have needs no mask, so ENOENT is no failure here.
static void mask_the_kernel(void)
{
    for (size_t i = 0; i < COUNT(frozen); i++)
        if (mount(frozen[i], frozen[i], NULL, MS_BIND | MS_REC, NULL) == 0)
            must(mount(NULL, frozen[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | QUIET, NULL), "remount", frozen[i]);
    for (size_t i = 0; i < COUNT(hidden_files); i++)
        if (mount("/dev/null", hidden_files[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
            must(-1, "mask", hidden_files[i]);
    for (size_t i = 0; i < COUNT(hidden_directories); i++)
        if (mount("tmpfs", hidden_directories[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1") < 0 && errno != ENOENT)
            must(-1, "mask", hidden_directories[i]);
}

static void copy_setting(const char *from_dir, const char *to_dir, const char *name)
{
    char path[256], value[256];
    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    int fd = must(open(path, O_RDONLY | O_CLOEXEC), "open", path);
    ssize_t length = must(read(fd, value, sizeof value), "read", path);
    close(fd);
    snprintf(path, sizeof path, "%s/%s", to_dir, name);
    fd = must(open(path, O_WRONLY | O_CLOEXEC), "open", path);
    must(write(fd, value, length), "write", path);
    close(fd);
}

static void name_cgroup(char *path, size_t size, const char *hierarchy)
{
    snprintf(path, size, CGROUPS "%s%s/floor-%d", hierarchy ? "/" : "", hierarchy ? hierarchy : "", getpid());
}

static void make_v1_cgroups(void)
{
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        char path[128];
        name_cgroup(path, sizeof path, hierarchies[i]);
        must(mkdir(path, 0755), "mkdir", path);
        if (!strcmp(hierarchies[i], "cpuset")) {
            copy_setting(CGROUPS "/cpuset", path, "cpuset.cpus");
            copy_setting(CGROUPS "/cpuset", path, "cpuset.mems");
        }
    }
}

static void enter_v1_cgroups(pid_t pid)
{
    char digits[16];
    int length = snprintf(digits, sizeof digits, "%d", pid);
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        char path[160];
        name_cgroup(path, sizeof path, hierarchies[i]);
        strcat(path, "/cgroup.procs");
        int fd = must(open(path, O_WRONLY | O_CLOEXEC), "open", path);
        must(write(fd, digits, length), "write", path);
        close(fd);
    }
}

// The kernel may take a moment to let go of a process that has been waited for.
static void remove_v2_cgroup(int directory, const char *path)
{
    if (rmdir(path) == 0)
        return;
    int events = must(openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC), "open", "cgroup.events");
    char text[128];
    while (must(pread(events, text, sizeof text, 0), "read", "cgroup.events"), rmdir(path) < 0) {
        if (errno != EBUSY)
            must(-1, "rmdir", path);
        struct pollfd change = {events, POLLPRI, 0};
        poll(&change, 1, 10);
    }
}

static void remove_v1_cgroups(void)
{
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        char path[128];
        name_cgroup(path, sizeof path, hierarchies[i]);
        while (rmdir(path) < 0) {
            if (errno != EBUSY)
                must(-1, "rmdir", path);
            sched_yield();
        }
    }
}

static int status_of(pid_t pid)
{
    int status;
    must(waitpid(pid, &status, 0), "wait for", "the container");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *rootfs, enum view view)
{
    char path[128];
    int directory = -1, gate[2] = {-1, -1};
    struct clone_args how = {
        .flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS,
        .exit_signal = SIGCHLD,
    };
    if (view == V2) {
        name_cgroup(path, sizeof path, NULL);
        must(mkdir(path, 0755), "mkdir", path);
        directory = must(open(path, O_DIRECTORY | O_CLOEXEC), "open", path);
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = directory;
    } else if (view == V1) {
        make_v1_cgroups();
        must(pipe2(gate, O_CLOEXEC), "pipe", "");
    }
    pid_t pid = must(syscall(SYS_clone3, &how, sizeof how), "clone3", "");
    if (pid == 0) {
        char byte;
        if (view == V1)
            must(read(gate[0], &byte, 1), "wait for", "the cgroups");
        must(setsid(), "setsid", "");
        if (view != NONE)
            must(unshare(CLONE_NEWCGROUP), "unshare", "cgroup");
        build_the_root(rootfs, view);
        must(sethostname("runc", 4), "sethostname", "");
        mask_the_kernel();
        become_the_program();
    }
    if (view == V1) {
        enter_v1_cgroups(pid);
        must(write(gate[1], "", 1), "open", "the gate");
    }
    int status = status_of(pid);
    if (view == V2)
        remove_v2_cgroup(directory, path);
    if (view == V1)
        remove_v1_cgroups();
    return status;
}

static int exec(const char *pid, const char *cgroup)
{
    int container = must(syscall(SYS_pidfd_open, atoi(pid), 0), "pidfd_open", pid);
    int directory = must(open(cgroup, O_DIRECTORY | O_CLOEXEC), "open", cgroup);
    must(setns(container, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP),
         "setns", pid);
    struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = directory};
    pid_t child = must(syscall(SYS_clone3, &how, sizeof how), "clone3", "");
    if (child == 0) {
        must(setsid(), "setsid", "");
        become_the_program();
    }
    return status_of(child);
}

int main(int argc, char **argv)
{
    if ((argc == 4 || argc == 5) && !strcmp(argv[1], "run")) {
        if (argc == 5)
            read_filter(argv[4]);
        return run(argv[2], !strcmp(argv[3], "v1") ? V1 : !strcmp(argv[3], "v2") ? V2 : NONE);
    }
    if ((argc == 4 || argc == 5) && !strcmp(argv[1], "exec")) {
        if (argc == 5)
            read_filter(argv[4]);
        return exec(argv[2], argv[3]);
    }
    fprintf(stderr, "usage: floor run ROOTFS none|v1|v2 [FILTER]\n       floor exec PID CGROUP_DIR [FILTER]\n");
    return 2;
}
