"""Each mistake in config.yaml is answered with file, line, key, value and what to write instead."""

from pathlib import Path

import pytest

from tests.unit.config_file import MATRIX, problems_of


def row(sentence: str, text: str, *expected: str) -> object:
    """One mistake: the text below line 1, and every problem that it gives."""
    return pytest.param(text, list(expected), id=sentence)


ROOM = 'rooms: [{id: "!a:x", name: a}]\n'
_LIST = "write [] or one item per line, each after a dash"
_RULE = 'write "@you:localhost" for one person, or "@*:localhost" for everybody on that one server'
_GROUP = "is not a group of keys; write each key on its own line below, indented"

NUMBERS = [
    row(
        "text is no number",
        "defaults:\n  timeout: soon",
        'config.yaml:3: defaults.timeout: "soon" is not a whole number of seconds; write for example 300',
    ),
    row(
        "a fraction is no whole number",
        "defaults: {timeout: 1.5}",
        "config.yaml:2: defaults.timeout: 1.5 is not a whole number of seconds; write for example 300",
    ),
    row(
        "infinity is no whole number",
        "warm_ttl: 1e999",
        "config.yaml:2: warm_ttl: inf is not a whole number of seconds; write for example 300",
    ),
    row(
        "true is no number",
        "max_queue: true",
        "config.yaml:2: max_queue: true is not a whole number; write for example 20",
    ),
    row(
        "no time is too short",
        "rooms: [{id: '!a:x', timeout: 0}]",
        "config.yaml:2: rooms[0].timeout: 0 is not between 1 and 604800; write for example 300",
    ),
    row(
        "a negative number",
        "max_warm: -1",
        "config.yaml:2: max_warm: -1 is not between 0 and 256; write for example 4",
    ),
    row(
        "what YAML 1.1 reads as octal is refused",
        "warm_ttl: 0300",
        'config.yaml:2: warm_ttl: "0300" is not a whole number of seconds; write for example 300',
    ),
    row(
        "what YAML 1.1 reads as base 60 is refused",
        "warm_ttl: 5:00",
        'config.yaml:2: warm_ttl: "5:00" is not a whole number of seconds; write for example 300',
    ),
]

WORDS = [
    row(
        "yes is not true",
        "defaults: {mention_only: yes}",
        'config.yaml:2: defaults.mention_only: "yes" is not true or false; write true',
    ),
    row(
        "off is not false",
        "defaults: {mention_only: off}",
        'config.yaml:2: defaults.mention_only: "off" is not true or false; write false',
    ),
    row(
        "a number is not text",
        "rooms: [{id: '!a:x', name: 123}]",
        'config.yaml:2: rooms[0].name: 123 is not text; put it in quotes: "123"',
    ),
    row(
        "a number in env",
        "defaults: {env: {PORT: 80}}",
        'config.yaml:2: defaults.env.PORT: 80 is not text; put it in quotes: "80"',
    ),
    row(
        "a list in env",
        "defaults: {env: {PORT: [80]}}",
        'config.yaml:2: defaults.env.PORT: a list is not the text of an environment variable; write for example "yes"',
    ),
    row(
        "half a character in env",
        r'defaults: {env: {A: "\ud800"}}',
        r'config.yaml:2: defaults.env.A: "\ud800" is not the text of an environment variable; write for example "yes"',
    ),
    row(
        "a name with capitals",
        "rooms: [{id: '!a:x', name: Backend}]",
        'config.yaml:2: rooms[0].name: "Backend" is not a short name of a-z, 0-9, _ and -; write for example "backend"',
    ),
    row(
        "a folder with a line break",
        r'data_dir: "a\nb"',
        r'config.yaml:2: data_dir: "a\nb" is not a folder; write for example "./rooms"',
    ),
    row(
        "an unknown mode",
        "defaults: {permission_mode: acceptedits}",
        'config.yaml:2: defaults.permission_mode: "acceptedits" is not allowed here; did you mean "acceptEdits"?',
    ),
    row(
        "an unknown kind of agent",
        "agents: {claude: {type: x}}",
        'config.yaml:2: agents.claude.type: "x" is not allowed here; write one of: claude-code',
    ),
    row(
        "a variable with a space",
        "defaults: {env: {a b: c}}",
        "config.yaml:2: defaults.env.a b: this is not the name of an environment variable; use letters, digits and _",
    ),
    row(
        "a variable of ours",
        "defaults: {env: {ANTHROPIC_BASE_URL: 'http://x'}}",
        "config.yaml:2: defaults.env.ANTHROPIC_BASE_URL: aiagentchat sets this variable itself; remove it",
    ),
    row(
        "HOME is ours",
        "defaults: {env: {HOME: /root}}",
        "config.yaml:2: defaults.env.HOME: aiagentchat sets this variable itself; remove it",
    ),
    row(
        "a variable that would load code into the sandbox's own programs",
        "defaults: {env: {LD_PRELOAD: /srv/x.so}}",
        "config.yaml:2: defaults.env.LD_PRELOAD: this variable loads code into every program, also into the one that "
        "makes the sandbox; remove it, and set it in a script that starts the program which needs it",
    ),
    row(
        "a long value is shortened",
        f"data_dir: [{'x' * 100}]\nagents: {{a: {'y' * 100}}}",
        'config.yaml:2: data_dir: a list is not a folder; write for example "./rooms"',
        f'config.yaml:3: agents.a: "{"y" * 60}…" {_GROUP}',
    ),
]

