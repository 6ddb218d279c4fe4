// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients that are wrong, careless or hostile, but whose rings, requests and
 * memory are fine: junk in the config space, steps at the wrong time.
 */
#include <sys/wait.h>

#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

#define WCE	offsetof(struct virtio_blk_config, wce)

VV_TEST(call_fd_flaps_during_completions)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, q);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, vv_set_call(q, i % 2 ? -1 : self->dev.config_fd));
		/* The reader may have missed one: a new fd is signalled. */
		ASSERT_EQ(0, vv_set_call(q, q->call_fd));
		if (i % 8 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(queue_enabled_and_disabled_under_load)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, q);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, vv_set_enable(q, false));
		ASSERT_EQ(0, vv_set_enable(q, true));
		if (i % 8 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, r.ioerr);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

VV_TEST(ring_size_changed_while_running)
{
	static const unsigned int nums[] = { 1, 1024, 3, 0, 512, 256 };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	START();
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		vv_set_num(q, nums[i]);
		ASSERT_EQ(0, vv_good_client(q, i));
	}
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

VV_TEST(kick_storms_at_any_time)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i;

	START();
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, vv_set_kick(q, q->kick_fd));
	ASSERT_EQ(0, vv_set_enable(q, true));
	for (i = 0; i < 500; i++)
		vv_kick_always(q);
	ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1, 256));
	for (i = 0; i < 500; i++)
		vv_kick_always(q);
	ASSERT_EQ(0, vv_good_client(q, 1));
	EXPECT_EQ(0, vv_nr_used(q));
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
	for (i = 0; i < 500; i++)
		vv_kick_always(q);
	vv_sleep_ms(5);
	EXPECT_EQ(0, vv_nr_used(q));
	EXPECT_EQ(0, vv_get_status(&self->dev));
}

VV_TEST(kick_fd_flaps)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i;

	START();
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, vv_set_kick(q, -1));
		ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
		vv_kick_always(q);
		/* A pending kick counts when it is given. */
		ASSERT_EQ(0, vv_set_kick(q, q->kick_fd));
		ASSERT_EQ(0, vv_wait(q));
		ASSERT_LE(0, vv_get(q, NULL));
	}
	/* no eventfd, no file */
	EXPECT_EQ(-EINVAL, vv_set_kick(q, self->dev.fd));
	EXPECT_EQ(-EBADF, vv_set_kick(q, 9999));
	EXPECT_EQ(-EINVAL, vv_set_call(q, self->dev.fd));
	EXPECT_EQ(-EBADF, vv_set_call(q, 9999));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(address_and_base_set_while_running)
{
	struct vv_queue *q = &self->dev.vq[0];

	START();
	EXPECT_GT(0, vv_set_addr_raw(q, 0, 0, 0));
	EXPECT_GT(0, vv_set_addr(q));
	EXPECT_GT(0, vv_set_base(q, 7));
	EXPECT_EQ(0, vv_good_client(q, 1));
	/* Nor while the queue alone is off. */
	ASSERT_EQ(0, vv_set_enable(q, false));
	EXPECT_GT(0, vv_set_addr_raw(q, 0, 0, 0));
	EXPECT_GT(0, vv_set_base(q, 7));
	ASSERT_EQ(0, vv_set_enable(q, true));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

VV_TEST(queues_that_do_not_exist)
{
	static const unsigned int numbers[] = { 0, 1, 255, 65535, ~0U };
	struct vv_queue q = { .dev = &self->dev };
	size_t i;

	START();
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		q.index = vv_vqs_count(&self->dev) + numbers[i];
		if (numbers[i] == ~0U)
			q.index = ~0U;
		EXPECT_EQ(-ENOBUFS, vv_set_num(&q, 256));
		EXPECT_EQ(-ENOBUFS, vv_set_enable(&q, true));
		EXPECT_EQ(-ENOBUFS, vv_get_base(&q));
		EXPECT_EQ(-ENOBUFS, vv_set_addr_raw(&q, 0, 0, 0));
		EXPECT_EQ(-ENOBUFS, vv_set_call(&q, self->dev.config_fd));
		EXPECT_EQ(-ENOBUFS, vv_set_kick(&q, self->dev.config_fd));
	}
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

/* Interrupts may get lost for that, requests not. */
VV_TEST(suppression_flips_and_events_are_garbage)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int seed = vv_seed();
	long long end;
	int i;

	START();
	for (i = 0; i < 300; i++) {
		if (q->packed) {
			q->driver->off_wrap = rand_r(&seed);
			q->driver->flags = rand_r(&seed) & 7;
		} else {
			q->avail->flags = rand_r(&seed);
			*vv_used_event(q) = rand_r(&seed);
		}
		ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
		vv_kick_always(q);
		end = vv_now_ms() + self->dev.timeout_ms;
		while (!vv_nr_used(q))
			ASSERT_GT(end, vv_now_ms());
		ASSERT_LE(0, vv_get(q, NULL));
	}
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* One step of a client that does not know what it wants. */
static int random_step(struct vv_dev *dev, unsigned int what, unsigned int *seed)
{
	struct vv_queue *q = &dev->vq[0];
	__u8 wce = rand_r(seed);

	switch (what) {
	case 0:
		return vv_suspend(dev);
	case 1:
		return vv_resume(dev);
	case 2:
		return vv_set_enable(q, false);
	case 3:
		return vv_set_enable(q, true);
	case 4:
		return vv_set_call(q, rand_r(seed) % 2 ? -1 : q->call_fd);
	case 5:
		return vv_set_kick(q, rand_r(seed) % 2 ? -1 : q->kick_fd);
	case 6:
		/*
		 * It counts when the queue starts, and may be too small for what
		 * is in the ring; that may be seen before a reset or after.
		 */
		vv_may_warn++;
		return vv_set_num(q, 1 << rand_r(seed) % 11);
	case 7:
		return vv_set_config(dev, WCE, &wce, 1);
	case 8:
		return vv_set_status(dev, VV_S_LIVE);
	case 9:
		vv_get_base(q);
		return 0;
	default:
		return vv_reset(dev) ?: vv_restart(dev, dev->offered, 1, 256);
	}
}

VV_TEST(random_steps_under_load)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	unsigned int seed = vv_seed(), what;
	char *buf;
	int i;

	START();
	buf = vv_alloc(dev, 4 * VV_PAGE);
	for (i = 0; i < 500; i++) {
		while (vv_get(q, NULL) >= 0)
			;
		while (vv_submit(q, i % 2 ? T_IN : T_OUT, 8 * (i % 64), buf,
				 4 * VV_PAGE) >= 0)
			;
		vv_kick_always(q);
		what = rand_r(&seed) % 12;
		ASSERT_EQ(0, random_step(dev, what, &seed))
			TH_LOG("step %d: %u", i, what);
		if (vv_get_status(dev) != VV_S_LIVE) {
			ASSERT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET,
				  vv_get_status(dev));
			ASSERT_EQ(0, vv_reset(dev));
			ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
		}
	}
}

