"""A bus on which systemd, played by the test, tells a process of the unit that it belongs to."""

import os

from jeepney import HeaderFields, new_error, new_method_return

import bus

OWN_PATH, JOB_PATH = bus.PATH + "/unit/holdfast_2eservice", bus.PATH + "/job/7"


class OwnUnit(bus.Systemd):
    """The unit of whoever asks. `job` is the type of the job that it has ("restart", "stop"), or None. `before`
    has what is to happen before a property is told, by its name."""

    def __init__(self):
        self.invocation = os.urandom(16)
        self.job = None
        self.before = {}
        self.timeout_stop = 90  # seconds
        self.bus = bus.Bus()
        self.bus.start()
        self.address = self.bus.address
        super().__init__(self.bus)

    def close(self):
        super().close()
        self.bus.__exit__()

    def _answer(self, message):
        fields = message.header.fields
        path, member = fields[HeaderFields.path], fields[HeaderFields.member]
        if member == "GetUnitByPID":
            self.connection.send(new_method_return(message, "o", (OWN_PATH,)))
        elif member == "Get" and path in (OWN_PATH, JOB_PATH):
            self._answer_property(message, message.body[1])
        else:
            super()._answer(message)

    def _answer_property(self, message, name):
        self.before.get(name, lambda: None)()
        properties = {
            "InvocationID": ("ay", self.invocation),
            "TimeoutStopUSec": ("t", int(self.timeout_stop * 1e6)),
            "Job": ("(uo)", (7, JOB_PATH) if self.job else (0, "/")),
            "JobType": ("s", self.job),
        }
        if name in properties and not (name == "JobType" and self.job is None):
            self.connection.send(new_method_return(message, "v", (properties[name],)))
        else:
            self.connection.send(new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "s", (name,)))
