# SPDX-License-Identifier: GPL-2.0-only
#
# Included after lib.mk.  The runner looks for "settings" below the folder it
# comes from, and names tests by it. Here that is not the folder the tests are
# in.
define RUN_TESTS
	BASE_DIR="$(selfdir)"; \
	. $(selfdir)/kselftest/runner.sh; \
	tap_prefix() { \
		if [ -x /usr/bin/perl ]; then \
			"$(selfdir)/kselftest/prefix.pl"; \
		else \
			sed -u 's/^/# /'; \
		fi; \
	}; \
	BASE_DIR="$(abspath ..)"; \
	if [ "X$(summary)" != "X" ]; then \
		per_test_logging=1; \
	fi; \
	run_many $(1)
endef
