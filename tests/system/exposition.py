"""Reads the Prometheus text format 0.0.4, strictly: samples outside their family, a family or a series told twice and
histograms that do not add up are errors, which a scraper might forgive."""

import math
import re

HELP = re.compile(r"# HELP ([a-zA-Z_][a-zA-Z0-9_]*) ((?:[^\\\n]|\\\\|\\n)+)")
TYPE = re.compile(r"# TYPE ([a-zA-Z_][a-zA-Z0-9_]*) (counter|gauge|histogram)")
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse_labels(text):
    pairs = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', text or "")
    assert len(pairs) == len({name for name, _ in pairs}), f"a label stands twice: {text}"
    return {name: re.sub(r"\\.", lambda m: ESCAPES[m[0]], value) for name, value in pairs}


class Exposition:
    """All samples: value("name", label="…"), and `types` by family."""

    def __init__(self, text):
        self.types, self.samples = {}, {}
        assert text.endswith("\n")
        family = None
        lines = iter(text[:-1].split("\n"))
        for line in lines:
            if line.startswith("#"):
                help_line, type_line = HELP.fullmatch(line), TYPE.fullmatch(next(lines))
                assert help_line and type_line and help_line[1] == type_line[1], line
                family = help_line[1]
                assert family not in self.types, f"{family} is told twice"
                self.types[family] = type_line[2]
            else:
                self._add_sample(family, line)
        self._check_histograms()

    def _add_sample(self, family, line):
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name, labels = match[1], parse_labels(match[2])
        suffixes = ("_bucket", "_sum", "_count") if self.types[family] == "histogram" else ("",)
        assert name in [family + suffix for suffix in suffixes], f"{name} stands under {family}"
        key = (name, frozenset(labels.items()))
        assert key not in self.samples, f"told twice: {line}"
        self.samples[key] = float(match[3])
        assert self.samples[key] >= 0 and math.isfinite(self.samples[key]), line

    def _check_histograms(self):
        buckets = {}
        for (name, labels), value in self.samples.items():
            if name.endswith("_bucket"):
                labels = dict(labels)
                bound = float(labels.pop("le").replace("+Inf", "inf"))
                buckets.setdefault((name[: -len("_bucket")], frozenset(labels.items())), []).append((bound, value))
        for (family, labels), series in buckets.items():
            series.sort()
            counts = [count for _, count in series]
            assert counts == sorted(counts), f"{family}{dict(labels)} falls"
            assert series[-1] == (math.inf, self.samples[family + "_count", labels])
            assert (family + "_sum", labels) in self.samples

    def value(self, name, **labels):
        """0 for a series that is not there, as for one that was never counted."""
        return self.samples.get((name, frozenset(labels.items())), 0)

    def sum(self, name, **labels):
        """Over all series that have these labels, whatever else they have."""
        wanted = set(labels.items())
        return sum(v for (n, have), v in self.samples.items() if n == name and wanted <= have)
