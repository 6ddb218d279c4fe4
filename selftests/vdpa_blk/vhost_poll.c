// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll_us: a client that goes on at once need not kick, and one that does not
 * finds a device that sleeps.
 */
#include <sys/stat.h>

#include "vhost_test.h"

#define DESCS		"/sys/kernel/config/vdpa_blk_sim"
#define MAX_POLL_US	10000
#define ROUNDS		200
#define PAUSES		30

static int set_poll_us(const struct vv_disk *disk, unsigned int us)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), DESCS "/%s/poll_us", disk->name);
	snprintf(text, sizeof(text), "%u", us);
	return vv_write(path, text);
}

/* Its disk again, with a description, by which it can be told. */
static int describe_disk(struct vv_disk *disk, struct vv_dev *dev)
{
	struct vv_disk named = {};
	char path[128];
	int ret;

	snprintf(named.name, sizeof(named.name), "poll%d", getpid());
	vv_close(dev);
	vv_disk_del(disk);
	snprintf(path, sizeof(path), DESCS "/%s", named.name);
	if (mkdir(path, 0755))
		return -errno;
	*disk = named;
	ret = vv_disk_add(disk, 0);
	return ret ? ret : vv_open(dev, disk->node);
}

#define A_DISK(us) \
	do { \
		ASSERT_EQ(0, describe_disk(&self->disk, &self->dev)); \
		ASSERT_EQ(0, set_poll_us(&self->disk, us)); \
		START(); \
	} while (0)

/*
 * Kicks that this many requests needed, with a pause before each; -1 when one
 * failed.
 */
static long kicks_of(struct vv_queue *q, char *buf, unsigned int nr,
		     unsigned int pause_ms)
{
	unsigned long before = q->kicks;

	q->spin_us = 1000000;
	while (nr--) {
		if (pause_ms)
			vv_sleep_ms(pause_ms);
		if (vv_blk(q, T_IN, nr % 64, buf, 512) != S_OK)
			return -1;
	}
	return q->kicks - before;
}

/*
 * Do so many requests, with a pause before each, need from @min to @max kicks? A
 * machine that is busy with others may need a few tries.
 */
static bool kicks_within(struct vv_queue *q, char *buf, unsigned int nr,
			 unsigned int pause_ms, long min, long max)
{
	unsigned int tries;
	long n;

	for (tries = 0; tries < 10; tries++) {
		n = kicks_of(q, buf, nr, pause_ms);
		printf("# %ld kicks for %u requests, %u ms between them\n", n,
		       nr, pause_ms);
		if (n < 0)
			return false;
		if (n >= min && n <= max)
			return true;
	}
	return false;
}

/* Do most requests of a client that goes on at once get by without a kick? */
static bool few_kicks(struct vv_queue *q, char *buf)
{
	return kicks_within(q, buf, ROUNDS, 0, 0, ROUNDS / 2);
}

/*
 * And do nearly all of one that makes pauses need one? A device that was kept
 * from a CPU all through a pause was awake when it ended.
 */
static bool many_kicks(struct vv_queue *q, char *buf)
{
	return kicks_within(q, buf, PAUSES, 20, PAUSES - 3, PAUSES);
}

VV_TEST(a_client_that_goes_on_need_not_kick)
{
	struct vv_queue *q = &self->dev.vq[0];

	A_DISK(MAX_POLL_US);
	EXPECT_TRUE(few_kicks(q, vv_alloc(&self->dev, 512)));
}

VV_TEST(without_it_a_pause_costs_a_kick)
{
	struct vv_queue *q = &self->dev.vq[0];

	A_DISK(0);
	EXPECT_TRUE(many_kicks(q, vv_alloc(&self->dev, 512)));
}

VV_TEST(a_pause_longer_than_poll_us_costs_a_kick)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	A_DISK(100);
	buf = vv_alloc(&self->dev, 512);
	ASSERT_LE(0, kicks_of(q, buf, 100, 0));
	EXPECT_TRUE(many_kicks(q, buf));
}

VV_TEST(it_can_be_switched_while_the_disk_works)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	A_DISK(0);
	buf = vv_alloc(&self->dev, 512);
	ASSERT_LE(0, kicks_of(q, buf, 100, 0));
	ASSERT_EQ(0, set_poll_us(&self->disk, MAX_POLL_US));
	EXPECT_TRUE(few_kicks(q, buf));

	ASSERT_EQ(0, set_poll_us(&self->disk, 0));
	/* The first one still finds it as it was. */
	ASSERT_LE(0, kicks_of(q, buf, 1, 20));
	EXPECT_TRUE(many_kicks(q, buf));
}

/* A worker that polls lets go of its queue for whoever wants it. */
VV_TEST(suspend_and_reset_end_it)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int i;
	char *buf;

	A_DISK(MAX_POLL_US);
	buf = vv_alloc(&self->dev, 512);
	for (i = 0; i < 20; i++) {
		ASSERT_LE(0, kicks_of(q, buf, 20, 0));
		ASSERT_EQ(0, vv_suspend(&self->dev));
		ASSERT_EQ(q->next_avail, vv_get_base(q));
		ASSERT_EQ(0, vv_resume(&self->dev));
	}
	STILL_SERVES();
}

TEST_HARNESS_MAIN
