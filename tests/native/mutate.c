/* Drives seed captures, and then mutated ones until there were enough: mutate COUNT SEED FILE...
 *
 * A fixed sequence of pseudo-random numbers: the same arguments make the same inputs. It is for where there is no
 * libFuzzer, and where a run has to be as long each time (`make sanitize`). */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUT = 8192, MAX_FILES = 4096, MAX_CHANGES = 8, DEEP = 160, SHORT = 500 };

struct file {
    uint8_t *data;
    size_t size;
};

static uint64_t state;

/* xorshift64* */
static size_t below(size_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return limit ? (size_t)((state * UINT64_C(2685821657736338717)) >> 33) % limit : 0;
}

static struct file load(const char *name)
{
    struct file file = {NULL, 0};
    FILE *stream = fopen(name, "rb");
    if (stream == NULL) {
        perror(name);
        exit(2);
    }
    file.data = malloc(MAX_INPUT);
    if (file.data == NULL)
        exit(2);
    file.size = fread(file.data, 1, MAX_INPUT, stream);
    fclose(stream);
    return file;
}

static uint8_t telling(void)
{
    static const uint8_t values[] = {0,  1,  2,    3,    4,    5,    6,    8,    16,   17,  31,  32,  41,
                                     44, 47, 0x08, 0x45, 0x46, 0x4F, 0x60, 0x7F, 0x80, 0x81, 0x86, 0x88, 0xA8,
                                     51, 58, 0xDD, 0x12, 0xB5, 0x26, 0xF3, 0xFE, 0xFF};
    return values[below(sizeof values)];
}

static size_t change(uint8_t *data, size_t size, const struct file *other)
{
    size_t at = below(size), length;
    switch (below(10)) {
    case 0: /* cut, mostly within the headers */
        return below(4) ? below(size < DEEP ? size : DEEP) : at;
    case 1: /* a piece of another file */
        if (other->size == 0)
            return size;
        length = below(64);
        at = below(size);
        for (size_t each = 0; each < length && at + each < size; each++)
            data[at + each] = other->data[(at + each) % other->size];
        return size;
    case 2: /* take something out */
        at = below(2) ? at : below(size < DEEP ? size : DEEP);
        length = below(size - at);
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3: /* put something in */
        length = below(32);
        if (size + length > MAX_INPUT)
            return size;
        memmove(data + at + length, data + at, size - at);
        memset(data + at, telling(), length);
        return size + length;
    case 4: /* a length, in either byte order */
        for (size_t each = 0; each < 4 && at + each < size; each++)
            data[at + each] = below(2) ? 0 : telling();
        return size;
    case 5:
        data[at] ^= (uint8_t)(1 << below(8));
        return size;
    default: /* near the beginning, where the headers are */
        data[below(size < DEEP ? size : DEEP)] = telling();
        return size;
    }
}

/* A capture, or, half of the time, a packet cut out of one. */
static size_t begin(uint8_t *input, const struct file *seed)
{
    size_t from = 0, size = seed->size;
    if (below(2) && seed->size > 64) {
        from = below(seed->size - 32);
        size = seed->size - from;
        if (below(4)) { /* headers are found by what begins them: an EtherType behind two MACs */
            for (size_t at = 13; at + 32 < seed->size; at++) {
                size_t there = (from + at) % (seed->size - 32);
                if (there > 13 && ((seed->data[there] == 8 && seed->data[there + 1] == 0) || seed->data[there] == 0x81 ||
                                   (seed->data[there] == 0x86 && seed->data[there + 1] == 0xDD))) {
                    from = there - 13; /* the byte before the MACs is that of the link type */
                    size = seed->size - from;
                    break;
                }
            }
        }
        size = size > SHORT ? SHORT : size;
    }
    memcpy(input, seed->data + from, size);
    if (from > 0)
        input[0] = (uint8_t)below(256);
    else if (below(2)) /* few records, so that changes meet what is around them */
        size = below(size < SHORT ? size : SHORT);
    return size;
}

int main(int argc, char **argv)
{
    static struct file files[MAX_FILES];
    static uint8_t input[MAX_INPUT];
    if (argc < 4 || argc - 3 > MAX_FILES) {
        fprintf(stderr, "usage: %s COUNT SEED FILE...\n", argv[0]);
        return 2;
    }
    const long count = atol(argv[1]);
    const size_t loaded = (size_t)argc - 3;
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    for (size_t at = 0; at < loaded; at++) {
        files[at] = load(argv[3 + at]);
        drive(files[at].data, files[at].size);
    }
    for (long each = 0; each < count; each++) {
        const struct file *seed = &files[below(loaded)];
        size_t size = begin(input, seed);
        for (size_t left = below(MAX_CHANGES) + 1; left > 0 && size > 0; left--)
            size = change(input, size, &files[below(loaded)]);
        drive(input, size);
    }
    printf("%zu captures and %ld mutated inputs: nothing found\n", loaded, count);
    for (size_t at = 0; at < loaded; at++)
        free(files[at].data);
    return 0;
}
