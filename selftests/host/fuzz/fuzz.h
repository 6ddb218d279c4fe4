/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fuzzers share: how they read their input, and how they fail. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "guest.h"

/* Called by libFuzzer. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A promise that was not kept is a crash, which libFuzzer keeps the input of. */
#define REQUIRE(cond) \
do { \
	if (!(cond)) \
		broken(#cond, __FILE__, __LINE__); \
} while (0)

static inline _Noreturn void broken(const char *what, const char *file,
				    int line)
{
	fprintf(stderr, "broken promise: %s (%s:%d)\n", what, file, line);
	abort();
}

struct fuzz_input {
	const u8 *at;
	const u8 *end;
};

/* A little endian number; there are zeroes behind the end. */
static inline u64 fuzz_take(struct fuzz_input *in, u32 bytes)
{
	u64 val = 0;
	u32 i;

	for (i = 0; i < bytes && in->at < in->end; i++)
		val |= (u64)*in->at++ << 8 * i;
	return val;
}

/* A length of two bytes, which are short ones and the longest there are. */
static inline u32 fuzz_take_len(struct fuzz_input *in)
{
	u16 val = fuzz_take(in, 2);

	return val & 0x8000 ? ~0U - (val & 0x7fff) : val;
}

#endif
