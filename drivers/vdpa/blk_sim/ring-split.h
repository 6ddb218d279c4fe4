/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The split virtqueue: what is done for each chain, in line where it is used.
 * VIRTIO_F_VERSION_1 is always negotiated, so every field is little endian.
 * Included by ring.h; ring-split.c has the rest.
 */
#ifndef VBS_RING_SPLIT_H
#define VBS_RING_SPLIT_H

#include <linux/compiler.h>
#include <linux/virtio_byteorder.h>
#include <asm/barrier.h>

static inline u16 split_get16(const __virtio16 *p)
{
	return __virtio16_to_cpu(true, READ_ONCE(*p));
}

static inline u32 split_get32(const __virtio32 *p)
{
	return __virtio32_to_cpu(true, READ_ONCE(*p));
}

static inline u64 split_get64(const __virtio64 *p)
{
	return __virtio64_to_cpu(true, READ_ONCE(*p));
}

static inline void split_put16(__virtio16 *p, u16 val)
{
	WRITE_ONCE(*p, __cpu_to_virtio16(true, val));
}

/*
 * Linux drivers build indirect tables longer than the virtqueue, which section
 * 2.7.5.3.1 forbids; VBS_RING_MAX is the limit for all of them.
 */
static inline int split_walk_indirect(struct vbs_mem *mem,
				      struct vbs_chain *chain,
				      struct vbs_walk *walk, u64 iova,
				      u32 size)
{
	u32 num = size / sizeof(struct vring_desc);
	const struct vring_desc *desc;
	const void *table;
	u16 flags, i = 0;
	bool in_place;
	u32 n, len;
	int err;

	if (!num || num > VBS_RING_MAX || size % sizeof(*desc))
		return -VBS_RING_INDIRECT_LEN;

	in_place = vbs_mem_peek(mem, iova, size, &table);
	for (n = 0; n < num; n++) {
		if (likely(in_place))
			desc = table + i * sizeof(*desc);
		else if (!vbs_mem_read(mem, iova + i * sizeof(*desc),
				       &chain->copy, sizeof(*desc)))
			desc = &chain->copy;
		else
			return -VBS_RING_INDIRECT_FAULT;
		flags = split_get16(&desc->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return -VBS_RING_INDIRECT_FLAGS;

		/* There may be others before the table. */
		len = split_get32(&desc->len);
		if (len && walk->next == &chain->segs[VBS_RING_MAX])
			return -VBS_RING_LOOP;
		err = vbs_chain_add(chain, walk, split_get64(&desc->addr), len,
				    flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = split_get16(&desc->next);
		if (i >= num)
			return -VBS_RING_NEXT;
	}
	return -VBS_RING_LOOP;
}

static inline int split_walk_chain(const struct vbs_ring *ring,
				   struct vbs_mem *mem,
				   struct vbs_chain *chain,
				   struct vbs_walk *walk)
{
	const struct vring_desc *desc;
	u16 flags, i = chain->buf.head;
	u32 len, n;
	u64 iova;
	int err;

	for (n = 0; n < ring->num; n++) {
		desc = &ring->desc[i];
		iova = split_get64(&desc->addr);
		len = split_get32(&desc->len);
		flags = split_get16(&desc->flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect)
				return -VBS_RING_INDIRECT_FEATURE;
			/* Section 2.7.5.3.1: never both. */
			if (flags & VRING_DESC_F_NEXT)
				return -VBS_RING_INDIRECT_FLAGS;
			return split_walk_indirect(mem, chain, walk, iova, len);
		}

		err = vbs_chain_add(chain, walk, iova, len,
				    flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = split_get16(&desc->next);
		if (i >= ring->num)
			return -VBS_RING_NEXT;
	}
	return -VBS_RING_LOOP;
}

static inline int vbs_split_pop(struct vbs_ring *ring, struct vbs_mem *mem,
				struct vbs_chain *chain)
{
	struct vbs_walk walk;
	u16 idx, room;
	int err;

	if (ring->last_avail == ring->avail_idx) {
		idx = split_get16(&ring->avail->idx);
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

	chain->buf.head = split_get16(&ring->avail->ring[ring->last_avail &
						   (ring->num - 1)]);
	if (chain->buf.head >= ring->num)
		return -VBS_RING_HEAD;
	vbs_chain_begin(chain, &walk);
	err = split_walk_chain(ring, mem, chain, &walk);
	if (err)
		return err;
	vbs_chain_end(chain, &walk);

	ring->last_avail++;
	return 1;
}

static inline void vbs_split_push(struct vbs_ring *ring,
				  const struct vbs_buf *buf, u32 len)
{
	struct vring_used_elem *elem;

	elem = &ring->used->ring[ring->used_elem & (ring->num - 1)];
	WRITE_ONCE(elem->id, __cpu_to_virtio32(true, buf->head));
	WRITE_ONCE(elem->len, __cpu_to_virtio32(true, len));
	WRITE_ONCE(ring->used_idx, ring->used_idx + 1);
	if (!vbs_ring_skips(ring, buf, len))
		ring->used_elem = ring->used_idx;
}

#endif /* VBS_RING_SPLIT_H */
