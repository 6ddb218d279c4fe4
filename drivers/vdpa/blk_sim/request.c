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

bool vbs_segs_ok(struct vbs_iter iter, u32 seg_max)
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
	    !vbs_range_ok(disk, range->sector, range->nr))
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

int vbs_req_copy_header(struct vbs_req *req, const struct vbs_chain *chain,
			struct vbs_mem *mem)
{
	struct vbs_iter iter = {
		.seg = chain->segs,
		.left = chain->out_len,
	};

	return vbs_iter_read(&iter, mem, &req->hdr, sizeof(req->hdr));
}

u8 vbs_req_decode_other(struct vbs_req *req, struct vbs_mem *mem,
			const struct vbs_disk *disk)
{
	switch (req->type) {
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
