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
 * @nr_reads: calls of vbs_mem_read(), and looks at what vbs_mem_peek() returned
 * @nr_bytes: what was read
 * @nr_again: bytes of these that had been read before
 * @seen: when each byte was read
 * @now: counts calls of guest_count_reads()
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
	u64 nr_again;
	u32 seen[GUEST_SIZE];
	u32 now;
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

/* What was negotiated. */
struct guest_kind {
	bool packed;
	bool in_order;
	bool event_idx;
	bool indirect;
};

/**
 * struct guest_ring - a virtqueue with a driver behind it
 * @ring: the device side
 * @desc: in memory of exactly its size, like the next two
 * @avail: driver area
 * @used: device area
 * @packed_desc: the same for a packed ring, like the next two
 * @driver: driver area
 * @device: device area
 * @num: entries
 * @next: the driver's avail index, or its place in the packed ring
 * @last_used: the same for what is used
 * @descs: descriptors of each chain on offer, by its ID
 * @order: IDs as they were offered
 * @offered: of @order
 * @taken: of @order
 * @in_batch: with IN_ORDER, the last used element stands for more chains
 * @batch_id: the last of them
 * @batch_len: its length
 */
struct guest_ring {
	struct vbs_ring ring;
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *packed_desc;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device;
	};
	u16 num;
	u16 next;
	u16 last_used;
	u16 *descs;
	u16 *order;
	u16 offered;
	u16 taken;
	bool in_batch;
	u16 batch_id;
	u32 batch_len;
};

/* Without segments, for tests that need no ring. */
static inline void empty_chain(struct vbs_chain *chain)
{
	struct vbs_walk walk;

	vbs_chain_begin(chain, &walk);
	vbs_chain_end(chain, &walk);
}

/* One piece of a chain; @flags takes VRING_DESC_F_WRITE. */
struct guest_seg {
	u64 iova;
	u32 len;
	u16 flags;
};

#define GUEST_WRAP	0x8000
#define GUEST_ALL	(~0U)	/* length of a chain that needs no used element */

void guest_ring_alloc(struct guest_ring *g, u32 num,
		      const struct guest_kind *kind);
void guest_ring_free(struct guest_ring *g);
size_t guest_used_size(const struct guest_ring *g);
/* Both sides begin at @base, where nothing is at work; 0 if that cannot be. */
int guest_ring_start(struct guest_ring *g, u32 base);

/* A chain in descriptors that start with @head, or that has this ID. */
void guest_chain(struct guest_ring *g, u16 head, const struct guest_seg *seg,
		 u32 n);
/* The next used one; *@len may be GUEST_ALL.  False when there is none. */
bool guest_get_used(struct guest_ring *g, u32 *id, u32 *len);
/* Would it kick for what was offered since its index was @old? */
bool guest_kicks(const struct guest_ring *g, u16 old);
void guest_want_no_interrupt(struct guest_ring *g);
/* With EVENT_IDX: with what follows the next one it has not seen, + @ahead. */
void guest_want_interrupt(struct guest_ring *g, u16 ahead);

/* Only split. */
void guest_desc(struct vring_desc *desc, u64 iova, u32 len, u16 flags,
		u16 next);
void guest_offer(struct guest_ring *g, u16 head);
void guest_set_avail_idx(struct guest_ring *g, u16 idx);
void guest_set_used_event(struct guest_ring *g, u16 idx);
u16 guest_used_idx(const struct guest_ring *g);

/* Only packed. */
void guest_packed_desc(struct vring_packed_desc *desc, u64 iova, u32 len,
		       u16 id, u16 flags);
u16 guest_pos_next(const struct guest_ring *g, u16 pos);
u16 guest_pos_add(const struct guest_ring *g, u16 pos, u32 n);
/* Is @which one of the places from @from on, before @to? */
bool guest_pos_between(const struct guest_ring *g, u16 which, u16 from, u16 to);
u16 guest_avail_flags(u16 pos);
u16 guest_used_flags(u16 pos);

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
