"""Machines to test on: a Debian root with the package installed, booted by systemd-nspawn."""
