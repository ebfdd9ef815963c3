"""Run jobs of .gitlab-ci.yml on this machine, without a GitLab. `make pipeline` calls this.

    python -m rig.pipeline [WORD]...        # words for gitlab-ci-local: a job, --list, --help; without: --list

It reads the rules as GitLab does, checks the file against GitLab's schema, and runs the lines of a job in this tree
with this machine's shell, whatever image the job names. Variables of the project are given by `--variable NAME=value`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rig.setup import FOLDER, ROOT, SetupFailed, gitlab_ci_local

PREDEFINED = ("CI_COMMIT_BRANCH", "CI_COMMIT_REF_PROTECTED", "CI_COMMIT_TAG", "CI_PIPELINE_SOURCE")
"""What GitLab sets, and we set to see the pipelines of others."""


def command(*words: str, tree: Path = ROOT) -> list[str]:
    """The command line for gitlab-ci-local, started in a tree. Raises SetupFailed."""
    node = gitlab_ci_local()
    return [
        str(node.program),
        str(node.modules / "gitlab-ci-local" / "dist" / "index.js"),
        f"--state-dir={os.path.relpath(FOLDER / 'pipeline' if tree == ROOT else tree / '.pipeline', tree)}",
        "--force-shell-executor",
        f"--ignore-predefined-vars={','.join(PREDEFINED)}",
        *words,
    ]


def run(
    *words: str, tree: Path, environ: Mapping[str, str], variables: Mapping[str, str], within: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Call it with variables, and wait for its end. Raises SetupFailed."""
    given = [f"--variable={name}={value}" for name, value in variables.items()]
    return subprocess.run(
        command("--no-color", *given, *words, tree=tree),
        check=False,
        capture_output=True,
        text=True,
        cwd=tree,
        stdin=subprocess.DEVNULL,
        env=dict(environ),
        timeout=within,
    )


def main() -> None:
    """Become gitlab-ci-local."""
    try:
        argv = command(*(sys.argv[1:] or ["--list"]))
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")
    os.chdir(ROOT)
    os.execv(argv[0], argv)  # noqa: S606 # no shell is wanted


if __name__ == "__main__":
    main()
