"""What can be seen from outside: metrics, logs, health."""
