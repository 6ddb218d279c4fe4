/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of broken rings share: queue 0 breaks, and what else has to be
 * seen then.
 */
#ifndef VHOST_BAD_H
#define VHOST_BAD_H

#include "vhost_test.h"

#define NUM	256

/* printk_ratelimited(): ten lines in five seconds, and a line on the rest. */
#define RATE_LINES	11
#define RATE_MS		5200

/* Queue 0 is about to break, queue 1 (if there is one) must not notice. */
static inline void begin(struct __test_metadata *_metadata, struct vv_dev *dev,
			 __u64 features)
{
	unsigned int n = vv_vqs_count(dev) > 1 ? 2 : 1;

	if (vv_get_status(dev) > 0) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, features, n, NUM));
	} else {
		ASSERT_EQ(0, vv_start(dev, features, n, NUM));
	}
	ASSERT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

/* A descriptor as it is, but available. */
static inline void show_packed(struct vv_queue *q, __u16 place)
{
	struct vring_packed_desc *desc = &q->packed_desc[place & ~VV_WRAP];
	__u16 flags = desc->flags & ~(vv_avail_flags(0) |
				      vv_avail_flags(VV_WRAP));

	__atomic_store_n(&desc->flags, flags | vv_avail_flags(place),
			 __ATOMIC_RELEASE);
}

static inline void is_broken(struct __test_metadata *_metadata,
			     struct vv_dev *dev, const char *what)
{
	struct vv_queue *q = &dev->vq[0];
	bool two = vv_vqs_count(dev) > 1;
	__u32 used;

	ASSERT_TRUE(vv_config_irq(dev, dev->timeout_ms))
		TH_LOG("%s: no config interrupt", what);
	EXPECT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev))
		TH_LOG("%s", what);
	/* Stopped: kicks and fresh requests change nothing. */
	used = vv_used_base(q);
	if (q->packed)
		show_packed(q, used & 0xffff);
	else
		q->avail->idx += 1;
	vv_kick_always(q);
	vv_sleep_ms(5);
	EXPECT_EQ(used, vv_used_base(q))
		TH_LOG("%s: the queue went on", what);
	EXPECT_EQ(0, two ? vv_good_client(&dev->vq[1], 2) : 0)
		TH_LOG("%s: another queue stopped", what);
	EXPECT_GE(RATE_LINES, vv_klog_count("broken ring", NULL));

	ASSERT_EQ(0, vv_reset(dev));
	EXPECT_EQ(0, vv_get_status(dev));
	ASSERT_EQ(0, vv_restart(dev, dev->features, two ? 2 : 1, NUM));
	ASSERT_EQ(0, vv_good_client(q, 3))
		TH_LOG("%s: not repaired by a reset", what);
}

#define BEGIN()		begin(_metadata, &self->dev, self->dev.offered)
#define IS_BROKEN(what)	is_broken(_metadata, &self->dev, what)

/* One queue, its rings at these addresses; everything but DRIVER_OK. */
static inline int prepare_at(struct vv_dev *dev, __u64 desc, __u64 avail,
			     __u64 used)
{
	struct vv_queue *q = &dev->vq[0];
	int ret;

	if (vv_get_status(dev))
		vv_reset(dev);
	else
		vv_set_owner(dev);
	ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret)
		ret = vv_set_features(dev, dev->offered);
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
	if (!ret)
		ret = vv_set_config_call(dev);
	if (!ret)
		ret = vv_queue_setup(q, NUM, vv_first_base(dev));
	if (!ret)
		ret = vv_set_addr_raw(q, desc, avail, used);
	if (!ret)
		ret = vv_set_enable(q, true);
	return ret;
}

/* Set DRIVER_OK, see it break, then map all of it and see it work. */
static inline void broken_at_start(struct __test_metadata *_metadata,
				   struct vv_dev *dev, const char *what)
{
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	ASSERT_TRUE(vv_config_irq(dev, dev->timeout_ms))
		TH_LOG("%s", what);
	EXPECT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev))
		TH_LOG("%s", what);
	vv_kick_always(&dev->vq[0]);
	ASSERT_EQ(0, vv_reset(dev));
	vv_unmap_all(dev);
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, NUM));
	ASSERT_EQ(0, vv_good_client(&dev->vq[0], 3))
		TH_LOG("%s", what);
	vv_unmap_all(dev);
}

#endif
