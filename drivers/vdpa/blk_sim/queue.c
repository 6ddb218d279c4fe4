// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtqueue at work: kick, worker, start, stop, drain.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/vhost_iotlb.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

/* Batches that a thread which kicks works for others, before the worker does. */
#define VBS_DIRECT_BATCHES	4

/* Kicks that are served directly before it is tried how the worker would do. */
#define VBS_DIRECT_KICKS	512

/* Wake-ups for a single request, until the worker is not woken any more. */
#define VBS_SHALLOW_RUNS	8

/* How long a worker keeps its lock when nobody wants it, in milliseconds. */
#define VBS_SLICE	10

/* Until a queue that had no memory to start with is tried again. */
#define VBS_RETRY_DELAY	(HZ / 10)

/* A window that is worth polling for, in nanoseconds. */
#define VBS_POLL_MIN	((u64)NSEC_PER_USEC)

static void vq_wake(struct vbs_vq *vq)
{
	kthread_queue_work(vq->worker, &vq->work);
}

void vbs_vq_unlock(struct vbs_vq *vq)
{
	mutex_unlock(&vq->lock);
	/* Pairs with the first one in vq_serve_direct(). */
	smp_mb();
	if (READ_ONCE(vq->kicked))
		vq_wake(vq);
}

static void vq_unmap_ring(struct vbs_vq *vq)
{
	vbs_area_unmap(&vq->desc);
	vbs_area_unmap(&vq->avail);
	vbs_area_unmap(&vq->used);
	vbs_mem_destroy(&vq->mem);
}

static void vq_break(struct vbs_vq *vq, const char *why)
{
	lockdep_assert_held(&vq->lock);

	vbs_vq_stop(vq);
	vq->broken = true;
	vq->stats.broken++;
	pr_warn_ratelimited("%s: vq %u: broken ring: %s; stopped until the client resets the disk\n",
			    vbs_name(vq->dev), vq->index, why);
	vbs_needs_reset(vq->dev);
}

/* Section 2.8: used descriptors go where the available ones were. */
static int vq_map_ring(struct vbs_vq *vq)
{
	struct vbs_ring *ring = &vq->ring;
	struct vbs_mem *mem = &vq->mem;
	int err;

	err = vbs_mem_init(mem, &vq->dev->as);
	if (err)
		return err;
	vq->desc.len = vbs_ring_desc_size(ring);
	vq->avail.len = vbs_ring_avail_size(ring);
	vq->used.len = vbs_ring_used_size(ring);

	err = vbs_area_map(&vq->desc, mem,
			   ring->packed ? VHOST_MAP_RW : VHOST_MAP_RO);
	if (!err)
		err = vbs_area_map(&vq->avail, mem, VHOST_MAP_RO);
	if (!err)
		err = vbs_area_map(&vq->used, mem, VHOST_MAP_WO);
	if (err)
		vq_unmap_ring(vq);
	return err;
}

/* NULL, or what is wrong with the ring the client wants. */
static const char *vq_prepare_ring(struct vbs_vq *vq)
{
	u64 features = vq->dev->disk.features;
	struct vbs_ring *ring = &vq->ring;
	int err;

	ring->packed = features & BIT_ULL(VIRTIO_F_RING_PACKED);
	ring->in_order = features & BIT_ULL(VIRTIO_F_IN_ORDER);
	ring->event_idx = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	/* Older 6.12 kernels do not hold a client to get_vq_num_max(). */
	if (!vbs_ring_valid_num(vq->num, ring->packed))
		return "size is not one that a ring can have";
	ring->num = vq->num;

	err = vbs_ring_init(ring, vq->base);
	return err ? vbs_ring_strerror(err) : NULL;
}

/*
 * A driver does not hear of it, and most do not care for NEEDS_RESET: it would
 * wait for its requests for ever.
 */
static void vq_start_later(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	if (!vq->retry)
		pr_warn_ratelimited("%s: vq %u: no memory to start it; tried again until there is\n",
				    vbs_name(vq->dev), vq->index);
	WRITE_ONCE(vq->retry, true);
	kthread_queue_delayed_work(vq->worker, &vq->later, VBS_RETRY_DELAY);
}

