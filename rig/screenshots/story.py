"""What is said in the room of the pictures, and what the model answers there."""

from collections.abc import Mapping, Sequence

from rig.script import Step

SLOW = "why is the login page slow?"
GROWING = "measured each request"
"""Part of the answer, when half of it is there."""
MEASURED = "That was all"
CLEAN = "please delete the old sessions"
QUESTION = "May the agent use"
CLEANED = "are gone"
COMPARE = "compare the three caches for us"
COMPARED = "Say if I shall build it"

_SLOW_ANSWER = """I measured each request of the login page.

1. `/login` itself answers in **40 ms**.
2. The style sheet is loaded from another host, and every visit waits **1.9 s** for it.
3. The logo is a PNG of 2.4 MB; as a WebP it would have 90 kB.

So nearly all of it is the style sheet. I would bring it here:

```python
STATIC = Path("static")
app.mount("/static", StaticFiles(directory=STATIC), name="static")
```

That was all; shall I do it?"""

_COMPARED = """Measured with 200,000 sessions, on this machine:

| cache | read, p50 | read, p99 | memory |
|---|---:|---:|---:|
| in the process | 0.02 ms | 0.4 ms | 310 MB |
| Redis | 0.31 ms | 1.1 ms | 240 MB |
| SQLite | 0.09 ms | 2.8 ms | 45 MB |

## What I would take

**SQLite.** At its worst it is the slowest of the three, and still a tenth of what one request takes.

- [x] read and write sessions
- [x] forget them after a day
- [ ] tell the others when somebody logs out

```python
class Sessions:
    \"\"\"Sessions in one file, shared by all workers.\"\"\"

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")

    def get(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT data FROM sessions WHERE key = ? AND until > unixepoch()", (key,)).fetchone()
        return row[0] if row else None
```

> Redis would win as soon as there is a second machine.

Say if I shall build it."""

ANSWERS: Mapping[str, Sequence[Step]] = {
    SLOW: (
        Step(text="I look at how it is put together.", tool="Bash", input={"command": "ls"}),
        Step(tool="Bash", input={"command": "wc -l app.py"}),
        Step(text=_SLOW_ANSWER, chunk=24, delay=0.55),
    ),
    CLEAN: (
        Step(
            text="There are 312 of them in `sessions/`.",
            tool="Bash",
            input={"command": "find sessions -mtime +30 -delete", "description": "Delete sessions older than 30 days"},
        ),
        Step(text="They are gone; 14 younger ones are left."),
    ),
    COMPARE: (Step(text=_COMPARED),),
}
