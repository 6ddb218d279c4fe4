// SPDX-License-Identifier: GPL-2.0-only
/*
 * host_bench SEED: time what ring.c and request.c do for a request, on this
 * machine: pop, decode, push, and a publish for each batch, as the worker does.
 * Client memory is one flat piece; looking addresses up is not part of it, but
 * what the driver stores for a request is: a number in the split ring, in the
 * packed one its descriptors.
 *
 * One line of JSON for each value, the cases in the order of the seed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/compiler.h>
#include <linux/virtio_byteorder.h>

#include "request.h"
#include "ring.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MEM_BASE	0x40000000ULL
#define MEM_SIZE	(16UL << 20)
#define HDR_AREA	0
#define TABLE_AREA	(1024UL * 1024)
#define DATA_AREA	(8UL << 20)
#define SEG_LEN		4096
#define STATUS_AREA	(15UL << 20)

/* Most requests between two updates of the used index, as in io.c. */
#define BATCH		32
/* How long a case is measured. */
#define NS		20000000ULL

struct vbs_mem {
	char *bytes;
};

/**
 * struct layout - how a driver lays requests out
 * @name: for the output
 * @init: allocate and fill the ring with as many requests as it has room for;
 *	returns how many
 * @offer: make the next @n available; all before are back
 * @used: how many are back, since the start
 */
struct layout {
	const char *name;
	u32 (*init)(struct vbs_ring *ring, u32 num, u32 segs);
	void (*offer)(struct vbs_ring *ring, u32 n);
	u16 (*used)(const struct vbs_ring *ring);
};

struct bench_case {
	const struct layout *layout;
	u32 num;
	u32 segs;
	u32 batch;
};

static struct vbs_mem mem;

static void *need(void *p)
{
	if (p)
		return p;
	fputs("out of memory\n", stderr);
	exit(1);
}

int vbs_mem_read(struct vbs_mem *m, u64 iova, void *buf, u32 len)
{
	u64 off = iova - MEM_BASE;

	if (off > MEM_SIZE || len > MEM_SIZE - off)
		return -EFAULT;
	memcpy(buf, m->bytes + off, len);
	return 0;
}

bool vbs_mem_peek(struct vbs_mem *m, u64 iova, u32 len, const void **va)
{
	u64 off = iova - MEM_BASE;

	*va = m->bytes + off;
	return off <= MEM_SIZE && len <= MEM_SIZE - off && !(off % 8);
}

/* ---- the driver's side ---- */

/* Of request @n, a read; returns where it is. */
static u32 write_header(u32 n)
{
	struct virtio_blk_outhdr hdr = {
		.type = VIRTIO_BLK_T_IN,
		.sector = n * 8,
	};
	u32 off = HDR_AREA + n * 64;

	memcpy(mem.bytes + off, &hdr, sizeof(hdr));
	return off;
}

static void ring_alloc(struct vbs_ring *ring, u32 num, bool packed)
{
	ring->num = num;
	ring->packed = packed;
	ring->event_idx = true;
	ring->desc = need(calloc(1, vbs_ring_desc_size(ring)));
	ring->avail = need(calloc(1, vbs_ring_avail_size(ring)));
	ring->used = need(calloc(1, vbs_ring_used_size(ring)));
	vbs_ring_init(ring, vbs_ring_first_base(packed));
}

/* ---- the split ring ---- */

static struct vring_desc desc(u64 off, u32 len, u16 flags, u16 next)
{
	return (struct vring_desc){ MEM_BASE + off, len, flags, next };
}

/* Request @n into @segs segments; the table begins at index @first. */
static void write_request(struct vring_desc *table, u32 first, u32 n, u32 segs)
{
	u32 off = write_header(n), i;

	table[0] = desc(off, sizeof(struct virtio_blk_outhdr),
			VRING_DESC_F_NEXT, first + 1);
	for (i = 1; i <= segs; i++)
		table[i] = desc(DATA_AREA + i * SEG_LEN, SEG_LEN,
				VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
				first + i + 1);
	table[i] = desc(STATUS_AREA + n * 64, 1, VRING_DESC_F_WRITE, 0);
}

/* Heads in turn, for as often as the ring goes round. */
static void split_fill_avail(struct vbs_ring *ring, u32 requests, u32 step)
{
	struct vring_avail *avail = (void *)ring->avail;
	u32 i;

	for (i = 0; i < ring->num; i++)
		avail->ring[i] = i % requests * step;
}

static u32 split_direct(struct vbs_ring *ring, u32 num, u32 segs)
{
	u32 step = segs + 2, requests = num / step, i;

	ring_alloc(ring, num, false);
	for (i = 0; i < requests; i++)
		write_request((void *)(ring->desc + i * step), i * step, i,
			      segs);
	split_fill_avail(ring, requests, step);
	return requests;
}

