// SPDX-License-Identifier: GPL-2.0-only
/* The client's side for the host tests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

void (*host_hook)(enum host_access what, const void *addr, size_t len);

static void *need(void *p)
{
	if (p)
		return p;
	fputs("Bail out! out of memory\n", stdout);
	exit(1);
}

/* As large as client memory; what stands there is in @shown. */
static u8 *window;
static struct vbs_mem *shown;

void guest_mem_init(struct vbs_mem *mem)
{
	if (!window)
		window = mmap(NULL, GUEST_SIZE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED)
		window = need(NULL);
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
	mem->nr_again = 0;
	mem->now++;
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

static void count_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	u64 off;

	for (off = iova - GUEST_BASE; off < iova - GUEST_BASE + len; off++) {
		if (off >= GUEST_SIZE)
			continue;
		mem->nr_again += mem->seen[off] == mem->now;
		mem->seen[off] = mem->now;
	}
	mem->nr_reads++;
	mem->nr_bytes += len;
	if (mem->first > iova)
		mem->first = iova;
	if (mem->end < iova + len)
		mem->end = iova + len;
}

int vbs_mem_read(struct vbs_mem *mem, u64 iova, void *buf, u32 len)
{
	u64 at = iova, off;
	u32 left = len, n;

	count_read(mem, iova, len);
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

/* Each page is a piece of its own. */
bool vbs_mem_peek(struct vbs_mem *mem, u64 iova, u32 len, const void **va)
{
	u64 off = iova - GUEST_BASE;

	if (off >= GUEST_SIZE || !mem->mapped[off / GUEST_PAGE] ||
	    len > GUEST_PAGE - off % GUEST_PAGE || off % 8)
		return false;
	shown = mem;
	*va = window + off;
	return true;
}

const void *guest_place(const void *addr)
{
	u64 off = (const u8 *)addr - window;

	return off < GUEST_SIZE ? shown->bytes + off : addr;
}

void guest_looked(const void *addr, size_t len)
{
	u64 iova = GUEST_BASE + ((const u8 *)addr - window);

	count_read(shown, iova, len);
	if (shown->after_read)
		shown->after_read(shown, iova, len);
}

static size_t event_size(const struct guest_ring *g)
{
	return g->ring.event_idx ? 2 : 0;
}

size_t guest_used_size(const struct guest_ring *g)
{
	return g->ring.packed ? 4 : 4 + 8 * g->num + event_size(g);
}

static size_t avail_size(const struct guest_ring *g)
{
	return g->ring.packed ? 4 : 4 + 2 * g->num + event_size(g);
}

void guest_ring_alloc(struct guest_ring *g, u32 num,
		      const struct guest_kind *kind)
{
	memset(g, 0, sizeof(*g));
	g->num = num;
	g->ring.num = num;
	g->ring.packed = kind->packed;
	g->ring.in_order = kind->in_order;
	g->ring.event_idx = kind->event_idx;
	g->ring.indirect = kind->indirect;
	g->desc = need(malloc(16 * num));
	g->avail = need(malloc(avail_size(g)));
	g->used = need(malloc(guest_used_size(g)));
	g->ring.desc = g->desc;
	g->ring.avail = g->avail;
	g->ring.used = g->used;
	g->descs = need(calloc(1 << 16, sizeof(*g->descs)));
	g->order = need(calloc(1 << 16, sizeof(*g->order)));
}

void guest_ring_free(struct guest_ring *g)
{
	free(g->desc);
	free(g->avail);
	free(g->used);
	free(g->descs);
	free(g->order);
}

/* ---- places in a packed ring, one step at a time ---- */

u16 guest_pos_next(const struct guest_ring *g, u16 pos)
{
	if ((pos & ~GUEST_WRAP) + 1 == g->num)
		return (pos & GUEST_WRAP) ^ GUEST_WRAP;
	return pos + 1;
}

u16 guest_pos_add(const struct guest_ring *g, u16 pos, u32 n)
{
	while (n--)
		pos = guest_pos_next(g, pos);
	return pos;
}

u16 guest_avail_flags(u16 pos)
{
	return pos & GUEST_WRAP ? 1 << 7 : 1 << 15;
}

u16 guest_used_flags(u16 pos)
{
	return pos & GUEST_WRAP ? 1 << 7 | 1 << 15 : 0;
}

static u16 packed_flags(const struct guest_ring *g, u16 pos)
{
	return le16_to_cpu(g->packed_desc[pos & ~GUEST_WRAP].flags);
}

bool guest_pos_between(const struct guest_ring *g, u16 which, u16 from, u16 to)
{
	for (; from != to; from = guest_pos_next(g, from))
		if (from == which)
			return true;
	return false;
}

/* ---- start ---- */

static void packed_start(struct guest_ring *g, u16 pos)
{
	u16 at;

	/* As if it had been used up to there, in a turn of the ring. */
	for (at = 0; at < g->num; at++)
		g->packed_desc[at].flags =
			cpu_to_le16((guest_used_flags(at < (pos & ~GUEST_WRAP) ?
						      pos : ~pos)) | 0x7f7f);
	g->driver->flags = 0;
	g->device->flags = 0;
}

int guest_ring_start(struct guest_ring *g, u32 base)
{
	/* Nothing in there may be taken for something the driver wrote. */
	memset(g->desc, 0xff, 16 * g->num);
	memset(g->avail, 0xff, avail_size(g));
	memset(g->used, 0xff, guest_used_size(g));
	while (g->taken != g->offered)
		g->descs[g->order[g->taken++]] = 0;
	g->in_batch = false;
	g->next = base;
	g->last_used = base;
	if (g->ring.packed) {
		packed_start(g, base);
		base |= base << 16;
	} else {
		g->avail->flags = 0;
		g->used->flags = 0;
		g->used->idx = to16(base);
		guest_set_avail_idx(g, base);
	}
	return vbs_ring_init(&g->ring, base);
}

/* ---- chains ---- */

void guest_desc(struct vring_desc *desc, u64 iova, u32 len, u16 flags,
		u16 next)
{
	desc->addr = __cpu_to_virtio64(true, iova);
	desc->len = __cpu_to_virtio32(true, len);
	desc->flags = to16(flags);
	desc->next = to16(next);
}

void guest_packed_desc(struct vring_packed_desc *desc, u64 iova, u32 len,
		       u16 id, u16 flags)
{
	desc->addr = cpu_to_le64(iova);
	desc->len = cpu_to_le32(len);
	desc->id = cpu_to_le16(id);
	desc->flags = cpu_to_le16(flags);
}

static void remember(struct guest_ring *g, u16 head, u32 n)
{
	g->descs[head] = n;
	g->order[g->offered++] = head;
}

void guest_offer(struct guest_ring *g, u16 head)
{
	remember(g, head, 1);
	g->avail->ring[g->next & (g->num - 1)] = to16(head);
	guest_set_avail_idx(g, ++g->next);
}

/* The ID counts in the last one only; the first one's flags show them all. */
static void packed_chain(struct guest_ring *g, u16 id,
			 const struct guest_seg *seg, u32 n)
{
	u16 pos = g->next;
	u16 flags, first = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		flags = seg[i].flags | guest_avail_flags(pos) |
			(i < n - 1 ? VRING_DESC_F_NEXT : 0);
		if (!i)
			first = flags;
		guest_packed_desc(&g->packed_desc[pos & ~GUEST_WRAP],
				  seg[i].iova, seg[i].len,
				  i < n - 1 ? ~id : id,
				  i ? flags : packed_flags(g, pos));
		pos = guest_pos_next(g, pos);
	}
	g->packed_desc[g->next & ~GUEST_WRAP].flags = cpu_to_le16(first);
	g->next = pos;
	remember(g, id, n);
}

