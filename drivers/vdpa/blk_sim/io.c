// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests being executed, from the decoded chain to the used entry.
 *
 * Whoever serves the queue starts them one after the other; they end in any
 * order and in any context: here, in the backend's interrupt, or in the work
 * queue for what sleeps.  Whoever ends a request writes its status and its used
 * entry himself, under vbs_vq.done_lock, and nobody else is woken for it.
 *
 * With a backend that is not asynchronous requests end before the next one is
 * started, under vbs_vq.lock: nothing else has to be taken, nothing counted.
 */
#include <linux/blkdev.h>
#include <linux/bottom_half.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/vhost_iotlb.h>
#include <linux/wait_bit.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Requests between two updates of the used index. */
#define VBS_BATCH	32

/* Most bytes that are copied in the context of a kick, by one request. */
#define VBS_SHORT_MAX	(64U << 10)

/* ---- what the driver gets to see ---- */

/*
 * virtio-vdpa's callback completes block requests, which would wake ksoftirqd
 * for each outside of a softirq.
 */
static inline void call_from_task(const struct vdpa_callback *cb)
{
	if (!cb->callback)
		return;
	local_bh_disable();
	cb->callback(cb->private);
	local_bh_enable();
}

static void call(const struct vdpa_callback *cb)
{
	if (in_task() && !irqs_disabled())
		call_from_task(cb);
	else if (cb->callback)
		cb->callback(cb->private);
}

void vbs_io_signal(struct vbs_vq *vq)
{
	struct vdpa_callback cb;
	unsigned long flags;

	spin_lock_irqsave(&vq->done_lock, flags);
	vq->stats.irqs++;
	cb = vq->cb;
	spin_unlock_irqrestore(&vq->done_lock, flags);
	call(&cb);
}

/* Who ends requests of the queue has to hold this. */
static void assert_may_end(const struct vbs_vq *vq)
{
	if (vq->async)
		lockdep_assert_held(&vq->done_lock);
	else
		lockdep_assert_held(&vq->lock);
}

/* True when the driver is to be called, now that it can see it all. */
static bool publish(struct vbs_vq *vq)
{
	assert_may_end(vq);

	if (vq->ring.used_idx == vq->ring.used_published)
		return false;
	vq->stats.batches++;
	if (!vbs_ring_publish(&vq->ring))
		return false;
	vq->stats.irqs++;
	return true;
}

/* As publish(), for those who call without the lock that it needs. */
static struct vdpa_callback publish_locked(struct vbs_vq *vq)
{
	return publish(vq) ? vq->cb : (struct vdpa_callback){};
}

/* Is another request at work than the one that asks? */
static bool others_active(const struct vbs_dev *dev)
{
	unsigned int active = 0, i;

	for (i = 0; i < dev->nr_vqs; i++)
		active += atomic_read(&dev->vqs[i]->nr_active);
	return active > 1;
}

/* Only one of those who come in the same jiffy counts it. */
static void add_io_ticks(struct vbs_dev *dev, unsigned long now, bool end)
{
	unsigned long stamp = READ_ONCE(dev->io_stamp);

	if (time_after(now, stamp) &&
	    try_cmpxchg(&dev->io_stamp, &stamp, now) &&
	    (end || others_active(dev)))
		atomic_long_add(now - stamp, &dev->io_ticks);
}

/* Time with at least one request at work, as the block layer counts it. */
static void update_io_ticks(struct vbs_dev *dev, unsigned long now, bool end)
{
	if (unlikely(now != READ_ONCE(dev->io_stamp)))
		add_io_ticks(dev, now, end);
}

/* ---- batches, of a backend that is asynchronous and of one that is not ---- */

static void async_begin(struct vbs_vq *vq)
{
	if (vq->dev->backend->ops->rw_sleeps)
		return;
	spin_lock_irq(&vq->done_lock);
	vq->batching = true;
	spin_unlock_irq(&vq->done_lock);
}

static void async_end(struct vbs_vq *vq)
{
	struct vdpa_callback cb;

	spin_lock_irq(&vq->done_lock);
	vq->batching = false;
	cb = publish_locked(vq);
	spin_unlock_irq(&vq->done_lock);
	call_from_task(&cb);
}

static void sync_begin(struct vbs_vq *vq)
{
	atomic_set(&vq->nr_active, 1);
	update_io_ticks(vq->dev, vq->batch_start, false);
}

static void sync_end(struct vbs_vq *vq)
{
	if (vq->ring.used_idx != vq->ring.used_published)
		update_io_ticks(vq->dev, jiffies, true);
	atomic_set(&vq->nr_active, 0);
	if (publish(vq))
		call_from_task(&vq->cb);
}

/* ---- the end of a request ---- */

static enum vbs_stat_group group_of(u32 type)
{
	switch (type) {
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return VBS_STAT_WRITE;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_SECURE_ERASE:
		return VBS_STAT_DISCARD;
	case VIRTIO_BLK_T_FLUSH:
		return VBS_STAT_FLUSH;
	default:
		return VBS_STAT_READ;
	}
}

