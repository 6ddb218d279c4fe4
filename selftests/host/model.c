// SPDX-License-Identifier: GPL-2.0-only
/* A second, plain way to read rings and requests. */
#include <string.h>

#include "model.h"

/* As the config space has them. */
#define MAX_SEGS		254
#define MAX_SEG_BYTES		0x400000
#define MAX_RANGE_SECTORS	0x20000

const char *broken_promise;

bool kept(bool cond, const char *what)
{
	if (!cond)
		broken_promise = what;
	return cond;
}

static struct vbs_chain model_chain;

static bool mapped(const struct vbs_mem *mem, u64 iova, u64 len)
{
	u64 at = iova - GUEST_BASE, page;

	if (at >= GUEST_SIZE || len > GUEST_SIZE - at)
		return false;
	for (page = at / GUEST_PAGE; page <= (at + len - 1) / GUEST_PAGE;
	     page++)
		if (!mem->mapped[page])
			return false;
	return true;
}

/* One descriptor of the ring, or of a table in memory. */
static bool get_desc(struct guest_ring *g, struct vbs_mem *mem, u64 table,
		     u32 i, struct vring_desc *desc)
{
	if (!table) {
		*desc = g->desc[i];
		return true;
	}
	if (!mapped(mem, table + 16 * i, 16))
		return false;
	memcpy(desc, guest_ptr(mem, table + 16 * i), 16);
	return true;
}

/* A segment of the model's chain; false when it does not fit. */
static bool add_seg(u64 iova, u32 len, bool in)
{
	if (!len)
		return true;
	if (!in && model_chain.nr_in)
		return false;
	if (in) {
		model_chain.nr_in++;
		model_chain.buf.in_len += len;
	} else {
		model_chain.nr_out++;
		model_chain.out_len += len;
	}
	if (model_chain.nr_in + model_chain.nr_out > VBS_RING_MAX)
		return false;
	model_chain.segs[model_chain.nr_in + model_chain.nr_out - 1] =
		(struct vbs_seg) { iova, len };
	return true;
}

static enum model_verdict walk(struct guest_ring *g, struct vbs_mem *mem,
			       u32 i)
{
	enum model_verdict good = MODEL_CHAIN;
	u32 count = g->num, steps = 0;
	struct vring_desc desc;
	u64 table = 0, iova;
	u16 flags;
	u32 len;

	for (;;) {
		if (i >= count || steps++ == count)
			return MODEL_BROKEN;
		if (!get_desc(g, mem, table, i, &desc))
			return MODEL_BROKEN;
		iova = __virtio64_to_cpu(true, desc.addr);
		len = __virtio32_to_cpu(true, desc.len);
		flags = from16(desc.flags);
		i = from16(desc.next);

		if (flags & VRING_DESC_F_INDIRECT) {
			if (table || !g->ring.indirect ||
			    flags & VRING_DESC_F_NEXT ||
			    !len || len % 16 || len > 16 * VBS_RING_MAX)
				return MODEL_BROKEN;
			if (!mapped(mem, iova, len))
				good = MODEL_EITHER;
			/* Nothing is at 0, so that can mean no table. */
			if (!iova)
				return MODEL_BROKEN;
			table = iova;
			count = len / 16;
			steps = 0;
			i = 0;
			continue;
		}
		if (!add_seg(iova, len, flags & VRING_DESC_F_WRITE))
			return MODEL_BROKEN;
		if (!(flags & VRING_DESC_F_NEXT))
			return good;
	}
}

/* All of it, one behind the other. */
static bool packed_table(struct vbs_mem *mem, u64 iova, u32 len)
{
	struct vring_packed_desc desc;
	u32 at;

	if (!len || len % 16 || len > 16 * VBS_RING_MAX)
		return false;
	for (at = 0; at < len; at += 16) {
		if (!mapped(mem, iova + at, 16))
			return false;
		memcpy(&desc, guest_ptr(mem, iova + at), 16);
		if (!add_seg(le64_to_cpu(desc.addr), le32_to_cpu(desc.len),
			     le16_to_cpu(desc.flags) & VRING_DESC_F_WRITE))
			return false;
	}
	return true;
}

static enum model_verdict packed_pop(struct guest_ring *g, struct vbs_mem *mem)
{
	u16 pos = g->ring.last_avail, busy = g->ring.used_idx;
	struct vring_packed_desc *desc;
	u32 room = g->num;
	u16 flags;

