// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer for rings; FUZZ_PACKED says which. Its input is
 *
 *	features	1 byte: EVENT_IDX, INDIRECT, IN_ORDER
 *	size		1 byte: one of sizes[]
 *	base		2 bytes: where the ring begins
 *
 * and then what both sides do, one after the other: a byte of enum action each,
 * with its arguments. A client that races does some of it in the middle of what
 * the device does.
 */
#include <string.h>

#include "device.h"
#include "fuzz.h"

static const u16 sizes[] = {
	8, 1, 2, 4,
#if FUZZ_PACKED
	3, 5, 255, 1024,
#else
	16, 64, 256, 1024,
#endif
};

#define NR_SIZES	(sizeof(sizes) / sizeof(sizes[0]))

/* The most descriptors that one action makes. */
#define MAX_TABLE	(VBS_RING_MAX + 1)
#define MAX_CHAIN	(255 + 255 + 1)

enum action {
	/* of the client */
	CHAIN,		/* head 2, readable 1, writable 1, length 2, tail 1 */
	TABLE,		/* offset 2, entries 2, readable 2, length 2 */
	DESC,		/* index 2, offset 2, length 2, flags 2, next 2 */
	BYTE,		/* area 1, offset 2, value 1 */
	OFFER,		/* head or flags 2 */
	INDEX,		/* index or steps 2 */
	EVENT,		/* place 2, flags 1 */
	MAP,		/* page 1 */
	NR_CLIENT_ACTIONS,
	/* of the client, in the middle of others */
	RACE = NR_CLIENT_ACTIONS,	/* period 1, times 1 */
	/* of the device */
	POP,		/* times 1 */
	PUSH,		/* which 1, length 2 */
	PUBLISH,
	ENABLE,
	DISABLE,
	UNPOP,
	RESTART,
	RESET,		/* base 4 */
	NUMBER,		/* error or size 4 */
	NR_ACTIONS,
};

/* The length of PUSH when a chain was completely written. */
#define ALL_WRITTEN	0xffff

static struct {
	struct fuzz_input in;
	struct guest_ring rings[NR_SIZES][2];
	struct vbs_mem mem;
	struct device dev;
	struct guest_ring *g;
	u64 table;		/* made last */
	u32 table_len;
	u8 period;		/* accesses between two actions of a race */
	u8 wait;
	u8 races;
} c;

static u64 take(u32 bytes)
{
	return fuzz_take(&c.in, bytes);
}

/* Where the client may put something of @len bytes. */
static u64 take_place(u32 len)
{
	u32 at = take(2) % (GUEST_SIZE - len + 1);

	if (c.mem.taken < at + len)
		c.mem.taken = at + len;
	return GUEST_BASE + at;
}

/* ---- the client ---- */

/* The last one is anything, or a table. */
static void act_chain(void)
{
	struct guest_seg seg[MAX_CHAIN];
	u16 head = take(2);
	u32 nr_out = take(1), nr_in = take(1), n;
	u32 len = fuzz_take_len(&c.in);
	u8 tail = take(1);

	for (n = 0; n < nr_out + nr_in; n++)
		seg[n] = (struct guest_seg) {
			GUEST_BASE + n, len, n < nr_out ? 0 : VRING_DESC_F_WRITE
		};
	if (tail)
		seg[n++] = (struct guest_seg) { c.table, c.table_len, tail };
	if (n)
		guest_chain(c.g, FUZZ_PACKED ? head : head % c.g->num, seg, n);
}

static void put_entry(u64 iova, u64 addr, u32 len, u16 flags, u16 next)
{
	union {
		struct vring_desc split;
		struct vring_packed_desc packed;
	} desc;

	if (FUZZ_PACKED)
		guest_packed_desc(&desc.packed, addr, len, next, flags);
	else
		guest_desc(&desc.split, addr, len, flags, next);
	memcpy(guest_ptr(&c.mem, iova), &desc, 16);
}

static void act_table(void)
{
	u64 table = take_place(16 * MAX_TABLE);
	u32 nr = take(2) % (MAX_TABLE + 1), nr_out = take(2), i;
	u32 len = fuzz_take_len(&c.in);

	for (i = 0; i < nr; i++)
		put_entry(table + 16 * i, GUEST_BASE + i, len,
			  (i < nr_out ? 0 : VRING_DESC_F_WRITE) |
			  (i < nr - 1 ? VRING_DESC_F_NEXT : 0), i + 1);
	c.table = table;
	c.table_len = 16 * nr;
}

static void act_desc(void)
{
	u16 at = take(2) % c.g->num;
	u64 iova = GUEST_BASE + take(2);
	u32 len = fuzz_take_len(&c.in);
	u16 flags = take(2), next = take(2);

	if (FUZZ_PACKED)
		guest_packed_desc(&c.g->packed_desc[at], iova, len, next,
				  flags);
	else
		guest_desc(&c.g->desc[at], iova, len, flags, next);
}

static void act_byte(void)
{
	const struct vbs_ring *ring = &c.g->ring;
	u8 area = take(1) % 4;
	u32 at = take(2);
	u8 val = take(1);

	if (area == 0)
		((u8 *)c.g->desc)[at % vbs_ring_desc_size(ring)] = val;
	else if (area == 1)
		((u8 *)c.g->avail)[at % vbs_ring_avail_size(ring)] = val;
	else if (area == 2)
		((u8 *)c.g->used)[at % vbs_ring_used_size(ring)] = val;
	else if (at < c.mem.taken)
		c.mem.bytes[at] = val;
}

