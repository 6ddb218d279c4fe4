#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# insn_profile.pl [-p FOLDER] COUNTS LABELS SYMBOLS: what insn_plugin has counted,
# with names. Prints a line of words for each window:
#
#	WORD=VALUE... total=N ticks=N user=N self=N below=N copy=N modules=M:N,...
#
# with counts per request, rounded to a tenth. LABELS has a line of WORD=VALUE
# for each window, among them n= (requests) and syms=, a file in the folder
# SYMBOLS with the modules' lines of /proc/kallsyms; "vmlinux" there has the
# others. -p also writes profiles by function, of round=1.
#
#   total    instructions of the kernel, without timer and device interrupts
#   ticks    those of the interrupts; they follow the speed of the emulation
#   self     instructions of the device's own modules
#   below    what these call, except for the driver's callback; without self
#   copy     the part of "below" that is copying
use strict;
use warnings;
no warnings 'portable';	# 64-bit addresses

# The parents whose share is asked for.
my $OWN = qr/^(vdpa_blk_sim|vdpa_sim|vdpa_sim_blk)$/;
# From here on it is the driver's.
my $CALLBACK = qr/^(virtio_vdpa_virtqueue_cb|vhost_vdpa_virtqueue_cb)$/;
my $IRQ = qr/^(asm_)?(sysvec_apic_timer|common)_interrupt$/;
my $COPY = qr/^(memcpy|memcpy_orig|__memcpy|memmove|_copy_(to|from)_iter|rep_movs_alternative|copy_page)$/;

my (@addr, @name, @module);

sub load_symbols {
	my @all;

	for my $file (@_) {
		open(my $f, '<', $file) or die "$file: $!\n";
		while (<$f>) {
			my ($addr, $type, $name, $module) = split;
			next unless $type =~ /^[tTwW]$/;
			($module ||= 'vmlinux') =~ tr/[]//d;
			push @all, [hex $addr, $name, $module];
		}
		close $f;
	}
	@all = sort { $a->[0] <=> $b->[0] } @all;
	@addr = map { $_->[0] } @all;
	@name = map { $_->[1] } @all;
	@module = map { $_->[2] } @all;
}

# symbol ADDRESS: its index, -1 for none
my %symbol;
sub symbol {
	my ($at) = @_;

	return $symbol{$at} //= do {
		my ($lo, $hi) = (-1, $#addr);
		while ($lo < $hi) {
			my $mid = int(($lo + $hi + 1) / 2);
			if ($addr[$mid] <= $at) { $lo = $mid } else { $hi = $mid - 1 }
		}
		# Of several names the first.
		$lo-- while $lo > 0 && $addr[$lo - 1] == $addr[$lo];
		$lo;
	};
}

# What a function makes of the code it calls: "own", "driver", "irq" or "" for
# the same as its caller.
sub turn {
	my ($sym) = @_;

	return '' if $sym < 0;
	return 'own' if $module[$sym] =~ $OWN;
	return 'driver' if $name[$sym] =~ $CALLBACK;
	return 'irq' if $name[$sym] =~ $IRQ;
	return '';
}

# Each frame belongs to whom the last function on its path says, and its blocks
# too, unless one of the functions there says otherwise.
sub attribute {
	my ($w) = @_;
	my (%in, @owner, @entry);

	# A call through a thunk or a jump at the end: functions in one frame.
	for my $c (@{$w->{counts}}) {
		my $sym = symbol($c->[1]);
		my $turn = turn($sym);
		next if !$c->[0] || $turn eq '' || $turn eq 'irq';
		# Any of them names the frame, but always the same one.
		my $old = $in{$c->[0]};
		next if $old && ($old->[0] eq 'driver' ||
				 $old->[0] eq $turn && $old->[1] le $name[$sym]);
		$in{$c->[0]} = [$turn, $name[$sym]];
	}
	@owner = ('other');
	@entry = ('');
	for my $id (0 .. $#{$w->{frames}}) {
		my ($owner, $entry) = ('other', '');
		if ($id) {
			my ($parent, $caller) = @{$w->{frames}[$id]};
			($owner, $entry) = ($owner[$parent], $entry[$parent]);
			my $turn = turn(symbol($caller));
			($owner, $entry) = ($turn, '') if $turn eq 'irq';
		}
		if ($owner ne 'irq' && $in{$id}) {
			my ($turn, $function) = @{$in{$id}};
			# Below the parent is still the parent's.
			$entry = $turn eq 'own' ? $function : ''
				unless $owner eq $turn;
			$owner = $turn;
		}
		$owner[$id] = $owner;
		$entry[$id] = $entry;
	}
	return (\@owner, \@entry);
}

sub per {
	my ($count, $label) = @_;

	return sprintf '%.1f', $count / $label->{n};
}

