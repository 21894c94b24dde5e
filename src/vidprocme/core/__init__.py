"""The nouns of the house: plain values, no files, no sockets, no clock. Imports nothing of ours."""
