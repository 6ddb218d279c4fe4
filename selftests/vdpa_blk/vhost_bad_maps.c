// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is not there, not permitted, goes away or comes back: requests that
 * need it fail, queues whose rings are in it wait, and nothing else is touched.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

#define HIGH	(1ULL << 41)
#define LAST	(~0ULL - VV_PAGE + 1)

/* Rings, and not a byte more: whatever a descriptor says is out of reach. */
VV_TEST(nothing_mapped_is_nothing_reached)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[3];
	unsigned int shift;

	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, dev->brk, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	for (shift = 9; shift < 64; shift++) {
		__u64 iova = shift == 9 ? 0 : 1ULL << shift;

		if (iova >= dev->iova && iova < dev->iova + dev->brk)
			continue;
		seg[0] = header(q, T_IN);
		seg[1] = (struct vv_seg){ iova, 512, W };
		seg[2] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL))
			TH_LOG("IOVA 1 << %u", shift);
		seg[0] = header(q, T_OUT);
		seg[1].flags = 0;
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
		/* not even by its process address */
		seg[1].iova = (uintptr_t)dev->mem + iova % vv_mem_size;
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	}
}

VV_TEST(overlapping_map_is_refused_and_the_old_one_stays)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *other;

	START();
	other = vv_alloc(dev, VV_PAGE);
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, dev->iova, VV_PAGE,
			      other, VHOST_ACCESS_RW));
	EXPECT_GT(0, vv_map_all(dev));
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 0, 0, other,
			      VHOST_ACCESS_RW));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(remapped_iova_leads_to_the_new_pages)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[3];
	char *a, *b;
	int i;

	START();
	a = vv_alloc(dev, VV_PAGE);
	b = vv_alloc(dev, VV_PAGE);
	vv_fill(a, VV_PAGE, 5);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, a, VV_PAGE));
	for (i = 0; i < 20; i++) {
		char *now = i % 2 ? b : a, *other = i % 2 ? a : b;

		memset(now, 0x11, VV_PAGE);
		memset(other, 0x22, VV_PAGE);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH,
				      VV_PAGE, now, VHOST_ACCESS_RW));
		seg[0] = header(q, T_IN);
		seg[1] = (struct vv_seg){ HIGH, VV_PAGE, W };
		seg[2] = status(q);
		ASSERT_EQ(S_OK, submit(q, seg, 3, NULL));
		EXPECT_EQ(-1, vv_differs(now, VV_PAGE, 5));
		EXPECT_EQ(0x22, other[0]);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, HIGH,
				      VV_PAGE, NULL, 0));
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	}
}

VV_TEST(maps_of_odd_permission_are_survived)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	static const __u8 perms[] = { 0, 4, 0x80, 0xfc, 0xff };
	char *page;
	size_t i;

	START();
	page = vv_alloc(dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(perms); i++) {
		/* Whether vhost takes it or not is its own business. */
		vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH, VV_PAGE, page,
			 perms[i]);
		ASSERT_EQ(0, vv_good_client(q, i));
		vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, HIGH, VV_PAGE,
			 NULL, 0);
	}
}

/* A write of a page from there, and a read to there. */
static int use_page(struct vv_queue *q, __u64 iova)
{
	struct vv_seg seg[3];
	int ret;

	seg[0] = header(q, T_OUT);
	seg[1] = (struct vv_seg){ iova, VV_PAGE, 0 };
	seg[2] = status(q);
	ret = submit(q, seg, 3, NULL);
	if (ret)
		return ret;
	seg[0] = header(q, T_IN);
	seg[1].flags = W;
	return submit(q, seg, 3, NULL);
}

/* An end without a begin, a begin without an end, a begin in a batch. */
VV_TEST(batch_that_never_ends)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *page;
	int i;

	START();
	page = vv_alloc(dev, VV_PAGE);
	vv_iotlb(dev, VHOST_IOTLB_BATCH_END, 0, 0, NULL, 0);
	ASSERT_EQ(0, vv_good_client(q, 1));
	for (i = 0; i < 2; i++) {
		vv_iotlb(dev, VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL, 0);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE,
				      HIGH + i * VV_PAGE, VV_PAGE, page,
				      VHOST_ACCESS_RW));
		/* Whether it counts already is not said. */
		EXPECT_GE(S_IOERR, use_page(q, HIGH + i * VV_PAGE));
		EXPECT_EQ(0, vv_good_client(q, 2));
	}
}