IDS = [
    row(
        "a user without a server",
        "defaults:\n  users:\n    - '@a:x'\n    - you",
        'config.yaml:5: defaults.users[1]: "you" is not a Matrix user id; write for example "@you:localhost"',
    ),
    row(
        "everybody on every server",
        "defaults: {users: ['@*:*']}",
        f'config.yaml:2: defaults.users[0]: "@*:*" is neither one user nor one server; {_RULE}',
    ),
    row(
        "everything",
        "defaults: {admins: ['*']}",
        f'config.yaml:2: defaults.admins[0]: "*" is neither one user nor one server; {_RULE}',
    ),
    row(
        "a pattern of users",
        "defaults: {users: ['@anna*:localhost']}",
        f'config.yaml:2: defaults.users[0]: "@anna*:localhost" is neither one user nor one server; {_RULE}',
    ),
    row(
        "a pattern of servers",
        "defaults:\n  viewers: ['@you:x', '@*:*.example.org']",
        f'config.yaml:3: defaults.viewers[1]: "@*:*.example.org" is neither one user nor one server; {_RULE}',
    ),
    row(
        "a rule without a server",
        "defaults: {users: ['@*:']}",
        f'config.yaml:2: defaults.users[0]: "@*:" is neither one user nor one server; {_RULE}',
    ),
    row(
        "a rule with more behind it",
        "defaults: {users: ['@*:x ']}",
        f'config.yaml:2: defaults.users[0]: "@*:x " is neither one user nor one server; {_RULE}',
    ),
    row(
        "a letter that looks like another",
        "defaults: {users: ['@\u0430nna:x']}",
        'config.yaml:2: defaults.users[0]: "@\u0430nna:x" has letters in it that may only look like those of an id '
        "(@\\u0430nna:x); type it anew, with plain letters",
    ),
    row(
        "a power that is no level",
        "defaults:\n  power: {user: high, admin: -1}",
        'config.yaml:3: defaults.power.user: "high" is not a power level; write for example 0',
        "config.yaml:3: defaults.power.admin: -1 is not between 0 and 9007199254740991; write for example 50",
    ),
    row(
        "a power of a role that there is not",
        f"{ROOM[:-3]}, power: {{owner: 100}}}}]",
        "config.yaml:2: rooms[0].power.owner: this key is not known; write one of: viewer, user, admin",
    ),
    row(
        "one user without a list",
        "defaults: {users: '@you:localhost'}",
        'config.yaml:2: defaults.users: "@you:localhost" is not a list; put it in brackets: ["@you:localhost"]',
    ),
    row("a number of users", "defaults: {users: 3}", f"config.yaml:2: defaults.users: 3 is not a list; {_LIST}"),
    row(
        "a room by its display name",
        "rooms: [{id: backend}]",
        'config.yaml:2: rooms[0].id: "backend" is not a room id or alias; write for example "!abc:localhost"',
    ),
    row(
        "a room without an id",
        "rooms:\n  - name: a",
        'config.yaml:3: rooms[0].id: is missing; write for example id: "!abc:localhost"',
    ),
    row(
        "a room twice",
        "rooms:\n  - {id: '!a:x', name: a}\n  - {id: '!a:x', name: b}",
        'config.yaml:4: rooms[1].id: "!a:x" is also rooms[0]; remove one of the two',
    ),
    row(
        "a name twice",
        "rooms:\n  - {id: '!a:x', name: a}\n  - {id: '!b:x', name: a}",
        'config.yaml:4: rooms[1].name: the name "a" is also that of rooms[0]; give this room another name',
    ),
    row(
        "a name twice that nobody wrote",
        "rooms:\n  - {id: '#a:x'}\n  - {id: '#a:y'}",
        'config.yaml:4: rooms[1].id: the name "a" is also that of rooms[0]; give this room another name',
    ),
]

