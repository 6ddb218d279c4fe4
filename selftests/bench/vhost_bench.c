// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_bench NODE [WORD=VALUE...]: time requests on /dev/vhost-vdpa-N.
 *
 *   rw=read,write bs=4096 segs=1 batch=32 depth=1	every combination, shuffled
 *   queues=1 ring=256 indirect=0		the device
 *   ranges=0 pool=FILE	IOTLB ranges to spread requests over, see bench_mem.h
 *   ms=100		how long each is measured
 *   cpu=0		where the client runs
 *   seed=1
 *   part= contender= also=WORD:VALUE		for the output
 *
 * One line of JSON for each value.  A batch is submitted, kicked if the device
 * asks for it, and submitted again when all of it is back; depth is how many
 * are in flight.  The client polls for them.  A request that is lost or wrong
 * ends the program with status 1.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_mem.h"
#include "bench_ring.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MAX_VALUES	8
#define MAX_LOADS	64
#define MAX_QUEUES	2
/* Share of the time that is spent before the clock starts. */
#define WARMUP	5
/* Spins between two looks at the clock. */
#define SPINS		4096
#define FILL_BS		65536
#define FILL_BATCH	8

struct values {
	unsigned long v[MAX_VALUES];
	unsigned int n;
};

static struct options {
	struct values rw, bs, segs, batch, depth;
	struct values queues, ring, indirect, ranges, ms, cpu, seed;
	const char *part, *contender, *also, *pool;
} opt = {
	.rw = { { 0, 1 }, 2 }, .bs = { { 4096 }, 1 }, .batch = { { 32 }, 1 },
	.depth = { { 1 }, 1 }, .segs = { { 1 }, 1 }, .queues = { { 1 }, 1 }, .ring = { { 256 }, 1 },
	.indirect = { { 0 }, 1 }, .ranges = { { 0 }, 1 },
	.ms = { { 100 }, 1 }, .cpu = { { 0 }, 1 }, .seed = { { 1 }, 1 },
	.part = "native", .contender = "unknown", .pool = "",
};

static const struct {
	const char *name;
	struct values *values;
} words[] = {
	{ "rw", &opt.rw }, { "bs", &opt.bs }, { "segs", &opt.segs },
	{ "batch", &opt.batch }, { "depth", &opt.depth }, { "queues", &opt.queues },
	{ "ring", &opt.ring }, { "indirect", &opt.indirect },
	{ "ranges", &opt.ranges }, { "ms", &opt.ms }, { "cpu", &opt.cpu },
	{ "seed", &opt.seed },
};

static const struct {
	const char *name;
	const char **text;
} texts[] = {
	{ "part", &opt.part }, { "contender", &opt.contender },
	{ "also", &opt.also }, { "pool", &opt.pool },
};

static struct vv_dev dev;
static struct br_queue queue[MAX_QUEUES];
static double ticks_per_ns;

/* Where the time of the client goes, in ticks. */
struct times {
	__u64 all;
	__u64 submit;
	__u64 kick;
	__u64 reap;
	__u64 requests;
	__u64 kicks;
};

static void __noreturn die(const char *what, int err)
{
	printf("# vhost_bench: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* ---- options ---- */

static unsigned long one_value(const char *word)
{
	char *end;
	unsigned long v;

	if (!strcmp(word, "read") || !strcmp(word, "write"))
		return *word == 'w';
	v = strtoul(word, &end, 0);
	if (*end || end == word)
		die(word, -EINVAL);
	return v;
}

static void parse_values(struct values *values, char *list)
{
	char *word;

	values->n = 0;
	while ((word = strsep(&list, ","))) {
		if (values->n == MAX_VALUES)
			die("too many values", -EINVAL);
		values->v[values->n++] = one_value(word);
	}
}

static void parse_option(char *arg)
{
	char *val = strchr(arg, '=');
	unsigned int i;

	if (!val)
		die(arg, -EINVAL);
	*val++ = '\0';
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(arg, texts[i].name)) {
			*texts[i].text = val;
			return;
		}
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(arg, words[i].name)) {
			parse_values(words[i].values, val);
			return;
		}
	die(arg, -EINVAL);
}

