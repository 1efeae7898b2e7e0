/* conv_bands.c: geometry of the bands and the copies into scratch. */
#include "kernels/conv/conv_bands.h"

#include <string.h>

enum { SHORT_BAND = 256, LONG_BAND = 1024 /* lanes */, MIN_ITEMS = 4, MIN_WORK = 1 << 18, MIN_ROW_CHUNK = 12 };
enum { SECOND_LANES = 32 /* of pack_second_i8 */ };
enum { SPILL = 16 /* positions behind a channel that vectors may write and read */ };

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

hone__conv_bands hone__conv_bands_make(const hone__conv_plan *p)
{
    hone__conv_bands b = {.p = p};
    /* few channels: the band stays in the first-level cache; many: fewer rows are copied twice */
    size_t lanes = p->out[1] * p->ext[2];
    size_t bands = ceil_div(lanes, p->group_in <= 16 || lanes <= LONG_BAND / 2 ? SHORT_BAND : LONG_BAND);
    if (bands > p->out[1]) bands = p->out[1];
    b.rows = ceil_div(p->out[1], bands);
    b.bands = ceil_div(p->out[1], b.rows);
    b.local_rows = b.rows + p->ext[1] - p->out[1];
    b.plane = b.local_rows * p->ext[2];
    b.channel = p->kernel[0] * p->phases[1] * p->phases[2] * b.plane + SPILL;
    size_t base = p->groups * p->out[0] * b.bands, work = b.rows * p->ext[2] * p->k * p->group_out;
    size_t chunks = base >= MIN_ITEMS ? 1 : ceil_div(MIN_ITEMS, base);
    if (chunks > ceil_div(work, MIN_WORK)) chunks = ceil_div(work, MIN_WORK);
    if (chunks > ceil_div(p->group_out, MIN_ROW_CHUNK)) chunks = ceil_div(p->group_out, MIN_ROW_CHUNK);
    b.row_chunk = ceil_div(p->group_out, chunks);
    b.row_chunks = ceil_div(p->group_out, b.row_chunk);
    b.items = base * b.row_chunks;
    work /= b.row_chunks;
    b.grain = work >= MIN_WORK ? 1 : ceil_div(MIN_WORK, work + 1);
    return b;
}

void hone__conv_bands_taps(const hone__conv_bands *b, size_t *tap)
{
    const hone__conv_plan *p = b->p;
    for (size_t kd = 0; kd < p->kernel[0]; kd++)
        for (size_t kh = 0; kh < p->kernel[1]; kh++)
            for (size_t kw = 0; kw < p->kernel[2]; kw++) {
                size_t image =
                    (kd * p->phases[1] + hone__conv_image_of(p, 1, kh)) * p->phases[2] + hone__conv_image_of(p, 2, kw);
                *tap++ = image * b->plane + kh * p->dilation[1] / p->stride[1] * p->ext[2] +
                         kw * p->dilation[2] / p->stride[2];
            }
}

hone__conv_band hone__conv_bands_item(const hone__conv_bands *b, size_t index)
{
    const hone__conv_plan *p = b->p;
    hone__conv_band it;
    it.first_row = index % b->row_chunks * b->row_chunk;
    it.channels = p->group_out - it.first_row < b->row_chunk ? p->group_out - it.first_row : b->row_chunk;
    index /= b->row_chunks;
    it.first = index % b->bands * b->rows;
    it.rows = p->out[1] - it.first < b->rows ? p->out[1] - it.first : b->rows;
    index /= b->bands;
    it.depth = index % p->out[0];
    it.group = index / p->out[0];
    it.lanes = (it.rows - 1) * p->ext[2] + p->out[2];
    return it;
}

/* Where the rows of one local image come from: local rows [top, bottom) and columns [left, right) exist, the first
 * of them is element `at` of a channel of x. */
typedef struct source {
    size_t at, top, bottom, left, right;
} source;

/* Local rows that the band reads. */
static size_t rows_used(const hone__conv_bands *b, const hone__conv_band *band)
{
    return band->rows + b->local_rows - b->rows;
}

static source source_of(const hone__conv_bands *b, const hone__conv_band *band, size_t image)
{
    const hone__conv_plan *p = b->p;
    size_t iw = image % p->phases[2], ih = image / p->phases[2] % p->phases[1],
           kd = image / p->phases[2] / p->phases[1];
    size_t z = band->depth * p->stride[0] + kd * p->dilation[0], end = band->first + rows_used(b, band);
    size_t sh = hone__conv_residue_of(p, 1, ih), sw = hone__conv_residue_of(p, 2, iw);
    source s;
    hone__conv_inside(p, 1, sh, &s.top, &s.bottom);
    hone__conv_inside(p, 2, sw, &s.left, &s.right);
    if (s.top < band->first) s.top = band->first;
    if (s.bottom > end) s.bottom = end;
    if (z < p->pad[0] || z - p->pad[0] >= p->in[0] || s.top >= s.bottom || s.left >= s.right) return (source){0};
    s.at = ((z - p->pad[0]) * p->in[1] + s.top * p->stride[1] + sh - p->pad[1]) * p->in[2] + s.left * p->stride[2] +
           sw - p->pad[2];
    s.top -= band->first;
    s.bottom -= band->first;
    return s;
}

