"""Tasks that survive a crash: Redis and its scripts behind the Queue protocol."""