static pid_t in_child(struct vv_dev *dev, int (*fn)(struct vv_dev *dev,
						    const char *name),
		      const char *name)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fn(dev, name) ? 1 : 0);
	return pid;
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && !status;
}

/* All it takes is the file: libvirt hands it on. */
static int reset_often(struct vv_dev *dev, const char *name)
{
	int i, ret = 0;

	for (i = 0; i < 50 && !ret; i++) {
		vv_sleep_ms(1);
		ret = i % 2 ? vv_reset(dev) : vv_suspend(dev);
	}
	return ret;
}

VV_TEST(reset_by_a_process_that_only_has_the_fd)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	int i, served = 0;
	pid_t pid;
	char *buf;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	/* FEATURES_OK is refused when the features have just been forgotten. */
	vv_may_warn += 200;
	pid = in_child(dev, reset_often, NULL);
	ASSERT_LT(0, pid);
	for (i = 0; i < 100; i++) {
		/* Any step may find a device that is not as it was. */
		if (vv_reset(dev) || vv_restart(dev, dev->offered, 1, 256))
			continue;
		if (vv_submit(q, T_IN, 0, buf, VV_PAGE) < 0)
			continue;
		vv_kick_always(q);
		served += !vv_wait_ms(q, 2);
	}
	ASSERT_TRUE(ended_well(pid));
	TH_LOG("%d of 100 rounds were left alone", served);
}

static int ask_for_config(struct vv_dev *dev, const char *name)
{
	int i, ret;

	ret = setgid(65534) || setuid(65534);
	for (i = 0; i < 4 && !ret; i++)
		ret = vv_run("vdpa dev config show %s", name);
	return ret;
}

/* Nobody needs a privilege for that. */
VV_TEST(config_asked_for_by_others_meanwhile)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	int i, status, left = 3;
	pid_t pid[3];
	__u8 wce;

	START();
	for (i = 0; i < 3; i++) {
		pid[i] = in_child(dev, ask_for_config, self->disk.name);
		ASSERT_LT(0, pid[i]);
	}
	for (i = 0; left; i++) {
		wce = i;
		ASSERT_EQ(0, vv_set_config(dev, WCE, &wce, 1));
		ASSERT_EQ(0, vv_good_client(q, i));
		if (waitpid(-1, &status, WNOHANG) > 0) {
			EXPECT_EQ(0, status);
			left--;
		}
	}
	TH_LOG("%d rounds", i);
}

