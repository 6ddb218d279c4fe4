// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients set a device up in different orders. Each test is one of them, as
 * the program of that name does it, or one step that comes early, late or
 * not at all.
 */
#include <sys/eventfd.h>

#include "vhost_test.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

#define S_FEATURES	(VV_S_ACK | VV_S_DRIVER | VV_S_FEATURES_OK)

#define BACKEND_QEMU	(VV_BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | \
			 VV_BIT(VHOST_BACKEND_F_IOTLB_BATCH) | \
			 VV_BIT(VHOST_BACKEND_F_IOTLB_ASID) | \
			 VV_BIT(VHOST_BACKEND_F_SUSPEND))

/* Like a guest's memory: several ranges, read-only ones between them. */
static int map_in_batch(struct vv_dev *dev)
{
	size_t low = vv_mem_size / 4 * 3, hole = 16 * VV_PAGE;
	int ret;

	ret = vv_iotlb(dev, VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL, 0);
	if (!ret)
		ret = vv_map(dev, dev->mem, low, VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_map(dev, dev->mem + low, hole, VHOST_ACCESS_RO);
	if (!ret)
		ret = vv_map(dev, dev->mem + low + hole,
			     vv_mem_size - low - hole, VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_iotlb(dev, VHOST_IOTLB_BATCH_END, 0, 0, NULL, 0);
	return ret;
}

static int check_all(struct vv_dev *dev, unsigned int queues)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < queues; i++)
		ret = vv_good_client(&dev->vq[i], i);
	return ret;
}

/* num, base, address, kick, call, as one queue of most clients */
static int setup_queues(struct vv_dev *dev, unsigned int queues, __u16 num)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < queues; i++)
		ret = vv_queue_setup(&dev->vq[i], num, 0);
	return ret;
}

static int enable_queues(struct vv_dev *dev, unsigned int first,
			 unsigned int end)
{
	struct vv_queue q = { .dev = dev };
	int ret = 0;

	for (q.index = first; !ret && q.index < end; q.index++)
		ret = vv_set_enable(&q, true);
	return ret;
}

/* From the guest's DRIVER_OK on, in the order of QEMU 10.0. */
static int qemu_10_0_start(struct vv_dev *dev, unsigned int queues)
{
	int masked = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	unsigned int i;
	__u64 backend;
	int ret;

	/* It forces ACCESS_PLATFORM on, and may ask for VHOST_F_LOG_ALL. */
	ret = vv_set_features(dev, dev->offered | VV_BIT(VHOST_F_LOG_ALL));
	if (!ret)
		ret = vv_set_status(dev, S_FEATURES);
	if (!ret && vv_get_status(dev) != S_FEATURES)
		ret = -EIO;
	if (!ret)
		ret = vv_get_backend(dev, &backend);
	if (!ret)
		ret = vv_set_backend(dev, backend & BACKEND_QEMU);
	for (i = 0; !ret && i < queues; i++) {
		ret = vv_queue_setup(&dev->vq[i], 1024, 0);
		if (!ret)
			ret = vv_set_call(&dev->vq[i], masked);
	}
	/* every queue there is, also those the guest never set up */
	if (!ret)
		ret = enable_queues(dev, 0, vv_vqs_count(dev));
	if (!ret)
		ret = map_in_batch(dev);
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE);
	if (!ret)
		ret = vv_set_config_call(dev);
	return ret;
}

static int qemu_realize(struct vv_dev *dev)
{
	char config[60];
	int ret;

	ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret && vv_get_status(dev) != (VV_S_ACK | VV_S_DRIVER))
		ret = -EIO;
	if (!ret)
		ret = vv_set_owner(dev);
	if (!ret)
		ret = vv_get_config(dev, 0, config, sizeof(config));
	return ret;
}

VV_TEST(qemu_10_0_maps_last)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i, n = vv_vqs_count(&self->dev) > 1 ? 2 : 1;

	ASSERT_EQ(0, qemu_realize(&self->dev));
	ASSERT_EQ(0, qemu_10_0_start(&self->dev, n));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, vv_set_call(&self->dev.vq[i],
					 self->dev.vq[i].call_fd));
	EXPECT_EQ(0, check_all(&self->dev, n));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_BASE(vv_used_idx(q), q);
}

