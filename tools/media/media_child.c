/* media_child.c: the child writes one answer about the file, then blocks of samples, into a pipe. */
#define _GNU_SOURCE /* pipe2 */
#include "media_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "base/alloc.h"

enum { MESSAGE_MAX = 1 << 12, SAMPLES_MAX = 1 << 24 };

/* In front of `count` samples and `message` bytes. */
typedef struct block {
    uint64_t count;
    int32_t status;
    uint32_t message;
} block;

struct media_child {
    pid_t pid;
    int fd;
    float *samples;
    size_t room;
    bool ended;
};

static bool send_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t sent = write(fd, p, n);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool send_block(int fd, hone_status s, const float *mono, size_t n, const media_facts *facts)
{
    const char *text = s == HONE_OK ? "" : hone_error_message();
    block b = {n, s, (uint32_t)strnlen(text, MESSAGE_MAX)};
    return send_all(fd, &b, sizeof b) && (!facts || send_all(fd, facts, sizeof *facts)) &&
           send_all(fd, mono, n * sizeof *mono) && send_all(fd, text, b.message);
}

static void work(media_input *in, int max_channels, int rate, int fd)
{
    media_ffmpeg *f = NULL;
    media_facts facts = {0};
    const float *mono = NULL;
    size_t n = 1;
    hone_status s = hone__media_ffmpeg_open(in, max_channels, &f, &facts);
    bool heard = send_block(fd, s, NULL, 0, &facts);
    while (heard && s == HONE_OK && n) {
        n = 0;
        s = hone__media_ffmpeg_next(f, rate, &mono, &n);
        for (size_t done = 0; heard && s == HONE_OK && n - done > SAMPLES_MAX; done += SAMPLES_MAX) {
            heard = send_block(fd, s, mono, SAMPLES_MAX, NULL);
            mono += SAMPLES_MAX;
            n -= SAMPLES_MAX;
        }
        heard = heard && send_block(fd, s, mono, s == HONE_OK ? n : 0, NULL);
    }
}

/* False: the child is gone, or says no more. */
static bool take(const media_child *c, void *to, size_t n)
{
    for (char *p = to; n;) {
        ssize_t got = read(c->fd, p, n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static hone_status crashed(void) { return hone__fail(HONE_E_FORMAT, "FFmpeg broke down over it: damaged or hostile"); }

/* The message of a block that ends badly. */
static hone_status told(const media_child *c, const block *b)
{
    char text[MESSAGE_MAX + 1];
    if (b->message > MESSAGE_MAX || !take(c, text, b->message)) return crashed();
    text[b->message] = 0;
    return hone__fail((hone_status)b->status, "%s", text);
}

static hone_status start(media_child *c, media_input *in, int max_channels, int rate)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return hone__fail(HONE_E_IO, "cannot make a pipe: %s", strerror(errno));
    c->pid = fork();
    if (c->pid == 0) {
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGPIPE, SIG_DFL); /* the parent has enough */
        close(ends[0]);
        work(in, max_channels, rate, ends[1]);
        _exit(0);
    }
    int reason = errno;
    close(ends[1]);
    c->fd = ends[0];
    return c->pid > 0 ? HONE_OK : hone__fail(HONE_E_IO, "cannot start a process for FFmpeg: %s", strerror(reason));
}

hone_status hone__media_child_open(media_input *in, int max_channels, int target_rate, media_child **out,
                                   media_facts *facts)
{
    media_child *c = *out = hone__calloc(1, sizeof *c);
    if (!c) return hone__out_of_memory(sizeof *c);
    c->fd = -1;
    block b;
    hone_status s = start(c, in, max_channels, target_rate);
    if (s == HONE_OK && (!take(c, &b, sizeof b) || !take(c, facts, sizeof *facts) || b.count)) s = crashed();
    if (s == HONE_OK && b.status != HONE_OK) s = told(c, &b);
    if (s == HONE_OK) {
        facts->format[sizeof facts->format - 1] = 0;
        return s;
    }
    hone__media_child_close(c);
    *out = NULL;
    return s;
}

void hone__media_child_close(media_child *c)
{
    if (!c) return;
    if (c->fd >= 0) close(c->fd);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    hone__free(c->samples);
    hone__free(c);
}

hone_status hone__media_child_next(media_child *c, const float **mono, size_t *n)
{
    block b;
    *n = 0;
    if (c->ended) return HONE_OK;
    if (!take(c, &b, sizeof b) || b.count > SAMPLES_MAX) return crashed();
    if (b.status != HONE_OK) return told(c, &b);
    if (b.count > c->room) {
        float *samples = hone__realloc(c->samples, b.count * sizeof *samples);
        if (!samples) return hone__out_of_memory(b.count * sizeof *samples);
        c->samples = samples;
        c->room = b.count;
    }
    if (!take(c, c->samples, b.count * sizeof *c->samples)) return crashed();
    c->ended = !b.count;
    *mono = c->samples;
    *n = b.count;
    return HONE_OK;
}
