// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspend, resume, and what QEMU does instead of resume: reset, and start
 * again where the device said it was. No request may get lost and none may be
 * done twice.
 *
 * Each write has a sector of its own for its number. Its buffer is spoilt as
 * soon as the device has answered, so that a second execution shows.
 */
#define VV_VARIANTS
#include "vhost_test.h"

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);
VV_VARIANT(packed_in_order, VV_F_PACKED | VV_F_IN_ORDER);

const char *vv_module_params = "num_queues=8";
bool vv_abuse = true;
size_t vv_mem_size = 5 << 18;

#define NUM	256
#define WRITES	4096

struct seq {
	struct vv_queue *q;
	char *buf;		/* a sector per descriptor */
	__u64 first;		/* sector */
	unsigned int sent;
	unsigned int done;
};

static void seq_init(struct seq *s, struct vv_queue *q)
{
	*s = (struct seq){ .q = q, .first = q->index * 2ULL * WRITES };
	s->buf = vv_alloc(q->dev, NUM * VV_SECTOR);
}

static int seq_send(struct seq *s, unsigned int n)
{
	int head = 0;

	for (; head >= 0 && n && s->sent < WRITES && s->q->nfree >= 3; n--) {
		char *buf = s->buf + s->q->free_head * VV_SECTOR;

		vv_fill(buf, VV_SECTOR, s->first + s->sent);
		head = vv_submit(s->q, T_OUT, s->first + s->sent, buf,
				 VV_SECTOR);
		s->sent++;
	}
	return head < 0 ? head : 0;
}

static int seq_reap(struct seq *s)
{
	int head;

	while ((head = vv_get(s->q, NULL)) >= 0) {
		if (s->q->slot[head].status)
			return -EIO;
		memset(s->buf + head * VV_SECTOR, 0xdb, VV_SECTOR);
		s->done++;
	}
	return head == -EAGAIN ? 0 : head;
}

static int seq_drain(struct seq *s)
{
	int ret = seq_reap(s);

	while (!ret && s->done < s->sent) {
		ret = vv_wait(s->q);
		if (!ret)
			ret = seq_reap(s);
	}
	return ret;
}

/* Every number in its sector, and nothing in the ones never sent. */
static int seq_check(struct seq *s)
{
	unsigned int i, n;

	for (i = 0; i < WRITES && i < s->sent + 64; i += 128) {
		if (vv_blk(s->q, T_IN, s->first + i, s->buf,
			   128 * VV_SECTOR))
			return -EIO;
		for (n = 0; n < 128; n++) {
			char *buf = s->buf + n * VV_SECTOR;

			if (i + n >= s->sent ? !vv_is_zero(buf, VV_SECTOR) :
			    vv_differs(buf, VV_SECTOR, s->first + i + n) >= 0) {
				printf("# sector of write %u of %u\n", i + n,
				       s->sent);
				return -EBADMSG;
			}
		}
	}
	return 0;
}

/* 0 when the ring stays as it is, however often it is kicked. */
static int stays_quiet(struct vv_queue *q, int ms)
{
	static char before[32 << 10];
	int i;

	if (q->ring_size > sizeof(before))
		return -E2BIG;
	memcpy(before, q->desc, q->ring_size);
	for (i = 0; i < ms; i += 5) {
		vv_kick_always(q);
		vv_sleep_ms(5);
		if (memcmp(before, q->desc, q->ring_size))
			return -EBUSY;
	}
	return 0;
}

/* As vv_restart(), but the ring is taken as it is, from @base. */
static int continue_at(struct vv_dev *dev, unsigned int queues,
		       const __u32 *base)
{
	unsigned int i;
	int ret;

	ret = vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	if (!ret)
		ret = vv_set_features(dev, dev->features);
	if (!ret)
		ret = vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
	for (i = 0; !ret && i < queues; i++) {
		struct vv_queue *q = &dev->vq[i];

		ret = vv_set_num(q, NUM);
		if (!ret)
			ret = vv_set_base(q, base[i]);
		if (!ret)
			ret = vv_set_addr(q);
		if (!ret)
			ret = vv_set_kick(q, q->kick_fd);
		if (!ret)
			ret = vv_set_call(q, q->call_fd);
		if (!ret)
			ret = vv_set_enable(q, true);
	}
	return ret ? ret : vv_set_status(dev, VV_S_LIVE);
}

