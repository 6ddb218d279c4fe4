// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of a disk of its own that does nothing wrong, and goes on with it
 * while the tests of a program do all kinds of wrong to another disk. See
 * vhost_vdpa.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "vhost_vdpa.h"

#define ROUND_MS	2

/* What it tells the tests. */
struct report {
	unsigned int rounds;
	int err;
};

bool __weak vv_abuse;

static struct report *report;
static struct vv_disk disk;
static pid_t pid;

static void __noreturn run(void)
{
	struct vv_dev dev;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = vv_open(&dev, disk.node);
	if (!ret)
		ret = vv_start(&dev, dev.offered, 1, 256);
	while (!ret) {
		ret = vv_good_client(&dev.vq[0], report->rounds);
		if (!ret && vv_get_status(&dev) != VV_S_LIVE)
			ret = -EPROTO;
		if (!ret)
			__atomic_fetch_add(&report->rounds, 1, __ATOMIC_RELAXED);
		vv_sleep_ms(ROUND_MS);
	}
	report->err = ret;
	_exit(1);
}

int vv_witness_start(void)
{
	int ret;

	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return -errno;
	ret = vv_disk_add_ram(&disk);
	if (ret)
		return ret;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		run();
	return vv_witness_serves();
}

int vv_witness_serves(void)
{
	long long end = vv_now_ms() + VV_TIMEOUT_MS;
	unsigned int before;

	if (!report)
		return 0;
	before = report->rounds;
	/* The first one to end may have begun long ago. */
	while (!report->err && report->rounds - before < 2) {
		if (vv_now_ms() > end)
			return -ETIMEDOUT;
		vv_sleep_ms(1);
	}
	return report->err;
}

void vv_witness_end(void)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	vv_disk_del(&disk);
}
