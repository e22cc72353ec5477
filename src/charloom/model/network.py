"""CharModel: one-hot → RNN, LSTM or GRU → linear, and nothing about how it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charloom.params import ModelParams

# (layers, batch, hidden) for RNN and GRU; the LSTM has two of them, hidden state and cell state
State = Tensor | tuple[Tensor, Tensor]

INPUT_STD = 3.0
EMBEDDING_STD = 0.3  # of what reads a class's embedding, which begins at zero; trials in BENCHMARKS.md, "Classes"


class CharModel(nn.Module):
    """A recurrent network that reads symbols and gives logits for the one that follows each.

    Ids are one-hot vectors at its input, as in the tutorial. `dropout` acts between layers, as torch has it, and before
    the output, where it drops the same units at every step of a window (Gal and Ghahramani 2016).
    A conditioned one is told the class of what it reads, from 0, or `no_class`, by a second 1 in the same vector, by
    the class's own embedding of the character beside it, by the state that it begins in, which is learned, and at the
    output by weights of the class's own, which add to those that all classes share: the generative model of Yogatama et
    al. (2017), near enough.
    """

    def __init__(self, symbols: int, params: ModelParams, classes: int = 0) -> None:
        super().__init__()
        self.symbols = symbols
        self.params = params
        self.conditioned = params.conditioning == "class"
        self.no_class = classes
        cell: type[nn.RNN | nn.LSTM | nn.GRU] = getattr(nn, params.cell)
        between = params.dropout if params.layers > 1 else 0.0  # torch warns where there is no between
        told = classes + 1 if self.conditioned else 0
        self.ones = symbols + told  # what a 1 at the input may stand for
        self.embedded = params.class_embedding if self.conditioned else 0
        self.rnn = cell(self.ones + self.embedded, params.hidden_size, params.layers, dropout=between)
        self.head = nn.Linear(params.hidden_size, symbols)
        if self.conditioned:
            states = 2 if params.cell == "LSTM" else 1
            self.initial = nn.Parameter(torch.empty(states, params.layers, told, params.hidden_size))
            self.class_head = nn.Parameter(torch.empty(told, symbols, params.hidden_size))
        if self.embedded:
            self.class_embedding = nn.Parameter(torch.empty(told, symbols, self.embedded))
        if not self.head.weight.is_meta:  # a model's shapes alone; to draw there loads torch's compiler: two seconds
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Orthogonal recurrent weights, forget gates that start open (bias 1: Jozefowicz et al. 2015), wide inputs.

        A one-hot vector has a single 1, so that one weight is all that a gate sees of a symbol: at the scale that
        torch gives it, symbols are told apart too late. After 1.2 million characters at hidden size 128 and the best
        step size for each, it was 3.06 bits per character at torch's scale and 2.47 at INPUT_STD. Classes begin without
        effect: a class is there at every step, and weights at that scale would move each gate as far as a symbol does,
        in the same direction all through an article.
        """
        hidden = self.params.hidden_size
        for name, weights in self.rnn.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weights.split(hidden):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.normal_(weights, std=INPUT_STD if name.endswith("_l0") else hidden**-0.5)
            else:
                nn.init.zeros_(weights)
                if self.params.cell == "LSTM" and name.startswith("bias_ih"):
                    nn.init.ones_(weights[hidden : 2 * hidden])  # torch's gates: input, forget, cell, output
        if self.conditioned:
            nn.init.zeros_(self.rnn.get_parameter("weight_ih_l0")[:, self.symbols : self.ones])
            nn.init.zeros_(self.initial)
            nn.init.zeros_(self.class_head)
        if self.embedded:
            nn.init.normal_(self.rnn.get_parameter("weight_ih_l0")[:, self.ones :], std=EMBEDDING_STD)
            nn.init.zeros_(self.class_embedding)

    def size(self) -> int:
        """The number of parameters."""
        return sum(weights.numel() for weights in self.parameters())

    def forward(self, ids: Tensor, state: State | None = None, classes: Tensor | None = None) -> tuple[Tensor, State]:
        """Logits (time, batch, symbols) for ids (time, batch), and the state after them.

        `state` is what an earlier call gave, so that text can be streamed; None is the state that text begins in, zero
        or learned. `classes`, (time, batch) or (batch), are for a conditioned model alone; None is no class.
        """
        inputs = F.one_hot(ids, self.ones)
        if self.conditioned:
            told = torch.full_like(ids[0], self.no_class) if classes is None else classes
            at_each = told.expand_as(ids)
            inputs = inputs + F.one_hot(self.symbols + at_each, self.ones)
            state = self.initial_state(at_each[0]) if state is None else state
        inputs = inputs.to(self.head.weight.dtype)
        if self.embedded:
            own = F.embedding(at_each * self.symbols + ids, self.class_embedding.flatten(0, 1))
            inputs = torch.cat([inputs, own], -1)
        output, state = self.rnn(inputs, state)
        if self.training and self.params.dropout:
            output = output * self._mask(output)
        logits = self.head(output)
        if self.conditioned:
            logits = logits + self.class_logits(output, told)
        return logits, state

    def _mask(self, output: Tensor) -> Tensor:
        """What dropout leaves of the output's units: (1, batch, hidden), as one for each step teaches no more.

        An eighth of AG_NEWS-26k read eight times by 256 units came to 2.162 bits per character both ways; a mask a step
        took 8.6 % of the time at 512 units on two cores.
        """
        return F.dropout(torch.ones_like(output[:1]), self.params.dropout)

    def class_logits(self, output: Tensor, classes: Tensor) -> Tensor:
        """What the weights of the classes themselves add to the logits: (time, batch, symbols)."""
        steps, texts, _ = output.shape
        if classes.dim() == 1 and steps > 1:  # as fast as the shared ones; for one step, copying them would cost more
            return torch.einsum("tbh,bsh->tbs", output, self.class_head[classes])
        if steps > 1 and output.device.type == "cpu":
            return self._by_class(output.flatten(0, 1), classes.flatten()).view(steps, texts, self.symbols)
        # all classes' weights for every symbol: many times the work, but a GPU need not wait to learn which are meant,
        # and at one step the shape of the product, so a sample's bits, is the same whatever the classes beside it
        told = F.one_hot(classes.expand(steps, texts), self.no_class + 1).to(output.dtype)
        return torch.einsum("tbc,tbh,csh->tbs", told, output, self.class_head)

    def _by_class(self, output: Tensor, classes: Tensor) -> Tensor:
        """The same for output (symbols read, hidden) and as many classes: a product for each class.

        In the weights' own precision: in bf16 oneDNN compiles a kernel for each number of rows that it has not met.
        """
        order = classes.argsort(stable=True)
        counts = classes.bincount(minlength=self.no_class + 1).tolist()
        rows_of_each = output.to(self.class_head.dtype).index_select(0, order).split(counts)
        with torch.autocast("cpu", enabled=False):
            logits = torch.cat([rows @ head.T for rows, head in zip(rows_of_each, self.class_head, strict=True)])
        return logits.index_select(0, order.argsort())

    def initial_state(self, classes: Tensor) -> State | None:
        """The state in which a conditioned model begins text of these classes (batch)."""
        return join(list(self.initial[:, :, classes]))


def parts(state: State | None) -> list[Tensor]:
    """The tensors of a state: none, the hidden state, or hidden state and cell state."""
    return [] if state is None else [state] if isinstance(state, Tensor) else list(state)


def join(tensors: Sequence[Tensor]) -> State | None:
    """The state whose `parts` these are."""
    return None if not tensors else tensors[0] if len(tensors) == 1 else (tensors[0], tensors[1])
