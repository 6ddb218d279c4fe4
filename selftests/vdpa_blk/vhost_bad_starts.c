// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings that cannot be used from the start: the size, the place, the memory they
 * are in. What cannot be refused at once breaks the ring at DRIVER_OK.
 */
#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

#define HIGH	(1ULL << 41)
#define LAST	(~0ULL - VV_PAGE + 1)

static int map_ring(struct vv_dev *dev)
{
	struct vv_queue *q = &dev->vq[0];

	return vv_map(dev, q->desc, q->ring_size, VHOST_ACCESS_RW);
}

VV_TEST(ring_without_any_map)
{
	static const __u64 addrs[] = {
		0, VV_PAGE, VV_IOVA, 1ULL << 32, 1ULL << 52, 1ULL << 63,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		ASSERT_EQ(0, prepare_at(&self->dev, addrs[i], addrs[i],
					addrs[i]));
		broken_at_start(_metadata, &self->dev, "no map");
	}
}

/* Neither the memory that was missing helps, nor another start. */
VV_TEST(broken_queue_stays_so_until_a_reset)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
				q->used_iova));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	vv_may_warn++;
	ASSERT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE | VV_S_NEEDS_RESET));
	EXPECT_EQ(VV_S_LIVE | VV_S_NEEDS_RESET, vv_get_status(dev));
	ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
	ASSERT_EQ(0, vv_set_enable(q, false));
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	EXPECT_EQ(-ETIMEDOUT, vv_wait_ms(q, 20));
	ASSERT_EQ(0, vv_reset(dev));
	EXPECT_EQ(0, vv_get_status(dev));
	ASSERT_EQ(0, vv_unmap_all(dev));
}

VV_TEST(ring_that_runs_out_of_its_map)
{
	struct vv_dev *dev = &self->dev;
	/* Two of the areas of a packed ring have four bytes. */
	__u64 end = dev->iova + dev->vq[0].ring_size;
	__u64 at = variant->features & VV_F_PACKED ? end : end - 4;
	struct vv_queue *q = &dev->vq[0];

	ASSERT_EQ(0, prepare_at(dev, end - 16, q->avail_iova, q->used_iova));
	ASSERT_EQ(0, map_ring(dev));
	broken_at_start(_metadata, dev, "desc");
	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, at, q->used_iova));
	ASSERT_EQ(0, map_ring(dev));
	broken_at_start(_metadata, dev, "avail");
	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova, at));
	ASSERT_EQ(0, map_ring(dev));
	broken_at_start(_metadata, dev, "used");
}

/* There is memory at both ends of the address space. */
VV_TEST(ring_that_wraps_around_the_address_space)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u64 at[3];
	int i;

	for (i = 0; i < 3; i++) {
		at[0] = q->desc_iova;
		at[1] = q->avail_iova;
		at[2] = q->used_iova;
		at[i] = i ? ~3ULL : ~15ULL;
		ASSERT_EQ(0, prepare_at(dev, at[0], at[1], at[2]));
		ASSERT_EQ(0, map_ring(dev));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, LAST, VV_PAGE,
				      q->desc, VHOST_ACCESS_RW));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 0, VV_PAGE,
				      q->desc, VHOST_ACCESS_RW));
		broken_at_start(_metadata, dev, "wrap");
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, LAST,
				      VV_PAGE, NULL, 0));
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, 0, VV_PAGE,
				      NULL, 0));
	}
}

/* Newer kernels refuse some of them, older ones hand all on to the driver. */
VV_TEST(ring_size_that_is_none)
{
	static const unsigned int nums[] = {
		0, 1025, 2048, 32768, 65536, 3, 1000,
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t i, n = ARRAY_SIZE(nums);
	int ret;

	/* A packed ring may have any from 1 to 1024 entries. */
	if (variant->features & VV_F_PACKED)
		n -= 2;
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
					q->used_iova));
		ASSERT_EQ(0, map_ring(dev));
		ret = vv_set_num(q, nums[i]);
		if (ret) {
			EXPECT_EQ(-EINVAL, ret);
			ASSERT_EQ(0, vv_unmap_all(dev));
			continue;
		}
		broken_at_start(_metadata, dev, "num");
	}
}

