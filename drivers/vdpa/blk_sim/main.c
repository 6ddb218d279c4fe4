// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module and the management device: disks come with "vdpa dev add" and go
 * with "vdpa dev del".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <uapi/linux/vdpa.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

/* How long a disk is deleted before the log says why it takes so long. */
#define VBS_DEL_PATIENCE	(5 * HZ)

/* ---- disks ---- */

static struct device *mgmt_parent;

/* For what has no line of its own in the log. */
static int failed(const char *name, int err)
{
	pr_err("dev add %s: %s (%d)\n", name,
	       err == -EEXIST ? "a vDPA device of this name exists" : "failed",
	       err);
	return err;
}

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
	if (dev->wq)
		destroy_workqueue(dev->wq);
	if (dev->backend)
		dev->backend->ops->free(dev->backend);
	vbs_as_destroy(&dev->as);
	vbs_sysfs_free(dev);
	if (dev->desc)
		vbs_desc_release(dev->desc);
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

/* What a driver is told: what the backend has, unless the user says more. */
static void init_limits(struct vbs_dev *dev, const struct vbs_params *params)
{
	struct vbs_limits *limits = &dev->limits;

	*limits = dev->backend->limits;
	if (params->physical_block_size)
		limits->physical_block_size = params->physical_block_size;
	limits->physical_block_size = max(limits->physical_block_size,
					  params->block_size);
	if (params->seg_max)
		limits->seg_max = params->seg_max;
	/*
	 * QEMU takes no libblkio disk whose largest transfer is not a multiple
	 * of the preferred one.
	 */
	if (limits->io_opt && VBS_SIZE_MAX % limits->io_opt)
		limits->io_opt = 0;
}

/* After an error vbs_dev_free() undoes what was done. */
static int init_disk(struct vbs_dev *dev, const struct vbs_params *params,
		     u64 features)
{
	int err;

	init_limits(dev, params);
	dev->device_features = features;
	dev->queue_size = params->queue_size;
	dev->poll_us = params->poll_us;
	dev->write_cache = params->write_cache;
	dev->wce = params->write_cache;
	dev->disk.capacity = dev->limits.size >> VBS_SECTOR_SHIFT;
	dev->disk.block_size = params->block_size;
	dev->disk.seg_max = dev->limits.seg_max;
	dev->disk.readonly = features & BIT_ULL(VIRTIO_BLK_F_RO);
	if (*params->serial)
		memcpy(dev->serial, params->serial, sizeof(dev->serial));
	else
		strtomem_pad(dev->serial, vbs_name(dev), 0);

	if (dev->backend->ops->async) {
		dev->wq = alloc_workqueue("vbs-%s",
					  WQ_UNBOUND | WQ_MEM_RECLAIM, 0,
					  vbs_name(dev));
		if (!dev->wq)
			return failed(vbs_name(dev), -ENOMEM);
	}
	err = vbs_map_init(&dev->vdpa);
	/* Without MQ a driver knows of one queue. */
	if (!err)
		err = add_queues(dev, features & BIT_ULL(VIRTIO_BLK_F_MQ) ?
				      params->num_queues : 1);
	return err ? failed(vbs_name(dev), err) : 0;
}

/* All that can be had with this backend and this description. */
static u64 possible_features(const struct vbs_params *params,
			     const struct vbs_backend *be)
{
	const struct vbs_limits *limits = &be->limits;
	u64 features = VBS_FEATURES;

	if (be->ops->async)
		features &= ~BIT_ULL(VIRTIO_F_IN_ORDER);
	if (!params->discard || !limits->discard_granularity)
		features &= ~BIT_ULL(VIRTIO_BLK_F_DISCARD);
	if (!limits->secure_erase)
		features &= ~BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE);
	return features;
}

static int wanted_features(const char *name,
			   const struct vdpa_dev_set_config *config,
			   const struct vbs_params *params, u64 possible,
			   u64 *features)
{
	u64 needed = VBS_FEATURES_NEEDED;

	/* A driver that is not told takes it for 512. */
	if (params->block_size != 512)
		needed |= BIT_ULL(VIRTIO_BLK_F_BLK_SIZE);
	if (params->readonly)
		needed |= BIT_ULL(VIRTIO_BLK_F_RO);
	if (!(config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES))) {
		/* A disk is read-only when it is asked to be. */
		*features = params->readonly ? possible :
			    possible & ~BIT_ULL(VIRTIO_BLK_F_RO);
		return 0;
	}

	*features = config->device_features;
	if (*features & ~possible) {
		pr_err("dev add %s: device_features %#llx: %#llx cannot be had\n",
		       name, *features, *features & ~possible);
		return -EOPNOTSUPP;
	}
	if (~*features & needed) {
		pr_err("dev add %s: device_features %#llx: %#llx cannot be left out\n",
		       name, *features, ~*features & needed);
		return -EINVAL;
	}
	return 0;
}

/* With its backend, which vbs_dev_free() closes. */
static int open_disk(struct vbs_dev *dev, const struct vbs_params *wanted,
		     const struct vdpa_dev_set_config *config)
{
	const char *name = vbs_name(dev);
	struct vbs_params params = *wanted;
	struct vbs_backend *be;
	u64 features;
	int err;

	err = vbs_params_check(&params, name);
	if (err)
		return err;
	if (config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES) &&
	    config->device_features & BIT_ULL(VIRTIO_BLK_F_RO))
		params.readonly = true;

	be = vbs_backend_open(&params, name);
	if (IS_ERR(be))
		return PTR_ERR(be) == -ENOMEM ? failed(name, -ENOMEM) :
						PTR_ERR(be);
	dev->backend = be;
	err = wanted_features(name, config, &params,
			      possible_features(&params, be),
			      &features);
	if (err)
		return err;
	return init_disk(dev, &params, features);
}

