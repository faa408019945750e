"""A model as a program: hands its request on to a server, and prints what that answers."""

import sys
import urllib.error
import urllib.request

try:
    request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read())
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    if error.code >= 500:
        sys.exit(f"the server answers {error.code}")
    answer = error
sys.stdout.buffer.write(answer.read())
