"""Whether a tree is a release: what it says of itself in three places is the same, and nothing was changed since."""

import pytest

from rig.release import disagreements

CHANGELOG = "# Changelog\n\nFor whoever upgrades.\n\n## 0.2.0: 2026-12-01\n\n### Added\n\n## 0.1.0: 2026-11-01\n"


def test_a_tree_that_agrees_is_one() -> None:
    assert disagreements("0.2.0", changelog=CHANGELOG, tags={"v0.2.0", "good"}, changed=[]) == []


@pytest.mark.parametrize(
    "heading", ["Unreleased: 0.2.0", "0.2.0", "0.2.0: soon", "0.1.0: 2026-12-01", "0.2.0: 2026-12-01 (yanked)"]
)
def test_the_changelog_begins_with_the_version_and_a_day(heading: str) -> None:
    changelog = CHANGELOG.replace("0.2.0: 2026-12-01", heading)

    [why] = disagreements("0.2.0", changelog=changelog, tags={"v0.2.0"}, changed=[])
    assert f"CHANGELOG.md begins with '{heading}'" in why


def test_a_changelog_without_a_heading_is_none() -> None:
    assert len(disagreements("0.2.0", changelog="", tags={"v0.2.0"}, changed=[])) == 1


@pytest.mark.parametrize(("tags", "named"), [(set(), "none"), ({"0.2.0", "v0.1.0"}, "0.2.0, v0.1.0")])
def test_the_tag_is_the_version(tags: set[str], named: str) -> None:
    [why] = disagreements("0.2.0", changelog=CHANGELOG, tags=tags, changed=[])

    assert why.startswith(f"the commit has no tag v0.2.0 (it has: {named})")


def test_nothing_was_changed_since_the_commit() -> None:
    [why] = disagreements("0.2.0", changelog=CHANGELOG, tags={"v0.2.0"}, changed=["README.md", "Makefile"])

    assert "(Makefile, README.md)" in why


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(disagreements("0.3.0", changelog=CHANGELOG, tags={"v0.2.0"}, changed=["Makefile"])) == 3
