"""The alerts of the rig are ours in a hurry."""

import yaml

from rig.prometheus import RULES, hurried


def test_what_is_waited_for_is_shorter_and_what_is_no_time_stays() -> None:
    said = yaml.safe_load(hurried((RULES / "alerts.yaml").read_text(encoding="utf-8")))
    rules = {rule["alert"]: (rule["expr"], rule.get("for")) for rule in said["groups"][0]["rules"]}

    assert rules == {
        "AiagentchatSyncStale": ("aiagentchat_sync_age_seconds > 3", "1s"),
        "AiagentchatQueueAge": ("aiagentchat_oldest_queued_age_seconds > 30", "5s"),
        "AiagentchatOutboxAge": ("aiagentchat_oldest_parcel_age_seconds > 5", "2s"),
        "AiagentchatInterrupted": ("time() - aiagentchat_last_interrupted_timestamp_seconds < 900", None),
        "AiagentchatUndecryptable": ("aiagentchat_sealed_events > 0", "10s"),
        "AiagentchatHostSilent": ('up{job="aiagentchat"} == 0 or absent(up{job="aiagentchat"})', "2s"),
    }