/* More of them than a newer kernel lets one have. */
VV_TEST(thousands_of_tiny_maps)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	int i, n, ret = 0;
	char *page;

	START();
	page = vv_alloc(dev, VV_PAGE);
	for (n = 0; n < 2100 && !ret; n++)
		ret = vv_iotlb(dev, VHOST_IOTLB_UPDATE,
			       HIGH + 2 * VV_PAGE * n, n % 2 ? 1 : VV_PAGE,
			       page, VHOST_ACCESS_RW);
	n -= !!ret;
	TH_LOG("%d maps, then %d", n, ret);
	ASSERT_LE(1000, n);
	for (i = 0; i < n; i += 100) {
		EXPECT_EQ(S_OK, use_page(q, HIGH + 2 * VV_PAGE * i));
		EXPECT_EQ(S_IOERR, use_page(q, HIGH + 2 * VV_PAGE * i +
					       VV_PAGE));
		EXPECT_EQ(S_IOERR, use_page(q, HIGH + 2 * VV_PAGE * i + 512));
	}
	EXPECT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, HIGH, HIGH, NULL,
			      0));
	for (i = 0; i < n; i += 100)
		EXPECT_EQ(S_IOERR, use_page(q, HIGH + 2 * VV_PAGE * i));
}

VV_TEST(map_of_more_than_memlock)
{
	struct rlimit few = { 64 << 10, RLIM_INFINITY };
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	START();
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &few));
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH, vv_mem_size,
			      dev->mem, VHOST_ACCESS_RW));
	EXPECT_EQ(S_IOERR, use_page(q, HIGH));
	EXPECT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &all));
	ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH, 4 * VV_PAGE,
			      dev->mem + vv_mem_size - 4 * VV_PAGE,
			      VHOST_ACCESS_RW));
	EXPECT_EQ(S_OK, use_page(q, HIGH));
}

/* Found when most of it is mapped: vhost takes 512 pages at a time. */
VV_TEST(map_that_ends_in_a_hole)
{
	const size_t size = 600 * VV_PAGE;
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *mem;
	int i;

	START();
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, munmap(mem + size - VV_PAGE, VV_PAGE));
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, HIGH, size, mem,
			      VHOST_ACCESS_RW));
	for (i = 0; i < 600; i += 57)
		EXPECT_EQ(S_IOERR, use_page(q, HIGH + i * VV_PAGE));
	EXPECT_EQ(0, vv_good_client(q, 1));
	munmap(mem, size - VV_PAGE);
}

VV_TEST(maps_at_both_ends_of_the_address_space)
{
	static const __u64 bad[][2] = {
		{ LAST, 2 * VV_PAGE }, { ~0ULL, 2 }, { 1, ~0ULL }, { LAST, ~0ULL },
		{ 0, 1ULL << 63 },
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *page;
	size_t i;

	START();
	page = vv_alloc(dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, bad[i][0],
				      bad[i][1], page, VHOST_ACCESS_RW));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, LAST, VV_PAGE,
				      page, VHOST_ACCESS_RW));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 0, VV_PAGE,
				      page, VHOST_ACCESS_RW));
		EXPECT_EQ(S_OK, use_page(q, LAST));
		EXPECT_EQ(S_OK, use_page(q, 0));
		/* From one end to the other: either is fine. */
		EXPECT_GE(S_IOERR, use_page(q, LAST + 512));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, LAST,
				      VV_PAGE, NULL, 0));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, 0, VV_PAGE,
				      NULL, 0));
		EXPECT_EQ(S_IOERR, use_page(q, LAST));
		EXPECT_EQ(S_IOERR, use_page(q, 0));
	}
}

