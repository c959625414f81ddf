"""What the soak looks at in the gateway's processes, and whether it is flat."""

import math
import os
import pathlib
import re
import statistics

# Student's t, two-sided 95 %, by degrees of freedom.
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 8: 2.31, 10: 2.23, 15: 2.13, 20: 2.09, 30: 2.04, 60: 2.00}


def _proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text()


def memory(pid):
    """RSS and PSS in kB."""
    text = _proc(pid, "smaps_rollup")
    return tuple(int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE).group(1)) for key in ("Rss", "Pss"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def tasks(pid):
    return os.listdir(f"/proc/{pid}/task")


def zombies(pids):
    """Children of these that have ended and that nobody has asked about."""
    found = []
    for pid in pids:
        for task in tasks(pid):
            for child in _proc(pid, f"task/{task}/children").split():
                if _proc(child, "stat").rpartition(")")[2].split()[0] == "Z":
                    found.append(int(child))
    return found


class Slope:
    """Least squares over (seconds, value): how much more it is per minute, with half the width of the 95 % interval."""

    def __init__(self, points):
        self.n = len(points)
        self.mean = statistics.fmean(value for _, value in points) if points else math.nan
        self.per_minute = self.margin = math.nan
        if self.n < 3:
            return
        times, values = zip(*points)
        middle = statistics.fmean(times)
        spread = sum((time - middle) ** 2 for time in times)
        slope = sum((time - middle) * (value - self.mean) for time, value in points) / spread
        residue = sum((value - self.mean - slope * (time - middle)) ** 2 for time, value in points)
        t = T95[max((n for n in T95 if n <= self.n - 2), default=1)]
        self.per_minute = 60 * slope
        self.margin = 60 * t * math.sqrt(residue / (self.n - 2) / spread)

    def exceeds(self, limit):
        """It grows by more than the limit, and that is not chance."""
        return self.per_minute - self.margin > limit

    def __str__(self):
        return f"{self.per_minute:+.2f} ± {self.margin:.2f}"
