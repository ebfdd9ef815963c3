"""The catalogue of attacks: what is tried, what it means when it works, and what stops it. Pure.

`docs/reference/attacks.md` lists exactly these. What tries them is the program in `doctor/raid`, and `doctor/planted`.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.isolation import Isolation


class Proof(StrEnum):
    """How it is known from outside that an attack has worked."""

    SEEN = "seen"
    """It printed a secret that it can have from nowhere else."""
    TOUCHED = "touched"
    """What it aimed at has changed, or has heard of it."""
    WORD = "word"
    """The kernel said yes; nobody outside can see that."""


class Kind(StrEnum):
    """What an attack is tried with."""

    RAID = "raid"
    """Our own program (`doctor/raid`)."""
    CLI = "cli"
    """The real Claude Code program (`doctor/planted`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing that a room may try."""

    id: str
    tries: str
    leak: str
    """What it means when it works."""
    fix: str
    proof: Proof
    weak: frozenset[Isolation] = frozenset()
    """The ways of isolation that are known not to stop it; `none` stops nothing and is not listed."""
    kind: Kind = Kind.RAID


_BETTER = (
    "Use a better isolation; `aiagentchat doctor --only checks` says which ones work here and what the others lack."
)
_STRICT = "This needs isolation strict, or users with a daemon that runs as root; landlock cannot stop it."
_LL = frozenset({Isolation.LANDLOCK})

_ROOM = "One room can read what another one works on."
_SPOIL = "One room can change or destroy what another one works on."
_TALK = "One room can read or change another one's conversations and settings."
_DAEMON = "A room can read what everybody typed, or the login of the account."
_CREDENTIAL = "A room can act elsewhere as the operator."
_SPY = "A room can read the daemon's secrets out of its process."
_STEER = "A room can disturb or take over the daemon."
_SHARED = "Two rooms, or a room and the daemon, meet where nobody watches."
_WAY_OUT = "A room reaches services that trust everybody on this machine."
_EGRESS = "A room can send out what it knows, past the daemon."
_KERNEL = "A room can reach much more of the kernel than it needs: where ways out of a sandbox begin."
_POWER = "A room can change this machine."
_OWN = "A room can change what holds it: rules, program or sandbox of its next run."
_PLANTED = "What a room plants runs outside of every approval, with the keys of the run."


def _attack(id_: str, tries: str, leak: str, proof: Proof, **more: object) -> Attack:
    given: dict[str, object] = {"fix": _BETTER, "weak": frozenset(), "kind": Kind.RAID, **more}
    return Attack(id=id_, tries=tries, leak=leak, proof=proof, **given)  # type: ignore[arg-type]


_SEEN, _TOUCHED, _WORD = Proof.SEEN, Proof.TOUCHED, Proof.WORD

ATTACKS: tuple[Attack, ...] = (
    # Another room's workspace
    _attack("room.list", "list the files of another room", _ROOM, _SEEN),
    _attack("room.read", "read a file of another room", _ROOM, _SEEN),
    _attack("room.write", "write into a file of another room", _SPOIL, _TOUCHED),
    _attack("room.create", "create a file in another room", _SPOIL, _TOUCHED),
    _attack("room.delete", "delete a file of another room", _SPOIL, _TOUCHED),
    _attack("room.rename", "rename a file of another room", _SPOIL, _TOUCHED),
    _attack("room.truncate", "empty a file of another room, by its path", _SPOIL, _TOUCHED),
    _attack("room.chmod", "change the mode of a file of another room", _SPOIL, _TOUCHED, weak=_LL, fix=_STRICT),
    _attack("room.utime", "change the times of a file of another room", _SPOIL, _TOUCHED, weak=_LL, fix=_STRICT),
    _attack("room.xattr", "put an attribute on a file of another room", _SPOIL, _TOUCHED, weak=_LL, fix=_STRICT),
    _attack("room.symlink", "read a file of another room through a symbolic link", _ROOM, _SEEN),
    _attack("room.hardlink", "make a hard link to a file of another room", _SPOIL, _TOUCHED),
    _attack("room.dotdot", "read a file of another room through `..`", _ROOM, _SEEN),
    # Another room's HOME
    _attack("home.list", "list another room's HOME", _TALK, _SEEN),
    _attack("home.read", "read a conversation of another room", _TALK, _SEEN),
    _attack("home.write", "change a conversation of another room", _TALK, _TOUCHED),
    _attack("home.create", "plant settings in another room's HOME", _TALK, _TOUCHED),
    _attack("home.dotdot", "read another room's HOME through `..`", _TALK, _SEEN),
    # The daemon's files
    _attack("data.list", "list the daemon's folder", "A room learns what other rooms there are.", _SEEN),
    _attack("data.database_read", "read the daemon's database", _DAEMON, _SEEN),
    _attack("data.database_write", "change the daemon's database", _STEER, _TOUCHED),
    _attack("data.token", "read a file with the account's token", _DAEMON, _SEEN),
    _attack("data.store_key", "read the key that the database's secrets are encrypted with", _DAEMON, _SEEN),
    _attack("data.config", "change config.yaml", _STEER, _TOUCHED),
    # The operator's files
    _attack("credential.ssh", "read a private key in `.ssh`", _CREDENTIAL, _SEEN),
    _attack("credential.aws", "read `.aws/credentials`", _CREDENTIAL, _SEEN),
    _attack("credential.gcloud", "read the credentials of `gcloud`", _CREDENTIAL, _SEEN),
    _attack("credential.netrc", "read `.netrc`", _CREDENTIAL, _SEEN),
    _attack("credential.claude", "read the operator's own Claude login", _CREDENTIAL, _SEEN),
    # The daemon's process, and another run
    _attack(
        "process.list",
        "see the command line of the daemon",
        "A room learns what runs here.",
        _SEEN,
    ),
    _attack("process.environ", "read the environment of the daemon", _SPY, _SEEN),
    _attack("process.mem", "read the memory of the daemon in /proc", _SPY, _SEEN),
    _attack("process.maps", "read which files the daemon has in memory", _SPY, _SEEN),
    _attack("process.fds", "read an open file of the daemon in /proc", _SPY, _SEEN),
    _attack("process.cwd", "enter the daemon's folder through /proc", _SPY, _SEEN),
    _attack("process.root", "enter the daemon's root through /proc", _SPY, _SEEN),
    _attack(
        "process.run_argv",
        "read the command line of another room's run",
        "A room learns what others run, and what they put on command lines.",
        _SEEN,
    ),
    _attack("process.run_environ", "read the environment of another room's run", _ROOM, _SEEN),
    _attack("process.signal_daemon", "send the daemon a signal", _STEER, _TOUCHED),
    _attack("process.signal_run", "send another room's run a signal", _SPOIL, _TOUCHED),
    _attack("process.ptrace", "stop the daemon as a debugger does, and read its memory", _SPY, _SEEN),
    _attack("process.vm_read", "read the daemon's memory with process_vm_readv", _SPY, _SEEN),
    _attack("process.vm_write", "write the daemon's memory with process_vm_writev", _STEER, _TOUCHED),
    _attack("process.pidfd_getfd", "take an open file from the daemon", _SPY, _SEEN),
    _attack("process.prlimit", "change the limits of the daemon", _STEER, _TOUCHED, weak=_LL, fix=_STRICT),
    _attack("process.priority", "make the daemon slow", _STEER, _TOUCHED, weak=_LL, fix=_STRICT),
    _attack("process.oom", "make the daemon the first to be killed when memory is short", _STEER, _TOUCHED),
    # What processes share
    _attack("shared.tmp_list", "list /tmp as the daemon sees it", _SHARED, _SEEN),
    _attack("shared.tmp_read", "read another room's file in /tmp", _SHARED, _SEEN),
    _attack("shared.shm", "read another room's file in /dev/shm", _SHARED, _SEEN),
    _attack("shared.sysv_shm", "read System V shared memory", _SHARED, _SEEN),
    _attack("shared.sysv_sem", "set a System V semaphore", _SHARED, _TOUCHED),
    _attack("shared.sysv_msg", "take a message from a System V queue", _SHARED, _SEEN),
    _attack("shared.mqueue", "take a message from a POSIX queue", _SHARED, _SEEN),
    _attack("shared.keyring", "read a key in the kernel's keyring", _SHARED, _SEEN),
    # The network
    _attack("net.tcp", "reach a service on 127.0.0.1", _WAY_OUT, _SEEN),
    _attack("net.tcp6", "reach a service on ::1", _WAY_OUT, _SEEN),
    _attack("net.udp", "send a datagram to 127.0.0.1", _WAY_OUT, _TOUCHED),
    _attack("net.unix", "reach a unix socket of the daemon by its path", _WAY_OUT, _SEEN, weak=_LL, fix=_STRICT),
    _attack("net.abstract", "reach an abstract unix socket of the daemon", _WAY_OUT, _SEEN),
    _attack("net.public", "have a route to a public address", _EGRESS, _WORD),
    _attack("net.metadata", "have a route to the metadata address of a cloud", _EGRESS, _WORD),
    _attack("net.raw", "open a raw socket", _WAY_OUT, _WORD),
    # The kernel
    _attack("kernel.userns", "make a user namespace", _KERNEL, _WORD),
    _attack("kernel.clone3", "make a user namespace with clone3", _KERNEL, _WORD),
    _attack("kernel.mount", "mount a file system", _KERNEL, _WORD),
    _attack("kernel.fsopen", "mount a file system with fsopen", _KERNEL, _WORD),
    _attack("kernel.umount", "unmount what hides the other rooms", _KERNEL, _WORD),
    _attack("kernel.setns", "enter the namespaces of the daemon", _KERNEL, _WORD),
    _attack("kernel.chroot", "change the root folder", _KERNEL, _WORD),
    _attack("kernel.bpf", "load a map with bpf", _KERNEL, _WORD),
    _attack("kernel.perf", "watch with perf_event_open", _KERNEL, _WORD),
    _attack("kernel.userfaultfd", "handle page faults with userfaultfd", _KERNEL, _WORD),
    _attack("kernel.io_uring", "make a ring with io_uring", _KERNEL, _WORD),
    _attack("kernel.open_by_handle", "open a file by its handle, past every path", _KERNEL, _WORD),
    _attack("kernel.tiocsti", "type into a terminal of the daemon", _STEER, _TOUCHED),
    # The machine
    _attack("system.proc_sys", "write to /proc/sys", _POWER, _WORD),
    _attack("system.core_pattern", "write the program that the kernel starts for crashes", _POWER, _WORD),
    _attack("system.cgroup", "write to a cgroup", _POWER, _WORD),
    _attack("system.mknod", "make a device", _POWER, _WORD),
    _attack("system.setuid", "become root through a setuid program", _POWER, _WORD),
    # What holds the room itself
    _attack("own.settings", "change the settings file of its own run", _OWN, _TOUCHED),
    _attack("own.program", "change the agent's program", _OWN, _TOUCHED),
    _attack("own.shim", "change the program that supervises runs", _OWN, _TOUCHED),
    # Planted for the real program
    *(
        _attack(id_, tries, _PLANTED, _TOUCHED, kind=Kind.CLI, fix="This is a bug: please report it.")
        for id_, tries in (
            ("cli.hook", "plant a hook in the workspace's `.claude/settings.json`"),
            ("cli.home_hook", "plant a hook in the settings of the room's HOME"),
            ("cli.mcp", "plant a server in the workspace's `.mcp.json`"),
            ("cli.git_hook", "plant a program in the workspace's `.git`"),
        )
    ),
)

RAIDED: tuple[Attack, ...] = tuple(attack for attack in ATTACKS if attack.kind is Kind.RAID)
"""What our own program tries."""
PLANTED: tuple[Attack, ...] = tuple(attack for attack in ATTACKS if attack.kind is Kind.CLI)
"""What is planted for the real program."""
