// SPDX-License-Identifier: GPL-2.0-only
/*
 * request.c: ranges of DISCARD and WRITE_ZEROES, clients that change what was
 * checked, and the iterator.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "request_test.h"

static u8 flags_answer(u32 type, u32 flags)
{
	if (flags & ~UNMAP || (flags && type != T_ZEROES))
		return S_UNSUPP;
	return S_OK;
}

TEST_F(req, range_flags)
{
	u32 type, bit, flags;
	u8 want;

	/* No bit, or one, together with UNMAP or without it. */
	for (bit = 0; bit < 66; bit++) {
		flags = (bit < 64 ? 1U << bit / 2 : 0) | (bit & UNMAP);
		type = T_DISCARD;
		want = flags_answer(type, flags);
		ASSERT_EQ(want, one_range(type, 0, t.unit, flags))
			TH_LOG("flags 0x%x", flags);

		type = T_ERASE;
		want = flags_answer(type, flags);
		ASSERT_EQ(want, one_range(type, 0, t.unit, flags))
			TH_LOG("flags 0x%x", flags);

		type = T_ZEROES;
		want = flags_answer(type, flags);
		ASSERT_EQ(want, one_range(type, 0, t.unit, flags))
			TH_LOG("flags 0x%x", flags);
		ASSERT_EQ(flags & UNMAP, t.req->ranges[0].unmap);
	}
}

#define RANGE(want, sector, nr) \
	EXPECT_EQ(want, one_range(types[i], sector, nr, 0))

TEST_F(req, range_limits)
{
	static const u32 types[] = { T_DISCARD, T_ZEROES, T_ERASE };
	u64 cap = t.disk.capacity;
	u32 i, n, u = t.unit;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		RANGE(S_OK, 0, MAX_SECTORS);
		EXPECT_EQ(MAX_SECTORS, t.req->ranges[0].nr);
		RANGE(S_IOERR, 0, MAX_SECTORS + u);
		RANGE(S_IOERR, 0, 0U - u);
		RANGE(S_OK, 0, 0);
		RANGE(S_OK, cap, 0);
		RANGE(S_OK, cap - u, u);
		RANGE(S_IOERR, cap, u);
		RANGE(S_IOERR, cap - u, 2 * u);
		RANGE(S_IOERR, cap + u, u);
		RANGE(S_IOERR, 0ULL - u, u);
		RANGE(S_IOERR, 0ULL - u, 2 * u);
		RANGE(S_IOERR, 1ULL << 32, u);
		for (n = 1; n < 17; n++) {
			RANGE(n % u ? S_IOERR : S_OK, n, u);
			RANGE(n % u ? S_IOERR : S_OK, 0, n);
		}
	}
}

#undef RANGE

/* Some ranges, cut into pieces of @step bytes. */
static u8 ranges(u32 type, u32 nr, u32 step)
{
	u64 at;
	u32 i, n, left = 16 * nr;

	header(type, 0);
	at = GUEST_BASE + 16;
	for (i = 0; i < nr; i++)
		put_range(8 * (1 + 2 * i), 8, i & 1);
	while (left) {
		n = left < step ? left : step;
		out(at, n);
		at += n;
		left -= n;
	}
	in(STATUS, 1);
	return decode();
}

TEST_F(req, range_counts)
{
	u32 nr, step, i;

	for (nr = 0; nr <= 40; nr++) {
		for (step = 1; step <= 700; step += step < 40 ? 1 : 97) {
			ASSERT_EQ(nr && nr <= MAX_RANGES ? S_OK : S_IOERR,
				  ranges(T_ZEROES, nr, step))
				TH_LOG("%u ranges by %u", nr, step);
			if (!nr || nr > MAX_RANGES)
				continue;
			ASSERT_EQ(nr, t.req->nr_ranges);
			ASSERT_GE(16 + 16 * nr, t.mem.nr_bytes);
			ASSERT_EQ(0, t.mem.nr_again);
			for (i = 0; i < nr; i++) {
				struct vbs_range *r = &t.req->ranges[i];

				ASSERT_EQ(8 * (1 + 2 * i), r->sector);
				ASSERT_EQ(8, r->nr);
				ASSERT_EQ(i & 1, r->unmap);
			}
		}
	}
}

TEST_F(req, range_bytes)
{
	u32 len;

	for (len = 1; len <= 16 * MAX_RANGES + 40; len++) {
		header(T_DISCARD, 0);
		memset(guest_ptr(&t.mem, guest_alloc(&t.mem, len, 1)),
		       0, len);
		out(GUEST_BASE + 16, len);
		in(STATUS, 1);
		ASSERT_EQ(len % 16 || len > 16 * MAX_RANGES ? S_IOERR : S_OK,
			  decode()) TH_LOG("%u bytes", len);
	}
	/* 4 GiB and a bit are not a bit. */
	header(T_DISCARD, 0);
	put_range(0, 0, 0);
	out(GUEST_BASE + 16, 1U << 31);
	out(GUEST_BASE + 16, 1U << 31);
	out(GUEST_BASE + 16, 16);
	in(STATUS, 1);
	EXPECT_EQ(S_IOERR, decode());
	/* Or 64 GiB, 4G ranges, and one range. */
	header(T_DISCARD, 0);
	for (len = 0; len < 32; len++)
		out(GUEST_BASE + 16, 1U << 31);
	out(GUEST_BASE + 16, 16);
	in(STATUS, 1);
	EXPECT_EQ(S_IOERR, decode());
}

