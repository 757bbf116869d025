#include "drive.h"

#include "../../amtdiag/capture/prefilter/native/decode.h"
#include "../../amtdiag/capture/prefilter/native/sieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "links.h" /* LINKS: the table of link types, written by corpus.py */

enum {
    MAX_INTERFACES = 64,
    MAX_KEYS = 256,
    RECORD_LIMIT = 262144,
    BLOCK_LIMIT = 16 << 20,
    LONGEST_KEY = 36,
    KEY_OFFSET = 26, /* of addresses and ports in Ethernet and IPv4 */
};

/* One sieve for all inputs, since its counters are big; what one input watches is taken back at its end. */
static struct sieve *sieve;
static struct link_row links[sizeof LINKS / sizeof(struct link_row)];
enum { LINK_COUNT = sizeof links / sizeof *links, UNKNOWN_LINK = 147 };
static struct {
    uint8_t bytes[LONGEST_KEY];
    size_t length;
} keys[MAX_KEYS];
static size_t watched;

static void demand(int promise, const char *what)
{
    if (!promise) {
        fprintf(stderr, "drive: broken promise: %s\n", what);
        abort();
    }
}

static void make_sieve(void)
{
    static const uint16_t tcp[] = {9971, 9972, 16992, 16993, 16994, 16995, 664, 4433, 53};
    static const uint16_t udp[] = {53, 67, 68, 546, 547, 623, 664};
    uint8_t tcp_ports[SIEVE_PORT_BYTES] = {0}, udp_ports[SIEVE_PORT_BYTES] = {0};
    uint8_t head[SIEVE_HEAD_BYTES] = {[0] = 1 | 2 | 8, [1] = 1, [2] = 4, [3] = 4}; /* 0 or 1, 0, 2 or 3, 0 */
    for (size_t at = 0; at < sizeof tcp / sizeof *tcp; at++)
        tcp_ports[tcp[at] >> 3] |= (uint8_t)(1 << (tcp[at] & 7));
    for (size_t at = 0; at < sizeof udp / sizeof *udp; at++)
        udp_ports[udp[at] >> 3] |= (uint8_t)(1 << (udp[at] & 7));
    memcpy(links, LINKS, sizeof links);
    demand(sizeof links == sizeof LINKS && sieve_takes(links, LINK_COUNT), "a table of link types");
    const struct interest interest = {tcp_ports, udp_ports, head, 4, 3, 1, links, LINK_COUNT};
    sieve = sieve_new(&interest, 0x9971);
    demand(sieve != NULL && sieve_remember(sieve), "memory");
}

static void watch(const uint8_t *packet, size_t size)
{
    size_t length = size > KEY_OFFSET + LONGEST_KEY && packet[0] & 1 ? LONGEST_KEY : 12;
    if (watched < MAX_KEYS && size >= KEY_OFFSET + length) {
        memcpy(keys[watched].bytes, packet + KEY_OFFSET, length);
        keys[watched].length = length;
        sieve_watch(sieve, keys[watched].bytes, length);
        watched++;
    }
}

static uint32_t u32(const uint8_t *at, bool big_endian)
{
    return big_endian ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
                      : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* The bytes from `pos` on in memory of their own, as much as a window of some size holds. */
static uint8_t *window_at(const uint8_t *data, size_t size, size_t pos, size_t *length)
{
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX, 300};
    size_t most = lengths[(size + pos) % 3];
    *length = size - pos < most ? size - pos : most;
    uint8_t *window = malloc(*length ? *length : 1);
    demand(window != NULL, "memory");
    memcpy(window, data + pos, *length);
    return window;
}

static void check_plain(const uint8_t *packet, size_t size)
{
    struct plain plain;
    if (!decode_plain(packet, size, &plain))
        return;
    demand(plain.mac + 6 <= size && plain.dst + plain.address_size <= size, "addresses are in the packet");
    demand(plain.payload <= size && plain.payload_size <= size - plain.payload, "the payload is in the packet");
    demand(plain.protocol == 6 || plain.protocol == 17, "a port is one of TCP or UDP");
}