static unsigned long most(const struct values *values)
{
	unsigned long max = 0;
	unsigned int i;

	for (i = 0; i < values->n; i++)
		if (max < values->v[i])
			max = values->v[i];
	return max;
}

static void swap_loads(struct br_load *a, struct br_load *b)
{
	struct br_load tmp = *a;

	*a = *b;
	*b = tmp;
}

/* The combination with this number. */
static struct br_load load_number(unsigned int n)
{
	struct br_load load = { .write = opt.rw.v[n % opt.rw.n] };

	n /= opt.rw.n;
	load.bs = opt.bs.v[n % opt.bs.n];
	n /= opt.bs.n;
	load.segs = opt.segs.v[n % opt.segs.n];
	n /= opt.segs.n;
	load.batch = opt.batch.v[n % opt.batch.n];
	n /= opt.batch.n;
	load.depth = opt.depth.v[n];
	return load;
}

static bool valid(const struct br_load *load)
{
	return load->batch && load->segs && load->segs <= BR_MAX_SEGS &&
	       load->depth && load->depth <= BR_MAX_DEPTH &&
	       br_len(load) && br_len(load) % VV_SECTOR == 0;
}

/* All that the ring has room for, in the order of the seed. */
static unsigned int make_loads(struct br_load *load)
{
	unsigned int all = opt.rw.n * opt.bs.n * opt.segs.n * opt.batch.n *
			   opt.depth.n;
	__u64 random = opt.seed.v[0] + 1;
	unsigned int n = 0, i;

	for (i = 0; i < all; i++) {
		if (n == MAX_LOADS)
			die("too many loads", -EINVAL);
		load[n] = load_number(i);
		if (!valid(&load[n]))
			die("bs, segs, batch or depth", -EINVAL);
		if (br_slots(&load[n]) <= BR_MAX_SLOTS &&
		    br_descs(&load[n], opt.indirect.v[0]) <= opt.ring.v[0])
			n++;
	}
	if (!n)
		die("nothing fits into the ring", -EINVAL);
	for (i = n - 1; i > 0; i--)
		swap_loads(&load[i], &load[br_random(&random) % (i + 1)]);
	return n;
}

/* What bench_mem.c can spread. */
static void check_ranges(const struct br_load *load)
{
	if (opt.ranges.v[0] && (load->segs > 1 || load->bs > VV_PAGE ||
				br_slots(load) > BM_SLOTS ||
				opt.queues.v[0] > 1 || opt.indirect.v[0]))
		die("ranges: one queue, direct, one segment of a page", -EINVAL);
}

/* ---- the device ---- */

static unsigned int most_slots(void)
{
	unsigned int n = most(&opt.batch) * most(&opt.depth);

	return n > FILL_BATCH ? n : FILL_BATCH;
}

static unsigned int most_len(void)
{
	unsigned int n = most(&opt.bs) * most(&opt.segs);

	return n > FILL_BS ? n : FILL_BS;
}

static void device_start(const char *node)
{
	__u64 features = VV_F_BASE | VV_F_EVENT_IDX;
	unsigned int i, n = opt.queues.v[0];
	int ret;

	if (!n || n > MAX_QUEUES)
		die("queues", -EINVAL);
	if (opt.indirect.v[0])
		features |= VV_F_INDIRECT;
	/* The client's own 1 MiB, and ours. */
	vv_mem_size += n * bm_arena_size(most_slots(), most_len(),
					 opt.indirect.v[0]);
	ret = vv_open(&dev, node);
	if (ret)
		die(node, ret);
	if (opt.indirect.v[0] && !(dev.offered & VV_F_INDIRECT))
		die("indirect", -EOPNOTSUPP);
	ret = vv_start(&dev, dev.offered & features, n, opt.ring.v[0]);
	if (ret)
		die("start", ret);
	for (i = 0; i < n; i++) {
		queue[i].vq = &dev.vq[i];
		queue[i].random = (opt.seed.v[0] + 1) * (i + 1);
		if (!queue[i].vq->event_idx)
			queue[i].vq->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
		if (!opt.ranges.v[0])
			bm_arena(&dev, &queue[i], most_slots(), most_len(),
				 opt.indirect.v[0]);
	}
	if (opt.ranges.v[0]) {
		ret = bm_spread(&dev, &queue[0], opt.pool, opt.ranges.v[0]);
		if (ret)
			die("ranges", ret);
	}
}