static u32 split_indirect(struct vbs_ring *ring, u32 num, u32 segs)
{
	struct vring_desc *table = (void *)ring->desc;
	u32 len = (segs + 2) * sizeof(*table), i;

	ring_alloc(ring, num, false);
	table = (void *)ring->desc;
	ring->indirect = true;
	for (i = 0; i < num; i++) {
		write_request((void *)(mem.bytes + TABLE_AREA + i * len), 0, i,
			      segs);
		table[i] = desc(TABLE_AREA + i * len, len,
				VRING_DESC_F_INDIRECT, 0);
	}
	split_fill_avail(ring, num, 1);
	return num;
}

static void split_offer(struct vbs_ring *ring, u32 n)
{
	struct vring_avail *avail = (void *)ring->avail;

	__atomic_store_n(&avail->idx, avail->idx + n, __ATOMIC_RELEASE);
}

static u16 split_used(const struct vbs_ring *ring)
{
	return __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE);
}

static const struct layout split = {
	"split", split_direct, split_offer, split_used,
};

static const struct layout indirect = {
	"split, indirect", split_indirect, split_offer, split_used,
};

/* ---- the packed ring ---- */

#define PACKED_AVAIL_USED	(BIT(VRING_PACKED_DESC_F_AVAIL) | \
				 BIT(VRING_PACKED_DESC_F_USED))

/*
 * struct place - where the driver goes on
 * @pos: in the ring
 * @wrap: its wrap counter
 */
struct place {
	u32 pos;
	bool wrap;
};

/*
 * What the driver of the packed ring knows: @requests of @step descriptors each,
 * as they are made available; the next one of them, where it goes, and where the
 * next used one is expected.
 */
static struct {
	struct vring_packed_desc *lines;
	u32 step;
	u32 requests;
	u32 next;
	struct place avail;
	struct place back;
	u16 offered;
	u16 used;
} driver;

static void place_advance(const struct vbs_ring *ring, struct place *p, u32 n)
{
	p->pos += n;
	if (p->pos >= ring->num) {
		p->pos -= ring->num;
		p->wrap = !p->wrap;
	}
}

/* Request @n into @segs segments, in a list (@next) or in a table. */
static void write_packed(struct vring_packed_desc *line, u32 n, u32 segs,
			 u16 next)
{
	u32 i;

	line[0] = (struct vring_packed_desc){
		MEM_BASE + write_header(n), sizeof(struct virtio_blk_outhdr), n,
		next };
	for (i = 1; i <= segs; i++)
		line[i] = (struct vring_packed_desc){
			MEM_BASE + DATA_AREA + i * SEG_LEN, SEG_LEN, n,
			VRING_DESC_F_WRITE | next };
	line[i] = (struct vring_packed_desc){
		MEM_BASE + STATUS_AREA + n * 64, 1, n, VRING_DESC_F_WRITE };
}

static void packed_init(struct vbs_ring *ring, u32 num, u32 step)
{
	ring_alloc(ring, num, true);
	free(driver.lines);
	memset(&driver, 0, sizeof(driver));
	driver.step = step;
	driver.requests = num / step;
	driver.avail.wrap = true;
	driver.back.wrap = true;
	driver.lines = need(calloc(num, sizeof(*driver.lines)));
}

static u32 packed_direct(struct vbs_ring *ring, u32 num, u32 segs)
{
	u32 i;

	packed_init(ring, num, segs + 2);
	for (i = 0; i < driver.requests; i++)
		write_packed(driver.lines + i * driver.step, i, segs,
			     VRING_DESC_F_NEXT);
	return driver.requests;
}

static u32 packed_indirect(struct vbs_ring *ring, u32 num, u32 segs)
{
	u32 len = (segs + 2) * sizeof(struct vring_packed_desc), off, i;

	packed_init(ring, num, 1);
	ring->indirect = true;
	for (i = 0; i < num; i++) {
		off = TABLE_AREA + i * len;
		write_packed((void *)(mem.bytes + off), i, segs, 0);
		driver.lines[i] = (struct vring_packed_desc){
			MEM_BASE + off, len, i, VRING_DESC_F_INDIRECT };
	}
	return num;
}

/* The flags of the first one last. */
static void packed_offer_one(struct vbs_ring *ring)
{
	const struct vring_packed_desc *line =
		driver.lines + driver.next * driver.step;
	struct vring_packed_desc *first =
		&ring->packed_desc[driver.avail.pos], *to;
	u16 flags, first_flags = 0;
	u32 i;

	for (i = 0; i < driver.step; i++) {
		to = &ring->packed_desc[driver.avail.pos];
		flags = line[i].flags |
			BIT(driver.avail.wrap ? VRING_PACKED_DESC_F_AVAIL :
			    VRING_PACKED_DESC_F_USED);
		to->addr = line[i].addr;
		to->len = line[i].len;
		to->id = line[i].id;
		if (to == first)
			first_flags = flags;
		else
			to->flags = flags;
		place_advance(ring, &driver.avail, 1);
	}
	__atomic_store_n(&first->flags, first_flags, __ATOMIC_RELEASE);
	driver.offered++;
	if (++driver.next == driver.requests)
		driver.next = 0;
}

