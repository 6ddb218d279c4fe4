// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed virtqueue, device side: one ring, in which used descriptors take
 * the place of those that were made available.
 */
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/virtio_byteorder.h>
#include <asm/barrier.h>

#include "ring.h"

#define F_AVAIL		BIT(VRING_PACKED_DESC_F_AVAIL)
#define F_USED		BIT(VRING_PACKED_DESC_F_USED)
#define POS_WRAP	BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

static u16 get16(const __le16 *p)
{
	return le16_to_cpu(READ_ONCE(*p));
}

static void put16(__le16 *p, u16 val)
{
	WRITE_ONCE(*p, cpu_to_le16(val));
}

/* ---- places in the ring ---- */

static u16 pos_index(u16 pos)
{
	return pos & ~POS_WRAP;
}

static u16 pos_add(const struct vbs_ring *ring, u16 pos, u16 n)
{
	u16 index = pos_index(pos) + n;

	if (index < ring->num)
		return pos + n;
	return (~pos & POS_WRAP) | (index - ring->num);
}

/* As many places lie between them as the ring has. */
static bool is_round(u16 from, u16 to)
{
	return (from ^ to) == POS_WRAP;
}

static struct vring_packed_desc *desc_at(const struct vbs_ring *ring, u16 pos)
{
	return &ring->packed_desc[pos_index(pos)];
}

/* More than the ring's size when @to is before @from. */
static u16 pos_distance(const struct vbs_ring *ring, u16 from, u16 to)
{
	u16 n = pos_index(to) - pos_index(from);

	return (from ^ to) & POS_WRAP ? n + ring->num : n;
}

bool vbs_packed_valid_base(const struct vbs_ring *ring, u32 base)
{
	u16 avail = base, used = base >> 16;

	return pos_index(avail) < ring->num && pos_index(used) < ring->num &&
	       pos_distance(ring, used, avail) <= ring->num;
}

/* Section 2.8.1: AVAIL is the driver's wrap counter, USED its inverse. */
static bool is_avail(u16 flags, u16 pos)
{
	u16 shown = pos & POS_WRAP ? F_AVAIL : F_USED;

	return (flags & (F_AVAIL | F_USED)) == shown;
}

/* Section 2.8.1: both are the device's wrap counter. */
static u16 used_flags(u16 pos)
{
	return pos & POS_WRAP ? F_AVAIL | F_USED : 0;
}

/* ---- chains ---- */

static_assert(sizeof(struct vbs_seg) == sizeof(struct vring_packed_desc),
	      "a table is copied to where its segments go");

/*
 * Section 2.8.7: the descriptors stand one behind the other, and nothing but
 * WRITE has a meaning in their flags.
 */
static int walk_indirect(struct vbs_mem *mem, struct vbs_chain *chain,
			 struct vbs_walk *walk, u64 table, u32 size)
{
	const struct vring_packed_desc *desc, *end;
	int err;

	if (!size || size > VBS_RING_MAX * sizeof(*desc) ||
	    size % sizeof(*desc))
		return -VBS_RING_INDIRECT_LEN;

	desc = vbs_mem_peek(mem, table, size);
	if (unlikely(!desc)) {
		/*
		 * The only descriptor of a chain: no segment is there yet, and
		 * none takes the place of a descriptor that is still to come.
		 */
		if (vbs_mem_read(mem, table, chain->segs, size))
			return -VBS_RING_INDIRECT_FAULT;
		desc = (const void *)chain->segs;
	}
	end = (const void *)desc + size;
	for (; desc != end; desc++) {
		err = vbs_chain_add(chain, walk,
				    le64_to_cpu(READ_ONCE(desc->addr)),
				    le32_to_cpu(READ_ONCE(desc->len)),
				    get16(&desc->flags) & VRING_DESC_F_WRITE);
		if (err)
			return err;
	}
	return 0;
}

int vbs_packed_pop(struct vbs_ring *ring, struct vbs_mem *mem,
		   struct vbs_chain *chain)
{
	struct vring_packed_desc *desc;
	struct vbs_walk walk;
	u16 pos = ring->last_avail;
	u16 flags, used, n = 1;
	u64 iova;
	u32 len;
	int err;

	desc = desc_at(ring, pos);
	flags = get16(&desc->flags);
	if (!is_avail(flags, pos))
		return 0;
	/*
	 * All else of the chain only after the flags that show it; pairs with
	 * the driver's barrier before it stores the first descriptor's flags
	 * (section 2.8.21.1.1).  And our used index after them, for the driver
	 * may have made room for this chain just before.
	 */
	virt_rmb();
	used = READ_ONCE(ring->used_idx);
	if (is_round(used, pos))
		return -VBS_RING_FULL;