void vbs_vq_start(struct vbs_vq *vq)
{
	struct vbs_ring *ring = &vq->ring;
	const char *why;
	int err;

	lockdep_assert_held(&vq->lock);

	/* QEMU enables queues that the guest does not use. */
	if (vq->live || vq->broken || !vq->ready || !vq->has_addr)
		return;
	why = vq_prepare_ring(vq);
	if (why) {
		vq_break(vq, why);
		return;
	}

	err = vq_map_ring(vq);
	if (!err) {
		err = vbs_io_alloc(vq);
		if (err)
			vq_unmap_ring(vq);
	}
	if (err) {
		if (err == -ENOMEM)
			vq_start_later(vq);
		else if (!vq->lost)
			vq_break(vq, "not mapped by the client");
		else
			WRITE_ONCE(vq->retry, true);
		return;
	}

	ring->desc = vq->desc.va;
	ring->avail = vq->avail.va;
	ring->used = vq->used.va;
	vq->lost = false;
	vq->put_back = false;
	vq->live = true;
	/*
	 * virtio_blk kicks under its queue's lock when the ring is full, and
	 * takes that lock in the interrupt.  It shows in disabled interrupts,
	 * but not with PREEMPT_RT.
	 */
	vq->may_direct = vq->dev->as.identity && !vq->async &&
			 !IS_ENABLED(CONFIG_PREEMPT_RT);
	WRITE_ONCE(vq->direct, vq->may_direct);
	vq->runs = 0;
	WRITE_ONCE(vq->retry, false);
	/* A kick may have come before, or been lost: look at the ring. */
	vq_wake(vq);
}

void vbs_vq_stop(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	WRITE_ONCE(vq->retry, false);
	if (!vq->live)
		return;
	vbs_io_drain(vq);
	vq->live = false;
	WRITE_ONCE(vq->direct, false);
	vq->base = vbs_ring_base(&vq->ring);
	vbs_io_free(vq);
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
	vbs_io_drain(vq);
	vbs_mem_forget(&vq->mem);
	if (vq->live && (area_in(&vq->desc, first, last) ||
			 area_in(&vq->avail, first, last) ||
			 area_in(&vq->used, first, last))) {
		vbs_vq_stop(vq);
		vq->lost = true;
		WRITE_ONCE(vq->retry, true);
	}
	vbs_vq_unlock(vq);
}

void vbs_vq_memory_back(struct vbs_vq *vq)
{
	/* Clients map memory by thousands of pages while others do I/O. */
	if (READ_ONCE(vq->retry))
		vq_wake(vq);
}

/* Others want the lock, or may want it. */
static bool vq_must_yield(struct vbs_vq *vq)
{
	return atomic_read(&vq->waiters) ||
	       time_after_eq(jiffies, vq->deadline);
}

/*
 * Waits for the next request without asking for a kick, which costs the driver
 * an exit and us the way through the scheduler.
 */
static bool vq_poll(struct vbs_vq *vq)
{
	u64 now;

	lockdep_assert_held(&vq->lock);

	if (!READ_ONCE(vq->dev->poll_us))
		return false;
	now = local_clock();
	vq->idle_since = now;
	while (now - vq->idle_since < vq->poll_ns) {
		if (vbs_ring_pending(&vq->ring))
			return true;
		if (need_resched() || vq_must_yield(vq))
			return false;
		cpu_relax();
		now = local_clock();
	}
	return false;
}

/*
 * Longer when the kick that wakes us came so early that polling would have met
 * it, shorter when not: a queue with little to do polls not at all.
 */
static void vq_adapt_poll(struct vbs_vq *vq)
{
	u64 limit = (u64)READ_ONCE(vq->dev->poll_us) * NSEC_PER_USEC;

	lockdep_assert_held(&vq->lock);

	if (!limit)
		vq->poll_ns = 0;
	else if (local_clock() - vq->idle_since > limit)
		vq->poll_ns /= 2;
	else
		vq->poll_ns = max(2 * vq->poll_ns, VBS_POLL_MIN);
	vq->poll_ns = min(vq->poll_ns, limit);
	if (vq->poll_ns < VBS_POLL_MIN)
		vq->poll_ns = 0;
}

/* True when there is more to do. */
static bool vq_serve(struct vbs_vq *vq)
{
	unsigned int flags;
	int ret;

	/* Not after a wake-up that nobody's request was the reason of. */
	if (vq->slept && vbs_ring_pending(&vq->ring)) {
		vq_adapt_poll(vq);
		vq->slept = false;
	}
	vq->deadline = jiffies + msecs_to_jiffies(VBS_SLICE);
	vbs_ring_disable_kick(&vq->ring);
	flags = vbs_backend_begin();
	do {
		ret = vbs_io_batch(vq, false);
		cond_resched();
		if (ret == VBS_BATCH_EMPTY && vq_poll(vq))
			ret = VBS_BATCH_MORE;
	} while (ret == VBS_BATCH_MORE && !vq_must_yield(vq));
	vbs_backend_end(flags);

	if (ret < 0) {
		vq_break(vq, vbs_ring_strerror(ret));
		return false;
	}
	if (ret == VBS_BATCH_MORE || vbs_ring_enable_kick(&vq->ring))
		return true;
	vq->slept = true;
	return false;
}

