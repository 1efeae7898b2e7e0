/* media_libav.c: loads FFmpeg's libraries of the version that the headers have, and finds their functions. */
#include "tools/media/media_libav.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#ifdef __APPLE__
#define FILE_OF(name, major) "lib" name "." TEXT(major) ".dylib"
#else
#define FILE_OF(name, major) "lib" name ".so." TEXT(major)
#endif

/* Every library, so that a function is found in its own; in the order in which they need each other. */
static const char *const files[] = {
    FILE_OF("avutil", LIBAVUTIL_VERSION_MAJOR),
    FILE_OF("swresample", LIBSWRESAMPLE_VERSION_MAJOR),
    FILE_OF("avcodec", LIBAVCODEC_VERSION_MAJOR),
    FILE_OF("avformat", LIBAVFORMAT_VERSION_MAJOR),
};
enum { FILES = sizeof files / sizeof *files };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static media_libav table;
static const char *missing; /* a library or function; NULL: all are there */

static void *find(void *const *handles, const char *name)
{
    for (int i = 0; i < FILES; i++) {
        void *address = dlsym(handles[i], name);
        if (address) return address;
    }
    if (!missing) missing = name;
    return NULL;
}

static void load(void)
{
    void *handles[FILES]; /* stay open: the process keeps what it has once used */
    for (int i = 0; i < FILES; i++) {
        handles[i] = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        if (!handles[i]) {
            missing = files[i];
            return;
        }
    }
    void *address; /* POSIX lets a function's address pass through void * */
#define FIND(name)                       \
    address = find(handles, TEXT(name)); \
    memcpy(&table.name, &address, sizeof address);
    MEDIA_LIBAV_FUNCTIONS(FIND)
}

hone_status hone__media_libav(const media_libav **out)
{
    pthread_once(&once, load);
    *out = &table;
    if (!missing) return HONE_OK;
    return hone__fail(
        HONE_E_UNSUPPORTED,
        "only WAV can be read here: %s of FFmpeg is missing (packages libavformat, libavcodec, libswresample)",
        missing);
}
