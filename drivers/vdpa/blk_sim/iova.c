// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client's memory: from an IOVA to a kernel address.
 *
 * vhost-vdpa pins the memory a user space client maps and passes physical
 * ranges (use_va=false).  They are kept in a maple tree that the workers read
 * without a lock.  vhost unpins the pages *before* it tells us, so that each
 * range holds references of its own until the last I/O on it has ended.
 *
 * virtio-vdpa, the kernel's own client, needs no table: its IOVAs are physical
 * addresses.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "blk_sim.h"
#include "vdpa_blk_compat.h"

#ifndef CONFIG_64BIT
#error "vdpa_blk_sim reaches client memory through the direct map: 64-bit kernels only"
#endif

void vbs_as_init(struct vbs_as *as)
{
	mt_init_flags(&as->tree, MT_FLAGS_USE_RCU);
}

void vbs_as_destroy(struct vbs_as *as)
{
	vbs_mappings_free(vbs_as_remove(as, 0, ULONG_MAX));
	mtree_destroy(&as->tree);
}

/*
 * One reference per folio and range.  A folio cannot be split while we hold
 * it, so that get and put see the same ones.
 */
static void mapping_ref(const struct vbs_mapping *map, bool get)
{
	phys_addr_t first = virt_to_phys((void *)(map->iova + map->to_va));
	unsigned long pfn = PHYS_PFN(first);
	unsigned long end = PHYS_PFN(first + (map->last - map->iova)) + 1;
	struct folio *folio;

	while (pfn < end) {
		folio = page_folio(pfn_to_page(pfn));
		pfn = folio_pfn(folio) + folio_nr_pages(folio);
		if (get)
			folio_get(folio);
		else
			folio_put(folio);
	}
}

int vbs_as_map(struct vbs_as *as, u64 iova, u64 size, phys_addr_t pa, u32 perm)
{
	struct vbs_mapping *map;
	int err;

	/* vhost-vdpa pins whole pages, and maps no less. */
	if (!size || offset_in_page(iova | size | pa))
		return -EINVAL;

	map = kmalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->iova = iova;
	map->last = iova + size - 1;
	map->to_va = (unsigned long)phys_to_virt(pa) - iova;
	map->perm = perm & VHOST_MAP_RW;

	mapping_ref(map, true);
	err = mtree_insert_range(&as->tree, map->iova, map->last, map,
				 GFP_KERNEL_ACCOUNT);
	if (err) {
		mapping_ref(map, false);
		kfree(map);
		return err;
	}
	atomic_inc(&as->nr);
	atomic64_add(size, &as->bytes);
	return 0;
}

/*
 * mtree_erase() needs memory, and before 6.16 it gives up without a word when
 * there is none: try until the range is really gone.
 */
static void mapping_erase(struct vbs_as *as, const struct vbs_mapping *map)
{
	mtree_erase(&as->tree, map->iova);
	while (unlikely(mtree_load(&as->tree, map->iova) == map)) {
		schedule_timeout_uninterruptible(1);
		mtree_erase(&as->tree, map->iova);
	}
}

struct vbs_mapping *vbs_as_remove(struct vbs_as *as, u64 first, u64 last)
{
	struct vbs_mapping *map, *gone = NULL;
	unsigned long index = first;

	mt_for_each(&as->tree, map, index, last) {
		mapping_erase(as, map);
		atomic_dec(&as->nr);
		atomic64_sub(map->last - map->iova + 1, &as->bytes);
		map->next = gone;
		gone = map;
		cond_resched();
	}
	return gone;
}

void vbs_mappings_free(struct vbs_mapping *gone)
{
	struct vbs_mapping *map;

	while ((map = gone)) {
		gone = map->next;
		mapping_ref(map, false);
		kfree(map);
		cond_resched();
	}
}

/*
 * A client has a few large mappings or thousands of small ones.  With places for
 * twice their number, each as wide as one of them, most have one of their own.
 */
int vbs_mem_init(struct vbs_mem *mem, struct vbs_as *as)
{
	unsigned int nr = max_t(int, atomic_read(&as->nr), 1);
	u64 bytes = atomic64_read(&as->bytes);

	*mem = (struct vbs_mem){ .as = as, .identity = as->identity };
	if (mem->identity)
		return 0;
	mem->shift = ilog2(max_t(u64, bytes / nr, 1));
	nr = clamp_t(u64, 2ULL * nr, VBS_MEM_HITS_MIN, VBS_MEM_HITS_MAX);
	mem->mask = roundup_pow_of_two(nr) - 1;
	mem->hits = kvcalloc(mem->mask + 1, sizeof(*mem->hits),
			     GFP_KERNEL_ACCOUNT);
	return mem->hits ? 0 : -ENOMEM;
}

void vbs_mem_destroy(struct vbs_mem *mem)
{
	kvfree(mem->hits);
	mem->hits = NULL;
}

void vbs_mem_forget(struct vbs_mem *mem)
{
	if (mem->hits)
		memset(mem->hits, 0, (mem->mask + 1) * sizeof(*mem->hits));
}

