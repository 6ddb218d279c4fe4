// SPDX-License-Identifier: GPL-2.0-only
/* The split virtqueue, device side. */
#include "ring.h"

/* Section 2.7.7.2: used_event stands behind the avail ring. */
static const __virtio16 *used_event(const struct vbs_ring *ring)
{
	return &ring->avail->ring[ring->num];
}

/* Section 2.7.10: avail_event stands behind the used ring. */
static __virtio16 *avail_event(const struct vbs_ring *ring)
{
	return (__virtio16 *)&ring->used->ring[ring->num];
}

bool vbs_split_publish(struct vbs_ring *ring)
{
	u16 old = ring->used_published;

	/*
	 * Data, status and used entries before the index; pairs with the
	 * driver's barrier after it loads used->idx (section 2.7.14).
	 */
	virt_wmb();
	split_put16(&ring->used->idx, ring->used_idx);
	ring->used_published = ring->used_idx;
	ring->used_elem = ring->used_idx;

	/*
	 * The index before we look whether an interrupt is wanted; pairs with
	 * the driver's barrier between asking for one and looking at used->idx
	 * again (section 2.7.7.1).
	 */
	virt_mb();
	if (!ring->event_idx)
		return !(split_get16(&ring->avail->flags) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	if (!ring->signalled) {
		/* used_event may be from before the start: no comparison. */
		ring->signalled = true;
		return true;
	}
	return vring_need_event(split_get16(used_event(ring)), ring->used_idx,
				old);
}

void vbs_split_disable_kick(struct vbs_ring *ring)
{
	/* With EVENT_IDX a stale avail_event does it. */
	if (!ring->event_idx)
		split_put16(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool vbs_split_pending(const struct vbs_ring *ring)
{
	return split_get16(&ring->avail->idx) != ring->last_avail;
}

bool vbs_split_enable_kick(struct vbs_ring *ring)
{
	if (ring->event_idx)
		split_put16(avail_event(ring), ring->last_avail);
	else
		split_put16(&ring->used->flags, 0);
	/*
	 * The wish for a kick before the last look at the index; pairs with
	 * the driver's barrier between storing avail->idx and looking whether
	 * to kick (section 2.7.13.4.1).
	 */
	virt_mb();
	return vbs_split_pending(ring);
}
