"""Write down what an installation is made of, as a CycloneDX bill of materials. `make sbom` calls this.

    python -m rig.sbom          # dist/aiagentchat-VERSION.cdx.json

cyclonedx-py reads the requirements with their hashes. This adds what it cannot see there: our version, and who needs
whom, which the comments of the file say. It leaves out what is only for other systems. The same tree gives the same
file. The Claude Code program is not in it: it is no part of what we pass on.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiagentchat import __version__
from rig.pins import Pin, pins
from rig.setup import FOLDER, ROOT, SetupFailed, ensure_venv

NAME = "aiagentchat"
SPECIFICATION = "1.6"
WITHIN = 120.0
"""Seconds for cyclonedx-py. It takes six."""


def complete(bill: dict[str, Any], listed: list[Pin]) -> dict[str, Any]:
    """The bill of cyclonedx-py with our version and the graph, without what is not installed here."""
    here = {pin.name: pin for pin in listed if pin.here}
    components = [component for component in bill["components"] if component["name"] in here]
    for component in components:
        component.pop("description", None)  # the line of the file once more, with all of its hashes
    refs = {component["name"]: component["bom-ref"] for component in components}
    root = bill["metadata"]["component"] | {"version": __version__, "purl": f"pkg:pypi/{NAME}@{__version__}"}
    needs: dict[str, list[str]] = {ref: [] for ref in [root["bom-ref"], *refs.values()]}
    for pin in here.values():
        for wanting in pin.via:
            by = root["bom-ref"] if wanting.startswith(f"{NAME} (") else refs.get(wanting)
            if by is not None:
                needs[by].append(refs[pin.name])
    return bill | {
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(needs.items())],
        "metadata": bill["metadata"] | {"component": root},
    }


def write(folder: Path, *, environ: dict[str, str] | None = None) -> Path:
    """Write it into a folder. Raises SetupFailed."""
    requirements = ROOT / "requirements.txt"
    program = ensure_venv(FOLDER / "supply", ROOT / "requirements-supply.txt").with_name("cyclonedx-py")
    with tempfile.TemporaryDirectory(prefix="aiagentchat-sbom-") as scratch:
        made = Path(scratch) / "bill.json"
        argv = [str(program), "requirements", str(requirements), "--pyproject", str(ROOT / "pyproject.toml")]
        argv += ["--spec-version", SPECIFICATION, "--output-reproducible", "--output-file", str(made)]
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | (environ or {}),
            timeout=WITHIN,
        )
        if done.returncode != 0:
            raise SetupFailed(f"{' '.join(argv)}: exit {done.returncode}\n{done.stderr[-3000:]}")
        bill = complete(json.loads(made.read_text("utf-8")), list(pins(requirements)))
    folder.mkdir(exist_ok=True)
    file = folder / f"{NAME}-{re.sub(r'[^A-Za-z0-9.]', '_', __version__)}.cdx.json"
    file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", "utf-8")
    return file


def main() -> None:
    """Write it into dist."""
    try:
        file = write(ROOT / "dist")
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")
    print(f"{file.relative_to(ROOT)}: what an installation is made of, as CycloneDX {SPECIFICATION}")


if __name__ == "__main__":
    main()
