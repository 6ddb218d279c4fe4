// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration of the function, read with the width that each field has
 * (virtio 1.3, 4.1.3.1).
 */
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/virtio_byteorder.h>

#include "config.h"

/* A generation that never rests is no reason to hang. */
#define MAX_TRIES	100

/*
 * Where in struct virtio_blk_config fields of 16 bits and of 8 bits are, by
 * their dword; all else is dwords.
 */
static const u8 field_widths[sizeof(struct virtio_blk_config) / 4][4] = {
	[4]  = { 2, 1, 1 },		/* cylinders, heads, sectors */
	[6]  = { 1, 1, 2 },		/* exponent, alignment, min_io_size */
	[8]  = { 1, 1, 2 },		/* wce, -, num_queues */
	[14] = { 1, 1, 1, 1 },		/* write_zeroes_may_unmap, - */
	[23] = { 1, 1, 1, 1 },		/* model, - */
};

static void read_field(u8 *to, const u8 __iomem *from, unsigned int width)
{
	switch (width) {
	case 1:
		*to = ioread8(from);
		break;
	case 2:
		*(__le16 *)to = cpu_to_le16(ioread16(from));
		break;
	default:
		*(__le32 *)to = cpu_to_le32(ioread32(from));
	}
}

static void read_all(struct virtio_pci_modern_device *mdev,
		     struct virtio_blk_config *config)
{
	size_t size = min(mdev->device_len, sizeof(*config));
	const u8 __iomem *from = mdev->device;
	u8 *to = (u8 *)config;
	size_t i, j, at;

	for (i = 0; i < ARRAY_SIZE(field_widths); i++) {
		at = i * 4;
		for (j = 0; j < 4 && at < (i + 1) * 4; j++) {
			unsigned int width = field_widths[i][j] ?: 4;

			if (at + width <= size)
				read_field(to + at, from + at, width);
			at += width;
		}
	}
}

/*
 * A function may have more registers than fields that it fills: QEMU reads as
 * all ones there.
 */
static void blank(u64 features, struct virtio_blk_config *config)
{
	if (!(features & BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE))) {
		config->max_secure_erase_sectors = 0;
		config->max_secure_erase_seg = 0;
		config->secure_erase_sector_alignment = 0;
	}
	if (!(features & BIT_ULL(VIRTIO_BLK_F_ZONED)))
		memset(&config->zoned, 0, sizeof(config->zoned));
	/* Linux' virtio_blk ends the world for any other value. */
	config->wce = !!config->wce;
}

void vbp_config_read(struct virtio_pci_modern_device *mdev, u64 features,
		     struct virtio_blk_config *config)
{
	unsigned int tries = 0;
	u32 generation;

	memset(config, 0, sizeof(*config));
	do {
		if (tries++ == MAX_TRIES) {
			dev_warn_ratelimited(&mdev->pci_dev->dev,
					     "the configuration changed in %u reads one after the other\n",
					     MAX_TRIES);
			break;
		}
		generation = vp_modern_generation(mdev);
		read_all(mdev, config);
	} while (generation != vp_modern_generation(mdev));
	/* All ones would be a disk without an end. */
	if (vp_modern_get_status(mdev) == U8_MAX)
		memset(config, 0, sizeof(*config));
	blank(features, config);
}

void vbp_config_write_wce(struct virtio_pci_modern_device *mdev, u8 wce)
{
	size_t at = offsetof(struct virtio_blk_config, wce);

	if (at < mdev->device_len)
		iowrite8(wce, mdev->device + at);
}
