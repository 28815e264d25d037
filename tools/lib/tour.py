# SPDX-License-Identifier: BSD-3-Clause
"""What the tours of tools/quickstart have in common: a correspondent that never stops asking."""
import re
import signal
import time

from lab import wait_until

PING_INTERVAL = 0.05
TCP_PORT = 5001
TCP_RATE = 400_000  # octets a second
started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)


class Ping:
    """The correspondent's echo requests, with the time of each, sent and answered."""

    def __init__(self, lab, address, size=56):
        """`size`: octets behind the ICMP header."""
        self.process = lab.start("cn", ["ping", "-n", "-D", "-O", "-i", PING_INTERVAL, "-s", size,
                                        address], name="ping")

    def answered(self):
        """Time of arrival by sequence number."""
        return {int(number): float(stamp) for stamp, number in re.findall(
            r"^\[([0-9.]+)\] \d+ bytes from .* icmp_seq=(\d+) ", self.process.output(), re.M)}

    def wait_for_answer(self, timeout=10):
        """Until an echo request that is sent from now on was answered."""
        before = time.time()
        wait_until(lambda: any(at > before for at in self.answered().values()), timeout,
                   "an answer to the correspondent's ping")

    def stop(self):
        self.process.signal(signal.SIGINT)
        self.process.wait()
        found = re.search(r"(\d+) packets transmitted, (\d+) received", self.process.output())
        return int(found.group(1)), int(found.group(2))


def losses(answers, sent, moves):
    """Lost packets in the window of each move: a loss belongs to the move it follows."""
    first = min(answers.items())
    rows = []
    lost = [n for n in range(first[0], sent + 1) if n not in answers]

    def sent_at(number):
        # The nearest answered request before it tells when; they leave at a steady rate.
        near = max((n for n in answers if n <= number), default=first[0])
        return answers[near] + (number - near) * PING_INTERVAL
    for at, move in enumerate(moves):
        end = moves[at + 1]["at"] if at + 1 < len(moves) else float("inf")
        rows.append(sum(move["at"] - 0.2 <= sent_at(n) < end - 0.2 for n in lost))
    return rows
