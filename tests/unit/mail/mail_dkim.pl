# Reads a message and asks Mail::DKIM, with records from the command line: name=text. Prints a result a line.
use strict;
use warnings;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS;

my %records = map { /^([^=]+)=(.*)$/s ? ($1, $2) : () } @ARGV;

package Records;
sub send {
    my ($self, $name, $type) = @_;
    my $packet = Net::DNS::Packet->new($name, $type);
    $packet->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [$records{$name}]))
        if $type eq 'TXT' and exists $records{$name};
    return $packet;
}
sub errorstring { return 'NXDOMAIN' }

package main;
Mail::DKIM::DNS::resolver(bless {}, 'Records');
my $verifier = Mail::DKIM::Verifier->new;
binmode STDIN;
{ local $/; $verifier->PRINT(scalar <STDIN>); }
$verifier->CLOSE;
print $_->algorithm, ' ', $_->result, "\n" for $verifier->signatures;
