// SPDX-License-Identifier: GPL-2.0-only
/*
 * The function as the vDPA bus sees it.
 *
 * What a client says about queues is kept here and given to the function at
 * DRIVER_OK: the function wants it in an order of its own (virtio 1.3, 3.1.1),
 * clients have theirs, and cloud-hypervisor sets all up with status 0.
 */
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/virtio_ids.h>

#include "blk_pci.h"

/* What a driver may set; NEEDS_RESET is not its own. */
#define VBP_DRIVER_STATUS	(VIRTIO_CONFIG_S_ACKNOWLEDGE |		\
				 VIRTIO_CONFIG_S_DRIVER |		\
				 VIRTIO_CONFIG_S_DRIVER_OK |		\
				 VIRTIO_CONFIG_S_FEATURES_OK |		\
				 VIRTIO_CONFIG_S_FAILED)

/* Of these, what the function gets when all that comes before has been done. */
#define VBP_LATE_STATUS		(VIRTIO_CONFIG_S_FEATURES_OK |		\
				 VIRTIO_CONFIG_S_DRIVER_OK)

static struct vbp_func *vdpa_to_func(struct vdpa_device *vdpa)
{
	return vdpa_to_vbp(vdpa)->func;
}

static struct vbp_vq *vdpa_to_vq(struct vdpa_device *vdpa, u16 idx)
{
	return &vdpa_to_func(vdpa)->vqs[idx];
}

static bool is_packed(struct vbp_dev *dev)
{
	return dev->driver_features & BIT_ULL(VIRTIO_F_RING_PACKED);
}

/* ---- life cycle ---- */

void vbp_needs_reset(struct vbp_func *func)
{
	struct vbp_dev *dev = func->dev;

	lockdep_assert_held(&func->lock);

	if (!dev)
		return;
	WRITE_ONCE(dev->status, dev->status | VIRTIO_CONFIG_S_NEEDS_RESET);
	vbp_config_changed(func);
}

/* Nothing runs afterwards; the client has to reset before it goes on. */
static void fail(struct vbp_dev *dev)
{
	WRITE_ONCE(dev->running, false);
	vbp_hw_reset(dev->func);
	vbp_needs_reset(dev->func);
	vbp_end_client(dev->func);
}

void vbp_lost_state(struct vbp_func *func)
{
	lockdep_assert_held(&func->lock);

	if (func->dev && func->dev->status)
		fail(func->dev);
}

/*
 * A kick that came earlier is lost to the function, so each queue gets one: QEMU
 * drops those of a guest that come before DRIVER_OK.
 */
static void kick_all(struct vbp_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->vdpa.nvqs; i++)
		dev->vdpa.config->kick_vq(&dev->vdpa, i);
}

static void start(struct vbp_dev *dev)
{
	struct virtio_pci_modern_device *mdev = &dev->func->mdev;
	struct vbp_func *func = dev->func;
	unsigned int i;

	lockdep_assert_held(&func->lock);

	func->generation = vp_modern_generation(mdev);
	if (vp_modern_config_vector(mdev, 0) != 0) {
		dev_err_ratelimited(&func->pdev->dev,
				    "the function does not take an MSI-X vector for the configuration\n");
		fail(dev);
		return;
	}
	for (i = 0; i < dev->vdpa.nvqs; i++) {
		struct vbp_vq *vq = &func->vqs[i];

		/* QEMU makes queues ready that it has not set up. */
		if (vq->ready && vq->has_addr && vbp_hw_enable_vq(func, i)) {
			fail(dev);
			return;
		}
	}
	vp_modern_set_status(mdev, vp_modern_get_status(mdev) |
				   VIRTIO_CONFIG_S_DRIVER_OK);
	WRITE_ONCE(dev->running, true);
	kick_all(dev);
	vbp_watch(func);
}

static bool negotiate(struct vbp_dev *dev)
{
	u64 features = dev->driver_features;
	struct device *parent = &dev->func->pdev->dev;

	if (~features & VBP_FEATURES_NEEDED) {
		dev_warn_ratelimited(parent, "the driver's features %#llx lack %#llx: FEATURES_OK refused\n",
				     features, ~features & VBP_FEATURES_NEEDED);
		return false;
	}
	if (vbp_hw_negotiate(dev->func, features)) {
		dev_warn_ratelimited(parent, "the function does not accept the features %#llx\n",
				     features);
		return false;
	}
	return true;
}

