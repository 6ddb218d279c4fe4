/* SPDX-License-Identifier: GPL-2.0-only */
/* The client's side for the host tests: memory behind IOVAs, and a driver. */
#ifndef GUEST_H
#define GUEST_H

#include <linux/compiler.h>
#include <linux/virtio_byteorder.h>

#include "ring.h"

#define GUEST_BASE	0x40000000ULL
#define GUEST_PAGE	1024
#define GUEST_PAGES	64
#define GUEST_SIZE	(GUEST_PAGE * GUEST_PAGES)

/**
 * struct vbs_mem - the client's address space
 * @bytes: what GUEST_BASE and up shows
 * @mapped: pages that can be read
 * @taken: bytes given out by guest_alloc()
 * @nr_reads: calls of vbs_mem_read()
 * @nr_bytes: what they asked for
 * @first: lowest address that was asked for
 * @end: first address behind the highest one
 * @after_read: the client at work, called after each read
 */
struct vbs_mem {
	u8 *bytes;
	bool mapped[GUEST_PAGES];
	u32 taken;
	u64 nr_reads;
	u64 nr_bytes;
	u64 first;
	u64 end;
	void (*after_read)(struct vbs_mem *mem, u64 iova, u32 len);
};

void guest_mem_init(struct vbs_mem *mem);
void guest_mem_free(struct vbs_mem *mem);
/* Give all of it back, and wipe it. */
void guest_mem_reset(struct vbs_mem *mem);
void guest_count_reads(struct vbs_mem *mem);
void guest_map(struct vbs_mem *mem, u64 iova, u32 len, bool mapped);
/* Memory from where @align says; the test ends when there is none left. */
u64 guest_alloc(struct vbs_mem *mem, u32 len, u32 align);
u64 guest_put(struct vbs_mem *mem, const void *data, u32 len);
void *guest_ptr(struct vbs_mem *mem, u64 iova);

/**
 * struct guest_ring - a virtqueue with a driver behind it
 * @ring: the device side
 * @desc: in memory of exactly its size, like the next two
 * @avail: driver area
 * @used: device area
 * @num: entries
 * @next: the driver's avail index
 */
struct guest_ring {
	struct vbs_ring ring;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	u16 num;
	u16 next;
};

void guest_ring_alloc(struct guest_ring *g, u32 num, bool event_idx,
		      bool indirect);
void guest_ring_free(struct guest_ring *g);
size_t guest_used_size(const struct guest_ring *g);
/* Both sides begin at @base. */
void guest_ring_start(struct guest_ring *g, u16 base);
void guest_desc(struct vring_desc *desc, u64 iova, u32 len, u16 flags,
		u16 next);
void guest_offer(struct guest_ring *g, u16 head);
void guest_set_avail_idx(struct guest_ring *g, u16 idx);
void guest_set_used_event(struct guest_ring *g, u16 idx);
u16 guest_avail_event(const struct guest_ring *g);
u16 guest_used_idx(const struct guest_ring *g);
u32 guest_used_id(const struct guest_ring *g, u16 idx);
u32 guest_used_len(const struct guest_ring *g, u16 idx);

static inline u16 from16(__virtio16 val)
{
	return __virtio16_to_cpu(true, val);
}

static inline __virtio16 to16(u16 val)
{
	return __cpu_to_virtio16(true, val);
}

/* A generator of our own, for the same numbers everywhere from one seed. */
static inline u64 guest_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

#endif