KEYS = [
    row(
        "a misspelt key",
        "defaults:\n  timout: 3",
        'config.yaml:3: defaults.timout: this key is not known; did you mean "timeout"?',
    ),
    row(
        "a misspelt key of a room",
        "rooms: [{id: '!a:x', mount: []}]",
        'config.yaml:2: rooms[0].mount: this key is not known; did you mean "mounts"?',
    ),
    row(
        "a misspelt key of an agent",
        "agents: {claude: {binnary: x}}",
        'config.yaml:2: agents.claude.binnary: this key is not known; did you mean "binary"?',
    ),
    row("a misspelt section", "romms: []", 'config.yaml:2: romms: this key is not known; did you mean "rooms"?'),
    row(
        "a key that pydantic uses for its own",
        '"[key]": 1',
        "config.yaml:2: [key]: this key is not known; write one of: matrix, data_dir, workspaces, defaults, rooms, "
        "agents, admins, dm, max_parallel_turns, max_warm, warm_ttl, approval_timeout, max_queue, max_queue_total, "
        "max_output, budget_day, budget_month, max_file, isolation, isolation_minimum, room_uids, "
        "subscription_in_room, gateway, registry, loki, sync_timeout, retention, body_retention, audit_retention, "
        "catch_up_max_age",
    ),
    row(
        "merge keys",
        "rooms:\n  - &a {id: '!a:x'}\n  - {<<: *a, id: '!b:x'}",
        "config.yaml:4: rooms[1].<<: merge keys are not used here; what rooms share goes under defaults",
    ),
    row(
        "a key without a value",
        "defaults:\n  users:",
        "config.yaml:3: defaults.users: has no value; write one, or remove the line",
    ),
    row(
        "an alias that is a comment",
        "rooms:\n  - id: #backend:localhost",
        "config.yaml:3: rooms[0].id: has no value (a # starts a comment); put an alias in quotes, "
        'for example "#backend:localhost"',
    ),
    row(
        "a list item without a value",
        "defaults:\n  users:\n    -",
        "config.yaml:4: defaults.users[0]: has no value; write one, or remove the line",
    ),
    row("a room that is a word", "rooms: [x]", f'config.yaml:2: rooms[0]: "x" {_GROUP}'),
    row("rooms that are no list", "rooms: {a: b}", f"config.yaml:2: rooms: a group of keys is not a list; {_LIST}"),
    row("agents that are a list", "agents: []", f"config.yaml:2: agents: a list {_GROUP}"),
    row(
        "a caller with a name that is the gateway's own",
        'gateway:\n  callers:\n    operator: {}\n    port: {read: ["*"]}\n    ports: {}',
        'config.yaml:4: gateway.callers.operator: "operator" is what the gateway itself calls whoever has the token in '
        'operator.token; write another name, for example "ci"',
        'config.yaml:5: gateway.callers.port: "port" is what the gateway itself calls whoever has the token in '
        'port.token; write another name, for example "ci"',
    ),
    row(
        "an agent with a bad name is not also unknown",
        "agents: {Claude: {}}\ndefaults: {agent: claude}\nrooms: [{id: '!a:x', agent: Claude}]",
        'config.yaml:2: agents.Claude: "Claude" is not a short name of a-z, 0-9, _ and -; write for example "backend"',
        'config.yaml:3: defaults.agent: no agent is called "claude"',
        'config.yaml:4: rooms[0].agent: "Claude" is not a short name of a-z, 0-9, _ and -; write for example "backend"',
    ),
]

TOGETHER = [
    row(
        "an unknown agent",
        "rooms: [{id: '!a:x', agent: clude}]",
        'config.yaml:2: rooms[0].agent: no agent is called "clude"; did you mean "claude"?',
    ),
    row(
        "no agent of the usual name",
        "agents: {opus: {}}\n" + ROOM,
        'config.yaml:3: rooms[0]: no agent is called "claude"; write one of: opus',
    ),
    row(
        "an agent that bypasses",
        "agents: {claude: {permission_mode: bypassPermissions}}",
        'config.yaml:2: agents.claude.permission_mode: "bypassPermissions" lets the agent do anything unasked; '
        "write another mode, or add i_know_bypass_is_dangerous: true to agents.claude",
    ),
    row(
        "a room that bypasses",
        "rooms: [{id: '!a:x', permission_mode: bypassPermissions}]",
        'config.yaml:2: rooms[0].permission_mode: "bypassPermissions" lets the agent do anything unasked; '
        "write another mode, or add i_know_bypass_is_dangerous: true to agents.claude",
    ),
    row(
        "defaults that bypass are said once",
        "defaults: {permission_mode: bypassPermissions}\nrooms: [{id: '!a:x'}, {id: '!b:x'}]",
        'config.yaml:2: defaults.permission_mode: "bypassPermissions" lets the agent do anything unasked; '
        "write another mode, or add i_know_bypass_is_dangerous: true to agents.claude",
    ),
    row(
        "texts that are kept longer than what they belong to",
        "retention: 5\nbody_retention: 6",
        "config.yaml:3: body_retention: 6 days are more than retention keeps (5); write at most that, "
        "or 0 to keep texts as long as everything else",
    ),
    row(
        "everything at once, in the order of the file",
        "max_queue: many\nrooms:\n  - {id: '!a:x', timeout: x}\n  - {id: '!a:x'}\n  - 5",
        'config.yaml:2: max_queue: "many" is not a whole number; write for example 20',
        'config.yaml:4: rooms[0].timeout: "x" is not a whole number of seconds; write for example 300',
        'config.yaml:5: rooms[1].id: "!a:x" is also rooms[0]; remove one of the two',
        f"config.yaml:6: rooms[2]: 5 {_GROUP}",
    ),
]


@pytest.mark.parametrize(("text", "expected"), [*NUMBERS, *WORDS, *IDS, *KEYS, *TOGETHER])
def test_a_mistake_is_named_with_its_line_and_its_repair(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems_of(tmp_path, MATRIX + text) == expected
