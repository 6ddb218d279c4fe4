// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings of every size, many turns of them, and several queues at once.
 *
 * VDPA_BLK_LENGTHS=unknown: data are compared as always, used lengths are not.
 * A virtio function fills them in itself, and QEMU 7.2 does it wrong behind an
 * IOMMU: of the used elements 511 and 1023 of a split ring, which lie across two
 * pages, it writes the length to another address, and on a packed ring it does
 * not set the flag by which a length counts.
 */
#include <limits.h>
#include <pthread.h>

#define VV_VARIANTS
#include "vhost_test.h"

const char *vv_module_params = "num_queues=8";
size_t vv_mem_size = 5 << 18;

VV_VARIANT(plain, 0);
VV_VARIANT(event_idx, VV_F_EVENT_IDX);
VV_VARIANT(in_order, VV_F_IN_ORDER | VV_F_EVENT_IDX);
VV_VARIANT(packed, VV_F_PACKED | VV_F_EVENT_IDX);
VV_VARIANT(packed_in_order, VV_F_PACKED | VV_F_IN_ORDER | VV_F_EVENT_IDX);

#define FEATURES() \
	((self->dev.offered & ~VV_F_EVENT_IDX) | variant->features)

/*
 * Requests of one sector, as many at once as fit: a run of writes that put
 * their number on the disk, then a run of reads that look for it, and so on.
 */
struct load {
	struct vv_queue *q;
	char *buf;		/* a sector per descriptor */
	__u64 first;		/* sector */
	unsigned int run;	/* sectors of one run, power of two */
	unsigned int total;
	unsigned int round[VV_MAX_NUM];
	unsigned int sent;
	unsigned int done;
};

static __u64 stamp(struct load *l, unsigned int i)
{
	return l->first << 32 | (i & ~l->run);
}

static int load_send(struct load *l)
{
	unsigned int i = l->sent;
	__u16 slot = l->q->free_head;
	char *buf = l->buf + slot * VV_SECTOR;
	bool read = i & l->run;
	__u64 mark = stamp(l, i);
	int head;

	if (!l->q->nfree)
		return -ENOSPC;
	memset(buf, 0, 64);
	if (!read) {
		memcpy(buf, &mark, sizeof(mark));
		memcpy(buf + VV_SECTOR - sizeof(mark), &mark, sizeof(mark));
	}
	head = vv_submit(l->q, read ? T_IN : T_OUT,
			 l->first + (i & (l->run - 1)), buf, VV_SECTOR);
	if (head < 0)
		return head;
	l->round[head] = i;
	l->sent++;
	return 0;
}

static bool lengths_count(void)
{
	const char *env = getenv("VDPA_BLK_LENGTHS");

	return !env || strcmp(env, "unknown");
}

static int load_reap(struct load *l)
{
	__u16 place = l->q->last_used;
	char *buf;
	__u64 mark;
	__u32 len;
	int head;

	head = vv_get(l->q, &len);
	if (head < 0)
		return head;
	if (l->q->slot[head].status)
		return -EIO;
	l->done++;
	if (!(l->round[head] & l->run))
		return 0;
	buf = l->buf + head * VV_SECTOR;
	mark = stamp(l, l->round[head]);
	if (memcmp(buf, &mark, sizeof(mark)) ||
	    memcmp(buf + VV_SECTOR - sizeof(mark), &mark, sizeof(mark)))
		return -EBADMSG;
	if (len == VV_SECTOR + 1 || !lengths_count())
		return 0;
	printf("# used length %u, place 0x%x\n", len, place);
	return -EMSGSIZE;
}

static int load_run(struct load *l)
{
	int ret;

	while (l->done < l->total) {
		ret = 0;
		while (l->sent < l->total) {
			/* A read must not overtake the write it looks for. */
			if (!(l->sent & (l->run - 1)) && l->sent != l->done)
				break;
			ret = load_send(l);
			if (ret)
				break;
		}
		if (ret && ret != -ENOSPC)
			return ret;
		vv_kick(l->q);
		ret = vv_wait(l->q);
		if (ret)
			return ret;
		do {
			ret = load_reap(l);
		} while (!ret);
		if (ret != -EAGAIN)
			return ret;
	}
	return 0;
}

/* Its 16 bits once, three times or not at all; fewer if the user says so. */
VV_TEST(index_wraps_on_a_ring_of_8)
{
	const char *env = getenv("VDPA_BLK_REQUESTS");
	unsigned int most = env ? atoi(env) : UINT_MAX;
	struct load l = {
		.run = 1024,
		.total = variant->features == VV_F_EVENT_IDX ? 200000 :
			 variant->features ? 20000 : 70000,
	};
	__u32 base;

	if (l.total > most)
		l.total = most;
	ASSERT_EQ(0, vv_start(&self->dev, FEATURES(), 1, 8));
	l.q = &self->dev.vq[0];
	l.q->indirect = self->dev.features & VV_F_INDIRECT;
	l.q->spin_us = 100;
	l.buf = vv_alloc(&self->dev, 8 * VV_SECTOR);
	EXPECT_EQ(0, load_run(&l))
		TH_LOG("after %u of %u", l.done, l.total);
	base = l.total % 65536;
	if (l.q->packed)	/* one descriptor each, 16 in two turns */
		base = (l.total % 8 | (l.total & 8 ? 0 : VV_WRAP)) * 0x10001U;
	EXPECT_EQ(base, vv_used_base(l.q));
	TH_LOG("%lu kicks, %lu interrupts", l.q->kicks, l.q->irqs);
}

