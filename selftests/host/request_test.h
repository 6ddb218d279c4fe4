/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of request.c share: a disk with either block size, and chains
 * as ring.c hands them over.
 */
#ifndef REQUEST_TEST_H
#define REQUEST_TEST_H

#include <kselftest_harness.h>

#include "guest.h"
#include "request.h"

#define T_IN		VIRTIO_BLK_T_IN
#define T_OUT		VIRTIO_BLK_T_OUT
#define T_FLUSH		VIRTIO_BLK_T_FLUSH
#define T_GET_ID	VIRTIO_BLK_T_GET_ID
#define T_DISCARD	VIRTIO_BLK_T_DISCARD
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define T_ERASE		VIRTIO_BLK_T_SECURE_ERASE

#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP

#define FEATURE(name)	(1ULL << VIRTIO_BLK_F_##name)
#define UNMAP		VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

/* As the config space has them. */
#define MAX_SECTORS	0x20000
#define MAX_SEG_BYTES	0x400000
#define MAX_RANGES	32
#define MAX_SEGS	254

/* Type and sector of a header in one piece. */
#define HEADER_READ	12

/* Data is not looked at, so its addresses need not exist. */
#define DATA		0x777000000000ULL
#define STATUS		0x888000000000ULL

/* Each test runs in a process of its own. */
static struct {
	struct vbs_mem mem;
	struct vbs_disk disk;
	struct vbs_chain *chain;
	struct vbs_req *req;
	u32 bs;			/* block size */
	u32 unit;		/* the same in sectors */
} t;

FIXTURE(req)
{
};

FIXTURE_VARIANT(req)
{
	u32 block_size;
};

FIXTURE_VARIANT_ADD(req, bs512) {
	.block_size = 512,
};

FIXTURE_VARIANT_ADD(req, bs4096) {
	.block_size = 4096,
};

FIXTURE_SETUP(req)
{
	guest_mem_init(&t.mem);
	t.chain = malloc(sizeof(*t.chain));
	t.req = malloc(sizeof(*t.req));
	ASSERT_TRUE(t.chain && t.req);
	t.bs = variant->block_size;
	t.unit = t.bs / 512;
	t.disk = (struct vbs_disk) {
		.seg_max = VBS_SEG_MAX,
		.capacity = 0x1000000,
		.block_size = t.bs,
		.features = ~0ULL & ~FEATURE(RO),
	};
}

FIXTURE_TEARDOWN(req)
{
	free(t.req);
	free(t.chain);
	guest_mem_free(&t.mem);
}

/* Readable segments come first, as ring.c has it. */
static inline void out(u64 iova, u32 len)
{
	t.chain->segs[t.chain->nr_out++] = (struct vbs_seg) {
		iova, len
	};
	t.chain->out_len += len;
}

static inline void in(u64 iova, u32 len)
{
	struct vbs_chain *chain = t.chain;

	chain->segs[chain->nr_out + chain->nr_in++] = (struct vbs_seg) {
		iova, len
	};
	chain->buf.in_len += len;
}

/* Another length for a readable segment. */
static inline void set_out_len(u32 i, u32 len)
{
	t.chain->out_len += (u64)len - t.chain->segs[i].len;
	t.chain->segs[i].len = len;
}

static inline void new_chain(void)
{
	guest_mem_reset(&t.mem);
	memset(t.chain, 0xff, sizeof(*t.chain));
	empty_chain(t.chain);
}

static inline u64 put_header(u32 type, u64 sector)
{
	struct virtio_blk_outhdr hdr = {
		.type = cpu_to_le32(type),
		.ioprio = ~0U,
		.sector = cpu_to_le64(sector),
	};

	return guest_put(&t.mem, &hdr, sizeof(hdr));
}

static inline void header(u32 type, u64 sector)
{
	new_chain();
	out(put_header(type, sector), 16);
}

static inline u64 put_range(u64 sector, u32 nr, u32 flags)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = cpu_to_le64(sector),
		.num_sectors = cpu_to_le32(nr),
		.flags = cpu_to_le32(flags),
	};

	return guest_put(&t.mem, &range, sizeof(range));
}

static inline u8 decode(void)
{
	memset(t.req, 0xff, sizeof(*t.req));
	guest_count_reads(&t.mem);
	return vbs_req_decode(t.req, t.chain, &t.mem, &t.disk);
}

/* IN or OUT of one piece. */
static inline u8 rw(u32 type, u64 sector, u32 len)
{
	header(type, sector);
	if (len && type == T_OUT)
		out(DATA, len);
	if (len && type == T_IN)
		in(DATA, len);
	in(STATUS, 1);
	return decode();
}

/* DISCARD or WRITE_ZEROES of one range. */
static inline u8 one_range(u32 type, u64 sector, u32 nr, u32 flags)
{
	header(type, 99);
	out(put_range(sector, nr, flags), 16);
	in(STATUS, 1);
	return decode();
}

#endif
