// SPDX-License-Identifier: GPL-2.0-only
/* What each kind of request does to the disk, and its answer at the limits. */
#define VV_VARIANTS
#include "vhost_test.h"

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

const char *vv_module_params = "num_queues=8";
bool vv_abuse = true;

#define LIMIT_SECTORS	0x20000
#define SIZE_MAX_BYTES	(4U << 20)

struct range {
	__u64 sector;
	__u32 num_sectors;
	__u32 flags;
};

#define UNMAP	VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

static int write_seed(struct vv_queue *q, __u64 sector, char *buf, __u32 len,
		      __u64 seed)
{
	vv_fill(buf, len, seed);
	return vv_blk(q, T_OUT, sector, buf, len);
}

/* 0 when the sectors hold what write_seed() put there. */
static int check_seed(struct vv_queue *q, __u64 sector, char *buf, __u32 len,
		      __u64 seed)
{
	int ret;

	memset(buf, 0x55, len);
	ret = vv_blk(q, T_IN, sector, buf, len);
	return ret ? ret : vv_differs(buf, len, seed) >= 0 ? -EIO : 0;
}

static int check_zero(struct vv_queue *q, __u64 sector, char *buf, __u32 len)
{
	int ret;

	memset(buf, 0x55, len);
	ret = vv_blk(q, T_IN, sector, buf, len);
	return ret ? ret : vv_is_zero(buf, len) ? 0 : -EIO;
}

static int ranges(struct vv_queue *q, __u32 type, char *buf,
		  const struct range *r, unsigned int n)
{
	if (n)
		memcpy(buf, r, n * sizeof(*r));
	return vv_blk(q, type, 0, buf, n * sizeof(*r));
}

VV_TEST(new_disk_reads_zero)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	START();
	buf = vv_alloc(&self->dev, 65536);
	EXPECT_EQ(0, check_zero(q, 0, buf, 65536));
	EXPECT_EQ(0, check_zero(q, vv_capacity(&self->dev) - 128, buf, 65536));
}

VV_TEST(read_returns_what_was_written)
{
	static const __u32 sizes[] = { 512, 1024, 3584, 4096, 4608, 65536 };
	static const __u64 sectors[] = { 0, 1, 7, 8, 9, 4095, 100000 };
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	size_t i, j;

	START();
	buf = vv_alloc(&self->dev, 65536);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(sectors); j++) {
			ASSERT_EQ(0, write_seed(q, sectors[j], buf, sizes[i],
						i * 100 + j));
			ASSERT_EQ(0, check_seed(q, sectors[j], buf, sizes[i],
						i * 100 + j))
				TH_LOG("sector %llu size %u",
				       (unsigned long long)sectors[j],
				       sizes[i]);
		}
	}
}

VV_TEST(write_leaves_its_neighbours_alone)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	int i;

	START();
	buf = vv_alloc(&self->dev, 8192);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, write_seed(q, i, buf, 512, i));
	ASSERT_EQ(0, write_seed(q, 7, buf, 1024, 99));
	for (i = 0; i < 16; i++)
		if (i != 7 && i != 8)
			EXPECT_EQ(0, check_seed(q, i, buf, 512, i));
	EXPECT_EQ(0, check_seed(q, 7, buf, 1024, 99));
}

VV_TEST(used_length_counts_bytes_written_to_memory)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u32 len;
	char *buf;

	START();
	buf = vv_alloc(&self->dev, 4096);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_IN, 0, buf, 4096, &len));
	EXPECT_EQ(4097, len);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_OUT, 0, buf, 4096, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_FLUSH, 0, NULL, 0, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_GET_ID, 0, buf, 20, &len));
	EXPECT_EQ(21, len);
	EXPECT_EQ(S_IOERR, vv_blk_used(q, T_IN, ~0ULL, buf, 4096, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(S_UNSUPP, vv_blk_used(q, 77, 0, buf, 512, &len));
	EXPECT_EQ(1, len);
}

VV_TEST(get_id_returns_the_name_cut_to_the_room)
{
	struct vv_queue *q = &self->dev.vq[0];
	char id[20] = "";
	__u32 len;
	char *buf;

	START();
	memcpy(id, self->disk.name, strnlen(self->disk.name, sizeof(id)));
	buf = vv_alloc(&self->dev, 4096);
	memset(buf, 0x55, 64);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_GET_ID, 0, buf, 20, &len));
	EXPECT_EQ(0, memcmp(buf, id, 20));

	memset(buf, 0x55, 64);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_GET_ID, 0, buf, 5, &len));
	EXPECT_EQ(6, len);
	EXPECT_EQ(0, memcmp(buf, id, 5));
	EXPECT_EQ(0x55, buf[5]);

	EXPECT_EQ(S_OK, vv_blk_used(q, T_GET_ID, 0, buf, 64, &len));
	EXPECT_EQ(21, len);
	EXPECT_EQ(0, memcmp(buf, id, 20));
	EXPECT_EQ(0x55, buf[20]);
}