static void packed_offer(struct vbs_ring *ring, u32 n)
{
	while (n--)
		packed_offer_one(ring);
}

static u16 packed_used(const struct vbs_ring *ring)
{
	u16 flags;

	while (driver.used != driver.offered) {
		flags = __atomic_load_n(&ring->packed_desc[driver.back.pos].flags,
					__ATOMIC_ACQUIRE) & PACKED_AVAIL_USED;
		if (flags != (driver.back.wrap ? PACKED_AVAIL_USED : 0))
			break;
		place_advance(ring, &driver.back, driver.step);
		driver.used++;
	}
	return driver.used;
}

static const struct layout packed = {
	"packed", packed_direct, packed_offer, packed_used,
};

static const struct layout packed_tables = {
	"packed, indirect", packed_indirect, packed_offer, packed_used,
};

/* ---- the device's side ---- */

static void wrong(const struct bench_case *c, const char *what)
{
	printf("# host_bench: %s, ring %u, segs %u: %s\n", c->layout->name,
	       c->num, c->segs, what);
	exit(1);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void serve(const struct bench_case *c, struct vbs_ring *ring, u32 n)
{
	static const struct vbs_disk disk = {
		.capacity = 1 << 20,
		.block_size = 512,
		.seg_max = VBS_SEG_MAX,
	};
	static struct vbs_chain chain;
	static struct vbs_req req;
	u16 before = c->layout->used(ring);
	u32 i;

	c->layout->offer(ring, n);
	for (i = 0; i < n; i++) {
		if (vbs_ring_pop(ring, &mem, &chain) != 1)
			wrong(c, "no chain");
		if (vbs_req_decode(&req, &chain, &mem, &disk) !=
		    VIRTIO_BLK_S_OK || req.data.left != c->segs * SEG_LEN)
			wrong(c, "not the request that was laid out");
		vbs_ring_push(ring, &chain.buf, 1 + req.data.left);
	}
	vbs_ring_publish(ring);
	if ((u16)(c->layout->used(ring) - before) != n)
		wrong(c, "used index");
}

static void measure(const struct bench_case *c)
{
	struct vbs_ring ring = {};
	u32 n = c->layout->init(&ring, c->num, c->segs), i;
	u64 start, end, requests = 0;

	if (n > c->batch)
		n = c->batch;
	for (i = 0; i < 1000; i++)
		serve(c, &ring, n);
	start = now_ns();
	do {
		for (i = 0; i < 100; i++)
			serve(c, &ring, n);
		requests += 100 * n;
		end = now_ns();
	} while (end - start < NS);

	printf("{\"part\":\"host\",\"contender\":\"ours\",\"via\":\"%s\",",
	       c->layout->name);
	printf("\"metric\":\"ns per request\",\"unit\":\"ns\",");
	printf("\"params\":{\"ring\":%u,\"segs\":%u,\"batch\":%u},",
	       c->num, c->segs, c->batch);
	printf("\"value\":%.4g}\n", (double)(end - start) / requests);
	free((void *)ring.desc);
	free((void *)ring.avail);
	free(ring.used);
}

/* ---- the cases ---- */

static u32 add_case(struct bench_case *c, const struct layout *layout, u32 num,
		    u32 segs, u32 batch)
{
	if ((layout == &split || layout == &packed) && segs + 2 > num)
		return 0;
	*c = (struct bench_case){ layout, num, segs, batch };
	return 1;
}

static u32 add_layout(struct bench_case *c, const struct layout *layout)
{
	static const u32 segs[] = { 4, 16, 64, 254 };
	u32 n = 0, i;

	for (i = 8; i <= VBS_RING_MAX; i *= 2)
		n += add_case(c + n, layout, i, 1, BATCH);
	n += add_case(c + n, layout, 256, 1, 1);
	for (i = 0; i < ARRAY_SIZE(segs); i++)
		n += add_case(c + n, layout, VBS_RING_MAX, segs[i], BATCH);
	return n;
}

int main(int argc, char **argv)
{
	static const struct layout *const layouts[] = {
		&split, &indirect, &packed, &packed_tables,
	};
	struct bench_case cases[64], tmp;
	u32 n, i, j;

	if (argc != 2) {
		fputs("usage: host_bench SEED\n", stderr);
		return 2;
	}
	srand(strtoul(argv[1], NULL, 0));
	mem.bytes = need(calloc(1, MEM_SIZE));
	for (n = 0, i = 0; i < ARRAY_SIZE(layouts); i++)
		n += add_layout(cases + n, layouts[i]);
	for (i = n - 1; i > 0; i--) {
		j = rand() % (i + 1);
		tmp = cases[i];
		cases[i] = cases[j];
		cases[j] = tmp;
	}
	for (i = 0; i < n; i++)
		measure(&cases[i]);
	return 0;
}
