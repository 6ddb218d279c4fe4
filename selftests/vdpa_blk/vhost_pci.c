// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a vDPA device on a virtio PCI function owes its client, and what it cannot
 * do. VDPA_BLK_MGMTDEV says which function; pci_vhost.sh sets it, and
 *
 *	VDPA_BLK_DOORBELL	"page" when each queue has a page of its own for
 *				its doorbell, else "none"
 *	VDPA_BLK_RESIZE		command that makes the function's disk another size
 *	VDPA_BLK_LOSE		command that makes the function vanish
 *	VDPA_BLK_DEAF		command that puts its registers out of reach
 *	VDPA_BLK_HEARS		command that ends that
 *	VDPA_BLK_RESET		command that resets the PCI function
 *
 * What is not set is taken as it is found, or skipped.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#define VV_VARIANTS
#include "vhost_test.h"

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

#ifndef VHOST_VDPA_GET_VRING_SIZE
#define VHOST_VDPA_GET_VRING_SIZE _IOWR(VHOST_VIRTIO, 0x82, \
					struct vhost_vring_state)
#endif

#define S_FEATURES	(VV_S_ACK | VV_S_DRIVER | VV_S_FEATURES_OK)

/* Bits of the transport, which is not the client's, and what QEMU logs with. */
#define F_MASKED	(VV_BIT(26) | 0x1fULL << 37)

#define WCE_AT		offsetof(struct virtio_blk_config, wce)

static bool env_is(const char *name, const char *value)
{
	const char *env = getenv(name);

	return env && !strcmp(env, value);
}

/* As the kernel log has it. */
static const char *function_name(void)
{
	const char *slash = strchr(vv_mgmtdev(), '/');

	return slash ? slash + 1 : vv_mgmtdev();
}

/* Entries of the function's own rings. */
static int ring_size(struct vv_queue *q)
{
	struct vhost_vring_state s = { .index = q->index };
	int ret = vv_ioctl(q->dev, VHOST_VDPA_GET_VRING_SIZE, &s);

	return ret ? ret : (int)s.num;
}

static unsigned int all_queues(struct vv_dev *dev)
{
	int n = vv_vqs_count(dev);

	return n < VV_MAX_QUEUES ? n : VV_MAX_QUEUES;
}

static int good_clients(struct vv_dev *dev, unsigned int queues)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < queues; i++)
		ret = vv_good_client(&dev->vq[i], i);
	return ret;
}

static int wait_for_status(struct vv_dev *dev, int bits)
{
	long long end = vv_now_ms() + dev->timeout_ms;
	int status;

	do {
		status = vv_get_status(dev);
		if (status < 0 || (status & bits) == bits)
			break;
		vv_sleep_ms(1);
	} while (vv_now_ms() < end);
	return status;
}

VV_TEST(every_queue_works)
{
	unsigned int n = all_queues(&self->dev);

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, n, 256));
	EXPECT_EQ(0, good_clients(&self->dev, n));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

VV_TEST(sizes_are_the_functions_and_the_limit_is_1024)
{
	unsigned int i, n = all_queues(&self->dev);
	int size;

	ASSERT_EQ(0, vv_set_owner(&self->dev));
	EXPECT_EQ(1024, vv_vring_max(&self->dev));
	for (i = 0; i < n; i++) {
		size = ring_size(&self->dev.vq[i]);
		EXPECT_LT(0, size);
		EXPECT_GE(1024, size);
	}
}

/* ---- queue state ---- */

VV_TEST(where_a_queue_is_cannot_be_told)
{
	struct vv_queue *q = &self->dev.vq[0];

	START();
	EXPECT_EQ(0, vv_good_client(q, 1));
	EXPECT_EQ(-EOPNOTSUPP, vv_get_base(q));
	EXPECT_EQ(1, vv_klog_count(function_name(), "where in its ring"));
}