VV_TEST(get_id_of_a_long_name_has_no_nul)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	vv_close(&self->dev);
	vv_disk_del(&self->disk);
	snprintf(self->disk.name, sizeof(self->disk.name),
		 "a-very-long-name-%05u", getpid() % 100000);
	ASSERT_EQ(0, vv_disk_add(&self->disk, 0));
	ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
	START();
	buf = vv_alloc(&self->dev, 4096);
	EXPECT_EQ(S_OK, vv_blk(q, T_GET_ID, 0, buf, 20));
	EXPECT_EQ(0, memcmp(buf, self->disk.name, 20));
}

VV_TEST(flush_ignores_its_sector)
{
	struct vv_queue *q = &self->dev.vq[0];

	NEED(F(FLUSH));
	START();
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, ~0ULL, NULL, 0));
}

VV_TEST(last_sector_is_served_and_the_next_is_not)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u64 end;
	char *buf;

	START();
	end = vv_capacity(&self->dev);
	buf = vv_alloc(&self->dev, 4096);
	ASSERT_EQ(0, write_seed(q, end - 1, buf, 512, 5));
	ASSERT_EQ(0, check_seed(q, end - 1, buf, 512, 5));
	EXPECT_EQ(S_IOERR, write_seed(q, end, buf, 512, 6));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, end, buf, 512));
	/* Half of it in range: nothing is done at all. */
	EXPECT_EQ(S_IOERR, write_seed(q, end - 1, buf, 1024, 6));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, end - 1, buf, 1024));
	EXPECT_EQ(0, check_seed(q, end - 1, buf, 512, 5));
}

VV_TEST(sector_that_wraps_is_refused)
{
	static const __u64 sectors[] = {
		~0ULL, ~0ULL - 1, ~0ULL >> 1, ~0ULL >> 9, (~0ULL >> 9) + 1,
		(~0ULL >> 9) + 9, 1ULL << 63, 1ULL << 55, 1ULL << 54,
	};
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	size_t i;

	START();
	buf = vv_alloc(&self->dev, 4096);
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, sectors[i], buf, 4096));
		EXPECT_EQ(S_IOERR, write_seed(q, sectors[i], buf, 4096, 1));
		EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, sectors[i], buf, 512));
	}
	EXPECT_EQ(0, check_zero(q, 0, buf, 4096));
}

VV_TEST(empty_read_and_write_are_fine)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u32 len;

	START();
	EXPECT_EQ(S_OK, vv_blk_used(q, T_IN, 0, NULL, 0, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(S_OK, vv_blk_used(q, T_OUT, 8, NULL, 0, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, ~0ULL, NULL, 0));
}

VV_TEST(length_that_is_no_block_multiple_is_refused)
{
	static const __u32 sizes[] = { 1, 511, 513, 1000, 4095 };
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	size_t i;

	START();
	buf = vv_alloc(&self->dev, 4096);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 0, buf, sizes[i]));
		EXPECT_EQ(S_IOERR, write_seed(q, 0, buf, sizes[i], 1));
	}
	EXPECT_EQ(0, check_zero(q, 0, buf, 4096));
}

/*
 * Negotiated or not. The buffer is 1 MiB that is mapped four times in a row,
 * and a page: more is not to be had from an IOTLB of 2048 entries.
 */
