// SPDX-License-Identifier: GPL-2.0-only
/*
 * Good requests with some bytes changed, before they are looked at or while
 * they are. What ring.c and request.c make of them must keep the promises of
 * ring.h and request.h, and be what model.c says when nobody interferes.
 *
 *	MUTATION_CASES=N	more or fewer cases
 *	MUTATION_SEED=N		the same cases again
 *
 * Case i of seed s is the first case of seed s + i.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kselftest_harness.h>
#include <sanitizer/common_interface_defs.h>

#include "model.h"

#define CASES		5000000ULL	/* of each kind */
#define TIMEOUT		800

#define MAX_SHIFT	10
#define MAX_CHAINS	3
#define MAX_DESCS	40
/* More chains than this in one case tell nothing new. */
#define MAX_POPS	32
/* Chains taken before one is given back. */
#define MAX_PENDING	4

static const struct guest_kind kinds[] = {
	{ .event_idx = false },
	{ .event_idx = true },
	{ .in_order = true },
	{ .packed = true },
	{ .packed = true, .event_idx = true },
	{ .packed = true, .in_order = true, .event_idx = true },
};

/* What one case works with. */
static struct {
	u64 seed;
	u64 rnd;			/* state of the generator */
	struct vbs_mem mem;
	struct guest_ring rings[MAX_SHIFT + 1][ARRAY_SIZE(kinds)];
	struct guest_ring *g;
	struct vbs_disk disk;
	struct vbs_chain *chain;
	struct vbs_req *req;
	u16 base;
	u32 free_descs;
	u16 next_desc;
	u16 stride;
	u32 nr_chains;
	struct vbs_buf pending[MAX_PENDING];
	u32 nr_pending;
	u16 heads[MAX_POPS];		/* as they were given back */
	u32 lens[MAX_POPS];
	u32 nr_pushed;
	u32 nr_descs;			/* of all that were taken */
	bool racing;
	bool good;			/* nothing is changed */
	u64 nr_accesses;
} c;

/* What all cases saw, so that a run which tests nothing is noticed. */
static struct {
	u64 chains;
	u64 skipped;
	u64 requests_ok;
	u64 requests_bad;
	u64 errors[VBS_RING_NR_ERRORS];
} total;

static u32 rnd(u32 limit)
{
	return (guest_random(&c.rnd) >> 32) % limit;
}

static bool chance(u32 one_in)
{
	return !rnd(one_in);
}

static void on_death(void)
{
	fprintf(stderr, "# repeat with MUTATION_SEED=%llu MUTATION_CASES=1\n",
		c.seed);
}

/* The descriptors of one request, before they are put anywhere. */
struct draft {
	struct vring_desc desc[MAX_DESCS];
	u32 nr;
};

static void draft_add(struct draft *d, u64 iova, u32 len, u16 flags)
{
	if (d->nr < MAX_DESCS)
		guest_desc(&d->desc[d->nr++], iova, len, flags, 0);
}

/* Bytes in pieces, and now and then an empty descriptor. */
static void draft_bytes(struct draft *d, u64 iova, u32 len, u16 flags)
{
	u32 n;

	while (len) {
		n = chance(3) && d->nr < 20 ? 1 + rnd(len) : len;
		if (chance(16))
			draft_add(d, rnd(~0U), 0, rnd(4) & VRING_DESC_F_WRITE);
		draft_add(d, iova, n, flags);
		iova += n;
		len -= n;
	}
}

static void draft_ranges(struct draft *d, u32 type, u32 unit)
{
	struct virtio_blk_discard_write_zeroes raw[VBS_MAX_RANGES];
	u32 nr = chance(8) ? VBS_MAX_RANGES : 1 + rnd(3);
	u32 i;

	for (i = 0; i < nr; i++) {
		raw[i].sector = cpu_to_le64(unit * rnd(8));
		raw[i].num_sectors = cpu_to_le32(unit * rnd(8));
		raw[i].flags = cpu_to_le32(type == VIRTIO_BLK_T_WRITE_ZEROES ?
					   rnd(2) : 0);
	}
	draft_bytes(d, guest_put(&c.mem, raw, 16 * nr), 16 * nr, 0);
}

