"""vidprocme: a self-hosted video-understanding pipeline."""

__version__ = "0.1.0"
