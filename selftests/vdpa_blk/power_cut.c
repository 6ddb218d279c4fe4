// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to a disk until the power is cut, and looks what is left.
 *
 *   power_cut load DISK ACKED flush|write SEED
 *	writes numbered blocks to DISK from several threads, for ever. ACKED,
 *	which is to be on a machine that has power, gets the number of each
 *	block once it was acknowledged as durable: by a flush, or by the end of
 *	its write.
 *   power_cut check DISK ACKED
 *	each sector has the write that ACKED says, or a later one. Exits with 1
 *	when it has an earlier one, or a part of a write.
 *
 * Numbers go on rising from one cut to the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <sys/ioctl.h>

#include "stamp.h"

#define THREADS		4
#define THREAD_SLOTS	256
#define SLOTS		(THREADS * THREAD_SLOTS)
#define MAX_SLOTS	16
/* Between two flushes a thread makes at most so many writes. */
#define PERIOD		16

struct writer {
	pthread_t thread;
	unsigned int first;		/* slot */
	unsigned int seed;
	__u32 number;
	__u32 done[THREAD_SLOTS];
};

static int disk_fd;
static int acked_fd;
static bool by_flush;
static __u32 acked[SLOTS];
static struct writer writers[THREADS];

static void __attribute__((__noreturn__)) die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

static void open_files(const char *disk, const char *path)
{
	disk_fd = open(disk, O_RDWR | O_DIRECT);
	if (disk_fd < 0)
		die(disk);
	acked_fd = open(path, O_RDWR | O_CREAT, 0644);
	if (acked_fd < 0 || pread(acked_fd, acked, sizeof(acked), 0) < 0)
		die(path);
}

static void *aligned(size_t len)
{
	void *buf;

	if (posix_memalign(&buf, SLOT, len))
		die("memory");
	return buf;
}

/* ---- load ---- */

static void ack(struct writer *w, unsigned int i, unsigned int nr)
{
	ssize_t len = nr * sizeof(w->done[0]);
	off_t pos = (w->first + i) * sizeof(w->done[0]);

	if (pwrite(acked_fd, &w->done[i], len, pos) != len)
		die("acked");
}

static void write_slots(struct writer *w, void *buf)
{
	unsigned int nr = rand_r(&w->seed) % MAX_SLOTS + 1;
	unsigned int i = rand_r(&w->seed) % (THREAD_SLOTS - nr + 1);
	off_t pos = (off_t)(w->first + i) * SLOT;
	unsigned int n;

	fill(buf, w->first + i, nr, w->number);
	if (pwrite(disk_fd, buf, nr * SLOT, pos) != (ssize_t)nr * SLOT)
		die("write");
	for (n = 0; n < nr; n++)
		w->done[i + n] = w->number;
	w->number++;
	if (!by_flush)
		ack(w, i, nr);
}

static void *writer_main(void *arg)
{
	void *buf = aligned(MAX_SLOTS * SLOT);
	struct writer *w = arg;
	unsigned int n;

	for (;;) {
		for (n = rand_r(&w->seed) % PERIOD + 1; n; n--)
			write_slots(w, buf);
		if (!by_flush)
			continue;
		if (fdatasync(disk_fd))
			die("fdatasync");
		ack(w, 0, THREAD_SLOTS);
	}
	return NULL;
}

/* Above all there is: what was not acknowledged may be there as well. */
static __u32 first_number(void)
{
	char *buf = aligned(SLOT);
	unsigned int i, n;
	__u32 max = 0, number;

	for (i = 0; i < SLOTS; i++) {
		if (pread(disk_fd, buf, SLOT, (off_t)i * SLOT) != SLOT)
			die("read");
		for (n = 0; n < SLOT_SECTORS; n++) {
			number = number_of(buf + n * SECTOR, i);
			if (number != ZEROED && number > max)
				max = number;
		}
		if (acked[i] > max)
			max = acked[i];
	}
	free(buf);
	return max + 1;
}

static void load(unsigned int seed)
{
	__u32 number = first_number();
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		struct writer *w = &writers[i];

		w->first = i * THREAD_SLOTS;
		w->seed = seed + i;
		w->number = number;
		memcpy(w->done, &acked[w->first], sizeof(w->done));
		if (pthread_create(&w->thread, NULL, writer_main, w))
			die("thread");
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(writers[i].thread, NULL);
}

/* ---- check ---- */

static bool is_well(__u32 number, unsigned int slot)
{
	/* Never written. */
	if (number == ZEROED)
		return !acked[slot];
	return number && number >= acked[slot];
}

static int check(void)
{
	unsigned int slot, n, want = 0, bad = 0, later = 0, torn = 0;
	char *buf = aligned(SLOT);
	int block_size;
	__u32 number;

	if (ioctl(disk_fd, BLKSSZGET, &block_size))
		die("BLKSSZGET");
	for (slot = 0; slot < SLOTS; slot++) {
		if (pread(disk_fd, buf, SLOT, (off_t)slot * SLOT) != SLOT)
			die("read");
		want += !!acked[slot];
		for (n = 0; n < SLOT_SECTORS; n++) {
			number = number_of(buf + n * SECTOR, slot);
			if (n % (block_size / SECTOR) &&
			    memcmp(buf, buf + n * SECTOR, SECTOR))
				torn++;
			if (is_well(number, slot)) {
				later += number != ZEROED &&
					 number > acked[slot];
				continue;
			}
			if (bad++ < 5)
				printf("block %u, sector %u has write %u, acknowledged was %u\n",
				       slot, n, number, acked[slot]);
		}
	}
	printf("%u blocks acknowledged, %u sectors lost, %u torn, %u from later writes\n",
	       want, bad, torn, later);
	return bad || torn ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "load")) {
		open_files(argv[2], argv[3]);
		by_flush = !strcmp(argv[4], "flush");
		load(strtoul(argv[5], NULL, 0));
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "check")) {
		open_files(argv[2], argv[3]);
		return check();
	}
	fprintf(stderr, "see the head of power_cut.c\n");
	return 2;
}