static inline void account(struct vbs_vq *vq, const struct vbs_io *io, int err,
			   unsigned long ticks)
{
	enum vbs_stat_group group = group_of(io->type);

	assert_may_end(vq);

	vq->stats.ios[group]++;
	vq->stats.ticks[group] += ticks;
	if (unlikely(err))
		vq->stats.errors++;
	else
		vq->stats.sectors[group] += io->sectors;
}

/*
 * The length is what was written to the device-writable part.  After an error
 * it is the status only, though it may stand behind data: what vhost-user
 * devices answer too.
 */
static inline u32 answer(const struct vbs_io *io, const struct vbs_buf *buf,
			 int err)
{
	u8 status = vbs_errno_to_status(err);
	u32 len = 0;

	if (likely(io->status)) {
		*io->status = status;
		len = unlikely(err) ? 1 : io->len;
	}
	trace_vdpa_blk_req_done(io, buf->head, status, len);
	return len;
}

static void io_complete(struct vbs_io *io)
{
	struct vbs_vq *vq = io->vq;
	struct vdpa_callback cb = {};
	u32 len = answer(io, &io->buf, io->err);
	unsigned long now = jiffies, flags;

	spin_lock_irqsave(&vq->done_lock, flags);
	vbs_ring_push(&vq->ring, &io->buf, len);
	account(vq, io, io->err, now - io->start);
	update_io_ticks(vq->dev, now, true);
	io->next = vq->free;
	vq->free = io;
	if (!vq->batching)
		cb = publish_locked(vq);
	spin_unlock_irqrestore(&vq->done_lock, flags);

	call(&cb);
	/* From here on vbs_io_drain() may return, and @vq is not ours. */
	if (atomic_dec_and_test(&vq->nr_active))
		wake_up_var(&vq->nr_active);
}

/* Of a backend that is not asynchronous: published with its batch. */
static void io_complete_sync(struct vbs_vq *vq, const struct vbs_io *io,
			     int err)
{
	const struct vbs_buf *buf = &vq->chain.buf;

	vbs_ring_push(&vq->ring, buf, answer(io, buf, err));
	/* A batch ends when the clock ticks. */
	account(vq, io, err, jiffies - vq->batch_start);
}

static bool put_was_last(struct vbs_io *io, int err)
{
	if (err)
		cmpxchg(&io->err, 0, err);
	return atomic_dec_and_test(&io->refs);
}

void vbs_io_put(struct vbs_io *io, int err)
{
	if (put_was_last(io, err))
		io_complete(io);
}

static void complete_work(struct work_struct *work)
{
	io_complete(container_of(work, struct vbs_io, work));
}

void vbs_io_put_locked(struct vbs_io *io, int err)
{
	if (!put_was_last(io, err))
		return;
	INIT_WORK(&io->work, complete_work);
	queue_work(io->vq->dev->wq, &io->work);
}

void vbs_io_drain(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	wait_var_event(&vq->nr_active, !atomic_read(&vq->nr_active));
}

/* ---- execution ---- */

/*
 * The client's segments are cut where its pages end: addresses have to be
 * aligned to blocks, for the pieces to be whole ones.
 */
static bool must_bounce(const struct vbs_vq *vq)
{
	const struct vbs_limits *limits = &vq->dev->backend->limits;
	u32 block_mask = limits->block_size - 1;

	return !vbs_iter_aligned(vq->req.data, limits->dma_mask | block_mask,
				 block_mask);
}

/*
 * Section 5.2.6.2: a driver without FLUSH takes every write for durable, and so
 * does one that has switched the write cache off.
 */
static bool must_be_durable(const struct vbs_dev *dev)
{
	return !(dev->disk.features & BIT_ULL(VIRTIO_BLK_F_FLUSH)) ||
	       !READ_ONCE(dev->wce);
}

static int execute_rw(struct vbs_vq *vq, struct vbs_io *io,
		      struct vbs_mem *mem)
{
	bool write = vq->req.type == VIRTIO_BLK_T_OUT;
	struct vbs_backend *be = vq->dev->backend;
	u64 pos = vq->req.sector << VBS_SECTOR_SHIFT;
	struct vbs_iter *data = &vq->req.data;
	int err;

	/* Done in a moment, unless memory has to be found. */
	if (io->nowait && data->left > VBS_SHORT_MAX)
		return -EAGAIN;
	io->sectors = data->left >> VBS_SECTOR_SHIFT;
	if (write) {
		io->len = 1;
		io->durable = must_be_durable(vq->dev);
	} else {
		io->len = 1 + data->left;
	}
	if (vbs_sectors_bad(vq->dev, vq->req.sector, io->sectors))
		return -EIO;
	if (!be->ops->rw_buf || !must_bounce(vq))
		return be->ops->rw(be, io, mem, pos, data, write);

	/* What ended before is not to wait for this one. */
	async_end(vq);
	err = vbs_execute_bounced(vq, pos, write);
	if (!err && write && io->durable)
		err = be->ops->flush(be, io);
	async_begin(vq);
	return err;
}

