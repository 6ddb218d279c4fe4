/* SPDX-License-Identifier: GPL-2.0-only */
/* Of this machine, where that is little endian: there is nothing to convert. */
#ifndef STUB_LINUX_VIRTIO_BYTEORDER_H
#define STUB_LINUX_VIRTIO_BYTEORDER_H

#include <endian.h>
#include <linux/types.h>
#include <linux/virtio_types.h>

static inline u16 __virtio16_to_cpu(bool little, __virtio16 val)
{
	return little ? le16toh(val) : val;
}

static inline u32 __virtio32_to_cpu(bool little, __virtio32 val)
{
	return little ? le32toh(val) : val;
}

static inline u64 __virtio64_to_cpu(bool little, __virtio64 val)
{
	return little ? le64toh(val) : val;
}

/* There and back is the same. */
#define __cpu_to_virtio16	__virtio16_to_cpu
#define __cpu_to_virtio32	__virtio32_to_cpu
#define __cpu_to_virtio64	__virtio64_to_cpu

#define le16_to_cpu(val)	le16toh(val)
#define le32_to_cpu(val)	le32toh(val)
#define le64_to_cpu(val)	le64toh(val)
#define cpu_to_le16(val)	htole16(val)
#define cpu_to_le32(val)	htole32(val)

#endif
