// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what a disk has acknowledged as durable still there after a power cut?
 *
 *   log_writes_check load DISK DM ACKED fsync|write [zeroes|odd]
 *	writes numbered blocks to DISK from several threads. From time to time
 *	it notes in ACKED which were acknowledged: with "fsync" by a flush, with
 *	"write" by their own end. Then it sets a mark in the log of DM, the
 *	dm-log-writes device below the disk. "zeroes" has blocks zeroed, too;
 *	"odd" writes from memory that is aligned to no more than a sector.
 *   log_writes_check extents FILE
 *	prints where FILE lies on its device, for "check".
 *   log_writes_check check LOG ACKED [-x EXTENTS] [-n]
 *	replays the log up to each mark and loses what no flush has followed:
 *	all that was acknowledged has to be there. Exits with 1 when it is not,
 *	with 2 when it cannot tell. -n forgets the flushes before the last mark,
 *	and so has to find a loss.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "stamp.h"

#define THREADS		4
#define THREAD_SLOTS	256
/* The last ones of each thread are written once, and zeroed later. */
#define ZERO_SLOTS	32
#define SLOTS		(THREADS * THREAD_SLOTS)
#define SECTORS		(SLOTS * SLOT_SECTORS)
#define MAX_SLOTS	16
#define MARKS		12
/* Between two marks each thread makes at most so many writes. */
#define PERIOD		12

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- load ---- */

struct writer {
	pthread_t thread;
	unsigned int first;		/* slot */
	unsigned int seed;
	atomic_uint done;
};

static int disk_fd;
static bool zeroes;
static bool odd;
static struct writer writers[THREADS];
static atomic_uint acked[SLOTS];
static atomic_uint allowed;
static atomic_bool stop;

static void write_slots(void *buf, unsigned int slot, unsigned int nr,
			__u32 number)
{
	ssize_t len = nr * SLOT;

	fill(buf, slot, nr, number);
	if (pwrite(disk_fd, buf, len, (off_t)slot * SLOT) != len)
		die("write");
	while (nr--)
		atomic_store(&acked[slot++], number);
}

static void zero_slot(unsigned int slot)
{
	__u64 range[2] = { (__u64)slot * SLOT, SLOT };

	if (ioctl(disk_fd, BLKZEROOUT, range))
		die("BLKZEROOUT");
	atomic_store(&acked[slot], ZEROED);
}

static void *writer_main(void *arg)
{
	unsigned int n, slot, nr, zeroed = 0;
	struct writer *w = arg;
	unsigned int span = THREAD_SLOTS - ZERO_SLOTS;
	void *buf;

	if (posix_memalign(&buf, SLOT, (MAX_SLOTS + 1) * SLOT))
		die("memory");
	if (odd)
		buf += SECTOR;
	write_slots(buf, w->first + span, MAX_SLOTS, 1);
	write_slots(buf, w->first + span + MAX_SLOTS, MAX_SLOTS, 1);
	for (n = 1; !atomic_load(&stop);) {
		if (n >= atomic_load(&allowed)) {
			usleep(200);
			continue;
		}
		if (zeroes && n % 8 == 0 && zeroed < ZERO_SLOTS) {
			zero_slot(w->first + span + zeroed++);
		} else {
			nr = rand_r(&w->seed) % MAX_SLOTS + 1;
			slot = rand_r(&w->seed) % (span - nr + 1);
			write_slots(buf, w->first + slot, nr, n);
		}
		atomic_store(&w->done, n++);
	}
	return NULL;
}

static void set_mark(char *dm, unsigned int number)
{
	char text[16];
	char *argv[] = { "dmsetup", "message", dm, "0", "mark", text, NULL };
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%u", number);
	errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno || waitpid(pid, &status, 0) != pid || status)
		die("dmsetup message");
}

static void wait_for_writers(unsigned int number)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		while (atomic_load(&writers[i].done) < number)
			usleep(200);
}