const struct vbs_mapping *vbs_mem_find(struct vbs_mem *mem, u64 iova)
{
	const struct vbs_mapping *map = mtree_load(&mem->as->tree, iova);

	if (map)
		*vbs_mem_hit(mem, iova) = map;
	return map;
}

int vbs_mem_read(struct vbs_mem *mem, u64 iova, void *buf, u32 len)
{
	void *va;
	u32 n;

	while (len) {
		n = len;
		if (!vbs_mem_map(mem, iova, VHOST_MAP_RO, &n, &va))
			return -EFAULT;
		memcpy(buf, va, n);
		iova += n;
		buf += n;
		len -= n;
	}
	/* Once: the client may change it before the copy is looked at. */
	barrier();
	return 0;
}

int vbs_iter_write(struct vbs_iter *iter, struct vbs_mem *mem, const void *buf,
		   u32 len)
{
	u64 iova;
	void *va;
	u32 n;

	while (len) {
		n = min(vbs_iter_peek(iter, &iova), len);
		if (!vbs_mem_map(mem, iova, VHOST_MAP_WO, &n, &va))
			return -EFAULT;
		memcpy(va, buf, n);
		vbs_iter_advance(iter, n);
		buf += n;
		len -= n;
	}
	return 0;
}

/* The pages of an area; each IOVA page is one whole page of memory. */
static int area_pages(const struct vbs_area *area, struct vbs_mem *mem,
		      u32 perm, struct page **pages)
{
	u64 iova = area->iova, end = area->iova + area->len;
	void *va;
	u32 len;

	for (; iova < end; iova += len) {
		len = min_t(u64, end - iova, PAGE_SIZE - offset_in_page(iova));
		if (!vbs_mem_map(mem, iova, perm, &len, &va))
			return -EFAULT;
		*pages++ = virt_to_page(va);
	}
	return 0;
}

int vbs_area_map(struct vbs_area *area, struct vbs_mem *mem, u32 perm)
{
	unsigned int offset = offset_in_page(area->iova);
	unsigned int nr = DIV_ROUND_UP(offset + area->len, PAGE_SIZE);
	struct page **pages;
	u32 len = area->len;
	int err;

	if (area->iova + area->len < area->iova)
		return -EFAULT;

	area->vmap = NULL;
	if (!vbs_mem_map(mem, area->iova, perm, &len, &area->va))
		return -EFAULT;
	if (len == area->len)
		return 0;

	pages = kcalloc(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	err = area_pages(area, mem, perm, pages);
	if (!err) {
		area->vmap = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
		if (!area->vmap)
			err = -ENOMEM;
		area->va = area->vmap + offset;
	}
	kfree(pages);
	return err;
}

void vbs_area_unmap(struct vbs_area *area)
{
	vunmap(area->vmap);
	area->vmap = NULL;
	area->va = NULL;
}

/*
 * How virtio-vdpa gets at memory.  Data needs no work at all.
 */
static dma_addr_t vbs_map_page(union virtio_map map, struct page *page,
			       unsigned long offset, size_t size,
			       enum dma_data_direction dir, unsigned long attrs)
{
	return page_to_phys(page) + offset;
}

static void vbs_unmap_page(union virtio_map map, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
}

static void vbs_map_sync(union virtio_map map, dma_addr_t addr, size_t size,
			 enum dma_data_direction dir)
{
}

/* Virtqueues are allocated here, after a reset and before DRIVER_OK. */
static void *vbs_map_alloc(union virtio_map map, size_t size, dma_addr_t *addr,
			   gfp_t gfp)
{
	struct vbs_dev *dev = container_of(map.dma_dev, struct vbs_dev,
					   vdpa.dev);
	void *va = alloc_pages_exact(size, gfp | __GFP_ZERO);

	*addr = va ? virt_to_phys(va) : DMA_MAPPING_ERROR;
	mutex_lock(&dev->lock);
	if (!dev->running)
		dev->as.identity = true;
	mutex_unlock(&dev->lock);
	return va;
}

static void vbs_map_free(union virtio_map map, size_t size, void *va,
			 dma_addr_t addr, unsigned long attrs)
{
	free_pages_exact(va, size);
}

static bool vbs_map_need_sync(union virtio_map map, dma_addr_t addr)
{
	return false;
}

static int vbs_map_error(union virtio_map map, dma_addr_t addr)
{
	return addr == DMA_MAPPING_ERROR ? -ENOMEM : 0;
}

static size_t vbs_map_max_size(union virtio_map map)
{
	return SIZE_MAX;
}

const struct virtio_map_ops vbs_map_ops = {
	.map_page		= vbs_map_page,
	.unmap_page		= vbs_unmap_page,
	.sync_single_for_cpu	= vbs_map_sync,
	.sync_single_for_device	= vbs_map_sync,
	.alloc			= vbs_map_alloc,
	.free			= vbs_map_free,
	.need_sync		= vbs_map_need_sync,
	.mapping_error		= vbs_map_error,
	.max_mapping_size	= vbs_map_max_size,
};

VDPA_BLK_MAP_OPS(vbs_map_ops)

int vbs_map_init(struct vdpa_device *vdpa)
{
	return vdpa_blk_init_map(vdpa);
}
