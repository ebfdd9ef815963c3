"""What secrets look like: tokens by the prefixes that their makers gave them, and values by the names before them.

Each shape says which letters a text must hold to be worth a closer look, so that ordinary text costs little. Each
takes time in proportion to it, whatever is in it: a run of characters is entered at its beginning alone, or what is
looked at is bounded. None but that of a private key holds a blank, a line end or a character that means something to a
shell, so that a command which a person must judge cannot hide in one; and none holds anything but ASCII.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Span = tuple[int, int, str]
"""Where something secret stands, from and to, and what it is."""

_ALONE = r"(?<![A-Za-z0-9])"
_VALUE = r"[A-Za-z0-9_+/=.~!@#%^*,:?-]"


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret."""

    name: str
    marks: tuple[str, ...]
    """One of these, in small letters, is in every text that holds such a secret."""
    find: Callable[[str], Iterator[tuple[int, int]]]
    """Where they are: from and to, in order."""
    variable: str | None = None
    """Where a secret of ours that looks so belongs."""


def _pattern(pattern: str) -> Callable[[str], Iterator[tuple[int, int]]]:
    """Finds `pattern`, or its group `secret` where it has one."""
    compiled = re.compile(pattern)
    group = "secret" if "secret" in compiled.groupindex else 0
    return lambda text: (match.span(group) for match in compiled.finditer(text))


def _token(name: str, marks: str, pattern: str, variable: str | None = None) -> Shape:
    return Shape(name, tuple(marks.split()), _pattern(_ALONE + pattern), variable)


