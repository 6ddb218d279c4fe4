// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of a disk that finds no memory: each allocation in turn is refused.
 *
 *   memory_faults setup NODE
 *	opens /dev/vhost-vdpa-N, maps memory, starts queues, and closes it. What
 *	is refused is what this thread asks for in the kernel.
 *   memory_faults io NODE THREAD...
 *	does requests. What is refused is what these kernel threads ask for.
 *
 * Prints how many allocations were refused. Who is refused anything, and that
 * kernels without fault injection have none of this, is for faults_memory.sh,
 * which sets the stack filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhost_vdpa.h"

#define MAX_POINTS	5000
#define MAX_THREADS	256
#define LEN		(64 << 10)
#define NUM		256

static const char *node;

static void __noreturn die(unsigned int n, const char *what, int ret)
{
	printf("allocation %u: %s: %d\n", n, what, ret);
	exit(1);
}

/* ---- the nth allocation of a thread ---- */

static int threads[MAX_THREADS];
static unsigned int nr_threads;

static void thread_add(const char *task)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/fail-nth", task);
	fd = open(path, O_RDWR | O_CLOEXEC);
	/* A kworker may have ended since it was found. */
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || nr_threads == MAX_THREADS)
		die(0, path, -errno);
	threads[nr_threads++] = fd;
}

static void fail_nth(unsigned int n)
{
	char text[16];
	unsigned int i;
	int len = snprintf(text, sizeof(text), "%u", n);

	for (i = 0; i < nr_threads; i++)
		if (pwrite(threads[i], text, len, 0) != len &&
		    errno != ESRCH)
			die(n, "fail-nth", -errno);
}

/* Whether any got so far. */
static bool was_refused(void)
{
	char text[16] = "";
	bool refused = false;
	unsigned int i;

	for (i = 0; i < nr_threads; i++)
		if (pread(threads[i], text, sizeof(text) - 1, 0) > 0 &&
		    atoi(text) == 0)
			refused = true;
	fail_nth(0);
	return refused;
}

/* ---- what is done ---- */

/* Each page takes several allocations: no more of them than are used. */
static int map_used(struct vv_dev *dev)
{
	int ret;

	ret = vv_map(dev, dev->mem, 2 * dev->vq[0].ring_size, VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_map(dev, dev->vq[0].slot, NUM * sizeof(struct vv_slot),
			     VHOST_ACCESS_RW);
	if (!ret)
		ret = vv_map(dev, dev->mem + dev->brk, VV_PAGE,
			     VHOST_ACCESS_RW);
	return ret;
}

static int start(struct vv_dev *dev)
{
	__u64 backend;
	int ret;

	ret = vv_set_owner(dev);
	if (!ret)
		ret = vv_get_backend(dev, &backend);
	if (!ret)
		ret = vv_set_backend(dev, backend);
	if (!ret)
		ret = map_used(dev);
	return ret ? ret : vv_restart(dev, dev->offered, 2, NUM);
}

/* Set up without an error, it works: a queue may have to begin later. */
static bool setup(unsigned int n)
{
	struct vv_dev dev;
	bool refused;
	int ret;

	fail_nth(n);
	ret = vv_open(&dev, node);
	if (!ret)
		ret = start(&dev);
	refused = was_refused();
	/* vhost has other words for it than ENOMEM, too. */
	if (ret && !refused)
		die(n, "nothing is refused, and the set-up fails with", ret);
	if (!ret && vv_good_client(&dev.vq[0], n))
		die(n, "no error, and a request fails", 0);
	vv_close(&dev);
	return refused;
}

/* Of what is refused here nobody hears. */
static bool end(unsigned int n)
{
	struct vv_dev dev;
	bool refused;
	int ret;

	ret = vv_open(&dev, node);
	if (!ret)
		ret = start(&dev);
	if (!ret)
		ret = vv_good_client(&dev.vq[0], n);
	if (ret)
		die(n, "no memory is refused, and the client fails", ret);
	fail_nth(n);
	ret = vv_unmap(&dev, dev.mem, VV_PAGE);
	vv_close(&dev);
	refused = was_refused();
	if (ret && !refused)
		die(n, "nothing is refused, and unmapping fails with", ret);
	return refused;
}

struct request {
	__u32 type;
	__u64 sector;
	__u32 len;
	unsigned int odd;	/* bytes that its memory is off */
};

static const struct request requests[] = {
	{ VIRTIO_BLK_T_OUT, 0, LEN, 0 },
	{ VIRTIO_BLK_T_OUT, 256, 8 << 10, 3 },
	{ VIRTIO_BLK_T_IN, 0, LEN, 0 },
	{ VIRTIO_BLK_T_IN, 256, 8 << 10, 3 },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 512, LEN, 0 },
	{ VIRTIO_BLK_T_FLUSH, 0, 0, 0 },
	{ VIRTIO_BLK_T_DISCARD, 512, LEN, 0 },
	{ VIRTIO_BLK_T_FLUSH, 0, 0, 0 },
};

