// SPDX-License-Identifier: GPL-2.0-only
/*
 * insn_load disk|vhost NODE read|write BLOCK-SIZE DEPTH REQUESTS
 *
 * A load whose kernel instructions insn_plugin counts: so many requests between
 * its marks, after a warm-up of the same kind, and nothing else there.
 *
 *   disk   a block device, O_DIRECT: pread(2) or pwrite(2) at depth 1, else
 *          Linux AIO, a batch of DEPTH submitted and waited for at once
 *   vhost  /dev/vhost-vdpa-N: a batch of DEPTH published, one kick, then poll(2)
 *          until all have ended
 *
 * Nothing is subtracted: the system calls are part of the figures, the same for
 * each device of a kind.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "../vdpa_blk/vhost_vdpa.h"
#include "insn_plugin.h"

#define MAX_DEPTH	128
#define RANGE		0x100000UL
#define BUF_SIZE	4096UL
#define SETTLE_US	100000

struct load {
	bool write;
	unsigned long bs;
	unsigned int depth;
	unsigned long nr;
	char *buf[MAX_DEPTH];
	unsigned long turn;
	int (*batch)(struct load *load, bool write);

	int fd;
	aio_context_t aio;

	struct vv_dev dev;
	struct vv_queue *q;
};

/* All of the range, in leaps: neighbours could be merged. */
static unsigned long next_pos(struct load *load)
{
	return load->turn++ * 7 % (RANGE / load->bs) * load->bs;
}

/* ---- a block device ---- */

static int one_sync(struct load *load, bool write)
{
	unsigned long pos = next_pos(load);
	ssize_t n;

	if (write)
		n = pwrite(load->fd, load->buf[0], load->bs, pos);
	else
		n = pread(load->fd, load->buf[0], load->bs, pos);
	return n == (ssize_t)load->bs ? 0 : -EIO;
}

static int batch_aio(struct load *load, bool write)
{
	struct iocb cb[MAX_DEPTH], *cbs[MAX_DEPTH];
	struct io_event ev[MAX_DEPTH];
	long n = load->depth, i;

	for (i = 0; i < n; i++) {
		cb[i] = (struct iocb){
			.aio_lio_opcode = write ? IOCB_CMD_PWRITE :
						  IOCB_CMD_PREAD,
			.aio_fildes = load->fd,
			.aio_buf = (unsigned long)load->buf[i],
			.aio_nbytes = load->bs,
			.aio_offset = next_pos(load),
		};
		cbs[i] = &cb[i];
	}
	if (syscall(SYS_io_submit, load->aio, n, cbs) != n ||
	    syscall(SYS_io_getevents, load->aio, n, n, ev, NULL) != n)
		return -EIO;
	for (i = 0; i < n; i++)
		if (ev[i].res != (long long)load->bs)
			return -EIO;
	return 0;
}

static void open_disk(struct load *load, const char *node)
{
	unsigned int i;

	load->fd = open(node, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (load->fd < 0)
		err(1, "%s", node);
	for (i = 0; i < load->depth; i++) {
		load->buf[i] = aligned_alloc(BUF_SIZE, BUF_SIZE);
		if (!load->buf[i])
			err(1, "memory");
		memset(load->buf[i], i + 1, BUF_SIZE);
	}
	load->batch = load->depth == 1 ? one_sync : batch_aio;
	if (load->depth > 1 && syscall(SYS_io_setup, load->depth, &load->aio))
		err(1, "io_setup");
}

/* ---- /dev/vhost-vdpa-N ---- */

static int batch_vhost(struct load *load, bool write)
{
	__u32 type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	struct vv_queue *q = load->q;
	unsigned int i;
	int head, ret;

	for (i = 0; i < load->depth; i++) {
		head = vv_submit(q, type, next_pos(load) / VV_SECTOR,
				 load->buf[i], load->bs);
		if (head < 0)
			return head;
	}
	vv_kick(q);
	for (i = 0; i < load->depth; i++) {
		while ((head = vv_get(q, NULL)) == -EAGAIN) {
			ret = vv_wait(q);
			if (ret)
				return ret;
		}
		if (head < 0)
			return head;
		if (q->slot[head].status != VIRTIO_BLK_S_OK)
			return -EIO;
	}
	return 0;
}

/*
 * Page by page, as if none were neighbours: how many are would be a matter of
 * luck, and the device looks addresses up in what this makes.
 */
static int map_pages(struct vv_dev *dev)
{
	size_t off;
	int ret = 0;

	for (off = 0; !ret && off < vv_mem_size; off += VV_PAGE)
		ret = vv_map(dev, dev->mem + off, VV_PAGE, VHOST_ACCESS_RW);
	return ret;
}

/* With the features that every parent has. */
static int start_vhost(struct vv_dev *dev)
{
	__u64 backend;
	int ret;

	ret = vv_set_owner(dev);
	if (!ret)
		ret = vv_get_backend(dev, &backend);
	if (!ret)
		ret = vv_set_backend(dev, backend);
	if (!ret)
		ret = map_pages(dev);
	if (!ret)
		ret = vv_restart(dev, VV_F_BASE, 1, 256);
	return ret;
}

/*
 * On one CPU, to run when the device's thread has nothing left to do: one
 * poll(2) and one read(2) for each batch, however often a device interrupts.
 */
static void run_last(void)
{
	struct sched_param param = {};

	if (sched_setscheduler(0, SCHED_IDLE, &param))
		err(1, "sched_setscheduler");
}

static void open_vhost(struct load *load, const char *node)
{
	unsigned int i;
	int ret;

	run_last();
	ret = vv_open(&load->dev, node);
	if (!ret)
		ret = start_vhost(&load->dev);
	if (ret)
		errx(1, "%s: %s", node, strerror(-ret));
	load->q = &load->dev.vq[0];
	for (i = 0; i < load->depth; i++)
		load->buf[i] = vv_alloc(&load->dev, BUF_SIZE);
	load->batch = batch_vhost;
}

/* ---- the run ---- */

static void run(struct load *load, bool write, unsigned long nr)
{
	int ret = 0;

	while (nr && !ret) {
		ret = load->batch(load, write);
		nr -= load->depth;
	}
	if (ret)
		errx(1, "I/O: %s", strerror(-ret));
}

int main(int argc, char **argv)
{
	struct load load = {};

	if (argc != 7)
		errx(1, "usage: insn_load disk|vhost NODE read|write BLOCK-SIZE DEPTH REQUESTS");
	load.write = !strcmp(argv[3], "write");
	load.bs = strtoul(argv[4], NULL, 0);
	load.depth = strtoul(argv[5], NULL, 0);
	load.nr = strtoul(argv[6], NULL, 0);
	if (!load.bs || load.bs > BUF_SIZE || !load.depth ||
	    load.depth > MAX_DEPTH || load.nr % load.depth)
		errx(1, "at most %lu bytes, depth %u, whole batches", BUF_SIZE,
		     MAX_DEPTH);
	if (!strcmp(argv[1], "vhost"))
		open_vhost(&load, argv[2]);
	else
		open_disk(&load, argv[2]);

	/* So that RAM has its pages, and each queue has been round once. */
	run(&load, true, (RANGE / load.bs + load.depth - 1) / load.depth *
			 load.depth);
	run(&load, load.write, load.depth * 16);
	/* What set-up has freed, RCU gives back some ticks later. */
	usleep(SETTLE_US);
	insn_begin();
	run(&load, load.write, load.nr);
	insn_end();
	if (load.q)
		vv_close(&load.dev);
	return 0;
}