static u8 vbp_get_status(struct vdpa_device *vdpa)
{
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);
	u8 status = READ_ONCE(dev->status);

	/* Of a function that is gone this bit reads as set, too. */
	if (READ_ONCE(dev->running))
		status |= vp_modern_get_status(&dev->func->mdev) &
			  VIRTIO_CONFIG_S_NEEDS_RESET;
	return status;
}

static void vbp_set_status(struct vdpa_device *vdpa, u8 status)
{
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);
	struct vbp_func *func = dev->func;
	u8 added;

	mutex_lock(&func->lock);
	status &= VBP_DRIVER_STATUS;
	added = status & ~dev->status;
	if (func->gone || func->stuck ||
	    dev->status & VIRTIO_CONFIG_S_NEEDS_RESET) {
		/* Linux looks for FEATURES_OK before it goes on, but no more. */
		if (added & VIRTIO_CONFIG_S_DRIVER_OK)
			vbp_end_client(func);
		status &= ~VBP_LATE_STATUS;
		WRITE_ONCE(dev->status, dev->status | status |
					VIRTIO_CONFIG_S_NEEDS_RESET);
		goto out;
	}

	if (added & ~VBP_LATE_STATUS)
		vp_modern_set_status(&func->mdev,
				     vp_modern_get_status(&func->mdev) |
				     (added & ~VBP_LATE_STATUS));
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !negotiate(dev))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
		status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	WRITE_ONCE(dev->status, status);
	if (status & added & VIRTIO_CONFIG_S_DRIVER_OK) {
		spin_lock_irq(&func->cb_lock);
		func->driver_ok = true;
		spin_unlock_irq(&func->cb_lock);
		start(dev);
	}
out:
	mutex_unlock(&func->lock);
}

static void forget_vq(struct vbp_vq *vq)
{
	WRITE_ONCE(vq->ready, false);
	vq->has_addr = false;
	vq->num = vq->max_num;
	spin_lock_irq(&vq->cb_lock);
	vq->cb = (struct vdpa_callback){};
	spin_unlock_irq(&vq->cb_lock);
}

static int vbp_set_vq_affinity(struct vdpa_device *vdpa, u16 idx,
			       const struct cpumask *mask)
{
	struct vbp_func *func = vdpa_to_func(vdpa);
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);
	int irq = vbp_vq_irq(func, vq);
	int err;

	/* Of a shared vector nobody decides alone. */
	if (irq < 0)
		return 0;
	mutex_lock(&func->lock);
	err = irq_set_affinity(irq, mask ?: cpu_online_mask);
	if (!err) {
		vq->pinned = mask;
		if (mask)
			cpumask_copy(&vq->affinity, mask);
	}
	mutex_unlock(&func->lock);
	return err;
}

static int vbp_reset(struct vdpa_device *vdpa)
{
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);
	struct vbp_func *func = dev->func;
	unsigned int i;
	int err;

	for (i = 0; i < func->nr_vqs; i++)
		if (func->vqs[i].pinned)
			vbp_set_vq_affinity(vdpa, i, NULL);

	mutex_lock(&func->lock);
	WRITE_ONCE(dev->running, false);
	err = vbp_hw_reset(func);
	for (i = 0; i < func->nr_vqs; i++)
		forget_vq(&func->vqs[i]);
	dev->driver_features = 0;
	/* Of a function that is gone the next status tells. */
	WRITE_ONCE(dev->status, 0);
	func->end_client = false;
	vbp_forget_disk(func);
	spin_lock_irq(&func->cb_lock);
	func->driver_ok = false;
	func->config_cb = (struct vdpa_callback){};
	spin_unlock_irq(&func->cb_lock);
	mutex_unlock(&func->lock);
	return err;
}

/* ---- virtqueues ---- */

static int vbp_set_vq_address(struct vdpa_device *vdpa, u16 idx, u64 desc,
			      u64 driver, u64 device)
{
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);
	struct vbp_func *func = vdpa_to_func(vdpa);

	mutex_lock(&func->lock);
	vq->desc = desc;
	vq->driver = driver;
	vq->device = device;
	vq->has_addr = true;
	mutex_unlock(&func->lock);
	return 0;
}

static void vbp_set_vq_num(struct vdpa_device *vdpa, u16 idx, u32 num)
{
	struct vbp_func *func = vdpa_to_func(vdpa);

	mutex_lock(&func->lock);
	vdpa_to_vq(vdpa, idx)->num = num;
	mutex_unlock(&func->lock);
}

static void vbp_kick_vq(struct vdpa_device *vdpa, u16 idx)
{
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);

	/* Not before DRIVER_OK (virtio 1.3, 3.1.1). */
	if (READ_ONCE(vq->enabled) && READ_ONCE(vdpa_to_vbp(vdpa)->running))
		vp_iowrite16(idx, vq->notify);
}

