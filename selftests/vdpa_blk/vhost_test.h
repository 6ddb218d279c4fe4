/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every vhost_*.c test starts and ends with: a disk of its own, an open
 * node, and a look at the kernel log afterwards.
 */
#ifndef VHOST_TEST_H
#define VHOST_TEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "vhost_vdpa.h"

/* Sanitizer kernels are slow; a hang is found by the client long before. */
#define VV_TEST_TIMEOUT	300
#define VV_TEST(name)	TEST_F_TIMEOUT(disk, name, VV_TEST_TIMEOUT)

#define F(name)		VV_BIT(VIRTIO_BLK_F_##name)

#define T_IN		VIRTIO_BLK_T_IN
#define T_OUT		VIRTIO_BLK_T_OUT
#define T_FLUSH		VIRTIO_BLK_T_FLUSH
#define T_GET_ID	VIRTIO_BLK_T_GET_ID
#define T_DISCARD	VIRTIO_BLK_T_DISCARD
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES

#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP

#define W		VRING_DESC_F_WRITE

static inline void vv_test_end(struct vv_disk *disk, struct vv_dev *dev)
{
	vv_close(dev);
	if (!vv_share_disk)
		vv_disk_del(disk);
}

FIXTURE(disk)
{
	struct vv_disk disk;
	struct vv_dev dev;
};

/*
 * A program that runs its tests more than once has VV_VARIANTS before it
 * includes this, and a VV_VARIANT() for each run: feature bits that it is about.
 * Of VV_F_KINDS the tests see no others.
 */
#ifdef VV_VARIANTS
FIXTURE_VARIANT(disk)
{
	__u64 features;
};

#define VV_VARIANT(name, bits) \
	FIXTURE_VARIANT_ADD(disk, name) { .features = (bits) }
#define VARIANT_FEATURES	(variant->features)
#else
#define VARIANT_FEATURES	0ULL
#endif

FIXTURE_SETUP(disk)
{
	const char *why = vv_unavailable();

	if (why)
		SKIP(return, "%s", why);
	vv_ring_kind = VARIANT_FEATURES & VV_F_KINDS;
	vv_klog_start();
	if (vv_share_disk)
		self->disk = vv_shared_disk;
	else
		ASSERT_EQ(0, vv_disk_add(&self->disk, 0));
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node))
		vv_test_end(&self->disk, &self->dev);
	if (VARIANT_FEATURES & ~self->dev.offered) {
		vv_test_end(&self->disk, &self->dev);
		SKIP(return, "the device does not offer 0x%llx",
		     (unsigned long long)VARIANT_FEATURES);
	}
}

/*
 * The same device, whatever was done to it. Mapped is no more than this needs, for
 * each page takes its time in a sanitizer kernel.
 */
static inline int vv_serves_after_reset(struct vv_disk *disk,
					struct vv_dev *dev)
{
	int ret = dev->mem ? 0 : vv_open(dev, disk->node);
	struct vv_queue *q = &dev->vq[0];
	char *data;

	if (!ret)
		ret = vv_reset(dev);
	if (!ret)
		ret = vv_set_owner(dev);
	if (ret && ret != -EBUSY)
		return ret;
	vv_unmap_all(dev);
	ret = vv_map(dev, q->desc, q->ring_size, VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_map(dev, q->slot, 2 * VV_PAGE, VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_restart(dev, dev->offered, 1, 256);
	if (ret)
		return ret;
	data = (char *)q->slot + VV_PAGE;
	if (dev->offered & F(RO))
		return vv_blk(q, T_IN, 0, data, VV_PAGE);
	dev->brk = data - dev->mem;
	return vv_good_client(q, 4711);
}

/* How many lines the module may have for what the test did: one each. */
static unsigned int vv_may_warn;

/*
 * What has to be seen after each test of the abuse list, besides the answers
 * that the test itself looks at. A disk that the test has deleted is spared.
 */
#define VV_ABUSE_END() \
	do { \
		EXPECT_EQ(0, vv_witness_serves()) \
			TH_LOG("the client of another disk suffers"); \
		if (self->disk.name[0]) \
			EXPECT_EQ(0, vv_serves_after_reset(&self->disk, \
							   &self->dev)) \
				TH_LOG("not repaired by a reset"); \
		EXPECT_GE(vv_may_warn, vv_klog_warnings()) \
			TH_LOG("more in the kernel log than a line each"); \
	} while (0)

FIXTURE_TEARDOWN(disk)
{
	if (vv_abuse)
		VV_ABUSE_END();
	vv_test_end(&self->disk, &self->dev);
	EXPECT_EQ(0, vv_klog_bad());
}

/* For tests of what a device may or may not offer. */
#define NEED(bits) \
	do { \
		if ((self->dev.offered & (bits)) != (bits)) \
			SKIP(return, "the device does not offer 0x%llx", \
			     (unsigned long long)(bits)); \
	} while (0)

/* The usual start: everything offered, one queue, a ring of 256. */
#define START() \
	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, 256))

/* The same device, not touched by what came before, serves a good client. */
#define STILL_SERVES() \
	do { \
		ASSERT_EQ(0, vv_reset(&self->dev)); \
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1, \
					256)); \
		ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], 4711)); \
	} while (0)

/*
 * Where a queue is, of a device that can tell. One that cannot be suspended need
 * not know.
 */
static inline bool vv_tells_base(struct vv_dev *dev)
{
	__u64 backend = 0;

	return !vv_get_backend(dev, &backend) &&
	       backend & VV_BIT(VHOST_BACKEND_F_SUSPEND);
}

#define EXPECT_BASE(base, q) \
	do { \
		if (vv_tells_base((q)->dev)) \
			EXPECT_EQ(base, vv_get_base(q)); \
	} while (0)

/* A disk made anew, e.g. with other features. */
static inline int vv_again(struct vv_disk *disk, struct vv_dev *dev,
			   __u64 features)
{
	int ret;

	vv_close(dev);
	vv_disk_del(disk);
	ret = vv_disk_add(disk, features);
	return ret ? ret : vv_open(dev, disk->node);
}

#endif
