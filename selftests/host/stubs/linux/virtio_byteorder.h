/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host plays a big-endian CPU, so that a conversion which was forgotten
 * or done twice shows; memory holds what such a CPU calls little endian.
 */
#ifndef STUB_LINUX_VIRTIO_BYTEORDER_H
#define STUB_LINUX_VIRTIO_BYTEORDER_H

#include <linux/types.h>
#include <linux/virtio_types.h>

static inline u16 __virtio16_to_cpu(bool little, __virtio16 val)
{
	return little ? __builtin_bswap16(val) : val;
}

static inline u32 __virtio32_to_cpu(bool little, __virtio32 val)
{
	return little ? __builtin_bswap32(val) : val;
}

static inline u64 __virtio64_to_cpu(bool little, __virtio64 val)
{
	return little ? __builtin_bswap64(val) : val;
}

/* There and back is the same. */
#define __cpu_to_virtio16	__virtio16_to_cpu
#define __cpu_to_virtio32	__virtio32_to_cpu
#define __cpu_to_virtio64	__virtio64_to_cpu

#define le16_to_cpu(val)	__builtin_bswap16(val)
#define le32_to_cpu(val)	__builtin_bswap32(val)
#define le64_to_cpu(val)	__builtin_bswap64(val)
#define cpu_to_le16(val)	__builtin_bswap16(val)
#define cpu_to_le32(val)	__builtin_bswap32(val)
#define cpu_to_le64(val)	__builtin_bswap64(val)

#endif