static int load(const char *disk, char *dm, const char *path, bool sync)
{
	static __u32 now[SLOTS];
	unsigned int mark, i;
	FILE *file;

	disk_fd = open(disk, O_RDWR | O_DIRECT);
	if (disk_fd < 0)
		die(disk);
	file = fopen(path, "w");
	if (!file)
		die(path);
	for (i = 0; i < THREADS; i++) {
		writers[i].first = i * THREAD_SLOTS;
		writers[i].seed = i;
		if (pthread_create(&writers[i].thread, NULL, writer_main,
				   &writers[i]))
			die("thread");
	}
	/* The others are under way while it is flushed. */
	for (mark = 1; mark <= MARKS; mark++) {
		atomic_store(&allowed, mark * PERIOD);
		wait_for_writers((mark - 1) * PERIOD + PERIOD / 2);
		for (i = 0; i < SLOTS; i++)
			now[i] = atomic_load(&acked[i]);
		if (sync && fdatasync(disk_fd))
			die("fdatasync");
		set_mark(dm, mark);
		if (fwrite(now, sizeof(now), 1, file) != 1)
			die(path);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		pthread_join(writers[i].thread, NULL);
	if (fclose(file))
		die(path);
	return 0;
}

/* ---- extents ---- */

struct extent {
	unsigned long long from;	/* sectors */
	unsigned long long to;
	unsigned long long len;
};

#define MAX_EXTENTS	128

static int print_extents(const char *path)
{
	struct fiemap *map;
	struct fiemap_extent *e;
	unsigned int i;
	int fd;

	map = calloc(1, sizeof(*map) + MAX_EXTENTS * sizeof(*e));
	fd = open(path, O_RDONLY);
	if (!map || fd < 0)
		die(path);
	map->fm_length = SECTORS * SECTOR;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = MAX_EXTENTS;
	if (ioctl(fd, FS_IOC_FIEMAP, map))
		die("FIEMAP");
	for (i = 0; i < map->fm_mapped_extents; i++) {
		e = &map->fm_extents[i];
		if (e->fe_flags & ~FIEMAP_EXTENT_LAST) {
			fprintf(stderr, "%s is not written\n", path);
			return 2;
		}
		printf("%llu %llu %llu\n", e->fe_logical / SECTOR,
		       e->fe_physical / SECTOR, e->fe_length / SECTOR);
	}
	return 0;
}

/* ---- check ---- */

#define LOG_MAGIC	0x6a736677736872ULL
#define LOG_FLUSH	0x1
#define LOG_FUA		0x2
#define LOG_DISCARD	0x4
#define LOG_MARK	0x8

struct log_super {
	__u64 magic;
	__u64 version;
	__u64 nr_entries;
	__u32 sector_size;
};

struct log_entry {
	__u64 sector;
	__u64 nr_sectors;
	__u64 flags;
	__u64 data_len;
};

struct check {
	FILE *log;
	FILE *acked;
	struct extent extents[MAX_EXTENTS];
	unsigned int nr_extents;
	unsigned int unit;		/* of the log, sectors */
	bool forget;
	unsigned int mark;		/* last one seen */
	unsigned long lost;
	unsigned long flushes, fuas, writes;
	__u32 cached[SECTORS];
	__u32 durable[SECTORS];
};

static struct check check;

/* The disk's sector at a sector of the device, or SECTORS. */
static unsigned long long disk_sector(unsigned long long sector)
{
	const struct extent *e;
	unsigned int i;

	for (i = 0; i < check.nr_extents; i++) {
		e = &check.extents[i];
		if (sector >= e->to && sector - e->to < e->len)
			return e->from + (sector - e->to);
	}
	return SECTORS;
}

static void read_extents(const char *path)
{
	struct extent *e = check.extents;
	FILE *file;

	if (!path) {
		*e = (struct extent){ 0, 0, SECTORS };
		check.nr_extents = 1;
		return;
	}
	file = fopen(path, "r");
	if (!file)
		die(path);
	while (check.nr_extents < MAX_EXTENTS &&
	       fscanf(file, "%llu %llu %llu", &e->from, &e->to, &e->len) == 3) {
		check.nr_extents++;
		e++;
	}
	fclose(file);
}

static void read_log(void *buf)
{
	if (fread(buf, SECTOR, 1, check.log) != 1)
		die("log");
}

/* The rest of a unit that one sector was read of. */
static void skip_log(void)
{
	if (fseek(check.log, (check.unit - 1) * SECTOR, SEEK_CUR))
		die("log");
}

static void check_mark(void)
{
	static __u32 want[SLOTS];
	unsigned int i;

	if (fread(want, sizeof(want), 1, check.acked) != 1)
		die("acked");
	for (i = 0; i < SECTORS; i++) {
		if (check.durable[i] >= want[i / SLOT_SECTORS])
			continue;
		if (check.lost++ < 5)
			printf("lost at mark %u: sector %u has write %u, acknowledged was %u\n",
			       check.mark, i, check.durable[i],
			       want[i / SLOT_SECTORS]);
	}
}

static void replay_sector(unsigned long long sector, const void *data,
			  bool durable)
{
	unsigned long long i = disk_sector(sector);

	if (i >= SECTORS)
		return;
	check.cached[i] = data ? number_of(data, i / SLOT_SECTORS) : 0;
	if (durable)
		check.durable[i] = check.cached[i];
	check.writes++;
}

static void replay_entry(void)
{
	__u64 head[SECTOR / 8 + 1] = {}, data[SECTOR / 8];
	struct log_entry *e = (struct log_entry *)head;
	__u64 i, sector;
	bool forget, fua;

	read_log(head);
	skip_log();
	e->flags = le64toh(e->flags);
	if (e->flags & LOG_MARK) {
		/* The end of the log has one of its own. */
		if (strtoul((char *)(e + 1), NULL, 10) != check.mark + 1)
			return;
		check.mark++;
		check_mark();
		return;
	}
	forget = check.forget && check.mark == MARKS - 1;
	fua = e->flags & LOG_FUA;
	check.flushes += !!(e->flags & LOG_FLUSH);
	check.fuas += fua;
	if (e->flags & LOG_FLUSH && !forget)
		memcpy(check.durable, check.cached, sizeof(check.durable));
	sector = le64toh(e->sector) * check.unit;
	for (i = 0; i < le64toh(e->nr_sectors) * check.unit; i++) {
		if (e->flags & LOG_DISCARD) {
			replay_sector(sector + i, NULL, false);
			continue;
		}
		read_log(data);
		replay_sector(sector + i, data, fua && !forget);
	}
}

static int check_log(const char *log, const char *acked_path,
		     const char *extents)
{
	__u64 head[SECTOR / 8];
	struct log_super *super = (struct log_super *)head;
	__u64 n;

	read_extents(extents);
	check.log = fopen(log, "r");
	check.acked = fopen(acked_path, "r");
	if (!check.log || !check.acked)
		die("open");
	setvbuf(check.log, NULL, _IOFBF, 1 << 20);
	read_log(head);
	if (le64toh(super->magic) != LOG_MAGIC) {
		fprintf(stderr, "%s is no log\n", log);
		return 2;
	}
	check.unit = le32toh(super->sector_size) / SECTOR;
	skip_log();
	for (n = le64toh(super->nr_entries); n; n--)
		replay_entry();
	printf("%u marks, %lu sectors written, %lu flushes, %lu FUA writes, %lu sectors lost\n",
	       check.mark, check.writes, check.flushes, check.fuas,
	       check.lost);
	if (check.mark != MARKS || !check.writes) {
		fprintf(stderr, "the log is not complete\n");
		return 2;
	}
	return check.lost ? 1 : 0;
}

static int usage(void)
{
	fprintf(stderr, "see the head of log_writes_check.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *extents = NULL;
	int opt;

	if (argc == 3 && !strcmp(argv[1], "extents"))
		return print_extents(argv[2]);
	if (argc >= 6 && !strcmp(argv[1], "load")) {
		zeroes = argc > 6 && !strcmp(argv[6], "zeroes");
		odd = argc > 6 && !strcmp(argv[6], "odd");
		return load(argv[2], argv[3], argv[4],
			    !strcmp(argv[5], "fsync"));
	}
	if (argc < 4 || strcmp(argv[1], "check"))
		return usage();
	optind = 4;
	while ((opt = getopt(argc, argv, "x:n")) != -1) {
		if (opt == 'x')
			extents = optarg;
		else if (opt == 'n')
			check.forget = true;
		else
			return usage();
	}
	return check_log(argv[2], argv[3], extents);
}
