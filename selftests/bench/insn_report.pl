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

# More than recorded that passes: counts of one build differ by less than 1 %.
my $LIMIT = 3;

sub read_lines {
	my ($file) = @_;
	my @rows;

	open(my $f, '<', $file) or die "$file: $!\n";
	while (<$f>) {
		my %row = map { split /=/, $_, 2 } split;
		$row{case} = join '/', @row{qw(contender via rw bs depth)};
		push @rows, \%row;
	}
	close $f;
	return @rows;
}

# ---- the gate ----

# Of the whole kernel, and of our module alone, which depends on no other
# version of the kernel and shows what is lost in the whole.
my @GATED = qw(total self);

sub record {
	my ($lines, $release) = @_;

	print "# SPDX-License-Identifier: GPL-2.0-only\n";
	print "# Instructions per request: written by insn.sh --record, read by insn.sh --gate.\n";
	print "kernel $release\n";
	for my $row (sort { $a->{case} cmp $b->{case} } read_lines($lines)) {
		print "$row->{case} $_ $row->{$_}\n" for @GATED;
	}
}

sub gate {
	my ($lines, $release, $recorded) = @_;
	my %row = map { $_->{case} => $_ } read_lines($lines);
	my (@cases, $kernel);
	my ($nr, $failed) = (0, 0);

	open(my $f, '<', $recorded) or die "$recorded: $!\n";
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
	die "$recorded: nothing there\n" unless @cases && defined $kernel;

	print "TAP version 13\n1.." . scalar(@cases) . "\n";
	for my $case (@cases) {
		my ($key, $what, $want) = @$case;
		my $got = $row{$key}{$what};

		$nr++;
		if (!defined $got) {
			print "not ok $nr $key $what # not measured\n";
			$failed++;
			next;
		}
		my $percent = 100 * ($got - $want) / $want;
		my $text = sprintf '%s %s: %.0f, recorded %.0f, %+.1f %%',
			$key, $what, $got, $want, $percent;
		if ($what eq 'total' && $release ne $kernel) {
			print "ok $nr $text # SKIP recorded with kernel $kernel\n";
		} elsif ($percent > $LIMIT) {
			print "not ok $nr $text\n";
			$failed++;
		} else {
			print "ok $nr $text\n";
		}
	}
	return $failed ? 1 : 0;
}

my %main = (record => \&record, gate => \&gate);
my $what = shift @ARGV // '';
die "usage: insn_report.pl table|json|record|gate ...\n" unless $main{$what};
my $status = $main{$what}->(@ARGV);
exit($what eq 'gate' ? $status : 0);