void hone__conv_bands_copy_f32(const hone__conv_bands *b, const hone__conv_band *band, const hone__tile_table *tile,
                               const float *x, float *to)
{
    const hone__conv_plan *p = b->p;
    size_t images = p->kernel[0] * p->phases[1] * p->phases[2], width = p->ext[2], step = p->stride[2];
    size_t used = rows_used(b, band), from_rs = p->in[2] * p->stride[1];
    for (size_t i = 0; i < images; i++) {
        source s = source_of(b, band, i);
        size_t rows = s.bottom - s.top, n = s.right - s.left;
        for (size_t c = 0; c < p->group_in; c++) {
            const float *from = x + c * p->in_size + s.at;
            float *image = to + c * b->channel + i * b->plane, *row = image + s.top * width;
            memset(image, 0, s.top * width * sizeof *image);
            if (step <= 2) {
                tile->copy_rows_f32(from, from_rs, step, rows, n, s.left, width, row);
            } else {
                memset(row, 0, rows * width * sizeof *row);
                for (size_t r = 0; r < rows; r++)
                    for (size_t k = 0; k < n; k++) row[r * width + s.left + k] = from[r * from_rs + k * step];
            }
            memset(row + rows * width, 0, (used - s.bottom) * width * sizeof *row);
        }
    }
}

static void fill_groups(uint8_t *to, uint32_t four, size_t n)
{
    for (size_t i = 0; i < n; i++) memcpy(to + i * 4, &four, 4);
}

/* One local row of every group of four channels; `from`: n bytes per channel (second: 2 n - 1, every other one of which
 * counts), NULL = padding only. Vectors write beyond
 * the row; what lies there is written later, or is the spill behind a channel. */
static void row_i8(const hone__conv_bands *b, const hone__tile_table *tile, const uint8_t *from, size_t from_rs,
                   int second, size_t left, size_t n, uint8_t flip, uint32_t four, uint8_t *row)
{
    static const size_t no_tap = 0;
    size_t width = b->p->ext[2], group_rs = b->channel * 4, groups = ceil_div(b->p->group_in, 4);
    for (size_t g = 0; left && g < groups; g++) fill_groups(row + g * group_rs, four, left);
    size_t nr = second ? SECOND_LANES : tile->i8_nr;
    for (size_t at = 0; at < n; at += nr) {
        size_t lanes = n - at < nr ? n - at : nr;
        hone__tile_pack_args pack = {from + (second ? 2 * at : at),
                                     from_rs,
                                     &no_tap,
                                     b->p->group_in,
                                     1,
                                     lanes,
                                     ceil_div(lanes, tile->i8_step) * tile->i8_step,
                                     flip,
                                     row + (left + at) * 4,
                                     group_rs};
        if (second)
            tile->pack_second_i8(&pack);
        else
            tile->pack_i8(&pack);
    }
    for (size_t g = 0; left + n < width && g < groups; g++)
        fill_groups(row + g * group_rs + (left + n) * 4, four, width - left - n);
}

void hone__conv_bands_copy_i8(const hone__conv_bands *b, const hone__conv_band *band, const hone__tile_table *tile,
                              const uint8_t *x, uint8_t fill, uint8_t flip, uint8_t *rows, uint8_t *to)
{
    const hone__conv_plan *p = b->p;
    size_t images = p->kernel[0] * p->phases[1] * p->phases[2], width = p->ext[2], step = p->stride[2];
    uint32_t four = (uint32_t)(fill ^ flip) * 0x01010101u;
    for (size_t i = 0; i < images; i++) {
        source s = source_of(b, band, i);
        size_t n = s.right - s.left;
        for (size_t r = 0; r < rows_used(b, band); r++) { /* ascending, see row_i8 */
            uint8_t *row = to + (i * b->plane + r * width) * 4;
            if (r < s.top || r >= s.bottom) {
                row_i8(b, tile, NULL, 0, 0, 0, 0, flip, four, row);
                continue;
            }
            const uint8_t *from = x + s.at + (r - s.top) * p->in[2] * p->stride[1];
            if (step == 2 && tile->pack_second_i8) {
                row_i8(b, tile, from, p->in_size, 1, s.left, n, flip, four, row);
                continue;
            }
            if (step == 2) tile->second_u8(from, p->in_size, p->group_in, n, rows, width);
            for (size_t c = 0; step > 2 && c < p->group_in; c++)
                for (size_t k = 0; k < n; k++) rows[c * width + k] = from[c * p->in_size + k * step];
            row_i8(b, tile, step > 1 ? rows : from, step > 1 ? width : p->in_size, 0, s.left, n, flip, four, row);
        }
    }
}
