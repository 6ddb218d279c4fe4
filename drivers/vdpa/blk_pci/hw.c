// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of the function (virtio 1.3, 4.1.4.3). A function that is gone
 * reads as all ones, so nothing here waits without a bound.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>
#include <linux/log2.h>
#include <linux/pci.h>

#include "blk_pci.h"

/* Between two looks at a register, and until one is given up. */
#define POLL_US		1000
#define RESET_US	(5 * USEC_PER_SEC)

static bool reset_done(struct vbp_func *func, u8 *status)
{
	return !read_poll_timeout(vp_modern_get_status, *status,
				  !*status || vbp_check_gone(func),
				  POLL_US, RESET_US, false, &func->mdev) &&
	       !*status;
}

static int reset_function(struct vbp_func *func)
{
	int err;

	func->own_reset = true;
	if (func->device_locked) {
		pci_save_state(func->pdev);
		err = __pci_reset_function_locked(func->pdev);
		pci_restore_state(func->pdev);
	} else {
		/* Whoever has the device lock may wait for us. */
		err = pci_try_reset_function(func->pdev);
	}
	func->own_reset = false;
	return err;
}

static void not_stuck(struct vbp_func *func)
{
	if (!func->stuck)
		return;
	func->stuck = false;
	pci_set_master(func->pdev);
	dev_info(&func->pdev->dev, "came back from a reset\n");
}

int vbp_hw_reset(struct vbp_func *func)
{
	struct device *dev = &func->pdev->dev;
	unsigned int i;
	u8 status;
	int err;

	lockdep_assert_held(&func->lock);

	for (i = 0; i < func->nr_vqs; i++)
		WRITE_ONCE(func->vqs[i].enabled, false);
	if (vbp_check_gone(func))
		return -ENODEV;

	vp_modern_set_status(&func->mdev, 0);
	if (reset_done(func, &status)) {
		not_stuck(func);
		return 0;
	}
	if (func->gone)
		return -ENODEV;

	dev_warn(dev, "status is %#x %lu s after a reset: resetting the PCI function\n",
		 status, RESET_US / USEC_PER_SEC);
	err = reset_function(func);
	if (!err && reset_done(func, &status)) {
		not_stuck(func);
		return 0;
	}
	if (func->gone)
		return -ENODEV;

	/* What it does not stop by itself stops at the bus. */
	pci_clear_master(func->pdev);
	func->stuck = true;
	dev_err(dev, "does not come back from a reset (status %#x, reset of the function %d); bus mastering is off\n",
		status, err);
	return -EIO;
}

/* RING_RESET is for us and not for the client: the vDPA bus has no word for it. */
static bool has_ring_reset(struct vbp_func *func)
{
	return func->hw_features & BIT_ULL(VIRTIO_F_RING_RESET) &&
	       func->mdev.common_len >=
	       offsetofend(struct virtio_pci_modern_common_cfg, queue_reset);
}

int vbp_hw_negotiate(struct vbp_func *func, u64 features)
{
	struct virtio_pci_modern_device *mdev = &func->mdev;
	u8 status = vp_modern_get_status(mdev);

	lockdep_assert_held(&func->lock);

	if (has_ring_reset(func))
		features |= BIT_ULL(VIRTIO_F_RING_RESET);
	vp_modern_set_features(mdev, features);
	vp_modern_set_status(mdev, status | VIRTIO_CONFIG_S_FEATURES_OK);
	status = vp_modern_get_status(mdev);
	return status & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EINVAL;
}

int vbp_hw_enable_vq(struct vbp_func *func, unsigned int idx)
{
	struct virtio_pci_modern_device *mdev = &func->mdev;
	struct vbp_vq *vq = &func->vqs[idx];
	struct device *dev = &func->pdev->dev;

	lockdep_assert_held(&func->lock);

	/* Only a packed ring may be of another size (virtio 1.3, 2.7). */
	if (!vq->num || vq->num > vq->max_num ||
	    (!is_power_of_2(vq->num) &&
	     !(func->dev->driver_features & BIT_ULL(VIRTIO_F_RING_PACKED)))) {
		dev_err_ratelimited(dev, "queue %u: a ring of %u entries cannot be had, the function has %u\n",
				    idx, vq->num, vq->max_num);
		return -EINVAL;
	}
	vp_modern_set_queue_size(mdev, idx, vq->num);
	vp_modern_queue_address(mdev, idx, vq->desc, vq->driver, vq->device);
	if (vp_modern_queue_vector(mdev, idx, vq->vector) != vq->vector) {
		dev_err_ratelimited(dev, "queue %u: the function does not take MSI-X vector %u\n",
				    idx, vq->vector);
		return -EIO;
	}
	vp_modern_set_queue_enable(mdev, idx, true);
	WRITE_ONCE(vq->enabled, true);
	return 0;
}

int vbp_hw_stop_vq(struct vbp_func *func, unsigned int idx)
{
	struct virtio_pci_modern_common_cfg __iomem *cfg =
		(void __iomem *)func->mdev.common;
	u16 busy;

	lockdep_assert_held(&func->lock);

	if (!has_ring_reset(func))
		return -EOPNOTSUPP;
	WRITE_ONCE(func->vqs[idx].enabled, false);
	/* virtio 1.3, 4.1.4.3.1: reads as 0 when the reset is complete. */
	vp_iowrite16(idx, &cfg->cfg.queue_select);
	vp_iowrite16(1, &cfg->queue_reset);
	if (read_poll_timeout(vp_ioread16, busy, !busy || vbp_check_gone(func),
			      POLL_US, RESET_US, false, &cfg->queue_reset)) {
		dev_warn(&func->pdev->dev, "queue %u does not stop\n", idx);
		return -EIO;
	}
	return 0;
}