VV_TEST(segment_longer_than_size_max_is_refused)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	__u64 iova = 1ULL << 41;
	struct vv_slot *slot;
	struct vv_seg seg[3];
	unsigned int i;
	__u32 used;
	char *buf;

	vv_close(dev);
	vv_mem_size = 2 << 20;
	ASSERT_EQ(0, vv_open(dev, self->disk.node));
	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, dev->brk, VHOST_ACCESS_RW));
	buf = vv_alloc(dev, 1 << 20);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, iova + (i << 20),
				      i < 4 ? 1 << 20 : VV_PAGE, buf,
				      VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_restart(dev, dev->offered & ~F(SIZE_MAX), 1, 256));
	slot = &q->slot[1000];
	slot->hdr.sector = 0;
	seg[0] = (struct vv_seg){ vv_iova(dev, &slot->hdr), 16, 0 };
	seg[2] = (struct vv_seg){ vv_iova(dev, &slot->status), 1,
				  VRING_DESC_F_WRITE };
	for (i = 0; i < 2; i++) {
		slot->hdr.type = i ? T_IN : T_OUT;
		seg[1] = (struct vv_seg){ iova, SIZE_MAX_BYTES,
					  i ? VRING_DESC_F_WRITE : 0 };
		EXPECT_EQ(S_OK, vv_finish(q, vv_add(q, seg, 3), &slot->status,
					  &used));
		EXPECT_EQ(i ? SIZE_MAX_BYTES + 1 : 1, used);
		seg[1].len += 512;
		EXPECT_EQ(S_IOERR, vv_finish(q, vv_add(q, seg, 3),
					     &slot->status, &used));
		EXPECT_EQ(1, used);
	}
	/* A status byte behind the data does not count. */
	seg[1].len = SIZE_MAX_BYTES + 1;
	EXPECT_EQ(S_OK, vv_finish(q, vv_add(q, seg, 2), (__u8 *)buf, &used));
	EXPECT_EQ(SIZE_MAX_BYTES + 1, used);
}

VV_TEST(unknown_types_are_unsupported)
{
	static const __u32 types[] = {
		2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 18, 26, 0x80000000,
		0x80000001, 0xffffffff,
	};
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	size_t i;

	START();
	buf = vv_alloc(&self->dev, 4096);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(S_UNSUPP, vv_blk(q, types[i], 0, buf, 512))
			TH_LOG("type %u", types[i]);
		EXPECT_EQ(S_UNSUPP, vv_blk(q, types[i], 0, NULL, 0));
	}
	EXPECT_EQ(0, check_zero(q, 0, buf, 512));
}

VV_TEST(types_not_negotiated_are_unsupported)
{
	struct range r = { .sector = 0, .num_sectors = 8 };
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	ASSERT_EQ(0, vv_start(&self->dev, VV_F_BASE | variant->features, 1,
			      256));
	buf = vv_alloc(&self->dev, 4096);
	ASSERT_EQ(0, write_seed(q, 0, buf, 4096, 3));
	EXPECT_EQ(S_UNSUPP, vv_blk(q, T_FLUSH, 0, NULL, 0));
	EXPECT_EQ(S_UNSUPP, ranges(q, T_DISCARD, buf, &r, 1));
	EXPECT_EQ(S_UNSUPP, ranges(q, T_ZEROES, buf, &r, 1));
	EXPECT_EQ(0, check_seed(q, 0, buf, 4096, 3));
}

/* Both of them, and WRITE_ZEROES with UNMAP, read back as zero here. */
static void zeroing(struct __test_metadata *_metadata, struct vv_dev *dev,
		    __u32 type, __u32 flags)
{
	struct range r[4] = {
		{ 8, 8, flags },	/* a page */
		{ 17, 3, flags },	/* within one */
		{ 30, 20, flags },	/* parts of two, and two whole ones */
		{ 1000, 64, flags },	/* a hole */
	};
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u64 s;

	buf = vv_alloc(dev, 65536);
	for (s = 0; s < 128; s++)
		ASSERT_EQ(0, write_seed(q, s, buf, 512, s));
	ASSERT_EQ(S_OK, ranges(q, type, buf, r, 4));
	for (s = 0; s < 128; s++) {
		bool zero = (s >= 8 && s < 16) || (s >= 17 && s < 20) ||
			    (s >= 30 && s < 50);

		EXPECT_EQ(0, zero ? check_zero(q, s, buf, 512) :
				    check_seed(q, s, buf, 512, s))
			TH_LOG("sector %llu", (unsigned long long)s);
	}
	EXPECT_EQ(0, check_zero(q, 1000, buf, 32768));
	/* What was given back can be written again. */
	ASSERT_EQ(0, write_seed(q, 10, buf, 4096, 7));
	EXPECT_EQ(0, check_seed(q, 10, buf, 4096, 7));
}

VV_TEST(discarded_sectors_read_zero)
{
	NEED(F(DISCARD));
	START();
	zeroing(_metadata, &self->dev, T_DISCARD, 0);
}

VV_TEST(write_zeroes_zeroes)
{
	NEED(F(WRITE_ZEROES));
	START();
	zeroing(_metadata, &self->dev, T_ZEROES, 0);
}

