#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends UDP datagrams from chosen addresses and ports and waits for what comes back.

Standard input: a JSON list of {from, port, to, to_port, ttl, payload (hex), wait (s), broadcast,
device}; all are sent before any answer is waited for. Standard output: for each the list of
answers, {from, port, payload}, of which the first ends its wait.
"""
import json
import select
import socket
import sys
import time


def open_socket(step):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_IP, socket.IP_TTL, step.get("ttl", 64))
    if step.get("broadcast"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if step.get("device"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, step["device"].encode())
    made.bind((step["from"], step.get("port", 434)))
    return made


def main():
    steps = json.load(sys.stdin)
    sockets, answers, waiting = {}, [[] for _ in steps], {}
    for number, step in enumerate(steps):
        key = (step["from"], step.get("port", 434), step.get("device"))
        if key not in sockets:
            sockets[key] = open_socket(step)
        if step.get("payload"):
            sockets[key].sendto(bytes.fromhex(step["payload"]),
                                (step["to"], step.get("to_port", 434)))
        waiting.setdefault(key, []).append(number)
    end = time.monotonic() + max(step.get("wait", 2) for step in steps)
    by_socket = {sockets[key]: key for key in sockets}
    while waiting and time.monotonic() < end:
        ready, _, _ = select.select([sockets[key] for key in waiting], [], [],
                                    end - time.monotonic())
        for one in ready:
            data, (source, port) = one.recvfrom(2048)
            numbers = waiting[by_socket[one]]
            answers[numbers.pop(0)].append({"from": source, "port": port, "payload": data.hex()})
            if not numbers:
                del waiting[by_socket[one]]
    json.dump(answers, sys.stdout)


main()
