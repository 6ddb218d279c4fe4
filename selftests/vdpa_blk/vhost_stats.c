// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of a virtqueue: each request of a client counts where it should. */

#include "vhost_test.h"

const char *vv_module_params = "num_queues=2";

static long long vq_stat(const struct vv_disk *disk, unsigned int vq,
			 const char *name)
{
	long long n = -1;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s/vq%u/%s",
		 disk->name, vq, name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

/* Column n, from 1 on, of the disk's stat. */
static long long disk_stat(const struct vv_disk *disk, unsigned int n)
{
	unsigned long long value[18] = {};
	unsigned int i;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s/stat",
		 disk->name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	for (i = 0; i < 18 && fscanf(f, "%llu", &value[i]) == 1; i++)
		;
	fclose(f);
	return i == 17 ? (long long)value[n - 1] : -1;
}

#define STAT(name)	vq_stat(&self->disk, 0, name)

VV_TEST(a_new_disk_has_counted_nothing)
{
	static const char * const names[] = {
		"read_requests", "write_requests", "discard_requests",
		"flush_requests", "read_bytes", "write_bytes", "discard_bytes",
		"errors", "kicks", "interrupts", "batches", "bounced_bytes",
		"broken",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		EXPECT_EQ(0, STAT(names[i]))
			TH_LOG("%s", names[i]);
	for (i = 1; i <= 17; i++)
		EXPECT_EQ(0, disk_stat(&self->disk, i))
			TH_LOG("column %u", i);
}

VV_TEST(each_request_counts_in_its_group)
{
	struct virtio_blk_discard_write_zeroes r[2] = {
		{ .sector = 8, .num_sectors = 16 },
		{ .sector = 64, .num_sectors = 8 },
	};
	struct vv_queue *q = &self->dev.vq[0];
	char *buf, *ranges;

	START();
	buf = vv_alloc(&self->dev, 65536);
	ranges = vv_alloc(&self->dev, sizeof(r));
	memcpy(ranges, r, sizeof(r));

	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 65536));
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 200, buf, 512));
	EXPECT_EQ(2, STAT("write_requests"));
	EXPECT_EQ(66048, STAT("write_bytes"));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 4096));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 8, buf, 4096));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 16, buf, 8192));
	EXPECT_EQ(3, STAT("read_requests"));
	EXPECT_EQ(16384, STAT("read_bytes"));
	ASSERT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));
	EXPECT_EQ(1, STAT("flush_requests"));

	if (self->dev.offered & F(DISCARD)) {
		ASSERT_EQ(S_OK, vv_blk(q, T_DISCARD, 0, ranges, sizeof(r)));
		EXPECT_EQ(1, STAT("discard_requests"));
		EXPECT_EQ(24 * 512, STAT("discard_bytes"));
		EXPECT_EQ(1, disk_stat(&self->disk, 12));
		EXPECT_EQ(24, disk_stat(&self->disk, 14));
	}
	ASSERT_EQ(S_OK, vv_blk(q, T_ZEROES, 0, ranges, sizeof(r)));
	EXPECT_EQ(3, STAT("write_requests"));
	EXPECT_EQ(66048 + 24 * 512, STAT("write_bytes"));
	ASSERT_EQ(S_OK, vv_blk(q, T_GET_ID, 0, buf, 20));
	EXPECT_EQ(4, STAT("read_requests"));
	EXPECT_EQ(16384, STAT("read_bytes"));
	EXPECT_EQ(0, STAT("errors"));

	EXPECT_EQ(4, disk_stat(&self->disk, 1));
	EXPECT_EQ(32, disk_stat(&self->disk, 3));
	EXPECT_EQ(3, disk_stat(&self->disk, 5));
	EXPECT_EQ(129 + 24, disk_stat(&self->disk, 7));
	EXPECT_EQ(0, disk_stat(&self->disk, 9));
	EXPECT_EQ(1, disk_stat(&self->disk, 16));
}

VV_TEST(requests_that_fail_count_without_bytes)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	START();
	buf = vv_alloc(&self->dev, 4096);
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, vv_capacity(&self->dev), buf, 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, vv_capacity(&self->dev), buf, 512));
	EXPECT_EQ(S_UNSUPP, vv_blk(q, 99, 0, buf, 512));
	EXPECT_EQ(3, STAT("errors"));
	EXPECT_EQ(2, STAT("read_requests"));
	EXPECT_EQ(1, STAT("write_requests"));
	EXPECT_EQ(0, STAT("read_bytes"));
	EXPECT_EQ(0, STAT("write_bytes"));
}

/* One at a time: nothing is given back together with something else. */
VV_TEST(kicks_batches_and_interrupts)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned long kicks, irqs;
	char *buf;
	int i;

	START();
	buf = vv_alloc(&self->dev, 4096);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 4096));
	kicks = q->kicks;
	irqs = STAT("interrupts");
	EXPECT_EQ(kicks, STAT("kicks"));
	EXPECT_EQ(10, STAT("batches"));
	/* A driver that looks by itself may not have asked for each. */
	EXPECT_LT(0, irqs);
	EXPECT_GE(10, irqs);

	/* All at once: all that was in the ring may be one batch. */
	for (i = 0; i < 10; i++)
		ASSERT_LE(0, vv_submit(q, T_IN, 8 * i, buf, 4096));
	vv_kick_always(q);
	for (i = 0; i < 10; i++)
		while (vv_get(q, NULL) < 0)
			ASSERT_NE(-ETIMEDOUT, vv_wait(q));
	EXPECT_EQ(20, STAT("read_requests"));
	EXPECT_LE(11, STAT("batches"));
	EXPECT_GE(20, STAT("batches"));
	EXPECT_EQ(kicks + 1, STAT("kicks"));
}

VV_TEST(a_broken_ring_counts_and_a_reset_forgets_nothing)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	int i;

	if (vv_vqs_count(&self->dev) < 2)
		SKIP(return, "the module was loaded with one queue");
	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 2, 256));
	buf = vv_alloc(&self->dev, 4096);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 4096));
	for (i = 1; i <= 2; i++) {
		ASSERT_EQ(0, vv_set_config_call(&self->dev));
		/* More entries than there are. */
		q->avail->idx += 300;
		vv_kick_always(q);
		ASSERT_TRUE(vv_config_irq(&self->dev, self->dev.timeout_ms));
		EXPECT_EQ(i, STAT("broken"));
		EXPECT_EQ(0, vq_stat(&self->disk, 1, "broken"));
		ASSERT_EQ(S_OK, vv_blk(&self->dev.vq[1], T_IN, 0, buf, 4096));
		ASSERT_EQ(0, vv_reset(&self->dev));
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 2, 256));
	}
	EXPECT_EQ(1, STAT("write_requests"));
	EXPECT_EQ(4096, STAT("write_bytes"));
	EXPECT_EQ(2, vq_stat(&self->disk, 1, "read_requests"));
	EXPECT_EQ(2, disk_stat(&self->disk, 1));
}

TEST_HARNESS_MAIN
