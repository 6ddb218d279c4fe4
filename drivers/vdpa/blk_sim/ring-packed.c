// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed virtqueue, device side: one ring, in which used descriptors take
 * the place of those that were made available.
 */
#include "ring.h"

/* More than the ring's size when @to is before @from. */
static u16 pos_distance(const struct vbs_ring *ring, u16 from, u16 to)
{
	u16 n = packed_pos_index(to) - packed_pos_index(from);

	return (from ^ to) & PACKED_WRAP ? n + ring->num : n;
}

bool vbs_packed_valid_base(const struct vbs_ring *ring, u32 base)
{
	u16 avail = base, used = base >> 16;

	return packed_pos_index(avail) < ring->num &&
	       packed_pos_index(used) < ring->num &&
	       pos_distance(ring, used, avail) <= ring->num;
}

int vbs_packed_refuse(const struct vbs_ring *ring)
{
	return ring->indirect ? -VBS_RING_INDIRECT_FLAGS :
				-VBS_RING_INDIRECT_FEATURE;
}

int vbs_packed_walk_list(const struct vbs_ring *ring, struct vbs_chain *chain,
			 unsigned int pos, unsigned int flags,
			 unsigned int used)
{
	const struct vring_packed_desc *desc = packed_desc_at(ring, pos);
	struct vbs_walk walk;
	int err, n;

	vbs_chain_begin(chain, &walk);
	for (n = 1; ; n++) {
		if (flags & VRING_DESC_F_INDIRECT)
			return vbs_packed_refuse(ring);
		err = vbs_chain_add(chain, &walk,
				    le64_to_cpu(READ_ONCE(desc->addr)),
				    le32_to_cpu(READ_ONCE(desc->len)),
				    flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		pos = packed_pos_add(ring, pos, 1);
		if (packed_is_round(used, pos))
			return -VBS_RING_LOOP;
		desc = packed_desc_at(ring, pos);
		flags = packed_get16(&desc->flags);
	}
	vbs_chain_end(chain, &walk);
	/* Section 2.8.6: the last one has the buffer's ID. */
	chain->buf.head = packed_get16(&desc->id);
	return n;
}

/* Was one of the descriptors from @old to @new the one to be told of? */
static bool need_event(const struct vbs_ring *ring, u16 event, u16 new, u16 old)
{
	u16 index = packed_pos_index(event), end = packed_pos_index(new);

	/* It is of the turn before this one, or of a turn to come. */
	if ((event ^ new) & PACKED_WRAP)
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
	return need_event(ring, packed_get16(&ring->driver->off_wrap), new, old);
}

/* ---- kicks ---- */

void vbs_packed_disable_kick(struct vbs_ring *ring)
{
	packed_put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

bool vbs_packed_pending(const struct vbs_ring *ring)
{
	u16 pos = ring->last_avail;

	return packed_is_avail(packed_get16(&packed_desc_at(ring, pos)->flags),
			       pos);
}

bool vbs_packed_enable_kick(struct vbs_ring *ring)
{
	u16 pos = ring->last_avail;

	if (ring->event_idx) {
		packed_put16(&ring->device->off_wrap, pos);
		/* Pairs with the driver's barrier between flags and place. */
		virt_wmb();
		packed_put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		packed_put16(&ring->device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	/*
	 * The wish for a kick before the last look at the ring; pairs with the
	 * driver's barrier between storing flags and looking whether to kick
	 * (section 2.8.21.3.1).
	 */
	virt_mb();
	return vbs_packed_pending(ring);
}
