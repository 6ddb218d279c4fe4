// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtqueue at work: kick, worker, request, completion, interrupt, drain.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bottom_half.h>
#include <linux/slab.h>
#include <linux/vhost_iotlb.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Requests between two updates of the used index. */
#define VBS_BATCH	32

/* How long a worker keeps its lock when nobody wants it, in milliseconds. */
#define VBS_SLICE	10

void vbs_vq_kick(struct vbs_vq *vq)
{
	/* The state is the worker's to check: a check here races with start. */
	kthread_queue_work(vq->worker, &vq->work);
}

void vbs_vq_signal(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	if (!vq->cb.callback)
		return;
	/*
	 * virtio-vdpa's callback completes block requests, which would wake
	 * ksoftirqd for each outside of a softirq.
	 */
	local_bh_disable();
	vq->cb.callback(vq->cb.private);
	local_bh_enable();
}

static void vq_unmap_ring(struct vbs_vq *vq)
{
	vbs_area_unmap(&vq->desc);
	vbs_area_unmap(&vq->avail);
	vbs_area_unmap(&vq->used);
}

static void vq_break(struct vbs_vq *vq, const char *why)
{
	lockdep_assert_held(&vq->lock);

	vbs_vq_stop(vq);
	vq->broken = true;
	pr_warn_ratelimited("%s: vq %u: broken ring: %s; stopped until the client resets the disk\n",
			    vbs_name(vq->dev), vq->index, why);
	vbs_needs_reset(vq->dev);
}

static int vq_map_ring(struct vbs_vq *vq, bool event_idx)
{
	struct vbs_mem mem = { .as = &vq->dev->as };
	int err;

	vq->desc.len = vbs_ring_desc_size(vq->num);
	vq->avail.len = vbs_ring_avail_size(vq->num, event_idx);
	vq->used.len = vbs_ring_used_size(vq->num, event_idx);

	err = vbs_area_map(&vq->desc, &mem, VHOST_MAP_RO);
	if (!err)
		err = vbs_area_map(&vq->avail, &mem, VHOST_MAP_RO);
	if (!err)
		err = vbs_area_map(&vq->used, &mem, VHOST_MAP_WO);
	if (err)
		vq_unmap_ring(vq);
	return err;
}

void vbs_vq_start(struct vbs_vq *vq)
{
	u64 features = vq->dev->disk.features;
	struct vbs_ring *ring = &vq->ring;
	int err;

	lockdep_assert_held(&vq->dev->lock);
	lockdep_assert_held(&vq->lock);

	/* QEMU enables queues that the guest does not use. */
	if (vq->live || vq->broken || !vq->ready || !vq->has_addr)
		return;
	if (!vbs_ring_valid_num(vq->num)) {
		vq_break(vq, "size is not a power of two up to 1024");
		return;
	}

	ring->event_idx = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	err = vq_map_ring(vq, ring->event_idx);
	if (err) {
		if (err == -ENOMEM)
			vq_break(vq, "no memory to map it");
		else if (!vq->lost)
			vq_break(vq, "not mapped by the client");
		return;
	}

	ring->num = vq->num;
	ring->desc = vq->desc.va;
	ring->avail = vq->avail.va;
	ring->used = vq->used.va;
	vbs_ring_init(ring, vq->base);
	vq->lost = false;
	vq->live = true;
	/* A kick may have come before, or been lost: look at the ring. */
	vbs_vq_kick(vq);
}

void vbs_vq_stop(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	if (!vq->live)
		return;
	vq->live = false;
	vq->base = vq->ring.last_avail;
	vq_unmap_ring(vq);
}

static bool area_in(const struct vbs_area *area, u64 first, u64 last)
{
	return area->iova <= last && area->iova + area->len - 1 >= first;
}

void vbs_vq_memory_gone(struct vbs_vq *vq, u64 first, u64 last)
{
	lockdep_assert_held(&vq->dev->lock);

	vbs_vq_lock(vq);
	if (vq->live && (area_in(&vq->desc, first, last) ||
			 area_in(&vq->avail, first, last) ||
			 area_in(&vq->used, first, last))) {
		vbs_vq_stop(vq);
		vq->lost = true;
	}
	vbs_vq_unlock(vq);
}

void vbs_vq_memory_back(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->dev->lock);

	/* Clients map memory by thousands of pages while others do I/O. */
	if (!vq->lost)
		return;
	/* Not while it is still incomplete: the next map tries again. */
	vbs_vq_lock(vq);
	vbs_vq_start(vq);
	vbs_vq_unlock(vq);
}

/* Section 5.2.6: the ID string is not terminated when it fills the buffer. */
static int vq_get_id(struct vbs_vq *vq, struct vbs_mem *mem)
{
	const char *serial = vq->dev->serial;
	struct vbs_iter *data = &vq->req.data;
	u32 left = min_t(u64, data->left, VIRTIO_BLK_ID_BYTES);
	u64 iova;
	u32 len;
	int err;

	while (left) {
		len = min(vbs_iter_peek(data, &iova), left);
		err = vbs_mem_write(mem, iova, serial, len);
		if (err)
			return err;
		vbs_iter_advance(data, len);
		serial += len;
		left -= len;
	}
	return 0;
}

static int vq_execute_ranges(struct vbs_vq *vq)
{
	struct vbs_backend *be = vq->dev->backend;
	const struct vbs_range *range = vq->req.ranges;
	int err = 0;
	u64 pos, len;
	u32 i;

	for (i = 0; i < vq->req.nr_ranges && !err; i++, range++) {
		pos = range->sector << VBS_SECTOR_SHIFT;
		len = (u64)range->nr << VBS_SECTOR_SHIFT;
		if (vq->req.type == VIRTIO_BLK_T_DISCARD)
			err = be->ops->discard(be, pos, len);
		else
			err = be->ops->write_zeroes(be, pos, len, range->unmap);
	}
	return err;
}

