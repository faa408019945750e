# Sends the conversation in a folder to the gateway and prints the model's reply.
# Needs nothing beyond perl-base, so JSON and HTTP are done by hand.
use strict;
use warnings;
use IO::Socket::UNIX;

sub quote {
    my ($text) = @_;
    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf "\\u%04x", ord $1/ge;
    return "\"$text\"";
}

sub unquote {
    my ($text) = @_;
    my %letters = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f");
    $text =~ s{\\(?:u(d[89ab]..)\\u(d[c-f]..)|u(....)|(.))}{
        defined $1 ? wide(0x10000 + ((hex($1) & 0x3ff) << 10) + (hex($2) & 0x3ff))
        : defined $3 ? wide(hex $3) : $letters{$4} // $4
    }gise;
    return $text;
}

sub wide {
    my $letter = chr shift;
    utf8::encode($letter);
    return $letter;
}

my @messages;
for my $path (sort { ($a =~ /(\d+)\.\w+$/)[0] <=> ($b =~ /(\d+)\.\w+$/)[0] } glob "$ARGV[0]/*") {
    my ($role) = $path =~ /\.(\w+)$/;
    open my $file, "<", $path or die "$path: $!\n";
    local $/;
    push @messages, "{\"role\":\"$role\",\"content\":" . quote(<$file>) . "}";
}
my $body = "{\"model\":\"default\",\"messages\":[" . join(",", @messages) . "]}";

my $gateway = IO::Socket::UNIX->new($ENV{DGM_MODEL_SOCKET}) or die "no gateway: $!\n";
print $gateway "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n",
    "Content-Type: application/json\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
my $answer = do { local $/; <$gateway> } // "";
die "the gateway said: $answer\n" unless $answer =~ m{^HTTP/1\.1 200 };
die "no content: $answer\n" unless $answer =~ /"content"\s*:\s*"((?:[^"\\]|\\.)*)"/s;
print unquote($1);
