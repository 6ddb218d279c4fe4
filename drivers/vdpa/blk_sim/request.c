// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes virtio-blk requests.  A request may be laid out over its descriptors
 * in any way (section 2.7.4.1): the header is the first 16 readable bytes, the
 * status the last writable one.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/virtio_byteorder.h>

#include "request.h"

/* The limits that SEG_MAX and SIZE_MAX announce. */
static bool check_segs(struct vbs_iter iter, u32 seg_max)
{
	u64 iova;
	u32 len;

	for (; iter.left; vbs_iter_advance(&iter, len)) {
		len = vbs_iter_peek(&iter, &iova);
		if (len > VBS_SIZE_MAX || !seg_max--)
			return false;
	}
	return true;
}

bool vbs_iter_aligned(struct vbs_iter iter, u32 addr_mask, u32 len_mask)
{
	u64 iova;
	u32 len;

	for (; iter.left; vbs_iter_advance(&iter, len)) {
		len = vbs_iter_peek(&iter, &iova);
		if (iova & addr_mask || len & len_mask)
			return false;
	}
	return true;
}

int vbs_iter_read(struct vbs_iter *iter, struct vbs_mem *mem, void *buf,
		  u32 len)
{
	u64 iova;
	u32 n;

	while (len) {
		n = vbs_iter_peek(iter, &iova);
		if (n > len)
			n = len;
		if (vbs_mem_read(mem, iova, buf, n))
			return -EFAULT;
		vbs_iter_advance(iter, n);
		buf += n;
		len -= n;
	}
	return 0;
}

static bool has(const struct vbs_disk *disk, unsigned int bit)
{
	return disk->features & (1ULL << bit);
}

/* Sectors inside the disk, and whole logical blocks. */
static bool range_ok(const struct vbs_disk *disk, u64 sector, u64 nr)
{
	u32 mask = (disk->block_size >> VBS_SECTOR_SHIFT) - 1;
	/* It may grow at any time. */
	u64 capacity = READ_ONCE(disk->capacity);

	if (sector > capacity || nr > capacity - sector)
		return false;
	return !(sector & mask) && !(nr & mask);
}

/* @nr_segs: at most so many segments have data */
static u8 decode_rw(struct vbs_req *req, const struct vbs_disk *disk,
		    u32 nr_segs)
{
	u64 len = req->data.left;

	if (req->type == VIRTIO_BLK_T_OUT && disk->readonly)
		return VIRTIO_BLK_S_IOERR;
	if (len & ((1 << VBS_SECTOR_SHIFT) - 1))
		return VIRTIO_BLK_S_IOERR;
	if (!range_ok(disk, req->sector, len >> VBS_SECTOR_SHIFT))
		return VIRTIO_BLK_S_IOERR;
	/* What holds for all together holds for each. */
	if (unlikely(len > VBS_SIZE_MAX || nr_segs > disk->seg_max) &&
	    !check_segs(req->data, disk->seg_max))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* Section 5.2.6.2 has the answer to each flag. */
static u8 decode_range(struct vbs_req *req, struct vbs_range *range,
		       const struct virtio_blk_discard_write_zeroes *raw,
		       const struct vbs_disk *disk)
{
	u32 flags = le32_to_cpu(raw->flags);

	range->sector = le64_to_cpu(raw->sector);
	range->nr = le32_to_cpu(raw->num_sectors);
	range->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->unmap && req->type != VIRTIO_BLK_T_WRITE_ZEROES)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->nr > VBS_MAX_RANGE_SECTORS ||
	    !range_ok(disk, range->sector, range->nr))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 decode_ranges(struct vbs_req *req, struct vbs_mem *mem,
			const struct vbs_disk *disk)
{
	struct virtio_blk_discard_write_zeroes raw;
	struct vbs_iter iter = req->data;
	u64 nr = iter.left / sizeof(raw);
	u8 status;
	u32 i;

	if (disk->readonly)
		return VIRTIO_BLK_S_IOERR;
	if (!nr || nr > VBS_MAX_RANGES || iter.left % sizeof(raw))
		return VIRTIO_BLK_S_IOERR;

	for (i = 0; i < nr; i++) {
		if (vbs_iter_read(&iter, mem, &raw, sizeof(raw)))
			return VIRTIO_BLK_S_IOERR;
		status = decode_range(req, &req->ranges[i], &raw, disk);
		if (status != VIRTIO_BLK_S_OK)
			return status;
	}
	req->nr_ranges = nr;
	return VIRTIO_BLK_S_OK;
}

