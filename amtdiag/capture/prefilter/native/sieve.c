/* The order of the file is that of a packet: link layer, IP, tunnels, transport; then the containers.
 *
 * It mirrors decode/linktypes.py, whose table it is given, decode/ip.py and decode/decoder.py. Where following them further is not worth the code,
 * the answer is "look at it": that costs time, never a packet.
 */
#include "sieve.h"

#include <stdlib.h>
#include <string.h>

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_IPV6 = 0x86DD,
    ETHERTYPE_PPPOE_SESSION = 0x8864,
    LLC_BELOW = 0x0600,
    ETHERNET_HEADER = 14,
    MAX_LABELS = 16,

    ICMP = 1,
    IP_IN_IP = 4,
    TCP = 6,
    UDP = 17,
    IPV6_IN_IP = 41,
    IPV6_FRAGMENT = 44,
    GRE = 47,
    IPV6_AUTHENTICATION = 51,
    ICMPV6 = 58,
    MAX_TUNNELS = 8,
    MAX_EXTENSIONS = 16,

    GRE_ETHERNET = 0x6558,
    GRE_ERSPAN_2 = 0x88BE,
    GRE_ERSPAN_3 = 0x22EB,
    VXLAN_PORT = 4789,
    VXLAN_OVERHEAD = 8 + 8, /* UDP and VXLAN header */

    TCP_HEADER = 20,
    UDP_HEADER = 8,
    ICMP_HEADER = 8,
    SYN = 2,
    ACK = 16,

    PCAPNG_ENHANCED_PACKET = 6,
    ENHANCED_HEADER = 8 + 20, /* type and length; interface, time, two lengths */
    MIN_ENHANCED = ENHANCED_HEADER + 4,
};

/* How many conversations are watched per hash value, at most 255. A counter that two conversations share costs a look
 * at packets of a third, so that this needs neither keys nor growth nor deletion: Python holds the table itself. The
 * size lets one packet in a hundred through in vain when the table of undecided conversations is full. */
#define COUNTERS ((size_t)1 << 22)
enum { STUCK = UINT8_MAX };

struct sieve {
    uint8_t tcp_ports[SIEVE_PORT_BYTES];
    uint8_t udp_ports[SIEVE_PORT_BYTES];
    /* Ports that are wanted for any protocol, or a tunnel's, by their first and second byte: these have a bit in common.
     * Others may have one too. It fits into a few lines of the cache, which all ports do not. */
    uint8_t first_bytes[256], second_bytes[256];
    uint8_t head[SIEVE_HEAD_BYTES];
    unsigned head_length;
    uint8_t icmp, icmpv6;
    struct link_row links[SIEVE_LINKS_MAX];
    uint8_t link_of[SIEVE_LINK_NUMBERS]; /* by number: the place in `links`, counted from 1; 0 where nothing reads it */
    uint64_t ethernet;                   /* number of the link type that is laid out so; UINT64_MAX where none is */
    uint64_t seed;
    uint64_t watched; /* 0: no need to look into the counters */
    uint8_t *counters;
    uint8_t *seen; /* a bit for some counters, NULL where nobody wants to know */
};

struct packet {
    const uint8_t *data;
    size_t size;
};

