// SPDX-License-Identifier: GPL-2.0-only
/* Generic netlink of the vDPA bus. See vdpa_genl.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <sys/socket.h>

#include "vdpa_genl.h"

struct msg {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[512];
};

static void msg_init(struct msg *m, __u16 family, __u8 cmd, __u8 version)
{
	memset(m, 0, sizeof(*m));
	m->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->nl.nlmsg_type = family;
	m->nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->genl.cmd = cmd;
	m->genl.version = version;
}

static void put(struct msg *m, __u16 type, const void *data, __u16 len)
{
	struct nlattr *a = (void *)((char *)m + NLMSG_ALIGN(m->nl.nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memcpy(a + 1, data, len);
	m->nl.nlmsg_len = NLMSG_ALIGN(m->nl.nlmsg_len) +
			  NLA_ALIGN(a->nla_len);
}

static void put_string(struct msg *m, __u16 type, const char *s)
{
	put(m, type, s, strlen(s) + 1);
}

static __u16 family_of(const struct nlmsghdr *nl)
{
	const char *pos = (const char *)NLMSG_DATA(nl) + GENL_HDRLEN;
	const char *end = (const char *)nl + nl->nlmsg_len;
	const struct nlattr *a;
	__u16 id = 0;

	for (; pos + NLA_HDRLEN <= end; pos += NLA_ALIGN(a->nla_len)) {
		a = (const void *)pos;
		if (a->nla_len < NLA_HDRLEN)
			break;
		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&id, a + 1, sizeof(id));
	}
	return id;
}

/* Up to the acknowledgment, which has the result. */
static int answer(int fd, __u16 *family)
{
	union {
		struct nlmsghdr nl;
		char bytes[16384];
	} buf;
	struct nlmsghdr *nl;
	ssize_t n;

	for (;;) {
		n = recv(fd, &buf, sizeof(buf), 0);
		if (n < 0)
			return -errno;
		for (nl = &buf.nl; NLMSG_OK(nl, n); nl = NLMSG_NEXT(nl, n)) {
			if (nl->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(nl))->error;
			if (family)
				*family = family_of(nl);
		}
	}
}

static int talk(struct msg *m, __u16 *family)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int ret;

	if (fd < 0)
		return -errno;
	if (send(fd, m, m->nl.nlmsg_len, 0) < 0)
		ret = -errno;
	else
		ret = answer(fd, family);
	close(fd);
	return ret;
}

static int vdpa_family(__u16 *family)
{
	struct msg m;

	*family = 0;
	msg_init(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	put_string(&m, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	return talk(&m, family);
}

static int begin(struct msg *m, __u8 cmd, const char *name)
{
	__u16 family;
	int ret = vdpa_family(&family);

	if (ret)
		return ret;
	msg_init(m, family, cmd, VDPA_GENL_VERSION);
	put_string(m, VDPA_ATTR_DEV_NAME, name);
	return 0;
}

int vdpa_genl_add(const char *name, const char *mgmtdev, __u64 features)
{
	struct msg m;
	int ret = begin(&m, VDPA_CMD_DEV_NEW, name);

	if (ret)
		return ret;
	put_string(&m, VDPA_ATTR_MGMTDEV_DEV_NAME, mgmtdev);
	if (features)
		put(&m, VDPA_ATTR_DEV_FEATURES, &features, sizeof(features));
	return talk(&m, NULL);
}

static int ask(__u8 cmd, const char *name)
{
	struct msg m;
	int ret = begin(&m, cmd, name);

	return ret ? ret : talk(&m, NULL);
}

int vdpa_genl_del(const char *name)
{
	return ask(VDPA_CMD_DEV_DEL, name);
}

int vdpa_genl_show(const char *name)
{
	return ask(VDPA_CMD_DEV_GET, name);
}

int vdpa_genl_config(const char *name)
{
	return ask(VDPA_CMD_DEV_CONFIG_GET, name);
}

int vdpa_genl_vstats(const char *name, __u32 queue)
{
	struct msg m;
	int ret = begin(&m, VDPA_CMD_DEV_VSTATS_GET, name);

	if (ret)
		return ret;
	put(&m, VDPA_ATTR_DEV_QUEUE_INDEX, &queue, sizeof(queue));
	return talk(&m, NULL);
}
