/* The sieve: walks the records of a capture and passes over the packets that cannot matter.
 *
 * What it cannot rule out, it leaves to the caller: it stops in front of that record, and the Python code that
 * decodes and selects looks at it. So decoding and selection are written once, in Python, and this file only has to
 * be right in one direction: never to pass over a packet that the Python code would do something with. It also
 * stops in front of whatever is not a plain, whole packet record, damage included.
 *
 * No Python here: sanitizers and fuzzers run this file without an interpreter. Nothing is read outside of
 * `data[0..end)`, nothing is allocated after `sieve_new` and `sieve_remember`, and every loop is bounded by the
 * bytes it looks at.
 */
#ifndef AMTDIAG_SIEVE_H
#define AMTDIAG_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIEVE_PORT_BYTES = 65536 / 8, /* a bit a port, the lowest bit of a byte first */
    SIEVE_HEAD_BYTES = 256,
    SIEVE_HEAD_MAX = 8,
    SIEVE_SEEN_BYTES = 1 << 17,
    SIEVE_LINK_NUMBERS = 1024, /* link types that are read have smaller numbers */
    SIEVE_LINKS_MAX = 64,
    SIEVE_NO_MAC = 0xFFFF,
};

struct sieve;

/* How a link-layer header names what follows it. */
enum following {
    BY_ETHERTYPE, /* two bytes at `type_at` */
    BY_FAMILY,    /* an address family at `type_at`, in the order of bytes in which it is the smaller number */
    BY_VERSION,   /* IP: the first four bits behind the header */
    BY_PPP,       /* a PPP protocol number behind the header, in one byte where it was compressed */
    BY_HDLC,      /* so, with or without two bytes of HDLC before it */
    BY_READER,    /* as Python finds out */
};

/* A link type: a row of the table in decode/linktypes.py. */
struct link_row {
    uint32_t number;    /* in tcpdump.org's registry */
    uint16_t header;    /* bytes, or the least of them where a field says how many */
    uint16_t type_at;   /* offset of the field that names what follows */
    uint16_t length_at; /* offset of the field that says how long the header is */
    uint16_t mac_at;    /* offset of the sender's MAC; SIEVE_NO_MAC where not every packet has one */
    uint8_t following;  /* an `enum following` */
    uint8_t type_size;  /* bytes: 1, 2 or 4 */
    uint8_t length_size; /* bytes: 1, 2 or 4; 0 where there is no such field */
    uint8_t length_big_endian;
    uint8_t rounding; /* the network layer begins at the next multiple of so many bytes, of a length that varies */
};

/* What matters. */
struct interest {
    const uint8_t *tcp_ports, *udp_ports; /* bit sets of SIEVE_PORT_BYTES */
    /* For each of the 256 byte values, at which of the first `head_length` places of a wanted conversation it may
     * stand: bit n for place n. */
    const uint8_t *head;
    unsigned head_length;
    uint8_t icmp, icmpv6;         /* the type of the messages that are wanted */
    const struct link_row *links; /* the link types that are read */
    size_t link_count;
};

/* False for a table that no sieve can be made of. */
bool sieve_takes(const struct link_row *links, size_t count);

/* `seed` keeps the senders of packets from knowing which conversations share a counter. `sieve_takes` the links. NULL
 * where there is no memory. */
struct sieve *sieve_new(const struct interest *interest, uint64_t seed);
void sieve_free(struct sieve *sieve);

/* A conversation to keep from now on, and no more: source, destination and ports of one direction, as on the wire.
 * `length` is 12 (IPv4) or 36 (IPv6). Each `sieve_watch` is taken back by one `sieve_unwatch`. */
void sieve_watch(struct sieve *sieve, const uint8_t *key, size_t length);
void sieve_unwatch(struct sieve *sieve, const uint8_t *key, size_t length);

/* From now on, remember by hash the conversations of which a TCP segment was passed over; false where there is no
 * memory. `sieve_seen` gives the SIEVE_SEEN_BYTES of it, a bit a slot, the lowest bit of a byte first, for the caller
 * to read and to clear; `sieve_slot` the slot of a key. Sieves with the same seed have the same slots. */
bool sieve_remember(struct sieve *sieve);
uint8_t *sieve_seen(struct sieve *sieve);
size_t sieve_slot(const struct sieve *sieve, const uint8_t *key, size_t length);

/* Whether a packet has to be looked at. None has whose link type is in no row: it is counted, by its link type, in the
 * tally of the interface. */
bool sieve_wants(const struct sieve *sieve, uint32_t linktype, const uint8_t *packet, size_t size, uint32_t wirelen);

/* Whether a port is one of those whose packets are always wanted. */
bool sieve_wants_tcp_port(const struct sieve *sieve, uint16_t port);
bool sieve_wants_udp_port(const struct sieve *sieve, uint16_t port);

/* Whether packets of a link type begin as Ethernet's do. */
bool sieve_is_ethernet(const struct sieve *sieve, uint64_t linktype);

/* What was passed over on one interface. Stamps are in the units of the file (pcap: nanoseconds). */
struct tally {
    uint64_t packets;
    uint64_t earliest;
    uint64_t latest;
    uint64_t linktype;
};

struct pcap_layout {
    bool big_endian;
    bool swapped;       /* captured and original length in the other order */
    bool maybe_swapped; /* so where the captured length would be the greater one */
    uint32_t header;    /* bytes of a record header: 16 or 24 */
    uint32_t unit;      /* nanoseconds per unit of the second time field */
    uint32_t limit;     /* longest record that is no damage */
};

/* Pass over pcap records from `pos` on; return the position of the first one that is left to the caller. */
size_t sieve_pcap(const struct sieve *sieve, const struct pcap_layout *layout, const uint8_t *data, size_t pos,
                  size_t end, struct tally *tally);

struct pcapng_layout {
    bool big_endian;
    uint32_t block_limit;
    uint32_t record_limit;
};

/* Count a packet that somebody else has dealt with. */
void sieve_count(struct tally *tally, uint64_t stamp);

/* How many packets one call passed over, and the last of them. */
struct passed {
    uint64_t packets;
    uint32_t interface;
    uint64_t stamp;
};

/* Pass over the enhanced packet blocks of a section with `interfaces` interfaces, a tally each; return the position
 * of the first block that is left to the caller. */
size_t sieve_pcapng(const struct sieve *sieve, const struct pcapng_layout *layout, const uint8_t *data, size_t pos,
                    size_t end, struct tally *tallies, size_t interfaces, struct passed *passed);

#endif
