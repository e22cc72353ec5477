"""CharModel, the network: one-hot input → recurrent cell → linear output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charloom.cells import CELLS
from charloom.model.conditioning import class_characters, class_logits, one_hot_with_class, reset_class_weights
from charloom.model.device import compute_in_fp32
from charloom.model.layers import compact, read_layer
from charloom.model.memory import Memory, Remembered
from charloom.model.states import HiddenState, MemoryState, State, make_state, split_state, state_tensors
from charloom.params import ModelParams

# The standard deviation of the initial input weights. CharModel.reset_parameters gives the reason.
INPUT_STD = 3.0
# The input of the network contains the memory's probabilities for the MEMORY_INPUTS most frequent symbols. With 12 of
# 84 symbols the model is as good as with all, and faster (docs/experiments.md). The probabilities are multiplied by
# MEMORY_SCALE. Their initial input weights have a standard deviation of MEMORY_STD.
MEMORY_INPUTS, MEMORY_SCALE, MEMORY_STD = 12, 3.0, 0.03


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for a while, so that nothing is dropped."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class CharModel(nn.Module):
    """A recurrent network that reads symbol ids. After each symbol it returns the logits of the next symbol.

    The input is one-hot, as in the tutorial that README.md names. `params.dropout` acts after each recurrent layer. The
    same units are dropped at all time steps of a window (Gal and Ghahramani 2016).

    A conditioned model (`model.conditioning: class`) also receives a class id: 0…n-1, or `no_class`. The class enters
    the network in five places, which conditioning.py describes. The design follows the generative classifier of
    Yogatama et al. (2017).

    A model with a memory (`model.memory`) also receives what its n-gram memory (memory.py) predicts for the next
    symbol. The probabilities are a part of the input. Their logarithms, times a factor that the network computes
    (`memory_gate`), are added to the logits. Before training, if no class is given, the network predicts exactly what
    the memory predicts.

    If the model is conditioned, the memory also counts the articles of each class (`model.class_memory`). It predicts
    how many times likelier each symbol is in the given class than in all articles. The logarithm of this ratio, times
    a second factor, is added to the logits, too.
    """

    def __init__(self, symbols: int, params: ModelParams, classes: int = 0) -> None:
        """`symbols` is the size of the vocabulary. `classes` is the number of classes, used only if conditioned."""
        super().__init__()
        compute_in_fp32()
        self.symbols = symbols
        self.params = params
        self.conditioned = params.conditioning == "class"
        self.no_class = classes
        self.class_slots = classes + 1 if self.conditioned else 0  # one for each class, and one for "no class"
        self.one_hot_size = symbols + self.class_slots
        self.class_character_size = params.class_embedding if self.conditioned else 0
        # the number of classes whose articles the memory counts separately
        self.classes_in_memory = classes if self.conditioned and params.memory and params.class_memory else 0
        # The dropout masks of the next forward pass. None: `forward` draws masks. Training sets them, because several
        # processes must draw the masks of the whole batch, each for its own columns.
        self.next_masks: Tensor | None = None
        self.memory: Memory | None = None  # counted, not learned, so it is not in the state_dict
        self.memory_inputs = min(symbols, MEMORY_INPUTS) if params.memory else 0  # probabilities in the input
        cell = CELLS[params.cell]
        self.input_size = self.one_hot_size + self.class_character_size + self.memory_inputs
        # A module for each layer, with the dropout of charloom between them. A module of torch that has several layers
        # would draw its own dropout. On a GPU, it then waits for the GPU in each step.
        self.rnn = nn.ModuleList(
            cell.load()(params.hidden_size if layer else self.input_size, params.hidden_size)
            for layer in range(params.layers)
        )
        self.head = nn.Linear(params.hidden_size, symbols)
        if self.conditioned:
            slots, hidden = self.class_slots, params.hidden_size
            self.initial = nn.Parameter(torch.empty(len(cell.state), params.layers, slots, hidden))
            self.class_head = nn.Parameter(torch.empty(slots, symbols, hidden))
        if self.class_character_size:
            self.class_embedding = nn.Parameter(torch.empty(self.class_slots, symbols, self.class_character_size))
        if params.memory:
            self.memory_gate = nn.Linear(params.hidden_size, 2 if self.classes_in_memory else 1)
        # On the meta device there are shapes but no data. Drawing random numbers there would import torch's compiler,
        # which takes two seconds.
        if not self.head.weight.is_meta:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights: orthogonal recurrent weights, large input weights, and some gates open.

        The input weights of the first layer have a standard deviation of INPUT_STD. Reason: a one-hot vector has a
        single 1, so the whole input of a gate is the weight of one symbol. With the smaller weights that torch draws by
        default, the network is slow to tell symbols apart. After 1.2 million characters at hidden size 128, a network
        with torch's weights had 3.06 bits per character, and one with these weights 2.47. Each of the two networks was
        trained with its best learning rate.
        """
        cell, hidden = CELLS[self.params.cell], self.params.hidden_size
        for layer, module in enumerate(self.rnn):
            for name, weights in module.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in weights.split(hidden):
                        nn.init.orthogonal_(gate)
                elif name.startswith("weight_ih"):
                    nn.init.normal_(weights, std=hidden**-0.5 if layer else INPUT_STD)
                else:
                    nn.init.zeros_(weights)
                    if name.startswith("bias_ih"):
                        for gate, bias in zip(cell.gates, weights.split(hidden), strict=True):
                            nn.init.constant_(bias, float(gate in cell.open_gates))
        if self.conditioned:
            reset_class_weights(self)
        if self.params.memory:
            nn.init.normal_(self.get_parameter("rnn.0.weight_ih_l0")[:, -self.memory_inputs :], std=MEMORY_STD)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
            nn.init.zeros_(self.memory_gate.weight)
            nn.init.ones_(self.memory_gate.bias)

    def size(self) -> int:
        """The number of parameters."""
        return sum(weights.numel() for weights in self.parameters())

    @property
    def unk(self) -> int:
        """The id of `<unk>`, which is the last one, as in Vocabulary."""
        return self.symbols - 1

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.head.weight.device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> CharModel:
        """Move the memory to the device of the weights. torch calls this method when it moves the weights."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.memory is not None:
            self.memory = self.memory.to(self.device)
        return self

    def forward(
        self,
        ids: Tensor,
        state: State | None = None,
        classes: Tensor | None = None,
        remembered: Remembered | None = None,
    ) -> tuple[Tensor, State]:
        """The logits (time, batch, symbols) after each of the ids (time, batch), and the state after the last id.

        `state` is the state that an earlier call returned, so a text can be read in pieces. None means the initial
        state of a text: zeros, or the learned initial state of a conditioned model. `classes` are class ids, (batch) or
        (time, batch). None means `no_class`. An unconditioned model ignores `classes`. `remembered` is what the memory
        predicts after each of the ids, for a model with a memory. If it is None, the model asks its memory. The
        returned state then also contains the cursor of the memory.
        """
        if not self.conditioned:
            classes = None
        elif classes is None:
            classes = torch.full_like(ids[0], self.no_class)
        if remembered is None:
            remembered, state = self.remember(ids, state, classes)
        hidden, cursor = split_state(state)
        if hidden is None and classes is not None:
            hidden = self.initial_state(classes.expand_as(ids)[0])
        inputs, columns = self._inputs(ids, classes)
        if remembered is not None:
            inputs = torch.cat([inputs, self._memory_inputs(remembered.probabilities)], -1)
        output, hidden = self._recur(inputs, hidden, columns)
        logits = self.head(output)
        if classes is not None:
            logits = logits + class_logits(output, classes, self.class_head)
        if remembered is not None:
            logits = logits + self._memory_logits(output, remembered)
        return logits, hidden if cursor is None else MemoryState(hidden, cursor)

    def remember(
        self, ids: Tensor, state: State | None, classes: Tensor | None
    ) -> tuple[Remembered | None, State | None]:
        """What the memory predicts after each of the ids. None if the model has no memory.

        The arguments are those of `forward`. Also returns the state that `forward` needs with this prediction.
        """
        if self.memory is None:
            return None, state
        hidden, cursor = split_state(state)
        remembered, cursor = self.memory.read(ids, cursor, classes)
        return remembered, MemoryState(hidden, cursor)

    def _recur(self, inputs: Tensor, hidden: HiddenState | None, columns: Tensor | None) -> tuple[Tensor, HiddenState]:
        """The output (time, batch, hidden) of the recurrent layers for inputs (time, batch, size), and their state.

        If `columns` is given, the first layer uses only these columns of its input weights. The output of each layer is
        multiplied by its dropout mask.
        """
        masks = None
        if self.training and self.params.dropout:
            masks = self.dropout_masks(inputs.shape[1]) if self.next_masks is None else self.next_masks
        output, ends = inputs, []
        for layer, module in enumerate(self.rnn):
            before = make_state([tensor[layer : layer + 1] for tensor in state_tensors(hidden)])
            output, end = read_layer(CELLS[self.params.cell], module, output, before, None if layer else columns)
            ends.append(state_tensors(end))
            if masks is not None:
                output = output * masks[layer].to(output.dtype)
        after = make_state([torch.cat(tensors) for tensors in zip(*ends, strict=True)])
        assert after is not None
        return output, after

    def initial_state(self, classes: Tensor) -> HiddenState | None:
        """The learned initial state of a conditioned model for texts of these classes (batch)."""
        return make_state(list(self.initial[:, :, classes]))

    def _inputs(self, ids: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The input vectors (time, batch, size) of ids (time, batch), without the part that comes from the memory.

        Also returns the columns of the input weights to use. None: all columns.
        """
        dtype = self.head.weight.dtype
        short, symbols, columns = compact(ids, self.symbols, self.input_size)
        if classes is None:
            return F.one_hot(short, symbols).to(dtype), columns
        of_each = classes.expand_as(ids)
        inputs = one_hot_with_class(short, of_each, symbols, symbols + self.class_slots).to(dtype)
        if self.class_character_size:
            inputs = torch.cat([inputs, class_characters(ids, of_each, self.class_embedding)], -1)
        return inputs, columns

    def _memory_logits(self, output: Tensor, remembered: Remembered) -> Tensor:
        """The part of the logits (time, batch, symbols) that comes from the memory."""
        gates = self.memory_gate(output)
        logits: Tensor = gates[..., :1] * remembered.probabilities.log()
        if remembered.class_ratios is not None:
            logits = logits + gates[..., 1:] * remembered.class_ratios.log()
        return logits

    def _memory_inputs(self, probabilities: Tensor) -> Tensor:
        """The part of the input vectors (time, batch, size) that comes from the memory."""
        assert self.memory is not None
        frequent = self.memory.by_frequency[: self.memory_inputs]
        return MEMORY_SCALE * probabilities.index_select(-1, frequent).to(self.head.weight.dtype)

    def dropout_masks(self, batch: int, random: torch.Generator | None = None) -> Tensor:
        """Draw a dropout mask for the output of each layer: (layers, 1, batch, hidden). All time steps share it.

        A separate mask for each step was not better. Both ways gave 2.162 bits per character in a training of 256 units
        that read an eighth of AG_NEWS-26k eight times. Separate masks took 8.6 % more time at 512 units on two cores.
        """
        kept = 1 - self.params.dropout
        masks = torch.empty(self.params.layers, 1, batch, self.params.hidden_size, device=self.device)
        return masks.bernoulli_(kept, generator=random).div_(kept)
