// Turns a list of seccomp rules on standard input into the finished program on standard output that floor.c loads.
//
// One rule a line, words apart by one blank, numbers decimal:
//   default ERRNO                         what is not listed fails with ERRNO
//   arch NAME                             one more architecture, in libseccomp's lower case
//   rule ERRNO NAME [INDEX OP A B]...     ERRNO 0 allows; OP as libseccomp's enum scmp_compare
// A name that this libseccomp does not know is left out, as the runtimes do.
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(int result, const char *line)
{
    if (result < 0) {
        fprintf(stderr, "filter: %s: %s\n", line, strerror(-result));
        exit(1);
    }
}

int main(void)
{
    scmp_filter_ctx filter = NULL;
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        char name[64];
        unsigned number;
        int at = 0;
        if (sscanf(line, "default %u", &number) == 1) {
            filter = seccomp_init(SCMP_ACT_ERRNO(number));
            must(filter ? 0 : -ENOMEM, line);
            must(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), line);
            continue;
        }
        if (sscanf(line, "arch %63s", name) == 1) {
            int added = seccomp_arch_add(filter, seccomp_arch_resolve_name(name));
            must(added == -EEXIST ? 0 : added, line);
            continue;
        }
        struct scmp_arg_cmp conditions[6];
        unsigned count = 0, index, operator;
        unsigned long long a, b;
        int more = 0;
        if (sscanf(line, "rule %u %63s%n", &number, name, &at) != 2)
            must(-EINVAL, line);
        for (; sscanf(line + at, "%u %u %llu %llu%n", &index, &operator, &a, &b, &more) == 4; at += more) {
            if (count == 6)
                must(-E2BIG, line);
            conditions[count++] = (struct scmp_arg_cmp){index, operator, a, b};
        }
        int call = seccomp_syscall_resolve_name(name);
        if (call != __NR_SCMP_ERROR)
            must(seccomp_rule_add_array(filter, number ? SCMP_ACT_ERRNO(number) : SCMP_ACT_ALLOW, call, count,
                                        conditions), line);
    }
    must(filter ? 0 : -EINVAL, "no default given");
    must(seccomp_export_bpf(filter, STDOUT_FILENO), "export");
    return 0;
}