static void vbp_set_vq_cb(struct vdpa_device *vdpa, u16 idx,
			  struct vdpa_callback *cb)
{
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);

	spin_lock_irq(&vq->cb_lock);
	vq->cb = *cb;
	/* The old one had those that came before: QEMU changes at DRIVER_OK. */
	if (READ_ONCE(vq->enabled) && cb->callback)
		cb->callback(cb->private);
	spin_unlock_irq(&vq->cb_lock);
}

/* One queue more of a function that runs; it was not enabled since the reset. */
static void start_vq(struct vbp_dev *dev, u16 idx)
{
	if (!dev->func->vqs[idx].has_addr)
		return;
	if (vbp_hw_enable_vq(dev->func, idx))
		fail(dev);
	else
		dev->vdpa.config->kick_vq(&dev->vdpa, idx);
}

/*
 * Once this has returned, the queue's memory may be taken away. Not even a
 * function with RING_RESET could go on with the queue later: it would start at
 * index 0 again, over a ring that is somewhere else.
 */
static void stop_vq(struct vbp_dev *dev, u16 idx)
{
	dev_info_ratelimited(&dev->func->pdev->dev,
			     "queue %u was disabled: the device is reset, for a virtio function stops as a whole\n",
			     idx);
	fail(dev);
}

static void vbp_set_vq_ready(struct vdpa_device *vdpa, u16 idx, bool ready)
{
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);
	struct vbp_func *func = dev->func;

	mutex_lock(&func->lock);
	WRITE_ONCE(func->vqs[idx].ready, ready);
	if (dev->running && !func->gone && func->vqs[idx].enabled != ready) {
		if (ready)
			start_vq(dev, idx);
		else
			stop_vq(dev, idx);
	}
	mutex_unlock(&func->lock);
}

static bool vbp_get_vq_ready(struct vdpa_device *vdpa, u16 idx)
{
	return READ_ONCE(vdpa_to_vq(vdpa, idx)->ready);
}

/*
 * A function tells no index and takes none. As first state of a packed ring 0
 * is good, too: cloud-hypervisor knows no other.
 */
static int vbp_set_vq_state(struct vdpa_device *vdpa, u16 idx,
			    const struct vdpa_vq_state *state)
{
	const struct vdpa_vq_state_packed *packed = &state->packed;
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);
	bool first;

	if (is_packed(dev))
		first = !packed->last_avail_idx && !packed->last_used_idx &&
			packed->last_avail_counter == packed->last_used_counter;
	else
		first = !state->split.avail_index;
	if (first)
		return 0;
	dev_err_ratelimited(&dev->func->pdev->dev,
			    "queue %u: a virtio function starts with the first entry and not at %#x\n",
			    idx, is_packed(dev) ? packed->last_avail_idx |
						  packed->last_avail_counter << 15 :
						  state->split.avail_index);
	return -EOPNOTSUPP;
}

static int vbp_get_vq_state(struct vdpa_device *vdpa, u16 idx,
			    struct vdpa_vq_state *state)
{
	dev_info_ratelimited(&vdpa_to_func(vdpa)->pdev->dev,
			     "queue %u: a virtio function does not tell where in its ring it is\n",
			     idx);
	return -EOPNOTSUPP;
}

static u16 vbp_get_vq_size(struct vdpa_device *vdpa, u16 idx)
{
	return vdpa_to_vq(vdpa, idx)->max_num;
}

static u16 vbp_get_vq_num_max(struct vdpa_device *vdpa)
{
	return VBP_RING_MAX;
}

static u32 vbp_get_vq_align(struct vdpa_device *vdpa)
{
	return PAGE_SIZE;
}

static struct vdpa_notification_area
vbp_get_vq_notification(struct vdpa_device *vdpa, u16 idx)
{
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);

	/* A size that vhost refuses. */
	return (struct vdpa_notification_area){
		.addr = vq->notify_pa,
		.size = vq->own_page ? PAGE_SIZE : 0,
	};
}

/*
 * vhost asks for it after each DRIVER_OK, taken or not, and lets go of it with
 * one that was taken: 7.3 warns when it asks twice.
 */