VV_TEST(suspend_and_resume_under_load)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int seed = vv_seed();
	struct seq s;
	int round;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	seq_init(&s, q);
	for (round = 0; round < 60; round++) {
		ASSERT_EQ(0, seq_send(&s, rand_r(&seed) % 80));
		vv_kick(q);
		if (round % 3 == 1)
			vv_sleep_ms(rand_r(&seed) % 2);
		ASSERT_EQ(0, vv_suspend(&self->dev));
		EXPECT_EQ(vv_used_base(q), vv_get_base(q));
		/* What is published now has to wait. */
		ASSERT_EQ(0, seq_send(&s, 3));
		if (round % 10 == 0)
			EXPECT_EQ(0, stays_quiet(q, 50));
		EXPECT_EQ(vv_used_base(q), vv_get_base(q));
		ASSERT_EQ(0, vv_resume(&self->dev));
		ASSERT_EQ(0, round % 4 ? seq_reap(&s) : seq_drain(&s));
	}
	ASSERT_EQ(0, seq_drain(&s));
	EXPECT_EQ(s.sent, s.done);
	if (!q->packed)
		EXPECT_EQ((__u16)s.sent, vv_used_idx(q));
	EXPECT_EQ(0, seq_check(&s));
}

/* QEMU's stop and cont: the memory may even be mapped elsewhere in between. */
VV_TEST(suspend_reset_and_restart_from_the_base)
{
	struct vv_dev *dev = &self->dev;
	unsigned int queues = vv_vqs_count(dev) < 4 ? vv_vqs_count(dev) : 4;
	unsigned int seed = vv_seed();
	__u32 base[4];
	int round;
	struct seq s[4];
	unsigned int i;

	ASSERT_EQ(0, vv_start(dev, dev->offered, queues, NUM));
	for (i = 0; i < queues; i++)
		seq_init(&s[i], &dev->vq[i]);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < queues; i++) {
			ASSERT_EQ(0, seq_send(&s[i], rand_r(&seed) % 80));
			vv_kick(&dev->vq[i]);
		}
		ASSERT_EQ(0, vv_suspend(dev));
		for (i = 0; i < queues; i++) {
			base[i] = vv_get_base(&dev->vq[i]);
			EXPECT_EQ(vv_used_base(&dev->vq[i]), base[i]);
		}
		ASSERT_EQ(0, vv_reset(dev));
		if (round % 10 == 9) {
			ASSERT_EQ(0, vv_unmap_all(dev));
			ASSERT_EQ(0, vv_map_all(dev));
		}
		for (i = 0; i < queues; i++)
			ASSERT_EQ(0, seq_reap(&s[i]));
		ASSERT_EQ(0, continue_at(dev, queues, base));
	}
	for (i = 0; i < queues; i++) {
		ASSERT_EQ(0, seq_drain(&s[i]));
		EXPECT_EQ(0, seq_check(&s[i]));
	}
}

/* Without SUSPEND a client has nothing but the used entries to go by. */
VV_TEST(reset_under_load_and_restart_from_what_was_used)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int seed = vv_seed();
	struct seq s;
	__u32 base;
	int round;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	seq_init(&s, q);
	for (round = 0; round < 40; round++) {
		ASSERT_EQ(0, seq_send(&s, rand_r(&seed) % 80));
		vv_kick(q);
		if (round % 3 == 1)
			vv_sleep_ms(rand_r(&seed) % 2);
		ASSERT_EQ(0, vv_reset(&self->dev));
		base = vv_used_base(q);
		if (round % 10 == 0)
			EXPECT_EQ(0, stays_quiet(q, 50));
		EXPECT_EQ(base, vv_used_base(q));
		ASSERT_EQ(0, seq_reap(&s));
		ASSERT_EQ(0, continue_at(&self->dev, 1, &base));
	}
	ASSERT_EQ(0, seq_drain(&s));
	EXPECT_EQ(0, seq_check(&s));
}

