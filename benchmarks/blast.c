/* Sends frames out of an interface at a steady rate: the load of live.py, which compiles this.

   blast IFACE PACKETS RATE EVERY BULK RELEVANT

   Of EVERY packets the last one is relevant (0: none is, 1: all are). The files hold frames, each behind its
   length and three places in it, of 32 bits in the order of this machine. The relevant ones are sent over and
   over; each time around, a number of 24 bits that counts the times is written to the places (those that are
   not 0) of each, so that every time is about another device. What a millisecond has is sent in one go.
   Prints packets, relevant packets, times around, nanoseconds. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MOST 4096
#define PLACES 3

struct frame {
    uint32_t length, places[PLACES];
    unsigned char *bytes;
};

struct frames {
    struct frame *all;
    size_t count;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct frames load(const char *path) {
    struct frames out = {NULL, 0};
    FILE *file = fopen(path, "rb");
    uint32_t head[1 + PLACES];
    if (!file) fail(path);
    while (fread(head, sizeof head, 1, file) == 1) {
        struct frame *one;
        out.all = realloc(out.all, (out.count + 1) * sizeof *out.all);
        if (!out.all) fail("realloc");
        one = &out.all[out.count++];
        one->length = head[0];
        memcpy(one->places, head + 1, sizeof one->places);
        one->bytes = malloc(head[0]);
        if (!one->bytes || fread(one->bytes, head[0], 1, file) != 1) fail(path);
    }
    fclose(file);
    return out;
}

static uint64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void number(unsigned char *at, uint32_t value) {
    at[0] = (unsigned char)(value >> 16);
    at[1] = (unsigned char)(value >> 8);
    at[2] = (unsigned char)value;
}

static void send_all(int fd, struct mmsghdr *messages, unsigned count) {
    unsigned done = 0;
    while (done < count) {
        int sent = sendmmsg(fd, messages + done, count - done, 0);
        if (sent < 0) {
            if (errno != ENOBUFS && errno != EINTR && errno != EAGAIN) fail("sendmmsg");
            continue;
        }
        done += (unsigned)sent;
    }
}

int main(int argc, char **argv) {
    static struct mmsghdr messages[MOST];
    static struct iovec parts[MOST];
    struct sockaddr_ll where = {.sll_family = AF_PACKET};
    struct frames bulk, relevant;
    uint64_t packets, rate, every, sent = 0, begin, matter = 0;
    size_t next = 0, turn = 0;
    uint32_t times = 0;
    int fd, bypass = 1;
    if (argc != 7) return 2;
    packets = strtoull(argv[2], NULL, 10);
    rate = strtoull(argv[3], NULL, 10);
    every = strtoull(argv[4], NULL, 10);
    bulk = load(argv[5]);
    relevant = load(argv[6]);
    fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0) fail("socket");
    where.sll_ifindex = (int)if_nametoindex(argv[1]);
    if (!where.sll_ifindex || bind(fd, (struct sockaddr *)&where, sizeof where)) fail(argv[1]);
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass);
    for (int at = 0; at < MOST; at++) {
        messages[at].msg_hdr.msg_iov = &parts[at];
        messages[at].msg_hdr.msg_iovlen = 1;
    }
    begin = now();
    while (sent < packets) {
        uint64_t due = (now() - begin) * rate / 1000000000u;
        unsigned count = 0;
        if (due > packets) due = packets;
        while (sent + count < due && count < MOST) {
            struct frame *one;
            if (every && (sent + count) % every == every - 1) {
                one = &relevant.all[turn];
                for (int at = 0; at < PLACES; at++)
                    if (one->places[at]) number(one->bytes + one->places[at], times);
                matter++;
                parts[count].iov_base = one->bytes;
                parts[count].iov_len = one->length;
                count++;
                if (++turn == relevant.count) {
                    turn = 0;
                    times++;
                    break; /* what is in this batch must not change before it is sent */
                }
                continue;
            }
            one = &bulk.all[next];
            next = (next + 1) % bulk.count;
            parts[count].iov_base = one->bytes;
            parts[count].iov_len = one->length;
            count++;
        }
        send_all(fd, messages, count);
        sent += count;
        if (sent >= due) {
            struct timespec rest = {0, 1000000};
            nanosleep(&rest, NULL);
        }
    }
    printf("%llu %llu %u %llu\n", (unsigned long long)sent, (unsigned long long)matter, times,
           (unsigned long long)(now() - begin));
    return 0;
}
