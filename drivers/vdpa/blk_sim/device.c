// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk as the vDPA bus sees it: life cycle, features, config space.
 *
 * Life cycle, all under vbs_dev.lock:
 *
 *   DRIVER_OK, resume()        running: enabled queues are started
 *   suspend()                  queues are stopped, their state stays
 *   reset()                    queues are stopped, all is forgotten but the
 *                              client's memory map
 *
 * A client may enable, address and size queues at any time before, in any
 * order, even with status 0; nothing is translated before DRIVER_OK, for QEMU
 * maps the memory later than it sets the addresses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/vhost_types.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_config.h>

#include "blk_sim.h"

/* What a driver may set; NEEDS_RESET is ours. */
#define VBS_DRIVER_STATUS	(VIRTIO_CONFIG_S_ACKNOWLEDGE |		\
				 VIRTIO_CONFIG_S_DRIVER |		\
				 VIRTIO_CONFIG_S_DRIVER_OK |		\
				 VIRTIO_CONFIG_S_FEATURES_OK |		\
				 VIRTIO_CONFIG_S_FAILED)

/* ---- life cycle ---- */

static void start_queues(struct vbs_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);

	dev->running = true;
	for (i = 0; i < dev->nr_vqs; i++) {
		vbs_vq_lock(dev->vqs[i]);
		vbs_vq_start(dev->vqs[i]);
		vbs_vq_unlock(dev->vqs[i]);
	}
}

static void stop_queues(struct vbs_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);

	for (i = 0; i < dev->nr_vqs; i++) {
		vbs_vq_lock(dev->vqs[i]);
		vbs_vq_stop(dev->vqs[i]);
		vbs_vq_unlock(dev->vqs[i]);
	}
	dev->running = false;
}

static bool features_acceptable(struct vbs_dev *dev)
{
	lockdep_assert_held(&dev->lock);

	if ((dev->disk.features & VBS_FEATURES_NEEDED) == VBS_FEATURES_NEEDED)
		return true;

	pr_warn_ratelimited("%s: the driver's features %#llx lack %#llx: FEATURES_OK refused\n",
			    vbs_name(dev), dev->disk.features,
			    VBS_FEATURES_NEEDED & ~dev->disk.features);
	return false;
}

static u8 vbs_get_status(struct vdpa_device *vdpa)
{
	return READ_ONCE(vdpa_to_vbs(vdpa)->status);
}

static void vbs_set_status(struct vdpa_device *vdpa, u8 status)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	u8 old;

	mutex_lock(&dev->lock);
	old = vbs_get_status(vdpa);
	status &= VBS_DRIVER_STATUS;

	/* cloud-hypervisor goes from 0 to 0x0f at once. */
	if ((status & ~old & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    !features_acceptable(dev))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
		status &= ~VIRTIO_CONFIG_S_DRIVER_OK;

	spin_lock(&dev->cfg_lock);
	/* NEEDS_RESET may have come since. */
	WRITE_ONCE(dev->status,
		   status | (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET));
	spin_unlock(&dev->cfg_lock);

	/* Only a reset takes a bit away. */
	if (status & ~old & VIRTIO_CONFIG_S_DRIVER_OK)
		start_queues(dev);
	mutex_unlock(&dev->lock);
}

void vbs_needs_reset(struct vbs_dev *dev)
{
	spin_lock(&dev->cfg_lock);
	WRITE_ONCE(dev->status, dev->status | VIRTIO_CONFIG_S_NEEDS_RESET);
	if (dev->config_cb.callback)
		dev->config_cb.callback(dev->config_cb.private);
	spin_unlock(&dev->cfg_lock);
}

static void reset_queue(struct vbs_vq *vq)
{
	lockdep_assert_held(&vq->dev->lock);

	vbs_vq_lock(vq);
	vbs_vq_stop(vq);
	WRITE_ONCE(vq->ready, false);
	vq->has_addr = false;
	vq->lost = false;
	vq->broken = false;
	vq->num = VBS_RING_MAX;
	vq->base = vbs_ring_first_base(false);
	spin_lock_irq(&vq->done_lock);
	vq->cb = (struct vdpa_callback){};
	spin_unlock_irq(&vq->done_lock);
	if (vq->pinned) {
		vq->pinned = false;
		cpumask_setall(vq->affinity);
		set_cpus_allowed_ptr(vq->worker->task, vq->home);
	}
	vbs_vq_unlock(vq);
}

