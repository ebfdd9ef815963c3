"""config.yaml → `Settings`, or a `ConfigError` that says everything that is wrong with it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aiagentchat.config.document import parse, read_text
from aiagentchat.config.fields import BYPASS, in_micros, is_loopback, split_uids
from aiagentchat.config.folders import real
from aiagentchat.config.leaks import refuse_secrets
from aiagentchat.config.limits import Limits, computed, measure
from aiagentchat.config.mounts import Mounted, mount_problems
from aiagentchat.config.problems import Loc, Problems, show
from aiagentchat.config.programs import own_programs, own_ways
from aiagentchat.config.rooms import bypass_refused, merge, template
from aiagentchat.config.schema import Agent, File, Shared
from aiagentchat.config.secrets import secret_folder, secret_places
from aiagentchat.config.settings import Mount, Settings
from aiagentchat.config.validate import validate
from aiagentchat.config.workspaces import root_problem, workspace_problems
from aiagentchat.core.isolation import Isolation, Network
from aiagentchat.core.spending import Budget

MOST_LABELS = 12
"""Loki takes 15 of a line, and three are ours."""


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read and check the file at `path`. `environ` is asked for HOME, for paths that begin with `~`, and for PATH.

    Nothing is created or changed. Raises `ConfigError` with every problem at once.
    """
    document = parse(read_text(path))
    problems = Problems(str(path), document.line_of)
    for loc, sentence, line in document.wrong:
        problems.add(loc, sentence, line)
    refuse_secrets(document, problems)
    if document.broken:
        problems.add_line(*document.broken)
        problems.raise_if_any()
    file = validate(document.data, problems)
    paths = _Paths(path, environ, problems)
    mounted = list(_mounted(file, paths, problems))
    settings = _settings(path, file, paths, mounted, problems)
    settings = replace(
        settings,
        secret_places=(*secret_places(environ), secret_folder(path)),
        programs=own_programs(settings, environ),
        ways=own_ways(path, settings, environ),
    )
    _check(settings, mounted, problems)
    problems.raise_if_any()
    return settings


class _Paths:
    """Makes paths absolute: `~` is HOME, everything else starts at the folder of the file."""

    def __init__(self, file: Path, environ: Mapping[str, str], problems: Problems) -> None:
        self._folder = real(file).parent
        self._home = environ.get("HOME", "")
        self._problems = problems

    def absolute(self, loc: Loc, text: str) -> Path:
        if text.startswith("~"):
            tail = text.removeprefix("~")
            if not self._home.startswith("/") or (tail and not tail.startswith("/")):
                self._problems.add(loc, f"{show(text)} cannot be looked up; write the whole path, beginning with /")
            text = self._home + tail
        # Without this, `..` behind a symbolic link would lead somewhere else than it reads.
        return Path(os.path.normpath(self._folder / text))


def _mounted(file: File, paths: _Paths, problems: Problems) -> Iterator[Mounted]:
    """Every mount whose path is known; about the others something was said already."""
    sections: list[tuple[int | None, Loc, Shared]] = [(None, ("defaults",), file.defaults)]
    sections += [(number, ("rooms", number), room) for number, room in enumerate(file.rooms)]
    for room, loc, section in sections:
        for position, entry in enumerate(section.mounts or ()):
            here: Loc = (*loc, "mounts", position)
            path = paths.absolute((*here, "path"), entry.path)
            if not (problems.has(here) or problems.within((*here, "path"))):
                yield Mounted(here, room, Mount(path, entry.mode, real(path)))


