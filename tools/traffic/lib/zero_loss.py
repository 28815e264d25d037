# SPDX-License-Identifier: BSD-3-Clause
"""The search of RFC 2544 section 26.1: the highest rate at which nothing is lost.

Knows nothing of what is measured: `offer(rate, seconds)` makes a trial and returns a dictionary
with `seconds` of sending, `sent`, `received`, `lost`, and `disturbed`, true if sender or device
under test did not have their CPUs for longer than the queues between them last.
"""
import statistics

# Of what was wanted; a generator that sends less is at its own limit.
KEEPS_UP = 0.98
# A trial of fewer packets tells nothing.
LEAST_PACKETS = 100


class Search:
    """`tolerated`: lost packets of a million that do not count. `resolution`: of the rate. A trial
    that was disturbed and lost packets, or fell short of its rate, is made again, at most `retries`
    times, and then counts."""

    def __init__(self, offer, seconds, *, most, resolution=0.01, tolerated=0.0, retries=5):
        if not 0 < resolution < 1:
            raise ValueError(f"resolution {resolution}: expected more than 0 and less than 1")
        if not most > 0:
            raise ValueError(f"highest rate {most}: expected more than 0")
        self.offer, self.seconds, self.most = offer, seconds, most
        self.resolution, self.tolerated, self.retries = resolution, tolerated, retries
        self.trials = []

    def trial(self, rate, seconds, saturating=False):
        """One trial that counts. `saturating`: the rate is more than can be sent."""
        for left in range(self.retries, -1, -1):
            result = dict(self.offer(rate, seconds))
            if result["sent"] == 0 or result["received"] > result["sent"]:
                raise ValueError(f"a trial at {rate:.0f} packets a second: {result['sent']} sent, "
                                 f"{result['received']} came back; expected some, and no more back "
                                 "than sent")
            result["rate"] = result["sent"] / result["seconds"]
            result["loss_ppm"] = result["lost"] / result["sent"] * 1e6
            result["clean"] = result["loss_ppm"] <= self.tolerated
            result["short"] = not saturating and result["rate"] < KEEPS_UP * rate
            good = result["clean"] and not result["short"]
            result["counts"] = good or not result["disturbed"] or left == 0
            self.trials.append(result)
            if result["counts"]:
                return result
        raise AssertionError("the last trial counts")

    def saturate(self):
        """As much as the generator can send: what comes through then."""
        result = self.trial(self.most, self.seconds, saturating=True)
        return result, result["received"] / result["seconds"]

    def run(self, confirm_seconds):
        """The rate, and the trial that confirmed it; what came through at saturation."""
        first, through = self.saturate()
        low, limited = 0.0, first["clean"]
        high = min(first["rate"], 1.5 * through)
        if limited:
            low = high = first["rate"]
        while high - low > self.resolution * high:
            rate = (low + high) / 2
            if rate * self.seconds < LEAST_PACKETS:
                break
            result = self.trial(rate, self.seconds)
            if result["clean"]:
                low, limited = result["rate"], result["short"]
                if limited:
                    break
            else:
                high = min(rate, result["rate"])
        if low == 0:
            raise ValueError(f"packets are lost at every rate, down to {high:.0f} a second")
        confirmed = self.confirm(low, confirm_seconds)
        return {"rate": confirmed["rate"], "confirmed": confirmed, "saturated": through,
                "generator_limited": limited, "uncertain": self.uncertain()}

    def uncertain(self):
        """A trial counted as failed although it was disturbed: there was no other."""
        return any(trial["counts"] and trial["disturbed"]
                   and (trial["short"] or not trial["clean"]) for trial in self.trials)

    def confirm(self, rate, seconds):
        """The same again, for longer; further down until it holds."""
        for _ in range(30):
            result = self.trial(rate, seconds)
            if result["clean"]:
                return result
            rate *= 1 - 2 * self.resolution
        raise ValueError(f"no rate holds for {seconds} s, down to {rate:.0f} packets a second")

    def latency(self, rate, seconds):
        """A trial that was not disturbed, if there is one among `retries`."""
        result = None
        for _ in range(self.retries + 1):
            result = self.trial(rate, seconds)
            if not result["disturbed"]:
                break
        return result


def summary(values):
    """Median and range."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}
