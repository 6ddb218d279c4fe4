// SPDX-License-Identifier: GPL-2.0-only
/* A disk of 4 KiB blocks: a program of its own, as the module says the size. */
#include "vhost_test.h"

const char *vv_module_params = "block_size=4096";
bool vv_abuse = true;

VV_TEST(big_blocks_are_the_unit_of_everything)
{
	struct virtio_blk_discard_write_zeroes r = { .num_sectors = 8 };
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;

	if (vv_block_size(&self->dev) != 4096)
		SKIP(return, "the module was loaded with another block size");
	START();
	buf = vv_alloc(&self->dev, 8192);
	vv_fill(buf, 4096, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 8, buf, 4096));
	vv_fill(buf, 8192, 2);
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 9, buf, 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 8, buf, 512));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_OUT, 8, buf, 4608));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 9, buf, 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, 8, buf, 512));

	r.sector = 9;
	memcpy(buf, &r, sizeof(r));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_DISCARD, 0, buf, sizeof(r)));
	r.sector = 8;
	r.num_sectors = 7;
	memcpy(buf, &r, sizeof(r));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_ZEROES, 0, buf, sizeof(r)));

	EXPECT_EQ(S_OK, vv_blk(q, T_IN, 8, buf, 4096));
	EXPECT_EQ(-1, vv_differs(buf, 4096, 1));
	EXPECT_EQ(S_OK, vv_blk(q, T_IN, vv_capacity(&self->dev) - 8, buf, 4096));
	EXPECT_EQ(S_IOERR, vv_blk(q, T_IN, vv_capacity(&self->dev), buf, 4096));
}

TEST_HARNESS_MAIN
