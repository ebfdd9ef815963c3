"""`cchat chat`: a person at a terminal, in a Matrix room."""