static int vbs_reset(struct vdpa_device *vdpa)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	unsigned int i;

	mutex_lock(&dev->lock);
	for (i = 0; i < dev->nr_vqs; i++)
		reset_queue(dev->vqs[i]);
	dev->running = false;
	dev->as.identity = false;
	atomic_set(&dev->flush_lost, 0);
	WRITE_ONCE(dev->disk.features, 0);

	spin_lock(&dev->cfg_lock);
	WRITE_ONCE(dev->status, 0);
	WRITE_ONCE(dev->wce, dev->write_cache);
	WRITE_ONCE(dev->generation, dev->generation + 1);
	dev->config_cb.callback = NULL;
	dev->config_cb.private = NULL;
	spin_unlock(&dev->cfg_lock);
	mutex_unlock(&dev->lock);
	return 0;
}

static int vbs_suspend(struct vdpa_device *vdpa)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);

	mutex_lock(&dev->lock);
	stop_queues(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

/* Asked for by vhost after DRIVER_OK only, but not only after suspend(). */
static int vbs_resume(struct vdpa_device *vdpa)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);

	mutex_lock(&dev->lock);
	start_queues(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

/* ---- virtqueues ---- */

static bool is_packed(struct vdpa_device *vdpa)
{
	return READ_ONCE(vdpa_to_vbs(vdpa)->disk.features) &
	       BIT_ULL(VIRTIO_F_RING_PACKED);
}

static u32 state_to_base(const struct vdpa_vq_state *state, bool packed)
{
	const struct vdpa_vq_state_packed *p = &state->packed;

	if (!packed)
		return state->split.avail_index;
	return p->last_avail_idx | p->last_avail_counter << 15 |
	       p->last_used_idx << 16 | (u32)p->last_used_counter << 31;
}

static void base_to_state(u32 base, bool packed, struct vdpa_vq_state *state)
{
	struct vdpa_vq_state_packed *p = &state->packed;

	/* After a reset vhost still reads it as the kind that was before. */
	memset(state, 0, sizeof(*state));
	if (!packed) {
		state->split.avail_index = base;
		return;
	}
	p->last_avail_idx = base & 0x7fff;
	p->last_avail_counter = base >> 15 & 1;
	p->last_used_idx = base >> 16 & 0x7fff;
	p->last_used_counter = base >> 31;
}

static int vbs_set_vq_address(struct vdpa_device *vdpa, u16 idx, u64 desc,
			      u64 avail, u64 used)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];
	int err = 0;

	/*
	 * Alignment: virtio 1.3, sections 2.7 and 2.8.10.1.  Vhost knows what the
	 * other areas of a split ring need, and takes any ring for one.
	 */
	if (desc % VRING_DESC_ALIGN_SIZE ||
	    (is_packed(vdpa) &&
	     avail % sizeof(struct vring_packed_desc_event)))
		return -EINVAL;

	vbs_vq_lock(vq);
	/*
	 * Vhost refuses this, too.  With another address than that of its memory,
	 * a ring would go on in memory that is taken away.
	 */
	if (vq->live) {
		err = -EBUSY;
	} else {
		vq->desc.iova = desc;
		vq->avail.iova = avail;
		vq->used.iova = used;
		vq->has_addr = true;
		vq->lost = false;
		WRITE_ONCE(vq->retry, false);
	}
	vbs_vq_unlock(vq);
	return err;
}

/* Checked at the start; takes effect then. */
static void vbs_set_vq_num(struct vdpa_device *vdpa, u16 idx, u32 num)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];

	vbs_vq_lock(vq);
	vq->num = num;
	vbs_vq_unlock(vq);
}

static void vbs_kick_vq(struct vdpa_device *vdpa, u16 idx)
{
	vbs_vq_kick(vdpa_to_vbs(vdpa)->vqs[idx]);
}

static void vbs_set_vq_cb(struct vdpa_device *vdpa, u16 idx,
			  struct vdpa_callback *cb)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];

	vbs_vq_lock(vq);
	spin_lock_irq(&vq->done_lock);
	vq->cb = *cb;
	spin_unlock_irq(&vq->done_lock);
	/*
	 * QEMU installs the guest's interrupt after DRIVER_OK; what was
	 * completed before went to nobody.
	 */
	if (vq->live)
		vbs_io_signal(vq);
	vbs_vq_unlock(vq);
}