/* At any status in which vhost passes it on; before the features, it is split. */
VV_TEST(only_the_first_base_can_be_set)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u32 first;

	ASSERT_EQ(0, vv_set_owner(dev));
	EXPECT_EQ(0, vv_set_base(q, 0));
	EXPECT_EQ(-EOPNOTSUPP, vv_set_base(q, 1));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	EXPECT_EQ(0, vv_set_base(q, 0));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered));
	ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
	first = vv_first_base(dev);
	EXPECT_EQ(0, vv_set_base(q, first));
	EXPECT_EQ(-EOPNOTSUPP, vv_set_base(q, first + 1));
	EXPECT_EQ(-EOPNOTSUPP, vv_set_base(q, first ^ VV_WRAP));
	EXPECT_LT(0, vv_klog_count(function_name(), "starts with the first"));
	EXPECT_EQ(0, vv_set_base(q, first));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_queue_setup(q, 256, first));
	ASSERT_EQ(0, vv_set_enable(q, true));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(suspend_is_not_offered)
{
	__u64 backend = 0;

	ASSERT_EQ(0, vv_get_backend(&self->dev, &backend));
	EXPECT_EQ(0, backend & (VV_BIT(VHOST_BACKEND_F_SUSPEND) |
				VV_BIT(VHOST_BACKEND_F_RESUME)));
	START();
	EXPECT_EQ(-EOPNOTSUPP, vv_suspend(&self->dev));
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

/* ---- features ---- */

VV_TEST(features_of_the_transport_are_not_offered)
{
	EXPECT_EQ(0, self->dev.offered & F_MASKED);
	EXPECT_EQ(VV_F_BASE, self->dev.offered & VV_F_BASE);
}

/* For one more request; nobody finds it in the ring by luck. */
static bool interrupts(struct vv_queue *q, char *buf)
{
	long long end = vv_now_ms() + q->dev->timeout_ms;

	/* Those of the requests before are through then. */
	vv_sleep_ms(20);
	vv_take_irqs(q);
	vv_want_irq(q, 0);
	if (vv_submit(q, T_IN, 0, buf, VV_SECTOR) < 0)
		return false;
	vv_kick_always(q);
	while (!vv_take_irqs(q)) {
		if (vv_now_ms() > end)
			return false;
		vv_sleep_ms(1);
	}
	return vv_get(q, NULL) >= 0;
}

/*
 * With a ring of the other kind no request would ever end, with events where
 * there are flags no interrupt come after the first: not when bit 24, an old one
 * that has QEMU interrupt whenever a ring is empty, is written as well.
 */
VV_TEST(masked_features_stay_masked_whatever_is_written)
{
	struct vv_dev *dev = &self->dev;
	__u64 few = VV_F_BASE | (dev->offered & F(FLUSH)) | variant->features;
	unsigned int i;
	char *buf;

	NEED(VV_F_EVENT_IDX);
	if (!vv_can_choose_features())
		SKIP(return, "the vdpa tool knows no device_features");
	ASSERT_EQ(0, vv_again(&self->disk, dev, few));
	EXPECT_EQ(few, dev->offered);
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map_all(dev));
	buf = vv_alloc(dev, VV_PAGE);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
		ASSERT_EQ(0, vv_set_features(dev, ~VV_BIT(24)));
		dev->features = few;
		ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
		ASSERT_EQ(S_FEATURES, vv_get_status(dev));
		ASSERT_EQ(0, vv_queue_setup(&dev->vq[0], 256,
					    vv_first_base(dev)));
		ASSERT_EQ(0, vv_set_enable(&dev->vq[0], true));
		ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
		EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
		EXPECT_EQ(0, vv_good_client(&dev->vq[0], i));
		EXPECT_TRUE(interrupts(&dev->vq[0], buf));
	}
}

/* ---- rings ---- */

