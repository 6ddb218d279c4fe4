// SPDX-License-Identifier: GPL-2.0-only
/* The device side of a ring, each step compared with what it has to do. */
#include <string.h>

#include "device.h"
#include "fuzz.h"
#include "model.h"

/* Accesses of a step that does not look at descriptors. */
#define FEW	8

/* What the ring's three areas have to look like after a step. */
static struct {
	union {
		struct vring_desc desc[VBS_RING_MAX];
		struct vring_packed_desc packed_desc[VBS_RING_MAX];
	};
	u64 avail[1 + 2 * VBS_RING_MAX / 8];
	union {
		u64 used_area[1 + VBS_RING_MAX];
		struct vring_used used;
		struct vring_packed_desc_event device;
	};
} want;

static void step_begin(struct device *d)
{
	const struct guest_ring *g = d->g;

	memcpy(want.desc, g->desc, vbs_ring_desc_size(&g->ring));
	memcpy(want.avail, g->avail, vbs_ring_avail_size(&g->ring));
	memcpy(want.used_area, g->used, vbs_ring_used_size(&g->ring));
	guest_count_reads(d->mem);
	d->nr_accesses = 0;
	d->raced = false;
	d->can_unpop = false;
}

static void step_end(struct device *d, u64 accesses)
{
	const struct guest_ring *g = d->g;
	const struct vbs_ring *ring = &g->ring;

	REQUIRE(d->nr_accesses <= accesses);
	REQUIRE(d->mem->nr_reads <= 4 * VBS_RING_MAX);
	REQUIRE(d->mem->nr_bytes <= 16 * VBS_RING_MAX);
	/* The tables of a split ring may loop, until that is noticed. */
	REQUIRE(!ring->packed || !d->mem->nr_again);
	REQUIRE(ring->last_avail == d->avail);
	REQUIRE(ring->used_idx == d->used);
	REQUIRE(ring->used_published == d->published);
	if (d->raced)
		return;
	REQUIRE(!memcmp(want.desc, g->desc, vbs_ring_desc_size(ring)));
	REQUIRE(!memcmp(want.avail, g->avail, vbs_ring_avail_size(ring)));
	REQUIRE(!memcmp(want.used_area, g->used, vbs_ring_used_size(ring)));
}

/* The place behind a chain. */
static u16 behind(const struct device *d, u16 pos, const struct vbs_buf *buf)
{
	if (d->g->ring.packed)
		return guest_pos_add(d->g, pos, buf->nr_descs);
	return pos + 1;
}

static u32 size_of(const struct device *d, const struct vbs_buf *buf)
{
	return d->g->ring.packed ? buf->nr_descs : 1;
}

void device_begin(struct device *d, u16 base)
{
	const struct guest_ring *g = d->g;

	REQUIRE(vbs_ring_valid_num(g->num, g->ring.packed));
	d->dead = false;
	d->broken = false;
	d->avail = base;
	d->used = base;
	d->published = base;
	d->elem = base;
	d->signalled = false;
	d->gap = 0;
	d->unseen = 0;
	d->busy = 0;
	d->can_unpop = false;
	d->nr_work = 0;
}

/* ---- what was made available ---- */

static void check_chain(const struct device *d)
{
	const struct vbs_chain *chain = d->chain;
	u64 out = 0, in = 0;
	u32 i;

	REQUIRE(d->g->ring.packed || chain->buf.head < d->g->num);
	REQUIRE(!d->g->ring.packed || chain->buf.nr_descs);
	REQUIRE(chain->nr_out + chain->nr_in <= VBS_RING_MAX);
	for (i = 0; i < chain->nr_out + chain->nr_in; i++) {
		REQUIRE(chain->segs[i].len);
		if (i < chain->nr_out)
			out += chain->segs[i].len;
		else
			in += chain->segs[i].len;
	}
	REQUIRE(chain->out_len == out);
	REQUIRE(chain->buf.in_len == in);
}

static void check_verdict(enum model_verdict verdict, int ret,
			  const struct vbs_chain *chain)
{
	static const char *const says[] = {
		[MODEL_EMPTY] = "empty",
		[MODEL_CHAIN] = "a chain",
		[MODEL_BROKEN] = "broken",
		[MODEL_EITHER] = "a chain, or broken",
	};

	if (model_agrees_pop(verdict, ret, chain))
		return;
	fprintf(stderr, "vbs_ring_pop() returns %d (%s), the model says: %s\n",
		ret, ret < 0 ? vbs_ring_strerror(ret) : "no error",
		says[verdict]);
	broken("model_agrees_pop()", __FILE__, __LINE__);
}