static void vbs_set_vq_ready(struct vdpa_device *vdpa, u16 idx, bool ready)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	struct vbs_vq *vq = dev->vqs[idx];

	mutex_lock(&dev->lock);
	vbs_vq_lock(vq);
	WRITE_ONCE(vq->ready, ready);
	if (!ready)
		vbs_vq_stop(vq);
	else if (dev->running)
		vbs_vq_start(vq);
	vbs_vq_unlock(vq);
	mutex_unlock(&dev->lock);
}

static bool vbs_get_vq_ready(struct vdpa_device *vdpa, u16 idx)
{
	return READ_ONCE(vdpa_to_vbs(vdpa)->vqs[idx]->ready);
}

/*
 * Whether there is such a place in the ring is checked at the start.  Vhost
 * refuses it for a live queue.
 */
static int vbs_set_vq_state(struct vdpa_device *vdpa, u16 idx,
			    const struct vdpa_vq_state *state)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];

	vbs_vq_lock(vq);
	vq->base = state_to_base(state, is_packed(vdpa));
	vbs_vq_unlock(vq);
	return 0;
}

static int vbs_get_vq_state(struct vdpa_device *vdpa, u16 idx,
			    struct vdpa_vq_state *state)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];

	vbs_vq_lock(vq);
	base_to_state(vq->live ? vbs_ring_base(&vq->ring) : vq->base,
		      is_packed(vdpa), state);
	vbs_vq_unlock(vq);
	return 0;
}

static u16 vbs_get_vq_size(struct vdpa_device *vdpa, u16 idx)
{
	return vdpa_to_vbs(vdpa)->queue_size;
}

/*
 * Constant: QEMU 10.0 asks for 1024 entries whatever it is told, and Linux 7.3
 * refuses more than this.
 */
static u16 vbs_get_vq_num_max(struct vdpa_device *vdpa)
{
	return VBS_RING_MAX;
}

static u32 vbs_get_vq_align(struct vdpa_device *vdpa)
{
	return PAGE_SIZE;
}

static u32 vbs_get_vq_group(struct vdpa_device *vdpa, u16 idx)
{
	return 0;
}

/*
 * The interrupt runs in the worker, or in the thread that kicks: it is the worker
 * that moves.  When
 * no CPU of the mask is online it stays; the mask is told back all the same,
 * for blk-mq gives each queue the CPUs of its mask.
 */
static int vbs_set_vq_affinity(struct vdpa_device *vdpa, u16 idx,
			       const struct cpumask *mask)
{
	struct vbs_vq *vq = vdpa_to_vbs(vdpa)->vqs[idx];

	vbs_vq_lock(vq);
	vq->pinned = true;
	if (mask)
		cpumask_copy(vq->affinity, mask);
	else
		cpumask_setall(vq->affinity);
	set_cpus_allowed_ptr(vq->worker->task, mask ? mask : vq->home);
	vbs_vq_unlock(vq);
	return 0;
}

static const struct cpumask *vbs_get_vq_affinity(struct vdpa_device *vdpa,
						 u16 idx)
{
	return vdpa_to_vbs(vdpa)->vqs[idx]->affinity;
}

/* ---- features and config space ---- */

static u64 vbs_get_device_features(struct vdpa_device *vdpa)
{
	return vdpa_to_vbs(vdpa)->device_features;
}

static u64 vbs_get_backend_features(const struct vdpa_device *vdpa)
{
	return BIT_ULL(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK);
}

/* A place in one kind of ring means nothing in the other. */
static void forget_bases(struct vbs_dev *dev)
{
	bool packed = is_packed(&dev->vdpa);
	unsigned int i;

	lockdep_assert_held(&dev->lock);

	for (i = 0; i < dev->nr_vqs; i++) {
		vbs_vq_lock(dev->vqs[i]);
		dev->vqs[i]->base = vbs_ring_first_base(packed);
		vbs_vq_unlock(dev->vqs[i]);
	}
}

/*
 * vhost-vdpa does not compare with what is offered, QEMU adds bits of its own,
 * and the bus sets 0 to read the config space early: mask, never refuse.  After
 * FEATURES_OK neither of them comes here.
 */
