"""The web page: draw from a prompt, watch it grow from coarse to fine, paint over a part to draw it anew."""

from __future__ import annotations
