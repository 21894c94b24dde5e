"""Who runs where, now, and why the others wait. Pure; the simulator and the live loop call the same `decide`."""
