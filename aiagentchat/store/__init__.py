"""The ledger between the stages: SQLite through aiosqlite, statements in sql/."""
