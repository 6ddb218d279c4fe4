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

/* The limits that SEG_MAX and SIZE_MAX announce, and how all is aligned. */
static bool check_segs(struct vbs_req *req, u32 seg_max)
{
	const struct vbs_seg *seg = req->data.seg;
	u32 off = req->data.off, addrs = 0, lens = 0, nr = 0;
	u64 left = req->data.left, len;

	for (; left; left -= len, seg++, off = 0) {
		len = min_t(u64, seg->len - off, left);
		if (len > VBS_SIZE_MAX || ++nr > seg_max)
			return false;
		addrs |= (u32)seg->iova + off;
		lens |= len;
	}
	req->align_addr = addrs;
	req->align_len = lens;
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

static u8 decode_rw(struct vbs_req *req, const struct vbs_disk *disk)
{
	u64 len = req->data.left;

	if (req->type == VIRTIO_BLK_T_OUT && disk->readonly)
		return VIRTIO_BLK_S_IOERR;
	if (len & ((1 << VBS_SECTOR_SHIFT) - 1))
		return VIRTIO_BLK_S_IOERR;
	if (!range_ok(disk, req->sector, len >> VBS_SECTOR_SHIFT))
		return VIRTIO_BLK_S_IOERR;
	if (!check_segs(req, disk->seg_max))
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

static u8 decode_type(struct vbs_req *req, struct vbs_mem *mem,
		      const struct vbs_disk *disk)
{
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return decode_rw(req, disk);
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

/* Nearly always in a descriptor of its own. */
static int read_header(struct vbs_iter *iter, struct vbs_mem *mem,
		       struct virtio_blk_outhdr *hdr)
{
	if (iter->seg->len < sizeof(*hdr))
		return vbs_iter_read(iter, mem, hdr, sizeof(*hdr));
	if (vbs_mem_read(mem, iter->seg->iova, hdr, sizeof(*hdr)))
		return -EFAULT;
	vbs_iter_advance(iter, sizeof(*hdr));
	return 0;
}

u8 vbs_req_decode(struct vbs_req *req, const struct vbs_chain *chain,
		  struct vbs_mem *mem, const struct vbs_disk *disk)
{
	const struct vbs_seg *out = chain->segs;
	const struct vbs_seg *in = chain->segs + chain->nr_out;
	const struct vbs_seg *last = &in[chain->nr_in - 1];
	struct virtio_blk_outhdr hdr;
	struct vbs_iter iter = {
		.seg = out,
		.left = chain->out_len,
	};

	req->status_iova = last->iova + last->len - 1;
	/* For the trace, when there is no header to be read. */
	req->type = 0;
	req->sector = 0;
	if (iter.left < sizeof(hdr) || read_header(&iter, mem, &hdr))
		return VIRTIO_BLK_S_IOERR;

	req->type = __virtio32_to_cpu(true, hdr.type);
	req->sector = __virtio64_to_cpu(true, hdr.sector);
	if (type_reads_disk(req->type)) {
		req->data.seg = in;
		req->data.off = 0;
		req->data.left = chain->buf.in_len - 1;
	} else {
		req->data = iter;
	}
	return decode_type(req, mem, disk);
}

u8 vbs_errno_to_status(int err)
{
	switch (err) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}
