/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio-blk request (virtio 1.3, section 5.2.6): from a descriptor chain to
 * a small checked struct.  Like ring.h, free of allocation, locks and device
 * pointers, and built on the host too.
 */
#ifndef VBS_REQUEST_H
#define VBS_REQUEST_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>

#include "ring.h"

#define VBS_SECTOR_SHIFT	9

/*
 * Limits of a disk, as the config space shows them.  Together they bound how
 * long one request keeps a queue busy, and so whoever wants to stop it.
 */
#define VBS_SEG_MAX		254
#define VBS_SIZE_MAX		(4U << 20)	/* bytes in a data segment */
#define VBS_MAX_RANGES		32		/* DISCARD, WRITE_ZEROES */
#define VBS_MAX_RANGE_SECTORS	(1U << 17)	/* 64 MiB */

/**
 * struct vbs_disk - what a request is checked against
 * @capacity: in sectors of 512 bytes
 * @block_size: logical block size in bytes
 * @features: negotiated feature bits
 * @seg_max: most data segments of a request
 * @readonly: writes answer IOERR
 */
struct vbs_disk {
	u64 capacity;
	u32 block_size;
	u32 seg_max;
	u64 features;
	bool readonly;
};

/**
 * struct vbs_iter - the bytes of some segments still to be handled
 * @seg: current segment
 * @off: bytes of @seg that are behind us
 * @left: bytes left, in all segments
 */
struct vbs_iter {
	const struct vbs_seg *seg;
	u32 off;
	u64 left;
};

/**
 * vbs_iter_peek - the next piece that is contiguous in IOVA space
 * @iter: with bytes left
 * @iova: set to its address
 *
 * Return: its length in bytes.
 */
static inline u32 vbs_iter_peek(const struct vbs_iter *iter, u64 *iova)
{
	u32 len = iter->seg->len - iter->off;

	*iova = iter->seg->iova + iter->off;
	return len < iter->left ? len : (u32)iter->left;
}

/**
 * vbs_iter_advance - bytes were handled
 * @iter: the iterator
 * @len: bytes, at most what vbs_iter_peek() returned
 */
static inline void vbs_iter_advance(struct vbs_iter *iter, u32 len)
{
	iter->left -= len;
	iter->off += len;
	if (iter->off == iter->seg->len) {
		iter->seg++;
		iter->off = 0;
	}
}

/**
 * vbs_iter_read - copy from the client's memory, and advance
 * @iter: with that many bytes left
 * @mem: the client's memory
 * @buf: where to put it
 * @len: bytes
 *
 * Return: 0 or -EFAULT.
 */
int vbs_iter_read(struct vbs_iter *iter, struct vbs_mem *mem, void *buf,
		  u32 len);

/**
 * struct vbs_range - one range of a DISCARD or WRITE_ZEROES, checked
 * @sector: first sector
 * @nr: sectors
 * @unmap: WRITE_ZEROES may give the memory back
 */
struct vbs_range {
	u64 sector;
	u32 nr;
	bool unmap;
};

/**
 * struct vbs_req - one decoded request
 * @type: VIRTIO_BLK_T_*
 * @sector: first sector of IN and OUT
 * @data: data to read or to fill in
 * @status_iova: where the status byte goes
 * @nr_ranges: ranges of DISCARD and WRITE_ZEROES
 * @ranges: a copy, so that the client cannot change what was checked
 * @hdr: a copy of the header, where it could not be read in place
 */
struct vbs_req {
	u32 type;
	u64 sector;
	struct vbs_iter data;
	u64 status_iova;
	u32 nr_ranges;
	struct vbs_range ranges[VBS_MAX_RANGES];
	struct virtio_blk_outhdr hdr;
};

/**
 * vbs_req_has_status - is there room for a status byte?
 * @chain: the chain
 */
static inline bool vbs_req_has_status(const struct vbs_chain *chain)
{
	return chain->nr_in;
}

/**
 * vbs_req_decode - find out what a chain asks for, and check it
 * @req: filled in; @status_iova in any case
 * @chain: a chain with room for a status byte
 * @mem: the client's memory
 * @disk: what to check against
 *
 * Return: VIRTIO_BLK_S_OK when @req can be executed, or the status to complete
 * it with.
 */
u8 vbs_req_decode(struct vbs_req *req, const struct vbs_chain *chain,
		  struct vbs_mem *mem, const struct vbs_disk *disk);

/**
 * vbs_iter_aligned - do the segments that are left suit a device?
 * @iter: the segments
 * @addr_mask: bits of their addresses that must be 0
 * @len_mask: bits of their lengths that must be 0
 */
bool vbs_iter_aligned(struct vbs_iter iter, u32 addr_mask, u32 len_mask);

/**
 * vbs_errno_to_status - the one place that turns an errno into a status
 * @err: 0 or a negative errno
 */
static inline u8 vbs_errno_to_status(int err)
{
	if (likely(!err))
		return VIRTIO_BLK_S_OK;
	return err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

#endif /* VBS_REQUEST_H */
