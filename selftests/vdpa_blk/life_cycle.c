// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that can happen to a disk from the loading of the module to its
 * end, in an order that the seed gives, most of it under load: described, added,
 * bound to either bus driver, used, suspended, taken away from its client,
 * deleted, unloaded. Each step has to work, and at the end nothing is left over
 * in memory.
 *
 *   ROUNDS=N		how many (default 20)
 *   VDPA_BLK_SEED=N	of the first one; each has the next number
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <kselftest.h>

#include "memory_use.h"
#include "vdpa_genl.h"
#include "vhost_vdpa.h"

#define MODULE		"vdpa_blk_sim"
#define VDPA_BUS	"/sys/bus/vdpa"
#define DESCS		"/sys/kernel/config/" MODULE
#define STEPS		10
#define WAIT_MS		60000
#define IO_SIZE		(64 << 10)
#define WARM_UP		3

enum bus { BUS_NONE, BUS_VHOST, BUS_VIRTIO };

static const char * const drivers[] = { NULL, "vhost_vdpa", "virtio_vdpa" };

static struct vv_disk disk;
static bool loaded = true, described, added, may_unload;
static enum bus bus;
static pid_t client;
static unsigned int seed;

static unsigned int pick(unsigned int n)
{
	return rand_r(&seed) % n;
}

/* ---- clients: processes, to be killed or to see their disk go ---- */

static int flood(struct vv_queue *q, char *buf)
{
	int ret;

	while (q->nfree >= 3) {
		ret = vv_submit(q, q->nfree % 2 ? VIRTIO_BLK_T_IN :
						  VIRTIO_BLK_T_OUT,
				64 + q->nfree % 64, buf, VV_PAGE);
		if (ret < 0)
			return ret;
	}
	vv_kick_always(q);
	while (q->nfree < q->num) {
		ret = vv_wait(q);
		if (ret)
			return ret;
		while (vv_get(q, NULL) >= 0)
			;
	}
	return 0;
}

/* 0, -errno, or the status of a request that failed */
static int use_vhost(struct vv_dev *dev, char *buf, unsigned int queues)
{
	struct vv_queue *q = &dev->vq[pick(queues)];
	int ret;

	switch (pick(6)) {
	case 0:
		ret = vv_suspend(dev);
		vv_sleep_ms(pick(3));
		return ret ? ret : vv_resume(dev);
	case 1:
		ret = vv_reset(dev);
		return ret ? ret : vv_restart(dev, dev->offered, queues, 256);
	case 2:
		ret = vv_unmap_all(dev);
		return ret ? ret : vv_map_all(dev);
	case 3:
		return vv_good_client(q, pick(1000));
	default:
		return flood(q, buf);
	}
}

static void __noreturn vhost_client(struct vv_dev *dev)
{
	char *buf = vv_alloc(dev, VV_PAGE);
	unsigned int n = vv_vqs_count(dev);
	int ret;

	n = n < 4 ? n : 4;
	ret = vv_start(dev, dev->offered, n, 256);
	while (!ret)
		ret = use_vhost(dev, buf, n);
	if (ret > 0)
		printf("# vhost client: a request failed with %d\n", ret);
	else
		printf("# vhost client: %s\n", strerror(-ret));
	fflush(stdout);
	_exit(1);
}

/* Until the disk is gone; what it says before that has to be right. */
static void __noreturn virtio_client(const char *dev)
{
	int fd = open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	char *buf = aligned_alloc(VV_PAGE, IO_SIZE);
	off_t pos;
	__u64 n;

	for (n = 0; fd >= 0; n++) {
		pos = (off_t)pick(64) * IO_SIZE;
		vv_fill(buf, IO_SIZE, n);
		if (pwrite(fd, buf, IO_SIZE, pos) != IO_SIZE)
			break;
		memset(buf, 0, IO_SIZE);
		if (pread(fd, buf, IO_SIZE, pos) != IO_SIZE)
			break;
		if (vv_differs(buf, IO_SIZE, n) >= 0)
			_exit(1);
	}
	_exit(0);
}

static int find_blk(char *dev, size_t size)
{
	char path[PATH_MAX];
	struct dirent *e;
	int ret = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), VDPA_BUS "/devices/%s", disk.name);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "virtio", 6)) {
			strcat(path, "/");
			strcat(path, e->d_name);
			strcat(path, "/block");
			break;
		}
	if (dir)
		closedir(dir);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "vd", 2)) {
			snprintf(dev, size, "/dev/%s", e->d_name);
			ret = access(dev, F_OK) ? -errno : 0;
		}
	if (dir)
		closedir(dir);
	return ret;
}

