// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns the device, and the memory behind its maps: processes that share it,
 * hand it on and die, and pages that go away under the device's hands. What was
 * mapped stays what the device sees; what else the process does with the address
 * is its own business.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "vhost_test.h"

#define DATA_IOVA	(1ULL << 41)
#define DATA_SIZE	(16 * VV_PAGE)

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;

/* ---- memory ---- */

/* Apart from the arena: data pages with a file descriptor of their own. */
struct data {
	int fd;
	char *mem;
};

static int data_make(struct vv_dev *dev, struct data *data)
{
	data->fd = memfd_create("vhost-vdpa-data", MFD_CLOEXEC);
	if (data->fd < 0 || ftruncate(data->fd, DATA_SIZE))
		return -errno;
	data->mem = mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 data->fd, 0);
	if (data->mem == MAP_FAILED)
		return -errno;
	memset(data->mem, 0, DATA_SIZE);
	return vv_iotlb(dev, VHOST_IOTLB_UPDATE, DATA_IOVA, DATA_SIZE,
			data->mem, VHOST_ACCESS_RW);
}

static int data_unmap(struct vv_dev *dev)
{
	return vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, DATA_IOVA, DATA_SIZE, NULL,
			0);
}

/* One request on all of the data, wherever it is now. */
static int data_request(struct vv_queue *q, __u32 type)
{
	struct vv_slot *slot = &q->slot[q->free_head];
	struct vv_seg seg[] = {
		{ vv_iova(q->dev, &slot->hdr), sizeof(slot->hdr), 0 },
		{ DATA_IOVA, DATA_SIZE, type == T_IN ? W : 0 },
		{ vv_iova(q->dev, &slot->status), 1, W },
	};

	slot->hdr = (struct virtio_blk_outhdr){ .type = type, .sector = 128 };
	slot->status = 0xff;
	return vv_finish(q, vv_add(q, seg, 3), &slot->status, NULL);
}

/* A thread that reads into the data until told to stop. */
struct reader {
	struct vv_queue *q;
	atomic_bool stop;
	atomic_uint done;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	int ret = 0;

	while (!ret && !r->stop) {
		ret = data_request(r->q, T_IN);
		r->done++;
	}
	return (void *)(long)ret;
}

/* Requests that began after this was called have ended. */
static void let_it_read(struct reader *r)
{
	long long end = vv_now_ms() + r->q->dev->timeout_ms;
	unsigned int before = r->done;

	while (r->done < before + 2 && vv_now_ms() < end)
		vv_sleep_ms(1);
}

/* Takes the pages from the process, each in a way of its own. */
static int truncate_them(struct data *data)
{
	return ftruncate(data->fd, 0);
}

static int punch_them(struct data *data)
{
	return madvise(data->mem, DATA_SIZE, MADV_REMOVE);
}

static int unmap_them(struct data *data)
{
	return munmap(data->mem, DATA_SIZE);
}

/* Other pages at the same address. */
static int replace_them(struct data *data)
{
	char *mem = mmap(data->mem, DATA_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (mem == MAP_FAILED)
		return -1;
	memset(mem, 0x22, DATA_SIZE);
	return 0;
}

static int move_them(struct data *data)
{
	char *mem = mremap(data->mem, DATA_SIZE, 2 * DATA_SIZE, MREMAP_MAYMOVE);

	return mem == MAP_FAILED ? -1 : 0;
}

VV_TEST(memory_taken_from_the_process_during_io)
{
	static const struct {
		const char *what;
		int (*take)(struct data *data);
	} ways[] = {
		{ "truncated", truncate_them }, { "punched", punch_them },
		{ "unmapped", unmap_them }, { "replaced", replace_them },
		{ "moved", move_them },
	};
	struct vv_dev *dev = &self->dev;
	struct data data;
	pthread_t thread;
	size_t i;
	void *ret;

	START();
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		struct reader r = { .q = &dev->vq[0] };

		ASSERT_EQ(0, data_make(dev, &data));
		vv_fill(data.mem, DATA_SIZE, i);
		ASSERT_EQ(S_OK, data_request(r.q, T_OUT));
		ASSERT_EQ(0, pthread_create(&thread, NULL, reader_thread, &r));
		let_it_read(&r);
		ASSERT_EQ(0, ways[i].take(&data)) TH_LOG("%s", ways[i].what);
		/* The pages that were mapped are still the device's. */
		let_it_read(&r);
		if (ways[i].take == replace_them) {
			EXPECT_EQ(0x22, data.mem[0]);
			EXPECT_EQ(0, memcmp(data.mem, data.mem + 1,
					    DATA_SIZE - 1));
		}
		r.stop = true;
		pthread_join(thread, &ret);
		EXPECT_EQ(S_OK, (long)ret) TH_LOG("%s", ways[i].what);
		ASSERT_EQ(0, data_unmap(dev));
		EXPECT_EQ(S_IOERR, data_request(r.q, T_IN));
		close(data.fd);
		EXPECT_EQ(0, vv_good_client(r.q, i));
	}
}

