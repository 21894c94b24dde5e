"""Everything that talks to ffmpeg and to the libav libraries."""
