/* pickle.c: the stack machine of pickles (CPython's Lib/pickletools.py describes the opcodes), with the opcodes that
 * data need. Text opcodes of protocol 0 and those that make objects are refused by name. */
#include "pickle.h"

#include <string.h>

enum { STEPS_MAX = 1 << 20, MEMO_MAX = 1 << 20 };

typedef hone__pickle_value value;

typedef struct machine {
    const char *file;
    const uint8_t *data;
    size_t size, at;
    hone__arena *arena;
    hone__pickle_known_fn known;
    const value **stack, **memo; /* stack: NULL is a mark; memo: NULL where nothing is remembered */
    size_t count, capacity;
    size_t memo_size, memo_capacity;
    size_t opcode; /* where the current one lies */
    hone_status status;
} machine;

/* Only while nothing has failed yet: the message is that of the first failure. */
static void stick(machine *m, hone_status status) { m->status = status; }

static void damaged(machine *m, const char *what)
{
    if (m->status == HONE_OK)
        m->status = hone__fail(HONE_E_FORMAT, "%s: pickle: %s (byte %zu)", m->file, what, m->opcode);
}

static const uint8_t *take(machine *m, uint64_t n)
{
    if (n > m->size - m->at) {
        damaged(m, "it ends inside an opcode");
        return NULL;
    }
    const uint8_t *p = m->data + m->at;
    m->at += (size_t)n;
    return p;
}