VV_TEST(nothing_but_resume_or_reset_ends_a_suspend)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct seq s;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	seq_init(&s, q);
	ASSERT_EQ(0, vv_suspend(&self->dev));
	ASSERT_EQ(0, seq_send(&s, 10));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_set_enable(q, true));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_set_enable(q, false));
	ASSERT_EQ(0, vv_set_enable(q, true));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_set_call(q, q->call_fd));
	ASSERT_EQ(0, vv_set_kick(q, q->kick_fd));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_suspend(&self->dev));
	EXPECT_EQ(0, stays_quiet(q, 20));
	ASSERT_EQ(0, vv_resume(&self->dev));
	EXPECT_EQ(0, seq_drain(&s));
	EXPECT_EQ(0, seq_check(&s));
}

VV_TEST(resume_needs_no_kick)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct seq s;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	seq_init(&s, q);
	ASSERT_EQ(0, vv_suspend(&self->dev));
	ASSERT_EQ(0, seq_send(&s, 10));
	ASSERT_EQ(0, vv_resume(&self->dev));
	EXPECT_EQ(0, seq_drain(&s));
	EXPECT_EQ(0, q->kicks);
}

VV_TEST(suspend_and_resume_at_odd_times_are_harmless)
{
	int i;

	ASSERT_EQ(0, vv_suspend(&self->dev));
	ASSERT_EQ(0, vv_resume(&self->dev));
	START();
	ASSERT_EQ(0, vv_resume(&self->dev));
	ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], 1));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vv_suspend(&self->dev));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vv_resume(&self->dev));
	ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], 2));
	/* A reset ends a suspend too. */
	ASSERT_EQ(0, vv_suspend(&self->dev));
	STILL_SERVES();
	/* And so does a close. */
	ASSERT_EQ(0, vv_suspend(&self->dev));
	vv_close(&self->dev);
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	START();
	ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], 3));
}

VV_TEST(queue_state_round_trip)
{
	static const __u16 bases[] = { 0, 1, 255, 256, 32768, 65535 };
	struct vv_queue *q = &self->dev.vq[0];
	__u32 base, first;
	size_t i;

	START();
	first = vv_first_base(&self->dev);
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered));
	EXPECT_EQ(first, vv_get_base(q));
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		base = bases[i];
		if (variant->features & VV_F_PACKED)
			base |= bases[(i + 1) % ARRAY_SIZE(bases)] << 16;
		ASSERT_EQ(0, vv_set_base(q, base));
		EXPECT_EQ(base, vv_get_base(q));
	}
	EXPECT_EQ(first, vv_get_base(&self->dev.vq[1]));
	/* What was said of one kind of ring is nothing for the other. */
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered &
						 ~VV_F_PACKED));
	EXPECT_EQ(variant->features & VV_F_PACKED ? 0 : base, vv_get_base(q));
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered));
	EXPECT_EQ(variant->features & VV_F_PACKED ? first : base,
		  vv_get_base(q));
	ASSERT_EQ(0, vv_reset(&self->dev));
	EXPECT_EQ(0, vv_get_base(q));
}

/* A suspended device takes a new base and new addresses. */
VV_TEST(ring_moved_while_suspended)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_queue *spare = &dev->vq[1];
	__u32 base = variant->features & VV_F_PACKED ? 100 * 0x10001 : 1000;

	START();
	ASSERT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, vv_suspend(dev));
	q->desc = spare->desc;
	q->avail = spare->avail;
	q->used = spare->used;
	q->desc_iova = spare->desc_iova;
	q->avail_iova = spare->avail_iova;
	q->used_iova = spare->used_iova;
	vv_ring_init(q, 256, base);
	ASSERT_EQ(0, vv_set_addr(q));
	ASSERT_EQ(0, vv_set_base(q, base));
	EXPECT_EQ(base, vv_get_base(q));
	ASSERT_EQ(0, vv_resume(dev));
	EXPECT_EQ(0, vv_good_client(q, 2));
	EXPECT_EQ(q->packed ? 106 * 0x10001 : 1002, vv_used_base(q));
}

TEST_HARNESS_MAIN
