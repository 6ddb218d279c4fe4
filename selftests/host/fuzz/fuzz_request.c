// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer for requests, as ring.c hands them over. Its input is
 *
 *	disk		1 byte: FLUSH, DISCARD, WRITE_ZEROES, SECURE_ERASE, blocks
 *			of 4096 bytes, read-only
 *	capacity	2 bytes: blocks, see take_capacity()
 *	race		4 bytes: after which access, and what byte, if any, is
 *			changed to what
 *	errno		2 bytes
 *	unmapped	2 bytes, a bit for each of the first pages
 *	runs		1 byte: how many there are
 *	run		7 bytes: offset 2, length 2, step 1, segments 1, writable 1
 *
 * and then the client's memory.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "model.h"

#define MAX_RUNS	16

/* The race is with somebody who makes the disk larger. */
#define GROW		0xffff

static struct {
	struct fuzz_input in;
	struct vbs_mem mem;
	struct vbs_disk disk;
	struct vbs_chain *chain;
	struct vbs_req *req;
	u8 wait;		/* accesses until the client interferes, or 0 */
	u16 race_at;
	u8 race_val;
	bool raced;
} c;

static u64 take(u32 bytes)
{
	return fuzz_take(&c.in, bytes);
}

/* ---- the client ---- */

static void race(void)
{
	if (!c.wait || --c.wait)
		return;
	c.raced = true;
	if (c.race_at == GROW) {
		c.disk.capacity += c.race_val * (c.disk.block_size / 512);
		return;
	}
	c.mem.bytes[c.race_at] = c.race_val;
	if (c.mem.taken <= c.race_at)
		c.mem.taken = c.race_at + 1;
}

static void race_access(enum host_access what, const void *addr, size_t len)
{
	(void)what;
	(void)addr;
	(void)len;
	race();
}

static void race_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	(void)mem;
	(void)iova;
	(void)len;
	race();
}

/* ---- what there is ---- */

/* A few blocks, or as many as 64 bits of bytes can have. */
static u64 take_capacity(u32 unit)
{
	u64 val = take(2);

	return val & 0x8000 ? (1ULL << 55) - (val & 0x7fff) * unit : val * unit;
}

static void take_disk(void)
{
	static const u8 bits[] = {
		VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_DISCARD,
		VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_F_SECURE_ERASE,
	};
	u8 flags = take(1);
	u32 i;

	c.disk = (struct vbs_disk) {
		.seg_max = VBS_SEG_MAX,
		.block_size = flags & 0x10 ? 4096 : 512,
		.readonly = flags & 0x20,
	};
	c.disk.capacity = take_capacity(c.disk.block_size / 512);
	for (i = 0; i < sizeof(bits); i++)
		if (flags & 1 << i)
			c.disk.features |= 1ULL << bits[i];
}

/* The last addresses there are, or those of the client's memory. */
static u64 iova_of(u16 at)
{
	return at >= 0xff00 ? ~0ULL << 8 | at : GUEST_BASE + at;
}

/* Of what a ring never has, order and empty segments, nothing gets in. */
static void take_run(struct vbs_walk *walk)
{
	struct vbs_chain *chain = c.chain;
	u16 at = take(2);
	u32 len = fuzz_take_len(&c.in);
	u8 step = take(1), nr = take(1), in = take(1);

	for (; nr; nr--, at += step)
		if (walk->next < &chain->segs[VBS_RING_MAX])
			vbs_chain_add(chain, walk, iova_of(at), len, in & 1);
}

static void take_chain(void)
{
	u8 runs = take(1) % (MAX_RUNS + 1);
	struct vbs_walk walk;

	memset(c.chain, 0xff, sizeof(*c.chain));
	vbs_chain_begin(c.chain, &walk);
	while (runs--)
		take_run(&walk);
	vbs_chain_end(c.chain, &walk);
}

static void take_memory(u16 unmapped)
{
	size_t len = c.in.end - c.in.at;
	u32 i;

	guest_mem_reset(&c.mem);
	if (len > GUEST_SIZE)
		len = GUEST_SIZE;
	memcpy(c.mem.bytes, c.in.at, len);
	c.mem.taken = len;
	for (i = 0; i < 16; i++)
		c.mem.mapped[i] = !(unmapped & 1 << i);
	c.mem.after_read = race_read;
}

/* ---- the device ---- */

static void check_errno(int err)
{
	u8 status = vbs_errno_to_status(err);

	if (!err)
		REQUIRE(status == VIRTIO_BLK_S_OK);
	else if (err == -EOPNOTSUPP)
		REQUIRE(status == VIRTIO_BLK_S_UNSUPP);
	else
		REQUIRE(status == VIRTIO_BLK_S_IOERR);
}

/* What a backend wants to know about IN and OUT. */
static void check_alignment(const struct vbs_req *req)
{
	struct vbs_iter iter = req->data;
	u32 addrs = 0, lens = 0, len, mask;
	u64 iova;

	for (; iter.left; vbs_iter_advance(&iter, len)) {
		len = vbs_iter_peek(&iter, &iova);
		addrs |= iova;
		lens |= len;
	}
	for (mask = ~0U; mask; mask >>= 1)
		REQUIRE(vbs_iter_aligned(req->data, mask, mask >> 8) ==
			(!(addrs & mask) && !(lens & (mask >> 8))));
}

static void check_accepted(const struct vbs_req *req)
{
	u32 i;

	if (!model_check(req, c.chain, &c.disk))
		broken(broken_promise, __FILE__, __LINE__);
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		check_alignment(req);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_SECURE_ERASE:
		for (i = 0; i < req->nr_ranges; i++)
			REQUIRE(!req->ranges[i].unmap);
		break;
	}
}

/* A chain that has no room for an answer is not to be decoded. */
static void check_request(void)
{
	u32 most = 16 + 16 * VBS_MAX_RANGES;
	u8 status, expected;

	REQUIRE(vbs_req_has_status(c.chain) == !!c.chain->nr_in);
	if (!c.chain->nr_in)
		return;
	expected = model_decode(c.chain, &c.mem, &c.disk);
	memset(c.req, 0xff, sizeof(*c.req));
	guest_count_reads(&c.mem);
	c.raced = false;
	host_hook = race_access;
	status = vbs_req_decode(c.req, c.chain, &c.mem, &c.disk);
	host_hook = NULL;

	REQUIRE(c.mem.nr_reads <= most);
	REQUIRE(c.mem.nr_bytes <= most);
	REQUIRE(vbs_req_status_iova(c.chain) == model_status_iova(c.chain));
	REQUIRE(status <= VIRTIO_BLK_S_UNSUPP);
	REQUIRE(c.raced || model_agrees(expected, status));
	if (status == VIRTIO_BLK_S_OK)
		check_accepted(c.req);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u16 unmapped;

	c.in = (struct fuzz_input) { data, data + size };
	take_disk();
	c.wait = take(1);
	c.race_at = take(2);
	c.race_val = take(1);
	check_errno((__s16)take(2));
	unmapped = take(2);
	take_chain();
	take_memory(unmapped);
	check_request();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	guest_mem_init(&c.mem);
	c.chain = malloc(sizeof(*c.chain));
	c.req = malloc(sizeof(*c.req));
	REQUIRE(c.chain && c.req);
	return 0;
}
