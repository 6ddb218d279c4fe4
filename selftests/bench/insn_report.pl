#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# What insn_profile.pl has printed, for people and for machines:
#
#	insn_report.pl table LINES
#	insn_report.pl json LINES
#	insn_report.pl record LINES RELEASE
#	insn_report.pl gate LINES RELEASE RECORDED
use strict;
use warnings;

# Percent over the record that still pass.
my $LIMIT = 3;

# by_case LINES: the cases in the order of contenders, then of what they do;
# for each the rows of all rounds.
my %PLACE;
@PLACE{qw(ours-ram vdpa_sim_blk ours-null_blk null_blk brd)} = 1 .. 5;

sub by_case {
	my ($file) = @_;
	my %rows;

	open(my $f, '<', $file) or die "$file: $!\n";
	while (<$f>) {
		my %row = map { split /=/, $_, 2 } split;
		push @{$rows{join '/', @row{qw(contender via rw bs depth)}}}, \%row;
	}
	close $f;
	my @sorted = sort {
		my ($x, $y) = ($rows{$a}[0], $rows{$b}[0]);
		$y->{via} cmp $x->{via} ||
			$PLACE{$x->{contender}} <=> $PLACE{$y->{contender}} ||
			$x->{rw} cmp $y->{rw} || $x->{bs} <=> $y->{bs} ||
			$x->{depth} <=> $y->{depth}
	} keys %rows;
	return (\%rows, \@sorted);
}

sub values_of {
	my ($rows, $what) = @_;

	return map { $_->{$what} } @$rows;
}

sub ascending {
	return sort { $a <=> $b } @_;
}

# Of an even number the lower one: always one that was seen.
sub median {
	my @v = ascending(@_);

	return $v[$#v / 2];
}

# What disturbs a count adds to it.
sub least {
	return (ascending(@_))[0];
}

# ---- the gate ----

# The least of all rounds is held against a usual one. Of the whole kernel; and
# of our module alone, which hardly depends on the version of the kernel and
# shows what is lost in the whole.
my @GATED = qw(total self);

sub record {
	my ($lines, $release) = @_;
	my ($rows, $cases) = by_case($lines);

	print "# SPDX-License-Identifier: GPL-2.0-only\n";
	print "# Instructions per request, for insn.sh --gate; insn.sh --record writes this.\n";
	print "kernel $release\n";
	for my $case (@$cases) {
		print "$case $_ " . median(values_of($rows->{$case}, $_)) . "\n"
			for @GATED;
	}
}

sub read_record {
	my ($file) = @_;
	my ($kernel, @cases);

	open(my $f, '<', $file) or die "$file: $!\n";
	while (<$f>) {
		next if /^#/;
		my @word = split;
		if ($word[0] eq 'kernel') {
			$kernel = $word[1];
		} else {
			push @cases, \@word;
		}
	}
	close $f;
	die "$file: nothing there\n" unless @cases && defined $kernel;
	return ($kernel, @cases);
}

sub gate {
	my ($lines, $release, $recorded) = @_;
	my ($rows, $measured) = by_case($lines);
	my ($kernel, @cases) = read_record($recorded);
	my ($nr, $failed) = (0, 0);

	for my $case (@$measured) {
		die "$recorded: no $case\n" unless grep { $_->[0] eq $case } @cases;
	}
	print "TAP version 13\n1.." . scalar(@cases) . "\n";
	for (@cases) {
		my ($case, $what, $want) = @$_;
		my ($ok, $skip) = ('ok', '');

		$nr++;
		if (!$rows->{$case}) {
			print "not ok $nr $case $what: not measured\n";
			$failed++;
			next;
		}
		my $got = least(values_of($rows->{$case}, $what));
		my $percent = 100 * ($got - $want) / $want;
		if ($what eq 'total' && $release ne $kernel) {
			$skip = " # SKIP recorded with $kernel, this is $release";
		} elsif ($percent > $LIMIT) {
			$ok = 'not ok';
			$failed++;
		}
		printf "%s %d %s %s: %.1f, recorded %.1f, %+.1f %%%s\n",
			$ok, $nr, $case, $what, $got, $want, $percent, $skip;
	}
	return $failed != 0;
}

# ---- JSON ----

my %METRIC = (
	total => 'kernel instructions per request',
	self => "instructions of the device's own modules per request",
	device => 'instructions of the device and what it calls per request',
	user => 'instructions of user space per request',
);

sub json_row {
	my ($case, $what, $rows) = @_;
	my $row = $rows->[0];
	my @values = values_of($rows, $what);
	my $median = median(@values);
	# The round whose total is the median one.
	my ($middle) = grep { $_->{total} == median(values_of($rows, 'total')) } @$rows;
	my @share = map { my ($m, $n) = split /:/; "\"$m\":$n" }
		split /,/, $middle->{modules};

	return sprintf '{"part":"insn","contender":"%s","via":"%s","metric":"%s",' .
		'"unit":"instructions","params":{"rw":"%s","bs":%d,"depth":%d},' .
		'"values":[%s],"median":%s,"min":%s,"max":%s%s}',
		@$row{qw(contender via)}, $METRIC{$what}, @$row{qw(rw bs depth)},
		join(',', @values), $median, least(@values),
		(ascending(@values))[-1],
		$what eq 'total' ? ',"module_share":{' . join(',', @share) . '},' .
			sprintf('"copy":%s,"ticks":%s', @$middle{qw(copy ticks)}) : '';
}

sub json {
	my ($rows, $cases) = by_case($_[0]);
	my @out;

	for my $case (@$cases) {
		my @rows = @{$rows->{$case}};
		$_->{device} = sprintf '%.1f', $_->{self} + $_->{below} for @rows;
		my @what = $rows[0]{device} > 0 ? qw(total self device user) :
						  qw(total user);
		push @out, json_row($case, $_, \@rows) for @what;
	}
	print "[\n", join(",\n", @out), "\n]\n";
}

# ---- a table ----

sub table {
	my ($rows, $cases) = by_case($_[0]);
	my $format = "%-14s %-12s %-6s %5s %6s %9s %7s  %-17s %8s %8s %8s\n";

	printf $format, qw(contender via rw bs depth kernel spread), '',
		qw(device own copy);
	for my $case (@$cases) {
		my @rows = @{$rows->{$case}};
		my @total = ascending(values_of(\@rows, 'total'));
		my $median = median(@total);
		my ($middle) = grep { $_->{total} == $median } @rows;
		my $device = $middle->{self} + $middle->{below};

		printf $format, @$middle{qw(contender via rw bs depth)},
			sprintf('%.0f', $median),
			sprintf('%.1f %%', 100 * ($total[-1] - $total[0]) / $median),
			sprintf('%.0f .. %.0f', @total[0, -1]),
			map { $device ? sprintf('%.0f', $_) : '-' }
				$device, $middle->{self}, $middle->{copy};
	}
	print "kernel: instructions of the kernel per request, without interrupts of the timer\n";
	print "device: the parent's modules (own) and what they call, up to the driver's callback\n";
	print "copy: part of it. Without the CPU's fast copies memcpy() takes 12 instructions\n" .
	      "  for 32 bytes (ours), \"rep movsq\" counts 4 (brd, vdpa_sim_blk)\n";
}

my %main = (table => \&table, json => \&json, record => \&record, gate => \&gate);
my $what = shift @ARGV // '';
die "usage: insn_report.pl table|json|record|gate LINES ...\n"
	unless @ARGV && $main{$what};
my $status = $main{$what}->(@ARGV);
exit($what eq 'gate' ? $status : 0);
