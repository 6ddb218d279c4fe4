// SPDX-License-Identifier: GPL-2.0-only
/* request.c: layouts of a request, and what IN and OUT may ask for. */
#include <stdlib.h>
#include <string.h>

#include "request_test.h"

TEST_F(req, has_status)
{
	header(T_FLUSH, 0);
	EXPECT_FALSE(vbs_req_has_status(t.chain));
	in(STATUS, 1);
	EXPECT_TRUE(vbs_req_has_status(t.chain));
}

TEST_F(req, every_type)
{
	static const u8 known[] = {
		T_IN, T_OUT, T_FLUSH, T_GET_ID, T_DISCARD, T_ZEROES,
		T_ERASE,
	};
	u32 type, bit;
	bool range, ok;

	for (type = 0; type <= 0xffff; type++) {
		range = type == T_DISCARD || type == T_ZEROES ||
			type == T_ERASE;
		ok = type < 256 && memchr(known, type, sizeof(known));
		header(type, 0);
		out(put_range(0, 0, 0), range ? 16 : t.bs);
		in(DATA, t.bs);
		in(STATUS, 1);
		ASSERT_EQ(ok ? S_OK : S_UNSUPP, decode())
			TH_LOG("type %u", type);
		ASSERT_EQ(type, t.req->type);
		ASSERT_EQ(STATUS, vbs_req_status_iova(t.chain));
	}
	for (bit = 16; bit < 32; bit++)
		for (type = 0; type < 16; type++)
			EXPECT_EQ(S_UNSUPP, rw(1U << bit | type, 0, 0));
}

