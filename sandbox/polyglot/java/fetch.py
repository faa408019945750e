"""Fetches the libraries of two exercises from Maven Central into the folder that is named.

What cannot be fetched is left out and said: `org.json` has a stand-in in Debian, RxJava has none.
"""

import hashlib
import pathlib
import shutil
import ssl
import sys
import urllib.request

REPOSITORY = "https://repo1.maven.org/maven2"
JARS = {
    "rxjava.jar": ("io/reactivex/rxjava2/rxjava/2.2.12/rxjava-2.2.12.jar", None),
    "json.jar": ("org/json/json/20190722/json-20190722.jar", "json-latest.jar"),
}
DEBIAN = pathlib.Path("/usr/share/java")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True)
    trust = ssl.create_default_context()
    own = pathlib.Path("/tmp/own.crt").read_text()
    if own.strip():
        trust.load_verify_locations(cadata=own)
    for name, (path, stand_in) in JARS.items():
        try:
            jar = read(f"{REPOSITORY}/{path}", trust)
            digest = read(f"{REPOSITORY}/{path}.sha1", trust).decode().split()[0]
        except OSError as error:
            print(f"{name}: not fetched: {error}", flush=True)
            if stand_in:
                shutil.copyfile(DEBIAN / stand_in, folder / name)
                print(f"{name}: Debian's {stand_in} stands in", flush=True)
            continue
        if hashlib.sha1(jar).hexdigest() != digest:
            sys.exit(f"{name}: what came is not what the repository's digest names")
        (folder / name).write_bytes(jar)


def read(url, trust):
    with urllib.request.urlopen(url, timeout=60, context=trust) as answer:
        return answer.read()


main()
