/* keras_zip.c: libzip finds and inflates members; a stored member's place is taken from its local header instead, so
 * that its bytes are used where they lie. */
#define _GNU_SOURCE /* memfd_create */
#include "keras_zip.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "tools/libraries/lib_zip.h"

enum { EOCD_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };

static uint32_t u16_at(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32_at(const uint8_t *p) { return u16_at(p) | u16_at(p + 2) << 16; }

/* The central directory's offset; false where there is none in 32-bit form. */
static bool find_directory(const uint8_t *p, size_t size, size_t *at, size_t *entries)
{
    if (size < EOCD_SIZE) return false;
    size_t first = size - EOCD_SIZE, last = first > 65535 ? first - 65535 : 0;
    for (size_t i = first + 1; i-- > last;) {
        if (u32_at(p + i) != 0x06054b50) continue;
        *entries = u16_at(p + i + 10);
        *at = u32_at(p + i + 16);
        return *at < size;
    }
    return false;
}

/* Where a stored member's bytes lie; false: not stored, or nothing that this simple reader understands. */
static bool find_stored(const uint8_t *p, size_t size, const char *member, size_t length, size_t *offset)
{
    size_t at, entries, name_length = strlen(member);
    if (!find_directory(p, size, &at, &entries)) return false;
    for (size_t i = 0; i < entries; i++) {
        if (!hone__range_ok(at, ENTRY_SIZE, size) || u32_at(p + at) != 0x02014b50) return false;
        size_t n = u16_at(p + at + 28), extra = u16_at(p + at + 30), comment = u16_at(p + at + 32);
        if (!hone__range_ok(at + ENTRY_SIZE, n, size)) return false;
        if (n == name_length && memcmp(p + at + ENTRY_SIZE, member, n) == 0) {
            size_t local = u32_at(p + at + 42);
            if (u16_at(p + at + 10) != 0 || u32_at(p + at + 20) != length) return false;
            if (!hone__range_ok(local, LOCAL_SIZE, size) || u32_at(p + local) != 0x04034b50) return false;
            *offset = local + LOCAL_SIZE + u16_at(p + local + 26) + u16_at(p + local + 28);
            return hone__range_ok(*offset, length, size);
        }
        at += ENTRY_SIZE + n + extra + comment;
    }
    return false;
}

/* Writes the member to a memory file piece by piece: a bomb costs no heap, and weights can be used in place. */
static bool inflate_to(zip_file_t *file, int fd, uint64_t size)
{
    uint8_t piece[1 << 15];
    uint64_t left = size;
    while (left) {
        zip_int64_t n = zip_fread(file, piece, left < sizeof piece ? left : sizeof piece);
        if (n <= 0) return false;
        for (zip_int64_t done = 0; done < n;) {
            ssize_t m = write(fd, piece + done, (size_t)(n - done));
            if (m < 0 && errno == EINTR) continue;
            if (m <= 0) return false;
            done += m;
        }
        left -= (uint64_t)n;
    }
    return zip_fread(file, piece, 1) == 0;
}

static hone_status inflate_member(zip_t *zip, const char *path, const char *member, const zip_stat_t *stat,
                                  hone__zip_member *out)
{
    int fd = memfd_create("hone-member", MFD_CLOEXEC);
    if (fd < 0) return hone__fail(HONE_E_IO, "%s: cannot make a memory file: %s", path, strerror(errno));
    zip_file_t *file = zip_fopen_index(zip, stat->index, 0);
    bool ok = file && inflate_to(file, fd, stat->size);
    if (file) zip_fclose(file);
    hone_status status =
        ok ? hone__map_fd(fd, path, &out->map) : hone__fail(HONE_E_FORMAT, "%s: member '%s' is damaged", path, member);
    close(fd);
    if (status == HONE_OK) out->data = out->map->data, out->size = out->map->size;
    return status;
}

static hone_status read_from(zip_t *zip, hone__map *map, const char *path, const char *member, size_t limit,
                             hone__zip_member *out)
{
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat(zip, member, 0, &stat) != 0)
        return hone__fail(HONE_E_ARGUMENT, "%s: the archive has no '%s'", path, member);
    zip_uint64_t need = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((stat.valid & need) != need) return hone__fail(HONE_E_FORMAT, "%s: member '%s' has no size", path, member);
    if (stat.encryption_method != ZIP_EM_NONE)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: member '%s' is encrypted", path, member);
    bool bomb = stat.size > (256u << 20) && stat.size / 100 > stat.comp_size;
    if (stat.size > limit || bomb || stat.comp_size > map->size)
        return hone__fail(HONE_E_LIMIT, "%s: member '%s' declares %llu bytes in an archive of %zu", path, member,
                          (unsigned long long)stat.size, map->size);
    if (stat.size / 1100 > stat.comp_size) /* more than deflate can make */
        return hone__fail(HONE_E_LIMIT, "%s: member '%s' declares %llu bytes but stores %llu", path, member,
                          (unsigned long long)stat.size, (unsigned long long)stat.comp_size);
    size_t offset;
    if (stat.comp_method == ZIP_CM_STORE && find_stored(map->data, map->size, member, (size_t)stat.size, &offset)) {
        *out = (hone__zip_member){map->data + offset, (size_t)stat.size, hone__map_ref(map)};
        return HONE_OK;
    }
    return inflate_member(zip, path, member, &stat, out);
}

hone_status hone__zip_read(hone__map *map, const char *path, const char *member, size_t limit, hone__zip_member *out)
{
    zip_t *zip;
    memset(out, 0, sizeof *out);
    HONE__TRY(hone__zip_open(map->data, map->size, path, &zip));
    hone_status status = read_from(zip, map, path, member, limit, out);
    zip_discard(zip);
    if (status != HONE_OK) hone__zip_release(out);
    return status;
}

void hone__zip_release(hone__zip_member *member)
{
    hone__map_unref(member->map);
    memset(member, 0, sizeof *member);
}
