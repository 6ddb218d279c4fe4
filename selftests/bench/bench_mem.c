// SPDX-License-Identifier: GPL-2.0-only
/* Client memory for timing.  See bench_mem.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#include "bench_mem.h"

#define WINDOW_PAGES	(BM_WINDOW / VV_PAGE)
#define WINDOW_SHIFT	20
/* Of the file: where to look for a contiguous window. */
#define POOL_SIZE	(64UL << 20)
/* Far from the arena. */
#define SPREAD_IOVA	0x100000000ULL

/* Header and status of a slot: no two share a cache line. */
#define META_SIZE	128
#define META_STATUS	64

static void slot_set(struct br_slot *slot, char *meta, __u64 meta_iova,
		     char *data, __u64 data_iova)
{
	slot->hdr = (void *)meta;
	slot->hdr_iova = meta_iova;
	slot->status = (__u8 *)meta + META_STATUS;
	slot->status_iova = meta_iova + META_STATUS;
	slot->data = data;
	slot->data_iova = data_iova;
}

static size_t pages(size_t len)
{
	return (len + VV_PAGE - 1) / VV_PAGE * VV_PAGE;
}

static size_t tables_size(unsigned int slots)
{
	return pages(slots * (BR_MAX_SEGS + 2) * sizeof(struct vring_desc));
}

size_t bm_arena_size(unsigned int slots, unsigned int len, bool indirect)
{
	return pages(slots * META_SIZE) + pages((size_t)slots * len) +
	       (indirect ? tables_size(slots) : 0);
}

int bm_arena(struct vv_dev *dev, struct br_queue *q, unsigned int slots,
	     unsigned int len, bool indirect)
{
	char *meta = vv_alloc(dev, slots * META_SIZE);
	char *data = vv_alloc(dev, (size_t)slots * len);
	unsigned int i;

	for (i = 0; i < slots; i++, meta += META_SIZE, data += len)
		slot_set(&q->slot[i], meta, vv_iova(dev, meta), data,
			 vv_iova(dev, data));
	if (indirect)
		q->tables = vv_alloc(dev, tables_size(slots));
	return 0;
}

/* ---- many ranges ---- */

/* Physical page numbers; only root may see them. */
static int read_pfns(const void *addr, size_t nr, __u64 *pfn)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t want = nr * sizeof(*pfn), got;
	size_t i;

	if (fd < 0)
		return -errno;
	got = pread(fd, pfn, want, (uintptr_t)addr / VV_PAGE * sizeof(*pfn));
	close(fd);
	if (got != want)
		return -EIO;
	for (i = 0; i < nr; i++) {
		pfn[i] &= (1ULL << 55) - 1;
		if (!pfn[i])
			return -EPERM;
	}
	return 0;
}

unsigned int bm_pieces(const void *addr, size_t len)
{
	size_t nr = len / VV_PAGE, i;
	__u64 *pfn = calloc(nr, sizeof(*pfn));
	unsigned int pieces = 0;

	if (pfn && !read_pfns(addr, nr, pfn))
		for (pieces = 1, i = 1; i < nr; i++)
			pieces += pfn[i] != pfn[i - 1] + 1;
	free(pfn);
	return pieces;
}

/* The offset of a window whose pages follow each other, -1 if there is none. */
static long find_window(const char *pool)
{
	size_t nr = POOL_SIZE / VV_PAGE, i, run = 1;
	__u64 *pfn = calloc(nr, sizeof(*pfn));
	long off = -1;

	if (pfn && !read_pfns(pool, nr, pfn))
		for (i = 1; i < nr && off < 0; i++) {
			run = pfn[i] == pfn[i - 1] + 1 ? run + 1 : 1;
			if (run == WINDOW_PAGES)
				off = (i + 1 - run) * VV_PAGE;
		}
	free(pfn);
	return off;
}

/*
 * The window again, in chunks that no neighbour of which follows in physical
 * memory too, so that vhost-vdpa makes a range of each.
 */
static char *make_view(int fd, long off, unsigned int chunks,
		       unsigned int *view_of)
{
	char *view = mmap(NULL, BM_WINDOW, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = BM_WINDOW / chunks;
	unsigned int c, from;

	if (view == MAP_FAILED)
		return NULL;
	for (c = 0; c < chunks; c++) {
		from = c * 5 % chunks;
		view_of[from] = c;
		if (mmap(view + c * size, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
			 off + from * size) == MAP_FAILED)
			return NULL;
	}
	if (bm_pieces(view, BM_WINDOW) != chunks)
		return NULL;
	return view;
}

/* A slot has a page for header and status, and one for data. */
static void spread_slots(struct br_queue *q, char *window, unsigned int chunks,
			 const unsigned int *view_of)
{
	size_t step = WINDOW_PAGES / BM_SLOTS * VV_PAGE;
	size_t size = BM_WINDOW / chunks, meta, data;
	unsigned int i;

	for (i = 0; i < BM_SLOTS; i++) {
		/* 77 is odd: neighbours in a batch are none in memory. */
		meta = i * 77 % BM_SLOTS * step;
		data = meta + VV_PAGE;
		slot_set(&q->slot[i], window + meta,
			 SPREAD_IOVA + view_of[meta / size] * size +
			 meta % size, window + data,
			 SPREAD_IOVA + view_of[data / size] * size +
			 data % size);
	}
}

int bm_spread(struct vv_dev *dev, struct br_queue *q, const char *file,
	      unsigned int ranges)
{
	unsigned int chunks = ranges < WINDOW_PAGES ? ranges : WINDOW_PAGES;
	unsigned int view_of[WINDOW_PAGES], i;
	int fd = open(file, O_RDWR | O_CLOEXEC), ret = 0;
	char *pool, *view;
	long off;

	if (fd < 0)
		return -errno;
	pool = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, 0);
	if (pool == MAP_FAILED)
		return -errno;
	off = find_window(pool);
	if (off < 0)
		return -ENOSPC;
	view = make_view(fd, off, chunks, view_of);
	if (!view)
		return -ENOMEM;

	q->aliases = ranges / chunks;
	q->alias_shift = WINDOW_SHIFT;
	for (i = 0; !ret && i < q->aliases; i++)
		ret = vv_iotlb(dev, VHOST_IOTLB_UPDATE,
			       SPREAD_IOVA + ((__u64)i << WINDOW_SHIFT),
			       BM_WINDOW, view, VHOST_ACCESS_RW);
	spread_slots(q, pool + off, chunks, view_of);
	close(fd);
	return ret;
}
