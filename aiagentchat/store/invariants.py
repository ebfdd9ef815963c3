"""What `aiagentchat db check` looks for, beyond what SQLite itself can tell."""

import sqlite3
from collections.abc import Iterator, Mapping

from aiagentchat.store.queries import statements

MOST_NAMED = 5
"""Rows that are named where something is wrong; of more it is said that there are more."""

_INVARIANTS = statements("invariants")

_SENTENCES: Mapping[str, str] = {
    _INVARIANTS["moments_of_commands"]: "commands whose state and times do not fit together",
    _INVARIANTS["rooms_that_run_two"]: "rooms with more than one running command",
    _INVARIANTS["parcels_without_event"]: "parcels whose state and event do not fit together",
    _INVARIANTS["events_of_two_parcels"]: "events that belong to more than one parcel",
    _INVARIANTS["rooms_with_two_on_their_way"]: "rooms with more than one parcel on its way",
    _INVARIANTS["messages_with_two_edits"]: "messages for which more than one edit waits",
    _INVARIANTS["edits_of_nothing"]: "edits that wait for a message that is not there",
    _INVARIANTS["files_of_nothing"]: "files that are kept for no parcel",
    _INVARIANTS["questions_of_the_ended"]: "open questions of turns that have ended",
    _INVARIANTS["words_of_nothing"]: "messages of the history whose words are not indexed, or words of none",
    _INVARIANTS["waits_for_nothing"]: "messages that wait for a parcel that is not on its way",
    _INVARIANTS["turns_of_nothing"]: "turns of agents that belong to no command",
    _INVARIANTS["halts_for_nothing"]: "rooms in which agents are halted without a reason",
    _INVARIANTS["tasks_of_the_ended"]: "tasks that do not stand where their commands do",
    _INVARIANTS["not_readable"]: "rows that cannot be read",
}


def broken(connection: sqlite3.Connection) -> Iterator[str]:
    """One sentence for each rule that the rows break. Raises what sqlite3 raises."""
    for statement, sentence in _SENTENCES.items():
        found = [str(what) for (what,) in connection.execute(statement).fetchmany(MOST_NAMED + 1)]
        if found:
            named = ", ".join(found[:MOST_NAMED]) + (", and more" if len(found) > MOST_NAMED else "")
            yield f"{sentence}: {named}"
