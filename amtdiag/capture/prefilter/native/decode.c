/* See decode.h. */
#include "decode.h"

#include <string.h>

enum {
    ETHERNET_HEADER = 14,
    SOURCE_MAC = 6,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP = 6,
    UDP = 17,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    VXLAN_PORT = 4789,
    IPV4_DONT_FRAGMENT = 0x4000,

    PCAPNG_ENHANCED_PACKET = 6,
    ENHANCED_HEADER = 8 + 20, /* type and length; interface, time, two lengths */
    MIN_ENHANCED = ENHANCED_HEADER + 4,
};

static uint16_t be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t u32(const uint8_t *at, bool big_endian)
{
    return big_endian ? be32(at)
                      : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* Read the header of IP; `start` and `end` of what it carries. */
static bool network(const uint8_t *packet, size_t size, struct plain *plain, size_t *start, size_t *end)
{
    const uint8_t *header = packet + ETHERNET_HEADER;
    if (packet[12] == 0x08 && packet[13] == 0x00) {
        if (size < ETHERNET_HEADER + IPV4_HEADER || header[0] != 0x45 || (be16(header + 6) & ~IPV4_DONT_FRAGMENT) != 0)
            return false;
        *start = ETHERNET_HEADER + IPV4_HEADER;
        *end = ETHERNET_HEADER + (size_t)be16(header + 2);
        plain->protocol = header[9];
        plain->ident = be16(header + 4);
        plain->src = ETHERNET_HEADER + 12;
        plain->address_size = 4;
    } else if (packet[12] == 0x86 && packet[13] == 0xDD) {
        if (size < ETHERNET_HEADER + IPV6_HEADER || header[0] >> 4 != 6 || be16(header + 4) == 0)
            return false;
        *start = ETHERNET_HEADER + IPV6_HEADER;
        *end = *start + be16(header + 4);
        plain->protocol = header[6];
        plain->ident = 0;
        plain->src = ETHERNET_HEADER + 8;
        plain->address_size = 16;
    } else {
        return false;
    }
    plain->mac = SOURCE_MAC;
    plain->dst = plain->src + plain->address_size;
    return *start <= *end && *end <= size;
}

bool decode_plain(const uint8_t *packet, size_t size, struct plain *plain)
{
    size_t start, end, body;
    if (size < ETHERNET_HEADER || !network(packet, size, plain, &start, &end))
        return false;
    const uint8_t *header = packet + start;
    if (plain->protocol == TCP) {
        if (end - start < TCP_HEADER)
            return false;
        body = (size_t)(header[12] >> 4) * 4;
        if (body < TCP_HEADER)
            return false;
        plain->seq = be32(header + 4);
        plain->ack = be32(header + 8);
        plain->flags = header[13];
        plain->checksum = be16(header + 16);
    } else if (plain->protocol == UDP) {
        body = UDP_HEADER;
        if (end - start < body || be16(header + 2) == VXLAN_PORT)
            return false;
        plain->seq = plain->ack = 0;
        plain->flags = 0;
        plain->checksum = be16(header + 6);
    } else {
        return false;
    }
    if (body > end - start)
        return false;
    plain->sport = be16(header);
    plain->dport = be16(header + 2);
    plain->payload = start + body;
    plain->payload_size = end - plain->payload;
    return true;
}

bool decode_pcap_record(const struct pcap_layout *layout, const uint8_t *data, size_t pos, size_t end,
                        struct record *record)
{
    if (pos > end || end - pos < layout->header)
        return false;
    const uint8_t *header = data + pos;
    uint32_t caplen = u32(header + 8, layout->big_endian);
    uint32_t wirelen = u32(header + 12, layout->big_endian);
    if (layout->swapped || (layout->maybe_swapped && caplen > wirelen))
        caplen = wirelen;
    if (caplen > layout->limit || caplen > end - pos - layout->header)
        return false;
    record->packet = header + layout->header;
    record->size = caplen;
    record->interface = 0;
    record->stamp = u32(header, layout->big_endian) * UINT64_C(1000000000) +
                    (uint64_t)u32(header + 4, layout->big_endian) * layout->unit;
    record->next = pos + layout->header + (size_t)caplen;
    return true;
}

bool decode_pcapng_record(const struct pcapng_layout *layout, const uint8_t *data, size_t pos, size_t end,
                          size_t interfaces, struct record *record)
{
    const bool big_endian = layout->big_endian;
    if (pos > end || end - pos < MIN_ENHANCED)
        return false;
    const uint8_t *block = data + pos;
    uint64_t total = u32(block + 4, big_endian);
    if (u32(block, big_endian) != PCAPNG_ENHANCED_PACKET || total < MIN_ENHANCED || total > layout->block_limit)
        return false;
    total = (total + 3) & ~UINT64_C(3);
    if (total > end - pos || memcmp(block + total - 4, block + 4, 4) != 0)
        return false;
    uint32_t interface = u32(block + 8, big_endian);
    uint32_t caplen = u32(block + 20, big_endian);
    if (interface >= interfaces || caplen > total - MIN_ENHANCED || caplen > layout->record_limit)
        return false;
    record->packet = block + ENHANCED_HEADER;
    record->size = caplen;
    record->interface = interface;
    record->stamp = (uint64_t)u32(block + 12, big_endian) << 32 | u32(block + 16, big_endian);
    record->next = pos + (size_t)total;
    return true;
}