VV_TEST(write_zeroes_with_unmap_zeroes)
{
	NEED(F(WRITE_ZEROES));
	START();
	zeroing(_metadata, &self->dev, T_ZEROES, UNMAP);
}

VV_TEST(a_bad_range_among_good_ones_executes_none)
{
	struct range r[3] = { { 0, 8, 0 }, { 8, 8, 0 }, { 0, 8, 0 } };
	struct vv_queue *q = &self->dev.vq[0];
	__u64 end = vv_capacity(&self->dev);
	static const __u32 types[] = { T_DISCARD, T_ZEROES };
	char *buf;
	size_t i;

	NEED(F(DISCARD) | F(WRITE_ZEROES));
	START();
	buf = vv_alloc(&self->dev, 8192);
	ASSERT_EQ(0, write_seed(q, 0, buf, 8192, 9));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		r[2] = (struct range){ end - 1, 2, 0 };
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 3));
		r[2] = (struct range){ ~0ULL, 2, 0 };
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 3));
		r[2] = (struct range){ 0, LIMIT_SECTORS + 1, 0 };
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 3));
		r[2] = (struct range){ 0, 0xffffffff, 0 };
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 3));
		r[2] = (struct range){ 0, 8, 0x80000000 };
		EXPECT_EQ(S_UNSUPP, ranges(q, types[i], buf, r, 3));
		r[2] = (struct range){ 0, 8, 2 };
		EXPECT_EQ(S_UNSUPP, ranges(q, types[i], buf, r, 3));
	}
	r[2] = (struct range){ 0, 8, UNMAP };
	EXPECT_EQ(S_UNSUPP, ranges(q, T_DISCARD, buf, r, 3));
	EXPECT_EQ(0, check_seed(q, 0, buf, 8192, 9));
}

VV_TEST(number_of_ranges_is_limited)
{
	struct vv_queue *q = &self->dev.vq[0];
	static const __u32 types[] = { T_DISCARD, T_ZEROES };
	struct range r[33];
	char *buf;
	size_t i;

	NEED(F(DISCARD) | F(WRITE_ZEROES));
	START();
	buf = vv_alloc(&self->dev, 4096);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = (struct range){ 64 * i, 8, 0 };
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(S_OK, ranges(q, types[i], buf, r, 1));
		EXPECT_EQ(S_OK, ranges(q, types[i], buf, r, 32));
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 33));
		EXPECT_EQ(S_IOERR, ranges(q, types[i], buf, r, 0));
		EXPECT_EQ(S_IOERR, vv_blk(q, types[i], 0, buf, 15));
		EXPECT_EQ(S_IOERR, vv_blk(q, types[i], 0, buf, 17));
		EXPECT_EQ(S_IOERR, vv_blk(q, types[i], 0, buf, 40));
	}
}

VV_TEST(a_range_of_no_sectors_is_fine)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct range r[2] = { { 0, 0, 0 }, { 8, 8, 0 } };
	char *buf;

	NEED(F(DISCARD) | F(WRITE_ZEROES));
	START();
	buf = vv_alloc(&self->dev, 8192);
	ASSERT_EQ(0, write_seed(q, 0, buf, 4096, 1));
	ASSERT_EQ(0, write_seed(q, 8, buf, 4096, 2));
	EXPECT_EQ(S_OK, ranges(q, T_ZEROES, buf, r, 2));
	EXPECT_EQ(0, check_seed(q, 0, buf, 4096, 1));
	EXPECT_EQ(0, check_zero(q, 8, buf, 4096));
	EXPECT_EQ(S_OK, ranges(q, T_DISCARD, buf, r, 1));
	EXPECT_EQ(0, check_seed(q, 0, buf, 4096, 1));
}

