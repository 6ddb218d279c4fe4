// SPDX-License-Identifier: GPL-2.0-only
/*
 * pair_reads DEVICE ROUNDS SEED: two threads read a sector each at almost the
 * same time, wait for each other, and begin again. A kick that is lost stops
 * them: nobody else kicks. Ends with 1 then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECTOR	512
/* Seconds without a round that are a hang, on the slowest machine. */
#define PATIENCE	30

static int fd;
static unsigned int seed;
static unsigned long rounds;
static atomic_ulong arrived;	/* threads, at all rounds together */
static atomic_ulong done;	/* rounds */
static atomic_bool failed;

static bool read_sector(void *buf, off_t sector)
{
	return pread(fd, buf, SECTOR, sector * SECTOR) == SECTOR;
}

static void *reader(void *arg)
{
	unsigned long which = (unsigned long)arg, round;
	unsigned int state = seed + which;
	volatile unsigned int spin;
	void *buf;

	if (posix_memalign(&buf, SECTOR, SECTOR))
		abort();
	for (round = 0; round < rounds && !failed; round++) {
		arrived++;
		while (arrived < 2 * round + 2 && !failed)
			;
		spin = rand_r(&state) % 2048;
		while (spin)
			spin--;
		if (!read_sector(buf, which))
			failed = true;
		if (!which)
			done = round + 1;
	}
	free(buf);
	return NULL;
}

/* Another request kicks, and so frees those that wait in vain. */
static int hung(void)
{
	void *buf;

	printf("# no read has ended for %d s, after %lu rounds\n", PATIENCE,
	       (unsigned long)done);
	failed = true;
	if (posix_memalign(&buf, SECTOR, SECTOR) || !read_sector(buf, 2))
		printf("# nor does another one\n");
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long seen = 0, idle = 0, i;
	pthread_t thread[2];

	if (argc != 4) {
		fprintf(stderr, "usage: pair_reads DEVICE ROUNDS SEED\n");
		return 2;
	}
	rounds = strtoul(argv[2], NULL, 0);
	seed = strtoul(argv[3], NULL, 0);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, reader, (void *)i))
			return 2;
	while (done < rounds && !failed && idle < PATIENCE * 10) {
		usleep(100000);
		idle = seen == done ? idle + 1 : 0;
		seen = done;
	}
	if (!failed && done < rounds)
		return hung();
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	if (failed)
		printf("# a read failed\n");
	return failed;
}
