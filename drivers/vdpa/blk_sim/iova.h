/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client's memory: from an IOVA to a kernel address, without a lock, and
 * mostly without a function call.
 */
#ifndef VBS_IOVA_H
#define VBS_IOVA_H

#include <linux/io.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/vhost_iotlb.h>

/* Mappings that a queue remembers, at least and at most; powers of two. */
#define VBS_MEM_HITS_MIN	64
#define VBS_MEM_HITS_MAX	4096

/**
 * struct vbs_mapping - a physically contiguous range of client memory
 * @iova: first address for the client
 * @last: last address for the client
 * @to_va: what makes a kernel address of an IOVA when it is added
 * @perm: VHOST_MAP_RO, _WO or both
 * @next: in a list of ranges to be freed
 */
struct vbs_mapping {
	u64 iova;
	u64 last;
	unsigned long to_va;
	u32 perm;
	struct vbs_mapping *next;
};

/**
 * struct vbs_as - one client's memory: IOVA -> pages
 * @tree: struct vbs_mapping by IOVA; read under RCU, changed by vhost-vdpa under
 *	its lock of the device
 * @identity: the client is virtio-vdpa, an IOVA is a physical address.  Set by
 *	its ring allocation, which user space has no way to cause, and cleared
 *	by every reset; changes only while no queue runs
 * @nr: ranges in @tree
 * @bytes: in all of them
 */
struct vbs_as {
	struct maple_tree tree;
	atomic_t nr;
	atomic64_t bytes;
	bool identity;
};

/**
 * struct vbs_mem - an address space in use by a queue, under vbs_vq.lock
 * @as: the address space
 * @identity: that of @as
 * @shift: log2 of the size that a mapping had on average
 * @mask: entries of @hits, less one
 * @hits: mappings found before, by what is left of the address; NULL when
 *	@identity
 *
 * What was found stays valid while the lock is held: whoever removes a mapping
 * takes the lock of every queue, and calls vbs_mem_forget(), before it lets the
 * pages go.
 */
struct vbs_mem {
	struct vbs_as *as;
	bool identity;
	u8 shift;
	u32 mask;
	const struct vbs_mapping **hits;
};

void vbs_as_init(struct vbs_as *as);
void vbs_as_destroy(struct vbs_as *as);

/**
 * vbs_as_map - add a range of pinned memory
 * @as: address space
 * @iova: first address
 * @size: bytes, whole pages, not 0
 * @pa: physical address of the range, contiguous
 * @perm: VHOST_MAP_RO, _WO or both, as the device sees it
 *
 * Takes references to the pages.  Needs no lock.  May sleep.
 *
 * Return: 0, -EEXIST for an overlap, -EINVAL, or -ENOMEM.
 */
int vbs_as_map(struct vbs_as *as, u64 iova, u64 size, phys_addr_t pa, u32 perm);

/**
 * vbs_as_remove - take all ranges that touch an interval out of the map
 * @as: address space
 * @first: first address
 * @last: last address
 *
 * The pages stay until vbs_mappings_free(): the caller waits in between for
 * queues that may use them.  vbs_dev.lock held, or the last user.  May sleep.
 *
 * Return: what was removed, or NULL.
 */
struct vbs_mapping *vbs_as_remove(struct vbs_as *as, u64 first, u64 last);
void vbs_mappings_free(struct vbs_mapping *gone);

/**
 * vbs_mem_init - begin to use an address space
 * @mem: overwritten
 * @as: the address space, with the mappings that a client begins with
 *
 * May sleep.  Return: 0 or -ENOMEM; vbs_mem_destroy() is due after 0.
 */
int vbs_mem_init(struct vbs_mem *mem, struct vbs_as *as);
void vbs_mem_destroy(struct vbs_mem *mem);

/**
 * vbs_mem_forget - know nothing of mappings any more
 * @mem: in use
 */
void vbs_mem_forget(struct vbs_mem *mem);

static inline const struct vbs_mapping **vbs_mem_hit(const struct vbs_mem *mem,
						     u64 iova)
{
	return &mem->hits[(iova >> mem->shift) & mem->mask];
}

/* For vbs_mem_map(): looks in the tree, and remembers. */
const struct vbs_mapping *vbs_mem_find(struct vbs_mem *mem, u64 iova);

/**
 * vbs_mem_map - find the memory behind an IOVA
 * @mem: address space
 * @iova: the address
 * @perm: VHOST_MAP_RO to read, VHOST_MAP_WO to write
 * @len: bytes wanted; set to what is contiguous from @iova, at most that
 * @va: set to its kernel address
 *
 * Takes no lock.
 *
 * Return: false when the address is not mapped with @perm.
 */
static inline bool vbs_mem_map(struct vbs_mem *mem, u64 iova, u32 perm,
			       u32 *len, void **va)
{
	const struct vbs_mapping *map;
	u64 room;

	if (mem->identity) {
		*va = phys_to_virt(iova);
		return true;
	}

	map = *vbs_mem_hit(mem, iova);
	if (!map || iova < map->iova || iova > map->last) {
		map = vbs_mem_find(mem, iova);
		if (!map)
			return false;
	}
	if ((map->perm & perm) != perm)
		return false;

	room = map->last - iova;
	if (*len > room)
		*len = room + 1;
	*va = (void *)(iova + map->to_va);
	return true;
}

/* As ring.h says. */
static inline bool vbs_mem_peek(struct vbs_mem *mem, u64 iova, u32 len,
				const void **va)
{
	u32 n = len;
	void *at;

	if (!vbs_mem_map(mem, iova, VHOST_MAP_RO, &n, &at))
		return false;
	*va = at;
	return n == len && !((unsigned long)at & (sizeof(u64) - 1));
}

#endif /* VBS_IOVA_H */
