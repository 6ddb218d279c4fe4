// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backing that has changed: in size, or removed and back again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>

#include "blk_sim.h"

static void set_capacity_to(struct vbs_dev *dev, u64 size)
{
	lockdep_assert_held(&dev->lock);

	spin_lock(&dev->cfg_lock);
	WRITE_ONCE(dev->disk.capacity, size >> VBS_SECTOR_SHIFT);
	WRITE_ONCE(dev->generation, dev->generation + 1);
	if (dev->config_cb.callback)
		dev->config_cb.callback(dev->config_cb.private);
	spin_unlock(&dev->cfg_lock);
}

/* The device was removed and may have come back under its path. */
static int reopen_backend(struct vbs_dev *dev)
{
	struct vbs_params params = *vbs_desc_params(dev->desc);
	u64 old_size = dev->disk.capacity << VBS_SECTOR_SHIFT;
	bool driver = dev->status & VIRTIO_CONFIG_S_DRIVER;
	struct vbs_backend *old = dev->backend, *be;
	unsigned int i;

	lockdep_assert_held(&dev->lock);

	params.readonly = dev->disk.readonly;
	be = vbs_backend_open(&params, vbs_name(dev));
	if (IS_ERR(be))
		return PTR_ERR(be);
	if (be->ops != old->ops) {
		pr_err("%s: path=%s: a %s now, not a %s as before\n",
		       vbs_name(dev), params.path, be->ops->kind,
		       old->ops->kind);
		be->ops->free(be);
		return -EINVAL;
	}

	/* It would be another disk, or the wrong one. */
	if (driver && be->limits.size != old_size) {
		pr_err("%s: path=%s: %llu bytes now, not %llu as before, and a driver uses the disk\n",
		       vbs_name(dev), params.path, be->limits.size, old_size);
		be->ops->free(be);
		return -EBUSY;
	}

	/* What was in the old device's cache is gone. */
	atomic_set(&dev->flush_lost, driver);
	/* Once each queue has been idle nobody knows the old one any more. */
	WRITE_ONCE(dev->backend, be);
	for (i = 0; i < dev->nr_vqs; i++) {
		vbs_vq_lock(dev->vqs[i]);
		vbs_io_drain(dev->vqs[i]);
		vbs_vq_unlock(dev->vqs[i]);
	}
	old->ops->free(old);
	pr_info("%s: path=%s: opened again\n", vbs_name(dev), params.path);
	return 0;
}

/*
 * A driver that uses sectors beyond a new end would see them fail, or worse,
 * hold data for them that it believes to be written: no shrinking then.
 */
static int change_size(struct vbs_dev *dev)
{
	u64 old = dev->disk.capacity << VBS_SECTOR_SHIFT;
	u64 size = dev->backend->ops->size(dev->backend);
	u8 status = READ_ONCE(dev->status);

	if (size == old)
		return 0;
	if (!size || size % dev->disk.block_size) {
		pr_err("%s: revalidate_size: %llu bytes are no multiple of block_size=%u\n",
		       vbs_name(dev), size, dev->disk.block_size);
		return -EINVAL;
	}
	if (size < old && (status & VIRTIO_CONFIG_S_DRIVER)) {
		pr_err("%s: revalidate_size: shrunk from %llu to %llu bytes while a driver uses it\n",
		       vbs_name(dev), old, size);
		return -EBUSY;
	}
	set_capacity_to(dev, size);
	pr_info("%s: size changed from %llu to %llu bytes\n", vbs_name(dev),
		old, size);
	return 0;
}

int vbs_revalidate_size(struct vbs_dev *dev)
{
	int err = 0;

	mutex_lock(&dev->lock);
	if (dev->backend->ops->gone && dev->backend->ops->gone(dev->backend))
		err = reopen_backend(dev);
	if (!err)
		err = change_size(dev);
	mutex_unlock(&dev->lock);
	return err;
}