static uint16_t be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t u32(const uint8_t *at, bool big_endian)
{
    if (big_endian)
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static uint64_t word(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool has_port(const uint8_t *set, unsigned port)
{
    return set[port >> 3] >> (port & 7) & 1;
}

/* Never 0 where `has_port` is true of either set. */
static unsigned may_have_port(const struct sieve *sieve, const uint8_t *port)
{
    return sieve->first_bytes[port[0]] & sieve->second_bytes[port[1]];
}

/* ------------------------------------------------------------------------------------------- watched conversations */

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

/* `addresses` are source and destination, 4 or 16 bytes each; `ports` the four bytes of both. */
static size_t counter_of(const struct sieve *sieve, const uint8_t *addresses, size_t length, const uint8_t *ports)
{
    uint64_t hash = sieve->seed;
    for (size_t at = 0; at < 2 * length; at += 8)
        hash = mixed(hash, word(addresses + at));
    hash = mixed(hash, u32(ports, false));
    return (size_t)(mixed(hash, sieve->seed) >> 32) & (COUNTERS - 1);
}

static uint8_t *counter(struct sieve *sieve, const uint8_t *key, size_t length)
{
    return &sieve->counters[counter_of(sieve, key, (length - 4) / 2, key + length - 4)];
}

void sieve_watch(struct sieve *sieve, const uint8_t *key, size_t length)
{
    uint8_t *count = counter(sieve, key, length);
    if (*count < STUCK)
        ++*count;
    ++sieve->watched;
}

void sieve_unwatch(struct sieve *sieve, const uint8_t *key, size_t length)
{
    uint8_t *count = counter(sieve, key, length);
    if (*count > 0 && *count < STUCK) /* nobody knows how many it stands for once it is stuck */
        --*count;
    if (sieve->watched > 0)
        --sieve->watched;
}

bool sieve_remember(struct sieve *sieve)
{
    if (sieve->seen == NULL)
        sieve->seen = calloc(SIEVE_SEEN_BYTES, 1);
    return sieve->seen != NULL;
}

uint8_t *sieve_seen(struct sieve *sieve)
{
    return sieve->seen;
}

static size_t slot_of(size_t counter_index)
{
    return counter_index & (SIEVE_SEEN_BYTES * 8 - 1);
}

size_t sieve_slot(const struct sieve *sieve, const uint8_t *key, size_t length)
{
    return slot_of(counter_of(sieve, key, (length - 4) / 2, key + length - 4));
}

/* Whether a segment belongs to a watched conversation; one that does not is remembered where that is wished for. */
static bool is_watched(const struct sieve *sieve, const uint8_t *addresses, size_t length, const uint8_t *ports)
{
    if (sieve->watched == 0 && sieve->seen == NULL)
        return false;
    size_t index = counter_of(sieve, addresses, length, ports);
    if (sieve->watched > 0 && sieve->counters[index] > 0)
        return true;
    if (sieve->seen != NULL) {
        size_t slot = slot_of(index);
        sieve->seen[slot >> 3] |= (uint8_t)(1U << (slot & 7));
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------------ link layer */

/* What a link or tunnel header leads to: an EtherType, or one of these. */
enum { NOTHING = -1, UNSURE = -2 };

static int ethernet(const struct packet *packet, size_t *offset);

static bool is_vlan(unsigned kind)
{
    return kind == 0x8100 || kind == 0x88A8 || kind == 0x9100 || kind == 0x9200 || kind == 0x9300;
}

static bool is_mpls(unsigned kind)
{
    return kind == 0x8847 || kind == 0x8848;
}

static int mpls(const struct packet *packet, size_t *offset)
{
    size_t at = *offset;
    for (int label = 0; label < MAX_LABELS; label++) {
        if (at + 4 >= packet->size)
            return NOTHING;
        bool bottom = packet->data[at + 2] & 1;
        at += 4;
        if (bottom) {
            *offset = at;
            switch (packet->data[at] >> 4) {
            case 4:
                return ETHERTYPE_IPV4;
            case 6:
                return ETHERTYPE_IPV6;
            default: /* a pseudowire, of which there may be one in the other */
                return UNSURE;
            }
        }
    }
    return NOTHING;
}

static int ppp(const struct packet *packet, size_t *offset)
{
    size_t at = *offset;
    if (at >= packet->size)
        return NOTHING;
    unsigned number = packet->data[at];
    *offset = at + 1;
    if (!(number & 1)) { /* not compressed to one byte */
        if (at + 2 > packet->size)
            return NOTHING;
        number = be16(packet->data + at);
        *offset = at + 2;
    }
    switch (number) {
    case 0x0021:
        return ETHERTYPE_IPV4;
    case 0x0057:
        return ETHERTYPE_IPV6;
    case 0x0281:
    case 0x0283:
        return mpls(packet, offset);
    default:
        return NOTHING;
    }
}

/* Behind an EtherType `kind`, with `offset` right behind it. */
static int after_ethertype(const struct packet *packet, unsigned kind, size_t *offset)
{
    static const uint8_t snap[2][6] = {{0xAA, 0xAA, 3, 0, 0, 0}, {0xAA, 0xAA, 3, 0, 0, 0xF8}};
    for (;;) {
        if (is_vlan(kind)) {
            *offset += 2;
        } else if (kind < LLC_BELOW) {
            if (*offset + sizeof snap[0] > packet->size ||
                (memcmp(packet->data + *offset, snap[0], sizeof snap[0]) != 0 &&
                 memcmp(packet->data + *offset, snap[1], sizeof snap[1]) != 0))
                return NOTHING;
            *offset += sizeof snap[0];
        } else {
            break;
        }
        if (*offset + 2 > packet->size)
            return NOTHING;
        kind = be16(packet->data + *offset);
        *offset += 2;
    }
    if (kind == ETHERTYPE_PPPOE_SESSION) {
        *offset += 6;
        return ppp(packet, offset);
    }
    return is_mpls(kind) ? mpls(packet, offset) : (int)kind;
}

static int ethernet(const struct packet *packet, size_t *offset)
{
    size_t at = *offset;
    if (packet->size < at + ETHERNET_HEADER)
        return NOTHING;
    *offset = at + ETHERNET_HEADER;
    return after_ethertype(packet, be16(packet->data + at + ETHERNET_HEADER - 2), offset);
}

static int by_family(const struct packet *packet, size_t at, size_t size)
{
    uint32_t little = 0, big = 0;
    if (at + size > packet->size)
        return NOTHING;
    for (size_t each = 0; each < size; each++) {
        little |= (uint32_t)packet->data[at + each] << 8 * each;
        big = big << 8 | packet->data[at + each];
    }
    switch (little < big ? little : big) {
    case 2:
        return ETHERTYPE_IPV4;
    case 10:
    case 24:
    case 28:
    case 30:
        return ETHERTYPE_IPV6;
    default:
        return NOTHING;
    }
}

static int by_version(const struct packet *packet, size_t at)
{
    if (at >= packet->size)
        return NOTHING;
    unsigned version = packet->data[at] >> 4;
    return version == 4 ? ETHERTYPE_IPV4 : version == 6 ? ETHERTYPE_IPV6 : NOTHING;
}

/* The bytes of a header, at least those that the row demands; SIZE_MAX where it is cut. */
static size_t header_length(const struct link_row *row, const struct packet *packet)
{
    const uint8_t *field = packet->data + row->length_at;
    uint64_t length = row->header;
    if (row->length_size > 0) {
        if ((size_t)row->length_at + row->length_size > packet->size)
            return SIZE_MAX;
        length = 0;
        for (unsigned each = 0; each < row->length_size; each++)
            length |= (uint64_t)field[row->length_big_endian ? row->length_size - 1 - each : each] << 8 * each;
        length += row->rounding - 1;
        length -= length % row->rounding;
    }
    return length < row->header || length > packet->size ? SIZE_MAX : (size_t)length;
}

static int link_layer(const struct sieve *sieve, uint32_t linktype, const struct packet *packet, size_t *offset)
{
    if (linktype == sieve->ethernet) { /* what its row says, sooner */
        *offset = 0;
        return ethernet(packet, offset);
    }
    const unsigned known = linktype < SIEVE_LINK_NUMBERS ? sieve->link_of[linktype] : 0;
    if (known == 0)
        return NOTHING;
    const struct link_row *row = &sieve->links[known - 1];
    if (row->following == BY_READER)
        return UNSURE;
    size_t start = header_length(row, packet);
    if (start == SIZE_MAX)
        return NOTHING;
    *offset = start;
    switch (row->following) {
    case BY_ETHERTYPE:
        if ((size_t)row->type_at + 2 > packet->size)
            return NOTHING;
        return after_ethertype(packet, be16(packet->data + row->type_at), offset);
    case BY_FAMILY:
        return by_family(packet, row->type_at, row->type_size);
    case BY_VERSION:
        return by_version(packet, start);
    case BY_HDLC:
        if (start + 2 <= packet->size && packet->data[start] == 0xFF && packet->data[start + 1] == 3)
            *offset += 2;
        return ppp(packet, offset);
    default:
        return ppp(packet, offset);
    }
}

static bool is_laid_out_as_ethernet(const struct link_row *row)
{
    return row->following == BY_ETHERTYPE && row->header == ETHERNET_HEADER && row->type_at == ETHERNET_HEADER - 2 &&
           row->length_size == 0 && row->mac_at == 6;
}

bool sieve_is_ethernet(const struct sieve *sieve, uint64_t linktype)
{
    return linktype == sieve->ethernet;
}

/* --------------------------------------------------------------------------------------------------------------- IP */

struct datagram {
    const uint8_t *addresses;
    size_t address_length;
    unsigned protocol;
    size_t start, end; /* the payload as far as it was captured */
};

enum verdict { PASS, LOOK, GO_ON };

static enum verdict ipv4(const struct packet *packet, size_t offset, uint32_t wirelen, struct datagram *out)
{
    if (packet->size < offset + 20 || packet->data[offset] >> 4 != 4)
        return PASS;
    const uint8_t *header = packet->data + offset;
    size_t length = (size_t)(header[0] & 15) * 4;
    if (length < 20 || offset + length > packet->size)
        return PASS;
    int64_t total = be16(header + 2);
    if (total == 0) /* segmentation offload leaves it so */
        total = (int64_t)wirelen - (int64_t)offset;
    if (total < (int64_t)length)
        return PASS;
    size_t room = packet->size - offset;
    out->protocol = header[9];
    if (be16(header + 6) & 0x3FFF) { /* a fragment: what it belongs to is known once it is put together */
        bool transport = out->protocol == TCP || out->protocol == UDP || out->protocol == ICMP || out->protocol == ICMPV6;
        return transport ? LOOK : PASS;
    }
    out->addresses = header + 12;
    out->address_length = 4;
    out->start = offset + length;
    out->end = offset + ((uint64_t)total < room ? (size_t)total : room);
    return GO_ON;
}

static enum verdict ipv6(const struct packet *packet, size_t offset, uint32_t wirelen, struct datagram *out)
{
    if (packet->size < offset + 40 || packet->data[offset] >> 4 != 6)
        return PASS;
    const uint8_t *header = packet->data + offset;
    size_t at = offset + 40;
    size_t length = be16(header + 4);
    uint64_t stop = (uint64_t)at + length;
    if (length == 0 && wirelen > at)
        stop = wirelen;
    size_t end = stop < packet->size ? (size_t)stop : packet->size;
    unsigned protocol = header[6];
    for (int extension = 0;; extension++) {
        size_t size = 8;
        bool has_length = at + 2 <= end;
        switch (protocol) {
        case 0: /* hop-by-hop, routing, destination options, mobility, HIP, Shim6 */
        case 43:
        case 60:
        case 135:
        case 139:
        case 140:
            if (has_length)
                size = ((size_t)packet->data[at + 1] + 1) * 8;
            break;
        case IPV6_AUTHENTICATION:
            if (has_length)
                size = ((size_t)packet->data[at + 1] + 2) * 4;
            break;
        case IPV6_FRAGMENT:
            return LOOK;
        default:
            out->addresses = header + 8;
            out->address_length = 16;
            out->protocol = protocol;
            out->start = at;
            out->end = end;
            return GO_ON;
        }
        if (at + size > end)
            return PASS;
        if (extension >= MAX_EXTENSIONS)
            return LOOK;
        protocol = packet->data[at];
        at += size;
    }
}

/* -------------------------------------------------------------------------------------------------------- transport */

static bool wants_tcp(const struct sieve *sieve, const struct packet *packet, const struct datagram *datagram)
{
    size_t size = datagram->end - datagram->start;
    if (size < TCP_HEADER)
        return false;
    const uint8_t *header = packet->data + datagram->start;
    size_t body = (size_t)(header[12] >> 4) * 4;
    if (body < TCP_HEADER)
        return false;
    if (has_port(sieve->tcp_ports, be16(header)) || has_port(sieve->tcp_ports, be16(header + 2)))
        return true;
    if ((header[13] & (SYN | ACK)) == SYN)
        return true;
    if (size > body) {
        size_t known = size - body < sieve->head_length ? size - body : sieve->head_length;
        size_t at = 0;
        while (at < known && sieve->head[header[body + at]] >> at & 1)
            at++;
        if (at == known)
            return true;
    }
    return is_watched(sieve, datagram->addresses, datagram->address_length, header);
}

static bool wants_udp(const struct sieve *sieve, const struct packet *packet, const struct datagram *datagram)
{
    const uint8_t *header = packet->data + datagram->start;
    return datagram->end - datagram->start >= UDP_HEADER &&
           (has_port(sieve->udp_ports, be16(header)) || has_port(sieve->udp_ports, be16(header + 2)));
}

static bool wants_icmp(const struct sieve *sieve, const struct packet *packet, const struct datagram *datagram)
{
    unsigned type = datagram->protocol == ICMP ? sieve->icmp : sieve->icmpv6;
    return datagram->end - datagram->start >= ICMP_HEADER && packet->data[datagram->start] == type;
}

/* ---------------------------------------------------------------------------------------------------------- tunnels */

/* GRE of RFC 2784 and 2890. */
static int gre(const struct packet *packet, const struct datagram *datagram, size_t *offset)
{
    if (datagram->end - datagram->start < 4)
        return NOTHING;
    unsigned flags = be16(packet->data + datagram->start);
    unsigned kind = be16(packet->data + datagram->start + 2);
    if (flags & 0x0007)
        return NOTHING;
    *offset = datagram->start + 4;
    for (unsigned bit = 0x8000; bit != 0; bit = bit == 0x8000 ? 0x2000 : bit == 0x2000 ? 0x1000 : 0)
        if (flags & bit)
            *offset += 4;
    switch (kind) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
        return (int)kind;
    case GRE_ETHERNET:
        return ethernet(packet, offset);
    case GRE_ERSPAN_2: /* its own header is there with the sequence number */
        *offset += flags & 0x1000 ? 8 : 0;
        return ethernet(packet, offset);
    case GRE_ERSPAN_3:
        *offset += flags & 0x1000 ? 12 : 0;
        return ethernet(packet, offset);
    default:
        return NOTHING;
    }
}

static int vxlan(const struct packet *packet, const struct datagram *datagram, size_t *offset)
{
    if (datagram->end - datagram->start <= VXLAN_OVERHEAD || be16(packet->data + datagram->start + 2) != VXLAN_PORT)
        return NOTHING;
    *offset = datagram->start + VXLAN_OVERHEAD;
    return ethernet(packet, offset);
}

bool sieve_wants(const struct sieve *sieve, uint32_t linktype, const uint8_t *data, size_t size, uint32_t wirelen)
{
    const struct packet packet = {data, size};
    size_t offset;
    int kind = link_layer(sieve, linktype, &packet, &offset);
    if (kind == ETHERTYPE_ARP)
        return true;
    for (int depth = 0; depth < MAX_TUNNELS; depth++) {
        struct datagram datagram;
        enum verdict verdict;
        if (kind == ETHERTYPE_IPV4)
            verdict = ipv4(&packet, offset, wirelen, &datagram);
        else if (kind == ETHERTYPE_IPV6)
            verdict = ipv6(&packet, offset, wirelen, &datagram);
        else
            return kind == UNSURE;
        if (verdict != GO_ON)
            return verdict == LOOK;
        switch (datagram.protocol) {
        case TCP:
            return wants_tcp(sieve, &packet, &datagram);
        case UDP:
            kind = vxlan(&packet, &datagram, &offset);
            if (kind == NOTHING)
                return wants_udp(sieve, &packet, &datagram);
            break;
        case ICMP:
        case ICMPV6:
            return wants_icmp(sieve, &packet, &datagram);
        case IP_IN_IP:
            kind = ETHERTYPE_IPV4;
            offset = datagram.start;
            break;
        case IPV6_IN_IP:
            kind = ETHERTYPE_IPV6;
            offset = datagram.start;
            break;
        case GRE:
            kind = gre(&packet, &datagram, &offset);
            break;
        default:
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------------- what most packets are */

enum { PLAIN_IP = ETHERNET_HEADER, PLAIN_TRANSPORT = PLAIN_IP + 20, PLAIN_HEADERS = PLAIN_TRANSPORT + TCP_HEADER };

/* By protocol: the least length of a datagram with all headers. 0 where none is long enough. */
static const uint32_t plain_lengths[256] = {[TCP] = 20 + TCP_HEADER, [UDP] = 20 + UDP_HEADER};

/* True for a packet that is passed over, of the kind that most packets are: Ethernet, IPv4 without options, a whole
 * TCP segment or UDP datagram. Of any other nothing is said, and `sieve_wants` has to look. There are PLAIN_HEADERS
 * bytes of it at least.
 *
 * Most of what a walk costs is branches that the processor guesses wrongly, and what decides here is as good as random:
 * so all is worked out, whichever protocol it is, and asked for once. */
static inline bool passes_at_once(const struct sieve *sieve, const uint8_t *packet, size_t size)
{
    const uint8_t *transport = packet + PLAIN_TRANSPORT;
    const unsigned protocol = packet[PLAIN_IP + 9];
    const unsigned tcp = protocol >> 1 & 1; /* as 6 has it, and not 17 */
    const unsigned total = be16(packet + PLAIN_IP + 2);
    const size_t body = PLAIN_TRANSPORT + (size_t)(transport[12] >> 4) * 4;
    const unsigned first = packet[body < size ? body : 0]; /* any byte will do where none was captured */

    const uint32_t kind = (u32(packet + PLAIN_IP - 2, false) & 0xFFFFFF) ^ 0x450008;
    const uint32_t fragment = be16(packet + PLAIN_IP + 6) & 0x3FFF;
    const unsigned is_short = total <= plain_lengths[protocol] - 1;
    const unsigned ports = may_have_port(sieve, transport) | may_have_port(sieve, transport + 2);
    const unsigned is_odd = (transport[12] < TCP_HEADER << 2) | ((transport[13] & (SYN | ACK)) == SYN);
    const unsigned begins = (body < PLAIN_IP + total) & sieve->head[first];
    if (kind | fragment | is_short | ports | (tcp & (is_odd | begins)))
        return false;
    return (sieve->watched == 0 && sieve->seen == NULL) || !tcp ||
           !is_watched(sieve, packet + PLAIN_IP + 12, 4, transport);
}

/* ------------------------------------------------------------------------------------------------------- containers */

static void add(struct tally *tally, uint64_t packets, uint64_t earliest, uint64_t latest)
{
    if (tally->packets == 0 || earliest < tally->earliest)
        tally->earliest = earliest;
    if (tally->packets == 0 || latest > tally->latest)
        tally->latest = latest;
    tally->packets += packets;
}

static void count(struct tally *tally, uint64_t stamp)
{
    add(tally, 1, stamp, stamp);
}

/* Pass over the packets for which that is clear at once, in a file as most are: of this order of bytes, with records of
 * 16 bytes in front of Ethernet packets. Returns the position of the first that takes another look. */
static size_t run_of_plain(const struct sieve *sieve, const struct pcap_layout *layout, const uint8_t *data, size_t pos,
                           size_t end, struct tally *tally)
{
    enum { HEADER = 16 };
    const size_t limit = layout->limit;
    const uint64_t unit = layout->unit;
    /* In registers: for all that the compiler knows, `data` could be where the tally is. */
    uint64_t packets = 0, earliest = UINT64_MAX, latest = 0;
    while (end - pos >= HEADER + PLAIN_HEADERS) {
        const uint8_t *header = data + pos;
        const size_t caplen = u32(header + 8, false);
        if (caplen < PLAIN_HEADERS || caplen > limit || caplen > end - pos - HEADER ||
            !passes_at_once(sieve, header + HEADER, caplen))
            break;
        const uint64_t stamp = u32(header, false) * UINT64_C(1000000000) + u32(header + 4, false) * unit;
        earliest = stamp < earliest ? stamp : earliest;
        latest = stamp > latest ? stamp : latest;
        packets++;
        pos += HEADER + caplen;
    }
    if (packets > 0)
        add(tally, packets, earliest, latest);
    return pos;
}

size_t sieve_pcap(const struct sieve *sieve, const struct pcap_layout *layout, const uint8_t *data, size_t pos,
                  size_t end, struct tally *tally)
{
    const bool big_endian = layout->big_endian;
    const bool plain = !big_endian && !layout->swapped && !layout->maybe_swapped && layout->header == 16 &&
                       tally->linktype == sieve->ethernet;
    while (pos <= end) {
        if (plain)
            pos = run_of_plain(sieve, layout, data, pos, end, tally);
        if (end - pos < layout->header)
            break;
        const uint8_t *header = data + pos;
        uint32_t caplen = u32(header + 8, big_endian);
        uint32_t wirelen = u32(header + 12, big_endian);
        if (layout->swapped || (layout->maybe_swapped && caplen > wirelen)) {
            uint32_t other = caplen;
            caplen = wirelen;
            wirelen = other;
        }
        if (caplen > layout->limit || caplen > end - pos - layout->header)
            break;
        if (sieve_wants(sieve, (uint32_t)tally->linktype, header + layout->header, caplen, wirelen))
            break;
        const uint64_t stamp = u32(header, big_endian) * UINT64_C(1000000000) +
                               (uint64_t)u32(header + 4, big_endian) * layout->unit;
        count(tally, stamp);
        pos += layout->header + (size_t)caplen;
    }
    return pos;
}

size_t sieve_pcapng(const struct sieve *sieve, const struct pcapng_layout *layout, const uint8_t *data, size_t pos,
                    size_t end, struct tally *tallies, size_t interfaces, struct passed *passed)
{
    const bool big_endian = layout->big_endian;
    while (pos <= end && end - pos >= MIN_ENHANCED) {
        const uint8_t *block = data + pos;
        uint64_t total = u32(block + 4, big_endian);
        if (u32(block, big_endian) != PCAPNG_ENHANCED_PACKET || total < MIN_ENHANCED || total > layout->block_limit)
            break;
        total = (total + 3) & ~UINT64_C(3);
        if (total > end - pos || memcmp(block + total - 4, block + 4, 4) != 0)
            break;
        uint32_t interface = u32(block + 8, big_endian);
        uint32_t caplen = u32(block + 20, big_endian);
        if (interface >= interfaces || caplen > total - MIN_ENHANCED || caplen > layout->record_limit)
            break;
        struct tally *tally = &tallies[interface];
        const uint8_t *packet = block + ENHANCED_HEADER;
        const bool is_plain = tally->linktype == sieve->ethernet && caplen >= PLAIN_HEADERS;
        if (!(is_plain && passes_at_once(sieve, packet, caplen)) &&
            sieve_wants(sieve, (uint32_t)tally->linktype, packet, caplen, u32(block + 24, big_endian)))
            break;
        passed->packets++;
        passed->interface = interface;
        passed->stamp = (uint64_t)u32(block + 12, big_endian) << 32 | u32(block + 16, big_endian);
        count(tally, passed->stamp);
        pos += (size_t)total;
    }
    return pos;
}

void sieve_count(struct tally *tally, uint64_t stamp)
{
    count(tally, stamp);
}

bool sieve_wants_tcp_port(const struct sieve *sieve, uint16_t port)
{
    return has_port(sieve->tcp_ports, port);
}

bool sieve_wants_udp_port(const struct sieve *sieve, uint16_t port)
{
    return has_port(sieve->udp_ports, port);
}

/* ----------------------------------------------------------------------------------------------------- beginning, end */

/* A bit for each first byte that there is, shared where there are more than eight. */
static void know_ports(struct sieve *sieve)
{
    unsigned known = 0;
    for (unsigned at = 0; at < SIEVE_PORT_BYTES; at++) {
        uint8_t eight = sieve->tcp_ports[at] | sieve->udp_ports[at];
        if (at == VXLAN_PORT >> 3)
            eight |= 1 << (VXLAN_PORT & 7);
        if (eight == 0)
            continue;
        uint8_t *bit = &sieve->first_bytes[at >> 5];
        if (*bit == 0)
            *bit = (uint8_t)(1U << known++ % 8);
        for (unsigned port = at << 3; eight != 0; port++, eight >>= 1)
            sieve->second_bytes[port & 255] |= eight & 1 ? *bit : 0;
    }
}

bool sieve_takes(const struct link_row *links, size_t count)
{
    if (count > SIEVE_LINKS_MAX)
        return false;
    for (const struct link_row *row = links; row < links + count; row++) {
        const unsigned type = row->type_size, length = row->length_size;
        if (row->number >= SIEVE_LINK_NUMBERS || row->following > BY_READER || row->rounding == 0 ||
            (type != 1 && type != 2 && type != 4) || (length > 2 && length != 4))
            return false;
    }
    return true;
}

static void know_links(struct sieve *sieve, const struct link_row *links, size_t count)
{
    sieve->ethernet = UINT64_MAX;
    for (size_t each = 0; each < count; each++) {
        sieve->links[each] = links[each];
        sieve->link_of[links[each].number] = (uint8_t)(each + 1);
        if (is_laid_out_as_ethernet(&links[each]))
            sieve->ethernet = links[each].number;
    }
}

struct sieve *sieve_new(const struct interest *interest, uint64_t seed)
{
    struct sieve *sieve = calloc(1, sizeof *sieve);
    if (sieve == NULL)
        return NULL;
    sieve->counters = calloc(COUNTERS, sizeof *sieve->counters);
    if (sieve->counters == NULL) {
        free(sieve);
        return NULL;
    }
    memcpy(sieve->tcp_ports, interest->tcp_ports, sizeof sieve->tcp_ports);
    memcpy(sieve->udp_ports, interest->udp_ports, sizeof sieve->udp_ports);
    know_ports(sieve);
    know_links(sieve, interest->links, interest->link_count);
    if (interest->head_length > 0)
        memcpy(sieve->head, interest->head, sizeof sieve->head);
    else
        memset(sieve->head, 1, sizeof sieve->head); /* any payload will do, so that any first byte does */
    sieve->head_length = interest->head_length < SIEVE_HEAD_MAX ? interest->head_length : SIEVE_HEAD_MAX;
    sieve->icmp = interest->icmp;
    sieve->icmpv6 = interest->icmpv6;
    sieve->seed = seed;
    return sieve;
}

void sieve_free(struct sieve *sieve)
{
    if (sieve != NULL) {
        free(sieve->seen);
        free(sieve->counters);
        free(sieve);
    }
}
