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
#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_byteorder.h>

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
 * @nr_ranges: ranges of DISCARD and WRITE_ZEROES
 * @ranges: a copy, so that the client cannot change what was checked
 * @hdr: a copy of the header, where it could not be read in place
 */
struct vbs_req {
	u32 type;
	u64 sector;
	struct vbs_iter data;
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
 * vbs_req_status_iova - where the status byte goes
 * @chain: a chain with room for one
 */
static inline u64 vbs_req_status_iova(const struct vbs_chain *chain)
{
	const struct vbs_seg *end = chain->segs + chain->nr_out + chain->nr_in;

	return end[-1].iova + end[-1].len - 1;
}

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

/* ---- request.c: the parts of vbs_req_decode() that few requests need ---- */

/* All of a header that is not in one piece, to @hdr.  Return: 0 or -EFAULT. */
int vbs_req_copy_header(struct vbs_req *req, const struct vbs_chain *chain,
			struct vbs_mem *mem);

/* The limits that SEG_MAX and SIZE_MAX announce, segment by segment. */
bool vbs_segs_ok(struct vbs_iter iter, u32 seg_max);

/* What is neither IN nor OUT. */
u8 vbs_req_decode_other(struct vbs_req *req, struct vbs_mem *mem,
			const struct vbs_disk *disk);

/* ---- those that all need: in line, as a call would cost as much ---- */

/* Sectors inside the disk, and whole logical blocks. */
static inline bool vbs_range_ok(const struct vbs_disk *disk, u64 sector, u64 nr)
{
	u32 mask = (disk->block_size >> VBS_SECTOR_SHIFT) - 1;
	/* It may grow at any time. */
	u64 capacity = READ_ONCE(disk->capacity);

	if (sector > capacity || nr > capacity - sector)
		return false;
	return !(sector & mask) && !(nr & mask);
}

/* @nr_segs: at most so many segments have data */
static inline u8 vbs_req_decode_rw(const struct vbs_req *req,
				   const struct vbs_disk *disk, u32 nr_segs)
{
	u64 len = req->data.left;

	if (req->type == VIRTIO_BLK_T_OUT && disk->readonly)
		return VIRTIO_BLK_S_IOERR;
	if (len & ((1 << VBS_SECTOR_SHIFT) - 1))
		return VIRTIO_BLK_S_IOERR;
	if (!vbs_range_ok(disk, req->sector, len >> VBS_SECTOR_SHIFT))
		return VIRTIO_BLK_S_IOERR;
	/* What holds for all together holds for each. */
	if (unlikely(len > VBS_SIZE_MAX || nr_segs > disk->seg_max) &&
	    !vbs_segs_ok(req->data, disk->seg_max))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static inline bool vbs_type_is_rw(u32 type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT;
}

static inline bool vbs_type_reads_disk(u32 type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

/* Nearly always in a descriptor of its own. */
static inline bool vbs_req_read_header(struct vbs_req *req,
				       const struct vbs_chain *chain,
				       struct vbs_mem *mem)
{
	const struct virtio_blk_outhdr *hdr;
	const void *va;

	if (unlikely(chain->out_len < sizeof(*hdr)))
		return false;
	if (unlikely(chain->segs[0].len < sizeof(*hdr) ||
		     !vbs_mem_peek(mem, chain->segs[0].iova, sizeof(*hdr),
				   &va))) {
		if (vbs_req_copy_header(req, chain, mem))
			return false;
		va = &req->hdr;
	}
	hdr = va;
	req->type = __virtio32_to_cpu(true, READ_ONCE(hdr->type));
	req->sector = __virtio64_to_cpu(true, READ_ONCE(hdr->sector));
	return true;
}

/*
 * What is behind the header, and before the status.  Returns how many segments
 * that can be.
 */
static inline u32 vbs_req_find_data(struct vbs_req *req,
				    const struct vbs_chain *chain)
{
	u32 n, skip = sizeof(req->hdr);
	u64 iova;

	req->data.off = 0;
	if (vbs_type_reads_disk(req->type)) {
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

/**
 * vbs_req_decode - find out what a chain asks for, and check it
 * @req: filled in
 * @chain: a chain with room for a status byte
 * @mem: the client's memory
 * @disk: what to check against
 *
 * Return: VIRTIO_BLK_S_OK when @req can be executed, or the status to complete
 * it with.
 */
static inline u8 vbs_req_decode(struct vbs_req *req,
				const struct vbs_chain *chain,
				struct vbs_mem *mem,
				const struct vbs_disk *disk)
{
	u32 nr_segs;

	if (unlikely(!vbs_req_read_header(req, chain, mem))) {
		/* For the trace. */
		req->type = 0;
		req->sector = 0;
		return VIRTIO_BLK_S_IOERR;
	}
	nr_segs = vbs_req_find_data(req, chain);
	if (unlikely(!vbs_type_is_rw(req->type)))
		return vbs_req_decode_other(req, mem, disk);
	return vbs_req_decode_rw(req, disk, nr_segs);
}

#endif /* VBS_REQUEST_H */
