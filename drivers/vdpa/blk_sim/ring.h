/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtqueue, device side, split (virtio 1.3, section 2.7) and packed (2.8),
 * and the client's memory as seen through IOVAs.
 *
 * Nothing here knows about block devices, allocates, locks or sleeps.  Two
 * may work on a ring at once: one that takes chains (pop, enable_kick,
 * disable_kick) and one that gives them back (push, publish).  The same files
 * are built on the host for tests, which bring their own client memory.
 *
 * Everything in the ring comes from the client and may change while it is
 * read: each field is read once, and checked before it is used.
 */
#ifndef VBS_RING_H
#define VBS_RING_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/virtio_ring.h>

/* Largest virtqueue, and most descriptors in one chain, indirect ones too. */
#define VBS_RING_MAX	1024

struct vbs_mem;

/**
 * vbs_mem_read - copy from the client's memory
 * @mem: address space
 * @iova: where to read, any alignment
 * @buf: where to put it
 * @len: bytes
 *
 * Return: 0, or -EFAULT when a byte is not mapped for reading; @buf may be
 * partly written then.
 */
int vbs_mem_read(struct vbs_mem *mem, u64 iova, void *buf, u32 len);

/**
 * vbs_mem_peek - look at the client's memory where it is
 * @mem: address space
 * @iova: where
 * @len: bytes
 * @va: set to the place; who reads there uses READ_ONCE(), and looks at nothing
 *	twice
 *
 * Return: false when it is not mapped for reading, not in one piece or not
 * aligned to 8 bytes: vbs_mem_read() may still do.
 */
#ifdef __KERNEL__
#include "iova.h"
#else
bool vbs_mem_peek(struct vbs_mem *mem, u64 iova, u32 len, const void **va);
#endif

/**
 * struct vbs_seg - one piece of a request, a descriptor's address and length
 * @iova: address in the client's space, unchecked
 * @len: bytes, never 0
 */
struct vbs_seg {
	u64 iova;
	u32 len;
};

/**
 * struct vbs_buf - what has to be known of a chain to give it back
 * @head: index of its first descriptor; in a packed ring its buffer ID, which
 *	is the driver's and may be any number
 * @nr_descs: descriptors of the ring that it takes; of a packed one only
 * @in_len: bytes of its device-writable part
 */
struct vbs_buf {
	u16 head;
	u16 nr_descs;
	u64 in_len;
};

/**
 * struct vbs_chain - one descriptor chain that the driver made available
 * @buf: for vbs_ring_push()
 * @nr_out: device-readable segments, first in @segs
 * @nr_in: device-writable segments, behind them
 * @out_len: bytes of the device-readable segments
 * @copy: of an indirect table that is not in one piece, the descriptor at hand;
 *	split only
 * @segs: the segments; empty descriptors are left out
 */
struct vbs_chain {
	struct vbs_buf buf;
	u16 nr_out;
	u16 nr_in;
	u64 out_len;
	struct vring_desc copy;
	struct vbs_seg segs[VBS_RING_MAX];
};

/* Why a ring is broken; returned negated. */
enum vbs_ring_error {
	VBS_RING_AVAIL_IDX = 1,
	VBS_RING_HEAD,
	VBS_RING_NEXT,
	VBS_RING_LOOP,
	VBS_RING_ORDER,
	VBS_RING_INDIRECT_FEATURE,
	VBS_RING_INDIRECT_FLAGS,
	VBS_RING_INDIRECT_LEN,
	VBS_RING_INDIRECT_FAULT,
	VBS_RING_FULL,
	VBS_RING_STATE,
	VBS_RING_NR_ERRORS,
};

/**
 * struct vbs_ring - device side of a virtqueue
 * @desc: descriptor table, in mapped client memory
 * @avail: driver area, in mapped client memory
 * @used: device area, in mapped client memory
 * @packed_desc: descriptor ring of a packed virtqueue
 * @driver: its driver event suppression
 * @device: its device event suppression
 * @num: entries
 * @packed: VIRTIO_F_RING_PACKED was negotiated
 * @in_order: VIRTIO_F_IN_ORDER was negotiated: chains are pushed in the order
 *	in which they were taken
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC was negotiated
 * @signalled: an interrupt was asked for since the start, so used_event is
 *	comparable with @used_idx; split only
 * @last_avail: next avail entry to take; at most @num ahead of @used_idx, so
 *	that no more than @num chains are at work
 * @avail_idx: the driver's index as last read; split only
 * @used_idx: next used entry to fill
 * @used_published: used index as the driver sees it
 * @used_elem: where the next used element goes: @used_idx, or behind it when
 *	one element will do for several chains
 * @first_flags: what shows the driver all that was pushed; packed only
 *
 * Indices of a split ring count entries and wrap at 16 bits.  Those of a packed
 * ring are places in it, with their wrap counter in bit 15, as in the event
 * suppression areas.
 */