	flags = le16_to_cpu(g->packed_desc[pos & ~GUEST_WRAP].flags);
	if ((flags & (1 << 7 | 1 << 15)) != guest_avail_flags(pos))
		return MODEL_EMPTY;
	for (; busy != pos; busy = guest_pos_next(g, busy))
		room--;
	for (model_chain.buf.nr_descs = 1; ; model_chain.buf.nr_descs++) {
		if (!room--)
			return MODEL_BROKEN;
		desc = &g->packed_desc[pos & ~GUEST_WRAP];
		flags = le16_to_cpu(desc->flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			if (flags & VRING_DESC_F_NEXT || !g->ring.indirect ||
			    model_chain.buf.nr_descs != 1 ||
			    !packed_table(mem, le64_to_cpu(desc->addr),
					  le32_to_cpu(desc->len)))
				return MODEL_BROKEN;
		} else if (!add_seg(le64_to_cpu(desc->addr),
				    le32_to_cpu(desc->len),
				    flags & VRING_DESC_F_WRITE)) {
			return MODEL_BROKEN;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		pos = guest_pos_next(g, pos);
	}
	model_chain.buf.head = le16_to_cpu(desc->id);
	return MODEL_CHAIN;
}

static enum model_verdict split_pop(struct guest_ring *g, struct vbs_mem *mem)
{
	u16 at_work = g->ring.last_avail - g->ring.used_idx;
	u16 idx = g->ring.avail_idx;

	/* What the index once covered is on offer, whatever it says now. */
	if (idx == g->ring.last_avail)
		idx = from16(g->avail->idx);
	if (idx == g->ring.last_avail)
		return MODEL_EMPTY;
	/* Neither backwards nor past what is still at work. */
	if ((u16)(idx - g->ring.last_avail) > g->num - at_work)
		return MODEL_BROKEN;
	model_chain.buf.head =
		from16(g->avail->ring[g->ring.last_avail % g->num]);
	return walk(g, mem, model_chain.buf.head);
}

enum model_verdict model_pop(struct guest_ring *g, struct vbs_mem *mem)
{
	model_chain.nr_out = 0;
	model_chain.nr_in = 0;
	model_chain.out_len = 0;
	model_chain.buf.in_len = 0;
	model_chain.buf.nr_descs = 0;
	return g->ring.packed ? packed_pop(g, mem) : split_pop(g, mem);
}

bool model_agrees_pop(enum model_verdict verdict, int ret,
		      const struct vbs_chain *chain)
{
	u32 nr = chain->nr_out + chain->nr_in;
	u32 i;

	if (ret == -VBS_RING_INDIRECT_FAULT && verdict == MODEL_EITHER)
		return true;
	if (ret < 0)
		return verdict == MODEL_BROKEN;
	if (!ret)
		return verdict == MODEL_EMPTY;
	if (verdict != MODEL_CHAIN && verdict != MODEL_EITHER)
		return false;
	if (chain->buf.head != model_chain.buf.head ||
	    chain->buf.in_len != model_chain.buf.in_len ||
	    (model_chain.buf.nr_descs &&
	     chain->buf.nr_descs != model_chain.buf.nr_descs) ||
	    chain->out_len != model_chain.out_len ||
	    chain->nr_out != model_chain.nr_out ||
	    chain->nr_in != model_chain.nr_in)
		return false;
	for (i = 0; i < nr; i++)
		if (chain->segs[i].iova != model_chain.segs[i].iova ||
		    chain->segs[i].len != model_chain.segs[i].len)
			return false;
	return true;
}

static u64 bytes(const struct vbs_seg *segs, u32 nr)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		sum += segs[i].len;
	return sum;
}

/* Byte @at of the readable part. */
static bool get_byte(const struct vbs_chain *chain, struct vbs_mem *mem,
		     u64 at, u8 *byte)
{
	const struct vbs_seg *seg = chain->segs;

	for (; at >= seg->len; seg++)
		at -= seg->len;
	if (!mapped(mem, seg->iova + at, 1))
		return false;
	*byte = *(u8 *)guest_ptr(mem, seg->iova + at);
	return true;
}

static bool get(const struct vbs_chain *chain, struct vbs_mem *mem, u64 at,
		void *buf, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (!get_byte(chain, mem, at + i, (u8 *)buf + i))
			return false;
	return true;
}

/* Do the parts of the segments that are in [@from, @to) obey the limits? */
static bool parts_fit(const struct vbs_seg *segs, u32 nr, u64 from, u64 to)
{
	u64 at = 0, first, last;
	u32 i, sum = 0;

	for (i = 0; i < nr; i++, at += segs[i - 1].len) {
		first = at > from ? at : from;
		last = at + segs[i].len < to ? at + segs[i].len : to;
		if (first >= last)
			continue;
		if (++sum > MAX_SEGS || last - first > MAX_SEG_BYTES)
			return false;
	}
	return true;
}

static bool fits(const struct vbs_disk *disk, u64 sector, u64 nr)
{
	u32 unit = disk->block_size / 512;

	return nr <= disk->capacity && sector <= disk->capacity - nr &&
	       sector % unit == 0 && nr % unit == 0;
}