VV_TEST(ring_part_that_is_not_aligned)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u64 d = q->desc_iova, a = q->avail_iova, u = q->used_iova;
	int ret;

	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_set_features(dev, dev->offered));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d + 1, a, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d + 8, a, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a + 1, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a, u + 1));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a, u + 2));
	/* The driver's part of a packed ring has two words. */
	ret = vv_set_addr_raw(q, d, a + 2, u);
	EXPECT_EQ(variant->features & VV_F_PACKED ? -EINVAL : 0, ret);
}

/* Page by page, in an order that no physical one can be like. */
static int map_ring_in_pages(struct vv_dev *dev, int hole, __u8 perm)
{
	char *ring = (char *)dev->vq[0].desc;
	int i, ret = 0;

	for (i = 0; !ret && i < 4; i++)
		if (i != hole || perm)
			ret = vv_iotlb(dev, VHOST_IOTLB_UPDATE,
				       HIGH + i * VV_PAGE, VV_PAGE,
				       ring + (3 - i) * VV_PAGE,
				       i == hole ? perm : VHOST_ACCESS_RW);
	return ret;
}

VV_TEST(ring_that_straddles_maps_works)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t area = (char *)q->avail - (char *)q->desc;
	char *pos;

	ASSERT_EQ(4 * VV_PAGE, area);
	ASSERT_EQ(0, vv_set_owner(dev));
	for (pos = (char *)q->desc; pos < (char *)q->desc + q->ring_size;
	     pos += VV_PAGE)
		ASSERT_EQ(0, vv_map(dev, pos, VV_PAGE, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_map(dev, pos, dev->mem + vv_mem_size - pos,
			    VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, VV_MAX_NUM));
	ASSERT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(ring_that_straddles_a_hole)
{
	static const __u8 perms[] = { 0, VHOST_ACCESS_WO };
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t i;
	int page;

	for (i = 0; i < ARRAY_SIZE(perms); i++) {
		for (page = 0; page < 4; page++) {
			ASSERT_EQ(0, prepare_at(dev, HIGH, q->avail_iova,
						q->used_iova));
			ASSERT_EQ(0, vv_set_num(q, VV_MAX_NUM));
			ASSERT_EQ(0, map_ring(dev));
			ASSERT_EQ(0, map_ring_in_pages(dev, page, perms[i]));
			broken_at_start(_metadata, dev, "hole");
			vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, HIGH,
				 4 * VV_PAGE, NULL, 0);
		}
	}
}

/*
 * What the device writes is then what it reads. Nobody can say what that means,
 * but it ends, and hurts no other queue.
 */
VV_TEST(ring_areas_that_overlap)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u64 d = q->desc_iova, a = q->avail_iova, u = q->used_iova;
	const __u64 at[][3] = {
		{ d, d, d }, { d, a, a }, { d, a, d }, { d, d, u },
		{ d, a, a + 4 }, { d, d + 16, u }, { d, a, d + 256 },
	};
	unsigned int seed = vv_seed();
	unsigned int round, i;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(at); k++) {
		for (round = 0; round < 3; round++) {
			ASSERT_EQ(0, prepare_at(dev, at[k][0], at[k][1],
						at[k][2]));
			ASSERT_EQ(0, map_ring(dev));
			ASSERT_EQ(0, vv_map(dev, q->slot, VV_PAGE,
					    VHOST_ACCESS_RW));
			for (i = 0; round && i < 4 * VV_PAGE; i++)
				((char *)q->desc)[i] = rand_r(&seed);
			vv_may_warn++;
			ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
			ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
			vv_kick_always(q);
			vv_sleep_ms(2);
			EXPECT_EQ(VV_S_LIVE, vv_get_status(dev) &
					     ~VV_S_NEEDS_RESET);
			ASSERT_EQ(0, vv_reset(dev));
			ASSERT_EQ(0, vv_unmap_all(dev));
		}
	}
}

