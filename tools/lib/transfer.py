#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""One long TCP transfer whose content is checked.

    transfer.py receive ADDRESS PORT       accepts one connection, prints what it got at its end
    transfer.py send ADDRESS PORT RATE     sends about RATE octets a second until SIGTERM, then
                                           closes in order and prints what it sent

Each prints one JSON line: octets, sha256, seconds, and the longest silence in seconds. There is no
second connection: if the first one breaks, the program says so and fails.
"""
import hashlib
import json
import signal
import socket
import sys
import time

CHUNK = 8192


def report(octets, digest, started, silence):
    print(json.dumps({"octets": octets, "sha256": digest.hexdigest(),
                      "seconds": round(time.monotonic() - started, 2),
                      "longest_silence": round(silence, 2)}), flush=True)


def receive(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
    with connection:
        started = last = time.monotonic()
        octets, silence, digest = 0, 0.0, hashlib.sha256()
        while data := connection.recv(65536):
            now = time.monotonic()
            silence = max(silence, now - last)
            last = now
            octets += len(data)
            digest.update(data)
    report(octets, digest, started, silence)


def send(address, port, rate):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    octets, block, digest = 0, 0, hashlib.sha256()
    with socket.create_connection((address, port), timeout=20) as connection:
        connection.settimeout(60)
        print("connected", flush=True)
        started = time.monotonic()
        while not stop:
            data = hashlib.sha256(block.to_bytes(8, "big")).digest() * (CHUNK // 32)
            block += 1
            connection.sendall(data)
            digest.update(data)
            octets += len(data)
            ahead = octets / rate - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
    report(octets, digest, started, 0.0)


def main():
    try:
        if sys.argv[1:2] == ["receive"] and len(sys.argv) == 4:
            receive(sys.argv[2], int(sys.argv[3]))
        elif sys.argv[1:2] == ["send"] and len(sys.argv) == 5:
            send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        else:
            sys.exit(__doc__)
    except OSError as error:
        sys.exit(f"the connection broke: {error}")


if __name__ == "__main__":
    main()
