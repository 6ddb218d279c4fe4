// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, at random: a client that knows no rules, with several
 * threads, on a disk whose administrator is busy too. Afterwards, each round:
 * the kernel log is clean, the disk serves a well-behaved client, and another
 * disk has not noticed; at the end nothing is left over in memory.
 *
 * A round is made from its seed, which is in the kernel log and on the console
 * before the round begins: a kernel that dies has said what repeats it.
 *
 *   FUZZ_TIME=SECONDS	how long (default 10)
 *   VDPA_BLK_SEED=N	this round, again and again, and no other
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kselftest.h>

#include "memory_use.h"
#include "vdpa_genl.h"
#include "vhost_fuzz.h"

#define HANG_S		120
#define ROUND_MS	1000
#define WARM_UP		3

static struct vv_disk steady_disk;
static struct vv_dev steady;
static atomic_bool round_over;

/* ---- saying what repeats it ---- */

static char repeat[128];

static void announce(__u64 seed)
{
	/* Opened anew: writes are rate-limited by open file. */
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(repeat, sizeof(repeat),
		 "<4>vhost_fuzz: VDPA_BLK_SEED=%llu repeats this round\n",
		 (unsigned long long)seed);
	if (fd < 0)
		return;
	if (write(fd, repeat, strlen(repeat)) < 0)
		printf("# %s", repeat + 3);
	close(fd);
}

static void on_alarm(int sig)
{
	static const char text[] = "# the round hangs: ";

	if (write(1, text, sizeof(text) - 1) < 0 ||
	    write(1, repeat + 3, strlen(repeat + 3)) < 0)
		_exit(2);
	_exit(KSFT_FAIL);
}

/* @ret: -errno, or the status of a request that failed */
static int complain(const char *what, int ret)
{
	ksft_print_msg("%s (%d)\n# %s", what, ret, repeat + 3);
	return -1;
}

/* ---- threads ---- */

static void *run_ops(void *arg)
{
	struct fuzz_thread *t = arg;
	unsigned int i;

	/* How far it comes is a matter of time, what it does is not. */
	for (i = 0; i < FUZZ_OPS && vv_now_ms() < t->f->end_ms; i++)
		t->op(t);
	return NULL;
}

static void *run_steady(void *arg)
{
	long ret = 0;
	__u64 n = 0;

	do {
		ret = vv_good_client(&steady.vq[n % 2], n);
		n++;
	} while (!ret && !round_over);
	return (void *)ret;
}

static void *run_delete(void *arg)
{
	struct fuzz *f = arg;

	/* It waits for the last close. */
	vdpa_genl_del(f->disk.name);
	return NULL;
}

/* The clients first; admins are two for the races between them. */
static void (* const ops[])(struct fuzz_thread *t) = {
	fuzz_ring, fuzz_ring, fuzz_ring, fuzz_ring,
	fuzz_ioctl, fuzz_ioctl, fuzz_iotlb, fuzz_admin, fuzz_admin,
};

#define CLIENTS		7
#define THREADS		ARRAY_LEN(ops)

static void thread_init(struct fuzz_thread *t, struct fuzz *f, unsigned int i)
{
	t->f = f;
	t->index = i;
	t->rng = f->seed ^ (i + 1ULL) * 0xd1342543de82ef95ULL;
}

static void threads_begin(struct fuzz *f, struct fuzz_thread *t)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		thread_init(&t[i], f, i);
		t[i].op = ops[i];
		pthread_create(&t[i].id, NULL, run_ops, &t[i]);
	}
}

static void threads_join(struct fuzz_thread *t, unsigned int from,
			 unsigned int to)
{
	for (; from < to; from++)
		pthread_join(t[from].id, NULL);
}

/* ---- a round ---- */

static int serves(struct fuzz *f)
{
	struct vv_dev *dev = &f->dev;
	unsigned int i;
	int ret;

	fuzz_disk_repair(f);
	dev->msg_version = 2;
	ret = vv_reset(dev);
	if (!ret)
		ret = vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, 0, -1ULL, NULL, 0);
	if (!ret)
		ret = vv_map_all(dev);
	if (!ret)
		ret = vv_restart(dev, dev->offered, f->queues, 256);
	for (i = 0; !ret && i < f->queues; i++) {
		dev->vq[i].indirect = false;
		ret = vv_good_client(&dev->vq[i], f->seed + i);
	}
	return ret ? complain("not repaired by a reset", ret) : 0;
}