void guest_chain(struct guest_ring *g, u16 head, const struct guest_seg *seg,
		 u32 n)
{
	u16 at = head, next;
	u32 i;

	if (g->ring.packed) {
		packed_chain(g, head, seg, n);
		return;
	}
	for (i = 0; i < n; i++, at = next) {
		next = (at + 7) & (g->num - 1);
		guest_desc(&g->desc[at], seg[i].iova, seg[i].len,
			   seg[i].flags | (i < n - 1 ? VRING_DESC_F_NEXT : 0),
			   next);
	}
	guest_offer(g, head);
}

void guest_set_avail_idx(struct guest_ring *g, u16 idx)
{
	g->avail->idx = to16(idx);
}

/* ---- what was used ---- */

u16 guest_used_idx(const struct guest_ring *g)
{
	return from16(g->used->idx);
}

static bool read_used(const struct guest_ring *g, u32 *id, u32 *len)
{
	u16 at = g->last_used;
	const struct vring_packed_desc *desc;

	if (!g->ring.packed) {
		if (at == guest_used_idx(g))
			return false;
		at &= g->num - 1;
		*id = __virtio32_to_cpu(true, g->used->ring[at].id);
		*len = __virtio32_to_cpu(true, g->used->ring[at].len);
		return true;
	}
	desc = &g->packed_desc[at & ~GUEST_WRAP];
	if ((packed_flags(g, at) & (1 << 7 | 1 << 15)) != guest_used_flags(at))
		return false;
	*id = le16_to_cpu(desc->id);
	*len = le32_to_cpu(desc->len);
	/* Without WRITE it says nothing, and there is nothing to say. */
	if (!(packed_flags(g, at) & VRING_DESC_F_WRITE))
		*len = 0;
	return true;
}