static int wait_blk(char *dev, size_t size)
{
	long long end = vv_now_ms() + WAIT_MS;
	int ret;

	do {
		ret = find_blk(dev, size);
		if (ret)
			vv_sleep_ms(5);
	} while (ret && vv_now_ms() < end);
	return ret;
}

static int client_begin(void)
{
	struct vv_dev vhost = {};
	char blk[300] = "";
	int ret;

	vv_ring_kind = pick(2) ? VV_F_PACKED : 0;
	if (bus == BUS_VIRTIO)
		ret = wait_blk(blk, sizeof(blk));
	else
		ret = vv_open(&vhost, disk.node);
	if (ret)
		return ret;
	fflush(stdout);
	client = fork();
	if (!client) {
		/* Its own way from here, wherever it will be killed. */
		seed += 1000003;
		if (bus == BUS_VIRTIO)
			virtio_client(blk);
		vhost_client(&vhost);
	}
	vv_close(&vhost);
	return client < 0 ? -errno : 0;
}

static int client_end(bool by_force)
{
	pid_t pid = client;
	int status;

	if (!pid)
		return 0;
	client = 0;
	if (by_force)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	/* It was still at it, or its disk went away and that was all. */
	if (by_force)
		return WIFSIGNALED(status) ? 0 : -EPROTO;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPROTO;
}

/* ---- steps ---- */

static int step_load(void)
{
	loaded = !vv_module_load();
	return loaded ? 0 : -ENOENT;
}

static int step_describe(void)
{
	char path[128];

	snprintf(path, sizeof(path), DESCS "/%s", disk.name);
	described = !mkdir(path, 0755);
	if (!described)
		return -errno;
	snprintf(path, sizeof(path), DESCS "/%s/num_queues", disk.name);
	return vv_write(path, pick(2) ? "4" : "1");
}

static int step_undescribe(void)
{
	char path[128];

	snprintf(path, sizeof(path), DESCS "/%s", disk.name);
	if (rmdir(path))
		return -errno;
	described = false;
	return 0;
}

static int bind_to(enum bus to)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), VDPA_BUS "/devices/%s/driver_override",
		 disk.name);
	ret = vv_write(path, drivers[to]);
	snprintf(path, sizeof(path), VDPA_BUS "/drivers/%s/bind", drivers[to]);
	if (!ret)
		ret = vv_write(path, disk.name);
	if (!ret)
		bus = to;
	if (!ret && to == BUS_VHOST)
		ret = vv_disk_bind(&disk);
	return ret;
}

/* A driver of the bus may have taken it. */
static enum bus whose(void)
{
	char path[128], target[PATH_MAX] = "";

	snprintf(path, sizeof(path), VDPA_BUS "/devices/%s/driver", disk.name);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return BUS_NONE;
	return strstr(target, "vhost") ? BUS_VHOST : BUS_VIRTIO;
}

static int step_add(void)
{
	int ret = vdpa_genl_add(disk.name, vv_mgmtdev(), 0);

	added = !ret;
	bus = added ? whose() : BUS_NONE;
	if (bus == BUS_VHOST)
		ret = vv_disk_bind(&disk);
	return ret;
}

static int do_unbind(void)
{
	char path[128];

	snprintf(path, sizeof(path), VDPA_BUS "/drivers/%s/unbind",
		 drivers[bus]);
	return vv_write(path, disk.name);
}

static int do_del(void)
{
	int ret = vdpa_genl_del(disk.name);

	if (!ret)
		added = false;
	return ret;
}

static int do_unload(void)
{
	if (syscall(SYS_delete_module, MODULE, O_NONBLOCK))
		return -errno;
	loaded = false;
	added = false;
	return 0;
}

static void *run_taking(void *arg)
{
	int (*take)(void) = arg;

	return (void *)(long)take();
}

/*
 * What takes a disk away waits for a client of vhost, which is killed
 * meanwhile, and lets that of virtio fail.
 */
static int take_away(int (*take)(void))
{
	pthread_t thread;
	void *ret;
	int err;

	if (pthread_create(&thread, NULL, run_taking, take))
		return -EAGAIN;
	vv_sleep_ms(pick(4));
	err = client_end(bus == BUS_VHOST);
	pthread_join(thread, &ret);
	if (ret)
		return (long)ret;
	bus = BUS_NONE;
	return err;
}

