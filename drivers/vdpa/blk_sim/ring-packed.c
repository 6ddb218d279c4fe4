// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed virtqueue, device side: one ring, in which used descriptors take
 * the place of those that were made available.
 */
#include "ring.h"

bool vbs_packed_valid_base(const struct vbs_ring *ring, u32 base)
{
	u16 avail = base, used = base >> 16;

	return packed_pos_index(avail) < ring->num &&
	       packed_pos_index(used) < ring->num &&
	       packed_pos_distance(ring, used, avail) <= ring->num;
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