static int vbs_set_driver_features(struct vdpa_device *vdpa, u64 features)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	bool was_packed;

	mutex_lock(&dev->lock);
	was_packed = is_packed(vdpa);
	WRITE_ONCE(dev->disk.features, features & dev->device_features);
	if (is_packed(vdpa) != was_packed)
		forget_bases(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

static u64 vbs_get_driver_features(struct vdpa_device *vdpa)
{
	return READ_ONCE(vdpa_to_vbs(vdpa)->disk.features);
}

static void vbs_set_config_cb(struct vdpa_device *vdpa,
			      struct vdpa_callback *cb)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);

	spin_lock(&dev->cfg_lock);
	dev->config_cb = *cb;
	/* QEMU installs it after DRIVER_OK: a queue may be broken already. */
	if (cb->callback && (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		cb->callback(cb->private);
	spin_unlock(&dev->cfg_lock);
}

static u32 vbs_get_device_id(struct vdpa_device *vdpa)
{
	return VIRTIO_ID_BLOCK;
}

/* "VBLK" */
static u32 vbs_get_vendor_id(struct vdpa_device *vdpa)
{
	return 0x4b4c4256;
}

static size_t vbs_get_config_size(struct vdpa_device *vdpa)
{
	return sizeof(struct virtio_blk_config);
}

static __virtio32 to_sectors(u32 bytes)
{
	return __cpu_to_virtio32(true, max(bytes >> VBS_SECTOR_SHIFT, 1U));
}

static void fill_topology(const struct vbs_dev *dev,
			  struct virtio_blk_config *cfg)
{
	const struct vbs_limits *limits = &dev->limits;
	u32 block_size = dev->disk.block_size;

	cfg->blk_size = __cpu_to_virtio32(true, block_size);
	cfg->physical_block_exp = ilog2(limits->physical_block_size /
					block_size);
	cfg->alignment_offset = min(limits->alignment_offset / block_size,
				    (u32)U8_MAX);
	cfg->min_io_size = __cpu_to_virtio16(true,
					     clamp(limits->io_min / block_size,
						   1U, (u32)U16_MAX));
	cfg->opt_io_size = __cpu_to_virtio32(true, limits->io_opt / block_size);
}

/* A field whose feature is not offered stays 0. */
static void fill_ranges(const struct vbs_dev *dev,
			struct virtio_blk_config *cfg)
{
	const struct vbs_limits *limits = &dev->limits;
	u64 features = dev->device_features;

	if (features & BIT_ULL(VIRTIO_BLK_F_DISCARD)) {
		cfg->max_discard_sectors =
			__cpu_to_virtio32(true, VBS_MAX_RANGE_SECTORS);
		cfg->max_discard_seg = __cpu_to_virtio32(true, VBS_MAX_RANGES);
		cfg->discard_sector_alignment =
			to_sectors(limits->discard_granularity);
		cfg->write_zeroes_may_unmap = 1;
	}
	cfg->max_write_zeroes_sectors =
		__cpu_to_virtio32(true, VBS_MAX_RANGE_SECTORS);
	cfg->max_write_zeroes_seg = __cpu_to_virtio32(true, VBS_MAX_RANGES);
	if (features & BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE)) {
		cfg->max_secure_erase_sectors =
			__cpu_to_virtio32(true, min(limits->secure_erase,
						    VBS_MAX_RANGE_SECTORS));
		cfg->max_secure_erase_seg =
			__cpu_to_virtio32(true, VBS_MAX_RANGES);
		cfg->secure_erase_sector_alignment =
			to_sectors(limits->discard_granularity);
	}
}

static void fill_config(struct vbs_dev *dev, struct virtio_blk_config *cfg)
{
	lockdep_assert_held(&dev->cfg_lock);

	memset(cfg, 0, sizeof(*cfg));
	cfg->capacity = __cpu_to_virtio64(true, dev->disk.capacity);
	cfg->size_max = __cpu_to_virtio32(true, VBS_SIZE_MAX);
	cfg->seg_max = __cpu_to_virtio32(true, dev->disk.seg_max);
	cfg->wce = dev->wce;
	cfg->num_queues = __cpu_to_virtio16(true, dev->nr_vqs);
	fill_topology(dev, cfg);
	fill_ranges(dev, cfg);
}

/* Any user may read at any time (vdpa dev config show): several at once. */
static void vbs_get_config(struct vdpa_device *vdpa, unsigned int offset,
			   void *buf, unsigned int len)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	struct virtio_blk_config cfg;

	/* The bus has looked; were it wrong, a client would see our stack. */
	if (offset > sizeof(cfg) || len > sizeof(cfg) - offset)
		return;

	spin_lock(&dev->cfg_lock);
	fill_config(dev, &cfg);
	spin_unlock(&dev->cfg_lock);
	memcpy(buf, (u8 *)&cfg + offset, len);
}

