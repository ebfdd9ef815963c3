"""A program that tries, from inside a room, everything in the catalogue; and the decoys that it aims at.

Standard library only and no import of ours: the lab copies this folder to where a sandbox lets it be read, and starts
it with `python -I -S -E`. It aims at nothing but what the lab has made, and leaves the machine as it was.
"""