/* ---- requests ---- */

static void __noreturn lost(const struct br_queue *q, const struct times *t)
{
	printf("# vhost_bench: LOST: %u of %llu requests, queue %u, after %d ms\n",
	       q->all_inflight, (unsigned long long)t->requests, q->vq->index,
	       dev.timeout_ms);
	exit(1);
}

static void submit(struct br_queue *q, unsigned int batch, bool random,
		   struct times *t)
{
	unsigned long kicks = q->vq->kicks;
	__u64 a = br_ticks(), b, c;

	br_submit(q, batch, random);
	b = br_ticks();
	vv_kick(q->vq);
	c = br_ticks();
	t->submit += b - a;
	t->kick += c - b;
	t->kicks += q->vq->kicks - kicks;
	t->requests += q->load.batch;
}

static void reap(struct br_queue *q, struct times *t)
{
	__u64 start = br_ticks();
	int ret = br_reap(q);

	if (ret < 0)
		die("wrong answer", ret);
	t->reap += br_ticks() - start;
}

/* Submit batches that are back, until then. */
static void refill(struct br_queue *q, __u64 end, struct times *t)
{
	unsigned int i;

	for (i = 0; i < q->load.depth; i++)
		if (!q->inflight[i] && br_ticks() < end)
			submit(q, i, true, t);
}

static bool poll_queue(struct br_queue *q, __u64 end, struct times *t)
{
	if (vv_used_idx(q->vq) == q->vq->last_used)
		return false;
	reap(q, t);
	refill(q, end, t);
	return true;
}

/* All batches of all queues once, then again for some time, until all is back. */
static void drive(__u64 ticks, bool random, struct times *t)
{
	__u64 limit = dev.timeout_ms * 1e6 * ticks_per_ns;
	__u64 start = br_ticks(), seen = start;
	unsigned int n = opt.queues.v[0], q, i, spins = 0, left = n;

	for (q = 0; q < n; q++)
		for (i = 0; i < queue[q].load.depth; i++)
			submit(&queue[q], i, random, t);
	while (left) {
		for (q = 0, left = 0; q < n; q++) {
			if (poll_queue(&queue[q], start + ticks, t))
				seen = br_ticks();
			left += queue[q].all_inflight;
			if (++spins % SPINS == 0 && queue[q].all_inflight &&
			    br_ticks() - seen > limit)
				lost(&queue[q], t);
		}
		br_relax();
	}
	t->all += br_ticks() - start;
}

static void prepare(const struct br_load *load)
{
	unsigned int i;

	for (i = 0; i < opt.queues.v[0]; i++)
		br_prepare(&queue[i], load);
}

/* A disk in RAM takes its memory with the first write. */
static void fill_disk(void)
{
	unsigned int bs = opt.ranges.v[0] ? VV_PAGE : FILL_BS, i, q;
	struct br_load load = { true, bs, 1, FILL_BATCH, 1 };
	struct times t = {};
	unsigned long at = 0;

	while (br_descs(&load, opt.indirect.v[0]) > opt.ring.v[0])
		load.batch /= 2;
	prepare(&load);
	while (at < BR_SPAN) {
		for (q = 0; q < opt.queues.v[0]; q++)
			for (i = 0; i < load.batch; i++, at += bs)
				queue[q].slot[i].sector = at % BR_SPAN /
							  VV_SECTOR;
		drive(0, false, &t);
	}
}