VV_TEST(ranges_of_the_greatest_length)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct range r[2] = {
		{ LIMIT_SECTORS, LIMIT_SECTORS, 0 },
		{ 0, LIMIT_SECTORS + 1, 0 },
	};
	char *buf;

	NEED(F(DISCARD) | F(WRITE_ZEROES));
	START();
	if (vv_capacity(&self->dev) < 3 * LIMIT_SECTORS)
		SKIP(return, "the disk is too small");
	buf = vv_alloc(&self->dev, 4096);
	ASSERT_EQ(0, write_seed(q, LIMIT_SECTORS, buf, 512, 1));
	ASSERT_EQ(0, write_seed(q, 2 * LIMIT_SECTORS - 1, buf, 1024, 2));
	EXPECT_EQ(S_OK, ranges(q, T_ZEROES, buf, r, 1));
	EXPECT_EQ(0, check_zero(q, LIMIT_SECTORS, buf, 4096));
	EXPECT_EQ(0, check_zero(q, 2 * LIMIT_SECTORS - 1, buf, 512));
	vv_fill(buf + 2048, 1024, 2);
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, 2 * LIMIT_SECTORS, buf, 512));
	EXPECT_EQ(0, memcmp(buf, buf + 2048 + 512, 512));
	EXPECT_EQ(S_OK, ranges(q, T_DISCARD, buf, r, 1));
	EXPECT_EQ(S_IOERR, ranges(q, T_ZEROES, buf, r + 1, 1));
	EXPECT_EQ(S_IOERR, ranges(q, T_DISCARD, buf, r + 1, 1));
}

VV_TEST(whole_disk_can_be_discarded)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct range r;
	__u64 end, s;
	char *buf;

	NEED(F(DISCARD));
	START();
	end = vv_capacity(&self->dev);
	buf = vv_alloc(&self->dev, 4096);
	ASSERT_EQ(0, write_seed(q, 3, buf, 512, 1));
	ASSERT_EQ(0, write_seed(q, end - 8, buf, 4096, 1));
	for (s = 0; s < end; s += r.num_sectors) {
		r = (struct range){ s, LIMIT_SECTORS, 0 };
		if (r.num_sectors > end - s)
			r.num_sectors = end - s;
		ASSERT_EQ(S_OK, ranges(q, T_DISCARD, buf, &r, 1));
	}
	EXPECT_EQ(0, check_zero(q, 0, buf, 4096));
	EXPECT_EQ(0, check_zero(q, end - 8, buf, 4096));
}

VV_TEST(read_only_disk_refuses_every_change)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct range r = { 0, 8, 0 };
	char *buf;

	if (!vv_can_choose_features())
		SKIP(return, "the vdpa tool knows no device_features");
	ASSERT_EQ(0, vv_again(&self->disk, &self->dev,
			      self->dev.offered | F(RO)));
	NEED(F(RO));
	START();
	buf = vv_alloc(&self->dev, 4096);
	EXPECT_EQ(S_IOERR, write_seed(q, 0, buf, 4096, 1));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 0, NULL, 0));
	EXPECT_EQ(S_IOERR, ranges(q, T_DISCARD, buf, &r, 1));
	EXPECT_EQ(S_IOERR, ranges(q, T_ZEROES, buf, &r, 1));
	EXPECT_EQ(0, check_zero(q, 0, buf, 4096));
	EXPECT_EQ(S_OK, vv_blk(q, T_FLUSH, 0, NULL, 0));
	EXPECT_EQ(S_OK, vv_blk(q, T_GET_ID, 0, buf, 20));

	/* Not having acked RO changes nothing about the disk. */
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, vv_restart(&self->dev, VV_F_BASE | variant->features, 1,
				256));
	EXPECT_EQ(S_IOERR, write_seed(q, 0, buf, 4096, 1));
}

VV_TEST(config_space_describes_the_disk)
{
	struct virtio_blk_config c;
	char raw[96];

	ASSERT_EQ(0, vv_get_config(&self->dev, 0, raw, sizeof(raw)));
	memcpy(&c, raw, sizeof(c) < sizeof(raw) ? sizeof(c) : sizeof(raw));
	EXPECT_NE(0, c.capacity);
	EXPECT_EQ(SIZE_MAX_BYTES, c.size_max);
	EXPECT_EQ(254, c.seg_max);
	EXPECT_TRUE(c.blk_size == 512 || c.blk_size == 4096);
	EXPECT_EQ(4096, c.blk_size << c.physical_block_exp);
	EXPECT_EQ(1, c.wce);
	EXPECT_EQ(vv_vqs_count(&self->dev), c.num_queues);
	EXPECT_EQ(32, c.max_discard_seg);
	EXPECT_EQ(32, c.max_write_zeroes_seg);
	EXPECT_EQ(LIMIT_SECTORS, c.max_discard_sectors);
	EXPECT_EQ(LIMIT_SECTORS, c.max_write_zeroes_sectors);
	EXPECT_EQ(8, c.discard_sector_alignment);
	EXPECT_EQ(1, c.write_zeroes_may_unmap);
	EXPECT_TRUE(vv_is_zero(raw + 60, sizeof(raw) - 60));
}

TEST_HARNESS_MAIN
