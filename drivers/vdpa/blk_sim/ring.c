// SPDX-License-Identifier: GPL-2.0-only
/* What split and packed virtqueues have in common. */
#include "ring.h"

int vbs_ring_init(struct vbs_ring *ring, u32 base)
{
	u16 used = ring->packed ? base >> 16 : base;

	if (ring->packed && !vbs_packed_valid_base(ring, base))
		return -VBS_RING_STATE;
	ring->last_avail = base;
	ring->avail_idx = base;
	ring->used_idx = used;
	ring->used_published = used;
	ring->used_elem = used;
	ring->signalled = false;
	return 0;
}

const char *vbs_ring_strerror(int err)
{
	static const char * const text[VBS_RING_NR_ERRORS] = {
		[VBS_RING_AVAIL_IDX] = "avail index jumps past the ring",
		[VBS_RING_HEAD] = "avail entry is no descriptor",
		[VBS_RING_NEXT] = "next is no descriptor",
		[VBS_RING_LOOP] = "descriptor chain loops or is too long",
		[VBS_RING_ORDER] = "readable descriptor behind a writable one",
		[VBS_RING_INDIRECT_FEATURE] = "indirect descriptor without the feature",
		[VBS_RING_INDIRECT_FLAGS] = "indirect descriptor is nested or has NEXT",
		[VBS_RING_INDIRECT_LEN] = "bad length of an indirect table",
		[VBS_RING_INDIRECT_FAULT] = "indirect table is not mapped",
		[VBS_RING_FULL] = "descriptor is available again before it was used",
		[VBS_RING_STATE] = "saved state is no place in the ring",
	};

	if (err >= 0 || -err >= VBS_RING_NR_ERRORS)
		return "unknown";
	return text[-err];
}