/* A request of its own sectors, and its own content, in each slot. */
static void prepare_content(const struct br_load *load)
{
	unsigned int q, i, n = 0;
	struct br_slot *s;

	prepare(load);
	for (q = 0; q < opt.queues.v[0]; q++)
		for (i = 0; i < br_slots(load); i++) {
			s = &queue[q].slot[i];
			s->sector = n++ * (br_len(load) / VV_SECTOR);
			if (load->write)
				vv_fill(s->data, br_len(load), n);
			else
				memset(s->data, 0, br_len(load));
		}
}

/* Does the device do what is about to be timed?  All slots, there and back. */
static void verify(const struct br_load *load)
{
	struct br_load rw = *load;
	unsigned int q, i, n = 0;
	struct times t = {};

	rw.write = true;
	prepare_content(&rw);
	drive(0, false, &t);
	rw.write = false;
	prepare_content(&rw);
	drive(0, false, &t);
	for (q = 0; q < opt.queues.v[0]; q++)
		for (i = 0; i < br_slots(&rw); i++)
			if (vv_differs(queue[q].slot[i].data, br_len(&rw),
				       ++n) >= 0)
				die("data read is not what was written", -EIO);
}

/* ---- values ---- */

static void calibrate(void)
{
	struct timespec a, b;
	__u64 start, end;

	clock_gettime(CLOCK_MONOTONIC, &a);
	start = br_ticks();
	vv_sleep_ms(50);
	clock_gettime(CLOCK_MONOTONIC, &b);
	end = br_ticks();
	ticks_per_ns = (end - start) / ((b.tv_sec - a.tv_sec) * 1e9 +
					(b.tv_nsec - a.tv_nsec));
}

static void print_value(const struct br_load *load, const char *metric,
			const char *unit, double val)
{
	char *word, *end;

	printf("{\"part\":\"%s\",\"contender\":\"%s\",", opt.part,
	       opt.contender);
	printf("\"via\":\"vhost-vdpa\",\"metric\":\"%s\",\"unit\":\"%s\",",
	       metric, unit);
	printf("\"params\":{\"rw\":\"%s\",\"bs\":%u,\"batch\":%u,",
	       load->write ? "write" : "read", load->bs, load->batch);
	printf("\"depth\":%u,\"queues\":%lu", load->depth, opt.queues.v[0]);
	if (opt.also) {
		word = strdup(opt.also);
		end = strchr(word, ':');
		*end++ = '\0';
		printf(",\"%s\":%s", word, end);
		free(word);
	}
	if (opt.segs.n > 1)
		printf(",\"segs\":%u", load->segs);
	printf("},\"value\":%.6g}\n", val);
}

static void values(const struct br_load *load, const struct times *t)
{
	double per = t->requests * ticks_per_ns;

	print_value(load, "ns per request", "ns", t->all / per);
	print_value(load, "requests/s", "1/s", 1e9 * per / t->all);
	print_value(load, "kicks per request", "1",
		    (double)t->kicks / t->requests);
	print_value(load, "client ns per request", "ns",
		    (t->submit + t->reap) / per);
	print_value(load, "kick ns per request", "ns", t->kick / per);
}

static void measure(const struct br_load *load)
{
	__u64 ticks = opt.ms.v[0] * 1e6 * ticks_per_ns;
	struct times t = {};

	verify(load);
	prepare(load);
	drive(ticks / WARMUP, true, &t);
	t = (struct times){};
	drive(ticks, true, &t);
	values(load, &t);
}

int main(int argc, char **argv)
{
	static struct br_load load[MAX_LOADS];
	unsigned int n, i;
	cpu_set_t cpus;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		die("usage: vhost_bench NODE [WORD=VALUE...]", -EINVAL);
	for (i = 2; i < (unsigned int)argc; i++)
		parse_option(argv[i]);
	n = make_loads(load);
	for (i = 0; i < n; i++)
		check_ranges(&load[i]);
	CPU_ZERO(&cpus);
	CPU_SET(opt.cpu.v[0], &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("cpu", -errno);

	calibrate();
	device_start(argv[1]);
	printf("# IOTLB ranges of the arena: %u\n",
	       bm_pieces(dev.mem, vv_mem_size));
	fill_disk();
	for (i = 0; i < n; i++)
		measure(&load[i]);
	vv_close(&dev);
	return 0;
}