VV_TEST(data_unmapped_and_mapped_again_during_io)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, vv_unmap(dev, r.buf, VV_PAGE));
		if (i % 10 == 0)
			ASSERT_TRUE(counts(&r, &r.ioerr));
		ASSERT_EQ(0, vv_map(dev, r.buf, VV_PAGE, VHOST_ACCESS_RW));
		if (i % 10 == 5)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	TH_LOG("%u reads, %u without their memory", r.ok, r.ioerr);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

/*
 * The device holds the pages: neither a process that lets go of them nor a file
 * that is cut takes them from it.
 */
VV_TEST(process_lets_go_of_its_memory_during_io)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 20; i++) {
		/* a hole in the file, and then in the process */
		ASSERT_EQ(0, madvise(r.buf, VV_PAGE, MADV_REMOVE));
		ASSERT_TRUE(counts(&r, &r.ok));
		ASSERT_EQ(0, munmap(r.buf, VV_PAGE));
		ASSERT_TRUE(counts(&r, &r.ok));
		ASSERT_EQ(r.buf, mmap(r.buf, VV_PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				      -1, 0));
		ASSERT_EQ(0, vv_unmap(dev, r.buf, VV_PAGE));
		ASSERT_EQ(0, vv_map(dev, r.buf, VV_PAGE, VHOST_ACCESS_RW));
		ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
}

/* Then the device looks at a ring that nobody can reach. */
VV_TEST(process_lets_go_of_its_rings)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	START();
	ASSERT_EQ(0, vv_good_client(q, 1));
	ASSERT_EQ(0, madvise(q->desc, q->ring_size, MADV_REMOVE));
	vv_ring_init(q, 256, vv_first_base(dev));
	ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
	vv_kick_always(q);
	EXPECT_EQ(-ETIMEDOUT, vv_wait_ms(q, 20));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
}

VV_TEST(everything_unmapped_under_load)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = { .may_be_silent = true };
	pthread_t t;
	int i;

	START();
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, vv_unmap_all(dev));
		if (i % 5 == 0)
			vv_sleep_ms(2);
		ASSERT_EQ(0, vv_map_all(dev));
		ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
}

VV_TEST(rings_unmapped_and_mapped_again_during_io)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	char *part[3];
	pthread_t t;
	int i;

	START();
	part[0] = (char *)dev->vq[0].desc;
	part[1] = (char *)dev->vq[0].avail;
	part[2] = (char *)dev->vq[0].used;
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, vv_unmap(dev, part[i % 3], VV_PAGE));
		if (i % 5 == 0)
			vv_sleep_ms(2);
		ASSERT_EQ(0, vv_map(dev, part[i % 3], VV_PAGE,
				    VHOST_ACCESS_RW));
		if (i % 5 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, r.ioerr);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(queue_without_its_ring_memory_is_idle)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u32 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_base(q);
	ASSERT_EQ(0, vv_unmap(dev, q->used, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_base(q));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_map(dev, q->used, VV_PAGE, VHOST_ACCESS_RW));
	/* No kick: the map alone brings it back. */
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
	/* or a reset */
	ASSERT_EQ(0, vv_unmap(dev, q->desc, VV_PAGE));
	EXPECT_NE(0, queue_shows(&self->disk, "lost"));
	ASSERT_EQ(0, vv_reset(dev));
	EXPECT_GE(0, queue_shows(&self->disk, "lost"));
	ASSERT_EQ(0, vv_map(dev, q->desc, VV_PAGE, VHOST_ACCESS_RW));
	STILL_SERVES();
}

VV_TEST(lost_ring_stays_idle_until_it_is_mapped)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u32 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_base(q);
	ASSERT_EQ(0, vv_unmap(dev, q->avail, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_suspend(dev));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_resume(dev));
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, false));
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_base(q));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	ASSERT_EQ(0, vv_map(dev, q->avail, VV_PAGE, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

/* Mapped while suspended: not before resume. */
VV_TEST(lost_ring_mapped_while_suspended_waits_for_resume)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u32 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_base(q);
	ASSERT_EQ(0, vv_suspend(dev));
	ASSERT_EQ(0, vv_unmap(dev, q->used, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_map(dev, q->used, VV_PAGE, VHOST_ACCESS_RW));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_base(q));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_resume(dev));
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

TEST_HARNESS_MAIN
