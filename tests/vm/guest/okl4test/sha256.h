/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sha256.h - SHA-256 (FIPS 180-4), since the static test program is linked with no library
 */
#ifndef OKL4TEST_SHA256_H
#define OKL4TEST_SHA256_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct sha256 - the state of a hash; private
 * @state: the eight words
 * @bytes: hashed so far
 * @block: the bytes that do not fill a block yet
 */
struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};

/** sha256_init() - begin */
void sha256_init(struct sha256 *h);

/** sha256_update() - add bytes */
void sha256_update(struct sha256 *h, const void *buf, size_t bytes);

/** sha256_final() - end; @hex gets 64 digits and NUL */
void sha256_final(struct sha256 *h, char hex[65]);

#endif
