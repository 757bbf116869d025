/* Decodes the plainest of the packets that matter, so that a capture full of them need not go through Python one by one.
 *
 * Plain is Ethernet without tags, IPv4 without options and not a fragment, or IPv6 without extension headers; TCP or
 * UDP; and all of it captured. Whatever else there is, capture/decoder.py decodes, and what it makes of a plain packet
 * is the same. Nothing is read outside of `packet[0..size)`, and nothing is allocated.
 */
#ifndef AMTDIAG_DECODE_H
#define AMTDIAG_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sieve.h"

/* Where in a packet its parts are, and its numbers as such. What UDP or IPv6 does not have is 0. */
struct plain {
    size_t mac, src, dst, address_size, payload, payload_size;
    uint32_t seq, ack;
    uint16_t sport, dport, ident, checksum;
    uint8_t flags, protocol;
};

/* False where the packet is not plain. */
bool decode_plain(const uint8_t *packet, size_t size, struct plain *plain);

/* A record of a capture file. */
struct record {
    const uint8_t *packet;
    uint32_t size;
    uint32_t interface; /* 0 in a pcap file */
    uint64_t stamp;     /* as the tally counts it: of a pcap file nanoseconds, else units of the interface */
    size_t next;        /* position of the record after it */
};

/* False where there is no whole record at `pos`, or a damaged one. */
bool decode_pcap_record(const struct pcap_layout *layout, const uint8_t *data, size_t pos, size_t end,
                        struct record *record);

/* The same for an enhanced packet block of a section with so many interfaces. */
bool decode_pcapng_record(const struct pcapng_layout *layout, const uint8_t *data, size_t pos, size_t end,
                          size_t interfaces, struct record *record);

#endif