/* All are checked: one bad range, wherever it is, and nothing is done. */
TEST_F(req, one_bad_range)
{
	struct virtio_blk_discard_write_zeroes *raw;
	u32 i;

	for (i = 0; i < MAX_RANGES; i++) {
		ASSERT_EQ(S_OK, ranges(T_ZEROES, MAX_RANGES, 1000));
		raw = guest_ptr(&t.mem, GUEST_BASE + 16 + 16 * i);
		raw->flags = cpu_to_le32(2);
		ASSERT_EQ(S_UNSUPP, decode()) TH_LOG("range %u", i);
		raw->flags = 0;
		raw->sector = cpu_to_le64(t.disk.capacity);
		ASSERT_EQ(S_IOERR, decode()) TH_LOG("range %u", i);
		raw->sector = 0;
		ASSERT_EQ(S_OK, decode());
	}
}

TEST_F(req, range_unmapped)
{
	u32 i;

	for (i = 0; i <= 64; i++) {
		header(T_DISCARD, 0);
		guest_alloc(&t.mem, GUEST_PAGE - 16 - i, 1);
		out(put_range(0, 0, 0), 16);
		put_range(0, 0, 0);
		put_range(0, 0, 0);
		put_range(0, 0, 0);
		set_out_len(1, 64);
		in(STATUS, 1);
		t.mem.mapped[1] = false;
		ASSERT_EQ(i == 64 ? S_OK : S_IOERR, decode())
			TH_LOG("%u bytes mapped", i);
	}
}

/* What was checked is what counts, whatever the client writes afterwards. */
static void change(struct vbs_mem *mem, u64 iova, u32 len)
{
	memset(guest_ptr(mem, iova), 0xff, len);
}

TEST_F(req, changed_while_read)
{
	u32 i;

	rw(T_OUT, 64, t.bs);
	t.mem.after_read = change;
	EXPECT_EQ(S_OK, decode());
	EXPECT_EQ(T_OUT, t.req->type);
	EXPECT_EQ(64, t.req->sector);
	EXPECT_EQ(HEADER_READ, t.mem.nr_bytes);
	/* It did change. */
	EXPECT_EQ(S_UNSUPP, decode());

	for (i = 1; i < 40; i++) {
		ranges(T_ZEROES, MAX_RANGES, i);
		t.mem.after_read = change;
		ASSERT_EQ(S_OK, decode()) TH_LOG("pieces of %u", i);
		EXPECT_EQ(T_ZEROES, t.req->type);
		ASSERT_EQ(MAX_RANGES, t.req->nr_ranges);
		EXPECT_EQ(8 * (1 + 2 * 31), t.req->ranges[31].sector);
		EXPECT_EQ(8, t.req->ranges[31].nr);
	}
}

/* The iterator hands out each byte once, in order, in whatever steps. */
TEST_F(req, iterator)
{
	u64 state = 42, iova, left;
	u32 nr, i, n, seg, off;
	struct vbs_iter iter;

	for (nr = 1; nr < 60; nr++) {
		new_chain();
		for (i = 0, left = 0; i < nr; i++) {
			n = 1 + guest_random(&state) % 9;
			out(0x1000 * (i + 1), n);
			left += n;
		}
		left -= guest_random(&state) % n;
		iter = (struct vbs_iter) {
			.seg = t.chain->segs,
			.left = left,
		};
		for (seg = 0, off = 0; left; left -= n) {
			ASSERT_EQ(left, iter.left);
			n = vbs_iter_peek(&iter, &iova);
			i = t.chain->segs[seg].len - off;
			ASSERT_EQ(i < left ? i : left, n);
			ASSERT_EQ(0x1000 * (seg + 1) + off, iova);
			n = 1 + guest_random(&state) % n;
			vbs_iter_advance(&iter, n);
			off += n;
			if (off == t.chain->segs[seg].len) {
				off = 0;
				seg++;
			}
		}
		EXPECT_EQ(0, iter.left);
	}
	/* More left than 32 bits can say. */
	new_chain();
	out(5, ~0U);
	iter = (struct vbs_iter) {
		.seg = t.chain->segs,
		.left = 3ULL << 32,
	};
	EXPECT_EQ(~0U, vbs_iter_peek(&iter, &iova));
}

TEST(errnos)
{
	static const int other[] = {
		EIO, EFAULT, ENOSPC, ENOMEM, EINVAL, EPERM, EINTR, ETIMEDOUT,
	};
	unsigned int i;

	EXPECT_EQ(S_OK, vbs_errno_to_status(0));
	EXPECT_EQ(S_UNSUPP, vbs_errno_to_status(-EOPNOTSUPP));
	for (i = 0; i < ARRAY_SIZE(other); i++)
		EXPECT_EQ(S_IOERR, vbs_errno_to_status(-other[i]));
}

TEST_HARNESS_MAIN