sub add_up {
	my ($w, $label) = @_;
	my ($owner, $entry) = attribute($w);
	my %sum = map { $_ => 0 } qw(total ticks self below copy);

	for my $c (@{$w->{counts}}) {
		my ($id, $at, $count) = @$c;
		my $sym = symbol($at);
		my ($name, $module) = $sym < 0 ? ('?', '?') :
			($name[$sym], $module[$sym]);

		if ($owner->[$id] eq 'irq' || $name =~ $IRQ) {
			$sum{ticks} += $count;
			next;
		}
		$sum{total} += $count;
		$sum{modules}{$module} += $count;
		$sum{functions}{"$name [$module]"} += $count;
		$sum{self} += $count if $module =~ $OWN;
		next unless $owner->[$id] eq 'own';
		$sum{entries}{$entry->[$id]} += $count;
		$sum{own}{"$name [$module]"} += $count;
		next if $module =~ $OWN;
		$sum{below} += $count;
		$sum{copy} += $count if $name =~ $COPY;
	}
	return \%sum;
}

sub by_count {
	my ($hash) = @_;

	return sort { $hash->{$b} <=> $hash->{$a} || $a cmp $b } keys %$hash;
}

sub list {
	my ($out, $title, $hash, $label, $least) = @_;
	my @few;

	printf $out "\n%s, instructions per request:\n", $title;
	for my $key (by_count($hash)) {
		my $n = $hash->{$key} / $label->{n};
		if ($n >= $least) {
			printf $out "%10.1f  %s\n", $n, $key;
		} else {
			push @few, $n;
		}
	}
	my $rest = 0;
	$rest += $_ for @few;
	printf $out "%10.1f  %d others\n", $rest, scalar @few if @few;
}

sub profile {
	my ($file, $sum, $label) = @_;

	open(my $out, '>', $file) or die "$file: $!\n";
	printf $out "%s\n\n", join ' ',
		map { "$_=$label->{$_}" } grep { $_ ne 'syms' } sort keys %$label;
	printf $out "%10s  kernel\n", per($sum->{total}, $label);
	printf $out "%10s  the device's own modules\n", per($sum->{self}, $label);
	printf $out "%10s  what they call, without the driver's callback\n",
		per($sum->{below}, $label);
	printf $out "%10s  of this copying\n", per($sum->{copy}, $label);
	printf $out "%10s  interrupts of timer and devices, not in the above\n",
		per($sum->{ticks}, $label);
	list($out, 'Modules', $sum->{modules}, $label, 0);
	list($out, 'The device and what it calls, by entry',
	     $sum->{entries}, $label, 1) if $sum->{entries};
	list($out, 'The device and what it calls, by function',
	     $sum->{own}, $label, 1) if $sum->{own};
	list($out, 'Functions', $sum->{functions}, $label, 2);
	close $out or die "$file: $!\n";
}

sub print_line {
	my ($w, $sum, $label) = @_;

	print join(' ', (map { "$_=$label->{$_}" } sort keys %$label),
		   (map { "$_=" . per($sum->{$_}, $label) }
			qw(total ticks self below copy)),
		   'user=' . per($w->{user}, $label),
		   'modules=' . join(',', map { "$_:" . per($sum->{modules}{$_}, $label) }
			by_count($sum->{modules}))), "\n";
}

my ($profiles, $dir);
my $syms = '';

sub window_done {
	my ($w, $label) = @_;
	my ($sum, $all) = (undef, 0);

	$all += $_->[2] for @{$w->{counts}};
	die "a window is not whole\n" unless $all == $w->{kernel};
	if ($label->{syms} ne $syms) {
		$syms = $label->{syms};
		%symbol = ();
		load_symbols("$dir/vmlinux", "$dir/$syms");
	}
	$sum = add_up($w, $label);
	print_line($w, $sum, $label);
	return unless $profiles && $label->{round} == 1;
	profile("$profiles/profile-" .
		join('-', @$label{qw(contender via rw bs depth)}) . '.txt',
		$sum, $label);
}

sub read_counts {
	my ($file, @labels) = @_;
	my $w;

	open(my $f, '<', $file) or die "$file: $!\n";
	while (<$f>) {
		my @word = split;
		if ($word[0] eq 'count') {
			push @{$w->{counts}}, [hex $word[1], hex $word[2], $word[3]];
		} elsif ($word[0] eq 'frame') {
			$w->{frames}[hex $word[1]] = [hex $word[2], hex $word[3]];
		} elsif ($word[0] eq 'window') {
			$w = { kernel => $word[3], user => $word[5],
			       counts => [], frames => [] };
		} elsif ($word[0] eq 'end') {
			die "a window has no label\n" unless @labels;
			window_done($w, shift @labels);
		}
	}
	close $f;
	die "a label has no window\n" if @labels;
}

sub read_labels {
	my ($file) = @_;
	my @labels;

	open(my $f, '<', $file) or die "$file: $!\n";
	push @labels, { map { split /=/, $_, 2 } split } while <$f>;
	close $f;
	return @labels;
}

if (@ARGV && $ARGV[0] eq '-p') {
	shift @ARGV;
	$profiles = shift @ARGV;
}
die "usage: insn_profile.pl [-p FOLDER] COUNTS LABELS SYMBOLS\n"
	unless @ARGV == 3;
$dir = $ARGV[2];
read_counts($ARGV[0], read_labels($ARGV[1]));
