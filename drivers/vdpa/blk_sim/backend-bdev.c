// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device backend: the client's pages go straight into bios.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/vhost_iotlb.h>

#include "blk_sim.h"

/* Requests that make progress however short memory is. */
#define VBS_BDEV_BIOS	16

/*
 * struct vbs_bdev - a disk on a block device
 * @be: the backend
 * @file: the open device; we are its exclusive holder
 * @bdev: the device
 * @bios: where bios come from
 */
struct vbs_bdev {
	struct vbs_backend be;
	struct file *file;
	struct block_device *bdev;
	struct bio_set bios;
};

static struct vbs_bdev *to_bdev(struct vbs_backend *be)
{
	return container_of(be, struct vbs_bdev, be);
}

static void bdev_end_io(struct bio *bio)
{
	/* The block layer ends flushes under the lock of the queue's flushes. */
	bool flush = bio->bi_opf & (REQ_PREFLUSH | REQ_FUA);
	struct vbs_io *io = bio->bi_private;
	int err = blk_status_to_errno(bio->bi_status);

	bio_put(bio);
	if (flush)
		vbs_io_put_locked(io, err);
	else
		vbs_io_put(io, err);
}

/* May wait for other requests to end: they are on their way already. */
static struct bio *bdev_bio(struct vbs_bdev *b, struct vbs_io *io, u64 pos,
			    unsigned int vecs, blk_opf_t opf)
{
	struct bio *bio = bio_alloc_bioset(b->bdev, vecs,
					   opf | REQ_ALLOC_CACHE, GFP_NOIO,
					   &b->bios);

	bio->bi_iter.bi_sector = pos >> SECTOR_SHIFT;
	bio->bi_private = io;
	bio->bi_end_io = bdev_end_io;
	vbs_io_get(io);
	return bio;
}

static blk_opf_t bdev_opf(const struct vbs_io *io, bool write)
{
	if (!write)
		return REQ_OP_READ;
	return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
	       (io->durable ? REQ_FUA : 0);
}

/*
 * The block layer splits what is too large for the device; here only what is
 * too much for one bio.
 */
static int bdev_rw(struct vbs_backend *be, struct vbs_io *io,
		   struct vbs_mem *mem, u64 pos, struct vbs_iter *data,
		   bool write)
{
	u32 perm = write ? VHOST_MAP_RO : VHOST_MAP_WO;
	struct vbs_bdev *b = to_bdev(be);
	struct bio *bio = NULL;
	unsigned int vecs;
	u64 iova;
	void *va;
	u32 len;

	while (data->left) {
		len = vbs_iter_peek(data, &iova);
		if (!vbs_mem_map(mem, iova, perm, &len, &va)) {
			if (bio)
				bio_io_error(bio);
			return -EFAULT;
		}
		if (!bio || !bio_add_page(bio, virt_to_page(va), len,
					  offset_in_page(va))) {
			if (bio)
				submit_bio(bio);
			vecs = bio_max_segs(DIV_ROUND_UP(data->left, PAGE_SIZE) + 1);
			bio = bdev_bio(b, io, pos, vecs, bdev_opf(io, write));
			continue;
		}
		vbs_iter_advance(data, len);
		pos += len;
	}
	if (bio)
		submit_bio(bio);
	return 0;
}

static int bdev_rw_buf(struct vbs_backend *be, void *buf, u64 pos, u32 len,
		       bool write)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, to_bdev(be)->bdev, &vec, 1,
		 (write ? REQ_OP_WRITE : REQ_OP_READ) | REQ_SYNC);
	bio.bi_iter.bi_sector = pos >> SECTOR_SHIFT;
	__bio_add_page(&bio, virt_to_page(buf), len, offset_in_page(buf));
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

static int bdev_flush(struct vbs_backend *be, struct vbs_io *io)
{
	submit_bio(bdev_bio(to_bdev(be), io, 0, 0,
			    REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH));
	return 0;
}

static int bdev_discard(struct vbs_backend *be, u64 pos, u64 len)
{
	return blkdev_issue_discard(to_bdev(be)->bdev, pos >> SECTOR_SHIFT,
				    len >> SECTOR_SHIFT, GFP_NOIO);
}

static int bdev_write_zeroes(struct vbs_backend *be, u64 pos, u64 len,
			     bool unmap)
{
	return blkdev_issue_zeroout(to_bdev(be)->bdev, pos >> SECTOR_SHIFT,
				    len >> SECTOR_SHIFT, GFP_NOIO,
				    unmap ? 0 : BLKDEV_ZERO_NOUNMAP);
}