static u8 decode_rw(const struct vbs_chain *chain, const struct vbs_disk *disk,
		    bool in, u64 sector)
{
	const struct vbs_seg *segs = chain->segs;
	u32 nr = chain->nr_out;
	u64 from = 16, to;

	if (in) {
		segs += chain->nr_out;
		nr = chain->nr_in;
		from = 0;
	}
	to = bytes(segs, nr) - in;
	if ((to - from) % disk->block_size || (!in && disk->readonly) ||
	    !fits(disk, sector, (to - from) / 512) ||
	    !parts_fit(segs, nr, from, to))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 decode_ranges(const struct vbs_chain *chain, struct vbs_mem *mem,
			const struct vbs_disk *disk, u32 type)
{
	u64 len = bytes(chain->segs, chain->nr_out) - 16, at;
	struct virtio_blk_discard_write_zeroes raw;
	u8 status = VIRTIO_BLK_S_OK;
	u32 nr;

	if (!len || len % 16 || len > 32 * 16 || disk->readonly)
		return VIRTIO_BLK_S_IOERR;
	for (at = 0; at < len; at += 16) {
		if (!get(chain, mem, 16 + at, &raw, 16))
			return VIRTIO_BLK_S_IOERR;
		nr = le32_to_cpu(raw.num_sectors);
		if (nr > MAX_RANGE_SECTORS || !fits(disk, le64_to_cpu(raw.sector), nr))
			status = VIRTIO_BLK_S_IOERR;
		if (le32_to_cpu(raw.flags) > (type == VIRTIO_BLK_T_WRITE_ZEROES ?
					      1 : 0))
			status = VIRTIO_BLK_S_IOERR;
	}
	return status;
}

u8 model_decode(const struct vbs_chain *chain, struct vbs_mem *mem,
		const struct vbs_disk *disk)
{
	struct virtio_blk_outhdr hdr;
	int feature = -1;
	u32 type;

	if (bytes(chain->segs, chain->nr_out) < 16 ||
	    !get(chain, mem, 0, &hdr, 16))
		return VIRTIO_BLK_S_IOERR;
	type = __virtio32_to_cpu(true, hdr.type);
	switch (type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return decode_rw(chain, disk, type == VIRTIO_BLK_T_IN,
				 __virtio64_to_cpu(true, hdr.sector));
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
		feature = 9;
		break;
	case VIRTIO_BLK_T_DISCARD:
		feature = 13;
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		feature = 14;
		break;
	case VIRTIO_BLK_T_SECURE_ERASE:
		feature = 16;
		break;
	}
	if (feature < 0 || !(disk->features >> feature & 1))
		return VIRTIO_BLK_S_UNSUPP;
	if (type == VIRTIO_BLK_T_FLUSH)
		return VIRTIO_BLK_S_OK;
	return decode_ranges(chain, mem, disk, type);
}

bool model_agrees(u8 expected, u8 status)
{
	/* Of several bad ranges the first one decides, or the last one. */
	if (expected == VIRTIO_BLK_S_IOERR)
		return status != VIRTIO_BLK_S_OK;
	return status == expected;
}

u64 model_status_iova(const struct vbs_chain *chain)
{
	const struct vbs_seg *last =
		&chain->segs[chain->nr_out + chain->nr_in - 1];

	return last->iova + (last->len - 1);
}

/* The data: exactly the bytes [@from, @to) of the segments. */
static bool check_data(struct vbs_iter iter, const struct vbs_seg *segs,
		       u32 nr, u64 from, u64 to)
{
	u32 i, len;
	u64 iova;

	if (!KEPT(iter.left == to - from))
		return false;
	for (i = 0; i < nr && from >= segs[i].len; i++)
		from -= segs[i].len;
	for (; iter.left; i++, from = 0) {
		len = vbs_iter_peek(&iter, &iova);
		if (!KEPT(i < nr) || !KEPT(len) ||
		    !KEPT(iova == segs[i].iova + from) ||
		    !KEPT(len == iter.left || len == segs[i].len - from) ||
		    !KEPT(len <= iter.left && len <= segs[i].len - from))
			return false;
		vbs_iter_advance(&iter, len);
	}
	return true;
}

static bool check_ranges(const struct vbs_req *req,
			 const struct vbs_disk *disk)
{
	u32 i;

	for (i = 0; i < req->nr_ranges; i++)
		if (!KEPT(fits(disk, req->ranges[i].sector,
			       req->ranges[i].nr)) ||
		    !KEPT(req->ranges[i].nr <= MAX_RANGE_SECTORS))
			return false;
	return KEPT(i && i <= 32) && KEPT(req->data.left == 16 * i);
}

bool model_check(const struct vbs_req *req, const struct vbs_chain *chain,
		 const struct vbs_disk *disk)
{
	const struct vbs_seg *in = chain->segs + chain->nr_out;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		if (!KEPT(fits(disk, req->sector, req->data.left / 512)) ||
		    !KEPT(req->data.left % disk->block_size == 0))
			return false;
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		if (!check_ranges(req, disk))
			return false;
		break;
	}
	if (req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_GET_ID)
		return check_data(req->data, in, chain->nr_in, 0,
				  bytes(in, chain->nr_in) - 1);
	return check_data(req->data, chain->segs, chain->nr_out, 16,
			  bytes(chain->segs, chain->nr_out));
}
