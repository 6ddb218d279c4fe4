/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packed virtqueue: what is done for each chain, in line where it is used.
 * Included by ring.h; ring-packed.c has the rest.
 */
#ifndef VBS_RING_PACKED_H
#define VBS_RING_PACKED_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/virtio_byteorder.h>
#include <asm/barrier.h>

#define PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	BIT(VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP	BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

static inline u16 packed_get16(const __le16 *p)
{
	return le16_to_cpu(READ_ONCE(*p));
}

static inline void packed_put16(__le16 *p, u16 val)
{
	WRITE_ONCE(*p, cpu_to_le16(val));
}

/* ---- places in the ring ---- */

static inline unsigned int packed_pos_index(unsigned int pos)
{
	return pos & (PACKED_WRAP - 1);
}

static inline unsigned int packed_pos_add(const struct vbs_ring *ring,
					  unsigned int pos, unsigned int n)
{
	unsigned int index = packed_pos_index(pos) + n;

	if (likely(index < ring->num))
		return pos + n;
	return (~pos & PACKED_WRAP) | (index - ring->num);
}

/* As many places lie between them as the ring has. */
static inline bool packed_is_round(unsigned int from, unsigned int to)
{
	return (from ^ to) == PACKED_WRAP;
}

/* More than the ring's size when @to is before @from. */
static inline u16 packed_pos_distance(const struct vbs_ring *ring, u16 from,
				      u16 to)
{
	u16 n = packed_pos_index(to) - packed_pos_index(from);

	return (from ^ to) & PACKED_WRAP ? n + ring->num : n;
}

static inline struct vring_packed_desc *
packed_desc_at(const struct vbs_ring *ring, unsigned int pos)
{
	return &ring->packed_desc[packed_pos_index(pos)];
}

/* Section 2.8.1: AVAIL is the driver's wrap counter, USED its inverse. */
static inline bool packed_is_avail(unsigned int flags, unsigned int pos)
{
	unsigned int shown = pos & PACKED_WRAP ? PACKED_AVAIL : PACKED_USED;

	return (flags & (PACKED_AVAIL | PACKED_USED)) == shown;
}

/* Section 2.8.1: both are the device's wrap counter. */
static inline unsigned int packed_used_flags(unsigned int pos)
{
	return pos & PACKED_WRAP ? PACKED_AVAIL | PACKED_USED : 0;
}

/* ---- chains ---- */

static_assert(sizeof(struct vbs_seg) == sizeof(struct vring_packed_desc),
	      "a table is copied to where its segments go");

/*
 * Section 2.8.7: the descriptors stand one behind the other, and nothing but
 * WRITE has a meaning in their flags.
 */
static inline int packed_walk_table(struct vbs_mem *mem,
				    struct vbs_chain *chain,
				    u64 table, u32 size)
{
	const struct vring_packed_desc *desc, *end;
	struct vbs_walk walk;
	const void *va;
	int err;

	if (!size || size > VBS_RING_MAX * sizeof(*desc) ||
	    size % sizeof(*desc))
		return -VBS_RING_INDIRECT_LEN;

	if (unlikely(!vbs_mem_peek(mem, table, size, &va))) {
		/* No segment takes the place of a descriptor to come. */
		if (vbs_mem_read(mem, table, chain->segs, size))
			return -VBS_RING_INDIRECT_FAULT;
		va = chain->segs;
	}
	vbs_chain_begin(chain, &walk);
	end = va + size;
	for (desc = va; desc != end; desc++) {
		err = vbs_chain_add(chain, &walk,
				    le64_to_cpu(READ_ONCE(desc->addr)),
				    le32_to_cpu(READ_ONCE(desc->len)),
				    packed_get16(&desc->flags) &
				    VRING_DESC_F_WRITE);
		if (err)
			return err;
	}
	vbs_chain_end(chain, &walk);
	return 0;
}

