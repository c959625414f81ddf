"""The records of a life, as journalctl shows them."""

import json

import service
from harness import events
from harness.events import match


def test_a_life_is_on_record(machine):
    service.get(machine)
    machine.systemctl("stop", "holdfast.socket", "holdfast-admin.socket", "holdfast.service")
    names = {message_id: name for name, message_id in events.IDS.items()}
    records = machine.journal("_SYSTEMD_UNIT=holdfast.service")
    told = [names[record["MESSAGE_ID"]] for record in records if record.get("MESSAGE_ID") in names]
    life = ["start", "ready", "drain-begin", "drain-end", "stop"]
    assert [name for name in told if name in life] == life
    for record in records:
        # Our own records only: nothing that a library printed, and nothing above notice in an ordinary life.
        assert record.get("MESSAGE_ID") in names, record
        assert record["HOLDFAST_GENERATION"] == "1"
        assert int(record["PRIORITY"]) >= 5, record


def test_catalog_explains_every_event(machine):
    listed = machine.output("journalctl", "--list-catalog", *events.IDS.values())
    for name, message_id in events.IDS.items():
        assert message_id in listed, name
    service.get(machine)
    machine.wait_for_record(match("ready"))
    explained = machine.output("journalctl", "--catalog", match("ready"))
    assert "Defined-By: Holdfast" in explained and "Subject: The gateway is ready" in explained


def test_access_records(machine):
    service.configure(machine, "[Gateway]\nAccessLog=journal\n")
    service.get(machine, "/?q=1", "-H", "X-Request-ID: test-0123456789")
    record = machine.wait_for_record(match("access"), where=lambda r: r.get("HOLDFAST_REQUEST_ID") == "test-0123456789")
    assert record["HOLDFAST_METHOD"] == "GET"
    assert record["HOLDFAST_STATUS"] == "200"
    assert record["HOLDFAST_ROUTE"] == "/"
    assert int(record["HOLDFAST_DURATION_USEC"]) > 0


def test_upstream_failure_has_its_reason(machine):
    service.configure(machine, service.APP_CONFIG.replace("[Upstream app]\n", "[Upstream app]\nHoldSec=1s\n"))
    answer = machine.output("curl", "--silent", "--write-out", "%{http_code}", "--output", "/dev/null",
                            "http://localhost/app/x")
    assert answer in ("502", "503")
    record = machine.wait_for_record(match("upstream-failure"))
    assert record["HOLDFAST_UPSTREAM"] == "app"
    assert record["HOLDFAST_REASON"]


def test_status_and_metrics_agree_with_the_journal(machine):
    service.get(machine)
    status = json.loads(machine.output("holdfastctl", "status", "--json"))
    (ready,) = machine.journal(match("ready"))
    assert status["generation"] == int(ready["HOLDFAST_GENERATION"])
    assert "holdfast_" in machine.output("holdfastctl", "metrics")
    machine.run("holdfastctl", "health")