VV_TEST(a_ring_larger_than_the_functions_does_not_start)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char num[8], wrong[8];
	int size;

	ASSERT_EQ(0, vv_set_owner(dev));
	size = ring_size(q);
	ASSERT_LT(0, size);
	if (size >= VV_MAX_NUM)
		SKIP(return, "the function has rings of %d", size);
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(-EPROTO, vv_restart(dev, dev->offered, 1, 2 * size));
	EXPECT_EQ(VV_S_NEEDS_RESET, vv_get_status(dev) & VV_S_NEEDS_RESET);
	/* The numbers tell what to do about it. */
	snprintf(num, sizeof(num), "%d", size);
	snprintf(wrong, sizeof(wrong), "%d", 2 * size);
	EXPECT_EQ(1, vv_klog_count(num, wrong));
	ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
	vv_kick_always(q);
	EXPECT_EQ(-ETIMEDOUT, vv_wait_ms(q, 100));

	ASSERT_EQ(0, vv_reset(dev));
	EXPECT_EQ(0, vv_get_status(dev));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, size));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(a_smaller_ring_is_fine)
{
	struct vv_dev *dev = &self->dev;
	int num, size;

	ASSERT_EQ(0, vv_start(dev, dev->offered, 1, 16));
	size = ring_size(&dev->vq[0]);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
	for (num = 32; num <= size; num *= 2) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, num));
		EXPECT_EQ(0, vv_good_client(&dev->vq[0], num));
	}
}

/*
 * Its requests are gone and nobody touches it. A function stops as a whole, so
 * the device has to be reset, and says so.
 */
static void one_queue_stops(struct __test_metadata *_metadata,
			    struct vv_dev *dev, unsigned int n, bool load)
{
	struct vv_queue *q = &dev->vq[n - 1];
	char *buf = vv_alloc(dev, VV_PAGE);
	__u32 used;
	int status;

	while (load && vv_submit(q, T_IN, 0, buf, VV_PAGE) >= 0)
		;
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, false));
	used = vv_used_base(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_base(q));
	/* One more, if there is room. */
	vv_submit(q, T_IN, 0, buf, VV_PAGE);
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_base(q));

	status = vv_get_status(dev);
	ASSERT_EQ(VV_S_NEEDS_RESET, status & VV_S_NEEDS_RESET);
	EXPECT_TRUE(vv_config_irq(dev, dev->timeout_ms));
	ASSERT_EQ(0, vv_set_enable(q, true));
	/* vhost passes on no status that lacks a bit. */
	ASSERT_EQ(0, vv_set_status(dev, status));
	EXPECT_NE(0, vv_get_status(dev) & VV_S_NEEDS_RESET);
	ASSERT_EQ(0, vv_reset(dev));
	EXPECT_EQ(0, vv_get_status(dev));
	ASSERT_EQ(0, vv_restart(dev, dev->features, n, 256));
	dev->brk -= VV_PAGE;
	EXPECT_EQ(0, good_clients(dev, n));
}

VV_TEST(a_running_queue_can_be_stopped)
{
	unsigned int i, n = all_queues(&self->dev);

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, n, 256));
	ASSERT_EQ(0, good_clients(&self->dev, n));
	for (i = 0; i < 4; i++)
		one_queue_stops(_metadata, &self->dev, n, i % 2);
}

VV_TEST(a_queue_that_was_never_set_up_can_be_enabled_and_disabled)
{
	struct vv_dev *dev = &self->dev;
	unsigned int n = all_queues(dev);
	struct vv_queue *last = &dev->vq[n - 1];

	if (n < 2)
		SKIP(return, "the function has one queue");
	ASSERT_EQ(0, vv_start(dev, dev->offered, n - 1, 256));
	ASSERT_EQ(0, vv_set_enable(last, true));
	vv_kick_always(last);
	ASSERT_EQ(0, vv_set_enable(last, false));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(0, good_clients(dev, n - 1));
}

/* ---- doorbells ---- */

/* A page may be read by nobody: what there is are registers. */
static void *doorbell(struct vv_dev *dev, unsigned int index)
{
	void *page = mmap(NULL, VV_PAGE, PROT_WRITE, MAP_SHARED, dev->fd,
			  index * VV_PAGE);

	return page == MAP_FAILED ? NULL : page;
}

