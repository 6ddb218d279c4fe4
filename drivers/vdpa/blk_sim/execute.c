// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that are neither IN nor OUT, and those that need a copy of the data.
 */
#include <linux/slab.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

/* Bytes copied at a time when segments do not suit the backend. */
#define VBS_BOUNCE_SIZE	(64U << 10)

int vbs_execute_bounced(struct vbs_vq *vq, u64 pos, bool write)
{
	struct vbs_backend *be = vq->dev->backend;
	struct vbs_iter *data = &vq->req.data;
	struct vbs_mem *mem = &vq->mem;
	u32 size = VBS_BOUNCE_SIZE, len;
	int err = 0;
	void *buf;

	buf = kmalloc(size, GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY);
	if (!buf) {
		size = PAGE_SIZE;
		buf = kmalloc(size, GFP_NOIO);
	}
	if (!buf)
		return -ENOMEM;

	while (data->left && !err) {
		len = min_t(u64, data->left, size);
		if (write)
			err = vbs_iter_read(data, mem, buf, len);
		if (!err)
			err = be->ops->rw_buf(be, buf, pos, len, write);
		if (!err && !write)
			err = vbs_iter_write(data, mem, buf, len);
		pos += len;
		vq->stats.bounced += len;
	}
	kfree(buf);
	return err;
}

bool vbs_listed_bad(struct vbs_dev *dev, u64 sector, u32 nr)
{
	return nr && vdpa_blk_badblocks_check(dev->badblocks, sector, nr);
}

/* ---- what sleeps ---- */

/* Linux drivers ask for UNMAP whether write_zeroes_may_unmap is set or not. */
static bool may_unmap(const struct vbs_dev *dev, const struct vbs_range *range)
{
	return range->unmap &&
	       dev->device_features & BIT_ULL(VIRTIO_BLK_F_DISCARD);
}

static int do_range(struct vbs_dev *dev, u32 type,
		    const struct vbs_range *range)
{
	struct vbs_backend *be = dev->backend;
	u64 pos = range->sector << VBS_SECTOR_SHIFT;
	u64 len = (u64)range->nr << VBS_SECTOR_SHIFT;

	if (!len)
		return 0;
	switch (type) {
	case VIRTIO_BLK_T_DISCARD:
		return be->ops->discard(be, pos, len);
	case VIRTIO_BLK_T_SECURE_ERASE:
		return be->ops->secure_erase(be, pos, len);
	default:
		return be->ops->write_zeroes(be, pos, len,
					     may_unmap(dev, range));
	}
}

static int do_ranges(struct vbs_io *io, const struct vbs_range *ranges, u32 nr)
{
	struct vbs_dev *dev = io->vq->dev;
	int err = 0;
	u32 i;

	for (i = 0; i < nr && !err; i++) {
		if (vbs_sectors_bad(dev, ranges[i].sector, ranges[i].nr))
			err = -EIO;
		else
			err = do_range(dev, io->type, &ranges[i]);
	}
	/* Section 5.2.6.2: without a write cache it has to last. */
	if (!err && io->durable)
		err = dev->backend->ops->flush(dev->backend, io);
	return err;
}

static int do_sleeping(struct vbs_io *io, const struct vbs_range *ranges,
		       u32 nr)
{
	struct vbs_backend *be = io->vq->dev->backend;

	if (io->type == VIRTIO_BLK_T_FLUSH)
		return be->ops->flush(be, io);
	return do_ranges(io, ranges, nr);
}

static void io_work(struct work_struct *work)
{
	struct vbs_io *io = container_of(work, struct vbs_io, work);
	struct vbs_range *ranges = io->ranges;
	unsigned int flags;
	int err;

	flags = vbs_backend_begin();
	err = do_sleeping(io, ranges, io->nr_ranges);
	vbs_backend_end(flags);
	kfree(ranges);
	vbs_io_put(io, err);
}

/* Without memory for a copy of the ranges the worker does it, and waits. */
static int io_sleeping(struct vbs_vq *vq, struct vbs_io *io, u32 nr)
{
	const struct vbs_range *ranges = vq->req.ranges;
	u32 i;

	for (i = 0; i < nr; i++)
		io->sectors += ranges[i].nr;
	if (!vq->async)
		return do_sleeping(io, ranges, nr);

	io->ranges = NULL;
	io->nr_ranges = nr;
	if (nr) {
		io->ranges = kmemdup(ranges, nr * sizeof(*ranges),
				     GFP_NOIO | __GFP_NOWARN);
		if (!io->ranges)
			return do_sleeping(io, ranges, nr);
	}
	vbs_io_get(io);
	INIT_WORK(&io->work, io_work);
	queue_work(vq->dev->wq, &io->work);
	return 0;
}

/* ---- what else there is ---- */

/* Section 5.2.6: the ID string is not terminated when it fills the buffer. */
static int execute_get_id(struct vbs_vq *vq, struct vbs_io *io)
{
	struct vbs_iter *data = &vq->req.data;
	u32 len = min_t(u64, data->left, VIRTIO_BLK_ID_BYTES);

	io->len = 1 + len;
	return vbs_iter_write(data, &vq->mem, vq->dev->serial, len);
}

/* Done in a moment; of IN and OUT execute_rw() knows. */
static bool is_short(const struct vbs_vq *vq)
{
	switch (vq->req.type) {
	case VIRTIO_BLK_T_FLUSH:
		return !vq->dev->backend->ops->flush_sleeps;
	case VIRTIO_BLK_T_GET_ID:
		return true;
	default:
		return false;
	}
}

int vbs_execute_other(struct vbs_vq *vq, struct vbs_io *io)
{
	struct vbs_backend *be = vq->dev->backend;
	struct vbs_req *req = &vq->req;

	if (io->nowait && !is_short(vq))
		return -EAGAIN;
	switch (req->type) {
	case VIRTIO_BLK_T_FLUSH:
		if (atomic_read(&vq->dev->flush_lost) &&
		    atomic_xchg(&vq->dev->flush_lost, 0))
			return -EIO;
		if (be->ops->flush_sleeps)
			return io_sleeping(vq, io, 0);
		return be->ops->flush(be, io);
	case VIRTIO_BLK_T_GET_ID:
		return execute_get_id(vq, io);
	default:
		return io_sleeping(vq, io, req->nr_ranges);
	}
}