static int execute(struct vbs_vq *vq, struct vbs_io *io, struct vbs_mem *mem)
{
	if (likely(vbs_type_is_rw(vq->req.type)))
		return execute_rw(vq, io, mem);

	io->sectors = 0;
	io->len = 1;
	io->durable = must_be_durable(vq->dev);
	return vbs_execute_other(vq, io);
}

static struct vbs_io *io_take(struct vbs_vq *vq)
{
	struct vbs_io *io;

	/* There is one: vbs_ring_pop() lets no more chains in than there are. */
	spin_lock_irq(&vq->done_lock);
	io = vq->free;
	vq->free = io->next;
	atomic_inc(&vq->nr_active);
	spin_unlock_irq(&vq->done_lock);

	io->start = jiffies;
	io->buf = vq->chain.buf;
	io->err = 0;
	atomic_set(&io->refs, 1);
	update_io_ticks(vq->dev, io->start, false);
	return io;
}

/* Without room for a status there is no way to answer: do nothing. */
static int cannot_answer(struct vbs_io *io)
{
	io->status = NULL;
	io->type = 0;
	io->sector = 0;
	return -EIO;
}

static int decode_and_execute(struct vbs_vq *vq, struct vbs_io *io,
			      bool nowait)
{
	struct vbs_mem *mem = &vq->mem;
	struct vbs_req *req = &vq->req;
	void *va;
	u32 one = 1;
	u8 status;

	if (unlikely(!vbs_req_has_status(&vq->chain) ||
		     !vbs_mem_map(mem, vbs_req_status_iova(&vq->chain),
				  VHOST_MAP_WO, &one, &va)))
		return cannot_answer(io);

	io->status = va;
	status = vbs_req_decode(req, &vq->chain, mem, &vq->dev->disk);
	io->type = req->type;
	io->sector = req->sector;
	if (unlikely(status != VIRTIO_BLK_S_OK))
		return status == VIRTIO_BLK_S_UNSUPP ? -EOPNOTSUPP : -EIO;
	io->nowait = nowait;
	return execute(vq, io, mem);
}

/* False when @nowait was in the way: the chain has to be given back. */
static bool start(struct vbs_vq *vq, bool nowait)
{
	struct vbs_io *io;
	int err;

	io = vq->async ? io_take(vq) : vq->free;
	err = decode_and_execute(vq, io, nowait);
	if (vq->async) {
		vbs_io_put(io, err);
		return true;
	}
	if (unlikely(err) && err == -EAGAIN && nowait)
		return false;
	io_complete_sync(vq, io, err);
	return true;
}

/* ---- many at once ---- */

static int batch_start(struct vbs_vq *vq, bool nowait)
{
	unsigned long now;
	int ret, n;
	u16 pos;

	for (n = 0; n < VBS_BATCH; n++) {
		pos = vq->ring.last_avail;
		ret = vbs_ring_pop(&vq->ring, &vq->mem, &vq->chain);
		if (ret <= 0)
			return ret;
		if (trace_vdpa_blk_req_start_enabled() && !vq->put_back)
			trace_vdpa_blk_req_start(vq);
		if (unlikely(!start(vq, nowait))) {
			vbs_ring_unpop(&vq->ring, pos);
			vq->put_back = true;
			return VBS_BATCH_MUST_WAIT;
		}
		vq->put_back = false;
		vq->served++;
		/* What has ended waits for its end to be published. */
		now = jiffies;
		if (need_resched() || atomic_read(&vq->waiters) ||
		    now != vq->batch_start)
			break;
	}
	return VBS_BATCH_MORE;
}

/* Not in line: room on the stack has to be cleared. */
static noinline int batch_async(struct vbs_vq *vq)
{
	struct blk_plug plug;
	int ret;

	async_begin(vq);
	blk_start_plug(&plug);
	ret = batch_start(vq, false);
	blk_finish_plug(&plug);
	async_end(vq);
	return ret;
}

int vbs_io_batch(struct vbs_vq *vq, bool nowait)
{
	int ret;

	lockdep_assert_held(&vq->lock);

	vq->batch_start = jiffies;
	if (vq->async)
		return batch_async(vq);

	sync_begin(vq);
	ret = batch_start(vq, nowait);
	sync_end(vq);
	return ret;
}

/* ---- memory ---- */

int vbs_io_alloc(struct vbs_vq *vq)
{
	const struct vbs_backend_ops *ops = vq->dev->backend->ops;
	size_t size = ALIGN(sizeof(struct vbs_io) + ops->io_size, 8);
	unsigned int nr = ops->async ? vq->num : 1;
	struct vbs_io *io;

	lockdep_assert_held(&vq->lock);

	vq->async = ops->async;
	vq->ios = kvcalloc(nr, size, GFP_KERNEL_ACCOUNT);
	if (!vq->ios)
		return -ENOMEM;
	vq->free = NULL;
	while (nr--) {
		io = vq->ios + nr * size;
		io->vq = vq;
		io->next = vq->free;
		vq->free = io;
	}
	return 0;
}

void vbs_io_free(struct vbs_vq *vq)
{
	kvfree(vq->ios);
	vq->ios = NULL;
	vq->free = NULL;
}