struct vbs_ring {
	union {
		const struct vring_desc *desc;
		struct vring_packed_desc *packed_desc;
	};
	union {
		const struct vring_avail *avail;
		const struct vring_packed_desc_event *driver;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device;
	};
	u16 num;
	bool packed;
	bool in_order;
	bool event_idx;
	bool indirect;
	bool signalled;
	u16 last_avail;
	u16 avail_idx;
	u16 used_idx;
	u16 used_published;
	u16 used_elem;
	u16 first_flags;
};

/**
 * vbs_ring_valid_num - may a virtqueue have this many entries?
 * @num: entries
 * @packed: is it a packed one?
 */
static inline bool vbs_ring_valid_num(u32 num, bool packed)
{
	return num && num <= VBS_RING_MAX && (packed || !(num & (num - 1)));
}

/**
 * vbs_ring_desc_size - bytes of the descriptor area
 * @ring: @num and @packed are set
 */
static inline size_t vbs_ring_desc_size(const struct vbs_ring *ring)
{
	return ring->num * (ring->packed ? sizeof(struct vring_packed_desc) :
					   sizeof(struct vring_desc));
}

/**
 * vbs_ring_avail_size - bytes of the driver area
 * @ring: @num, @packed and @event_idx are set
 */
static inline size_t vbs_ring_avail_size(const struct vbs_ring *ring)
{
	if (ring->packed)
		return sizeof(struct vring_packed_desc_event);
	return sizeof(struct vring_avail) + ring->num * sizeof(__virtio16) +
	       (ring->event_idx ? sizeof(__virtio16) : 0);
}

/**
 * vbs_ring_used_size - bytes of the device area
 * @ring: @num, @packed and @event_idx are set
 */
static inline size_t vbs_ring_used_size(const struct vbs_ring *ring)
{
	if (ring->packed)
		return sizeof(struct vring_packed_desc_event);
	return sizeof(struct vring_used) +
	       ring->num * sizeof(struct vring_used_elem) +
	       (ring->event_idx ? sizeof(__virtio16) : 0);
}

/**
 * vbs_ring_first_base - where a virtqueue begins after a reset
 * @packed: is it a packed one?
 */
static inline u32 vbs_ring_first_base(bool packed)
{
	/* Section 2.8.1: both wrap counters are 1. */
	return packed ? 1U << 31 | 1U << 15 : 0;
}

/**
 * vbs_ring_base - where to begin again with vbs_ring_init()
 * @ring: the ring
 *
 * Return: the next avail entry and, of a packed ring, the next used one in the
 * upper half: the numbers of VHOST_GET_VRING_BASE.
 */
static inline u32 vbs_ring_base(const struct vbs_ring *ring)
{
	if (ring->packed)
		return (u32)READ_ONCE(ring->used_idx) << 16 | ring->last_avail;
	return ring->last_avail;
}

/**
 * vbs_ring_init - begin, or begin again, on a ring
 * @ring: the three areas, @num and the features are set
 * @base: as from vbs_ring_base(), but from the client.  What is between the
 *	two places of a packed ring is not ours to give back; in a split ring
 *	everything before the avail entry is in the used ring
 *
 * Return: 0, or -VBS_RING_STATE when there is no such place in the ring.
 */
int vbs_ring_init(struct vbs_ring *ring, u32 base);

/**
 * struct vbs_walk - how far the walk along a chain's descriptors has come
 * @next: where the next segment goes
 * @in: the first device-writable one; NULL while there is none
 * @len: bytes of the device-readable segments, of the writable ones with @in
 */
struct vbs_walk {
	struct vbs_seg *next;
	struct vbs_seg *in;
	u64 len;
};

/**
 * vbs_chain_begin - no segments yet
 * @chain: to be filled; valid after vbs_chain_end()
 * @walk: where it begins
 */
static inline void vbs_chain_begin(struct vbs_chain *chain,
				   struct vbs_walk *walk)
{
	*walk = (struct vbs_walk){ .next = chain->segs };
}

/**
 * vbs_chain_add - add a descriptor's segment
 * @chain: the chain
 * @walk: all before it
 * @iova: the segment's address
 * @len: its length in bytes
 * @in: it is device-writable
 *
 * Sections 2.7.4.2 and 2.8.17: device-readable segments come before the writable
 * ones.  Nobody walks past VBS_RING_MAX descriptors that are not empty, which
 * bounds the segments.
 *
 * Return: 0, or the negated enum vbs_ring_error.
 */
static inline int vbs_chain_add(struct vbs_chain *chain, struct vbs_walk *walk,
				u64 iova, u32 len, bool in)
{
	if (!len)
		return 0;
	if (in && !walk->in) {
		walk->in = walk->next;
		chain->out_len = walk->len;
		walk->len = 0;
	} else if (!in && walk->in) {
		return -VBS_RING_ORDER;
	}
	walk->next->iova = iova;
	walk->next->len = len;
	walk->next++;
	walk->len += len;
	return 0;
}

/**
 * vbs_chain_end - all segments are there
 * @chain: the chain
 * @walk: all of it
 */