/* A ring of 1 holds nothing but an indirect chain, one of 2 no data. */
VV_TEST(every_ring_size_from_1_to_1024)
{
	unsigned int num, indirect;
	struct load l;
	char *buf;

	ASSERT_EQ(1024, vv_vring_max(&self->dev));
	ASSERT_EQ(0, vv_start(&self->dev, FEATURES(), 1, 4));
	buf = vv_alloc(&self->dev, VV_MAX_NUM * VV_SECTOR);
	for (num = 1; num <= VV_MAX_NUM; num *= 2) {
		for (indirect = 0; indirect < 2; indirect++) {
			if (indirect && !(self->dev.features & VV_F_INDIRECT))
				continue;
			if (!indirect && num < 4)
				continue;
			ASSERT_EQ(0, vv_reset(&self->dev));
			ASSERT_EQ(0, vv_restart(&self->dev, FEATURES(), 1,
						num));
			l = (struct load){
				.q = &self->dev.vq[0],
				.buf = buf,
				.run = num < 32 ? 32 : num,
				.total = 2 * num + 70,
			};
			l.q->indirect = indirect;
			EXPECT_EQ(0, load_run(&l))
				TH_LOG("ring of %u, indirect %u", num,
				       indirect);
		}
	}
}

VV_TEST(ring_may_start_at_any_index)
{
	static const __u16 bases[] = { 1, 255, 256, 32767, 65530, 65535 };
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	__u32 base;
	size_t i;

	ASSERT_EQ(0, vv_start(&self->dev, FEATURES(), 1, 256));
	buf = vv_alloc(&self->dev, 256 * VV_SECTOR);
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		struct load l = { .run = 32, .total = 600, .q = q };

		ASSERT_EQ(0, vv_reset(&self->dev));
		ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_ACK | VV_S_DRIVER));
		ASSERT_EQ(0, vv_set_features(&self->dev, FEATURES()));
		ASSERT_EQ(0, vv_set_status(&self->dev,
					   VV_S_LIVE & ~VV_S_DRIVER_OK));
		base = bases[i];
		if (variant->features & VV_F_PACKED)
			base = (base & (VV_WRAP | 255)) * 0x10001;
		ASSERT_EQ(0, vv_queue_setup(q, 256, base));
		ASSERT_EQ(0, vv_set_enable(q, true));
		ASSERT_EQ(0, vv_set_status(&self->dev, VV_S_LIVE));
		EXPECT_EQ(base, vv_get_base(q));
		l.buf = buf;
		EXPECT_EQ(0, load_run(&l))
			TH_LOG("base 0x%x", base);
		if (q->packed)
			base = vv_place_add(q, base, 600 * 3) * 0x10001U;
		else
			base = (__u16)(base + 600);
		EXPECT_EQ(base, vv_used_base(q));
		EXPECT_EQ(base, vv_get_base(q));
	}
}

static void *load_thread(void *arg)
{
	return (void *)(long)load_run(arg);
}

static void parallel(struct __test_metadata *_metadata, struct vv_dev *dev,
		     unsigned int queues)
{
	struct load l[VV_MAX_QUEUES] = {};
	pthread_t thread[VV_MAX_QUEUES];
	size_t brk = dev->brk;
	unsigned int i;
	void *ret;

	for (i = 0; i < queues; i++) {
		l[i].q = &dev->vq[i];
		l[i].q->indirect = dev->features & VV_F_INDIRECT && i % 2;
		l[i].first = i * 1000;	/* not page aligned: shared pages */
		l[i].run = 256;
		l[i].total = 2048;
		l[i].buf = vv_alloc(dev, 64 * VV_SECTOR);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, load_thread,
					    &l[i]));
	}
	for (i = 0; i < queues; i++) {
		pthread_join(thread[i], &ret);
		EXPECT_EQ(0, (long)ret)
			TH_LOG("queue %u of %u, after %u requests", i, queues,
			       l[i].done);
	}
	dev->brk = brk;
}

VV_TEST(one_to_eight_queues_work_at_once)
{
	unsigned int queues, max;

	max = vv_vqs_count(&self->dev);
	if (max > VV_MAX_QUEUES)
		max = VV_MAX_QUEUES;
	if (max < 2)
		SKIP(return, "the disk has one queue");
	ASSERT_EQ(0, vv_start(&self->dev, FEATURES(), max, 64));
	for (queues = 1; queues <= max; queues++)
		parallel(_metadata, &self->dev, queues);
}

TEST_HARNESS_MAIN
