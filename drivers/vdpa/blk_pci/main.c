// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binding and the management device. A function is bound by driver_override
 * only: an id table would take the disks of a virtual machine away from it.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>
#include <linux/workqueue.h>
#include <uapi/linux/vdpa.h>

#include "blk_pci.h"
#include "vdpa_blk_compat.h"

/* ---- the vDPA device ---- */

static int wanted_features(struct vbp_func *func, const char *name,
			   const struct vdpa_dev_set_config *config,
			   u64 *features)
{
	struct device *dev = &func->pdev->dev;

	*features = func->features;
	if (!(config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES)))
		return 0;

	*features = config->device_features;
	if (*features & ~func->features) {
		dev_err(dev, "dev add %s: device_features %#llx: %#llx cannot be had\n",
			name, *features, *features & ~func->features);
		return -EOPNOTSUPP;
	}
	if (~*features & VBP_FEATURES_NEEDED) {
		dev_err(dev, "dev add %s: device_features %#llx: %#llx cannot be left out\n",
			name, *features, ~*features & VBP_FEATURES_NEEDED);
		return -EINVAL;
	}
	return 0;
}

static int register_dev(struct vbp_func *func, struct vbp_dev *dev)
{
	/* Without MQ a driver knows of one queue. */
	unsigned int nr_vqs = dev->device_features & BIT_ULL(VIRTIO_BLK_F_MQ) ?
			      func->nr_vqs : 1;
	int err;

	mutex_lock(&func->lock);
	func->dev = dev;
	mutex_unlock(&func->lock);
	err = _vdpa_register_device(&dev->vdpa, nr_vqs);
	if (err) {
		mutex_lock(&func->lock);
		func->dev = NULL;
		mutex_unlock(&func->lock);
		return err;
	}
	dev_info(&func->pdev->dev, "%s: queues %u, features %#llx\n",
		 dev_name(&dev->vdpa.dev), nr_vqs, dev->device_features);
	return 0;
}

static int vbp_dev_add(struct vdpa_mgmt_dev *mgmt, const char *name,
		       const struct vdpa_dev_set_config *config)
{
	struct vbp_func *func = container_of(mgmt, struct vbp_func, mgmt);
	struct device *parent = &func->pdev->dev;
	struct vbp_dev *dev;
	u64 features;
	int err;

	if (func->dev) {
		dev_err(parent, "dev add %s: the function is %s already\n",
			name, dev_name(&func->dev->vdpa.dev));
		return -EBUSY;
	}
	err = wanted_features(func, name, config, &features);
	if (err)
		return err;

	dev = vdpa_blk_alloc_device(struct vbp_dev, vdpa, parent,
				    &vbp_config_ops, NULL, 1, 1, name, false);
	if (IS_ERR(dev)) {
		dev_err(parent, "dev add %s: %ld\n", name, PTR_ERR(dev));
		return PTR_ERR(dev);
	}
	vdpa_blk_set_dma_dev(&dev->vdpa, parent);
	dev->vdpa.mdev = mgmt;
	dev->func = func;
	dev->device_features = features;
	/* Whatever the function was left with by the one before. */
	err = vbp_config_ops.reset(&dev->vdpa);
	if (!err)
		err = register_dev(func, dev);
	if (err) {
		dev_err(parent, "dev add %s: %d\n", name, err);
		put_device(&dev->vdpa.dev);
	}
	return err;
}

/* vhost_vdpa has the function in an address space of its own while it is open. */
static bool has_client(struct vbp_func *func)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&func->pdev->dev);

	return domain && domain->type == IOMMU_DOMAIN_UNMANAGED;
}

static int tell_client(struct device *child, void *data)
{
	struct vbp_func *func = data;

	if (!strncmp(dev_name(child), "vhost-vdpa-", 11))
		dev_info(&func->pdev->dev, "%s goes when whoever has /dev/%s open closes it\n",
			 dev_name(&func->dev->vdpa.dev), dev_name(child));
	return 0;
}