static inline void vbs_chain_end(struct vbs_chain *chain, struct vbs_walk *walk)
{
	if (!walk->in) {
		walk->in = walk->next;
		chain->out_len = walk->len;
		walk->len = 0;
	}
	chain->nr_out = walk->in - chain->segs;
	chain->nr_in = walk->next - walk->in;
	chain->buf.in_len = walk->len;
}

/**
 * vbs_ring_skips - will a later used element do for this chain too?
 * @ring: the ring
 * @buf: the chain
 * @len: bytes written to its device-writable part
 *
 * Sections 2.7.9 and 2.8.8: with IN_ORDER a driver takes chains without a used
 * element of their own for completely written.
 */
static inline bool vbs_ring_skips(const struct vbs_ring *ring,
				  const struct vbs_buf *buf, u32 len)
{
	return ring->in_order && len == buf->in_len;
}

/* ring-split.c and ring-packed.c: what the functions below choose from. */
bool vbs_split_publish(struct vbs_ring *ring);
void vbs_split_disable_kick(struct vbs_ring *ring);
bool vbs_split_pending(const struct vbs_ring *ring);
bool vbs_split_enable_kick(struct vbs_ring *ring);

bool vbs_packed_valid_base(const struct vbs_ring *ring, u32 base);
void vbs_packed_disable_kick(struct vbs_ring *ring);
bool vbs_packed_pending(const struct vbs_ring *ring);
bool vbs_packed_enable_kick(struct vbs_ring *ring);

/*
 * For vbs_packed_pop(): why an indirect descriptor is none (section 2.8.19: never
 * in a list), and a chain without one.  It begins at @pos with @flags, @used is
 * where the ring is full.  Returns how many descriptors it has, or the negated
 * enum vbs_ring_error.
 */
int vbs_packed_refuse(const struct vbs_ring *ring);
int vbs_packed_walk_list(const struct vbs_ring *ring, struct vbs_chain *chain,
			 unsigned int pos, unsigned int flags,
			 unsigned int used);

/* A call for each chain costs as much as what is done for it. */
#include "ring-split.h"
#include "ring-packed.h"

/**
 * vbs_ring_pop - take the next chain that is available
 * @ring: the ring
 * @mem: where indirect tables are read from
 * @chain: filled in
 *
 * Return: 1 with a chain, 0 when the ring is empty, or the negated
 * enum vbs_ring_error; nothing is taken then.
 */
static inline int vbs_ring_pop(struct vbs_ring *ring, struct vbs_mem *mem,
			       struct vbs_chain *chain)
{
	if (ring->packed)
		return vbs_packed_pop(ring, mem, chain);
	return vbs_split_pop(ring, mem, chain);
}

/**
 * vbs_ring_unpop - give back the chain that was taken last
 * @ring: the ring
 * @pos: vbs_ring.last_avail before it was taken
 *
 * The next vbs_ring_pop() takes it again.  It must not have been pushed.
 */
static inline void vbs_ring_unpop(struct vbs_ring *ring, u16 pos)
{
	ring->last_avail = pos;
}

/**
 * vbs_ring_push - put a chain into the used ring, not yet visible
 * @ring: the ring
 * @buf: the chain's
 * @len: bytes written to its device-writable part
 */
static inline void vbs_ring_push(struct vbs_ring *ring,
				 const struct vbs_buf *buf, u32 len)
{
	if (ring->packed)
		vbs_packed_push(ring, buf, len);
	else
		vbs_split_push(ring, buf, len);
}

/**
 * vbs_ring_publish - show the driver all that was pushed
 * @ring: the ring
 *
 * Return: true when the driver wants an interrupt for it.
 */
static inline bool vbs_ring_publish(struct vbs_ring *ring)
{
	if (ring->used_idx == ring->used_published)
		return false;
	if (ring->packed)
		return vbs_packed_publish(ring);
	return vbs_split_publish(ring);
}

/**
 * vbs_ring_disable_kick - tell the driver that kicks are not needed now
 * @ring: the ring
 */
static inline void vbs_ring_disable_kick(struct vbs_ring *ring)
{
	if (ring->packed)
		vbs_packed_disable_kick(ring);
	else
		vbs_split_disable_kick(ring);
}

/**
 * vbs_ring_pending - is there a chain to be taken?
 * @ring: the ring
 */
static inline bool vbs_ring_pending(const struct vbs_ring *ring)
{
	if (ring->packed)
		return vbs_packed_pending(ring);
	return vbs_split_pending(ring);
}

/**
 * vbs_ring_enable_kick - ask for a kick with the next chain
 * @ring: the ring
 *
 * Return: true when there is already a chain, which may come without a kick.
 */
static inline bool vbs_ring_enable_kick(struct vbs_ring *ring)
{
	if (ring->packed)
		return vbs_packed_enable_kick(ring);
	return vbs_split_enable_kick(ring);
}

/**
 * vbs_ring_strerror - a broken ring in words for the log
 * @err: what vbs_ring_pop() or vbs_ring_init() returned
 */
const char *vbs_ring_strerror(int err);

#endif /* VBS_RING_H */
