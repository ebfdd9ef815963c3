"""Ask whether something is known against the versions that are pinned. `make audit` calls this.

    python -m rig.audit [--service pypi|osv] [--ignore ID]... [FILE]...     # without a file: all of them

pip-audit does the asking. It makes no difference between a package of which nothing is known and one that nobody could
be asked about: it passes over the second, and ends with "No known vulnerabilities found". A service that has nothing to
say about anything looks like good news, too. So each pin must have been answered for, and the service must know what
has been known of an old PyYAML for years.

Exit codes: 0 nothing is known · 1 something is · 3 not everything could be asked, and nothing is known of the rest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from rig.pins import pins
from rig.setup import FOLDER, ROOT, SetupFailed, ensure_venv

NOTHING_KNOWN, KNOWN, NOT_ASKED = 0, 1, 3
CANARY = "pyyaml==5.3"
"""Its loader runs code that a document holds: CVE-2020-1747."""
LAST_WORDS = {
    NOTHING_KNOWN: "Nothing is known against what is pinned.",
    KNOWN: "Something is known against what is pinned. Take a mended version (make requirements), or, where it does "
    'not concern us, say so: make audit ARGS="--ignore ID".',
    NOT_ASKED: "This is no pass: not everything could be asked. Try again where the service can be reached, or ask "
    "the other one: make audit SERVICE=osv.",
}
WITHIN = 600.0
"""Seconds for one file. Where the network is good it takes some."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of asking about the pins of one file."""

    asked: tuple[str, ...]
    known: tuple[str, ...] = ()
    """A sentence for each hole."""
    unasked: tuple[str, ...] = ()
    """Pins for which there was no answer."""


def files() -> list[Path]:
    """All that is pinned here: what is installed by operators, and what builds and tests it."""
    return [*sorted(ROOT.glob("requirements*.txt")), ROOT / "deploy/requirements-build.txt"]


def judge(wanted: Mapping[str, str], answers: Mapping[str, Any] | None) -> Finding:
    """Compare what was to be asked, names with versions, with what pip-audit has printed, or None."""
    known: list[str] = []
    answered: set[str] = set()
    for each in answers["dependencies"] if answers else ():
        name = canonicalize_name(each["name"])
        if "vulns" not in each or wanted.get(name) != each["version"]:
            continue
        answered.add(name)
        for hole in each["vulns"]:
            names = ", ".join([hole["id"], *hole["aliases"]])
            mended = f"mended in {', '.join(hole['fix_versions'])}" if hole["fix_versions"] else "not mended yet"
            known.append(f"{name} {each['version']}: {names}; {mended}")
    return Finding(
        asked=tuple(sorted(answered)),
        known=tuple(known),
        unasked=tuple(f"{name} {version}" for name, version in sorted(wanted.items()) if name not in answered),
    )


def verdict(findings: Sequence[Finding]) -> int:
    """The exit code. What is known counts also where not everything could be asked."""
    if any(finding.known for finding in findings):
        return KNOWN
    return NOT_ASKED if any(finding.unasked for finding in findings) else NOTHING_KNOWN


def ask(file: Path, flags: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    """What pip-audit prints about the pins of a file, or None; and the end of its complaints."""
    program = ensure_venv(FOLDER / "supply", ROOT / "requirements-supply.txt").with_name("pip-audit")
    usual = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--desc", "off"]
    argv = [str(program), "--requirement", str(file), *usual, "--aliases", "on", *flags]
    try:
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=WITHIN
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {WITHIN:.0f} s"
    try:
        return json.loads(done.stdout), ""
    except json.JSONDecodeError:
        return None, (done.stderr.strip().splitlines() or ["no word"])[-1]


def audit(file: Path, flags: Sequence[str]) -> Finding:
    """Ask about one file, and say what came of it."""
    found = list(pins(file))
    answers, complaint = ask(file, flags)
    finding = judge({pin.name: pin.version for pin in found if pin.here}, answers)
    print(f"{file.name}: {len(finding.asked)} of {len(found)} asked about, {len(finding.known)} known holes")
    for hole in finding.known:
        print(f"  {hole}")
    if finding.unasked:
        few = ", ".join(finding.unasked[:5]) + (" …" if len(finding.unasked) > 5 else "")
        print(f"  no answer for {len(finding.unasked)}: {few}{f' ({complaint})' if complaint else ''}")
    if elsewhere := [pin.name for pin in found if not pin.here]:
        print(f"  not for machines like this one, and not asked about: {', '.join(elsewhere)}")
    return finding


def knows_the_canary(flags: Sequence[str]) -> bool:
    """Whether the service says what everybody knows."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-audit-") as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(f"{CANARY}\n", "utf-8")
        name, _, version = CANARY.partition("==")
        return bool(judge({name: version}, ask(file, flags)[0]).known)


def main() -> None:
    """Ask about each file."""
    parser = argparse.ArgumentParser(prog="python -m rig.audit", description="Ask what is known against the pins.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="requirements with hashes (all)")
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="whom to ask (pypi)")
    parser.add_argument("--osv-url", metavar="URL", help="another place of the service osv")
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="a hole that does not concern us")
    asked = parser.parse_args()
    flags = ["--vulnerability-service", asked.service]
    flags += ["--osv-url", asked.osv_url] if asked.osv_url else []
    try:
        if not knows_the_canary(flags):
            print(
                f"The service {asked.service} does not say what is known of {CANARY}: it cannot be reached, or knows "
                "nothing. So nothing else was asked."
            )
            code = NOT_ASKED
        else:
            flags += [word for hole in asked.ignore for word in ("--ignore-vuln", hole)]
            code = verdict([audit(file, flags) for file in asked.files or files()])
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")
    print(LAST_WORDS[code])
    sys.exit(code)


if __name__ == "__main__":
    main()
