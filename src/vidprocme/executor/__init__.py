"""Starts an attempt on its place and hands back its outcome."""