static void draft_request(struct draft *d)
{
	static const u8 types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
		VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_SECURE_ERASE,
	};
	u32 type = types[rnd(sizeof(types))];
	u32 unit = c.disk.block_size / 512;
	u32 bs = c.disk.block_size;
	u32 len = chance(16) ? VBS_SIZE_MAX - bs * rnd(2) : bs * rnd(8);
	struct virtio_blk_outhdr hdr = {
		.type = cpu_to_le32(type),
		.sector = cpu_to_le64(unit * rnd(8)),
	};

	d->nr = 0;
	draft_bytes(d, guest_put(&c.mem, &hdr, 16), 16, 0);
	if (type == VIRTIO_BLK_T_OUT)
		draft_bytes(d, GUEST_BASE + rnd(1000), len, 0);
	if (type == VIRTIO_BLK_T_DISCARD ||
	    type == VIRTIO_BLK_T_WRITE_ZEROES ||
	    type == VIRTIO_BLK_T_SECURE_ERASE)
		draft_ranges(d, type, unit);
	if (type == VIRTIO_BLK_T_GET_ID)
		len = rnd(30);
	if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID)
		draft_bytes(d, GUEST_BASE + rnd(1000), len + 1,
			    VRING_DESC_F_WRITE);
	else
		draft_bytes(d, GUEST_BASE + rnd(1000), 1 + rnd(2),
			    VRING_DESC_F_WRITE);
}

static u16 take_desc(void)
{
	c.free_descs--;
	c.next_desc += c.stride;
	return c.next_desc & (c.g->num - 1);
}

/* The rest of a draft as an indirect table, in order or not. */
static void put_table(struct vring_desc *head, struct vring_desc *src, u32 nr)
{
	static const u8 steps[] = { 1, 3, 5, 7, 11, 13, 17, 19 };
	u32 step, num, i, at, next;
	u64 iova;

	/* A power of two, so that any odd step visits each once. */
	num = chance(2) ? nr : 1U << (32 - __builtin_clz(nr));
	step = num == nr ? 1 : steps[rnd(sizeof(steps))];
	iova = guest_alloc(&c.mem, 16 * num, chance(2) ? 16 : 1);
	for (i = 0, at = 0; i < nr; i++, at = next) {
		next = (at + step) & (num == nr ? ~0U : num - 1);
		if (i < nr - 1)
			src[i].flags |= to16(VRING_DESC_F_NEXT);
		src[i].next = to16(next);
		memcpy(guest_ptr(&c.mem, iova + 16 * at), &src[i], 16);
	}
	guest_desc(head, iova, 16 * num, VRING_DESC_F_INDIRECT |
		   (chance(4) ? VRING_DESC_F_WRITE : 0), rnd(0x10000));
}

/* The same for a packed ring: direct or indirect, never both. */
static bool offer_packed(struct draft *d)
{
	struct guest_seg seg[MAX_DESCS];
	struct vring_packed_desc desc;
	u64 iova;
	u32 i;

	for (i = 0; i < d->nr; i++)
		seg[i] = (struct guest_seg) {
			__virtio64_to_cpu(true, d->desc[i].addr),
			__virtio32_to_cpu(true, d->desc[i].len),
			from16(d->desc[i].flags),
		};
	if (c.g->ring.indirect && (d->nr > c.free_descs || chance(2))) {
		iova = guest_alloc(&c.mem, 16 * d->nr, chance(2) ? 16 : 1);
		for (i = 0; i < d->nr; i++) {
			guest_packed_desc(&desc, seg[i].iova, seg[i].len,
					  rnd(0x10000), seg[i].flags |
					  (chance(4) ? rnd(0x10000) & ~2 : 0));
			memcpy(guest_ptr(&c.mem, iova + 16 * i), &desc, 16);
		}
		seg[0] = (struct guest_seg) {
			iova, 16 * d->nr, VRING_DESC_F_INDIRECT
		};
		d->nr = 1;
	}
	if (d->nr > c.free_descs)
		return false;
	guest_chain(c.g, chance(2) ? c.nr_chains : 0xfff0 + c.nr_chains, seg,
		    d->nr);
	c.free_descs -= d->nr;
	c.nr_chains++;
	return true;
}

