/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code is written for the newest kernel; this header makes an older one
 * look like it and is the only place that knows the difference.  The HAVE_*
 * macros come from Kbuild.compat.
 */
#ifndef VDPA_BLK_COMPAT_H
#define VDPA_BLK_COMPAT_H

#include <linux/badblocks.h>
#include <linux/kthread.h>
#include <linux/vdpa.h>
#include <linux/virtio_config.h>

#ifndef HAVE_KTHREAD_RUN_WORKER
/* Before 6.14 kthread_create_worker() started the thread. */
#define kthread_run_worker(flags, fmt, ...) \
	kthread_create_worker(flags, fmt, ##__VA_ARGS__)
#endif

#ifdef HAVE_BADBLOCKS_SECTOR_T
typedef sector_t vdpa_blk_bad_sectors_t;
#else /* before 6.16 */
typedef int vdpa_blk_bad_sectors_t;
#endif

static inline bool vdpa_blk_badblocks_check(struct badblocks *bb, sector_t s,
					    u32 nr)
{
	vdpa_blk_bad_sectors_t bad_sectors;
	sector_t first_bad;

	return badblocks_check(bb, s, nr, &first_bad, &bad_sectors);
}

#ifdef HAVE_VIRTIO_MAP_OPS

#define VDPA_BLK_MAP_OPS(ops)

#define vdpa_blk_alloc_device vdpa_alloc_device

static inline void vdpa_blk_set_dma_dev(struct vdpa_device *vdev,
					struct device *dev)
{
	vdev->vmap.dma_dev = dev;
}

static inline int vdpa_blk_init_map(struct vdpa_device *vdev)
{
	vdpa_blk_set_dma_dev(vdev, &vdev->dev);
	return 0;
}

#else /* before 6.18 virtio-vdpa maps through the DMA API */

#include <linux/dma-map-ops.h>

#ifndef CONFIG_ARCH_HAS_DMA_OPS
#error "virtio-vdpa needs CONFIG_ARCH_HAS_DMA_OPS before Linux 6.18"
#endif

union virtio_map {
	struct device *dma_dev;
};

struct virtio_map_ops {
	dma_addr_t (*map_page)(union virtio_map map, struct page *page,
			       unsigned long offset, size_t size,
			       enum dma_data_direction dir,
			       unsigned long attrs);
	void (*unmap_page)(union virtio_map map, dma_addr_t map_handle,
			   size_t size, enum dma_data_direction dir,
			   unsigned long attrs);
	void (*sync_single_for_cpu)(union virtio_map map, dma_addr_t map_handle,
				    size_t size, enum dma_data_direction dir);
	void (*sync_single_for_device)(union virtio_map map,
				       dma_addr_t map_handle, size_t size,
				       enum dma_data_direction dir);
	void *(*alloc)(union virtio_map map, size_t size,
		       dma_addr_t *map_handle, gfp_t gfp);
	void (*free)(union virtio_map map, size_t size, void *vaddr,
		     dma_addr_t map_handle, unsigned long attrs);
	bool (*need_sync)(union virtio_map map, dma_addr_t map_handle);
	int (*mapping_error)(union virtio_map map, dma_addr_t map_handle);
	size_t (*max_mapping_size)(union virtio_map map);
};

/*
 * Gives the one table of map operations of a module to the DMA API.  Only what
 * the DMA API cannot do by itself for coherent memory is passed on.
 */
#define VDPA_BLK_MAP_OPS(ops)						\
static dma_addr_t vdpa_blk_dma_map_page(struct device *dev,		\
					struct page *page,		\
					unsigned long offset,		\
					size_t size,			\
					enum dma_data_direction dir,	\
					unsigned long attrs)		\
{									\
	return (ops).map_page((union virtio_map){ dev }, page, offset,	\
			      size, dir, attrs);			\
}									\
static void vdpa_blk_dma_unmap_page(struct device *dev,			\
				    dma_addr_t addr, size_t size,	\
				    enum dma_data_direction dir,	\
				    unsigned long attrs)		\
{									\
	(ops).unmap_page((union virtio_map){ dev }, addr, size, dir,	\
			 attrs);					\
}									\
static void *vdpa_blk_dma_alloc(struct device *dev, size_t size,	\
				dma_addr_t *addr, gfp_t gfp,		\
				unsigned long attrs)			\
{									\
	return (ops).alloc((union virtio_map){ dev }, size, addr, gfp);	\
}									\
static void vdpa_blk_dma_free(struct device *dev, size_t size,		\
			      void *vaddr, dma_addr_t addr,		\
			      unsigned long attrs)			\
{									\
	(ops).free((union virtio_map){ dev }, size, vaddr, addr, attrs); \
}									\
static const struct dma_map_ops vdpa_blk_dma_ops = {			\
	.map_page = vdpa_blk_dma_map_page,				\
	.unmap_page = vdpa_blk_dma_unmap_page,				\
	.alloc = vdpa_blk_dma_alloc,					\
	.free = vdpa_blk_dma_free,					\
};									\
static int vdpa_blk_init_map(struct vdpa_device *vdev)			\
{									\
	int err;							\
									\
	vdev->dev.dma_mask = &vdev->dev.coherent_dma_mask;		\
	err = dma_set_mask_and_coherent(&vdev->dev, DMA_BIT_MASK(64));	\
	if (err)							\
		return err;						\
	set_dma_ops(&vdev->dev, &vdpa_blk_dma_ops);			\
	vdev->dma_dev = &vdev->dev;					\
	return 0;							\
}

static inline void vdpa_blk_set_dma_dev(struct vdpa_device *vdev,
					struct device *dev)
{
	vdev->dma_dev = dev;
}

#define vdpa_blk_alloc_device(type, member, parent, config, map, ngroups, nas, \
			      name, use_va)				\
	vdpa_alloc_device(type, member, parent, config, ngroups, nas,	\
			  name, use_va)

#endif /* HAVE_VIRTIO_MAP_OPS */

#endif /* VDPA_BLK_COMPAT_H */
