/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbered blocks: each sector says where it belongs and which write it is of,
 * many times over, so that a part of another write shows.
 */
#ifndef STAMP_H
#define STAMP_H

#include <string.h>
#include <linux/types.h>

#define SECTOR		512
#define SLOT		4096
#define SLOT_SECTORS	(SLOT / SECTOR)

#define MAGIC		0x6b6c62617064762fULL
/* Number of a block that was zeroed: nothing comes after it. */
#define ZEROED		0xffffffffU

/* What a sector is filled with. */
struct stamp {
	__u64 magic;
	__u32 slot;
	__u32 number;
};

#define STAMPS		(SECTOR / sizeof(struct stamp))

/* 0 when it is no sector of this slot. */
static inline __u32 number_of(const void *sector, __u32 slot)
{
	const struct stamp *s = sector;
	unsigned int i;

	for (i = 1; i < STAMPS; i++)
		if (memcmp(&s[i], &s[0], sizeof(s[0])))
			return 0;
	if (!s[0].magic && !s[0].slot && !s[0].number)
		return ZEROED;
	return s[0].magic == MAGIC && s[0].slot == slot ? s[0].number : 0;
}

static inline void fill(struct stamp *s, unsigned int slot, unsigned int nr,
			__u32 number)
{
	unsigned int i;

	for (i = 0; i < nr * SLOT_SECTORS * STAMPS; i++) {
		s[i].magic = MAGIC;
		s[i].slot = slot + i / (SLOT_SECTORS * STAMPS);
		s[i].number = number;
	}
}

#endif