/* Direct, indirect or both, as it fits; false when it does not. */
static bool offer_split(struct draft *d)
{
	u32 direct = d->nr, i;
	u16 at, head;

	if (c.g->ring.indirect && c.free_descs && chance(2))
		direct = rnd(c.free_descs < d->nr ? c.free_descs : d->nr);
	if (direct + (direct < d->nr ? 1 : 0) > c.free_descs)
		return false;

	head = take_desc();
	for (i = 0, at = head; i < direct; i++) {
		c.g->desc[at] = d->desc[i];
		if (i == d->nr - 1)
			break;
		c.g->desc[at].flags |= to16(VRING_DESC_F_NEXT);
		c.g->desc[at].next =
			to16((at + c.stride) & (c.g->num - 1));
		at = take_desc();
	}
	if (direct < d->nr)
		put_table(&c.g->desc[at], &d->desc[direct], d->nr - direct);
	guest_offer(c.g, head);
	c.nr_chains++;
	return true;
}

static void build(void)
{
	u32 shift = chance(32) ? 6 + rnd(5) : rnd(6);
	struct draft draft;
	u32 i;

	guest_mem_reset(&c.mem);
	c.g = &c.rings[shift][rnd(ARRAY_SIZE(kinds))];
	c.g->ring.indirect = !chance(8);
	c.base = chance(2) ? rnd(0x10000) : 0 - rnd(4);
	if (c.g->ring.packed)
		c.base = c.base % c.g->num | (rnd(2) ? GUEST_WRAP : 0);
	guest_ring_start(c.g, c.base);

	c.disk = (struct vbs_disk) {
		.block_size = chance(2) ? 512 : 4096,
		.seg_max = VBS_SEG_MAX,
		.capacity = 16384,
		.features = ~0ULL,
	};
	c.free_descs = c.g->num;
	c.next_desc = rnd(0x10000);
	c.stride = 2 * rnd(8) + 1;
	c.nr_chains = 0;
	c.nr_pending = 0;
	c.nr_pushed = 0;
	c.nr_descs = 0;
	for (i = 1 + rnd(MAX_CHAINS); i; i--) {
		draft_request(&draft);
		if (!(c.g->ring.packed ? offer_packed(&draft) :
					 offer_split(&draft)))
			break;
	}
}

static void change_byte(void *area, u32 len)
{
	u8 *byte = (u8 *)area + rnd(len);

	switch (rnd(5)) {
	case 0:
		*byte ^= 1 << rnd(8);
		break;
	case 1:
		*byte = rnd(256);
		break;
	case 2:
		*byte = chance(2) ? 0 : 0xff;
		break;
	case 3:
		*byte += rnd(7) - 3;
		break;
	case 4:
		*byte = *((u8 *)area + rnd(len));
		break;
	}
}

/* The next one the device will look at becomes available. */
static void show_desc(void)
{
	u16 pos = c.g->ring.last_avail;
	struct vring_packed_desc *desc =
		&c.g->packed_desc[pos & ~GUEST_WRAP];

	desc->flags = cpu_to_le16(rnd(8) | guest_avail_flags(pos));
}

/* A descriptor that is in use, rather than any. */
static struct vring_desc *some_desc(void)
{
	u32 used = c.g->num - c.free_descs;
	u32 n = rnd(used ? used : 1);
	u16 at = c.next_desc - c.stride * n;