static void check_record(const struct record *record, const uint8_t *window, size_t from, size_t length)
{
    demand(record->next > from && record->next <= length, "a record is in its window");
    demand(record->packet > window + from && record->packet + record->size <= window + record->next,
           "a packet is in its record");
    check_plain(record->packet, record->size);
}

static void check_tally(const struct tally *tally, uint64_t before, size_t from, size_t to)
{
    demand(to >= from, "the walk goes forward");
    demand((tally->packets == before) == (to == from), "each step is a packet and each packet a step");
    demand(tally->earliest <= tally->latest, "times are in order");
}

/* A walk may know better than `sieve_wants` how to be quick, and has to come to the same. */
static void check_passed(const struct pcap_layout *layout, const struct tally *tally, const uint8_t *window, size_t stop)
{
    for (size_t pos = 0; pos < stop;) {
        uint32_t caplen = u32(window + pos + 8, layout->big_endian), wirelen = u32(window + pos + 12, layout->big_endian);
        if (layout->swapped || (layout->maybe_swapped && caplen > wirelen)) {
            const uint32_t other = caplen;
            caplen = wirelen;
            wirelen = other;
        }
        pos += layout->header;
        demand(!sieve_wants(sieve, (uint32_t)tally->linktype, window + pos, caplen, wirelen), "it passes over what it may");
        pos += caplen;
    }
}

static void drive_pcap(const uint8_t *data, size_t size)
{
    const bool big_endian = data[0] == 0xA1;
    const bool modified = data[big_endian ? 3 : 0] == 0x34;
    const uint32_t minor = u32(data + 4, big_endian) & 0xFFFF;
    const struct pcap_layout layout = {
        .big_endian = big_endian,
        .swapped = minor < 3,
        .maybe_swapped = minor == 3,
        .header = modified ? 24 : 16,
        .unit = data[big_endian ? 3 : 0] == 0x4D ? 1 : 1000,
        .limit = RECORD_LIMIT,
    };
    struct tally tally = {.linktype = u32(data + 20, big_endian) & 0x03FFFFFF};
    size_t pos = 24;
    while (pos < size) {
        size_t length;
        uint8_t *window = window_at(data, size, pos, &length);
        const uint64_t before = tally.packets;
        const size_t stop = sieve_pcap(sieve, &layout, window, 0, length, &tally);
        demand(stop <= length, "the walk stays in its window");
        check_passed(&layout, &tally, window, stop);
        check_tally(&tally, before, 0, stop);
        struct record record;
        if (decode_pcap_record(&layout, window, stop, length, &record))
            check_record(&record, window, stop, length);
        free(window);
        pos += stop;
        if (size - pos < layout.header)
            return;
        uint32_t caplen = u32(data + pos + 8, big_endian), wirelen = u32(data + pos + 12, big_endian);
        if (layout.swapped || (layout.maybe_swapped && caplen > wirelen)) {
            const uint32_t other = caplen;
            caplen = wirelen;
            wirelen = other;
        }
        if (caplen > layout.limit || caplen > size - pos - layout.header)
            return;
        const uint8_t *packet = data + pos + layout.header;
        if (stop < length && length - stop >= layout.header && caplen <= length - stop - layout.header)
            demand(sieve_wants(sieve, (uint32_t)tally.linktype, packet, caplen, wirelen), "it stops where it has to");
        watch(packet, caplen);
        pos += layout.header + caplen;
    }
}