/* Done before the guest's eventfd was in place: the guest must hear of it. */
VV_TEST(call_fd_replaced_after_driver_ok_is_signalled)
{
	struct vv_queue *q = &self->dev.vq[0];
	long long end = vv_now_ms() + self->dev.timeout_ms;
	char *buf = vv_alloc(&self->dev, VV_PAGE);
	int head;

	ASSERT_EQ(0, qemu_realize(&self->dev));
	ASSERT_EQ(0, qemu_10_0_start(&self->dev, 1));
	head = vv_submit(q, T_IN, 0, buf, 512);
	ASSERT_LE(0, head);
	vv_kick(q);
	while (!vv_used_idx(q) && vv_now_ms() < end)
		;
	ASSERT_EQ(1, vv_used_idx(q));
	vv_take_irqs(q);
	ASSERT_EQ(0, vv_set_call(q, q->call_fd));
	vv_sleep_ms(100);
	EXPECT_LE(1, vv_take_irqs(q));
	EXPECT_EQ(head, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(qemu_10_1_maps_first)
{
	__u64 backend;
	int n = vv_vqs_count(&self->dev) > 1 ? 2 : 1;

	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_owner(&self->dev));
	ASSERT_EQ(0, vv_get_backend(&self->dev, &backend));
	ASSERT_EQ(0, vv_set_backend(&self->dev, backend & BACKEND_QEMU));
	ASSERT_EQ(0, map_in_batch(&self->dev));
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered));
	ASSERT_EQ(0, vv_set_status(&self->dev, S_FEATURES));
	ASSERT_EQ(0, setup_queues(&self->dev, n, 1024));
	ASSERT_EQ(0, enable_queues(&self->dev, 0, vv_vqs_count(&self->dev)));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	ASSERT_EQ(0, vv_set_config_call(&self->dev));
	EXPECT_EQ(0, check_all(&self->dev, n));
}

/* libblkio: no back-end features, rings at IOVA 0, data mapped during I/O. */
VV_TEST(libblkio_maps_data_while_running)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u64 features = F(SEG_MAX) | F(RO) | F(BLK_SIZE) | F(FLUSH) |
			 F(TOPOLOGY) | F(MQ) | F(DISCARD) | F(WRITE_ZEROES) |
			 F(CONFIG_WCE) | VV_F_BASE | VV_F_EVENT_IDX;
	unsigned int i;
	size_t rings;
	char *buf;

	dev->iova = 0;
	for (i = 0; i < VV_MAX_QUEUES; i++) {
		dev->vq[i].desc_iova -= VV_IOVA;
		dev->vq[i].avail_iova -= VV_IOVA;
		dev->vq[i].used_iova -= VV_IOVA;
	}
	rings = dev->brk;
	dev->msg_version = 1;
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_set_backend(dev, 0));
	ASSERT_EQ(0, vv_set_status(dev, 0));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered & features));
	ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
	ASSERT_EQ(0, vv_map(dev, dev->mem, rings, VHOST_ACCESS_RW));
	ASSERT_EQ(0, q->desc_iova);
	ASSERT_EQ(0, setup_queues(dev, 1, 256));
	ASSERT_EQ(0, enable_queues(dev, 0, 1));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));

	for (i = 0; i < 8; i++) {
		buf = vv_alloc(dev, 4 * VV_PAGE);
		/* Not mapped yet: an error, and nothing else. */
		EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 0, buf, VV_PAGE));
		ASSERT_EQ(0, vv_map(dev, buf, 4 * VV_PAGE, VHOST_ACCESS_RW));
		vv_fill(buf, VV_PAGE, i);
		EXPECT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, VV_PAGE));
		EXPECT_EQ(S_OK, vv_blk(q, T_IN, 0, buf + VV_PAGE, VV_PAGE));
		EXPECT_EQ(-1, vv_differs(buf + VV_PAGE, VV_PAGE, i));
		if (i % 2) {
			ASSERT_EQ(0, vv_unmap(dev, buf, 4 * VV_PAGE));
			EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 0, buf, VV_PAGE));
		}
	}
}

/* cloud-hypervisor: everything at status 0, then all bits at once. */
static int cloud_hypervisor_start(struct vv_dev *dev, unsigned int queues)
{
	unsigned int i;
	__u64 backend;
	int ret;

	ret = vv_set_features(dev, dev->offered);
	if (!ret)
		ret = vv_get_backend(dev, &backend);
	if (!ret)
		ret = vv_set_backend(dev, backend);
	for (i = 0; !ret && i < queues; i++) {
		struct vv_queue *q = &dev->vq[i];

		vv_ring_init(q, 256, 0);
		q->event_idx = dev->features & VV_F_EVENT_IDX;
		ret = vv_set_num(q, 256);
		if (!ret)
			ret = vv_set_addr(q);
		if (!ret)
			ret = vv_set_base(q, 0);
		if (!ret)
			ret = vv_set_call(q, q->call_fd);
		if (!ret)
			ret = vv_set_kick(q, q->kick_fd);
	}
	if (!ret)
		ret = vv_set_config_call(dev);
	if (!ret)
		ret = enable_queues(dev, 0, queues);
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE);
	return ret;
}

VV_TEST(cloud_hypervisor_sets_up_at_status_0)
{
	int n = vv_vqs_count(&self->dev) > 1 ? 2 : 1;
	int i;

	ASSERT_EQ(0, vv_set_owner(&self->dev));
	ASSERT_EQ(0, vv_map_all(&self->dev));
	ASSERT_EQ(0, cloud_hypervisor_start(&self->dev, n));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_EQ(0, check_all(&self->dev, n));

	/* Its reset: queues off, status 0; the maps are not sent again. */
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, vv_set_enable(&self->dev.vq[i], false));
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, cloud_hypervisor_start(&self->dev, n));
	EXPECT_EQ(0, check_all(&self->dev, n));
}

