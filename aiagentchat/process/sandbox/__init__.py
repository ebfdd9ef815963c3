"""What a run is kept in: `cell` says what it may have, `enclose` how that is kept, `ladder` which way works here."""