static int bdev_secure_erase(struct vbs_backend *be, u64 pos, u64 len)
{
	return blkdev_issue_secure_erase(to_bdev(be)->bdev,
					 pos >> SECTOR_SHIFT,
					 len >> SECTOR_SHIFT, GFP_NOIO);
}

static u64 bdev_size(struct vbs_backend *be)
{
	return bdev_nr_bytes(to_bdev(be)->bdev);
}

static bool bdev_gone(struct vbs_backend *be)
{
	return !disk_live(to_bdev(be)->bdev->bd_disk);
}

static void bdev_free(struct vbs_backend *be)
{
	struct vbs_bdev *b = to_bdev(be);

	bioset_exit(&b->bios);
	if (b->file)
		bdev_fput(b->file);
	kfree(b);
}

static const struct vbs_backend_ops bdev_ops = {
	.kind		= "block device",
	.rw		= bdev_rw,
	.rw_buf		= bdev_rw_buf,
	.flush		= bdev_flush,
	.discard	= bdev_discard,
	.write_zeroes	= bdev_write_zeroes,
	.secure_erase	= bdev_secure_erase,
	.size		= bdev_size,
	.gone		= bdev_gone,
	.free		= bdev_free,
	.async		= true,
};

static void bdev_get_limits(struct vbs_bdev *b)
{
	struct vbs_limits *limits = &b->be.limits;
	struct block_device *bdev = b->bdev;

	limits->size = bdev_nr_bytes(bdev);
	limits->block_size = bdev_logical_block_size(bdev);
	limits->physical_block_size = bdev_physical_block_size(bdev);
	limits->alignment_offset = max(bdev_alignment_offset(bdev), 0);
	limits->io_min = bdev_io_min(bdev);
	limits->io_opt = max_t(int, bdev_io_opt(bdev), 0);
	limits->seg_max = min_t(u32, bdev_max_segments(bdev), VBS_SEG_MAX);
	limits->dma_mask = bdev_dma_alignment(bdev);
	if (bdev_max_discard_sectors(bdev))
		limits->discard_granularity = bdev_discard_granularity(bdev);
	limits->secure_erase = bdev_max_secure_erase_sectors(bdev);
}

static int bdev_acceptable(struct vbs_bdev *b,
			   const struct vbs_params *params, const char *name)
{
	if (bdev_is_zoned(b->bdev)) {
		pr_err("%s: path=%s: zoned devices are not supported\n", name,
		       params->path);
		return -EOPNOTSUPP;
	}
	if (bdev_read_only(b->bdev) && !params->readonly) {
		pr_err("%s: path=%s: the device is read-only, and readonly=0\n",
		       name, params->path);
		return -EROFS;
	}
	return 0;
}

/**
 * vbs_bdev_open - a backend on a block device
 * @params: its description, with the path of a block device
 * @name: the disk's, for the log
 *
 * May sleep.  Return: the backend, or a negative errno, after a log line
 * unless it is -ENOMEM.
 */
struct vbs_backend *vbs_bdev_open(const struct vbs_params *params,
				  const char *name)
{
	blk_mode_t mode = BLK_OPEN_READ;
	struct vbs_bdev *b;
	int err;

	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->be.ops = &bdev_ops;
	err = bioset_init(&b->bios, VBS_BDEV_BIOS, 0,
			  BIOSET_NEED_BVECS | BIOSET_PERCPU_CACHE);
	if (err)
		goto err_free;

	if (!params->readonly)
		mode |= BLK_OPEN_WRITE;
	b->file = bdev_file_open_by_path(params->path, mode, b, NULL);
	if (IS_ERR(b->file)) {
		err = PTR_ERR(b->file);
		b->file = NULL;
		/* How a device that was made read-only before says no. */
		if (err == -EACCES && !params->readonly)
			err = -EROFS;
		pr_err("%s: path=%s: %s (%d)\n", name, params->path,
		       err == -EBUSY ? "the device is in use" :
		       err == -EROFS ? "the device is read-only, and readonly=0" :
		       "cannot be opened", err);
		goto err_free;
	}
	b->bdev = file_bdev(b->file);
	err = bdev_acceptable(b, params, name);
	if (err)
		goto err_free;
	bdev_get_limits(b);
	return &b->be;

err_free:
	bdev_free(&b->be);
	return ERR_PTR(err);
}
