// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients that come and go, politely or not: the next one finds a clean disk.
 *
 *   KILLS=N	how many are killed (default 20)
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define VV_VARIANTS
#include "memory_use.h"
#include "vhost_test.h"

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

/* Fill the ring and leave it there: whatever comes next meets it in flight. */
static int flood(struct vv_queue *q, char *buf)
{
	int ret;

	do {
		ret = vv_submit(q, q->nfree % 2 ? T_IN : T_OUT,
				8 * (q->nfree % 64), buf, 4 * VV_PAGE);
	} while (ret >= 0);
	vv_kick_always(q);
	return ret == -ENOSPC ? 0 : ret;
}

static int flood_all(struct vv_dev *dev, unsigned int queues)
{
	char *buf = vv_alloc(dev, 4 * VV_PAGE);
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < queues; i++)
		ret = flood(&dev->vq[i], buf);
	return ret;
}

static unsigned int some_queues(struct vv_dev *dev)
{
	int n = vv_vqs_count(dev);

	return n < 4 ? n : 4;
}

VV_TEST(second_open_is_busy)
{
	int fd = open(self->disk.node, O_RDWR);

	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EBUSY, errno);
	vv_close(&self->dev);
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	START();
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

VV_TEST(data_survives_the_client)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, VV_PAGE, 7);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 100, buf, VV_PAGE));
	vv_close(&self->dev);
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 100, buf, VV_PAGE));
	EXPECT_EQ(-1, vv_differs(buf, VV_PAGE, 7));
}

VV_TEST(reset_forgets_everything_but_the_maps)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	START();
	ASSERT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, vv_reset(&self->dev));
	EXPECT_EQ(0, vv_get_status(&self->dev));
	EXPECT_BASE(0, q);
	/* No address, not enabled: DRIVER_OK starts nothing. */
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	EXPECT_EQ(-ETIMEDOUT, vv_wait_ms(q, 50));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	STILL_SERVES();
}

VV_TEST(reset_under_load)
{
	unsigned int n = some_queues(&self->dev);
	unsigned int seed = vv_seed();
	unsigned int i;
	int round;
	__u32 used;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, n, 256));
	for (round = 0; round < 30; round++) {
		ASSERT_EQ(0, flood_all(&self->dev, n));
		vv_sleep_ms(rand_r(&seed) % 3);
		ASSERT_EQ(0, vv_reset(&self->dev));
		used = vv_used_base(&self->dev.vq[0]);
		vv_sleep_ms(2);
		EXPECT_EQ(used, vv_used_base(&self->dev.vq[0]));
		self->dev.brk -= 4 * VV_PAGE;
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, n,
					256));
		for (i = 0; i < n; i++)
			ASSERT_EQ(0, vv_good_client(&self->dev.vq[i], round));
	}
}

VV_TEST(close_under_load)
{
	unsigned int n = some_queues(&self->dev);
	unsigned int seed = vv_seed();
	int round;

	for (round = 0; round < 10; round++) {
		ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, n, 256));
		ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], round));
		ASSERT_EQ(0, flood_all(&self->dev, n));
		vv_sleep_ms(rand_r(&seed) % 3);
		vv_close(&self->dev);
		ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	}
	START();
	ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

static void __noreturn load_for_ever(const char *node)
{
	unsigned int i, n;
	struct vv_dev dev;
	char *buf;

	if (vv_open(&dev, node))
		_exit(1);
	n = some_queues(&dev);
	if (vv_start(&dev, dev.offered, n, 256))
		_exit(1);
	buf = vv_alloc(&dev, 4 * VV_PAGE);
	for (i = 0; ; i = (i + 1) % n) {
		flood(&dev.vq[i], buf);
		while (vv_get(&dev.vq[i], NULL) >= 0)
			;
	}
}

/* A client that is killed at any moment, its set-up included. */
TEST_F_TIMEOUT(disk, killed_client_leaves_a_device_that_works_at_once, 7200)
{
	const char *kills = getenv("KILLS");
	int round, status, rounds = kills ? atoi(kills) : 20;
	unsigned int seed = vv_seed();
	struct memory_use before;
	pid_t pid;

	vv_close(&self->dev);
	memory_measure(&before);
	for (round = 0; round < rounds; round++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			load_for_ever(self->disk.node);
		vv_sleep_ms(rand_r(&seed) % 60);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		/* It was still at it, and did not fail before. */
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
		START();
		ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], round));
		vv_close(&self->dev);
	}
	EXPECT_FALSE(memory_grew(&before, rounds));
}

/* The memory's owner dies, but somebody else still holds the file. */
VV_TEST(owner_exits_while_another_process_holds_the_fd)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vv_dev *dev = &self->dev;
		int ret = vv_start(dev, dev->offered, 1, 256);

		if (!ret)
			ret = vv_good_client(&dev->vq[0], 1);
		if (!ret)
			ret = flood_all(dev, 1);
		_exit(ret ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	/* Not the owner: rings and maps are out of reach, status is not. */
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_GT(0, vv_map_all(&self->dev));
	ASSERT_EQ(0, vv_reset(&self->dev));
	vv_close(&self->dev);
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	START();
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 2));
}

/* What one client mapped is not there for the next. */
VV_TEST(maps_are_gone_after_close)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;

	START();
	vv_close(dev);
	ASSERT_EQ(0, vv_open(dev, self->disk.node));
	buf = vv_alloc(dev, VV_PAGE);
	memset(buf, 0x55, VV_PAGE);
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, buf - dev->mem, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 0, buf, VV_PAGE));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 0, buf, VV_PAGE));
	EXPECT_EQ(0x55, buf[0]);
}

VV_TEST(opened_and_closed_a_hundred_times)
{
	int i;

	for (i = 0; i < 100; i++) {
		vv_close(&self->dev);
		ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
		EXPECT_EQ(0, vv_get_status(&self->dev));
	}
	START();
	EXPECT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
}

TEST_HARNESS_MAIN