static int vbp_get_vq_irq(struct vdpa_device *vdpa, u16 idx)
{
	if (!(READ_ONCE(vdpa_to_vbp(vdpa)->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		return -EINVAL;
	return vbp_vq_irq(vdpa_to_func(vdpa), vdpa_to_vq(vdpa, idx));
}

static const struct cpumask *vbp_get_vq_affinity(struct vdpa_device *vdpa,
						 u16 idx)
{
	struct vbp_vq *vq = vdpa_to_vq(vdpa, idx);

	return vq->pinned ? &vq->affinity : NULL;
}

/* ---- features and configuration ---- */

static u64 vbp_get_device_features(struct vdpa_device *vdpa)
{
	return vdpa_to_vbp(vdpa)->device_features;
}

/* QEMU sets bits of its own: what was not offered is left out. */
static int vbp_set_driver_features(struct vdpa_device *vdpa, u64 features)
{
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);

	mutex_lock(&dev->func->lock);
	dev->driver_features = features & dev->device_features;
	mutex_unlock(&dev->func->lock);
	return 0;
}

static u64 vbp_get_driver_features(struct vdpa_device *vdpa)
{
	return vdpa_to_vbp(vdpa)->driver_features;
}

static void vbp_set_config_cb(struct vdpa_device *vdpa,
			      struct vdpa_callback *cb)
{
	struct vbp_func *func = vdpa_to_func(vdpa);

	spin_lock_irq(&func->cb_lock);
	func->config_cb = *cb;
	/* QEMU gives it after DRIVER_OK, when the start may have failed. */
	if (func->driver_ok && cb->callback)
		cb->callback(cb->private);
	spin_unlock_irq(&func->cb_lock);
}

static u32 vbp_get_device_id(struct vdpa_device *vdpa)
{
	return VIRTIO_ID_BLOCK;
}

static u32 vbp_get_vendor_id(struct vdpa_device *vdpa)
{
	return vdpa_to_func(vdpa)->mdev.id.vendor;
}

static size_t vbp_get_config_size(struct vdpa_device *vdpa)
{
	return sizeof(struct virtio_blk_config);
}

/* Nobody asks for more than get_config_size has. */
static void vbp_get_config(struct vdpa_device *vdpa, unsigned int offset,
			   void *buf, unsigned int len)
{
	struct vbp_func *func = vdpa_to_func(vdpa);
	struct virtio_blk_config config;

	vbp_config_read(&func->mdev, func->hw_features, &config);
	memcpy(buf, (u8 *)&config + offset, len);
}

/*
 * Whatever range is written, wce is all that a driver may change (virtio 1.3,
 * 5.2.4), and only after CONFIG_WCE was accepted.
 */
static void vbp_set_config(struct vdpa_device *vdpa, unsigned int offset,
			   const void *buf, unsigned int len)
{
	size_t at = offsetof(struct virtio_blk_config, wce);
	struct vbp_dev *dev = vdpa_to_vbp(vdpa);

	if (offset > at || at - offset >= len ||
	    !(dev->driver_features & BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE)))
		return;
	vbp_config_write_wce(&dev->func->mdev, !!((const u8 *)buf)[at - offset]);
}

static u32 vbp_get_generation(struct vdpa_device *vdpa)
{
	return vp_modern_generation(&vdpa_to_func(vdpa)->mdev);
}

const struct vdpa_config_ops vbp_config_ops = {
	.set_vq_address		= vbp_set_vq_address,
	.set_vq_num		= vbp_set_vq_num,
	.kick_vq		= vbp_kick_vq,
	.set_vq_cb		= vbp_set_vq_cb,
	.set_vq_ready		= vbp_set_vq_ready,
	.get_vq_ready		= vbp_get_vq_ready,
	.set_vq_state		= vbp_set_vq_state,
	.get_vq_state		= vbp_get_vq_state,
	.get_vq_notification	= vbp_get_vq_notification,
	.get_vq_irq		= vbp_get_vq_irq,
	.get_vq_size		= vbp_get_vq_size,
	.get_vq_align		= vbp_get_vq_align,
	.get_device_features	= vbp_get_device_features,
	.set_driver_features	= vbp_set_driver_features,
	.get_driver_features	= vbp_get_driver_features,
	.set_config_cb		= vbp_set_config_cb,
	.get_vq_num_max		= vbp_get_vq_num_max,
	.get_device_id		= vbp_get_device_id,
	.get_vendor_id		= vbp_get_vendor_id,
	.get_status		= vbp_get_status,
	.set_status		= vbp_set_status,
	.reset			= vbp_reset,
	.get_config_size	= vbp_get_config_size,
	.get_config		= vbp_get_config,
	.set_config		= vbp_set_config,
	.get_generation		= vbp_get_generation,
	.set_vq_affinity	= vbp_set_vq_affinity,
	.get_vq_affinity	= vbp_get_vq_affinity,
};
