"""Runs that do not want to end, ended in every way, and counted from outside: see `rig.torture.__main__`."""