VV_TEST(config_write_changes_wce_and_nothing_else)
{
	char before[96], junk[96], after[96];
	struct vv_dev *dev = &self->dev;
	static const __u8 values[] = { 0, 255, 0, 2, 1, 0x80 };
	size_t i;

	NEED(F(CONFIG_WCE));
	START();
	ASSERT_EQ(0, vv_get_config(dev, 0, before, sizeof(before)));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		memset(junk, 0xa5 + i, sizeof(junk));
		junk[WCE] = values[i];
		ASSERT_EQ(0, vv_set_config(dev, 0, junk, sizeof(junk)));
		ASSERT_EQ(0, vv_get_config(dev, 0, after, sizeof(after)));
		EXPECT_EQ(!!values[i], after[WCE]);
		after[WCE] = before[WCE];
		EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
		/* and one byte of it, as Linux does */
		ASSERT_EQ(0, vv_set_config(dev, WCE, &values[i], 1));
		ASSERT_EQ(0, vv_get_config(dev, WCE, after, 1));
		EXPECT_EQ(!!values[i], after[0]);
	}
	/* beside it, up to it, behind it */
	ASSERT_EQ(0, vv_set_config(dev, 0, junk, WCE));
	ASSERT_EQ(0, vv_set_config(dev, WCE + 1, junk, 96 - WCE - 1));
	ASSERT_EQ(0, vv_get_config(dev, 0, after, sizeof(after)));
	EXPECT_EQ(1, after[WCE]);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(wce_is_fixed_unless_negotiated)
{
	__u8 zero = 0, wce = 0xee;
	char junk[96] = {};

	ASSERT_EQ(0, vv_start(&self->dev,
			      self->dev.offered & ~F(CONFIG_WCE), 1, 256));
	ASSERT_EQ(0, vv_set_config(&self->dev, WCE, &zero, 1));
	ASSERT_EQ(0, vv_set_config(&self->dev, 0, junk, sizeof(junk)));
	ASSERT_EQ(0, vv_get_config(&self->dev, WCE, &wce, 1));
	EXPECT_EQ(1, wce);
}

VV_TEST(config_access_outside_is_refused)
{
	char buf[200] = {};

	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 97, buf, 1));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 0, buf, 97));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 96, buf, 1));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 0xffffffff, buf, 1));
	EXPECT_EQ(-EINVAL, vv_set_config(&self->dev, 90, buf, 7));
	EXPECT_EQ(-EINVAL, vv_set_config(&self->dev, 0xfffffff0, buf, 32));
	EXPECT_EQ(0, vv_get_config(&self->dev, 95, buf, 1));
}

VV_TEST(features_ok_needs_version_1_and_access_platform)
{
	static const __u64 lacking[] = {
		0, VV_BIT(VIRTIO_F_VERSION_1), VV_BIT(VIRTIO_F_ACCESS_PLATFORM),
		~VV_F_BASE, ~VV_BIT(VIRTIO_F_VERSION_1),
	};
	struct vv_dev *dev = &self->dev;
	int status;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lacking); i++) {
		/* FEATURES_OK is asked for twice. */
		vv_may_warn += 2;
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
		vv_set_features(dev, lacking[i]);
		vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
		EXPECT_EQ(VV_S_ACK | VV_S_DRIVER, vv_get_status(dev))
			TH_LOG("features 0x%llx",
			       (unsigned long long)lacking[i]);
		vv_set_status(dev, VV_S_LIVE);
		status = vv_get_status(dev);
		EXPECT_EQ(0, status & (VV_S_FEATURES_OK | VV_S_DRIVER_OK));
	}
	ASSERT_EQ(0, vv_reset(dev));
	START();
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(unknown_features_are_masked)
{
	struct vv_queue *q = &self->dev.vq[0];
	char id[20];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	/* with the ring as the device understands the offered bits */
	ASSERT_EQ(0, vv_start(&self->dev, ~0ULL, 1, 256));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_EQ(0, vv_good_client(q, 1));
	memset(id, 0, sizeof(id));
	EXPECT_EQ(S_OK, vv_blk(q, T_GET_ID, 0, buf, 20));
	/* One that is known, but not offered: not even the ranges are missed. */
	if (!(self->dev.offered & F(SECURE_ERASE)))
		EXPECT_EQ(S_UNSUPP, vv_blk(q, VIRTIO_BLK_T_SECURE_ERASE, 0,
					   NULL, 0));
	/* Bound to the handshake: too late now. */
	EXPECT_EQ(-EBUSY, vv_set_features(&self->dev, VV_F_BASE));
}

VV_TEST(status_jumps_are_survived)
{
	static const __u8 jumps[] = {
		0xff, VV_S_DRIVER_OK, 0x80, VV_S_NEEDS_RESET, 0x30, 0x7f,
		VV_S_FEATURES_OK, VV_S_FEATURES_OK | VV_S_DRIVER_OK,
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t i;

	START();
	/* FEATURES_OK is refused without the features that are needed. */
	vv_may_warn += 2 * ARRAY_SIZE(jumps);
	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		ASSERT_EQ(0, vv_reset(dev));
		vv_set_status(dev, jumps[i]);
		vv_kick_always(q);
		ASSERT_EQ(0, vv_reset(dev));
		EXPECT_EQ(0, vv_get_status(dev));
		ASSERT_EQ(0, vv_queue_setup(q, 256, 0));
		ASSERT_EQ(0, vv_set_enable(q, true));
		vv_set_status(dev, jumps[i]);
		vv_kick_always(q);
		STILL_SERVES();
		/* Bits do not go away one by one. */
		EXPECT_EQ(-EINVAL, vv_set_status(dev, VV_S_ACK));
		EXPECT_EQ(0, vv_good_client(q, i));
	}
}

VV_TEST(driver_ok_without_any_queue)
{
	START();
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 0, 0));
	vv_kick_always(&self->dev.vq[0]);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

TEST_HARNESS_MAIN
