/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The configuration space as virtio 1.3, 5.2.4 has it, all of its 96 bytes: older
 * headers end before zones. Only what the driver calls by name has one.
 */
#ifndef STUB_LINUX_VIRTIO_BLK_H
#define STUB_LINUX_VIRTIO_BLK_H

#define virtio_blk_config	host_virtio_blk_config
#include_next <linux/virtio_blk.h>
#undef virtio_blk_config

#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED	17
#endif

struct virtio_blk_config {
	__virtio64 capacity;
	__u8 limits[24];
	__u8 wce;
	__u8 more_limits[27];
	__virtio32 max_secure_erase_sectors;
	__virtio32 max_secure_erase_seg;
	__virtio32 secure_erase_sector_alignment;
	__u8 zoned[24];
};

#endif
