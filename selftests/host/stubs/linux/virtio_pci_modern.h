/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers of a function, which the test is. */
#ifndef STUB_LINUX_VIRTIO_PCI_MODERN_H
#define STUB_LINUX_VIRTIO_PCI_MODERN_H

#include <linux/types.h>

#define __iomem

struct device {
	unsigned int warnings;
};

struct pci_dev {
	struct device dev;
};

struct virtio_pci_modern_device {
	struct pci_dev *pci_dev;
	void *device;
	size_t device_len;
};

u32 vp_modern_generation(struct virtio_pci_modern_device *mdev);
u8 vp_modern_get_status(struct virtio_pci_modern_device *mdev);
u8 ioread8(const void *addr);
u16 ioread16(const void *addr);
u32 ioread32(const void *addr);
void iowrite8(u8 val, void *addr);

#define dev_warn_ratelimited(dev, ...)	((dev)->warnings++)

#endif