VV_TEST(doorbell_of_each_queue_can_be_mapped)
{
	unsigned int i, n = all_queues(&self->dev);
	volatile __u16 *bell[VV_MAX_QUEUES];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	for (i = 0; i < n; i++)
		bell[i] = doorbell(&self->dev, i);
	if (env_is("VDPA_BLK_DOORBELL", "none")) {
		EXPECT_EQ(NULL, bell[0]);
		return;
	}
	if (!env_is("VDPA_BLK_DOORBELL", "page") && !bell[0])
		SKIP(return, "doorbells share a page");
	for (i = 0; i < n; i++)
		ASSERT_NE(NULL, bell[i])
			TH_LOG("queue %u", i);
	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, n, 256));
	for (i = 0; i < n; i++) {
		struct vv_queue *q = &self->dev.vq[i];

		/* The kick that each queue gets at DRIVER_OK is over then. */
		ASSERT_EQ(0, vv_good_client(q, i));
		vv_sleep_ms(20);
		ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
		*bell[i] = i;
		EXPECT_EQ(0, vv_wait(q));
		EXPECT_LE(0, vv_get(q, NULL));
		EXPECT_EQ(0, vv_good_client(q, i));
	}
	EXPECT_EQ(NULL, doorbell(&self->dev, vv_vqs_count(&self->dev)));
	/* A mapping keeps the node open. */
	for (i = 0; i < n; i++)
		munmap((void *)bell[i], VV_PAGE);
}

/* ---- configuration ---- */

VV_TEST(config_can_be_written_at_any_place)
{
	struct vv_dev *dev = &self->dev;
	char all[60], back[60];
	__u8 wce;
	int i;

	NEED(F(CONFIG_WCE));
	START();
	ASSERT_EQ(0, vv_get_config(dev, 0, all, sizeof(all)));
	for (i = 0; i < 4; i++) {
		wce = i % 2;
		if (i < 2) {
			ASSERT_EQ(0, vv_set_config(dev, WCE_AT, &wce, 1));
		} else {
			all[WCE_AT] = wce;
			ASSERT_EQ(0, vv_set_config(dev, 0, all, sizeof(all)));
		}
		all[WCE_AT] = wce;
		ASSERT_EQ(0, vv_get_config(dev, 0, back, sizeof(back)));
		EXPECT_EQ(0, memcmp(all, back, sizeof(all)))
			TH_LOG("write %d", i);
	}
	EXPECT_EQ(1, back[WCE_AT]);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(parts_of_the_config_are_those_of_the_whole)
{
	char all[60], part[60];
	unsigned int off, len;

	ASSERT_EQ(0, vv_get_config(&self->dev, 0, all, sizeof(all)));
	for (off = 0; off < sizeof(all); off += 3) {
		for (len = 1; len <= sizeof(all) - off; len += 7) {
			ASSERT_EQ(0, vv_get_config(&self->dev, off, part, len));
			EXPECT_EQ(0, memcmp(all + off, part, len))
				TH_LOG("%u bytes at %u", len, off);
		}
	}
	EXPECT_GT(0, vv_get_config(&self->dev, 1000, part, 8));
	EXPECT_GT(0, vv_set_config(&self->dev, 1000, part, 8));
}

VV_TEST(a_new_size_is_an_interrupt)
{
	struct vv_dev *dev = &self->dev;
	__u64 before = vv_capacity(dev);

	if (!getenv("VDPA_BLK_RESIZE"))
		SKIP(return, "VDPA_BLK_RESIZE is not set");
	START();
	ASSERT_EQ(0, vv_good_client(&dev->vq[0], 1));
	ASSERT_FALSE(vv_config_irq(dev, 0));
	ASSERT_EQ(0, vv_run("%s", getenv("VDPA_BLK_RESIZE")));
	EXPECT_TRUE(vv_config_irq(dev, dev->timeout_ms));
	EXPECT_NE(before, vv_capacity(dev));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

/* ---- DMA ---- */

/* Neither before nor after: the IOMMU knows the client's pages only. */
VV_TEST(what_is_not_mapped_is_not_touched)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf = vv_alloc(dev, VV_PAGE);

	START();
	ASSERT_EQ(0, vv_good_client(q, 1));
	memset(buf, 0x55, VV_PAGE);
	ASSERT_EQ(0, vv_unmap_all(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, buf - dev->mem, VHOST_ACCESS_RW));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, VV_PAGE));
	vv_kick(q);
	vv_wait_ms(q, 500);
	EXPECT_EQ(0x55, buf[0]);
	EXPECT_EQ(0x55, buf[VV_PAGE - 1]);
	/* However the function takes it: a reset makes it a good one again. */
	ASSERT_EQ(0, vv_map(dev, buf, dev->mem + vv_mem_size - buf,
			    VHOST_ACCESS_RW));
	STILL_SERVES();
}

