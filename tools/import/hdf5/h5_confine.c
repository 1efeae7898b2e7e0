/* h5_confine.c: the cage of the process that runs the HDF5 library: resource limits, no other descriptors, no new
 * privileges, and on x86-64 and aarch64 a seccomp filter under which only memory and its two result files exist. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "h5.h"

#if defined(__linux__)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

static void limit(int what, rlim_t value)
{
    struct rlimit r;
    if (getrlimit(what, &r) != 0) return;
    if (r.rlim_max != RLIM_INFINITY && value > r.rlim_max) value = r.rlim_max;
    r.rlim_cur = r.rlim_max = value;
    (void)setrlimit(what, &r);
}

#ifndef SANITIZED
/* Bytes of address space that the process has now; 0 when unknown. */
static uint64_t address_space(void)
{
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    uint64_t pages = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++) pages = pages * 10 + (uint64_t)(text[i] - '0');
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
#endif

/* Hostile files send the library into endless loops; honest ones take milliseconds, and what they hold takes its time. */
uint64_t hone__h5_seconds(uint64_t image_size)
{
#ifdef SANITIZED
    enum { SLOWER = 8 };
#else
    enum { SLOWER = 1 };
#endif
    return (1 + (image_size >> 25)) * SLOWER;
}

static void set_limits(uint64_t image_size)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, (rlim_t)hone__h5_seconds(image_size));
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_FSIZE, (rlim_t)hone__h5_output_limit(image_size));
#ifndef SANITIZED /* a sanitizer's shadow memory is larger than any limit */
    uint64_t now = address_space();
    if (now) limit(RLIMIT_AS, (rlim_t)(now + hone__h5_output_limit(image_size) + (128u << 20)));
    limit(RLIMIT_DATA, (rlim_t)(now / 2 + image_size * 2 + (256u << 20)));
#endif
    limit(RLIMIT_NOFILE, 0);
}

static void close_others(int a, int b, int c)
{
    for (int fd = 0; fd < 1024; fd++)
        if (fd != a && fd != b && fd != c) close(fd);
#if defined(SYS_close_range)
    if (a < 1024 && b < 1024 && c < 1024) (void)syscall(SYS_close_range, 1024u, ~0u, 0);
#endif
}

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__linux__) && defined(THIS_ARCH)
#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* Allowed unless argument 2 (prot) asks for executable pages. Leaves through its own returns. */
#define ALLOW_NO_EXEC(nr)                                                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4),                                              \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),               \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), BPF_STMT(BPF_RET | BPF_K, REFUSE), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE (SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA))

static void set_filter(void)
{
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_write),
        ALLOW(SYS_ftruncate),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_madvise),
        ALLOW(SYS_brk),
        ALLOW(SYS_futex),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_rt_sigprocmask),
        ALLOW(SYS_getpid),
        ALLOW(SYS_gettid),
        ALLOW(SYS_sched_yield),
        ALLOW(SYS_clock_gettime),
        ALLOW(SYS_gettimeofday),
        ALLOW(SYS_getrandom),
#ifdef SANITIZED
        ALLOW(SYS_sigaltstack), /* of the sanitizer's own clean-up */
#endif
        ALLOW_NO_EXEC(SYS_mmap),
        ALLOW_NO_EXEC(SYS_mprotect),
        BPF_STMT(BPF_RET | BPF_K, REFUSE),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], (struct sock_filter *)(uintptr_t)code};
    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
#else
static void set_filter(void) {}
#endif

void hone__h5_confine(int catalogue, int spill, int alive, uint64_t image_size)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGXFSZ, SIGPIPE, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) (void)signal(fatal[i], SIG_DFL);
    set_limits(image_size);
    close_others(catalogue, spill, alive);
#if defined(__linux__)
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
    set_filter();
}
