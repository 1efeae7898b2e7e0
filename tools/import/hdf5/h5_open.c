/* h5_open.c: starts the confined child, waits for it with a time limit, and takes what it has written. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "h5.h"
#include "h5_records.h"
#include "tools/libraries/lib_hdf5.h"

/* The child is limited by processor time; a busy machine may give it that little by little. */
enum { PATIENCE = 30 };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the child has closed its end of the pipe or the time is over, then reaps it. False: out of time. */
static bool wait_child(pid_t pid, int pipe_fd, uint64_t seconds)
{
    int64_t end = now_ms() + (int64_t)(seconds * PATIENCE * 1000);
    bool in_time = true;
    for (;;) {
        int64_t left = end - now_ms();
        struct pollfd p = {pipe_fd, POLLIN, 0};
        int n = left <= 0 ? 0 : poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) in_time = false;
        break;
    }
    if (!in_time) kill(pid, SIGKILL);
    int code = 0;
    while (waitpid(pid, &code, 0) < 0 && errno == EINTR) code = 0;
    return in_time && !(WIFSIGNALED(code) && (WTERMSIG(code) == SIGXCPU || WTERMSIG(code) == SIGKILL));
}

static hone_status run_child(const uint8_t *data, size_t size, const char *name, int catalogue, int spill)
{
    int ends[2];
    HONE__TRY(hone__hdf5_load()); /* here: the child may open nothing */
    if (pipe(ends) != 0) return hone__fail(HONE_E_IO, "%s: cannot make a pipe: %s", name, strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        hone__h5_confine(catalogue, spill, ends[1], size);
        hone__h5_child(data, size, catalogue, spill);
        _exit(1);
    }
    int reason = errno;
    close(ends[1]);
    bool in_time = pid > 0 && wait_child(pid, ends[0], hone__h5_seconds(size));
    close(ends[0]);
    if (pid < 0) return hone__fail(HONE_E_IO, "%s: cannot start a process for HDF5: %s", name, strerror(reason));
    if (!in_time)
        return hone__fail(HONE_E_LIMIT,
                          "%s: the HDF5 library did not finish within %u s of processor time: damaged or hostile", name,
                          (unsigned)hone__h5_seconds(size));
    return HONE_OK;
}

static hone_status read_with(const uint8_t *data, size_t size, const char *name, int catalogue, int spill,
                             hone__h5 **out)
{
    hone__map *written, *converted = NULL;
    HONE__TRY(run_child(data, size, name, catalogue, spill));
    HONE__TRY(hone__map_fd(catalogue, name, &written));
    hone_status status = hone__map_fd(spill, name, &converted);
    if (status == HONE_OK) status = hone__h5_take(written, converted, name, size, out);
    hone__map_unref(written);
    hone__map_unref(converted);
    return status;
}

hone_status hone__h5_open(const uint8_t *data, size_t size, const char *name, hone__h5 **out)
{
    *out = NULL;
    int catalogue = memfd_create("hone-catalogue", MFD_CLOEXEC), spill = memfd_create("hone-spill", MFD_CLOEXEC);
    hone_status status;
    if (catalogue < 0 || spill < 0)
        status = hone__fail(HONE_E_IO, "%s: cannot make a memory file: %s", name, strerror(errno));
    else
        status = read_with(data, size, name, catalogue, spill, out);
    if (catalogue >= 0) close(catalogue);
    if (spill >= 0) close(spill);
    return status;
}