	if (c.g->ring.packed)
		at = (c.base & ~GUEST_WRAP) + n;
	return &c.g->desc[at & (c.g->num - 1)];
}

/* What there is besides descriptors and their memory. */
static void mutate_split(u32 what)
{
	struct guest_ring *g = c.g;

	if (what < 2)
		change_byte(&g->avail->ring[(c.base + rnd(MAX_CHAINS)) &
					    (g->num - 1)], 2);
	else if (what < 3)
		change_byte(g->avail, 4 + 2 * g->num +
			    2 * g->ring.event_idx);
	else if (what < 4)
		guest_set_avail_idx(g, c.base + rnd(2 * g->num));
	else
		guest_desc(some_desc(), guest_random(&c.rnd), rnd(~0U),
			   rnd(8), rnd(2 * g->num));
}

static void mutate_packed(u32 what)
{
	struct guest_ring *g = c.g;

	if (what < 2)
		change_byte((u8 *)some_desc() + 14, 2);
	else if (what < 3)
		change_byte(g->driver, 4);
	else if (what < 4)
		show_desc();
	else
		guest_packed_desc((void *)some_desc(), guest_random(&c.rnd),
				  rnd(~0U), rnd(2 * g->num), rnd(0x10000));
}

static void mutate(void)
{
	u32 what = rnd(64);

	if (what < 24) {
		change_byte(some_desc(), 16);
	} else if (what < 30) {
		/* The end of a descriptor decides most. */
		change_byte((u8 *)some_desc() + 8, 8);
	} else if (what < 56) {
		if (c.mem.taken)
			change_byte(c.mem.bytes, c.mem.taken);
	} else if (what < 59) {
		c.mem.mapped[rnd(1 + c.mem.taken / GUEST_PAGE)] ^= true;
	} else if (c.g->ring.packed) {
		mutate_packed(what - 59);
	} else {
		mutate_split(what - 59);
	}
}

static void disk_mutation(void)
{
	if (chance(4))
		c.disk.features = guest_random(&c.rnd);
	if (chance(16))
		c.disk.readonly = true;
	if (chance(4))
		c.disk.capacity = rnd(65);
}

static void race_hook(enum host_access what, const void *addr,
		      size_t len)
{
	(void)what;
	(void)addr;
	(void)len;
	c.nr_accesses++;
	if (chance(12))
		mutate();
}

static void race_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	(void)mem;
	(void)iova;
	(void)len;
	if (chance(3))
		mutate();
}

static bool check_chain(void)
{
	u32 i, nr = c.chain->nr_out + c.chain->nr_in;

	if (!KEPT(c.g->ring.packed || c.chain->buf.head < c.g->num) ||
	    !KEPT(!c.g->ring.packed || c.chain->buf.nr_descs) ||
	    !KEPT(nr <= VBS_RING_MAX))
		return false;
	for (i = 0; i < nr; i++)
		if (!KEPT(c.chain->segs[i].len))
			return false;
	return true;
}

static bool check_reads(u64 reads, u64 bytes)
{
	return KEPT(c.mem.nr_reads <= reads) && KEPT(c.mem.nr_bytes <= bytes);
}

static bool check_request(void)
{
	u8 status, expected = VIRTIO_BLK_S_OK;
	u32 limit = 16 + 16 * VBS_MAX_RANGES;
	struct vbs_req *req = c.req;

	if (!vbs_req_has_status(c.chain))
		return true;
	if (!c.racing)
		expected = model_decode(c.chain, &c.mem, &c.disk);
	guest_count_reads(&c.mem);
	status = vbs_req_decode(req, c.chain, &c.mem, &c.disk);

	if (!check_reads(limit, limit) ||
	    !KEPT(vbs_req_status_iova(c.chain) == model_status_iova(c.chain)) ||
	    !KEPT(status <= VIRTIO_BLK_S_UNSUPP))
		return false;
	if (!c.racing && !KEPT(model_agrees(expected, status)))
		return false;
	if (status != VIRTIO_BLK_S_OK) {
		total.requests_bad++;
		return true;
	}
	total.requests_ok++;
	return model_check(req, c.chain, &c.disk);
}