static void vbp_dev_del(struct vdpa_mgmt_dev *mgmt, struct vdpa_device *vdpa)
{
	struct vbp_func *func = container_of(mgmt, struct vbp_func, mgmt);

	mutex_lock(&func->lock);
	if (vbp_check_gone(func)) {
		vbp_needs_reset(func);
		vbp_end_client(func);
	}
	mutex_unlock(&func->lock);
	/* Before the disk is on its way out, for it is not found then. */
	flush_delayed_work(&func->watch);

	/* The core waits for it. */
	if (has_client(func))
		device_for_each_child(&vdpa->dev, func, tell_client);
	/* Until the end the watch and error handlers may look at it. */
	get_device(&vdpa->dev);
	_vdpa_unregister_device(vdpa);
	mutex_lock(&func->lock);
	func->dev = NULL;
	mutex_unlock(&func->lock);
	put_device(&vdpa->dev);
}

static const struct vdpa_mgmtdev_ops mgmt_ops = {
	.dev_add = vbp_dev_add,
	.dev_del = vbp_dev_del,
};

/* ---- the function ---- */

static int refuse(struct pci_dev *pdev, const char *why)
{
	dev_err(&pdev->dev, "refused: %s\n", why);
	return -ENODEV;
}

/* Before anything is touched: the ids of virtio 1.3, 4.1.2. */
static int check_id(struct pci_dev *pdev)
{
	u16 id = pdev->device;

	if (pdev->vendor != PCI_VENDOR_ID_REDHAT_QUMRANET ||
	    id < 0x1000 || id > 0x107f)
		return refuse(pdev, "not a virtio device");
	/* A transitional one has its kind in the subsystem. */
	id = id < 0x1040 ? pdev->subsystem_device : id - 0x1040;
	if (id != VIRTIO_ID_BLOCK)
		return refuse(pdev, "a virtio device, but not a block device");
	return 0;
}