static void drive_pcapng(const uint8_t *data, size_t size)
{
    struct pcapng_layout layout = {false, BLOCK_LIMIT, RECORD_LIMIT};
    struct tally *tallies = calloc(MAX_INTERFACES, sizeof *tallies);
    demand(tallies != NULL, "memory");
    size_t interfaces = 0, pos = 0;
    while (size - pos >= 12) {
        size_t length;
        uint8_t *window = window_at(data, size, pos, &length);
        struct passed passed = {0, 0, 0};
        const size_t stop = sieve_pcapng(sieve, &layout, window, 0, length, tallies, interfaces, &passed);
        demand(stop <= length, "the walk stays in its window");
        demand((passed.packets == 0) == (stop == 0), "each step is a packet and each packet a step");
        if (passed.packets > 0) {
            demand(passed.interface < interfaces, "only interfaces that there are");
            check_tally(&tallies[passed.interface], 0, 0, 1);
            const uint8_t *block = window;
            for (; block < window + stop; block += (u32(block + 4, layout.big_endian) + 3) & ~3U)
                demand(!sieve_wants(sieve, (uint32_t)tallies[u32(block + 8, layout.big_endian)].linktype, block + 28,
                                    u32(block + 20, layout.big_endian), u32(block + 24, layout.big_endian)),
                       "it passes over what it may");
        }
        struct record record;
        if (decode_pcapng_record(&layout, window, stop, length, interfaces, &record)) {
            demand(record.interface < interfaces, "only interfaces that there are");
            check_record(&record, window, stop, length);
        }
        free(window);
        pos += stop;
        if (size - pos < 12)
            break;
        const uint32_t kind = u32(data + pos, layout.big_endian);
        if (kind == 0x0A0D0D0A) {
            layout.big_endian = data[pos + 8] == 0x1A;
            interfaces = 0;
        }
        const uint32_t total = u32(data + pos + 4, layout.big_endian);
        if (total < 12 || total > size - pos)
            break;
        if (kind == 1 && interfaces < MAX_INTERFACES) {
            const uint8_t *two = data + pos + 8;
            tallies[interfaces++] = (struct tally){
                .linktype = layout.big_endian ? (uint64_t)two[0] << 8 | two[1] : (uint64_t)two[1] << 8 | two[0],
            };
        }
        if (kind == 6 && total > 32)
            watch(data + pos + 28, total - 32);
        pos += (total + 3) & ~(size_t)3;
        if (pos > size)
            break;
    }
    free(tallies);
}

static void drive_packet(const uint8_t *data, size_t size)
{
    /* Any row of the table, Ethernet more often, or a link type that is in none. */
    const unsigned choice = data[0] % (LINK_COUNT + 3);
    size_t length;
    uint8_t *packet = window_at(data, size, 1, &length);
    const uint32_t linktype = choice < LINK_COUNT ? links[choice].number : choice == LINK_COUNT ? UNKNOWN_LINK : 1;
    const bool wanted = sieve_wants(sieve, linktype, packet, length, (uint32_t)size);
    demand(!wanted || linktype != UNKNOWN_LINK, "a link type that nothing reads is passed over");
    check_plain(packet, length);
    watch(packet, length);
    sieve_wants(sieve, 1, packet, length, UINT32_MAX);
    free(packet);
}

void drive(const uint8_t *data, size_t size)
{
    static const uint8_t magics[][4] = {
        {0xD4, 0xC3, 0xB2, 0xA1}, {0xA1, 0xB2, 0xC3, 0xD4}, {0x4D, 0x3C, 0xB2, 0xA1},
        {0xA1, 0xB2, 0x3C, 0x4D}, {0x34, 0xCD, 0xB2, 0xA1}, {0xA1, 0xB2, 0xCD, 0x34},
    };
    if (sieve == NULL)
        make_sieve();
    bool is_pcap = false;
    for (size_t at = 0; at < sizeof magics / sizeof *magics && size >= 24; at++)
        is_pcap |= memcmp(data, magics[at], 4) == 0;
    if (is_pcap)
        drive_pcap(data, size);
    else if (size >= 12 && memcmp(data, "\x0A\x0D\x0D\x0A", 4) == 0)
        drive_pcapng(data, size);
    else if (size > 1)
        drive_packet(data, size);
    while (watched > 0) {
        watched--;
        sieve_unwatch(sieve, keys[watched].bytes, keys[watched].length);
    }
}