TEST_F(req, features)
{
	static const struct {
		u32 type;
		u64 feature;
	} need[] = {
		{ T_FLUSH, FEATURE(FLUSH) },
		{ T_DISCARD, FEATURE(DISCARD) },
		{ T_ZEROES, FEATURE(WRITE_ZEROES) },
		{ T_ERASE, FEATURE(SECURE_ERASE) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(need); i++) {
		t.disk.features = need[i].feature;
		EXPECT_EQ(S_OK, one_range(need[i].type, 0, t.unit, 0));
		t.disk.features = ~need[i].feature;
		EXPECT_EQ(S_UNSUPP, one_range(need[i].type, 0,
					      t.unit, 0));
	}
	/* These need none. */
	t.disk.features = 0;
	EXPECT_EQ(S_OK, rw(T_IN, 0, t.bs));
	EXPECT_EQ(S_OK, rw(T_OUT, 0, t.bs));
	EXPECT_EQ(S_OK, rw(T_GET_ID, 0, 0));
}

/*
 * The header in all ways of cutting 16 bytes into 1 to 16 pieces, with data
 * right behind its last byte, in the same segment or not.
 */
TEST_F(req, header_splits)
{
	u32 cuts, i, len, more;
	u64 at, sector = 0x123456 & -t.unit;

	for (cuts = 0; cuts < 1 << 16; cuts++) {
		new_chain();
		at = put_header(T_OUT, sector);
		for (i = 0, len = 0; i < 16; i++) {
			len++;
			if (cuts & 1 << i || i == 15) {
				more = i == 15 && !(cuts & 1 << 15) ?
					t.bs : 0;
				out(at, len + more);
				at += len;
				len = 0;
			}
		}
		if (cuts & 1 << 15)
			out(DATA, t.bs);
		in(STATUS, 1);

		ASSERT_EQ(S_OK, decode()) TH_LOG("cuts 0x%x", cuts);
		ASSERT_EQ(T_OUT, t.req->type);
		ASSERT_EQ(sector, t.req->sector);
		ASSERT_EQ(t.bs, t.req->data.left);
		ASSERT_EQ(t.bs, vbs_iter_peek(&t.req->data, &at));
		ASSERT_EQ(cuts & 1 << 15 ? DATA : GUEST_BASE + 16, at);
		ASSERT_GE(16, t.mem.nr_bytes);
		ASSERT_EQ(0, t.mem.nr_again);
	}
}

TEST_F(req, header_short)
{
	u32 len, cut;

	for (len = 0; len < 16; len++) {
		for (cut = 0; cut <= len; cut++) {
			header(T_FLUSH, 0);
			empty_chain(t.chain);
			if (cut)
				out(GUEST_BASE, cut);
			if (len - cut)
				out(GUEST_BASE + cut, len - cut);
			in(STATUS, 8);
			ASSERT_EQ(S_IOERR, decode()) TH_LOG("%u", len);
			EXPECT_EQ(STATUS + 7, vbs_req_status_iova(t.chain));
			EXPECT_EQ(0, t.mem.nr_reads);
			/* No leftovers of another request. */
			EXPECT_EQ(0, t.req->type);
			EXPECT_EQ(0, t.req->sector);
		}
	}
}

TEST_F(req, header_unmapped)
{
	u32 i;

	for (i = 0; i <= 16; i++) {
		new_chain();
		guest_alloc(&t.mem, GUEST_PAGE - i, 1);
		out(put_header(T_FLUSH, 0), 16);
		in(STATUS, 3);
		t.mem.mapped[1] = false;
		ASSERT_EQ(i == 16 ? S_OK : S_IOERR, decode())
			TH_LOG("%u bytes mapped", i);
		EXPECT_EQ(STATUS + 2, vbs_req_status_iova(t.chain));
	}
	/* Of two pieces the second one. */
	header(T_FLUSH, 0);
	set_out_len(0, 8);
	out(DATA, 8);
	in(STATUS, 1);
	EXPECT_EQ(S_IOERR, decode());
}

/* The status is the last writable byte, the data is all before it. */
TEST_F(req, status_places)
{
	u32 front, last;
	u64 iova;

	for (front = 0; front <= 2; front++) {
		for (last = 1; last <= t.bs + 1; last += 8) {
			header(T_GET_ID, 0);
			if (front)
				in(DATA, front);
			in(STATUS, last);
			ASSERT_EQ(S_OK, decode());
			ASSERT_EQ(STATUS + last - 1, vbs_req_status_iova(t.chain));
			ASSERT_EQ(front + last - 1, t.req->data.left);
			ASSERT_EQ(0, t.req->data.off);
			if (front + last == 1)
				continue;
			vbs_iter_peek(&t.req->data, &iova);
			ASSERT_EQ(front ? DATA : STATUS, iova);
		}
	}
	/* Writable bytes nobody asked for do not matter. */
	header(T_OUT, 0);
	out(DATA, t.bs);
	in(DATA, 100);
	in(STATUS, 33);
	EXPECT_EQ(S_OK, decode());
	EXPECT_EQ(STATUS + 32, vbs_req_status_iova(t.chain));
	EXPECT_EQ(t.bs, t.req->data.left);
	/* IN with the status behind the data, and one piece for both. */
	header(T_IN, 0);
	in(DATA, t.bs + 1);
	EXPECT_EQ(S_OK, decode());
	EXPECT_EQ(DATA + t.bs, vbs_req_status_iova(t.chain));
	EXPECT_EQ(t.bs, t.req->data.left);
	EXPECT_EQ(t.bs, vbs_iter_peek(&t.req->data, &iova));
}

TEST_F(req, rw_lengths)
{
	u32 type, len, good;

	for (type = T_IN; type <= T_OUT; type++) {
		for (len = 0; len <= 3 * t.bs; len++) {
			good = len % t.bs ? S_IOERR : S_OK;
			ASSERT_EQ(good, rw(type, 0, len))
				TH_LOG("type %u length %u", type, len);
			ASSERT_EQ(len, t.req->data.left);
		}
	}
}

/* Sectors and lengths around the end, for disks of several sizes. */
TEST_F(req, rw_end)
{
	static const u64 sizes[] = {
		0, 8, 16, 0x1000, 1ULL << 32, 1ULL << 55, ~0ULL & ~7ULL,
	};
	u64 sector, cap;
	unsigned int i;
	u32 type, len;
	int off;
	bool fits;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		cap = sizes[i];
		t.disk.capacity = cap;
		for (type = T_IN; type <= T_OUT; type++) {
			for (len = 0; len <= 4; len++) {
				for (off = -6; off <= 6; off++) {
					sector = cap + off * (int)t.unit;
					if (off < 0 && cap < 48)
						continue;
					fits = sector <= cap &&
						len <= (cap - sector) /
						t.unit;
					ASSERT_EQ(fits ? S_OK : S_IOERR,
						  rw(type, sector,
						     len * t.bs))
						TH_LOG("%llu + %u of %llu",
						       sector, len, cap);
				}
			}
		}
	}
	t.disk.capacity = 16;
	EXPECT_EQ(S_OK, rw(T_OUT, 16 - t.unit, t.bs));
	EXPECT_EQ(S_IOERR, rw(T_OUT, ~0ULL & -t.unit, t.bs));
	EXPECT_EQ(S_IOERR, rw(T_OUT, 0 - t.unit, 2 * t.bs));
	EXPECT_EQ(S_IOERR, rw(T_IN, 1ULL << 63, 0));
}

TEST_F(req, rw_alignment)
{
	u32 type, sector;

	for (type = T_IN; type <= T_OUT; type++)
		for (sector = 0; sector < 20; sector++)
			EXPECT_EQ(sector % t.unit ? S_IOERR : S_OK,
				  rw(type, sector, t.bs))
				TH_LOG("sector %u", sector);
}