static void act_offer(void)
{
	u16 val = take(2), pos = c.dev.avail;

	if (FUZZ_PACKED)
		c.g->packed_desc[pos & ~GUEST_WRAP].flags =
			cpu_to_le16(guest_avail_flags(pos) | (val & 0x7f7f));
	else
		guest_offer(c.g, val);
}

static void act_index(void)
{
	u16 val = take(2);

	if (FUZZ_PACKED)
		c.g->next = guest_pos_add(c.g, c.dev.avail, val % c.g->num);
	else
		guest_set_avail_idx(c.g, val);
}

static void act_event(void)
{
	u16 place = take(2);
	u8 flags = take(1);

	if (FUZZ_PACKED) {
		c.g->driver->off_wrap = cpu_to_le16(place);
		c.g->driver->flags = cpu_to_le16(flags);
	} else {
		c.g->avail->flags = to16(flags);
		if (c.g->ring.event_idx)
			guest_set_used_event(c.g, place);
	}
}

static void act_map(void)
{
	c.mem.mapped[take(1) % GUEST_PAGES] ^= true;
}

static void client_action(u8 action)
{
	static void (*const act[NR_CLIENT_ACTIONS])(void) = {
		[CHAIN] = act_chain,
		[TABLE] = act_table,
		[DESC] = act_desc,
		[BYTE] = act_byte,
		[OFFER] = act_offer,
		[INDEX] = act_index,
		[EVENT] = act_event,
		[MAP] = act_map,
	};

	act[action]();
}

static void act_race(void)
{
	c.period = take(1);
	c.wait = c.period;
	c.races = take(1);
}

static void race(void)
{
	if (!c.races || c.wait--)
		return;
	c.races--;
	c.wait = c.period;
	c.dev.raced = true;
	client_action(take(1) % NR_CLIENT_ACTIONS);
}

static void race_access(enum host_access what, const void *addr, size_t len)
{
	(void)what;
	(void)addr;
	(void)len;
	c.dev.nr_accesses++;
	race();
}

static void race_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	(void)mem;
	(void)iova;
	(void)len;
	race();
}

/* ---- the device ---- */

static void act_pop(void)
{
	u8 n = take(1);

	while (device_pop(&c.dev) && n--)
		;
}

static void act_push(void)
{
	u8 which = take(1);
	u16 len = take(2);
	u32 i;

	if (!c.dev.nr_work)
		return;
	i = c.g->ring.in_order ? 0 : which % c.dev.nr_work;
	device_push(&c.dev, i, len == ALL_WRITTEN ?
		    (u32)c.dev.work[i].in_len : len);
}

static void device_action(u8 action)
{
	switch (action) {
	case POP:
		act_pop();
		break;
	case PUSH:
		act_push();
		break;
	case PUBLISH:
		device_publish(&c.dev);
		break;
	case ENABLE:
		device_enable_kick(&c.dev);
		break;
	case DISABLE:
		device_disable_kick(&c.dev);
		break;
	case UNPOP:
		device_unpop(&c.dev);
		break;
	case RESTART:
		device_restart(&c.dev);
		break;
	case RESET:
		device_reset(&c.dev, take(4));
		break;
	case NUMBER:
		device_number(&c.dev, take(4));
		break;
	}
}

/* ---- one input ---- */

static void begin(void)
{
	u8 features = take(1), size = take(1) % NR_SIZES;
	u16 base = take(2);

	guest_mem_reset(&c.mem);
	c.table = GUEST_BASE;
	c.table_len = 0;
	c.races = 0;
	c.g = &c.rings[size][features & 1];
	c.g->ring.indirect = features & 2;
	c.g->ring.in_order = features & 4;
	if (FUZZ_PACKED)
		base = base % c.g->num | (base & GUEST_WRAP);
	REQUIRE(!guest_ring_start(c.g, base));
	c.dev.g = c.g;
	device_begin(&c.dev, base);
	c.mem.after_read = race_read;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 action;

	c.in = (struct fuzz_input) { data, data + size };
	begin();
	while (c.in.at < c.in.end) {
		action = take(1) % NR_ACTIONS;
		if (action < NR_CLIENT_ACTIONS)
			client_action(action);
		else if (action == RACE)
			act_race();
		else
			device_action(action);
	}
	device_stop(&c.dev);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct guest_kind kind = { .packed = FUZZ_PACKED };
	u32 i;

	(void)argc;
	(void)argv;
	guest_mem_init(&c.mem);
	for (i = 0; i < NR_SIZES; i++) {
		kind.event_idx = false;
		guest_ring_alloc(&c.rings[i][0], sizes[i], &kind);
		kind.event_idx = true;
		guest_ring_alloc(&c.rings[i][1], sizes[i], &kind);
	}
	c.dev.mem = &c.mem;
	c.dev.chain = malloc(sizeof(*c.dev.chain));
	REQUIRE(c.dev.chain);
	host_hook = race_access;
	return 0;
}