/* ---- no answer ---- */

/* All that is read is ones, and these are not taken for a yes. */
VV_TEST(what_is_not_answered_is_not_accepted)
{
	struct vv_dev *dev = &self->dev;
	const char *deaf = getenv("VDPA_BLK_DEAF");
	const char *hears = getenv("VDPA_BLK_HEARS");

	if (!deaf || !hears)
		SKIP(return, "VDPA_BLK_DEAF and VDPA_BLK_HEARS are not set");
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered));
	ASSERT_EQ(0, vv_run("%s", deaf));
	vv_set_status(dev, S_FEATURES);
	EXPECT_EQ(VV_S_ACK | VV_S_DRIVER, vv_get_status(dev));
	EXPECT_EQ(0, vv_capacity(dev));
	ASSERT_EQ(0, vv_run("%s", hears));

	ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
	ASSERT_EQ(S_FEATURES, vv_get_status(dev));
	ASSERT_EQ(0, vv_queue_setup(&dev->vq[0], 256, vv_first_base(dev)));
	ASSERT_EQ(0, vv_set_enable(&dev->vq[0], true));
	ASSERT_EQ(0, vv_run("%s", deaf));
	vv_set_status(dev, VV_S_LIVE);
	EXPECT_EQ(VV_S_NEEDS_RESET, vv_get_status(dev) & VV_S_NEEDS_RESET);
	/* The first thing that it is asked to take. */
	EXPECT_EQ(1, vv_klog_count(function_name(),
				   "does not take an MSI-X vector for the conf"));
	ASSERT_EQ(0, vv_run("%s", hears));
	STILL_SERVES();
}

/* ---- reset by somebody else ---- */

/* Nobody watches a device that does not run yet: the reset itself tells. */
VV_TEST(reset_by_somebody_else_while_it_is_set_up)
{
	struct vv_dev *dev = &self->dev;
	const char *reset = getenv("VDPA_BLK_RESET");
	struct vv_queue *q = &dev->vq[0];
	int status = S_FEATURES | VV_S_NEEDS_RESET;

	if (!reset || !reset[0])
		SKIP(return, "VDPA_BLK_RESET is not set");
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered));
	ASSERT_EQ(0, vv_set_status(dev, S_FEATURES));
	ASSERT_EQ(0, vv_queue_setup(q, 256, vv_first_base(dev)));
	ASSERT_EQ(0, vv_set_enable(q, true));
	ASSERT_EQ(0, vv_run("%s", reset));
	ASSERT_EQ(status, vv_get_status(dev));
	/* What it was told is lost, so that it must not start. */
	ASSERT_EQ(0, vv_set_status(dev, status | VV_S_DRIVER_OK));
	EXPECT_EQ(status, vv_get_status(dev));
	STILL_SERVES();
}

/* ---- surprise removal ---- */

VV_TEST(lost_while_running)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;

	if (!getenv("VDPA_BLK_LOSE"))
		SKIP(return, "VDPA_BLK_LOSE is not set");
	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, vv_good_client(q, 1));
	while (vv_submit(q, T_IN, 0, buf, VV_PAGE) >= 0)
		;
	vv_kick(q);
	ASSERT_EQ(0, vv_run("%s", getenv("VDPA_BLK_LOSE")));
	EXPECT_TRUE(vv_config_irq(dev, dev->timeout_ms));
	EXPECT_NE(0, wait_for_status(dev, VV_S_NEEDS_RESET) &
		     VV_S_NEEDS_RESET);
	/* None of it may hang, and there is nothing that could be started. */
	vv_kick_always(q);
	EXPECT_EQ(0, vv_capacity(dev));
	vv_set_enable(q, false);
	vv_reset(dev);
	EXPECT_NE(0, vv_restart(dev, dev->offered, 1, 256));
	vv_unmap_all(dev);
}

TEST_HARNESS_MAIN