static void memlock(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &limit);
}

VV_TEST(memory_beyond_the_limit_is_not_mapped)
{
	struct vv_dev *dev = &self->dev;
	struct data data;

	ASSERT_EQ(0, vv_set_owner(dev));
	memlock(vv_mem_size - VV_PAGE);
	EXPECT_GT(0, vv_map_all(dev));
	/* Nothing stays behind of a map that failed, nor is it counted. */
	memlock(vv_mem_size);
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
	EXPECT_GT(0, data_make(dev, &data));
	EXPECT_EQ(S_IOERR, data_request(&dev->vq[0], T_IN));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 2));
	memlock(vv_mem_size + DATA_SIZE);
	EXPECT_EQ(0, data_make(dev, &data));
	EXPECT_EQ(S_OK, data_request(&dev->vq[0], T_IN));
}

VV_TEST(memory_the_process_may_not_write)
{
	struct vv_dev *dev = &self->dev;
	char *mem;

	START();
	mem = mmap(NULL, DATA_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, DATA_IOVA, DATA_SIZE,
			      mem, VHOST_ACCESS_RW));
	EXPECT_EQ(S_IOERR, data_request(&dev->vq[0], T_IN));
	/* Half of it is no memory at all. */
	ASSERT_EQ(0, mprotect(mem, DATA_SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, munmap(mem + DATA_SIZE / 2, DATA_SIZE / 2));
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, DATA_IOVA, DATA_SIZE,
			      mem, VHOST_ACCESS_RW));
	EXPECT_EQ(S_IOERR, data_request(&dev->vq[0], T_IN));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

/* ---- processes ---- */

static int fd_send(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int fd_receive(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Sends its descriptor away in the middle of its work. */
static void __noreturn generous_client(const char *node, int sock)
{
	struct reader r = {};
	struct vv_dev dev;
	struct data data;

	if (vv_open(&dev, node) || vv_start(&dev, dev.offered, 1, 256) ||
	    data_make(&dev, &data) || fd_send(sock, dev.fd))
		_exit(1);
	r.q = &dev.vq[0];
	reader_thread(&r);
	_exit(1);
}

VV_TEST(heir_of_a_client_that_was_killed)
{
	struct vv_dev heir = { .msg_version = 2 };
	unsigned int seed = vv_seed();
	int pair[2], i, status;
	pid_t pid;

	vv_close(&self->dev);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			generous_client(self->disk.node, pair[1]);
		heir.fd = fd_receive(pair[0]);
		ASSERT_LE(0, heir.fd);
		vv_sleep_ms(rand_r(&seed) % 20);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		/* The device lives, but is the dead one's. */
		EXPECT_EQ(VV_S_LIVE, vv_get_status(&heir));
		EXPECT_EQ(-1, open(self->disk.node, O_RDWR));
		EXPECT_GT(0, vv_iotlb(&heir, VHOST_IOTLB_INVALIDATE, DATA_IOVA,
				      DATA_SIZE, NULL, 0));
		if (i % 2)
			EXPECT_EQ(0, vv_reset(&heir));
		close(heir.fd);
		close(pair[0]);
		close(pair[1]);
		ASSERT_EQ(0, vv_open(&self->dev, self->disk.node));
		START();
		ASSERT_EQ(0, vv_good_client(&self->dev.vq[0], i));
		vv_close(&self->dev);
	}
}

/* All that needs no owner, at any moment. */
static void __noreturn second_process(struct vv_dev *dev, unsigned int seed)
{
	__u8 wce;

	for (;;) {
		switch (rand_r(&seed) % 6) {
		case 0:
			vv_reset(dev);
			break;
		case 1:
			vv_suspend(dev);
			break;
		case 2:
			vv_resume(dev);
			break;
		case 3:
			wce = rand_r(&seed);
			vv_set_config(dev, offsetof(struct virtio_blk_config,
						    wce), &wce, 1);
			break;
		case 4:
			vv_kick_always(&dev->vq[0]);
			break;
		case 5:
			vv_set_status(dev, VV_S_LIVE);
			break;
		}
	}
}

VV_TEST(two_processes_with_one_descriptor)
{
	struct vv_dev *dev = &self->dev;
	unsigned int seed = vv_seed();
	char *buf = vv_alloc(dev, VV_PAGE);
	int i, status;
	pid_t pid;

	START();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		second_process(dev, seed);
	for (i = 0; i < 50; i++) {
		/* Whatever comes of it. */
		vv_reset(dev);
		vv_restart(dev, dev->offered, 1, 256);
		while (vv_submit(&dev->vq[0], T_IN, 0, buf, VV_PAGE) >= 0)
			;
		vv_kick_always(&dev->vq[0]);
		vv_unmap_all(dev);
		vv_map_all(dev);
	}
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	STILL_SERVES();
}

TEST_HARNESS_MAIN
