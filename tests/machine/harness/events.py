"""The message ids of the product's events, read from where they are defined."""

import re
from pathlib import Path

_HEADER = Path(__file__).resolve().parents[3] / "src/journal/events.h"

IDS = {name: message_id for name, message_id in
       re.findall(r'X\(EVENT_\w+,\s*"([a-z-]+)",\s*"([0-9a-f]{32})"', _HEADER.read_text())}


def match(name):
    """The journalctl match of an event, such as "ready"."""
    return "MESSAGE_ID=" + IDS[name]