/* A little-endian number of n bytes, at most 8. */
static uint64_t number(machine *m, size_t n)
{
    const uint8_t *p = take(m, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void push_value(machine *m, const value *v)
{
    if (m->status != HONE_OK) return;
    stick(m, hone__grow(&m->stack, &m->capacity, m->count, sizeof *m->stack));
    if (m->status == HONE_OK) m->stack[m->count++] = v;
}

/* Zeroed; NULL after a failure. */
static void *make(machine *m, size_t n)
{
    void *p = m->status == HONE_OK ? hone__arena_zalloc(m->arena, n) : NULL;
    if (!p && m->status == HONE_OK) m->status = hone__out_of_memory(n);
    return p;
}

static value *push(machine *m, hone__pickle_kind kind)
{
    value *v = make(m, sizeof *v);
    if (!v) return NULL;
    v->kind = kind;
    push_value(m, v);
    return m->status == HONE_OK ? v : NULL;
}

static void push_int(machine *m, hone__pickle_kind kind, int64_t i)
{
    value *v = push(m, kind);
    if (v) v->i = i;
}

static void push_text(machine *m, hone__pickle_kind kind, uint64_t size)
{
    const uint8_t *p = take(m, size);
    if (p && size > UINT32_MAX) damaged(m, "a text of over 4 GB");
    value *v = p ? push(m, kind) : NULL;
    if (!v) return;
    v->text = (const char *)p;
    v->count = (uint32_t)size;
}

/* A two's complement integer of any length. */
static void push_long(machine *m, uint64_t size)
{
    const uint8_t *p = take(m, size);
    uint64_t v = p && size && p[size - 1] & 0x80 ? UINT64_MAX : 0;
    if (!p) return;
    for (uint64_t i = 0; i < size && i < 8; i++) v = (v & ~((uint64_t)0xff << (8 * i))) | (uint64_t)p[i] << (8 * i);
    if (size > 8)
        push(m, HONE__PICKLE_OTHER);
    else
        push_int(m, HONE__PICKLE_INT, (int64_t)v);
}

static const value *top(machine *m)
{
    if (m->count && m->stack[m->count - 1]) return m->stack[m->count - 1];
    damaged(m, "the stack is empty");
    return NULL;
}

static const value *pop(machine *m)
{
    const value *v = top(m);
    if (v) m->count--;
    return v;
}

/* Where the values behind the last mark begin; false: there is none. */
static bool marked(machine *m, size_t *first)
{
    for (size_t i = m->count; i-- > 0;) {
        if (m->stack[i]) continue;
        *first = i + 1;
        return true;
    }
    damaged(m, "no mark");
    return false;
}

static void append(machine *m, value *to, const value *key, const value *v)
{
    hone__pickle_item *item = make(m, sizeof *item);
    if (!item) return;
    *item = (hone__pickle_item){key, v, NULL};
    if (to->items)
        to->last->next = item;
    else
        to->items = item;
    to->last = item;
    to->count++;
}

/* The values from `first` on become a tuple; with `mark`, the mark in front of them goes, too. */
static void tuple(machine *m, size_t first, bool mark)
{
    size_t count = m->count;
    value *t = make(m, sizeof *t);
    if (!t) return;
    t->kind = HONE__PICKLE_TUPLE;
    for (size_t i = first; i < count; i++) append(m, t, NULL, m->stack[i]);
    m->count = first - mark;
    push_value(m, t);
}

static void tuple_of(machine *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->count < n || !m->stack[m->count - 1 - i]) {
            damaged(m, "the stack is empty");
            return;
        }
    tuple(m, m->count - n, false);
}

/* Values from `first` on go into the container in front of them: pairs with `step` 2. */
static void extend(machine *m, size_t first, bool mark, size_t step)
{
    if (first < 1u + mark || m->count < first || (m->count - first) % step || !m->stack[first - 1 - mark]) {
        damaged(m, "nothing that items could go into");
        return;
    }
    value *to = (value *)(uintptr_t)m->stack[first - 1 - mark]; /* made here, so it may change */
    if (to->kind != (step == 2 ? HONE__PICKLE_DICT : HONE__PICKLE_LIST)) {
        damaged(m, step == 2 ? "items of what is no dictionary" : "items of what is no list");
        return;
    }
    for (size_t i = first; i + step <= m->count; i += step) {
        const value *a = m->stack[i], *b = step == 2 ? m->stack[i + 1] : a;
        if (!a || !b) {
            damaged(m, "a mark among the items");
            return;
        }
        append(m, to, step == 2 ? a : NULL, b);
    }
    m->count = first - mark;
}

static void put(machine *m, uint64_t index)
{
    const value *v = top(m);
    if (!v || m->status != HONE_OK) return;
    if (index >= MEMO_MAX) {
        stick(m, hone__fail(HONE_E_LIMIT, "%s: pickle: over %d remembered values", m->file, MEMO_MAX));
        return;
    }
    while (m->status == HONE_OK && m->memo_size <= index) {
        stick(m, hone__grow(&m->memo, &m->memo_capacity, m->memo_size, sizeof *m->memo));
        if (m->status == HONE_OK) m->memo[m->memo_size++] = NULL;
    }
    if (m->status == HONE_OK) m->memo[index] = v;
}

static void get(machine *m, uint64_t index)
{
    if (index >= m->memo_size || !m->memo[index])
        damaged(m, "a value that was not remembered");
    else
        push_value(m, m->memo[index]);
}

static void push_class(machine *m, const char *module, size_t module_size, const char *name, size_t name_size)
{
    if (module_size > 200 || name_size > 200) {
        damaged(m, "the name of a class is too long");
        return;
    }
    char *full = hone__arena_printf(m->arena, "%.*s.%.*s", (int)module_size, module, (int)name_size, name);
    if (!full) {
        stick(m, hone__out_of_memory(module_size + name_size));
        return;
    }
    if (!m->known(full)) {
        stick(m, hone__fail(HONE_E_UNSUPPORTED,
                            "%s: pickle: '%s' (byte %zu): only tensors, dictionaries, lists, tuples, numbers and texts "
                            "are read; nothing is executed",
                            m->file, full, m->opcode));
        return;
    }
    value *v = push(m, HONE__PICKLE_CLASS);
    if (!v) return;
    v->text = full;
    v->count = (uint32_t)strlen(full);
}

/* "module\nname\n" */
static void global(machine *m)
{
    const uint8_t *begin[2] = {NULL, NULL};
    size_t size[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        begin[i] = m->data + m->at;
        const uint8_t *end = m->at < m->size ? memchr(begin[i], '\n', m->size - m->at) : NULL;
        if (!end) {
            damaged(m, "the name of a class does not end");
            return;
        }
        size[i] = (size_t)(end - begin[i]);
        m->at += size[i] + 1;
    }
    push_class(m, (const char *)begin[0], size[0], (const char *)begin[1], size[1]);
}

static void stack_global(machine *m)
{
    const value *name = pop(m), *module = name ? pop(m) : NULL;
    if (!module) return;
    if (name->kind != HONE__PICKLE_TEXT || module->kind != HONE__PICKLE_TEXT)
        damaged(m, "the name of a class is no text");
    else
        push_class(m, module->text, module->count, name->text, name->count);
}

static void reduce(machine *m)
{
    const value *args = pop(m), *callee = args ? pop(m) : NULL;
    if (!callee) return;
    if (args->kind != HONE__PICKLE_TUPLE || callee->kind != HONE__PICKLE_CLASS) {
        damaged(m, "a call of what is no class");
        return;
    }
    if (!strcmp(callee->text, "collections.OrderedDict") && !args->count) {
        push(m, HONE__PICKLE_DICT);
        return;
    }
    value *v = push(m, HONE__PICKLE_CALL);
    if (!v) return;
    v->callee = callee;
    v->args = args;
}

/* Attributes of a dictionary, such as a state_dict's _metadata: nothing that is read. */
static void build(machine *m)
{
    const value *state = pop(m), *of = state ? top(m) : NULL;
    if (of && of->kind != HONE__PICKLE_DICT) damaged(m, "attributes of what is no dictionary");
}

static void persistent(machine *m)
{
    const value *id = pop(m);
    value *v = id ? push(m, HONE__PICKLE_PERSISTENT) : NULL;
    if (v) v->id = id;
}

/* Numbers and texts; false: another opcode. */
static bool scalar(machine *m, uint8_t code)
{
    switch (code) {
    case 'N': push(m, HONE__PICKLE_NONE); return true;
    case 0x88: push_int(m, HONE__PICKLE_BOOL, 1); return true;
    case 0x89: push_int(m, HONE__PICKLE_BOOL, 0); return true;
    case 'J': push_int(m, HONE__PICKLE_INT, (int32_t)number(m, 4)); return true;
    case 'K': push_int(m, HONE__PICKLE_INT, (int64_t)number(m, 1)); return true;
    case 'M': push_int(m, HONE__PICKLE_INT, (int64_t)number(m, 2)); return true;
    case 0x8a: push_long(m, number(m, 1)); return true;
    case 0x8b: push_long(m, number(m, 4)); return true;
    case 'G':
        take(m, 8);
        push(m, HONE__PICKLE_OTHER);
        return true;
    case 0x8c:
    case 'U': push_text(m, HONE__PICKLE_TEXT, number(m, 1)); return true;
    case 'X':
    case 'T': push_text(m, HONE__PICKLE_TEXT, number(m, 4)); return true;
    case 0x8d: push_text(m, HONE__PICKLE_TEXT, number(m, 8)); return true;
    case 'C': push_text(m, HONE__PICKLE_OTHER, number(m, 1)); return true;
    case 'B': push_text(m, HONE__PICKLE_OTHER, number(m, 4)); return true;
    case 0x8e: push_text(m, HONE__PICKLE_OTHER, number(m, 8)); return true;
    default: return false;
    }
}

/* Containers and what moves values about; false: another opcode. */
static bool container(machine *m, uint8_t code)
{
    size_t first;
    switch (code) {
    case '(': push_value(m, NULL); return true;
    case '0':
    case '1':
        if (code == '1' && marked(m, &first)) m->count = first - 1;
        if (code == '0') pop(m);
        return true;
    case '2': push_value(m, top(m)); return true;
    case ')': push(m, HONE__PICKLE_TUPLE); return true;
    case ']': push(m, HONE__PICKLE_LIST); return true;
    case '}': push(m, HONE__PICKLE_DICT); return true;
    case 0x85:
    case 0x86:
    case 0x87: tuple_of(m, code - 0x84u); return true;
    case 't':
        if (marked(m, &first)) tuple(m, first, true);
        return true;
    case 'a': extend(m, m->count ? m->count - 1 : 0, false, 1); return true;
    case 's': extend(m, m->count > 1 ? m->count - 2 : 0, false, 2); return true;
    case 'e':
    case 'u':
        if (marked(m, &first)) extend(m, first, true, code == 'u' ? 2 : 1);
        return true;
    case 'q': put(m, number(m, 1)); return true;
    case 'r': put(m, number(m, 4)); return true;
    case 0x94: put(m, m->memo_size); return true;
    case 'h': get(m, number(m, 1)); return true;
    case 'j': get(m, number(m, 4)); return true;
    default: return false;
    }
}

static void refuse(machine *m, uint8_t code)
{
    static const struct {
        uint8_t code;
        const char *name;
    } names[] = {{'i', "INST"},
                 {'o', "OBJ"},
                 {0x81, "NEWOBJ"},
                 {0x92, "NEWOBJ_EX"},
                 {0x82, "EXT1"},
                 {0x83, "EXT2"},
                 {0x84, "EXT4"},
                 {'P', "PERSID"},
                 {0x8f, "EMPTY_SET"},
                 {0x90, "ADDITEMS"},
                 {0x91, "FROZENSET"},
                 {0x96, "BYTEARRAY8"},
                 {'I', "INT"},
                 {'L', "LONG"},
                 {'F', "FLOAT"},
                 {'S', "STRING"},
                 {'V', "UNICODE"},
                 {'p', "PUT"},
                 {'g', "GET"},
                 {'l', "LIST"},
                 {'d', "DICT"},
                 {0x97, "NEXT_BUFFER"},
                 {0x98, "READONLY_BUFFER"}};
    const char *name = "unknown";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code) name = names[i].name;
    stick(m, hone__fail(HONE_E_UNSUPPORTED, "%s: pickle: opcode 0x%02x (%s) at byte %zu is not read", m->file, code,
                        name, m->opcode));
}

