"""Faults from outside: the daemon is killed, cut off and starved, and an oracle reads in the rooms what came of it.

python -m rig.faults --help
"""
