// SPDX-License-Identifier: GPL-2.0-only
/* Generic netlink of the vDPA bus, by libmnl. See vdpa_genl.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/vdpa.h>

#include "vdpa_genl.h"

struct request {
	struct nlmsghdr *nl;
	char buf[512];
};

static void request_init(struct request *r, __u16 family, __u8 cmd, __u8 version)
{
	struct genlmsghdr *genl;

	r->nl = mnl_nlmsg_put_header(r->buf);
	r->nl->nlmsg_type = family;
	r->nl->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	genl = mnl_nlmsg_put_extra_header(r->nl, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
}

static int find_family(const struct nlattr *attr, void *family)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(__u16 *)family = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int family_cb(const struct nlmsghdr *nl, void *family)
{
	if (!family)
		return MNL_CB_OK;
	return mnl_attr_parse(nl, sizeof(struct genlmsghdr), find_family, family);
}

/* Up to the acknowledgment, which has the result. */
static int answer(struct mnl_socket *sock, __u16 *family)
{
	char buf[16384];
	ssize_t n;
	int ret;

	do {
		n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, 0, 0, family_cb, family);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

static int talk(const struct request *r, __u16 *family)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	int ret;

	if (!sock)
		return -errno;
	if (mnl_socket_sendto(sock, r->nl, r->nl->nlmsg_len) < 0)
		ret = -errno;
	else
		ret = answer(sock, family);
	mnl_socket_close(sock);
	return ret;
}

static int begin(struct request *r, __u8 cmd, const char *name)
{
	__u16 family = 0;
	int ret;

	request_init(r, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(r->nl, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	ret = talk(r, &family);
	if (ret)
		return ret;
	request_init(r, family, cmd, VDPA_GENL_VERSION);
	mnl_attr_put_strz(r->nl, VDPA_ATTR_DEV_NAME, name);
	return 0;
}

int vdpa_genl_add(const char *name, const char *mgmtdev, __u64 features)
{
	struct request r;
	int ret = begin(&r, VDPA_CMD_DEV_NEW, name);

	if (ret)
		return ret;
	mnl_attr_put_strz(r.nl, VDPA_ATTR_MGMTDEV_DEV_NAME, mgmtdev);
	if (features)
		mnl_attr_put_u64(r.nl, VDPA_ATTR_DEV_FEATURES, features);
	return talk(&r, NULL);
}

static int ask(__u8 cmd, const char *name)
{
	struct request r;
	int ret = begin(&r, cmd, name);

	return ret ? ret : talk(&r, NULL);
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
	struct request r;
	int ret = begin(&r, VDPA_CMD_DEV_VSTATS_GET, name);

	if (ret)
		return ret;
	mnl_attr_put_u32(r.nl, VDPA_ATTR_DEV_QUEUE_INDEX, queue);
	return talk(&r, NULL);
}
