"""The live loop: look, decide, claim, start, record; and the control verbs submit, cancel, retry."""
