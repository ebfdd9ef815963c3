"""What is added to a bill of materials: our version, who needs whom, and nothing that is not installed."""

from typing import Any

from aiagentchat import __version__
from rig.pins import Pin
from rig.sbom import complete


def pin(name: str, *via: str, here: bool = True) -> Pin:
    return Pin(name, "1.0", ("0" * 64,), here, via)


def component(name: str, ref: str) -> dict[str, Any]:
    return {"bom-ref": ref, "description": "requirements line 3: …", "name": name, "purl": f"pkg:pypi/{name}@1.0"}


def test_a_bill_has_our_version_the_graph_and_only_what_is_installed_here() -> None:
    bill = {
        "components": [component("aiohttp", "L3"), component("attrs", "L9"), component("pywin32", "L12")],
        "dependencies": [{"ref": "L3"}],
        "metadata": {"component": {"bom-ref": "root-component", "name": "aiagentchat"}, "tools": {}},
        "specVersion": "1.6",
    }
    listed = [
        pin("aiohttp", "aiagentchat (pyproject.toml)", "not-here"),
        pin("attrs", "aiohttp"),
        pin("pywin32", "aiohttp", here=False),
    ]

    done = complete(bill, listed)
    assert [each["name"] for each in done["components"]] == ["aiohttp", "attrs"]
    assert not any("description" in each for each in done["components"])
    assert done["dependencies"] == [
        {"ref": "L3", "dependsOn": ["L9"]},
        {"ref": "L9", "dependsOn": []},
        {"ref": "root-component", "dependsOn": ["L3"]},
    ]
    assert done["metadata"]["component"]["version"] == __version__
    assert done["metadata"]["component"]["purl"] == f"pkg:pypi/aiagentchat@{__version__}"
    assert (done["specVersion"], done["metadata"]["tools"]) == ("1.6", {})