def _settings(path: Path, file: File, paths: _Paths, mounted: Sequence[Mounted], problems: Problems) -> Settings:
    limits = computed(measure())
    said = Limits(
        limits.max_parallel_turns if file.max_parallel_turns is None else file.max_parallel_turns,
        limits.max_warm if file.max_warm is None else file.max_warm,
    )
    workspaces = [
        None if room.workspace is None else paths.absolute(("rooms", number, "workspace"), room.workspace)
        for number, room in enumerate(file.rooms)
    ]
    root = paths.absolute(("workspaces",), file.workspaces)
    uids = split_uids(file.room_uids)
    assert uids is not None, "the schema has looked at it"
    return Settings(
        file=real(path),
        matrix=file.matrix,
        data_dir=paths.absolute(("data_dir",), file.data_dir),
        workspaces=root,
        workspaces_real=real(root),
        rooms=merge(file, workspaces, mounted, problems),
        agents={name: _with_binary(name, agent, paths) for name, agent in file.agents.items()},
        max_parallel_turns=said.max_parallel_turns,
        max_warm=said.max_warm,
        warm_ttl=file.warm_ttl,
        approval_timeout=file.approval_timeout,
        max_queue=file.max_queue,
        max_queue_total=file.max_queue_total,
        max_output=file.max_output,
        budget=Budget(day=in_micros(file.budget_day), month=in_micros(file.budget_month)),
        max_file=file.max_file,
        gateway=file.gateway,
        registry=file.registry,
        loki=file.loki,
        isolation=file.isolation,
        isolation_minimum=Isolation(file.isolation_minimum),
        room_uids=uids,
        subscription_in_room=file.subscription_in_room,
        sync_timeout=file.sync_timeout,
        retention=file.retention,
        body_retention=file.body_retention,
        audit_retention=file.audit_retention,
        catch_up_max_age=file.catch_up_max_age,
        admins=frozenset(file.admins),
        dm=file.dm,
        template=template(file, mounted),
        computed=frozenset(name for name in Limits._fields if getattr(file, name) is None),
    )


def _with_binary(name: str, agent: Agent, paths: _Paths) -> Agent:
    """A name is looked up in PATH later; anything with a slash is a path."""
    if "/" not in agent.binary:
        return agent
    return agent.model_copy(update={"binary": str(paths.absolute(("agents", name, "binary"), agent.binary))})


def _check(settings: Settings, mounted: Sequence[Mounted], problems: Problems) -> None:
    """The rules that need more than one key."""
    matrix = settings.matrix
    if matrix.homeserver.startswith("http:") and not (is_loopback(matrix.homeserver) or matrix.allow_http):
        problems.add(
            ("matrix", "homeserver"),
            f"{show(matrix.homeserver)} would send the password and every message in the clear; write https://…, "
            "or add allow_http: true to matrix if the way there is private",
        )
    if 0 < settings.retention < settings.body_retention:
        problems.add(
            ("body_retention",),
            f"{settings.body_retention} days are more than retention keeps ({settings.retention}); write at most that, "
            "or 0 to keep texts as long as everything else",
        )
    if len(settings.loki.labels) > MOST_LABELS:
        problems.add(
            ("loki", "labels"), f"{len(settings.loki.labels)} labels are too many; write at most {MOST_LABELS}"
        )
    for name, agent in settings.agents.items():
        if agent.permission_mode == BYPASS and not agent.i_know_bypass_is_dangerous:
            problems.add(("agents", name, "permission_mode"), bypass_refused(name))
    _check_isolation(settings, problems)
    for number, room in enumerate(settings.rooms):
        if room.network is Network.ALLOWLIST and not room.network_hosts:
            problems.add(("rooms", number), "network: allowlist needs network_hosts; list the hosts, or write api")
        if room.network is Network.API and room.network_hosts:
            problems.add(
                ("rooms", number),
                "network_hosts are listed, but network: api reaches none of them; add network: allowlist",
            )
    if sentence := root_problem(settings):
        problems.add(("workspaces",), sentence)
    for number, sentence in workspace_problems(settings, {}):
        problems.add(("rooms", number, "workspace"), sentence)
    for each, sentence in mount_problems(settings, {}, mounted):
        problems.add((*each.loc, "path"), sentence)


def _check_isolation(settings: Settings, problems: Problems) -> None:
    wanted, minimum = settings.isolation, settings.isolation_minimum
    if wanted != "auto" and not Isolation(wanted).is_at_least(minimum):
        problems.add(
            ("isolation",),
            f"{wanted} is less than isolation_minimum ({minimum}); write auto, or isolation_minimum: {wanted} if you "
            "accept what it does not hold back",
        )
    if wanted == Isolation.NONE and len(settings.rooms) > 1:
        problems.add(
            ("isolation",),
            f"without isolation the {len(settings.rooms)} rooms could read and change each other's files; "
            "keep one room, or write auto",
        )