VV_TEST(queue_enabled_without_an_address_is_idle)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	ASSERT_EQ(0, vv_start(dev, dev->offered, 0, 0));
	vv_ring_init(q, NUM, vv_first_base(dev));
	ASSERT_EQ(0, vv_set_kick(q, q->kick_fd));
	ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	EXPECT_EQ(-ETIMEDOUT, vv_wait_ms(q, 20));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
}

VV_TEST(queue_enabled_twice_runs_once)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i;

	START();
	for (i = 0; i < 20; i++) {
		ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
		ASSERT_EQ(0, vv_set_enable(q, true));
		vv_kick(q);
		ASSERT_EQ(0, vv_set_enable(q, true));
		ASSERT_EQ(0, vv_wait(q));
		ASSERT_LE(0, vv_get(q, NULL));
		EXPECT_EQ(0, vv_nr_used(q));
	}
}

/* What a client leaves out after a reset. */
enum left_out { NUM_LEFT_OUT, BASE, ADDRESS, CALL, ENABLE, NR_LEFT_OUT };

#define FEW	16

static int start_without(struct vv_dev *dev, enum left_out what)
{
	struct vv_queue *q = &dev->vq[0];
	int ret;

	vv_set_status(dev, VV_S_ACK | VV_S_DRIVER);
	vv_set_features(dev, dev->offered);
	ret = vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
	vv_ring_init(q, what == NUM_LEFT_OUT ? VV_MAX_NUM : FEW,
		     vv_first_base(dev));
	if (!ret && what != NUM_LEFT_OUT)
		ret = vv_set_num(q, FEW);
	if (!ret && what != BASE)
		ret = vv_set_base(q, vv_first_base(dev));
	if (!ret && what != ADDRESS)
		ret = vv_set_addr(q);
	if (!ret && what != CALL)
		ret = vv_set_call(q, q->call_fd);
	if (!ret)
		ret = vv_set_kick(q, q->kick_fd);
	if (!ret && what != ENABLE)
		ret = vv_set_enable(q, true);
	return ret ? ret : vv_set_status(dev, VV_S_LIVE);
}

/* Twice round a ring of FEW. */
static int many_requests(struct vv_queue *q)
{
	int i, ret = 0;

	for (i = 0; i < FEW && !ret; i++)
		ret = vv_good_client(q, i);
	return ret;
}

VV_TEST(reset_forgets_all_of_a_queue)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	enum left_out what;

	START();
	for (what = 0; what < NR_LEFT_OUT; what++) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, FEW));
		ASSERT_EQ(0, many_requests(q));
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, start_without(dev, what));
		if (what == NUM_LEFT_OUT || what == BASE) {
			EXPECT_EQ(0, many_requests(q))
				TH_LOG("%d", what);
			continue;
		}
		vv_take_irqs(q);
		ASSERT_LE(0, vv_submit(q, T_FLUSH, 0, NULL, 0));
		vv_kick_always(q);
		vv_sleep_ms(20);
		EXPECT_EQ(what == CALL, vv_nr_used(q))
			TH_LOG("%d", what);
		EXPECT_EQ(0, vv_take_irqs(q))
			TH_LOG("%d", what);
		EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	}
}

/* NEEDS_RESET is the device's to set, and others are nobody's. */
VV_TEST(status_bits_that_are_no_drivers_are_not_kept)
{
	struct vv_dev *dev = &self->dev;

	START();
	ASSERT_EQ(0, vv_reset(dev));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER | 0x70));
	EXPECT_EQ(VV_S_ACK | VV_S_DRIVER, vv_get_status(dev));
}

TEST_HARNESS_MAIN
