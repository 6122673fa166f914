// Preloaded into a peer which insists on unlimited locked memory, on a machine that withholds CAP_SYS_RESOURCE.
//
// crun 1.8 raises RLIMIT_MEMLOCK before it loads its device filter and gives up where it may not. Kernels since 5.11 do
// not charge BPF to that limit, so telling it that the call succeeded changes nothing else of what it does.
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
    return what == RLIMIT_MEMLOCK ? 0 : (int)syscall(SYS_prlimit64, 0, what, limit, NULL);
}