static int check_features(struct vbp_func *func)
{
	func->hw_features = vp_modern_get_features(&func->mdev);
	func->features = func->hw_features & ~VBP_FEATURES_HIDDEN;
	if (!(func->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
		return refuse(func->pdev, "no ACCESS_PLATFORM: it would bypass the IOMMU");
	return 0;
}

/* Where the doorbells end: other registers may follow. */
static resource_size_t doorbells_end(struct vbp_func *func)
{
	int cap = func->mdev.notify_map_cap;
	struct pci_dev *pdev = func->pdev;
	u32 offset, length;
	u8 bar;

	if (!cap)
		return func->mdev.notify_pa + func->mdev.notify_len;
	pci_read_config_byte(pdev, cap + offsetof(struct virtio_pci_cap, bar),
			     &bar);
	pci_read_config_dword(pdev, cap + offsetof(struct virtio_pci_cap,
						   offset), &offset);
	pci_read_config_dword(pdev, cap + offsetof(struct virtio_pci_cap,
						   length), &length);
	return pci_resource_start(pdev, bar) + offset + length;
}

/* vhost maps a page to the client: nothing else may be in it. */
static bool has_own_page(struct vbp_func *func, unsigned int idx)
{
	struct vbp_vq *vq = &func->vqs[idx];
	unsigned int i;

	if (!PAGE_ALIGNED(vq->notify_pa) ||
	    func->mdev.notify_offset_multiplier < PAGE_SIZE ||
	    vq->notify_pa + PAGE_SIZE > doorbells_end(func))
		return false;
	for (i = 0; i < func->nr_vqs; i++)
		if (i != idx && func->vqs[i].notify_pa == vq->notify_pa)
			return false;
	return true;
}

static void unmap_doorbells(struct vbp_func *func)
{
	unsigned int i;

	/* Otherwise they are part of one mapping, which is vp_modern's. */
	if (!func->mdev.notify_map_cap || !func->vqs)
		return;
	for (i = 0; i < func->nr_vqs; i++)
		if (func->vqs[i].notify)
			pci_iounmap(func->pdev, func->vqs[i].notify);
}

static int init_vqs(struct vbp_func *func)
{
	struct virtio_pci_modern_device *mdev = &func->mdev;
	unsigned int i;

	func->nr_vqs = vp_modern_get_num_queues(mdev);
	if (func->hw_features & BIT_ULL(VIRTIO_BLK_F_MQ)) {
		struct virtio_blk_config config;

		/* The registers may count an administration queue, too. */
		vbp_config_read(mdev, func->hw_features, &config);
		func->nr_vqs = min_t(unsigned int, func->nr_vqs,
				     __virtio16_to_cpu(true,
						       config.num_queues));
	} else {
		func->nr_vqs = min(func->nr_vqs, 1u);
	}
	if (!func->nr_vqs)
		return refuse(func->pdev, "it has no queues");

	func->vqs = devm_kcalloc(&func->pdev->dev, func->nr_vqs,
				 sizeof(*func->vqs), GFP_KERNEL);
	if (!func->vqs)
		return -ENOMEM;
	for (i = 0; i < func->nr_vqs; i++) {
		struct vbp_vq *vq = &func->vqs[i];

		spin_lock_init(&vq->cb_lock);
		vq->max_num = vp_modern_get_queue_size(mdev, i);
		vq->notify = vp_modern_map_vq_notify(mdev, i, &vq->notify_pa);
		if (!vq->max_num || !vq->notify)
			return refuse(func->pdev, "it has a queue without entries or doorbell");
	}
	for (i = 0; i < func->nr_vqs; i++)
		func->vqs[i].own_page = has_own_page(func, i);
	return 0;
}

static void tell_about_iommu(struct device *dev)
{
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		dev_warn(dev, "no IOMMU is in charge of it: good for virtio-vdpa only, /dev/vhost-vdpa-N cannot be opened; turn the IOMMU on in firmware and kernel (intel_iommu=on)\n");
	else if (!msi_device_has_isolated_msi(dev))
		dev_warn(dev, "no interrupt remapping: a client of vhost-vdpa can have the function raise any interrupt of this machine\n");
}

static int vbp_register(struct vbp_func *func)
{
	struct vdpa_mgmt_dev *mgmt = &func->mgmt;

	func->ids[0].device = VIRTIO_ID_BLOCK;
	func->ids[0].vendor = func->mdev.id.vendor;
	mgmt->ops = &mgmt_ops;
	mgmt->device = &func->pdev->dev;
	mgmt->id_table = func->ids;
	mgmt->config_attr_mask = BIT_ULL(VDPA_ATTR_DEV_FEATURES);
	mgmt->max_supported_vqs = func->nr_vqs;
	mgmt->supported_features = func->features;
	return vdpa_mgmtdev_register(mgmt);
}

static int start_func(struct vbp_func *func)
{
	int err;

	err = check_features(func);
	if (err)
		return err;
	mutex_lock(&func->lock);
	err = vbp_hw_reset(func);
	mutex_unlock(&func->lock);
	if (err)
		return err;
	err = init_vqs(func);
	if (err)
		return err;
	err = vbp_irq_init(func);
	if (err)
		return err;
	pci_set_master(func->pdev);
	pci_save_state(func->pdev);
	err = vbp_register(func);
	if (err)
		vbp_irq_exit(func);
	return err;
}

static int vbp_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vbp_func *func;
	int err;

	err = check_id(pdev);
	if (err)
		return err;
	func = devm_kzalloc(&pdev->dev, sizeof(*func), GFP_KERNEL);
	if (!func)
		return -ENOMEM;
	func->pdev = pdev;
	func->mdev.pci_dev = pdev;
	func->device_locked_by = current;
	vbp_watch_init(func);
	mutex_init(&func->lock);
	spin_lock_init(&func->cb_lock);

	err = pcim_enable_device(pdev);
	if (err) {
		dev_err(&pdev->dev, "it cannot be enabled (%d)\n", err);
		return err;
	}
	err = vp_modern_probe(&func->mdev);
	if (err == -ENODEV)
		return refuse(pdev, "a legacy device: virtio 1.0 or newer is needed");
	if (err) {
		dev_err(&pdev->dev, "its registers cannot be had (%d)\n", err);
		return err;
	}
	err = start_func(func);
	if (err) {
		unmap_doorbells(func);
		vp_modern_remove(&func->mdev);
		return err;
	}
	pci_set_drvdata(pdev, func);
	tell_about_iommu(&pdev->dev);
	mutex_lock(&func->lock);
	func->device_locked_by = NULL;
	mutex_unlock(&func->lock);
	return 0;
}

static void vbp_remove(struct pci_dev *pdev)
{
	struct vbp_func *func = pci_get_drvdata(pdev);

	mutex_lock(&func->lock);
	func->device_locked_by = current;
	mutex_unlock(&func->lock);
	vdpa_mgmtdev_unregister(&func->mgmt);
	cancel_delayed_work_sync(&func->watch);
	vbp_irq_exit(func);
	pci_clear_master(pdev);
	unmap_doorbells(func);
	vp_modern_remove(&func->mdev);
}

/* Others may reset it, too: the sysfs file "reset". */
static void vbp_reset_prepare(struct pci_dev *pdev)
{
	struct vbp_func *func = pci_get_drvdata(pdev);

	/* Meanwhile the function reads as if it were gone. */
	if (READ_ONCE(func->reset_by) != current)
		mutex_lock(&func->lock);
}

/* What looked gone was away for a moment only, if it was just reset. */
static void is_back(struct vbp_func *func)
{
	func->gone = false;
	vbp_lost_state(func);
}

static void vbp_reset_done(struct pci_dev *pdev)
{
	struct vbp_func *func = pci_get_drvdata(pdev);

	if (READ_ONCE(func->reset_by) == current)
		return;
	is_back(func);
	mutex_unlock(&func->lock);
}

/*
 * An error of the bus. With the link frozen the function is reset, and reads as
 * if it were gone until then.
 */
static pci_ers_result_t vbp_error_detected(struct pci_dev *pdev,
					   pci_channel_state_t state)
{
	struct vbp_func *func = pci_get_drvdata(pdev);

	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	dev_err(&pdev->dev, "error of the bus\n");
	mutex_lock(&func->lock);
	vbp_lost_state(func);
	mutex_unlock(&func->lock);
	return state == pci_channel_io_frozen ? PCI_ERS_RESULT_NEED_RESET :
						PCI_ERS_RESULT_DISCONNECT;
}

static pci_ers_result_t vbp_slot_reset(struct pci_dev *pdev)
{
	struct vbp_func *func = pci_get_drvdata(pdev);

	pci_restore_state(pdev);
	mutex_lock(&func->lock);
	is_back(func);
	mutex_unlock(&func->lock);
	return PCI_ERS_RESULT_RECOVERED;
}

static const struct pci_error_handlers err_handlers = {
	.error_detected	= vbp_error_detected,
	.slot_reset	= vbp_slot_reset,
	.reset_prepare	= vbp_reset_prepare,
	.reset_done	= vbp_reset_done,
};

static struct pci_driver vbp_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= NULL, /* driver_override only */
	.probe		= vbp_probe,
	.remove		= vbp_remove,
	.err_handler	= &err_handlers,
};
module_pci_driver(vbp_driver);

MODULE_DESCRIPTION("virtio-blk PCI function for the vDPA bus");
MODULE_AUTHOR("The vdpa-blk maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VDPA_BLK_VERSION);