static int vq_execute(struct vbs_vq *vq, struct vbs_mem *mem)
{
	struct vbs_backend *be = vq->dev->backend;
	struct vbs_req *req = &vq->req;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return be->ops->rw(be, mem, req->sector << VBS_SECTOR_SHIFT,
				   &req->data, req->type == VIRTIO_BLK_T_OUT);
	case VIRTIO_BLK_T_FLUSH:
		return be->ops->flush(be);
	case VIRTIO_BLK_T_GET_ID:
		return vq_get_id(vq, mem);
	default:
		return vq_execute_ranges(vq);
	}
}

/*
 * Bytes written to the device-writable part.  After an error it is the status
 * only, though it may stand behind data: what vhost-user devices answer too.
 * Without room for a status nothing is done: there is no way to answer.
 */
static u32 vq_handle(struct vbs_vq *vq, struct vbs_mem *mem)
{
	struct vbs_req *req = &vq->req;
	u64 before;
	u32 len = 1;
	u8 status;

	if (!vbs_req_has_status(&vq->chain)) {
		req->type = 0;
		req->sector = 0;
		trace_vdpa_blk_req_done(vq, VIRTIO_BLK_S_IOERR, 0);
		return 0;
	}

	status = vbs_req_decode(req, &vq->chain, mem, &vq->dev->disk);
	if (status == VIRTIO_BLK_S_OK) {
		before = req->data.left;
		status = vbs_errno_to_status(vq_execute(vq, mem));
		if (status == VIRTIO_BLK_S_OK &&
		    (req->type == VIRTIO_BLK_T_IN ||
		     req->type == VIRTIO_BLK_T_GET_ID))
			len += before - req->data.left;
	}
	if (vbs_mem_write(mem, req->status_iova, &status, 1))
		len = 0;
	trace_vdpa_blk_req_done(vq, status, len);
	return len;
}

/* Others want the lock, or may want it. */
static bool vq_must_yield(struct vbs_vq *vq)
{
	return atomic_read(&vq->waiters) ||
	       time_after_eq(jiffies, vq->deadline);
}

/*
 * As vbs_ring_pop(): positive when there may be more, 0 when the ring is empty,
 * or what is wrong with it.
 */
static int vq_batch(struct vbs_vq *vq, struct vbs_mem *mem)
{
	struct vbs_ring *ring = &vq->ring;
	int ret = 1, n;

	lockdep_assert_held(&vq->lock);

	for (n = 0; n < VBS_BATCH && !vq_must_yield(vq); n++) {
		ret = vbs_ring_pop(ring, mem, &vq->chain);
		if (ret <= 0)
			break;
		trace_vdpa_blk_req_start(vq);
		vbs_ring_push(ring, vq->chain.head, vq_handle(vq, mem));
		cond_resched();
	}
	if (vbs_ring_publish(ring))
		vbs_vq_signal(vq);
	return ret;
}

/* True when there is more to do. */
static bool vq_serve(struct vbs_vq *vq)
{
	struct vbs_mem mem = { .as = &vq->dev->as };
	int ret;

	vq->deadline = jiffies + msecs_to_jiffies(VBS_SLICE);
	vbs_ring_disable_kick(&vq->ring);
	do {
		ret = vq_batch(vq, &mem);
	} while (ret > 0 && !vq_must_yield(vq));

	if (ret < 0) {
		vq_break(vq, vbs_ring_strerror(ret));
		return false;
	}
	return ret > 0 || vbs_ring_enable_kick(&vq->ring);
}

static void vq_work(struct kthread_work *work)
{
	struct vbs_vq *vq = container_of(work, struct vbs_vq, work);
	bool more = false;

	mutex_lock(&vq->lock);
	if (vq->live)
		more = vq_serve(vq);
	mutex_unlock(&vq->lock);
	if (more)
		vbs_vq_kick(vq);
}

/**
 * vbs_vq_init - make a virtqueue that serves nothing yet
 * @vq: zeroed
 * @dev: its disk, which has its name
 * @index: its number
 *
 * Return: 0 or a negative errno; vbs_vq_destroy() is due in both cases.
 */
int vbs_vq_init(struct vbs_vq *vq, struct vbs_dev *dev, u16 index)
{
	struct kthread_worker *worker;

	vq->dev = dev;
	vq->index = index;
	vq->num = VBS_RING_MAX;
	mutex_init(&vq->lock);
	kthread_init_work(&vq->work, vq_work);
	if (!zalloc_cpumask_var(&vq->affinity, GFP_KERNEL) ||
	    !zalloc_cpumask_var(&vq->home, GFP_KERNEL))
		return -ENOMEM;
	cpumask_setall(vq->affinity);

	worker = kthread_run_worker(0, "vbs-%s/%u", vbs_name(dev), index);
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	vq->worker = worker;
	/* Not the CPUs that the administrator keeps free of kernel threads. */
	cpumask_copy(vq->home, worker->task->cpus_ptr);
	return 0;
}

/**
 * vbs_vq_destroy - end of a virtqueue
 * @vq: stopped by a reset, no kick comes any more
 */
void vbs_vq_destroy(struct vbs_vq *vq)
{
	if (vq->worker) {
		/* It may be about to queue itself again. */
		kthread_cancel_work_sync(&vq->work);
		kthread_destroy_worker(vq->worker);
	}
	free_cpumask_var(vq->home);
	free_cpumask_var(vq->affinity);
	mutex_destroy(&vq->lock);
}