/*
 * Only the write cache mode is the driver's to set.  QEMU writes the whole
 * space for every byte the guest writes.  The Linux driver trusts the byte to
 * be 0 or 1.
 */
static void vbs_set_config(struct vdpa_device *vdpa, unsigned int offset,
			   const void *buf, unsigned int len)
{
	const unsigned int wce = offsetof(struct virtio_blk_config, wce);
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	u64 features = vbs_get_driver_features(vdpa);

	if (!(features & BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE)))
		return;
	if (offset > wce || len <= wce - offset)
		return;

	spin_lock(&dev->cfg_lock);
	WRITE_ONCE(dev->wce, ((const u8 *)buf)[wce - offset]);
	WRITE_ONCE(dev->generation, dev->generation + 1);
	spin_unlock(&dev->cfg_lock);
}

static u32 vbs_get_generation(struct vdpa_device *vdpa)
{
	return READ_ONCE(vdpa_to_vbs(vdpa)->generation);
}

/* ---- the client's memory ---- */

static int vbs_dma_map(struct vdpa_device *vdpa, unsigned int asid, u64 iova,
		       u64 size, u64 pa, u32 perm, void *opaque)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	unsigned int i;
	int err;

	err = vbs_as_map(&dev->as, iova, size, pa, perm);
	if (!err)
		for (i = 0; i < dev->nr_vqs; i++)
			vbs_vq_memory_back(dev->vqs[i]);
	return err;
}

static void unmap_range(struct vbs_dev *dev, u64 first, u64 last)
{
	struct vbs_mapping *gone;
	unsigned int i;

	mutex_lock(&dev->lock);
	gone = vbs_as_remove(&dev->as, first, last);
	if (gone && dev->running)
		for (i = 0; i < dev->nr_vqs; i++)
			vbs_vq_memory_gone(dev->vqs[i], first, last);
	vbs_mappings_free(gone);
	mutex_unlock(&dev->lock);
}

static int vbs_dma_unmap(struct vdpa_device *vdpa, unsigned int asid, u64 iova,
			 u64 size)
{
	unmap_range(vdpa_to_vbs(vdpa), iova, iova + size - 1);
	return 0;
}

static int vbs_reset_map(struct vdpa_device *vdpa, unsigned int asid)
{
	unmap_range(vdpa_to_vbs(vdpa), 0, ULONG_MAX);
	return 0;
}

const struct vdpa_config_ops vbs_config_ops = {
	.set_vq_address		= vbs_set_vq_address,
	.set_vq_num		= vbs_set_vq_num,
	.kick_vq		= vbs_kick_vq,
	.set_vq_cb		= vbs_set_vq_cb,
	.set_vq_ready		= vbs_set_vq_ready,
	.get_vq_ready		= vbs_get_vq_ready,
	.set_vq_state		= vbs_set_vq_state,
	.get_vq_state		= vbs_get_vq_state,
	.get_vq_size		= vbs_get_vq_size,
	.get_vq_align		= vbs_get_vq_align,
	.get_vq_group		= vbs_get_vq_group,
	.get_device_features	= vbs_get_device_features,
	.get_backend_features	= vbs_get_backend_features,
	.set_driver_features	= vbs_set_driver_features,
	.get_driver_features	= vbs_get_driver_features,
	.set_config_cb		= vbs_set_config_cb,
	.get_vq_num_max		= vbs_get_vq_num_max,
	.get_device_id		= vbs_get_device_id,
	.get_vendor_id		= vbs_get_vendor_id,
	.get_status		= vbs_get_status,
	.set_status		= vbs_set_status,
	.reset			= vbs_reset,
	.suspend		= vbs_suspend,
	.resume			= vbs_resume,
	.get_config_size	= vbs_get_config_size,
	.get_config		= vbs_get_config,
	.set_config		= vbs_set_config,
	.get_generation		= vbs_get_generation,
	.set_vq_affinity	= vbs_set_vq_affinity,
	.get_vq_affinity	= vbs_get_vq_affinity,
	.dma_map		= vbs_dma_map,
	.dma_unmap		= vbs_dma_unmap,
	.reset_map		= vbs_reset_map,
	.free			= vbs_dev_free,
};
