"""The tutorial's training, for comparison: an LSTM that reads one article per step, with windows cut in Python.

The code follows "Generative networks" of Microsoft's "AI for Beginners" (lessons/5-NLP/17-GenerativeNetworks): AG_NEWS,
hidden size 64, Adam 0.01, windows of 100 characters. A dictionary replaces the tutorial's torchtext vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NCHARS = 100
HIDDEN = 64


class Tutorial:
    """The tutorial's vocabulary, windows, network and training step."""

    def __init__(self, characters: tuple[str, ...], hidden: int = HIDDEN) -> None:
        self.vocab = {character: index for index, character in enumerate(characters)}
        self.net = LSTMGenerator(len(characters), hidden)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 0.01)

    def enc(self, text: str) -> Tensor:
        """The ids (len(text)) of a text. As in the tutorial, an unknown character is 0."""
        return torch.LongTensor([self.vocab.get(character, 0) for character in text])

    def get_batch(self, text: str, nchars: int = NCHARS) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each (len(text) - nchars, nchars) of int64."""
        ins = torch.zeros(len(text) - nchars, nchars, dtype=torch.long)
        outs = torch.zeros(len(text) - nchars, nchars, dtype=torch.long)
        for i in range(len(text) - nchars):
            ins[i] = self.enc(text[i : i + nchars])
            outs[i] = self.enc(text[i + 1 : i + nchars + 1])
        return ins, outs

    def train_step(self, text: str) -> float:
        """Learn from one article."""
        text_in, text_out = self.get_batch(text)
        self.optimizer.zero_grad()
        out, _ = self.net(text_in)
        loss = F.cross_entropy(out.reshape(-1, out.shape[-1]), text_out.flatten())
        loss.backward()
        self.optimizer.step()
        return loss.item()


def long_enough(text: str) -> bool:
    """Whether the tutorial trains on an article: it skips those with fewer than ten windows."""
    return len(text) - NCHARS >= 10


class LSTMGenerator(nn.Module):
    """One-hot → LSTM → linear, batch first."""

    def __init__(self, vocab_size: int, hidden: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.rnn = nn.LSTM(vocab_size, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, vocab_size)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits (batch, time, vocab_size) for ids (batch, time), and the state after them."""
        one_hot = F.one_hot(x, self.vocab_size).to(torch.float32)
        out, state = self.rnn(one_hot, state)
        return self.fc(out), state