static int pop_once(struct device *d)
{
	/* Of the ring, and of the copy of a table. */
	u64 accesses = FEW + 4 * (d->g->num + VBS_RING_MAX);
	enum model_verdict verdict;
	int ret;

	verdict = model_pop(d->g, d->mem);
	step_begin(d);
	/* Counts of segments from before would hide that they were not set. */
	memset(d->chain, 0xff, offsetof(struct vbs_chain, segs));
	ret = vbs_ring_pop(&d->g->ring, d->mem, d->chain);

	REQUIRE(ret <= 1 && ret > -VBS_RING_STATE);
	if (ret == 1)
		d->avail = behind(d, d->avail, &d->chain->buf);
	step_end(d, accesses);
	if (!d->raced)
		check_verdict(verdict, ret, d->chain);
	return ret;
}

bool device_pop(struct device *d)
{
	u16 before = d->avail;
	int ret, first;

	if (d->dead || d->broken)
		return false;
	ret = pop_once(d);
	if (ret < 0 && !d->raced) {
		/* Whoever comes next finds the same. */
		first = ret;
		ret = pop_once(d);
		REQUIRE(d->raced || ret == first);
	}
	d->broken = ret < 0;
	if (ret != 1)
		return false;

	check_chain(d);
	d->busy += size_of(d, &d->chain->buf);
	REQUIRE(d->busy + d->gap <= d->g->num);
	d->work[d->nr_work++] = d->chain->buf;
	d->before = before;
	d->can_unpop = true;
	return true;
}

void device_unpop(struct device *d)
{
	if (!d->can_unpop)
		return;
	step_begin(d);
	vbs_ring_unpop(&d->g->ring, d->before);
	d->avail = d->before;
	d->busy -= size_of(d, &d->work[--d->nr_work]);
	step_end(d, FEW);
}

/* ---- what was used ---- */

static void want_split_used(const struct device *d, const struct vbs_buf *buf,
			    u32 len)
{
	struct vring_used_elem *elem = &want.used.ring[d->elem % d->g->num];

	elem->id = __cpu_to_virtio32(true, buf->head);
	elem->len = __cpu_to_virtio32(true, len);
}

/* The flags of the first one that the driver has not seen come last. */
static void want_packed_used(struct device *d, const struct vbs_buf *buf,
			     u32 len)
{
	struct vring_packed_desc *desc;
	u16 flags = guest_used_flags(d->elem) | (len ? VRING_DESC_F_WRITE : 0);

	desc = &want.packed_desc[d->elem & ~GUEST_WRAP];
	desc->id = cpu_to_le16(buf->head);
	desc->len = cpu_to_le32(len);
	if (d->elem == d->published)
		d->first_flags = flags;
	else
		desc->flags = cpu_to_le16(flags);
}

void device_push(struct device *d, u32 i, u32 len)
{
	struct vbs_buf buf;

	if (!d->nr_work)
		return;
	i = d->g->ring.in_order ? 0 : i % d->nr_work;
	buf = d->work[i];
	d->nr_work--;
	memmove(&d->work[i], &d->work[i + 1], (d->nr_work - i) * sizeof(buf));

	step_begin(d);
	if (d->g->ring.packed)
		want_packed_used(d, &buf, len);
	else
		want_split_used(d, &buf, len);
	d->used = behind(d, d->used, &buf);
	/* One element will do for chains that were completely written. */
	if (!d->g->ring.in_order || len != buf.in_len)
		d->elem = d->used;
	d->busy -= size_of(d, &buf);
	d->unseen += size_of(d, &buf);
	vbs_ring_push(&d->g->ring, &buf, len);
	step_end(d, FEW);
}

enum answer {
	NO,
	YES,
	ANY,
};

static enum answer split_interrupt(struct device *d)
{
	const struct guest_ring *g = d->g;
	u16 event, i;

	if (!g->ring.event_idx)
		return from16(g->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT ?
			NO : YES;
	if (!d->signalled) {
		d->signalled = true;
		return YES;
	}
	event = from16(g->avail->ring[g->num]);
	for (i = d->published; i != d->used; i++)
		if (i == event)
			return YES;
	return NO;
}

static enum answer packed_interrupt(const struct device *d)
{
	const struct guest_ring *g = d->g;
	u16 flags = le16_to_cpu(g->driver->flags);
	u16 event = le16_to_cpu(g->driver->off_wrap);

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return NO;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !g->ring.event_idx)
		return YES;
	/* No place, or the driver has let go of what it has not seen. */
	if ((event & ~GUEST_WRAP) >= g->num || d->unseen > g->num)
		return ANY;
	return guest_pos_between(g, event, d->published, d->used) ? YES : NO;
}

void device_publish(struct device *d)
{
	bool packed = d->g->ring.packed, ret;
	enum answer answer = NO;

	step_begin(d);
	if (d->used != d->published) {
		answer = packed ? packed_interrupt(d) : split_interrupt(d);
		if (packed)
			want.packed_desc[d->published & ~GUEST_WRAP].flags =
				cpu_to_le16(d->first_flags);
		else
			want.used.idx = to16(d->used);
		d->published = d->used;
		d->elem = d->used;
	}
	d->unseen = 0;
	ret = vbs_ring_publish(&d->g->ring);
	step_end(d, FEW);
	REQUIRE(d->raced || answer == ANY || ret == (answer == YES));
}