/* One opcode; false: the last one. */
static bool step(machine *m)
{
    m->opcode = m->at;
    const uint8_t *p = take(m, 1);
    if (!p || *p == '.') return false;
    switch (*p) {
    case 0x80:
        if (number(m, 1) > 5) damaged(m, "a protocol over 5");
        break;
    case 0x95: take(m, 8); break;
    case 'c': global(m); break;
    case 0x93: stack_global(m); break;
    case 'R': reduce(m); break;
    case 'b': build(m); break;
    case 'Q': persistent(m); break;
    default:
        if (!scalar(m, *p) && !container(m, *p)) refuse(m, *p);
    }
    return m->status == HONE_OK;
}

hone_status hone__pickle_read(const uint8_t *data, size_t size, const char *file, hone__pickle_known_fn known,
                              hone__arena *arena, const hone__pickle_value **out)
{
    machine m = {.file = file, .data = data, .size = size, .arena = arena, .known = known};
    size_t steps = 0;
    *out = NULL;
    while (step(&m) && steps < STEPS_MAX) steps++;
    if (steps == STEPS_MAX) stick(&m, hone__fail(HONE_E_LIMIT, "%s: pickle: over %d steps", file, STEPS_MAX));
    if (m.status == HONE_OK) *out = pop(&m);
    hone__free(m.stack);
    hone__free(m.memo);
    return m.status;
}

const hone__pickle_value *hone__pickle_at(const hone__pickle_value *t, size_t i)
{
    const hone__pickle_item *item = t && (t->kind == HONE__PICKLE_TUPLE) ? t->items : NULL;
    while (item && i--) item = item->next;
    return item ? item->value : NULL;
}
