// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file backend: asynchronous kiocbs on the client's pages, past the page
 * cache where the file system lets one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bvec.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/vhost_iotlb.h>

#include "blk_sim.h"

/* Pieces of memory in a request without an allocation of its own. */
#define VBS_FILE_VECS	8

/* Zeroes written at a time where the file system cannot zero a range. */
#define VBS_FILE_ZEROES	(64U << 10)

/*
 * struct vbs_file - a disk in a file
 * @be: the backend
 * @file: the open file
 * @entry: in files
 * @failed: the page cache has lost data.  The kernel reports that once, and then
 *	to whoever asks first, but all queues have to know
 */
struct vbs_file {
	struct vbs_backend be;
	struct file *file;
	struct list_head entry;
	bool failed;
};

/*
 * struct vbs_file_vecs - pieces of memory of a large request
 * @rcu: the way to free it, from any context
 * @vecs: the pieces
 */
struct vbs_file_vecs {
	struct rcu_head rcu;
	struct bio_vec vecs[];
};

/*
 * struct vbs_file_io - the backend's part of a struct vbs_io
 * @iocb: the transfer
 * @io: the request
 * @len: bytes of the transfer
 * @many: its pieces when @few are too few, or NULL
 * @few: enough for most
 */
struct vbs_file_io {
	struct kiocb iocb;
	struct vbs_io *io;
	u64 len;
	struct vbs_file_vecs *many;
	struct bio_vec few[VBS_FILE_VECS];
};

/* All files in use: the same one twice is refused. */
static LIST_HEAD(files);
static DEFINE_MUTEX(files_lock);

static struct vbs_file *to_file(struct vbs_backend *be)
{
	return container_of(be, struct vbs_file, be);
}

static int file_errno(long ret, u64 len)
{
	if (ret < 0)
		return ret;
	/* Short: the end of the file, when somebody has cut it. */
	return ret == len ? 0 : -EIO;
}

static bool file_is_direct(const struct vbs_file *f)
{
	return f->file->f_flags & O_DIRECT;
}

/* Any context, and vfree() may sleep. */
static void file_put_vecs(struct vbs_file_io *fio)
{
	if (is_vmalloc_addr(fio->many))
		kvfree_rcu(fio->many, rcu);
	else
		kfree(fio->many);
}

static void file_done(struct vbs_file_io *fio, long ret)
{
	struct vbs_file *f = to_file(fio->io->vq->dev->backend);
	int err = file_errno(ret, fio->len);

	if (err && fio->iocb.ki_flags & IOCB_DSYNC && !file_is_direct(f))
		WRITE_ONCE(f->failed, true);
	file_put_vecs(fio);
	vbs_io_put(fio->io, err);
}

static void file_complete(struct kiocb *iocb, long ret)
{
	struct vbs_file_io *fio = container_of(iocb, struct vbs_file_io, iocb);

	if (iocb->ki_flags & IOCB_WRITE)
		kiocb_end_write(iocb);
	file_done(fio, ret);
}

/*
 * One walk to count the pieces, without @vecs, and one to note them.  There
 * cannot be more in the second: who maps memory waits for this queue before.
 */
static int file_walk(struct vbs_mem *mem, struct vbs_iter data, u32 perm,
		     struct bio_vec *vecs, unsigned int *nr)
{
	u64 iova;
	void *va;
	u32 len;

	for (*nr = 0; data.left; (*nr)++) {
		len = vbs_iter_peek(&data, &iova);
		if (!vbs_mem_map(mem, iova, perm, &len, &va))
			return -EFAULT;
		if (vecs)
			bvec_set_page(&vecs[*nr], virt_to_page(va), len,
				      offset_in_page(va));
		vbs_iter_advance(&data, len);
	}
	return 0;
}

static struct bio_vec *file_get_vecs(struct vbs_file_io *fio,
				     struct vbs_mem *mem,
				     const struct vbs_iter *data, u32 perm,
				     unsigned int *nr)
{
	struct bio_vec *vecs = fio->few;
	int err;

	fio->many = NULL;
	err = file_walk(mem, *data, perm, NULL, nr);
	if (err)
		return ERR_PTR(err);
	if (*nr > VBS_FILE_VECS) {
		fio->many = kvmalloc(struct_size(fio->many, vecs, *nr),
				     GFP_NOIO | __GFP_ACCOUNT);
		if (!fio->many)
			return ERR_PTR(-ENOMEM);
		vecs = fio->many->vecs;
	}
	/* The client may have unmapped something since. */
	err = file_walk(mem, *data, perm, vecs, nr);
	if (err) {
		file_put_vecs(fio);
		return ERR_PTR(err);
	}
	return vecs;
}

