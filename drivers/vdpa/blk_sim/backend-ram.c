// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RAM backend: sparse, a page is taken on the first write to it.
 *
 * Pages are looked up under RCU and freed after a grace period, so that any
 * number of queues read, write and discard at once without a lock.  Requests
 * in flight that touch the same sectors have no order (virtio 1.3, section
 * 5.2.6.2): a write that meets a discard may be lost, one that starts after
 * the discard has completed finds the page gone.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/vhost_iotlb.h>
#include <linux/xarray.h>

#include "blk_sim.h"

/* Share of the machine's memory that disks leave to everyone else: 1/32. */
#define VBS_RAM_RESERVE_SHIFT	5

/* Pages between two looks at how much memory there is; a power of two. */
#define VBS_RAM_CHECK_PAGES	64

/*
 * struct vbs_ram - the data of a disk
 * @be: the backend
 * @pages: addresses of pages, by page number in the disk
 * @nr_alloc: pages asked for so far
 */
struct vbs_ram {
	struct vbs_backend be;
	struct xarray pages;
	atomic_long_t nr_alloc;
};

static struct vbs_ram *to_ram(struct vbs_backend *be)
{
	return container_of(be, struct vbs_ram, be);
}

static void ram_page_free_rcu(struct rcu_head *head)
{
	__free_page(container_of(head, struct page, rcu_head));
}

static void ram_page_free(const void *page)
{
	call_rcu(&virt_to_page(page)->rcu_head, ram_page_free_rcu);
}

/*
 * Free pages that the CPUs keep in lists of their own.  They do not count as
 * available, but are: after a large discard they are most of what there is.
 */
static long pages_of_cpus(void)
{
	struct zone *zone;
	int nid, cpu;
	long nr = 0;

	for_each_online_node(nid) {
		for (zone = NODE_DATA(nid)->node_zones;
		     zone < NODE_DATA(nid)->node_zones + MAX_NR_ZONES; zone++) {
			if (!populated_zone(zone))
				continue;
			for_each_online_cpu(cpu)
				nr += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset,
							    cpu)->count);
		}
	}
	return nr;
}

/*
 * A disk that takes the last page gets other processes killed, for none of its
 * own memory can be reclaimed: it has to stop before.
 */
static bool ram_is_short(struct vbs_ram *ram)
{
	long reserve = totalram_pages() >> VBS_RAM_RESERVE_SHIFT;
	long n = atomic_long_inc_return(&ram->nr_alloc);
	long available;

	if (n & (VBS_RAM_CHECK_PAGES - 1))
		return false;
	available = si_mem_available();
	return available < reserve && available + pages_of_cpus() < reserve;
}

/*
 * Makes sure that page @index exists.  GFP_NOIO: we may be what reclaim waits
 * for, when the disk is used on this host.  RETRY_MAYFAIL: page cache goes
 * first, but no process is killed.
 */
static noinline int ram_page_add(struct vbs_ram *ram, unsigned long index,
				 bool nowait)
{
	const gfp_t gfp = nowait ?
			  GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC :
			  GFP_NOIO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	unsigned long page;
	int err;

	if (ram_is_short(ram)) {
		/* Look again with the next page, not only 64 pages later. */
		atomic_long_dec(&ram->nr_alloc);
		return -ENOMEM;
	}
	page = get_zeroed_page(gfp);
	if (!page)
		return nowait ? -EAGAIN : -ENOMEM;
	err = xa_insert(&ram->pages, index, (void *)page, gfp);
	if (err)
		free_page(page);
	if (nowait && err == -ENOMEM)
		return -EAGAIN;
	/* Another queue was first. */
	return err == -EBUSY ? 0 : err;
}

/*
 * xa_load() would take the RCU read lock, which the caller has, once more. The
 * state is kept with the request: all of it but this is the same each time.
 */
static inline void *ram_page_find(struct vbs_ram *ram, struct vbs_io *io,
				  unsigned long index)
{
	struct xa_state *xas = (struct xa_state *)io->priv;
	void *page;

	xas->xa = &ram->pages;
	xas_set(xas, index);
	do {
		page = xas_load(xas);
	} while (xas_retry(xas, page));
	return page;
}

/* Whole pages have an instruction of their own. */
static inline void ram_copy(void *to, const void *from, u32 len)
{
	if (len == PAGE_SIZE && !offset_in_page(to) && !offset_in_page(from))
		copy_page(to, (void *)from);
	else
		memcpy(to, from, len);
}

/* @write is constant for each of the two that this is made of. */
static __always_inline int ram_transfer(struct vbs_ram *ram, struct vbs_io *io,
					struct vbs_mem *mem, u64 pos,
					struct vbs_iter *data, const bool write)
{
	u32 perm = write ? VHOST_MAP_RO : VHOST_MAP_WO;
	void *page, *va;
	int err = 0;
	u64 iova;
	u32 len;