static u8 decode_type(struct vbs_req *req, u32 nr_segs, struct vbs_mem *mem,
		      const struct vbs_disk *disk)
{
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return decode_rw(req, disk, nr_segs);
	case VIRTIO_BLK_T_FLUSH:
		return has(disk, VIRTIO_BLK_F_FLUSH) ? VIRTIO_BLK_S_OK :
						       VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		return has(disk, VIRTIO_BLK_F_DISCARD) ?
			decode_ranges(req, mem, disk) : VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return has(disk, VIRTIO_BLK_F_WRITE_ZEROES) ?
			decode_ranges(req, mem, disk) : VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_SECURE_ERASE:
		return has(disk, VIRTIO_BLK_F_SECURE_ERASE) ?
			decode_ranges(req, mem, disk) : VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static bool type_reads_disk(u32 type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

static noinline const struct virtio_blk_outhdr *
copy_header(struct vbs_req *req, const struct vbs_chain *chain,
	    struct vbs_mem *mem)
{
	struct vbs_iter iter = {
		.seg = chain->segs,
		.left = chain->out_len,
	};

	if (vbs_iter_read(&iter, mem, &req->hdr, sizeof(req->hdr)))
		return NULL;
	return &req->hdr;
}

/* Nearly always in a descriptor of its own. */
static bool read_header(struct vbs_req *req, const struct vbs_chain *chain,
			struct vbs_mem *mem)
{
	const struct virtio_blk_outhdr *hdr = NULL;

	if (chain->out_len < sizeof(*hdr))
		return false;
	if (likely(chain->segs[0].len >= sizeof(*hdr)))
		hdr = vbs_mem_peek(mem, chain->segs[0].iova, sizeof(*hdr));
	if (unlikely(!hdr)) {
		hdr = copy_header(req, chain, mem);
		if (!hdr)
			return false;
	}
	req->type = __virtio32_to_cpu(true, READ_ONCE(hdr->type));
	req->sector = __virtio64_to_cpu(true, READ_ONCE(hdr->sector));
	return true;
}

/*
 * What is behind the header, and before the status.  Returns how many segments
 * that can be.
 */
static u32 find_data(struct vbs_req *req, const struct vbs_chain *chain)
{
	u32 n, skip = sizeof(req->hdr);
	u64 iova;

	req->data.off = 0;
	if (type_reads_disk(req->type)) {
		req->data.seg = chain->segs + chain->nr_out;
		req->data.left = chain->buf.in_len - 1;
		return chain->nr_in;
	}
	req->data.seg = chain->segs;
	req->data.left = chain->out_len;
	for (; skip; skip -= n) {
		n = vbs_iter_peek(&req->data, &iova);
		n = min_t(u32, n, skip);
		vbs_iter_advance(&req->data, n);
	}
	return chain->nr_out;
}

u8 vbs_req_decode(struct vbs_req *req, const struct vbs_chain *chain,
		  struct vbs_mem *mem, const struct vbs_disk *disk)
{
	const struct vbs_seg *last =
		&chain->segs[chain->nr_out + chain->nr_in - 1];
	u32 nr_segs;

	req->status_iova = last->iova + last->len - 1;
	if (unlikely(!read_header(req, chain, mem))) {
		/* For the trace. */
		req->type = 0;
		req->sector = 0;
		return VIRTIO_BLK_S_IOERR;
	}
	nr_segs = find_data(req, chain);
	return decode_type(req, nr_segs, mem, disk);
}