/* By its description, or the defaults. */
static int make_disk(struct vbs_dev *dev,
		     const struct vdpa_dev_set_config *config)
{
	struct vbs_desc *desc = vbs_desc_hold(vbs_name(dev));
	struct vbs_params params;
	int err;

	if (IS_ERR(desc))
		return failed(vbs_name(dev), PTR_ERR(desc));
	if (desc) {
		dev->desc = desc;
		dev->badblocks = vbs_desc_badblocks(desc);
		return open_disk(dev, vbs_desc_params(desc), config);
	}
	err = vbs_params_init(&params);
	if (err)
		return failed(vbs_name(dev), err);
	err = open_disk(dev, &params, config);
	vbs_params_destroy(&params);
	return err;
}

static int register_disk(struct vbs_dev *dev, struct vdpa_mgmt_dev *mdev)
{
	int err;

	dev->vdpa.mdev = mdev;
	err = vbs_sysfs_init(dev);
	if (!err)
		err = _vdpa_register_device(&dev->vdpa, dev->nr_vqs);
	if (err)
		return failed(vbs_name(dev), err);
	vbs_debugfs_add(dev);
	if (dev->desc)
		vbs_desc_set_dev(dev->desc, dev);
	pr_info("%s: %s disk of %llu bytes, block size %u, queues %u%s\n",
		vbs_name(dev), dev->backend->ops->kind, dev->limits.size,
		dev->disk.block_size, dev->nr_vqs,
		dev->disk.readonly ? ", read-only" : "");
	return 0;
}

static int vbs_dev_add(struct vdpa_mgmt_dev *mdev, const char *name,
		       const struct vdpa_dev_set_config *config)
{
	struct vbs_dev *dev;
	int err;

	dev = vdpa_blk_alloc_device(struct vbs_dev, vdpa, mgmt_parent,
				    &vbs_config_ops, &vbs_map_ops, 1, 1, name,
				    false);
	if (IS_ERR(dev))
		return failed(name, PTR_ERR(dev));
	mutex_init(&dev->lock);
	spin_lock_init(&dev->cfg_lock);
	vbs_as_init(&dev->as);
	dev->io_stamp = jiffies;
	err = make_disk(dev, config);
	if (!err)
		err = register_disk(dev, mdev);
	if (err)
		put_device(&dev->vdpa.dev);
	return err;
}

/* ---- deleting one ---- */

struct deletion {
	struct delayed_work work;
	const char *name;
	char node[32];
};

static int find_node(struct device *child, void *data)
{
	struct deletion *del = data;

	if (strstarts(dev_name(child), "vhost-vdpa-"))
		strscpy(del->node, dev_name(child), sizeof(del->node));
	return 0;
}

/*
 * The bus waits with its lock held, so that all vdpa commands hang, and cannot
 * be told to give up.  So tell what would help; the node is gone by now.
 */
static void say_why(struct work_struct *work)
{
	struct deletion *del = container_of(to_delayed_work(work),
					    struct deletion, work);

	if (*del->node)
		pr_warn("dev del %s: waits, as all vdpa commands do, until /dev/%s is closed; find /proc/[0-9]*/fd -lname '*/%s *' shows who has it open\n",
			del->name, del->node, del->node);
	else
		pr_warn("dev del %s: waits, as all vdpa commands do, for the requests at work, and so for what is behind the disk\n",
			del->name);
}

static void vbs_dev_del(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa)
{
	struct vbs_dev *dev = vdpa_to_vbs(vdpa);
	struct deletion del = { .name = vbs_name(dev) };

	if (dev->desc)
		vbs_desc_set_dev(dev->desc, NULL);
	/*
	 * It waits for a client that has the disk open: the state of the rings
	 * shall be there to be read meanwhile.
	 */
	get_device(&vdpa->dev);
	device_for_each_child(&vdpa->dev, &del, find_node);
	INIT_DELAYED_WORK_ONSTACK(&del.work, say_why);
	schedule_delayed_work(&del.work, VBS_DEL_PATIENCE);
	_vdpa_unregister_device(vdpa);
	cancel_delayed_work_sync(&del.work);
	destroy_delayed_work_on_stack(&del.work);
	vbs_debugfs_remove(dev);
	put_device(&vdpa->dev);
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

	err = vbs_params_setup();
	if (err)
		return err;
	mgmt_parent = root_device_register(KBUILD_MODNAME);
	if (IS_ERR(mgmt_parent))
		return PTR_ERR(mgmt_parent);
	vbs_debugfs_init();
	err = vbs_configfs_init();
	if (err)
		goto err_root;

	mgmt_dev.device = mgmt_parent;
	mgmt_dev.max_supported_vqs = VBS_MAX_QUEUES;
	err = vdpa_mgmtdev_register(&mgmt_dev);
	if (err)
		goto err_configfs;
	return 0;

err_configfs:
	vbs_configfs_exit();
err_root:
	vbs_debugfs_exit();
	root_device_unregister(mgmt_parent);
	return err;
}

static void __exit vbs_exit(void)
{
	/* Removes the disks that are left. */
	vdpa_mgmtdev_unregister(&mgmt_dev);
	vbs_configfs_exit();
	vbs_debugfs_exit();
	root_device_unregister(mgmt_parent);
	vbs_ram_exit();
}

module_init(vbs_init);
module_exit(vbs_exit);

MODULE_DESCRIPTION("virtio-blk device in software for the vDPA bus");
MODULE_AUTHOR("The vdpa-blk maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VDPA_BLK_VERSION);