	rcu_read_lock();
	while (data->left) {
		page = ram_page_find(ram, io, pos >> PAGE_SHIFT);
		if (unlikely(write && !page)) {
			rcu_read_unlock();
			err = ram_page_add(ram, pos >> PAGE_SHIFT, io->nowait);
			if (err)
				return err;
			rcu_read_lock();
			continue;
		}
		len = min_t(u32, vbs_iter_peek(data, &iova),
			    PAGE_SIZE - offset_in_page(pos));
		if (!vbs_mem_map(mem, iova, perm, &len, &va)) {
			err = -EFAULT;
			break;
		}
		if (likely(page)) {
			page += offset_in_page(pos);
			ram_copy(write ? page : va, write ? va : page, len);
		} else {
			memset(va, 0, len);
		}
		if (len == data->left)
			break;
		vbs_iter_advance(data, len);
		pos += len;
		if (!io->nowait) {
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
	return err;
}

static int ram_rw(struct vbs_backend *be, struct vbs_io *io,
		  struct vbs_mem *mem, u64 pos, struct vbs_iter *data,
		  bool write)
{
	struct vbs_ram *ram = to_ram(be);

	if (write)
		return ram_transfer(ram, io, mem, pos, data, true);
	return ram_transfer(ram, io, mem, pos, data, false);
}

static int ram_flush(struct vbs_backend *be, struct vbs_io *io)
{
	return 0;
}

static void ram_zero_page(struct vbs_ram *ram, unsigned long index,
			  unsigned int offset, unsigned int len)
{
	void *page;

	rcu_read_lock();
	page = xa_load(&ram->pages, index);
	if (page)
		memset(page + offset, 0, len);
	rcu_read_unlock();
}

/* Whole pages from @index to @last; holes cost nothing. */
static void ram_clear_pages(struct vbs_ram *ram, unsigned long index,
			    unsigned long last, bool unmap)
{
	void *page;

	xa_for_each_range(&ram->pages, index, page, index, last) {
		if (unmap) {
			page = xa_erase(&ram->pages, index);
			if (page)
				ram_page_free(page);
		} else {
			ram_zero_page(ram, index, 0, PAGE_SIZE);
		}
		cond_resched();
	}
}

static int ram_write_zeroes(struct vbs_backend *be, u64 pos, u64 len,
			    bool unmap)
{
	struct vbs_ram *ram = to_ram(be);
	u64 end = pos + len;
	unsigned int head;

	head = min_t(u64, len, -pos & (PAGE_SIZE - 1));
	if (head)
		ram_zero_page(ram, pos >> PAGE_SHIFT, offset_in_page(pos),
			      head);
	pos += head;
	if (end - pos >= PAGE_SIZE)
		ram_clear_pages(ram, pos >> PAGE_SHIFT,
				(end >> PAGE_SHIFT) - 1, unmap);
	pos = max_t(u64, pos, end & PAGE_MASK);
	if (pos < end)
		ram_zero_page(ram, pos >> PAGE_SHIFT, 0, end - pos);
	return 0;
}

static int ram_discard(struct vbs_backend *be, u64 pos, u64 len)
{
	return ram_write_zeroes(be, pos, len, true);
}

static u64 ram_size(struct vbs_backend *be)
{
	return be->limits.size;
}

static void ram_free(struct vbs_backend *be)
{
	struct vbs_ram *ram = to_ram(be);
	unsigned long index;
	void *page;

	/* No queue is left: no grace period needed. */
	xa_for_each(&ram->pages, index, page) {
		free_page((unsigned long)page);
		cond_resched();
	}
	xa_destroy(&ram->pages);
	kfree(ram);
}

static const struct vbs_backend_ops ram_ops = {
	.kind		= "RAM",
	.rw		= ram_rw,
	.flush		= ram_flush,
	.discard	= ram_discard,
	.write_zeroes	= ram_write_zeroes,
	.size		= ram_size,
	.free		= ram_free,
	.io_size	= sizeof(struct xa_state),
};

/**
 * vbs_ram_create - an empty RAM backend
 * @params: its description
 *
 * May sleep.  Return: the backend, or -ENOMEM.
 */
struct vbs_backend *vbs_ram_create(const struct vbs_params *params)
{
	struct vbs_ram *ram = kzalloc(sizeof(*ram), GFP_KERNEL);

	if (!ram)
		return ERR_PTR(-ENOMEM);
	ram->be.ops = &ram_ops;
	ram->be.limits = (struct vbs_limits){
		.size = params->size,
		.block_size = 1U << VBS_SECTOR_SHIFT,
		.physical_block_size = PAGE_SIZE,
		.io_min = PAGE_SIZE,
		.io_opt = PAGE_SIZE,
		.seg_max = VBS_SEG_MAX,
		.discard_granularity = PAGE_SIZE,
	};
	xa_init(&ram->pages);
	return &ram->be;
}

/**
 * vbs_ram_exit - wait for pages that were discarded, before the code goes
 */
void vbs_ram_exit(void)
{
	rcu_barrier();
}