/* No segment has more data than SIZE_MAX; status and header do not count. */
TEST_F(req, rw_sizes)
{
	u32 i, extra, max = MAX_SEG_BYTES;
	u8 want;

	for (i = 0; i < 3; i++) {
		for (extra = 0; extra <= t.bs; extra += t.bs) {
			want = extra ? S_IOERR : S_OK;

			header(T_OUT, 0);
			out(DATA, i == 0 ? max + extra : max);
			out(DATA, i == 1 ? max + extra : max);
			out(DATA, i == 2 ? max + extra : max);
			in(STATUS, max + 1);
			ASSERT_EQ(want, decode());

			header(T_IN, 0);
			set_out_len(0, max + t.bs);
			in(DATA, i == 0 ? max + extra : max);
			in(DATA, i == 1 ? max + extra : max);
			in(DATA, (i == 2 ? max + extra : max) + 1);
			ASSERT_EQ(want, decode());
		}
	}
	for (extra = 0; extra <= t.bs; extra += t.bs) {
		header(T_OUT, 0);
		set_out_len(0, 16 + max + extra);
		in(STATUS, 1);
		ASSERT_EQ(extra ? S_IOERR : S_OK, decode());
	}
}

/* More bytes than fit in 32 bits are what they are. */
TEST_F(req, huge)
{
	u32 i, n;

	t.disk.capacity = ~0ULL & -t.unit;
	for (i = 1; i < 1000; i += 99) {
		header(T_GET_ID, 0);
		for (n = 0; n < i; n++)
			in(DATA, ~0U);
		EXPECT_EQ(S_OK, decode());
		EXPECT_EQ(i * 0xffffffffULL - 1, t.req->data.left);
		EXPECT_EQ(DATA + 0xfffffffe, vbs_req_status_iova(t.chain));

		header(T_OUT, 0);
		for (n = 0; n < i; n++)
			out(DATA, 0x80000000);
		in(STATUS, 1);
		EXPECT_EQ(S_IOERR, decode());
	}
}

TEST_F(req, rw_segments)
{
	u32 n, i;

	for (n = MAX_SEGS - 1; n <= 1000; n++) {
		header(T_OUT, 0);
		for (i = 0; i < n; i++)
			out(DATA, t.bs);
		in(STATUS, 1);
		ASSERT_EQ(n <= MAX_SEGS ? S_OK : S_IOERR, decode())
			TH_LOG("OUT %u", n);

		header(T_IN, 0);
		for (i = 0; i < n; i++)
			in(DATA, t.bs);
		in(STATUS, 1);
		ASSERT_EQ(n <= MAX_SEGS ? S_OK : S_IOERR, decode())
			TH_LOG("IN %u", n);

		/* Data next to the header or the status counts too. */
		header(T_OUT, 0);
		set_out_len(0, t.chain->segs[0].len + t.bs);
		for (i = 1; i < n; i++)
			out(DATA, t.bs);
		in(STATUS, 1);
		ASSERT_EQ(n <= MAX_SEGS ? S_OK : S_IOERR, decode());

		header(T_IN, 0);
		for (i = 1; i < n; i++)
			in(DATA, t.bs);
		in(STATUS, t.bs + 1);
		ASSERT_EQ(n <= MAX_SEGS ? S_OK : S_IOERR, decode());
	}
}

TEST_F(req, readonly)
{
	t.disk.readonly = true;
	EXPECT_EQ(S_OK, rw(T_IN, 0, t.bs));
	EXPECT_EQ(S_OK, rw(T_FLUSH, 0, 0));
	EXPECT_EQ(S_OK, rw(T_GET_ID, 0, 0));
	EXPECT_EQ(S_IOERR, rw(T_OUT, 0, t.bs));
	EXPECT_EQ(S_IOERR, rw(T_OUT, 0, 0));
	EXPECT_EQ(S_IOERR, one_range(T_DISCARD, 0, t.unit, 0));
	EXPECT_EQ(S_IOERR, one_range(T_ZEROES, 0, t.unit, 0));
	EXPECT_EQ(S_IOERR, one_range(T_ERASE, 0, t.unit, 0));
	EXPECT_EQ(S_IOERR, one_range(T_ZEROES, 0, 0, UNMAP));
	EXPECT_EQ(S_UNSUPP, rw(99, 0, 0));
}

TEST_F(req, flush)
{
	EXPECT_EQ(S_OK, rw(T_FLUSH, 0, 0));
	EXPECT_EQ(S_OK, rw(T_FLUSH, ~0ULL, 0));
	EXPECT_EQ(S_OK, rw(T_FLUSH, 1, 0));
	EXPECT_EQ(HEADER_READ, t.mem.nr_bytes);
}

TEST_HARNESS_MAIN