bool guest_get_used(struct guest_ring *g, u32 *id, u32 *len)
{
	if (g->in_batch) {
		*id = g->batch_id;
		*len = g->batch_len;
	} else if (!read_used(g, id, len)) {
		return false;
	}
	if (g->ring.in_order && g->order[g->taken] != *id) {
		g->in_batch = g->offered != g->taken;
		g->batch_id = *id;
		g->batch_len = *len;
		*id = g->order[g->taken];
		*len = GUEST_ALL;
	} else {
		g->in_batch = false;
	}
	if (g->ring.packed)
		g->last_used = guest_pos_add(g, g->last_used,
					     *id < 1 << 16 ? g->descs[*id] : 0);
	else
		g->last_used++;
	g->taken++;
	return true;
}

/* ---- who tells whom ---- */

bool guest_kicks(const struct guest_ring *g, u16 old)
{
	__virtio16 event;

	if (g->ring.packed) {
		if (le16_to_cpu(g->device->flags) != 2)
			return le16_to_cpu(g->device->flags) == 0;
		return g->ring.event_idx &&
		       guest_pos_between(g, le16_to_cpu(g->device->off_wrap),
					 old, g->next);
	}
	if (!g->ring.event_idx)
		return !(from16(g->used->flags) & VRING_USED_F_NO_NOTIFY);
	memcpy(&event, &g->used->ring[g->num], sizeof(event));
	return vring_need_event(from16(event), g->next, old);
}

void guest_set_used_event(struct guest_ring *g, u16 idx)
{
	g->avail->ring[g->num] = to16(idx);
}

void guest_want_no_interrupt(struct guest_ring *g)
{
	if (g->ring.packed)
		g->driver->flags = cpu_to_le16(1);
	else if (g->ring.event_idx)
		guest_set_used_event(g, g->last_used + 0x4000);
	else
		g->avail->flags = to16(VRING_AVAIL_F_NO_INTERRUPT);
}

void guest_want_interrupt(struct guest_ring *g, u16 ahead)
{
	if (g->ring.packed) {
		g->driver->off_wrap =
			cpu_to_le16(guest_pos_add(g, g->last_used, ahead));
		g->driver->flags = cpu_to_le16(g->ring.event_idx ? 2 : 0);
	} else if (g->ring.event_idx) {
		guest_set_used_event(g, g->last_used + ahead);
	} else {
		g->avail->flags = 0;
	}
}
