"""What the API's hints say, in the words of the command line: whoever types verbs is not told of paths."""

from __future__ import annotations

import re

_LISTS = re.compile(r"GET /v1/(jobs|videos|tenants|nodes|bins|keys|alerts|webhooks) lists (those there are|them)")
_ONE = re.compile(r"GET /v1/(jobs|videos)/([\w-]+) (says|names|lists)")


def for_the_command_line(hint: str) -> str:
    hint = _LISTS.sub(r"`vidprocme \1 ls` lists \2", hint)
    return _ONE.sub(r"`vidprocme \1 show \2` \3", hint)