	vbs_chain_begin(chain, &walk);
	for (;;) {
		iova = le64_to_cpu(READ_ONCE(desc->addr));
		len = le32_to_cpu(READ_ONCE(desc->len));
		pos = pos_add(ring, pos, 1);
		if (flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect)
				return -VBS_RING_INDIRECT_FEATURE;
			/* Section 2.8.19: never in a list. */
			if (n > 1 || flags & VRING_DESC_F_NEXT)
				return -VBS_RING_INDIRECT_FLAGS;
			err = walk_indirect(mem, chain, &walk, iova, len);
		} else {
			err = vbs_chain_add(chain, &walk, iova, len,
					    flags & VRING_DESC_F_WRITE);
		}
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		if (is_round(used, pos))
			return -VBS_RING_LOOP;
		n++;
		desc = desc_at(ring, pos);
		flags = get16(&desc->flags);
	}
	vbs_chain_end(chain, &walk);
	/* Section 2.8.6: the last one has the buffer's ID. */
	chain->buf.head = get16(&desc->id);
	chain->buf.nr_descs = n;
	ring->last_avail = pos;
	return 1;
}

/* ---- used descriptors ---- */

/*
 * The driver looks at the first descriptor that it has not seen used, and goes
 * on from there: when its flags are stored last, nobody looks at the others.
 */
void vbs_packed_push(struct vbs_ring *ring, const struct vbs_buf *buf, u32 len)
{
	u16 pos = ring->used_elem;
	struct vring_packed_desc *desc = desc_at(ring, pos);
	u16 flags = used_flags(pos) | (len ? VRING_DESC_F_WRITE : 0);

	WRITE_ONCE(desc->id, cpu_to_le16(buf->head));
	WRITE_ONCE(desc->len, cpu_to_le32(len));
	if (pos == ring->used_published)
		ring->first_flags = flags;
	else
		put16(&desc->flags, flags);

	WRITE_ONCE(ring->used_idx,
		   pos_add(ring, ring->used_idx, buf->nr_descs));
	if (!vbs_ring_skips(ring, buf, len))
		ring->used_elem = ring->used_idx;
}

/* Was one of the descriptors from @old to @new the one to be told of? */
static bool need_event(const struct vbs_ring *ring, u16 event, u16 new, u16 old)
{
	u16 index = pos_index(event), end = pos_index(new);

	/* It is of the turn before this one, or of a turn to come. */
	if ((event ^ new) & POS_WRAP)
		index -= ring->num;
	return vring_need_event(index, end,
				end - pos_distance(ring, old, new));
}

bool vbs_packed_publish(struct vbs_ring *ring)
{
	u16 old = ring->used_published, new = ring->used_idx;
	u16 flags;

	/*
	 * Data, status and all used descriptors before the flags of the first;
	 * pairs with the driver's barrier after it loads them (section
	 * 2.8.22).
	 */
	virt_wmb();
	put16(&desc_at(ring, old)->flags, ring->first_flags);
	ring->used_published = new;
	ring->used_elem = new;

	/*
	 * The flags before we look whether an interrupt is wanted; pairs with
	 * the driver's barrier between asking for one and looking at the next
	 * descriptor again (section 2.8.22).
	 */
	virt_mb();
	flags = get16(&ring->driver->flags);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* Pairs with the driver's barrier between the place and the flags. */
	virt_rmb();
	return need_event(ring, get16(&ring->driver->off_wrap), new, old);
}

/* ---- kicks ---- */

void vbs_packed_disable_kick(struct vbs_ring *ring)
{
	put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

bool vbs_packed_pending(const struct vbs_ring *ring)
{
	u16 pos = ring->last_avail;

	return is_avail(get16(&desc_at(ring, pos)->flags), pos);
}

bool vbs_packed_enable_kick(struct vbs_ring *ring)
{
	u16 pos = ring->last_avail;

	if (ring->event_idx) {
		put16(&ring->device->off_wrap, pos);
		/* Pairs with the driver's barrier between flags and place. */
		virt_wmb();
		put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	/*
	 * The wish for a kick before the last look at the ring; pairs with the
	 * driver's barrier between storing flags and looking whether to kick
	 * (section 2.8.21.3.1).
	 */
	virt_mb();
	return vbs_packed_pending(ring);
}
