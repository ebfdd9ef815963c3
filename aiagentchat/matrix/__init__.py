"""The homeserver, behind our ports. The only place that knows matrix-nio."""