static int file_rw(struct vbs_backend *be, struct vbs_io *io,
		   struct vbs_mem *mem, u64 pos, struct vbs_iter *data,
		   bool write)
{
	struct vbs_file_io *fio = (struct vbs_file_io *)io->priv;
	struct file *file = to_file(be)->file;
	struct kiocb *iocb = &fio->iocb;
	struct bio_vec *vecs;
	struct iov_iter iter;
	unsigned int nr;
	ssize_t ret;

	if (!data->left)
		return 0;
	if (write && io->durable && READ_ONCE(to_file(be)->failed))
		return -EIO;
	vecs = file_get_vecs(fio, mem, data,
			     write ? VHOST_MAP_RO : VHOST_MAP_WO, &nr);
	if (IS_ERR(vecs))
		return PTR_ERR(vecs);

	fio->io = io;
	fio->len = data->left;
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, vecs, nr,
		      fio->len);
	memset(iocb, 0, sizeof(*iocb));
	iocb->ki_filp = file;
	iocb->ki_pos = pos;
	iocb->ki_complete = file_complete;
	iocb->ki_flags = iocb_flags(file);
	if (write) {
		iocb->ki_flags |= IOCB_WRITE;
		if (io->durable)
			iocb->ki_flags |= IOCB_DSYNC;
	}

	vbs_io_get(io);
	if (write)
		ret = vfs_iocb_iter_write(file, iocb, &iter);
	else
		ret = vfs_iocb_iter_read(file, iocb, &iter);
	/* It ended at once: buffered, or with an error. */
	if (ret != -EIOCBQUEUED)
		file_done(fio, ret);
	return 0;
}

static int file_rw_buf(struct vbs_backend *be, void *buf, u64 pos, u32 len,
		       bool write)
{
	struct file *file = to_file(be)->file;
	struct iov_iter iter;
	struct bio_vec vec;
	struct kiocb iocb;
	ssize_t ret;

	bvec_set_virt(&vec, buf, len);
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, &vec, 1, len);
	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = pos;
	if (write)
		ret = vfs_iocb_iter_write(file, &iocb, &iter);
	else
		ret = vfs_iocb_iter_read(file, &iocb, &iter);
	return file_errno(ret, len);
}

static int file_flush(struct vbs_backend *be, struct vbs_io *io)
{
	struct vbs_file *f = to_file(be);
	int err;

	if (READ_ONCE(f->failed))
		return -EIO;
	err = vfs_fsync(f->file, 1);
	if (err && !file_is_direct(f))
		WRITE_ONCE(f->failed, true);
	return err;
}

static int file_punch(struct vbs_backend *be, u64 pos, u64 len)
{
	return vfs_fallocate(to_file(be)->file,
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos,
			     len);
}

/* Slow, but it works everywhere. */
static int file_write_zero_pages(struct vbs_backend *be, u64 pos, u64 len)
{
	u32 size = min_t(u64, len, VBS_FILE_ZEROES), n;
	void *zeroes;
	int err = 0;

	zeroes = kzalloc(size, GFP_NOIO);
	if (!zeroes)
		return -ENOMEM;
	for (; len && !err; pos += n, len -= n) {
		n = min_t(u64, len, size);
		err = file_rw_buf(be, zeroes, pos, n, true);
		cond_resched();
	}
	kfree(zeroes);
	return err;
}

static int file_write_zeroes(struct vbs_backend *be, u64 pos, u64 len,
			     bool unmap)
{
	int err = -EOPNOTSUPP;

	if (unmap)
		err = file_punch(be, pos, len);
	if (err == -EOPNOTSUPP)
		err = vfs_fallocate(to_file(be)->file,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				    pos, len);
	if (err == -EOPNOTSUPP)
		err = file_write_zero_pages(be, pos, len);
	return err;
}

static u64 file_size(struct vbs_backend *be)
{
	return i_size_read(file_inode(to_file(be)->file));
}