#define NR_REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static int request(struct vv_queue *q, const struct request *r, char *buf,
		   unsigned int n)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = r->sector,
		.num_sectors = r->len / VV_SECTOR,
	};

	buf += r->odd;
	switch (r->type) {
	case VIRTIO_BLK_T_OUT:
		vv_fill(buf, r->len, n);
		return vv_blk(q, r->type, r->sector, buf, r->len);
	case VIRTIO_BLK_T_IN:
		return vv_blk(q, r->type, r->sector, buf, r->len);
	case VIRTIO_BLK_T_FLUSH:
		return vv_blk(q, r->type, 0, NULL, 0);
	default:
		memcpy(buf, &range, sizeof(range));
		return vv_blk(q, r->type, 0, buf, sizeof(range));
	}
}

/* What was acknowledged is there, and all of it can be done. */
static void works(struct vv_queue *q, char *buf, unsigned int n,
		  const int *status)
{
	const struct request *r;
	unsigned int i;
	int ret;

	for (i = 0; i < NR_REQUESTS; i++) {
		r = &requests[i];
		if (r->type != VIRTIO_BLK_T_OUT || status[i])
			continue;
		ret = vv_blk(q, VIRTIO_BLK_T_IN, r->sector, buf, r->len);
		if (ret)
			die(n, "no read afterwards", ret);
		if (vv_differs(buf, r->len, n) >= 0)
			die(n, "an acknowledged write is not there, request", i);
	}
	for (i = 0; i < NR_REQUESTS; i++) {
		ret = request(q, &requests[i], buf, n);
		if (ret)
			die(n, "nothing is refused, and a request fails", ret);
	}
}

static bool io(struct vv_queue *q, char *buf, unsigned int n,
	       unsigned int *failed)
{
	const struct request all = { VIRTIO_BLK_T_DISCARD, 0, 1 << 20, 0 };
	unsigned int before = *failed, i;
	int status[NR_REQUESTS];
	bool refused;

	/* As on a new disk: there is no place yet for what is written. */
	if (request(q, &all, buf, n))
		die(n, "nothing is refused, and a discard fails", 0);
	fail_nth(n);
	for (i = 0; i < NR_REQUESTS; i++) {
		status[i] = request(q, &requests[i], buf, n);
		if (status[i] == VIRTIO_BLK_S_IOERR)
			++*failed;
		else if (status[i])
			die(n, "a request ends with", status[i]);
	}
	refused = was_refused();
	if (!refused && *failed > before)
		die(n, "nothing is refused, and a request fails", 0);
	works(q, buf, n, status);
	return refused;
}

static void do_setup(void)
{
	unsigned int n = 1, m = 1;

	thread_add("thread-self");
	while (setup(n))
		if (++n == MAX_POINTS)
			die(n, "no end", 0);
	while (end(m))
		if (++m == MAX_POINTS)
			die(m, "no end", 0);
	printf("%u allocations refused, %u at the end\n", n - 1, m - 1);
}

static void do_io(int argc, char **argv)
{
	unsigned int n = 1, failed = 0;
	struct vv_dev dev;
	char *buf;
	int i;

	for (i = 0; i < argc; i++)
		thread_add(argv[i]);
	i = vv_open(&dev, node);
	if (!i)
		i = vv_start(&dev, dev.offered, 1, NUM);
	if (i)
		die(0, node, i);
	buf = vv_alloc(&dev, LEN + VV_PAGE);
	while (io(&dev.vq[0], buf, n, &failed))
		if (++n == MAX_POINTS)
			die(n, "no end", 0);
	printf("%u allocations refused, %u requests failed\n", n - 1, failed);
	vv_close(&dev);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	node = argv[2];
	if (!strcmp(argv[1], "setup"))
		do_setup();
	else
		do_io(argc - 3, argv + 3);
	return 0;
}
