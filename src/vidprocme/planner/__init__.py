"""From a video and a wish to a graph of tasks. Pure."""
