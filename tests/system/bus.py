"""A system bus for one test, a real dbus-daemon, and a systemd on it that the test plays: of all that systemd offers
only what is asked about units. It forgets units that are inactive, and tells of loading and forgetting, as systemd
does."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
MANAGER, UNIT, PROPERTIES = NAME + ".Manager", NAME + ".Unit", "org.freedesktop.DBus.Properties"

# As the system's: everybody may own and send everything here, on one socket.
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
  <limit name="max_match_rules_per_connection">{matches}</limit>
</busconfig>
"""


class Bus:
    """A context manager; the daemon runs from start() to stop()."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hf-bus-"))
        self.socket = self.directory / "socket"
        self.address = f"unix:path={self.socket}"
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, matches=512):
        config = self.directory / "bus.conf"
        config.write_text(CONFIG.format(socket=self.socket, matches=matches))
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog", "--print-address"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("unix:")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None
        self.socket.unlink(missing_ok=True)

    @contextlib.contextmanager
    def mute(self, backlog=8):
        """In its place somebody who listens, and never says a word."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen(backlog)
            yield listener
        self.socket.unlink()


def object_path(unit):
    """As sd_bus_path_encode() does it."""
    label = "".join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else f"_{ord(c):02x}"
                    for i, c in enumerate(unit))
    return f"{PATH}/unit/{label}"


class Systemd:
    """Answers on a thread of its own. `states` are those of the units that are loaded; `calls` is what was asked, as
    (member, unit's name). While `deaf`, nothing is answered."""

    def __init__(self, bus):
        self.lock = threading.RLock()
        self.aliases = {}
        self.states = {}
        self.calls = []
        self.subscribers = set()
        self.deaf = False
        self.connection = open_dbus_connection(bus=bus.address)
        self.connection.send_and_get_reply(message_bus.RequestName(NAME))
        self.ended = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """As when systemd ends, or executes itself anew."""
        if not self.ended:
            self.ended = True
            self.connection.sock.shutdown(socket.SHUT_RDWR)
            self.thread.join(10)
            self.connection.close()

    # What happens to units

    def set(self, unit, state):
        """Tells of it as systemd does: the first thing that is said of a unit is that it is there."""
        with self.lock:
            if unit not in self.states:
                self._load(unit)
                self.states[unit] = state
                return
            self.states[unit] = state
            # Beside the one that matters there always are some more.
            changed = {"StateChangeTimestamp": ("t", 1), "ActiveState": ("s", state), "SubState": ("s", "x")}
            self._emit(object_path(unit), PROPERTIES, "PropertiesChanged", "sa{sv}as", (UNIT, changed, ["Conditions"]))

    def forget(self, unit):
        with self.lock:
            del self.states[unit]
            self._emit(PATH, MANAGER, "UnitRemoved", "so", (unit, object_path(unit)))

    def reload(self, aliases):
        """daemon-reload, after which names may stand for other units."""
        with self.lock:
            self._emit(PATH, MANAGER, "Reloading", "b", (True,))
            self.aliases = aliases
            self._emit(PATH, MANAGER, "Reloading", "b", (False,))

    def _load(self, unit):
        self.states[unit] = "inactive"
        self._emit(PATH, MANAGER, "UnitNew", "so", (unit, object_path(unit)))

    def _emit(self, path, interface, member, signature, body):
        if self.subscribers:
            self.connection.send(new_signal(DBusAddress(path, interface=interface), member, signature, body))

    # What is asked

    def _serve(self):
        with contextlib.suppress(OSError, EOFError):  # at the end
            while not self.ended:
                message = self.connection.receive()
                with self.lock:
                    if message.header.message_type == MessageType.method_call and not self.deaf:
                        self._answer(message)

    def _answer(self, message):
        fields = message.header.fields
        member = fields[HeaderFields.member]
        if member == "Subscribe":
            self.calls.append((member, None))
            self.subscribers.add(fields[HeaderFields.sender])
            self.connection.send(new_method_return(message))
        elif member in ("LoadUnit", "GetUnit"):
            self._answer_path(message, member, message.body[0])
        elif member == "Get":
            self._answer_state(message, fields[HeaderFields.path])

    def _answer_path(self, message, member, name):
        self.calls.append((member, name))
        unit = self.aliases.get(name, name)
        if "@." in unit:
            self.connection.send(new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", "s", ("a template",)))
        elif member == "GetUnit" and unit not in self.states:
            self.connection.send(new_error(message, NAME + ".NoSuchUnit", "s", ("not loaded",)))
        else:
            self.connection.send(new_method_return(message, "o", (object_path(unit),)))
            self._look_at(unit)

    def _answer_state(self, message, path):
        known = [*self.states, *self.aliases.values(), *(name for _, name in self.calls if name)]
        unit = next(name for name in known if object_path(name) == path)
        self.calls.append(("Get", unit))
        assert message.body == (UNIT, "ActiveState"), message.body
        self.connection.send(new_method_return(message, "v", (("s", self.states.get(unit, "inactive")),)))
        self._look_at(unit)

    def _look_at(self, unit):
        """A unit that is loaded only because somebody asks is forgotten at once, and that is told."""
        if unit not in self.states:
            self._load(unit)
            self.forget(unit)
