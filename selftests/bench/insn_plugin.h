/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What insn_plugin.c needs of QEMU's interface for TCG plugins, and the marks a
 * program in the guest puts around what it wants to have counted.
 *
 * Debian packages no qemu-plugin.h. All calls but one have been the same since
 * version 1 of the interface (QEMU 4.2).
 */
#ifndef INSN_PLUGIN_H
#define INSN_PLUGIN_H

/* Eight bytes that are one NOP: nopl 0x474d5101(%rax,%rax,1) */
#define INSN_BEGIN	0x01
#define INSN_END	0x02
#define INSN_MARK	{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 'Q', 'M', 'G' }
#define INSN_MARK_CODE	4	/* offset of INSN_BEGIN, INSN_END */

static inline void insn_begin(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x01, 'Q', 'M', 'G'" :::
		     "memory");
}

static inline void insn_end(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x02, 'Q', 'M', 'G'" :::
		     "memory");
}

#ifdef INSN_PLUGIN

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef __u64 qemu_plugin_id_t;

struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus;
		int max_vcpus;
	} system;
};

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_MEM_RW = 3 };

typedef void (*trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb_t)(unsigned int vcpu, void *data);
typedef void (*mem_cb_t)(unsigned int vcpu, __u32 info, __u64 addr,
			 void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, trans_cb_t cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  exec_cb_t cb, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_cb_t cb, int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      mem_cb_t cb, int flags, int rw,
				      void *data);
unsigned int qemu_plugin_mem_size_shift(__u32 info);
bool qemu_plugin_mem_is_store(__u32 info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
__u64 qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
__u64 qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/*
 * Versions 1 and 2 return a pointer to the bytes and take no more than the
 * first argument; version 3 (QEMU 9.1) copies them.
 */
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *buf,
			     size_t len);

#endif /* INSN_PLUGIN */
#endif