VV_TEST(back_end_features_are_offered)
{
	__u64 want = BACKEND_QEMU | VV_BIT(VHOST_BACKEND_F_RESUME) |
		     VV_BIT(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK) |
		     VV_BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	__u64 backend = 0;

	ASSERT_EQ(0, vv_get_backend(&self->dev, &backend));
	EXPECT_EQ(want, backend & want);
}

/* SeaBIOS: two of the big rings' quarter, and hardly a feature. */
VV_TEST(seabios_negotiates_next_to_nothing)
{
	ASSERT_EQ(0, vv_start(&self->dev, VV_F_BASE | F(BLK_SIZE), 1, 256));
	EXPECT_EQ(0, check_all(&self->dev, 1));
}

/* Up to the last step before DRIVER_OK. */
static int almost_start(struct vv_dev *dev)
{
	int ret = vv_start(dev, dev->offered, 1, 256);

	if (!ret)
		ret = vv_reset(dev);
	if (!ret)
		ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret)
		ret = vv_set_features(dev, dev->offered);
	if (!ret)
		ret = vv_set_status(dev, S_FEATURES);
	if (!ret)
		ret = vv_queue_setup(&dev->vq[0], 256, 0);
	return ret;
}

/* The answer of one request that was published before. */
static int reap_one(struct vv_queue *q)
{
	int ret = vv_wait(q);

	if (!ret)
		ret = vv_get(q, NULL);
	return ret < 0 ? ret : q->slot[ret].status;
}

VV_TEST(kick_before_driver_ok_is_harmless_and_not_lost)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	ASSERT_EQ(0, almost_start(&self->dev));
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, true));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	vv_kick_always(q);
	vv_sleep_ms(50);
	EXPECT_EQ(0, vv_used_idx(q));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	EXPECT_EQ(S_OK, reap_one(q));
}

VV_TEST(requests_waiting_at_driver_ok_need_no_kick)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	ASSERT_EQ(0, almost_start(&self->dev));
	ASSERT_EQ(0, vv_set_enable(q, true));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_LE(0, vv_submit(q, T_IN, 8, buf, 512));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	EXPECT_EQ(S_OK, reap_one(q));
	EXPECT_EQ(S_OK, reap_one(q));
	EXPECT_EQ(0, q->kicks);
}

VV_TEST(queue_enabled_after_driver_ok_is_scanned)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	ASSERT_EQ(0, almost_start(&self->dev));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	vv_kick_always(q);
	vv_sleep_ms(50);
	EXPECT_EQ(0, vv_used_idx(q));
	ASSERT_EQ(0, vv_set_enable(q, true));
	EXPECT_EQ(S_OK, reap_one(q));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(queue_disabled_while_running_stops_and_goes_on)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);
	__u16 used;

	START();
	ASSERT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, vv_set_enable(q, false));
	used = vv_used_idx(q);
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	vv_kick_always(q);
	vv_sleep_ms(50);
	EXPECT_EQ(used, vv_used_idx(q));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_set_enable(q, true));
	EXPECT_EQ(S_OK, reap_one(q));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

VV_TEST(enabling_twice_is_enabling_once)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i;

	START();
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, vv_set_enable(q, true));
		ASSERT_EQ(0, vv_good_client(q, i));
	}
	EXPECT_EQ(40, vv_used_idx(q));
}

VV_TEST(kick_eventfd_signalled_before_it_was_given)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	vv_kick_always(q);
	ASSERT_EQ(0, almost_start(&self->dev));
	ASSERT_EQ(0, vv_set_enable(q, true));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	EXPECT_EQ(S_OK, reap_one(q));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* Guests may fill the queues a long time before anybody looks at the maps. */
VV_TEST(nothing_is_translated_before_driver_ok)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered));
	ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
	ASSERT_EQ(0, vv_queue_setup(q, 256, 0));
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	vv_sleep_ms(50);
	EXPECT_EQ(S_FEATURES, vv_get_status(dev));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(maps_need_no_more_permission_than_is_used)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf = vv_alloc(dev, VV_PAGE);
	char *slots;

	ASSERT_EQ(0, vv_set_owner(dev));
	/* Avail ring and descriptors are never written by a device. */
	ASSERT_EQ(0, vv_map(dev, q->desc, (char *)q->used - (char *)q->desc,
			    VHOST_ACCESS_RO));
	ASSERT_EQ(0, vv_map(dev, q->used, 3 * VV_PAGE, VHOST_ACCESS_WO));
	slots = (char *)q->used + 3 * VV_PAGE;
	ASSERT_EQ(0, vv_map(dev, slots, buf - slots, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_map(dev, buf, VV_PAGE, VHOST_ACCESS_RO));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	vv_fill(buf, VV_PAGE, 6);
	EXPECT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, VV_PAGE));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 8, buf, VV_PAGE));
	EXPECT_EQ(-1, vv_differs(buf, VV_PAGE, 6));
}

TEST_HARNESS_MAIN
