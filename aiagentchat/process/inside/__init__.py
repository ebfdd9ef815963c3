"""The first program inside of a sandbox. Standard library only, and no import of ours: it starts with every run.

    python -I -S -E -c BOOT FOLDER [--landlock] [--seccomp private|shared] [--ro PATH]… [--rw PATH]… [--gate SOCKET]
        [--processes N] [--file-size BYTES] [--nice N] [--stop-fd N] -- COMMAND…

It gives up what the run must not have (`landlock`, `seccomp`, limits), listens on a loopback port for the run's way out
(`relay`), starts the command and ends with it. What it could do wrong, the room could do as well: it is trusted with
nothing but its own room.
"""