/* ---- kicks ---- */

static bool on_offer(const struct device *d)
{
	const struct guest_ring *g = d->g;
	u16 flags;

	if (!g->ring.packed)
		return from16(g->avail->idx) != d->avail;
	flags = le16_to_cpu(g->packed_desc[d->avail & ~GUEST_WRAP].flags);
	return (flags & (1 << 7 | 1 << 15)) == guest_avail_flags(d->avail);
}

/* Nothing is on offer: who changes that, in the next place, has to kick. */
static void check_kick(struct device *d)
{
	struct guest_ring *g = d->g;
	u16 next = g->next;

	if (next != d->avail)
		return;
	g->next = g->ring.packed ? guest_pos_next(g, next) : next + 1;
	REQUIRE(guest_kicks(g, next));
	g->next = next;
}

static void check_pending(struct device *d)
{
	bool pending = on_offer(d), ret;

	step_begin(d);
	ret = vbs_ring_pending(&d->g->ring);
	step_end(d, FEW);
	REQUIRE(d->raced || ret == pending);
}

void device_enable_kick(struct device *d)
{
	const struct guest_ring *g = d->g;
	__virtio16 pos = to16(d->avail);
	bool pending, ret;

	if (d->dead)
		return;
	check_pending(d);
	pending = on_offer(d);
	step_begin(d);
	if (g->ring.packed && g->ring.event_idx) {
		want.device.off_wrap = cpu_to_le16(d->avail);
		want.device.flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_DESC);
	} else if (g->ring.packed) {
		want.device.flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_ENABLE);
	} else if (g->ring.event_idx) {
		memcpy(&want.used.ring[g->num], &pos, sizeof(pos));
	} else {
		want.used.flags = 0;
	}
	ret = vbs_ring_enable_kick(&d->g->ring);
	step_end(d, FEW);
	if (d->raced)
		return;
	REQUIRE(ret == pending);
	if (!ret)
		check_kick(d);
}

void device_disable_kick(struct device *d)
{
	const struct guest_ring *g = d->g;

	if (d->dead)
		return;
	step_begin(d);
	if (g->ring.packed)
		want.device.flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!g->ring.event_idx)
		want.used.flags = to16(VRING_USED_F_NO_NOTIFY);
	vbs_ring_disable_kick(&d->g->ring);
	step_end(d, FEW);
}

/* ---- end and begin ---- */

void device_stop(struct device *d)
{
	struct guest_ring *g = d->g;
	u16 end;

	while (d->nr_work)
		device_push(d, 0, d->work[0].in_len);
	device_publish(d);
	if (d->dead)
		return;
	end = g->ring.packed ? guest_pos_add(g, d->used, d->gap) : d->used;
	REQUIRE(end == d->avail);
	REQUIRE(!d->busy);
}

void device_restart(struct device *d)
{
	u32 base = d->avail;

	if (d->dead)
		return;
	device_stop(d);
	if (d->g->ring.packed)
		base |= (u32)d->used << 16;
	REQUIRE(vbs_ring_base(&d->g->ring) == base);
	device_reset(d, base);
	REQUIRE(!d->dead);
}

/* Steps from @from to @to; more than the ring has when there are none. */
static u32 distance(const struct guest_ring *g, u16 from, u16 to)
{
	u32 n;

	for (n = 0; n <= g->num && from != to; n++)
		from = guest_pos_next(g, from);
	return n;
}

static bool can_begin(const struct guest_ring *g, u16 used, u16 avail)
{
	return (used & ~GUEST_WRAP) < g->num &&
	       (avail & ~GUEST_WRAP) < g->num &&
	       distance(g, used, avail) <= g->num;
}

void device_reset(struct device *d, u32 base)
{
	struct guest_ring *g = d->g;
	u16 avail = base, used = base;
	int ret;

	device_stop(d);
	if (g->ring.packed)
		used = base >> 16;
	ret = vbs_ring_init(&g->ring, base);
	if (g->ring.packed && !can_begin(g, used, avail)) {
		REQUIRE(ret == -VBS_RING_STATE);
		d->dead = true;
		return;
	}
	REQUIRE(!ret);
	device_begin(d, used);
	d->avail = avail;
	if (g->ring.packed)
		d->gap = distance(g, used, avail);
}

void device_number(const struct device *d, u32 num)
{
	bool packed = d->g->ring.packed, fits = num >= 1 && num <= 1024;
	int err = (__s16)num;
	bool known = err < 0 && err > -VBS_RING_NR_ERRORS;

	REQUIRE(!strcmp(vbs_ring_strerror(err), "unknown") == !known);
	REQUIRE(vbs_ring_valid_num(num, packed) ==
		(fits && (packed || __builtin_popcount(num) == 1)));
	REQUIRE(vbs_ring_first_base(packed) == (packed ? 0x80008000 : 0));
}
