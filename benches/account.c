// Runs commands one after the other and tells what they and all their descendants cost: a measure of one round.
//
//   account CPU_STAT ERRORS COMMAND [ARG]... [';' COMMAND [ARG]...]...
//
// CPU_STAT is the cpu.stat file of the cgroup everything runs in, ERRORS the file that gets standard error.
// A COMMAND may begin with a NAME=VALUE, as in a shell; `@reap` waits until no descendant is left and `@leave`, as
// the last one, leaves them be. One line is written to standard output, six numbers:
//   wall ns, from the first command's start to the last one's exit
//   processor µs (user + system) of all processes, by wait4; this program's own are not in it
//   processor µs of the cgroup without this program's: a check that wait4 missed nobody
//   largest resident size of any one process, KiB
//   commands that succeeded
//   exit status of the one that did not (128 + signal), or 0
// Orphans come to this program as a subreaper, so none escapes. A shell would add processes of its own and could not
// adopt orphans. Static and small, for a child's peak size counts from the program that spawned it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long processor_us;
static long largest_kib;

static void fail(const char *what)
{
    perror(what);
    exit(125);
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long spent_us(const struct rusage *used)
{
    long long seconds = used->ru_utime.tv_sec + used->ru_stime.tv_sec;
    return seconds * 1000000 + used->ru_utime.tv_usec + used->ru_stime.tv_usec;
}

// Processor time of everybody else in the cgroup until now.
static long long others_us(int stat)
{
    char text[64] = {0};
    long long usage = 0;
    struct rusage own;
    // First, since it also brings the cgroup's count of this running program up to date.
    getrusage(RUSAGE_SELF, &own);
    if (pread(stat, text, sizeof text - 1, 0) < 0 || sscanf(text, "usage_usec %lld", &usage) != 1)
        fail("cpu.stat");
    return usage - spent_us(&own);
}

// Waits for `wanted`, or with -1 for every descendant; returns the status of the last one.
static int wait_for(pid_t wanted)
{
    int status = 0;
    for (;;) {
        struct rusage used;
        pid_t pid = wait4(-1, &status, 0, &used);
        if (pid < 0 && errno == ECHILD)
            return status;
        if (pid < 0)
            fail("wait4");
        processor_us += spent_us(&used);
        if (used.ru_maxrss > largest_kib)
            largest_kib = used.ru_maxrss;
        if (pid == wanted)
            return status;
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: account CPU_STAT ERRORS COMMAND [ARG]... [';' COMMAND [ARG]...]...\n");
        return 125;
    }
    int stat = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (stat < 0)
        fail(argv[1]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fail("subreaper");
    posix_spawn_file_actions_t streams;
    posix_spawn_file_actions_init(&streams);
    posix_spawn_file_actions_addopen(&streams, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&streams, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&streams, 2, argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);

    int done = 0, failure = 0, leave = 0;
    long long before_us = others_us(stat), begin = now_ns(), end = begin;
    for (char **command = argv + 3; *command && !failure;) {
        char **after = command;
        while (*after && strcmp(*after, ";"))
            after++;
        char **next = *after ? after + 1 : after;
        *after = NULL;
        if (!strcmp(*command, "@reap")) {
            wait_for(-1);
        } else if (!strcmp(*command, "@leave")) {
            leave = 1;
        } else {
            pid_t pid;
            char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL, NULL};
            if (strchr(*command, '=') && command[1])
                environment[1] = *command++;
            errno = posix_spawnp(&pid, *command, &streams, NULL, command, environment);
            if (errno)
                fail(*command);
            int status = wait_for(pid);
            failure = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        end = now_ns();
        done += !failure;
        command = next;
    }
    // After a failure a container may be waiting for a start that never comes: who called cleans up.
    if (!failure && !leave)
        wait_for(-1);
    printf("%lld %lld %lld %ld %d %d\n", end - begin, processor_us, others_us(stat) - before_us, largest_kib, done,
           failure);
    return 0;
}
