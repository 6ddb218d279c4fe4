// SPDX-License-Identifier: GPL-2.0-only
/*
 * The split virtqueue, device side.  VIRTIO_F_VERSION_1 is always negotiated,
 * so every field is little endian.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/virtio_byteorder.h>
#include <asm/barrier.h>

#include "ring.h"

static u16 get16(const __virtio16 *p)
{
	return __virtio16_to_cpu(true, READ_ONCE(*p));
}

static u32 get32(const __virtio32 *p)
{
	return __virtio32_to_cpu(true, READ_ONCE(*p));
}

static u64 get64(const __virtio64 *p)
{
	return __virtio64_to_cpu(true, READ_ONCE(*p));
}

static void put16(__virtio16 *p, u16 val)
{
	WRITE_ONCE(*p, __cpu_to_virtio16(true, val));
}

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

/*
 * Linux drivers build indirect tables longer than the virtqueue, which section
 * 2.7.5.3.1 forbids; VBS_RING_MAX is the limit for all of them.
 */
static int walk_indirect(struct vbs_mem *mem, struct vbs_chain *chain,
			 struct vbs_walk *walk, u64 iova, u32 size)
{
	u32 num = size / sizeof(struct vring_desc);
	const struct vring_desc *table, *desc;
	u16 flags, i = 0;
	u32 n;
	int err;

	if (!num || num > VBS_RING_MAX || size % sizeof(*desc))
		return -VBS_RING_INDIRECT_LEN;

	table = vbs_mem_peek(mem, iova, size);
	for (n = 0; n < num; n++) {
		if (likely(table))
			desc = &table[i];
		else if (!vbs_mem_read(mem, iova + i * sizeof(*desc),
				       &chain->copy, sizeof(*desc)))
			desc = &chain->copy;
		else
			return -VBS_RING_INDIRECT_FAULT;
		flags = get16(&desc->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return -VBS_RING_INDIRECT_FLAGS;

		err = vbs_chain_add(chain, walk, get64(&desc->addr),
				    get32(&desc->len),
				    flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = get16(&desc->next);
		if (i >= num)
			return -VBS_RING_NEXT;
	}
	return -VBS_RING_LOOP;
}

static int walk_chain(struct vbs_ring *ring, struct vbs_mem *mem,
		      struct vbs_chain *chain, struct vbs_walk *walk)
{
	const struct vring_desc *desc;
	u16 flags, i = chain->buf.head;
	u32 len, n;
	u64 iova;
	int err;

	for (n = 0; n < ring->num; n++) {
		desc = &ring->desc[i];
		iova = get64(&desc->addr);
		len = get32(&desc->len);
		flags = get16(&desc->flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect)
				return -VBS_RING_INDIRECT_FEATURE;
			/* Section 2.7.5.3.1: never both. */
			if (flags & VRING_DESC_F_NEXT)
				return -VBS_RING_INDIRECT_FLAGS;
			return walk_indirect(mem, chain, walk, iova, len);
		}

		err = vbs_chain_add(chain, walk, iova, len,
				    flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = get16(&desc->next);
		if (i >= ring->num)
			return -VBS_RING_NEXT;
	}
	return -VBS_RING_LOOP;
}

int vbs_split_pop(struct vbs_ring *ring, struct vbs_mem *mem,
		  struct vbs_chain *chain)
{
	struct vbs_walk walk;
	u16 idx, room;
	int err;

	if (ring->last_avail == ring->avail_idx) {
		idx = get16(&ring->avail->idx);
		if (idx == ring->last_avail)
			return 0;
		/*
		 * Entries and descriptors only after the index that covers
		 * them; pairs with the driver's barrier before it stores
		 * avail->idx (section 2.7.13.3.1).  And our used index after
		 * it, for the driver may have made room for this entry just
		 * before.  Counted from where we are: an index that went back
		 * would have more chains at work than there are entries.
		 */
		virt_rmb();
		room = ring->num - (u16)(ring->last_avail -
					 READ_ONCE(ring->used_idx));
		if ((u16)(idx - ring->last_avail) > room)
			return -VBS_RING_AVAIL_IDX;
		ring->avail_idx = idx;
	}

	chain->buf.head = get16(&ring->avail->ring[ring->last_avail &
						   (ring->num - 1)]);
	if (chain->buf.head >= ring->num)
		return -VBS_RING_HEAD;
	vbs_chain_begin(chain, &walk);
	err = walk_chain(ring, mem, chain, &walk);
	if (err)
		return err;
	vbs_chain_end(chain, &walk);

	ring->last_avail++;
	return 1;
}

void vbs_split_push(struct vbs_ring *ring, const struct vbs_buf *buf, u32 len)
{
	struct vring_used_elem *elem;

	elem = &ring->used->ring[ring->used_elem & (ring->num - 1)];
	WRITE_ONCE(elem->id, __cpu_to_virtio32(true, buf->head));
	WRITE_ONCE(elem->len, __cpu_to_virtio32(true, len));
	WRITE_ONCE(ring->used_idx, ring->used_idx + 1);
	if (!vbs_ring_skips(ring, buf, len))
		ring->used_elem = ring->used_idx;
}

bool vbs_split_publish(struct vbs_ring *ring)
{
	u16 old = ring->used_published;

	/*
	 * Data, status and used entries before the index; pairs with the
	 * driver's barrier after it loads used->idx (section 2.7.14).
	 */
	virt_wmb();
	put16(&ring->used->idx, ring->used_idx);
	ring->used_published = ring->used_idx;
	ring->used_elem = ring->used_idx;

	/*
	 * The index before we look whether an interrupt is wanted; pairs with
	 * the driver's barrier between asking for one and looking at used->idx
	 * again (section 2.7.7.1).
	 */
	virt_mb();
	if (!ring->event_idx)
		return !(get16(&ring->avail->flags) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	if (!ring->signalled) {
		/* used_event may be from before the start: no comparison. */
		ring->signalled = true;
		return true;
	}
	return vring_need_event(get16(used_event(ring)), ring->used_idx, old);
}

void vbs_split_disable_kick(struct vbs_ring *ring)
{
	/* With EVENT_IDX a stale avail_event does it. */
	if (!ring->event_idx)
		put16(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool vbs_split_pending(const struct vbs_ring *ring)
{
	return get16(&ring->avail->idx) != ring->last_avail;
}

bool vbs_split_enable_kick(struct vbs_ring *ring)
{
	if (ring->event_idx)
		put16(avail_event(ring), ring->last_avail);
	else
		put16(&ring->used->flags, 0);
	/*
	 * The wish for a kick before the last look at the index; pairs with
	 * the driver's barrier between storing avail->idx and looking whether
	 * to kick (section 2.7.13.4.1).
	 */
	virt_mb();
	return vbs_split_pending(ring);
}
