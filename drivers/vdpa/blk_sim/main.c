// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module, its parameters and the management device: disks come with
 * "vdpa dev add" and go with "vdpa dev del".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <uapi/linux/vdpa.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

/* ---- parameters: defaults for disks ---- */

static unsigned long long size = 1ULL << 30;
static unsigned int num_queues;
static unsigned int block_size = 1U << VBS_SECTOR_SHIFT;
static bool write_cache = true;

/* "64M": digits, then K, M, G, T or nothing. */
static int parse_size(const char *val, unsigned long long *bytes)
{
	static const char suffixes[] = "KMGT";
	size_t digits = strspn(val, "0123456789");
	const char *rest = val + digits;
	const char *suffix;
	char number[24];
	u64 n;

	if (!digits || digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, val, digits);
	number[digits] = '\0';
	if (kstrtoull(number, 10, &n))
		return -EINVAL;
	if (*rest && *rest != '\n') {
		suffix = strchr(suffixes, *rest++);
		if (!suffix || check_shl_overflow(n, 10 * (suffix - suffixes + 1), &n))
			return -EINVAL;
	}
	if (*rest && strcmp(rest, "\n"))
		return -EINVAL;
	*bytes = n;
	return 0;
}

static int size_set(const char *val, const struct kernel_param *kp)
{
	unsigned long long bytes;

	if (parse_size(val, &bytes) || bytes < 512 || bytes > LLONG_MAX) {
		pr_err("size=%s: not a size in bytes from 512 on (suffixes K, M, G, T)\n",
		       val);
		return -EINVAL;
	}
	*(unsigned long long *)kp->arg = bytes;
	return 0;
}

static const struct kernel_param_ops size_ops = {
	.set = size_set,
	.get = param_get_ullong,
};

static int num_queues_set(const char *val, const struct kernel_param *kp)
{
	int err = param_set_uint_minmax(val, kp, 1, VBS_MAX_QUEUES);

	if (err)
		pr_err("num_queues=%s: not a number from 1 to %u\n", val,
		       VBS_MAX_QUEUES);
	return err;
}

static const struct kernel_param_ops num_queues_ops = {
	.set = num_queues_set,
	.get = param_get_uint,
};

static int block_size_set(const char *val, const struct kernel_param *kp)
{
	unsigned int bytes;

	if (kstrtouint(val, 10, &bytes) || (bytes != 512 && bytes != 4096)) {
		pr_err("block_size=%s: neither 512 nor 4096\n", val);
		return -EINVAL;
	}
	*(unsigned int *)kp->arg = bytes;
	return 0;
}

static const struct kernel_param_ops block_size_ops = {
	.set = block_size_set,
	.get = param_get_uint,
};

module_param_cb(size, &size_ops, &size, 0444);
MODULE_PARM_DESC(size, "Size of a RAM disk in bytes, suffixes K, M, G, T (default: 1G)");
module_param_cb(num_queues, &num_queues_ops, &num_queues, 0444);
MODULE_PARM_DESC(num_queues, "Number of virtqueues of a disk, 1 to 64 (default: one per online CPU, at most 8)");
module_param_cb(block_size, &block_size_ops, &block_size, 0444);
MODULE_PARM_DESC(block_size, "Logical block size in bytes, 512 or 4096 (default: 512)");
module_param(write_cache, bool, 0444);
MODULE_PARM_DESC(write_cache, "Disks start with the write cache on (default: Y)");

static int check_params(void)
{
	if (size % block_size) {
		pr_err("size=%llu: not a multiple of block_size=%u\n", size,
		       block_size);
		return -EINVAL;
	}
	if (!num_queues)
		num_queues = min(num_online_cpus(), 8U);
	return 0;
}

/* ---- disks ---- */

static struct device *mgmt_parent;

/**
 * vbs_dev_free - last reference to a disk is gone, or making it failed
 * @vdpa: the disk; freed by the bus afterwards
 */
void vbs_dev_free(struct vdpa_device *vdpa)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	unsigned int i;

	for (i = 0; i < dev->nr_vqs; i++) {
		vbs_vq_destroy(dev->vqs[i]);
		kvfree(dev->vqs[i]);
	}
	kfree(dev->vqs);
	if (dev->backend)
		dev->backend->ops->free(dev->backend);
	vbs_as_destroy(&dev->as);
}

static int add_queues(struct vbs_dev *dev, unsigned int nr)
{
	struct vbs_vq *vq;
	int err;

	dev->vqs = kcalloc(nr, sizeof(*dev->vqs), GFP_KERNEL);
	if (!dev->vqs)
		return -ENOMEM;

	while (dev->nr_vqs < nr) {
		vq = kvzalloc(sizeof(*vq), GFP_KERNEL);
		if (!vq)
			return -ENOMEM;
		/* From here on vbs_dev_free() knows of it. */
		dev->vqs[dev->nr_vqs] = vq;
		err = vbs_vq_init(vq, dev, dev->nr_vqs++);
		if (err)
			return err;
	}
	return 0;
}