static int first_start(struct fuzz *f, struct fuzz_thread *t)
{
	int n, ret;

	/* of every kind */
	vv_ring_kind = VV_F_KINDS;
	ret = vv_open(&f->dev, f->disk.node);
	if (ret)
		return complain("the new disk cannot be opened", ret);
	n = vv_vqs_count(&f->dev);
	f->queues = n < FUZZ_QUEUES ? n : FUZZ_QUEUES;
	ret = vv_set_owner(&f->dev);
	if (!ret)
		ret = vv_map_all(&f->dev);
	if (ret)
		return complain("the new disk does not start", ret);
	fuzz_restart(t);
	return 0;
}

/*
 * The removal waits for the last close, and all that administrators do waits for
 * the removal.
 */
static int end_removed(struct fuzz *f, struct fuzz_thread *t)
{
	pthread_t deleter;

	pthread_create(&deleter, NULL, run_delete, f);
	threads_join(t, 0, CLIENTS);
	vv_close(&f->dev);
	pthread_join(deleter, NULL);
	f->end_ms = 0;
	threads_join(t, CLIENTS, THREADS);
	return 0;
}

static int end_closed(struct fuzz *f, struct fuzz_thread *t, bool reset)
{
	int ret = 0;

	/* What administrators do takes longer: no round waits for all of it. */
	threads_join(t, 0, CLIENTS);
	f->end_ms = 0;
	threads_join(t, CLIENTS, THREADS);
	if (reset)
		ret = serves(f);
	vv_close(&f->dev);
	return ret;
}

static int use(struct fuzz *f, struct fuzz_thread *t)
{
	struct fuzz_thread threads[THREADS];
	int err, ret = first_start(f, t);
	pthread_t good;
	void *lost;

	if (ret) {
		vv_close(&f->dev);
		return ret;
	}
	round_over = false;
	f->end_ms = vv_now_ms() + ROUND_MS;
	pthread_create(&good, NULL, run_steady, NULL);
	threads_begin(f, threads);
	if (percent(t, 25))
		ret = end_removed(f, threads);
	else
		ret = end_closed(f, threads, percent(t, 70));
	round_over = true;
	pthread_join(good, &lost);
	err = (long)lost;
	return err ? complain("the other disk failed its client", err) : ret;
}

static int one_round(__u64 seed)
{
	struct fuzz f = { .seed = seed };
	struct fuzz_thread t = {};
	unsigned int i;
	int ret;

	for (i = 0; i < FUZZ_QUEUES; i++)
		pthread_mutex_init(&f.lock[i], NULL);
	thread_init(&t, &f, THREADS);
	snprintf(f.disk.name, sizeof(f.disk.name), "vvfuzz-%d", getpid());
	announce(seed);
	vv_klog_start();
	alarm(HANG_S);
	ret = fuzz_disk_add(&t);
	if (ret)
		complain("no disk can be made", ret);
	else
		ret = use(&f, &t);
	fuzz_others_del();
	fuzz_disk_del(&f);
	alarm(0);
	if (vv_klog_bad())
		ret = complain("the kernel complained", -EIO);
	return ret;
}

/* What the kernel keeps for ever is made in the first ones. */
static void run_rounds(__u64 seed, bool same, int seconds)
{
	long long end = vv_now_ms() + seconds * 1000LL;
	struct memory_use before;
	unsigned int n;
	int ret = 0;

	for (n = 0; !ret && (n <= WARM_UP || vv_now_ms() < end); n++) {
		if (n == WARM_UP)
			memory_measure(&before);
		ret = one_round(same ? seed : seed + n);
	}
	ksft_test_result(!ret, "%u rounds\n", n);
	if (n > WARM_UP)
		ksft_test_result(!memory_grew(&before, n),
				 "memory and threads are as before\n");
	else
		ksft_test_result_skip("memory: too few rounds\n");
}

/* ---- the program ---- */

static int steady_start(void)
{
	int ret = vv_disk_add(&steady_disk, 0);

	if (!ret)
		ret = vv_open(&steady, steady_disk.node);
	if (!ret)
		ret = vv_start(&steady, steady.offered, 2, 256);
	return ret;
}

const char *vv_module_params = "num_queues=4";

int main(void)
{
	const char *time = getenv("FUZZ_TIME");
	bool same = getenv("VDPA_BLK_SEED");

	ksft_print_header();
	if (vv_unavailable())
		ksft_exit_skip("%s\n", vv_unavailable());
	signal(SIGALRM, on_alarm);
	fuzz_backings_make();
	if (steady_start())
		ksft_exit_fail_msg("no disk can be made\n");
	ksft_set_plan(2);
	run_rounds(vv_seed(), same, time ? atoi(time) : 10);
	vv_close(&steady);
	vv_disk_del(&steady_disk);
	fuzz_backings_free();
	ksft_finished();
}
