// SPDX-License-Identifier: GPL-2.0-only
/*
 * Getting a disk to test: modules, the vdpa tool, sysfs; and the kernel log.
 * See vhost_vdpa.h.
 *
 * VDPA_BLK_PATH in the environment is a file or block device to put behind the
 * disks, instead of RAM. Each new disk finds it empty: a device must discard to
 * zeroes. One disk at a time, the next one is refused as busy.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syslog.h>
#include <sys/wait.h>

#include "vhost_vdpa.h"

#define VDPA_BUS	"/sys/bus/vdpa"
#define MODULE		"vdpa_blk_sim"
#define DESCS		"/sys/kernel/config/" MODULE
#define RUN_TIMEOUT_MS	60000
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

const char * __weak vv_module_params = "";
bool __weak vv_share_disk;
struct vv_disk vv_shared_disk;

/* Where the output goes of programs that are only asked, or may fail. */
static posix_spawn_file_actions_t to_null;
static bool quiet;

/* Tests are forked from it; it removes what it loaded and made. */
static pid_t main_pid;
static bool loaded;
static char skip_reason[128];

int vv_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Without a shell: starting programs is most of what a test costs in a
 * sanitizer kernel. `vdpa dev del` waits for an open node, so it has an end.
 */
int vv_run(const char *fmt, ...)
{
	long long end = vv_now_ms() + RUN_TIMEOUT_MS;
	char cmd[512], *argv[16], *save;
	unsigned int n = 0;
	int status, ret;
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	argv[0] = strtok_r(cmd, " ", &save);
	while (argv[n] && n < ARRAY_LEN(argv) - 1)
		argv[++n] = strtok_r(NULL, " ", &save);
	argv[n] = NULL;
	fflush(stdout);
	ret = posix_spawnp(&pid, argv[0], quiet ? &to_null : NULL, NULL, argv,
			   environ);
	if (ret)
		return -ret;
	while ((ret = waitpid(pid, &status, WNOHANG)) == 0) {
		if (vv_now_ms() > end) {
			kill(pid, SIGKILL);
			return -ETIMEDOUT;
		}
		vv_sleep_ms(1);
	}
	return ret == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

const char *vv_mgmtdev(void)
{
	const char *env = getenv("VDPA_BLK_MGMTDEV");

	return env ? env : MODULE;
}

static bool is_ours(void)
{
	return !strcmp(vv_mgmtdev(), MODULE);
}

static bool have_mgmtdev(void)
{
	return vv_run("vdpa mgmtdev show %s", vv_mgmtdev()) == 0;
}

int vv_module_load(void)
{
	const char *params = vv_module_params;
	char exe[PATH_MAX] = "", *slash;
	ssize_t n;

	if (vv_run("modprobe " MODULE " %s", params) == 0)
		return 0;
	vv_run("modprobe -a configfs vdpa vhost_iotlb");
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	slash = n > 0 ? strrchr(exe, '/') : NULL;
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return vv_run("insmod %s/../../drivers/vdpa/blk_sim/" MODULE ".ko %s",
		      exe, params) ? -ENOENT : 0;
}

static void need(bool have, const char *reason)
{
	if (!have && !skip_reason[0])
		snprintf(skip_reason, sizeof(skip_reason), "%s", reason);
}

static void find_modules(void)
{
	need(geteuid() == 0, "needs root");
	if (skip_reason[0])
		return;
	need(vv_run("vdpa -V") == 0, "needs the vdpa tool (iproute2)");
	if (!skip_reason[0] && !have_mgmtdev()) {
		if (!is_ours())
			vv_run("modprobe vdpa_sim_blk");
		else if (vv_module_load() == 0)
			loaded = true;
		need(have_mgmtdev(),
		     "no such management device, and its module cannot be loaded");
	}
	if (!skip_reason[0]) {
		if (access(VDPA_BUS "/drivers/vhost_vdpa", F_OK))
			vv_run("modprobe vhost_vdpa");
		need(!access(VDPA_BUS "/drivers/vhost_vdpa", F_OK),
		     "needs vhost_vdpa (CONFIG_VHOST_VDPA)");
	}
}

/*
 * Once per program, not per test: the harness forks each test, and what is
 * made here stays until the program ends.
 */
static void __attribute__((constructor)) prepare(void)
{
	posix_spawn_file_actions_init(&to_null);
	posix_spawn_file_actions_addopen(&to_null, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&to_null, 2, "/dev/null", O_WRONLY, 0);
	main_pid = getpid();
	quiet = true;
	find_modules();
	quiet = false;
	if (vv_share_disk && !skip_reason[0])
		need(!vv_disk_add(&vv_shared_disk, 0), "no disk can be made");
	if (vv_abuse && is_ours() && !skip_reason[0])
		need(!vv_witness_start(), "no second disk can be used");
}

static void __attribute__((destructor)) cleanup(void)
{
	if (main_pid != getpid())
		return;
	vv_witness_end();
	vv_disk_del(&vv_shared_disk);
	if (loaded)
		vv_run("rmmod " MODULE);
}

const char *vv_unavailable(void)
{
	return skip_reason[0] ? skip_reason : NULL;
}

static int sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -errno : 0;
}

