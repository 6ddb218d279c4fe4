/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The configuration space of a virtio-blk function. Free of locks and of the rest
 * of the driver, and built on the host, too.
 */
#ifndef VBP_CONFIG_H
#define VBP_CONFIG_H

#include <linux/virtio_blk.h>
#include <linux/virtio_pci_modern.h>

/**
 * vbp_config_read - read the configuration
 * @mdev: registers of the function
 * @features: what the function offers
 * @config: filled with one consistent state, 0 when the function is gone
 *
 * Takes no lock: reading changes no state of the function.
 */
void vbp_config_read(struct virtio_pci_modern_device *mdev, u64 features,
		     struct virtio_blk_config *config);

/**
 * vbp_config_write_wce - choose between writeback and writethrough
 * @mdev: registers of the function
 * @wce: 0 or 1
 */
void vbp_config_write_wce(struct virtio_pci_modern_device *mdev, u8 wce);

#endif /* VBP_CONFIG_H */
