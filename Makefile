# SPDX-License-Identifier: GPL-2.0-only
#
# What a user types.  The kernel's own build reads Kbuild, not this file.

KERNELRELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNELRELEASE)/build
VM := selftests/vm

kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR)

all: modules

modules modules_install clean: | $(KDIR)/Makefile
	+$(kbuild) $@

$(KDIR)/Makefile:
	@echo "vdpa-blk: no kernel headers in $(KDIR); install them or set KDIR=" >&2
	@false

install: modules_install
	depmod -a $(KERNELRELEASE)

dkms-install:
	dkms install .

.PHONY: all modules modules_install clean install dkms-install

# ---- in a VM that is made on first use, see selftests/vm ----

# The main job from start to end; HERE=1 on this kernel instead.
demo:
ifeq ($(HERE),1)
	@selftests/vm/demo.sh
else
	@VM_KERNEL=$(or $(VM_KERNEL),6.12) $(VM)/vm.sh /vdpa-blk/selftests/vm/demo.sh
endif

# make vm CMD='...' [VM_KERNEL=6.12|7.3|debug|kcsan|uml|uml-debug|uml-faults|uml-gcov] [VM_DISK=file] [VM_ARGS=...]
vm:
	@VM_KERNEL=$(or $(VM_KERNEL),6.12) $(VM)/vm.sh '$(subst ','\'',$(or $(CMD),$(error make vm needs CMD='...')))'

# Every test on every supported kernel.
check:
	@$(VM)/check.sh

# Every test on kernels with sanitizers: hours.
check-debug:
	@$(VM)/check.sh debug kcsan debug-pci uml-faults

# The inner loop: what needs no QEMU.
quick:
	@QUICK=1 $(VM)/check.sh uml-debug uml

lint:
	@$(VM)/lint.sh

# make fuzz [FUZZ_TIME=3600]: ring and request code on this machine.
fuzz:
	@selftests/host/fuzz/fuzz.sh

# make power [POWER_CUTS=100]: user-mode Linux is killed with disks at work.
power:
	@$(VM)/power.sh

# What of the modules do the tests reach? In user-mode Linux.
coverage:
	@$(VM)/coverage.sh

# make soak [SOAK_TIME=600]: all kinds of clients at once, for a long time.
soak:
	@selftests/soak/soak.sh

# make bench [BENCH='host native'] [ROUNDS=5]: tables and plots in build/bench.
bench:
	@selftests/bench/bench.sh $(BENCH)

.PHONY: demo vm check check-debug quick lint fuzz power coverage soak bench
