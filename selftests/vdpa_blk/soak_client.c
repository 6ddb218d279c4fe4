// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client that works for a long time: soak_client NODE SECONDS SEED
 *
 * Writes and reads back, many requests at once, with a suspend and resume or a
 * reset every now and then, as a VM manager does them. Ends with an error at the
 * first thing that is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhost_vdpa.h"

#define NUM		256
#define LEN		(16 << 10)
#define SECTORS		(LEN / VV_SECTOR)
#define DEPTH		8
/* Rounds between two suspends. */
#define SUSPEND		64
/* Suspends between two resets. */
#define RESET		8

size_t vv_mem_size = 4 << 20;

static void __noreturn die(const char *what, int ret)
{
	printf("soak_client: %s: %d\n", what, ret);
	exit(1);
}

static void all_done(struct vv_queue *q, unsigned int n)
{
	int head;

	while (n) {
		head = vv_get(q, NULL);
		if (head < 0) {
			head = vv_wait(q);
			if (head)
				die("a request does not end", head);
			continue;
		}
		if (q->slot[head].status)
			die("a request failed with", q->slot[head].status);
		n--;
	}
}

/* The same places and contents for both. */
static void requests(struct vv_queue *q, __u32 type, char *buf, __u64 seed)
{
	__u64 area = vv_capacity(q->dev) / (SECTORS * DEPTH);
	unsigned int i;
	int head;

	for (i = 0; i < DEPTH; i++) {
		head = vv_submit(q, type,
				 (i * area + seed % area) * SECTORS,
				 buf + i * LEN, LEN);
		if (head < 0)
			die("submit", head);
	}
	vv_kick(q);
}

static void stop_and_go(struct vv_dev *dev, struct vv_queue *q, unsigned int n)
{
	int ret;

	if (n % RESET) {
		ret = vv_suspend(dev);
		if (!ret)
			ret = vv_resume(dev);
	} else {
		all_done(q, DEPTH);
		ret = vv_reset(dev);
		if (!ret)
			ret = vv_restart(dev, dev->features, 1, NUM);
	}
	if (ret)
		die("suspend, resume or reset", ret);
}

static void one_round(struct vv_dev *dev, char *buf, unsigned int n,
		      __u64 seed)
{
	struct vv_queue *q = &dev->vq[0];
	unsigned int i, waits = DEPTH;

	for (i = 0; i < DEPTH; i++)
		vv_fill(buf + i * LEN, LEN, seed + i);
	requests(q, VIRTIO_BLK_T_OUT, buf, seed);
	/* With requests at work. */
	if (n % SUSPEND == 0) {
		stop_and_go(dev, q, n / SUSPEND);
		if (n / SUSPEND % RESET == 0)
			waits = 0;
	}
	all_done(q, waits);
	memset(buf, 0, DEPTH * LEN);
	requests(q, VIRTIO_BLK_T_IN, buf, seed);
	all_done(q, DEPTH);
	for (i = 0; i < DEPTH; i++)
		if (vv_differs(buf + i * LEN, LEN, seed + i) >= 0)
			die("other data than was written, seed", seed);
	if (n % 16 == 0 && vv_blk(q, VIRTIO_BLK_T_FLUSH, 0, NULL, 0))
		die("flush", 0);
}

int main(int argc, char **argv)
{
	struct vv_dev dev;
	long long end;
	unsigned int n;
	char *buf;
	int ret;

	if (argc != 4)
		return 2;
	end = vv_now_ms() + 1000LL * atoi(argv[2]);
	srand(atoi(argv[3]));
	ret = vv_open(&dev, argv[1]);
	if (!ret)
		ret = vv_start(&dev, dev.offered, 1, NUM);
	if (ret)
		die(argv[1], ret);
	buf = vv_alloc(&dev, DEPTH * LEN);
	for (n = 1; vv_now_ms() < end; n++)
		one_round(&dev, buf, n, rand());
	printf("soak_client: %u rounds\n", n - 1);
	vv_close(&dev);
	return 0;
}