_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9 ]{1,40} )?PRIVATE KEY(?: BLOCK)?-----")
_PEM_BREAK = r"[ \t]{0,20}(?:(?:\r?\n|(?:\\r)?\\n)[ \t]{0,20})+(?:\d{1,6}(?:[ \t]{1,4}|→))?"
_LINE_END = r"(?=[ \t]{0,20}(?:[\r\n\\\"'`]|-----END|\Z))"
_PEM_LINE = rf"(?:[A-Za-z0-9+/=]++|[A-Za-z-]{{1,40}}: [A-Za-z0-9,:.=-]{{0,100}}){_LINE_END}"
# On one line, as some put it into a variable: only what is too long for a word.
_PEM_PIECE = r"[ \t](?:[A-Za-z0-9+/=]{40,}+|[A-Za-z0-9+/=]++(?=[ \t]?-----END))"
# Not possessive: Python 3.11.2 loses its place in a group that may be tried in two ways.
_PEM_BODY = re.compile(rf"(?:{_PEM_BREAK}{_PEM_LINE}|{_PEM_PIECE})*")
_PEM_END = re.compile(rf"(?:{_PEM_BREAK}|[ \t])?-----END [A-Z0-9 ]{{1,60}}-----")


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Whole ones, and what is there of those that do not end. A line that is none of a key ends one; a header alone is
    no secret."""
    place = 0
    while (begin := _PEM_BEGIN.search(text, place)) is not None:
        body = _PEM_BODY.match(text, begin.end())
        assert body is not None  # it may be empty
        end = _PEM_END.match(text, body.end())
        place = (end or body).end()
        if body.end() > begin.end():
            yield begin.start(), place


_PEM_MAY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,60}-{0,5}")


def unfinished_key(text: str, start: int) -> int | None:
    """Where, from `start` on, a private key begins of which more may follow; None if there is none."""
    place = text.rfind("-----BEGIN ", start)
    begin = _PEM_BEGIN.match(text, place) if place >= 0 else None
    if begin is None:
        return place if place >= 0 and _PEM_MAY_BEGIN.fullmatch(text, place) else None
    body = _PEM_BODY.match(text, begin.end())
    assert body is not None
    # Until the line below it is complete, it may be one of the key.
    is_over = _PEM_END.match(text, body.end()) or "\n" in text[body.end() :].lstrip()
    return None if is_over else place


_NAMES = r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key)"
_VARIABLE = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH_?KEY)(?P<tail>_[A-Z0-9_]{0,24})?="
    rf"(?P<quote>[\"']?)(?P<value>{_VALUE}{{6,}})"
)
_ASSIGNMENT = re.compile(
    rf"(?i:(?P<name>{_NAMES})(?:[_-][\w-]{{0,24}})?)(?![\w-])\\?[\"']?[ \t]{{0,4}}(?:=>|:=|[:=])[ \t]{{0,4}}"
    rf"(?P<quote>\\?[\"'])?(?P<value>{_VALUE}{{8,}})(?P<after>\\?.)?",
    re.DOTALL,
)
_NOT_THE_VALUE = re.compile(r"_(?:FILE|PATH|DIR|URL|URI|NAME|TYPE|TTL|LENGTH|SIZE|COUNT|ID)$")
_WORDS = re.compile(r"(?i)(?:true|false|none|null|string|required|optional)[,.:]?")
_PATH = re.compile(r"[~.]{0,2}/[a-z0-9/_.-]*")
_IDENTIFIER = re.compile(r"[A-Za-z_]+\d?(?:\.[A-Za-z_]\w*)*[.,:?!]?|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+[.,:?!]?")
_LONG_ENOUGH_ALONE = 16


def _variables(text: str) -> Iterator[tuple[int, int]]:
    """The value in DB_PASSWORD=value, as environments and shells have it."""
    for match in _VARIABLE.finditer(text):
        value = match["value"]
        strange = _NOT_THE_VALUE.search(match["tail"] or "") or _WORDS.fullmatch(value) or _PATH.fullmatch(value)
        if not strange and any(map(str.isalnum, value[:64])):
            yield match.span("value")


def _assignments(text: str) -> Iterator[tuple[int, int]]:
    """The value in `password: value`, `"apiKey": "value"` and the like, unless it is a word or a piece of a program."""
    for match in _ASSIGNMENT.finditer(text):
        value, quote, after = match["value"], match["quote"], match["after"] or ""
        head = value[:256]
        has_digit = any(map(str.isdigit, head))
        if quote:
            is_secret = after == quote and (has_digit or _is_mixed(head))
            is_secret = is_secret and not _PATH.fullmatch(value)
        else:
            is_weak = not match["name"].lower().startswith("passw")
            is_secret = has_digit and any(map(str.isalpha, head)) and after not in ("(", "[", "{", "<", "$")
            is_secret = is_secret and len(value) >= (_LONG_ENOUGH_ALONE if is_weak else 0)
            is_secret = is_secret and not (_IDENTIFIER.fullmatch(value) or _PATH.fullmatch(value))
        if is_secret:
            yield match.span("value")


def _is_mixed(value: str) -> bool:
    """Whether it has letters, and what words have not."""
    return any(map(str.isalpha, value)) and any(char in "+/=!@#^?~" for char in value)


_COOKIES = re.compile(rf"(?i:cookie:)[ \t]{{0,4}}(?:[\w-]{{1,64}}+={_VALUE}++(?:;[ \t]?)?)+")
_CRUMB = re.compile(rf"[\w-]{{1,64}}+=({_VALUE}++)")


def _cookies(text: str) -> Iterator[tuple[int, int]]:
    """The values in a header. Their names stay, so that nothing else can pass for one."""
    for header in _COOKIES.finditer(text):
        for crumb in _CRUMB.finditer(text, *header.span()):
            if len(crumb[1]) >= 8 and any(map(str.isdigit, crumb[1][:256])):
                yield crumb.span(1)


_HEADER = (
    r"(?i:authorization|x-api-key|api-key)\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\?[\"']?"
    r"(?:(?i:bearer|basic|token|digest)[ \t]{1,4}|(?=[A-Za-z_-]{0,64}\d))(?P<secret>[A-Za-z0-9._~+/=-]{8,}+)(?![(\[])"
)
_BEARER = r"(?i:\bbearer)[ \t]{1,4}(?P<secret>(?=[A-Za-z_.-]{0,64}\d)[A-Za-z0-9._~+/=-]{16,})"
_EXAMPLE = r"(?:pass|passwd|password)@"
_URL_PASSWORD = rf"://[^\s/:@]{{0,64}}:(?P<secret>(?![%*]|{_EXAMPLE})[A-Za-z0-9_+=.~!#%^*,:?-]{{3,256}})@"
_JWT = r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}"
_GITHUB = r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{50,})"
_MATRIX = r"m(?:at|ct|ar|cr)_[A-Za-z0-9]{16,}+_[A-Za-z0-9]{4,12}"
_OPENAI = r"sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})"
_BY_NAME = ("passw", "passphrase", "secret", "token", "key")

SHAPES = (
    _token("Anthropic key", "sk-ant-oat", r"sk-ant-oat[A-Za-z0-9_-]*", "CLAUDE_CODE_OAUTH_TOKEN"),
    _token("Anthropic key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{12,}", "ANTHROPIC_API_KEY"),
    _token("Matrix token", "syt_", r"syt_[A-Za-z0-9_+/=-]{10,}", "MATRIX_ACCESS_TOKEN"),
    _token("Matrix token", "syr_", r"syr_[A-Za-z0-9_+/=-]{10,}", "MATRIX_REFRESH_TOKEN"),
    _token("Matrix token", "mat_ mct_ mar_ mcr_", _MATRIX, "MATRIX_ACCESS_TOKEN"),
    _token("OpenAI key", "sk-", _OPENAI),
    _token("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", _GITHUB),
    _token("GitLab token", "glpat- gldt- glrt- glptt- glcbt-", r"gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{18,}"),
    _token("AWS key", "akia asia", r"A(?:KIA|SIA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    _token("Slack token", "xox", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
    _token("Google key", "aiza", r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    _token("npm token", "npm_", r"npm_[A-Za-z0-9]{36}(?![0-9A-Za-z])"),
    _token("PyPI token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,}"),
    _token("Stripe key", "k_live_ k_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _token("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    Shape("Telegram token", (":aa",), _pattern(r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{33}(?![0-9A-Za-z_-])")),
    _token("age key", "age-secret-key-1", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    Shape("JSON web token", ("eyj",), _pattern(_JWT)),
    Shape("private key", ("private key",), _private_keys),
    Shape("password", ("://",), _pattern(_URL_PASSWORD)),
    Shape("credentials", ("authorization", "api-key"), _pattern(_HEADER)),
    Shape("credentials", ("bearer",), _pattern(_BEARER)),
    Shape("cookie", ("cookie:",), _cookies),
    Shape("secret", _BY_NAME, _variables),
    Shape("secret", _BY_NAME, _assignments),
)

_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_-])(?:passw(?:or)?d|pass|pwd|passphrase|pat|tokens?|secrets?|credentials?|(?:api)?keys?)(?:[_-]|$)"
)


def shaped_like(text: str) -> str | None:
    """The variable that such a secret belongs in; None when the text holds nothing that looks like one of ours."""
    ours = (shape for shape in SHAPES if shape.variable is not None)
    return next((shape.variable for shape in ours if any(True for _ in shape.find(text))), None)


def names_a_secret(variable: str) -> bool:
    """Whether a variable of this name holds a secret, as far as its name tells."""
    return _SECRET_NAME.search(variable) is not None


def shaped(text: str) -> Iterator[Span]:
    """Everything in `text` that looks like a secret; the same may be told of twice."""
    small = text.lower()
    for shape in SHAPES:
        if any(mark in small for mark in shape.marks):
            yield from ((start, end, shape.name) for start, end in shape.find(text))