static int find_node(struct vv_disk *disk)
{
	char path[128];
	struct dirent *e;
	int ret = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), VDPA_BUS "/devices/%s", disk->name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret && (e = readdir(dir))) {
		if (strncmp(e->d_name, "vhost-vdpa-", 11))
			continue;
		snprintf(disk->node, sizeof(disk->node), "/dev/%.50s",
			 e->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

/* A new device goes to whichever bus driver came first: make it vhost_vdpa. */
int vv_disk_bind(struct vv_disk *disk)
{
	char path[128];
	int tries;

	snprintf(path, sizeof(path), VDPA_BUS "/devices/%s/driver_override",
		 disk->name);
	sysfs_write(path, "vhost_vdpa");
	if (find_node(disk)) {
		snprintf(path, sizeof(path), VDPA_BUS "/devices/%s/driver/unbind",
			 disk->name);
		sysfs_write(path, disk->name);
		sysfs_write(VDPA_BUS "/drivers/vhost_vdpa/bind", disk->name);
		if (find_node(disk))
			return -ENODEV;
	}
	/* devtmpfs is quick, but not part of the add. */
	for (tries = 0; access(disk->node, F_OK) && tries < 100; tries++)
		vv_sleep_ms(20);
	return access(disk->node, F_OK) ? -errno : 0;
}

static int empty(const char *path)
{
	struct stat st;
	__u64 range[2] = {};
	bool ok;
	int fd;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ok = !fstat(fd, &st);
	if (ok && S_ISREG(st.st_mode))
		ok = !ftruncate(fd, 0) && !ftruncate(fd, st.st_size);
	else if (ok)
		ok = !ioctl(fd, BLKGETSIZE64, &range[1]) &&
		     !ioctl(fd, BLKDISCARD, range);
	close(fd);
	return ok ? 0 : -EIO;
}

static int desc_write(const struct vv_disk *disk, const char *attr,
		      const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DESCS "/%s/%s", disk->name, attr);
	return sysfs_write(path, text);
}

/* The tests know how many segments a disk in RAM takes, and its blocks. */
static int describe(const struct vv_disk *disk, const char *backing)
{
	char dir[128];
	int ret;

	ret = empty(backing);
	if (ret)
		return ret;
	snprintf(dir, sizeof(dir), DESCS "/%s", disk->name);
	if (mkdir(dir, 0755))
		return -errno;
	ret = desc_write(disk, "path", backing);
	if (!ret)
		ret = desc_write(disk, "seg_max", "254");
	if (!ret)
		ret = desc_write(disk, "physical_block_size", "4096");
	return ret;
}

static void undescribe(const struct vv_disk *disk)
{
	char dir[128];

	snprintf(dir, sizeof(dir), DESCS "/%s", disk->name);
	rmdir(dir);
}

static int disk_add(struct vv_disk *disk, __u64 features, const char *backing)
{
	static unsigned int serial;
	char attr[64] = "";
	int ret;

	if (!disk->name[0])
		snprintf(disk->name, sizeof(disk->name), "vvt%d-%u", getpid(),
			 serial++);
	if (features)
		snprintf(attr, sizeof(attr), "device_features 0x%llx",
			 (unsigned long long)features);
	if ((backing && describe(disk, backing)) ||
	    vv_run("vdpa dev add name %s mgmtdev %s %s", disk->name,
		   vv_mgmtdev(), attr)) {
		undescribe(disk);
		disk->name[0] = '\0';
		return -EINVAL;
	}
	ret = vv_disk_bind(disk);
	if (ret)
		vv_disk_del(disk);
	return ret;
}

int vv_disk_add(struct vv_disk *disk, __u64 features)
{
	return disk_add(disk, features, getenv("VDPA_BLK_PATH"));
}

int vv_disk_add_ram(struct vv_disk *disk)
{
	return disk_add(disk, 0, NULL);
}

bool vv_can_choose_features(void)
{
	return system("vdpa dev help 2>&1 | grep -q device_features") == 0;
}

void vv_disk_del(struct vv_disk *disk)
{
	if (disk->name[0]) {
		vv_run("vdpa dev del %s", disk->name);
		undescribe(disk);
	}
	disk->name[0] = '\0';
}

/* ---- the kernel log ---- */

static const char * const bad_lines[] = {
	"WARNING:", "BUG:", "Oops", "KASAN", "UBSAN", "KCSAN", "kernel BUG",
	"general protection", "Call Trace", "possible circular locking",
	"possible recursive locking", "inconsistent lock state",
	"suspicious RCU usage", "sleeping function called", "blocked for more",
	"refcount_t", "ODEBUG", "unreferenced object", "list_add corruption",
	"list_del corruption", "use-after-free", "soft lockup", "rcu_sched",
};

static int klog_fd = -1;
static char *klog;
static size_t klog_len;
static int klog_warnings;

void vv_klog_start(void)
{
	if (klog_fd < 0)
		klog_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(klog_fd, 0, SEEK_END);
	klog_len = 0;
	klog_warnings = 0;
}

/* A record begins with its level and facility. */
static bool is_our_warning(const char *rec, const char *text)
{
	return atoi(rec) % 8 <= LOG_WARNING &&
	       !strncmp(text, MODULE ": ", strlen(MODULE ": "));
}

/* One read() is one record; -EPIPE only says that records were lost. */
static void klog_read(void)
{
	char rec[8192], *text;
	ssize_t n;

	for (;;) {
		n = read(klog_fd, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		rec[n] = '\0';
		text = strchr(rec, ';');
		text = text ? text + 1 : rec;
		text[strcspn(text, "\n")] = '\0';
		klog_warnings += is_our_warning(rec, text);
		n = strlen(text) + 1;
		klog = realloc(klog, klog_len + n);
		if (!klog)
			abort();
		memcpy(klog + klog_len, text, n);
		klog_len += n;
	}
}

static bool is_bad(const char *line)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad_lines); i++)
		if (strstr(line, bad_lines[i]))
			return true;
	return false;
}

int vv_klog_bad(void)
{
	const char *line;
	int bad = 0;

	klog_read();
	for (line = klog; line && line < klog + klog_len;
	     line += strlen(line) + 1) {
		/* From the first bad line on, the rest is its story. */
		if (is_bad(line))
			bad++;
		if (bad && bad < 60)
			printf("# kernel log: %s\n", line);
	}
	fflush(stdout);
	return bad;
}

int vv_klog_count(const char *a, const char *b)
{
	const char *line;
	int count = 0;

	klog_read();
	for (line = klog; line && line < klog + klog_len;
	     line += strlen(line) + 1)
		if (strstr(line, a) && (!b || strstr(line, b)))
			count++;
	return count;
}

int vv_klog_warnings(void)
{
	klog_read();
	return klog_warnings;
}
