/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vdpa_blk

#if !defined(VBS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VBS_TRACE_H

#include <linux/tracepoint.h>

#include "blk_sim.h"

/*
 * A request is known by disk, virtqueue and head from its start to its end:
 * the driver cannot use the head again before it has seen the end.  In a packed
 * ring that is the buffer's ID.
 */
TRACE_EVENT(vdpa_blk_req_start,
	TP_PROTO(const struct vbs_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		__string(disk, vbs_name(vq->dev))
		__field(u16, vq)
		__field(u16, head)
		__field(u16, nr_out)
		__field(u16, nr_in)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->vq = vq->index;
		__entry->head = vq->chain.buf.head;
		__entry->nr_out = vq->chain.nr_out;
		__entry->nr_in = vq->chain.nr_in;
	),
	TP_printk("disk=%s vq=%u head=%u readable=%u writable=%u",
		  __get_str(disk), __entry->vq, __entry->head,
		  __entry->nr_out, __entry->nr_in)
);

TRACE_EVENT(vdpa_blk_req_done,
	TP_PROTO(const struct vbs_io *io, u16 id, u8 status, u32 len),
	TP_ARGS(io, id, status, len),
	TP_STRUCT__entry(
		__string(disk, vbs_name(io->vq->dev))
		__field(u16, vq)
		__field(u16, head)
		__field(u32, type)
		__field(u64, sector)
		__field(u32, len)
		__field(u8, status)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->vq = io->vq->index;
		__entry->head = id;
		__entry->type = io->type;
		__entry->sector = io->sector;
		__entry->len = len;
		__entry->status = status;
	),
	TP_printk("disk=%s vq=%u head=%u type=%u sector=%llu len=%u status=%u",
		  __get_str(disk), __entry->vq, __entry->head, __entry->type,
		  __entry->sector, __entry->len, __entry->status)
);

#endif /* VBS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