/* Indices count descriptors or chains. */
static u16 index_add(u16 index, u32 descs, u32 chains)
{
	return c.g->ring.packed ? guest_pos_add(c.g, index, descs) :
				  index + chains;
}

/* The next chain, if there is one: what vbs_ring_pop() returned to *@ret. */
static bool check_pop(int *ret)
{
	u16 after = c.g->ring.last_avail;
	enum model_verdict verdict = MODEL_EMPTY;

	if (!c.racing)
		verdict = model_pop(c.g, &c.mem);
	/* Counts of segments from before would hide that they were not set. */
	memset(c.chain, 0xff, offsetof(struct vbs_chain, segs));
	c.nr_accesses = 0;
	guest_count_reads(&c.mem);
	*ret = vbs_ring_pop(&c.g->ring, &c.mem, c.chain);

	if (*ret == 1)
		after = index_add(after, c.chain->buf.nr_descs, 1);
	if (!KEPT(*ret <= 1 && *ret > -VBS_RING_NR_ERRORS) ||
	    !KEPT(c.g->ring.last_avail == after) ||
	    !KEPT(c.nr_accesses <= 3 + 4ULL * (c.g->num + VBS_RING_MAX)) ||
	    !check_reads(4 * VBS_RING_MAX, VBS_RING_MAX * 16))
		return false;
	if (!c.racing && !KEPT(model_agrees_pop(verdict, *ret, c.chain)))
		return false;
	return *ret != 1 || check_chain();
}

/* Any of those at work has ended, or the first one. */
static void push_pending(void)
{
	u32 i = c.g->ring.in_order ? 0 : rnd(c.nr_pending);
	struct vbs_buf buf = c.pending[i];
	u32 len = chance(2) ? (u32)buf.in_len : c.nr_pushed;

	c.nr_pending--;
	memmove(&c.pending[i], &c.pending[i + 1],
		(c.nr_pending - i) * sizeof(buf));
	c.heads[c.nr_pushed] = buf.head;
	c.lens[c.nr_pushed++] = len;
	vbs_ring_push(&c.g->ring, &buf, len);
}

/* The device: what is on offer, one by one, until it stops or breaks. */
static bool serve(int *ret, u32 *taken)
{
	for (*taken = 0; *taken < MAX_POPS; ++*taken) {
		if (!check_pop(ret))
			return false;
		if (*ret != 1)
			break;
		if (!check_request())
			return false;
		c.pending[c.nr_pending++] = c.chain->buf;
		c.nr_descs += c.chain->buf.nr_descs;
		if (c.nr_pending == MAX_PENDING || chance(2))
			push_pending();
		else if (c.g->ring.packed && !c.good && chance(4))
			show_desc();
		if (chance(2))
			vbs_ring_publish(&c.g->ring);
		if (chance(4))
			vbs_ring_enable_kick(&c.g->ring);
	}
	while (c.nr_pending)
		push_pending();
	return true;
}

static bool check_indices(u32 taken)
{
	u16 now = index_add(c.base, c.nr_descs, taken);
	u16 offered;

	vbs_ring_publish(&c.g->ring);
	if (!KEPT(c.g->ring.last_avail == now) ||
	    !KEPT(c.g->ring.used_idx == now) ||
	    !KEPT(c.g->ring.used_published == now))
		return false;
	if (c.g->ring.packed)
		return true;
	offered = from16(c.g->avail->idx) - c.base;
	return KEPT(guest_used_idx(c.g) == now) &&
	       (c.racing || KEPT(taken <= offered && taken <= c.g->num));
}

