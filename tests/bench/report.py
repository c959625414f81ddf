"""Tables of what was measured."""

import statistics

COLUMNS = {
    "targets": ("targets", "{}"),
    "workers": ("workers", "{}"),
    "cpu_us": ("CPU µs/request", "{:.2f}"),
    "requests_per_second": ("requests/s", "{:.0f}"),
    "p50_us": ("p50 µs", "{:.0f}"),
    "p99_us": ("p99 µs", "{:.0f}"),
    "bytes_per_connection": ("bytes/connection", "{:.0f}"),
    "base_bytes": ("before, bytes", "{:.0f}"),
    "start_ms": ("ms", "{:.1f}"),
}

# What holdfast is held to: the peer and the ratio that is not to be exceeded, per scenario.
TARGETS = {"fixed": ("nginx", 1.0), "proxy-tcp": ("HAProxy", 1.1), "proxy-unix": ("HAProxy", 1.1)}

FIRST = ("cpu_us", "bytes_per_connection", "start_ms")  # the figure that counts, of each scenario


def ratio(ours, theirs):
    """Where there are rounds, the median of the ratios within each: what disturbed one round disturbed both."""
    key = next(key for key in FIRST if key in theirs)
    pairs = list(zip(ours.get("rounds", [ours]), theirs.get("rounds", [theirs])))
    ratios = [mine[key] / other[key] for mine, other in pairs if other[key] > 0]
    return statistics.median(ratios) if ratios else None


def add_ratios(results):
    """Puts into each result how it compares with holdfast's: below 1, holdfast needs less."""
    ours = {(one["workers"], one.get("targets")): one for one in results if one["peer"] == "holdfast"}
    for one in results:
        same = ours.get((one["workers"], one.get("targets")))
        one["holdfast_ratio"] = ratio(same, one) if same else None


def table(title, results):
    keys = [key for key in COLUMNS if key in results[0]]
    lines = [f"### {title}", "",
             "| | " + " | ".join(COLUMNS[key][0] for key in keys) + " | holdfast is |",
             "|---|" + "---:|" * (len(keys) + 1)]
    for one in results:
        cells = [COLUMNS[key][1].format(one[key]) for key in keys]
        if one["peer"] == "holdfast":
            cells.append("")
        else:
            cells.append("–" if one["holdfast_ratio"] is None else f"{one['holdfast_ratio']:.2f} ×")
        lines.append(f"| {one['peer']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def verdicts(scenario, results):
    """A line per target of this scenario: met or not."""
    if scenario not in TARGETS:
        return []
    peer, limit = TARGETS[scenario]
    lines = []
    for one in results:
        if one["peer"] == peer and one["holdfast_ratio"] is not None:
            met = "met" if one["holdfast_ratio"] <= limit else "NOT met"
            lines.append(f"{scenario}, {one['workers']} workers: holdfast needs {one['holdfast_ratio']:.2f} × "
                         f"the CPU of {peer} per request; target {limit} ×: {met}")
    return lines
