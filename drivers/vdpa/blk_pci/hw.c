// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of the function (virtio 1.3, 4.1.4.3). A function that is gone
 * reads as all ones, so nothing here waits without a bound.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>
#include <linux/pci.h>
#include <linux/sched.h>

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

	func->reset_by = current;
	if (func->device_locked_by == current) {
		pci_save_state(func->pdev);
		err = __pci_reset_function_locked(func->pdev);
		pci_restore_state(func->pdev);
	} else {
		/* Whoever has the device lock may wait for us. */
		err = pci_try_reset_function(func->pdev);
	}
	func->reset_by = NULL;
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

	for (i = 0; i < func->nr_vqs; i++) {
		spin_lock_irq(&func->vqs[i].cb_lock);
		WRITE_ONCE(func->vqs[i].enabled, false);
		spin_unlock_irq(&func->vqs[i].cb_lock);
	}
	if (vbp_check_gone(func))
		return -ENODEV;

	/* The link is down: it will be reset with it. */
	if (pci_channel_offline(func->pdev)) {
		pci_clear_master(func->pdev);
		func->stuck = true;
		return -EIO;
	}

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
	if (reset_done(func, &status)) {
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

int vbp_hw_negotiate(struct vbp_func *func, u64 features)
{
	struct virtio_pci_modern_device *mdev = &func->mdev;
	u8 status = vp_modern_get_status(mdev);

	lockdep_assert_held(&func->lock);

	vp_modern_set_features(mdev, features);
	vp_modern_set_status(mdev, status | VIRTIO_CONFIG_S_FEATURES_OK);
	status = vp_modern_get_status(mdev);
	/* All ones: nobody is there. */
	return status & VIRTIO_CONFIG_S_FEATURES_OK && status != U8_MAX ?
	       0 : -EINVAL;
}

int vbp_hw_enable_vq(struct vbp_func *func, unsigned int idx)
{
	struct virtio_pci_modern_device *mdev = &func->mdev;
	struct vbp_vq *vq = &func->vqs[idx];
	struct device *dev = &func->pdev->dev;

	lockdep_assert_held(&func->lock);

	if (vq->num > vq->max_num) {
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
