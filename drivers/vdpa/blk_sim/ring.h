/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtqueue, device side (virtio 1.3, section 2.7), and the client's
 * memory as seen through IOVAs.
 *
 * Nothing here knows about block devices, allocates, locks or sleeps.  Two
 * may work on a ring at once: one that takes chains (pop, enable_kick,
 * disable_kick) and one that gives them back (push, publish).  The same files
 * are built on the host for tests, which bring their own vbs_mem_read().
 *
 * Everything in the ring comes from the client and may change while it is
 * read: each field is read once, and checked before it is used.
 */
#ifndef VBS_RING_H
#define VBS_RING_H

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
#ifdef __KERNEL__
#include "iova.h"
#else
int vbs_mem_read(struct vbs_mem *mem, u64 iova, void *buf, u32 len);
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
 * struct vbs_chain - one descriptor chain taken from the avail ring
 * @head: index that goes back in the used ring
 * @nr_out: device-readable segments, first in @segs
 * @nr_in: device-writable segments, behind them
 * @out_len: bytes of the device-readable segments
 * @in_len: bytes of the device-writable segments
 * @segs: the segments; empty descriptors are left out
 */
struct vbs_chain {
	u16 head;
	u16 nr_out;
	u16 nr_in;
	u64 out_len;
	u64 in_len;
	struct vbs_seg segs[VBS_RING_MAX];
};

/* Why a ring is broken; vbs_ring_pop() returns them negated. */
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
	VBS_RING_NR_ERRORS,
};

/**
 * struct vbs_ring - device side of a split virtqueue
 * @desc: descriptor table, in mapped client memory
 * @avail: driver area, in mapped client memory
 * @used: device area, in mapped client memory
 * @num: entries, a power of two
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC was negotiated
 * @signalled: an interrupt was asked for since the start, so used_event is
 *	comparable with @used_idx
 * @last_avail: next avail entry to take; at most @num ahead of @used_idx, so
 *	that no more than @num chains are at work
 * @avail_idx: the driver's index as last read
 * @used_idx: next used entry to fill
 * @used_published: used index as the driver sees it
 */
struct vbs_ring {
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	u16 num;
	bool event_idx;
	bool indirect;
	bool signalled;
	u16 last_avail;
	u16 avail_idx;
	u16 used_idx;
	u16 used_published;
};

/**
 * vbs_ring_valid_num - may a virtqueue have this many entries?
 * @num: entries
 */
static inline bool vbs_ring_valid_num(u32 num)
{
	return num && num <= VBS_RING_MAX && !(num & (num - 1));
}

static inline size_t vbs_ring_desc_size(u32 num)
{
	return num * sizeof(struct vring_desc);
}

static inline size_t vbs_ring_avail_size(u32 num, bool event_idx)
{
	return sizeof(struct vring_avail) + num * sizeof(__virtio16) +
	       (event_idx ? sizeof(__virtio16) : 0);
}

static inline size_t vbs_ring_used_size(u32 num, bool event_idx)
{
	return sizeof(struct vring_used) +
	       num * sizeof(struct vring_used_elem) +
	       (event_idx ? sizeof(__virtio16) : 0);
}

/**
 * vbs_ring_init - begin, or begin again, on a ring
 * @ring: @desc, @avail, @used, @num, @event_idx and @indirect are set
 * @base: first avail entry to take; everything before it is in the used ring
 */
void vbs_ring_init(struct vbs_ring *ring, u16 base);

/**
 * vbs_ring_pop - take the next chain from the avail ring
 * @ring: the ring
 * @mem: where indirect tables are read from
 * @chain: filled in
 *
 * Return: 1 with a chain, 0 when the ring is empty, or the negated
 * enum vbs_ring_error; nothing is taken then.
 */
int vbs_ring_pop(struct vbs_ring *ring, struct vbs_mem *mem,
		 struct vbs_chain *chain);

/**
 * vbs_ring_unpop - give back the chain that was taken last
 * @ring: the ring
 *
 * The next vbs_ring_pop() takes it again.  It must not have been pushed.
 */
static inline void vbs_ring_unpop(struct vbs_ring *ring)
{
	ring->last_avail--;
}

/**
 * vbs_ring_push - put a chain into the used ring, not yet visible
 * @ring: the ring
 * @head: the chain's head
 * @len: bytes written to its device-writable part
 */
void vbs_ring_push(struct vbs_ring *ring, u16 head, u32 len);

/**
 * vbs_ring_publish - show the driver all that was pushed
 * @ring: the ring
 *
 * Return: true when the driver wants an interrupt for it.
 */
bool vbs_ring_publish(struct vbs_ring *ring);

/**
 * vbs_ring_disable_kick - tell the driver that kicks are not needed now
 * @ring: the ring
 */
void vbs_ring_disable_kick(struct vbs_ring *ring);

/**
 * vbs_ring_pending - is there a chain to be taken?
 * @ring: the ring
 */
bool vbs_ring_pending(const struct vbs_ring *ring);

/**
 * vbs_ring_enable_kick - ask for a kick with the next chain
 * @ring: the ring
 *
 * Return: true when there is already a chain, which may come without a kick.
 */
bool vbs_ring_enable_kick(struct vbs_ring *ring);

/**
 * vbs_ring_strerror - a broken ring in words for the log
 * @err: what vbs_ring_pop() returned
 */
const char *vbs_ring_strerror(int err);

#endif /* VBS_RING_H */