static int step_del(void)
{
	return take_away(do_del);
}

static int step_unload(void)
{
	return take_away(do_unload);
}

static int step_bind(void)
{
	return bind_to(1 + pick(2));
}

static int step_unbind(void)
{
	return take_away(do_unbind);
}

static int step_use(void)
{
	int ret = client_begin();

	vv_sleep_ms(pick(20));
	return ret;
}

static int step_kill(void)
{
	return client_end(true);
}

static const struct step {
	const char *name;
	int (*run)(void);
} steps[] = {
	{ "load", step_load }, { "describe", step_describe },
	{ "undescribe", step_undescribe }, { "add", step_add },
	{ "bind", step_bind }, { "use", step_use }, { "use", step_use },
	{ "kill the client", step_kill }, { "unbind", step_unbind },
	{ "del", step_del }, { "unload", step_unload },
};

static bool possible(const struct step *s)
{
	if (s->run == step_load)
		return !loaded;
	if (!loaded)
		return false;
	if (s->run == step_describe || s->run == step_undescribe)
		return !added && described == (s->run == step_undescribe);
	if (s->run == step_add)
		return !added;
	if (s->run == step_bind)
		return added && !bus;
	if (s->run == step_unbind)
		return bus;
	if (s->run == step_use)
		return bus && !client;
	if (s->run == step_kill)
		return client;
	if (s->run == step_unload)
		return may_unload && !described;
	return added;
}

/* ---- rounds ---- */

static int one_step(const struct step *s)
{
	int ret = s->run();

	if (ret)
		printf("# %s: %s\n", s->name, strerror(-ret));
	return ret;
}

/* Where a round begins: the module, and no disk. */
static int back_to_start(void)
{
	int ret = 0;

	if (!loaded)
		ret = step_load();
	if (!ret && added)
		ret = step_del();
	if (!ret && described)
		ret = step_undescribe();
	return ret;
}

static int one_round(unsigned int number)
{
	const struct step *s;
	char done[256] = "";
	int i, err, ret = 0;

	seed = number;
	vv_klog_start();
	for (i = 0; i < STEPS && !ret; i++) {
		do {
			s = &steps[pick(sizeof(steps) / sizeof(steps[0]))];
		} while (!possible(s));
		strcat(strcat(done, s->name), ", ");
		ret = one_step(s);
	}
	err = back_to_start();
	if (vv_klog_bad())
		err = -EIO;
	ret = ret ? ret : err;
	if (ret)
		ksft_print_msg("VDPA_BLK_SEED=%u: %s\n", number, done);
	return ret;
}

static bool others_have_disks(void)
{
	DIR *dir = opendir("/sys/devices/" MODULE);
	struct dirent *e;
	char path[512];
	bool found = false;

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path),
			 "/sys/devices/" MODULE "/%s/driver_override", e->d_name);
		found |= !access(path, F_OK);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* What the kernel keeps for ever is made in the first ones. */
static void run_rounds(unsigned int first, unsigned int rounds)
{
	struct memory_use before;
	unsigned int n;
	int ret = 0;

	for (n = 0; !ret && n < WARM_UP + rounds; n++) {
		if (n == WARM_UP)
			memory_measure(&before);
		ret = one_round(first + n);
	}
	ksft_test_result(!ret, "%u rounds\n", n);
	if (n > WARM_UP)
		ksft_test_result(!memory_grew(&before, n),
				 "memory and threads are as before\n");
	else
		ksft_test_result_skip("memory: too few rounds\n");
}

int main(void)
{
	const char *rounds = getenv("ROUNDS");

	ksft_print_header();
	if (vv_unavailable())
		ksft_exit_skip("%s\n", vv_unavailable());
	vv_run("modprobe -q -a virtio_vdpa virtio_blk");
	if (access(VDPA_BUS "/drivers/virtio_vdpa", F_OK))
		ksft_exit_skip("needs virtio_vdpa (CONFIG_VIRTIO_VDPA)\n");
	ksft_set_plan(2);
	may_unload = !others_have_disks();
	snprintf(disk.name, sizeof(disk.name), "vvlife-%d", getpid());
	run_rounds(vv_seed(), rounds ? atoi(rounds) : 20);
	ksft_finished();
}
