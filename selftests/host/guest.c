// SPDX-License-Identifier: GPL-2.0-only
/* The client's side for the host tests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

void (*host_hook)(enum host_access what, const void *addr, size_t len);

static void *need(void *p)
{
	if (p)
		return p;
	fputs("Bail out! out of memory\n", stdout);
	exit(1);
}

void guest_mem_init(struct vbs_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
	mem->bytes = need(malloc(GUEST_SIZE));
	mem->taken = GUEST_SIZE;
	guest_mem_reset(mem);
}

void guest_mem_free(struct vbs_mem *mem)
{
	free(mem->bytes);
}

void guest_count_reads(struct vbs_mem *mem)
{
	mem->nr_reads = 0;
	mem->nr_bytes = 0;
	mem->first = ~0ULL;
	mem->end = 0;
}

void guest_mem_reset(struct vbs_mem *mem)
{
	memset(mem->bytes, 0x5a, mem->taken);
	memset(mem->mapped, true, sizeof(mem->mapped));
	mem->taken = 0;
	mem->after_read = NULL;
	guest_count_reads(mem);
}

void guest_map(struct vbs_mem *mem, u64 iova, u32 len, bool mapped)
{
	u64 page;

	for (page = (iova - GUEST_BASE) / GUEST_PAGE;
	     page <= (iova + len - 1 - GUEST_BASE) / GUEST_PAGE; page++)
		mem->mapped[page] = mapped;
}

u64 guest_alloc(struct vbs_mem *mem, u32 len, u32 align)
{
	u32 at = (mem->taken + align - 1) / align * align;

	if (at + len > GUEST_SIZE) {
		fputs("Bail out! the test needs more memory\n", stdout);
		exit(1);
	}
	mem->taken = at + len;
	return GUEST_BASE + at;
}

u64 guest_put(struct vbs_mem *mem, const void *data, u32 len)
{
	u64 iova = guest_alloc(mem, len, 1);

	memcpy(guest_ptr(mem, iova), data, len);
	return iova;
}

void *guest_ptr(struct vbs_mem *mem, u64 iova)
{
	return mem->bytes + (iova - GUEST_BASE);
}

int vbs_mem_read(struct vbs_mem *mem, u64 iova, void *buf, u32 len)
{
	u64 at = iova, off;
	u32 left = len, n;

	mem->nr_reads++;
	mem->nr_bytes += len;
	if (mem->first > iova)
		mem->first = iova;
	if (mem->end < iova + len)
		mem->end = iova + len;

	while (left) {
		off = at - GUEST_BASE;
		if (off >= GUEST_SIZE || !mem->mapped[off / GUEST_PAGE])
			return -EFAULT;
		n = GUEST_PAGE - off % GUEST_PAGE;
		if (n > left)
			n = left;
		memcpy(buf, mem->bytes + off, n);
		buf += n;
		at += n;
		left -= n;
	}
	if (mem->after_read)
		mem->after_read(mem, iova, len);
	return 0;
}

static size_t event_size(const struct guest_ring *g)
{
	return g->ring.event_idx ? 2 : 0;
}

size_t guest_used_size(const struct guest_ring *g)
{
	return 4 + 8 * g->num + event_size(g);
}

void guest_ring_alloc(struct guest_ring *g, u32 num, bool event_idx,
		      bool indirect)
{
	memset(g, 0, sizeof(*g));
	g->num = num;
	g->ring.event_idx = event_idx;
	g->desc = need(malloc(16 * num));
	g->avail = need(malloc(4 + 2 * num + event_size(g)));
	g->used = need(malloc(guest_used_size(g)));
	g->ring.desc = g->desc;
	g->ring.avail = g->avail;
	g->ring.used = g->used;
	g->ring.num = num;
	g->ring.indirect = indirect;
}

void guest_ring_free(struct guest_ring *g)
{
	free(g->desc);
	free(g->avail);
	free(g->used);
}

void guest_ring_start(struct guest_ring *g, u16 base)
{
	/* Nothing in there may be taken for something the driver wrote. */
	memset(g->desc, 0xff, 16 * g->num);
	memset(g->avail, 0xff, 4 + 2 * g->num + event_size(g));
	memset(g->used, 0xff, guest_used_size(g));
	g->avail->flags = 0;
	g->used->flags = 0;
	g->used->idx = to16(base);
	guest_set_avail_idx(g, base);
	g->next = base;
	vbs_ring_init(&g->ring, base);
}

void guest_desc(struct vring_desc *desc, u64 iova, u32 len, u16 flags,
		u16 next)
{
	desc->addr = __cpu_to_virtio64(true, iova);
	desc->len = __cpu_to_virtio32(true, len);
	desc->flags = to16(flags);
	desc->next = to16(next);
}

void guest_offer(struct guest_ring *g, u16 head)
{
	g->avail->ring[g->next & (g->num - 1)] = to16(head);
	guest_set_avail_idx(g, ++g->next);
}

void guest_set_avail_idx(struct guest_ring *g, u16 idx)
{
	g->avail->idx = to16(idx);
}

void guest_set_used_event(struct guest_ring *g, u16 idx)
{
	g->avail->ring[g->num] = to16(idx);
}

u16 guest_avail_event(const struct guest_ring *g)
{
	__virtio16 event;

	memcpy(&event, &g->used->ring[g->num], sizeof(event));
	return from16(event);
}

u16 guest_used_idx(const struct guest_ring *g)
{
	return from16(g->used->idx);
}

u32 guest_used_id(const struct guest_ring *g, u16 idx)
{
	return __virtio32_to_cpu(true, g->used->ring[idx & (g->num - 1)].id);
}

u32 guest_used_len(const struct guest_ring *g, u16 idx)
{
	return __virtio32_to_cpu(true, g->used->ring[idx & (g->num - 1)].len);
}