/* As vbs_packed_walk_list(): one, as far as the ring is concerned. */
static inline int packed_walk_indirect(const struct vbs_ring *ring,
				       struct vbs_mem *mem,
				       struct vbs_chain *chain,
				       const struct vring_packed_desc *desc,
				       unsigned int flags)
{
	int err;

	if (!ring->indirect || flags & VRING_DESC_F_NEXT)
		return vbs_packed_refuse(ring);
	err = packed_walk_table(mem, chain, le64_to_cpu(READ_ONCE(desc->addr)),
				le32_to_cpu(READ_ONCE(desc->len)));
	if (err)
		return err;
	chain->buf.head = packed_get16(&desc->id);
	return 1;
}

static inline int vbs_packed_pop(struct vbs_ring *ring, struct vbs_mem *mem,
				 struct vbs_chain *chain)
{
	unsigned int pos = ring->last_avail, flags, used;
	const struct vring_packed_desc *desc = packed_desc_at(ring, pos);
	int n;

	flags = packed_get16(&desc->flags);
	if (!packed_is_avail(flags, pos))
		return 0;
	/*
	 * All else of the chain only after the flags that show it; pairs with
	 * the driver's barrier before it stores the first descriptor's flags
	 * (section 2.8.21.1.1).  And our used index after them, for the driver
	 * may have made room for this chain just before.
	 */
	virt_rmb();
	used = READ_ONCE(ring->used_idx);
	if (packed_is_round(used, pos))
		return -VBS_RING_FULL;

	if (likely(flags & VRING_DESC_F_INDIRECT))
		n = packed_walk_indirect(ring, mem, chain, desc, flags);
	else
		n = vbs_packed_walk_list(ring, chain, pos, flags, used);
	if (unlikely(n < 0))
		return n;
	chain->buf.nr_descs = n;
	ring->last_avail = packed_pos_add(ring, pos, n);
	return 1;
}

/* ---- used descriptors ---- */

/*
 * The driver looks at the first descriptor that it has not seen used, and goes
 * on from there: when its flags are stored last, nobody looks at the others.
 */
static inline void vbs_packed_push(struct vbs_ring *ring,
				   const struct vbs_buf *buf, u32 len)
{
	unsigned int pos = ring->used_elem;
	struct vring_packed_desc *desc = packed_desc_at(ring, pos);
	unsigned int flags = packed_used_flags(pos) |
			     (len ? VRING_DESC_F_WRITE : 0);

	WRITE_ONCE(desc->id, cpu_to_le16(buf->head));
	WRITE_ONCE(desc->len, cpu_to_le32(len));
	if (pos == ring->used_published)
		ring->first_flags = flags;
	else
		packed_put16(&desc->flags, flags);

	WRITE_ONCE(ring->used_idx,
		   packed_pos_add(ring, ring->used_idx, buf->nr_descs));
	if (!vbs_ring_skips(ring, buf, len))
		ring->used_elem = ring->used_idx;
}

/* ---- interrupts ---- */

/* Was one of the descriptors from @old to @new the one to be told of? */
static inline bool packed_need_event(const struct vbs_ring *ring, u16 event,
				     u16 new, u16 old)
{
	u16 index = packed_pos_index(event), end = packed_pos_index(new);

	/* It is of the turn before this one, or of a turn to come. */
	if ((event ^ new) & PACKED_WRAP)
		index -= ring->num;
	return vring_need_event(index, end,
				end - packed_pos_distance(ring, old, new));
}

static inline bool vbs_packed_publish(struct vbs_ring *ring)
{
	u16 old = ring->used_published, new = ring->used_idx;
	u16 flags;

	/*
	 * Data, status and all used descriptors before the flags of the first;
	 * pairs with the driver's barrier after it loads them (section
	 * 2.8.22).
	 */
	virt_wmb();
	packed_put16(&packed_desc_at(ring, old)->flags, ring->first_flags);
	ring->used_published = new;
	ring->used_elem = new;

	/*
	 * The flags before we look whether an interrupt is wanted; pairs with
	 * the driver's barrier between asking for one and looking at the next
	 * descriptor again (section 2.8.22).
	 */
	virt_mb();
	flags = packed_get16(&ring->driver->flags);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* Pairs with the driver's barrier between the place and the flags. */
	virt_rmb();
	return packed_need_event(ring, packed_get16(&ring->driver->off_wrap),
				 new, old);
}

#endif /* VBS_RING_PACKED_H */
