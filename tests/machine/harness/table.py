"""What the tables of promises share: their counts, which are small in a run of all tests and full in `figures`, and how a
table is printed."""

import os

FULL = os.environ.get("HOLDFAST_FIGURES") == "full"


def count(full, small):
    return full if FULL else small


def milliseconds(us):
    return f"{us / 1000:.1f} ms"


def print_table(columns, rows):
    if rows:
        print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |")