/* After an error vbs_dev_free() undoes what was done. */
static int init_disk(struct vbs_dev *dev, u64 features)
{
	int err;

	mutex_init(&dev->lock);
	spin_lock_init(&dev->cfg_lock);
	dev->device_features = features;
	dev->write_cache = write_cache;
	dev->wce = write_cache;
	dev->disk.capacity = size >> VBS_SECTOR_SHIFT;
	dev->disk.block_size = block_size;
	dev->disk.readonly = features & BIT_ULL(VIRTIO_BLK_F_RO);
	strtomem_pad(dev->serial, vbs_name(dev), 0);

	vbs_as_init(&dev->as);
	err = vbs_map_init(&dev->vdpa);
	if (err)
		return err;
	dev->backend = vbs_ram_create();
	if (!dev->backend)
		return -ENOMEM;
	/* Without MQ a driver knows of one queue. */
	return add_queues(dev, features & BIT_ULL(VIRTIO_BLK_F_MQ) ?
			       num_queues : 1);
}

static int wanted_features(const char *name,
			   const struct vdpa_dev_set_config *config,
			   u64 *features)
{
	u64 needed = VBS_FEATURES_NEEDED;

	/* A driver that is not told takes it for 512. */
	if (block_size != 512)
		needed |= BIT_ULL(VIRTIO_BLK_F_BLK_SIZE);
	/* A disk is read-only when it is asked to be. */
	*features = VBS_FEATURES & ~BIT_ULL(VIRTIO_BLK_F_RO);
	if (!(config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES)))
		return 0;

	*features = config->device_features;
	if (*features & ~VBS_FEATURES) {
		pr_err("dev add %s: device_features %#llx: %#llx cannot be had\n",
		       name, *features, *features & ~VBS_FEATURES);
		return -EOPNOTSUPP;
	}
	if (~*features & needed) {
		pr_err("dev add %s: device_features %#llx: %#llx cannot be left out\n",
		       name, *features, ~*features & needed);
		return -EINVAL;
	}
	return 0;
}

static int vbs_dev_add(struct vdpa_mgmt_dev *mdev, const char *name,
		       const struct vdpa_dev_set_config *config)
{
	struct vbs_dev *dev;
	u64 features;
	int err;

	err = wanted_features(name, config, &features);
	if (err)
		return err;

	dev = vdpa_blk_alloc_device(struct vbs_dev, vdpa, mgmt_parent,
				    &vbs_config_ops, &vbs_map_ops, 1, 1, name,
				    false);
	if (IS_ERR(dev)) {
		err = PTR_ERR(dev);
		goto err_log;
	}
	err = init_disk(dev, features);
	if (err)
		goto err_put;

	dev->vdpa.mdev = mdev;
	err = _vdpa_register_device(&dev->vdpa, dev->nr_vqs);
	if (err)
		goto err_put;

	pr_info("%s: RAM disk of %llu bytes, block size %u, queues %u%s\n",
		name, size, block_size, dev->nr_vqs,
		dev->disk.readonly ? ", read-only" : "");
	return 0;

err_put:
	put_device(&dev->vdpa.dev);
err_log:
	pr_err("dev add %s: %s (%d)\n", name,
	       err == -EEXIST ? "a vDPA device of this name exists" : "failed",
	       err);
	return err;
}

static void vbs_dev_del(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa)
{
	_vdpa_unregister_device(vdpa);
}

static const struct vdpa_mgmtdev_ops mgmt_ops = {
	.dev_add = vbs_dev_add,
	.dev_del = vbs_dev_del,
};

static struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_BLOCK, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct vdpa_mgmt_dev mgmt_dev = {
	.ops			= &mgmt_ops,
	.id_table		= id_table,
	.config_attr_mask	= BIT_ULL(VDPA_ATTR_DEV_FEATURES),
	.supported_features	= VBS_FEATURES,
};

/* ---- module ---- */

static int __init vbs_init(void)
{
	int err;

	err = check_params();
	if (err)
		return err;

	mgmt_parent = root_device_register(KBUILD_MODNAME);
	if (IS_ERR(mgmt_parent))
		return PTR_ERR(mgmt_parent);

	mgmt_dev.device = mgmt_parent;
	mgmt_dev.max_supported_vqs = num_queues;
	err = vdpa_mgmtdev_register(&mgmt_dev);
	if (err)
		goto err_root;
	return 0;

err_root:
	root_device_unregister(mgmt_parent);
	return err;
}

static void __exit vbs_exit(void)
{
	/* Removes the disks that are left. */
	vdpa_mgmtdev_unregister(&mgmt_dev);
	root_device_unregister(mgmt_parent);
	vbs_ram_exit();
}

module_init(vbs_init);
module_exit(vbs_exit);

MODULE_DESCRIPTION("virtio-blk device in software for the vDPA bus");
MODULE_AUTHOR("The vdpa-blk maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VDPA_BLK_VERSION);
