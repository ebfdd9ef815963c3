"""The settings of a homeserver that is closed to strangers."""

from dataclasses import replace

import yaml

from aiagentchat.bootstrap.synapse import KEPT, SECRETS, SETTINGS, SIGNING_KEY, Synapse, files, name_in, settings

HOUSE = Synapse(server_name="house.example", folder="/data/synapse")


def zeros(size: int) -> bytes:
    return bytes(size)


def test_nobody_comes_in_and_nothing_goes_out_by_default() -> None:
    said = yaml.safe_load(settings(HOUSE))

    assert said["federation_domain_whitelist"] == []
    assert said["trusted_key_servers"] == []
    assert said["enable_registration"] is False
    assert said["allow_guest_access"] is False
    assert [listener["bind_addresses"] for listener in said["listeners"]] == [["127.0.0.1"]]
    assert [listener["resources"][0]["names"] for listener in said["listeners"]] == [["client"]]
    assert (said["server_name"], said["public_baseurl"]) == ("house.example", "http://127.0.0.1:8008/")


def test_who_wants_federation_says_so() -> None:
    said = yaml.safe_load(settings(replace(HOUSE, federation=True, public_url="https://m.example/", bind="0.0.0.0")))

    assert "federation_domain_whitelist" not in said
    assert said["listeners"][0]["resources"][0]["names"] == ["client", "federation"]
    assert said["listeners"][0]["bind_addresses"] == ["0.0.0.0"]
    assert said["public_baseurl"] == "https://m.example/"


def test_every_secret_is_a_file_of_its_own_and_none_is_in_the_settings() -> None:
    made = files(HOUSE, zeros)
    said = yaml.safe_load(made[SETTINGS])

    assert made.keys() == {SETTINGS, "log.yaml", *KEPT}
    assert {said[f"{name}_path"] for name in SECRETS} == {f"/data/synapse/{name}" for name in SECRETS}
    assert all(len(made[name]) == 43 and made[name] not in made[SETTINGS] for name in SECRETS)
    assert made[SIGNING_KEY].split()[:2] == ["ed25519", "a_made"]
    assert yaml.safe_load(made["log.yaml"])["root"]["level"] == "WARNING"


def test_names_with_odd_characters_stay_text() -> None:
    odd = replace(HOUSE, server_name='a"b: c', folder="/data/<url> #1")
    said = yaml.safe_load(settings(odd))

    assert said["server_name"] == 'a"b: c'
    assert said["signing_key_path"].startswith("/data/<")


def test_the_name_is_found_in_settings_that_somebody_has_changed() -> None:
    assert name_in(settings(HOUSE)) == "house.example"
    assert name_in("server_name: house.example  # for ever\nlisteners: []\n") == "house.example"
    assert [name_in(text) for text in ("", "a: [", "- a", "a: b")] == [""] * 4
