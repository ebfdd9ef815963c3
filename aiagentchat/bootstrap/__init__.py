"""Everything that must be there before the daemon can run: settings, an account, rooms; and a homeserver for them.

`begin` writes config.yaml, `synapse` the settings of a homeserver. What is wanted at the homeserver is in `wanted`,
what is there finds `site`, what follows says `plan` (pure), and `doing` does it, one step after the other. A step is
one request that changes something, or one file; who dies between two of them goes on with the next in his next life.
"""