static void file_free(struct vbs_backend *be)
{
	struct vbs_file *f = to_file(be);

	mutex_lock(&files_lock);
	list_del(&f->entry);
	mutex_unlock(&files_lock);
	if (f->file)
		fput(f->file);
	kfree(f);
}

static const struct vbs_backend_ops file_ops = {
	.kind		= "file",
	.rw		= file_rw,
	.rw_buf		= file_rw_buf,
	.flush		= file_flush,
	.discard	= file_punch,
	.write_zeroes	= file_write_zeroes,
	.size		= file_size,
	.free		= file_free,
	.io_size	= sizeof(struct vbs_file_io),
	.async		= true,
	.rw_sleeps	= true,
	.flush_sleeps	= true,
};

static int file_claim(struct vbs_file *f)
{
	struct inode *inode = file_inode(f->file);
	struct vbs_file *other;
	int err = 0;

	if (IS_SWAPFILE(inode))
		return -EBUSY;
	mutex_lock(&files_lock);
	list_for_each_entry(other, &files, entry)
		if (file_inode(other->file) == inode)
			err = -EBUSY;
	if (!err)
		list_add(&f->entry, &files);
	mutex_unlock(&files_lock);
	return err;
}

static struct file *file_open(const struct vbs_params *params, bool direct)
{
	int flags = O_LARGEFILE | (params->readonly ? O_RDONLY : O_RDWR);

	return filp_open(params->path, direct ? flags | O_DIRECT : flags, 0);
}

/*
 * What direct I/O asks of memory and of positions.  A file system that does not
 * tell gets the common case; an offset alignment of 0 means no direct I/O on
 * this file.
 */
static int file_limits(struct vbs_file *f)
{
	struct inode *inode = file_inode(f->file);
	struct vbs_limits *limits = &f->be.limits;
	struct kstat stat;
	int err;

	limits->size = i_size_read(inode);
	limits->block_size = 1U << SECTOR_SHIFT;
	limits->physical_block_size = i_blocksize(inode);
	limits->io_min = i_blocksize(inode);
	limits->seg_max = VBS_SEG_MAX;
	if (f->file->f_op->fallocate)
		limits->discard_granularity = i_blocksize(inode);
	if (!file_is_direct(f))
		return 0;

	err = vfs_getattr(&f->file->f_path, &stat, STATX_DIOALIGN,
			  AT_STATX_SYNC_AS_STAT);
	if (err)
		return err;
	limits->dma_mask = limits->block_size - 1;
	if (stat.result_mask & STATX_DIOALIGN) {
		if (!stat.dio_offset_align)
			return -EINVAL;
		limits->dma_mask = stat.dio_mem_align - 1;
		limits->block_size = max(stat.dio_offset_align,
					 limits->block_size);
	}
	return 0;
}

static int file_try_open(struct vbs_file *f, const struct vbs_params *params,
			 bool direct)
{
	struct file *file = file_open(params, direct);
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	f->file = file;
	err = S_ISREG(file_inode(file)->i_mode) ? file_limits(f) : -EINVAL;
	if (err) {
		f->file = NULL;
		fput(file);
	}
	return err;
}

/**
 * vbs_file_open - a backend on a regular file
 * @params: its description, with the path of a regular file
 * @name: the disk's, for the log
 *
 * May sleep.  Return: the backend, or a negative errno, after a log line
 * unless it is -ENOMEM.
 */
struct vbs_backend *vbs_file_open(const struct vbs_params *params,
				  const char *name)
{
	struct vbs_file *f;
	int err;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->be.ops = &file_ops;
	INIT_LIST_HEAD(&f->entry);

	err = file_try_open(f, params, params->direct_io);
	if (err == -EINVAL && params->direct_io) {
		err = file_try_open(f, params, false);
		if (!err)
			pr_info("%s: path=%s: no direct I/O on this file, the page cache is used\n",
				name, params->path);
	}
	if (!err)
		err = file_claim(f);
	if (err) {
		pr_err("%s: path=%s: %s (%d)\n", name, params->path,
		       err == -EBUSY ? "the file is in use" :
		       err == -EROFS ? "the file system is read-only, and readonly=0" :
		       "cannot be opened", err);
		file_free(&f->be);
		return ERR_PTR(err);
	}
	return &f->be;
}