/*
 * Whether kicks shall be served directly.  That is best for those who wait for
 * each request.  With many requests under way, what the worker does on another
 * CPU costs them nothing: it finds more than one each time it wakes up.
 */
static void vq_judge_depth(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	if (vq->served > 1) {
		vq->runs = 0;
	} else if (vq->served && ++vq->runs == VBS_SHALLOW_RUNS) {
		vq->runs = 0;
		WRITE_ONCE(vq->direct, true);
	}
}

static void vq_later(struct kthread_work *work)
{
	vq_wake(container_of(work, struct vbs_vq, later.work));
}

static void vq_work(struct kthread_work *work)
{
	struct vbs_vq *vq = container_of(work, struct vbs_vq, work);
	bool more = false;

	mutex_lock(&vq->lock);
	WRITE_ONCE(vq->kicked, false);
	/* Not while it is still incomplete: the next map tries again. */
	if (vq->retry)
		vbs_vq_start(vq);
	if (vq->live) {
		vq->served = 0;
		more = vq_serve(vq);
		if (vq->may_direct && !vq->direct)
			vq_judge_depth(vq);
	}
	vbs_vq_unlock(vq);
	if (more)
		vq_wake(vq);
}

/* ---- in the context of a kick ---- */

/*
 * As vq_serve(), without sleeping, and for a moment only.  What needs more is
 * left to the worker, and so is a broken ring, which it will find again.
 */
static bool vq_serve_nowait(struct vbs_vq *vq)
{
	int ret, n;

	/* With EVENT_IDX no other comes before the place where one is wanted. */
	if (!vq->ring.event_idx)
		vbs_ring_disable_kick(&vq->ring);
	for (n = 0; n < VBS_DIRECT_BATCHES; n++) {
		ret = vbs_io_batch(vq, true);
		if (ret == VBS_BATCH_EMPTY && !vbs_ring_enable_kick(&vq->ring))
			return false;
		if ((ret != VBS_BATCH_MORE && ret != VBS_BATCH_EMPTY) ||
		    vq_must_yield(vq))
			break;
	}
	return true;
}

/* Every now and then: see vq_judge_depth(). */
static bool vq_try_worker(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->lock);

	if (++vq->runs < VBS_DIRECT_KICKS)
		return false;
	vq->runs = 0;
	WRITE_ONCE(vq->direct, false);
	return true;
}

/*
 * The thread that kicks does the work: it costs less than waking another one.
 * It may hold the RCU read lock, and is no slower than a driver of a RAM disk
 * that does the same.  Others wait for the lock meanwhile: it must not be
 * preempted, or a thread that the scheduler holds back would hold back a disk.
 */
static void vq_serve_direct(struct vbs_vq *vq)
{
	unsigned long deadline = jiffies + 1;
	bool more;
	int n = 0;

	preempt_disable();
	do {
		WRITE_ONCE(vq->kicked, true);
		/*
		 * The wish before the look at the lock; pairs with the barrier
		 * between the release of the lock and the look for a wish.
		 */
		smp_mb();
		if (!mutex_trylock(&vq->lock)) {
			preempt_enable();
			return;
		}
		WRITE_ONCE(vq->kicked, false);
		vq->deadline = deadline;
		more = !vq->live || !vq->direct || vq_try_worker(vq) ||
		       vq_serve_nowait(vq);
		mutex_unlock(&vq->lock);
		/* Pairs with the one above, of another thread. */
		smp_mb();
	} while (!more && READ_ONCE(vq->kicked) && ++n < VBS_DIRECT_BATCHES);
	preempt_enable();
	if (more || READ_ONCE(vq->kicked))
		vq_wake(vq);
}

/* Interrupts are off where a lock of the driver's may be held. */
static bool may_serve_here(void)
{
	/* Reclaim has reserves, which are not for the pages of a disk. */
	return in_task() && !irqs_disabled() &&
	       !(current->flags & PF_MEMALLOC);
}

void vbs_vq_kick(struct vbs_vq *vq)
{
	atomic_long_inc(&vq->kicks);
	/* The state is for others to check: a check here races with start. */
	if (READ_ONCE(vq->direct) && may_serve_here())
		vq_serve_direct(vq);
	else
		vq_wake(vq);
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
	spin_lock_init(&vq->done_lock);
	kthread_init_work(&vq->work, vq_work);
	kthread_init_delayed_work(&vq->later, vq_later);
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
		kthread_cancel_delayed_work_sync(&vq->later);
		/* It may be about to queue itself again. */
		kthread_cancel_work_sync(&vq->work);
		kthread_destroy_worker(vq->worker);
	}
	free_cpumask_var(vq->home);
	free_cpumask_var(vq->affinity);
	mutex_destroy(&vq->lock);
}