/* Nothing was changed, so nothing may go wrong. */
static bool check_good(int ret, u32 taken)
{
	u32 i, id, len;

	if (!KEPT(ret == 0) || !KEPT(taken == c.nr_chains))
		return false;
	for (i = 0; i < taken; i++) {
		if (!KEPT(guest_get_used(c.g, &id, &len)) ||
		    !KEPT(id == c.heads[i]) ||
		    !KEPT(len == c.lens[i] ||
			  (c.g->ring.in_order && len == GUEST_ALL)))
			return false;
		total.skipped += len == GUEST_ALL;
	}
	return KEPT(!guest_get_used(c.g, &id, &len)) &&
	       KEPT(!vbs_ring_enable_kick(&c.g->ring));
}

static bool run_case(void)
{
	u64 bad = total.requests_bad;
	u32 taken, i;
	int ret = 0;

	c.rnd = c.seed;
	build();
	c.good = !c.racing && chance(8);
	if (!c.good) {
		disk_mutation();
		for (i = 1 + rnd(4); i; i--)
			mutate();
	}
	if (c.racing) {
		c.mem.after_read = race_read;
		host_hook = race_hook;
	}
	if (!serve(&ret, &taken))
		return false;
	host_hook = NULL;
	if (!check_indices(taken))
		return false;
	if (c.good && (!check_good(ret, taken) ||
		       !KEPT(total.requests_bad == bad)))
		return false;
	total.chains += taken;
	total.errors[ret < 0 ? -ret : 0]++;
	return true;
}

FIXTURE(cases)
{
	u64 seed;
	u64 nr;
};

FIXTURE_VARIANT(cases)
{
	bool racing;
};

FIXTURE_VARIANT_ADD(cases, still) {
	.racing = false,
};

FIXTURE_VARIANT_ADD(cases, racing) {
	.racing = true,
};

static u64 number(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

FIXTURE_SETUP(cases)
{
	u32 i, k;

	self->nr = number("MUTATION_CASES", CASES);
	self->seed = number("MUTATION_SEED", (u64)time(NULL) << 24);
	ASSERT_LT(0, self->nr);
	guest_mem_init(&c.mem);
	for (i = 0; i <= MAX_SHIFT; i++)
		for (k = 0; k < ARRAY_SIZE(kinds); k++)
			guest_ring_alloc(&c.rings[i][k], 1U << i, &kinds[k]);
	c.chain = malloc(sizeof(*c.chain));
	c.req = malloc(sizeof(*c.req));
	ASSERT_TRUE(c.chain && c.req);
	c.racing = variant->racing;
	__sanitizer_set_death_callback(on_death);
}

FIXTURE_TEARDOWN(cases)
{
}

TEST_F_TIMEOUT(cases, mutated, TIMEOUT)
{
	u64 i;
	u32 err;

	TH_LOG("%llu cases, MUTATION_SEED=%llu", self->nr, self->seed);
	for (i = 0; i < self->nr; i++) {
		c.seed = self->seed + i;
		ASSERT_TRUE(run_case()) {
			TH_LOG("broken promise: %s", broken_promise);
			on_death();
		}
	}
	TH_LOG("%llu chains, %llu requests answered well, %llu badly",
	       total.chains, total.requests_ok, total.requests_bad);
	if (self->nr < 100000)
		return;
	/* It got everywhere, and not only there. */
	for (err = 0; err < VBS_RING_STATE; err++)
		EXPECT_LT(self->nr / 100000, total.errors[err])
			TH_LOG("%s", vbs_ring_strerror(-(int)err));
	if (!c.racing)
		EXPECT_LT(self->nr / 1000, total.skipped);
	EXPECT_LT(self->nr / 10, total.requests_ok);
	EXPECT_LT(self->nr / 100, total.requests_bad);
}

TEST_HARNESS_MAIN
