/* Walks whatever bytes it is given through the sieve, as amtdiag walks a file, and aborts where a promise of sieve.h
 * is broken. The sanitizers find what is read outside of a buffer: each window lies in memory of exactly its size. */
#ifndef AMTDIAG_DRIVE_H
#define AMTDIAG_DRIVE_H

#include <stddef.h>
#include <stdint.h>

/* A capture file where the bytes begin like one; else a link type and a packet. */
void drive(const uint8_t *data, size_t size);

#endif
