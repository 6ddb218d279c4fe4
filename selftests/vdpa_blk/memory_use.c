// SPDX-License-Identifier: GPL-2.0-only
/* See memory_use.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory_use.h"
#include "vhost_vdpa.h"

/*
 * Pages that CPUs keep for themselves, stack traces seen for the first time, and
 * what a file system below knows now.
 */
#define NOISE_KIB	16384
#define SETTLE_MS	5000

static void set(const char *path, const char *text)
{
	int ret = vv_write(path, text);

	if (ret && ret != -ENOENT)
		printf("# %s: not written\n", path);
}

/*
 * What was freed and is kept: KASAN does with all of it, up to a limit. It takes
 * seconds there.
 */
static void shrink_slabs(void)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir = opendir("/sys/kernel/slab");

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || e->d_type == DT_LNK)
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 e->d_name);
		set(path, "1");
	}
	closedir(dir);
}

/* Sum of what follows @key in a line of the file. */
static long sum(const char *path, const char *key)
{
	char line[256], *pos;
	FILE *f = fopen(path, "re");
	long n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		for (pos = line; isspace(*pos); pos++)
			;
		if (!strncmp(pos, key, strlen(key)))
			n += strtol(pos + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}

static long count_threads(void)
{
	char path[300], name[32];
	struct dirent *e;
	DIR *dir = opendir("/proc");
	long n = 0;
	FILE *f;

	while (dir && (e = readdir(dir))) {
		if (!isdigit(e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f) &&
		    !strncmp(name, "vbs-", 4))
			n++;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

void memory_measure(struct memory_use *use)
{
	const char *vmstat = "/proc/vmstat";

	sync();
	set("/proc/sys/vm/drop_caches", "3");
	set("/proc/sys/vm/stat_refresh", "1");
	/* Free, and with each CPU. */
	use->free_kib = sum("/proc/meminfo", "MemFree:") +
			sum("/proc/zoneinfo", "count:") * 4;
	use->pins = sum(vmstat, "nr_foll_pin_acquired ") -
		    sum(vmstat, "nr_foll_pin_released ");
	use->threads = count_threads();
}

static bool differs(const struct memory_use *a, const struct memory_use *b,
		    unsigned int rounds)
{
	return a->free_kib - b->free_kib > NOISE_KIB + (long)rounds ||
	       a->pins != b->pins || a->threads != b->threads;
}

bool memory_grew(const struct memory_use *before, unsigned int rounds)
{
	long long end = vv_now_ms() + SETTLE_MS;
	struct memory_use now;
	bool grew;

	memory_measure(&now);
	grew = differs(before, &now, rounds);
	while (grew && vv_now_ms() < end) {
		/* Some is freed after a grace period. */
		vv_sleep_ms(200);
		shrink_slabs();
		memory_measure(&now);
		grew = differs(before, &now, rounds);
	}
	printf("# free: %ld KiB, %ld before; pins: %ld, %ld before; threads: %ld, %ld before\n",
	       now.free_kib, before->free_kib, now.pins, before->pins,
	       now.threads, before->threads);
	return grew;
}
