"""The tutorial's way of drawing text, for comparison: one character at a time, with the state carried over.

The code follows `generate` with a temperature in "Generative networks" of Microsoft's "AI for Beginners"
(lessons/5-NLP/17-GenerativeNetworks). As in the tutorial, torch tracks gradients although they are not used.
"""

from __future__ import annotations

import torch

from tutorial_training import Tutorial


def generate(tutorial: Tutorial, characters: tuple[str, ...], size: int, start: str, temperature: float = 1.0) -> str:
    """Return `start` and the `size` characters that are drawn after `start`."""
    chars = list(start)
    out, state = tutorial.net(tutorial.enc(start).view(1, -1))
    for _ in range(size):
        out_dist = out[0][-1].div(temperature).exp()
        nc = torch.multinomial(out_dist, 1)[0]
        chars.append(characters[nc])
        out, state = tutorial.net(nc.view(1, -1), state)
    return "".join(chars)
