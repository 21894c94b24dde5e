"""Frames in, words out: vision-language models behind the Describer protocol."""
