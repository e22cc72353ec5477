# %% [markdown]
# # From the tutorial to charloom
#
# charloom grew out of a well-known tutorial: "Generative networks" in Microsoft's course
# [AI for Beginners](https://github.com/microsoft/AI-For-Beginners). In the
# tutorial, a small LSTM reads news letter by letter and then writes new articles. This page follows the tutorial
# step by step. Each step has three parts:
#
# 1. the code as the tutorial has it (type hints are added),
# 2. the faults in this code. You see what each fault does, and then the fixed code,
# 3. what the step became in charloom, in which file that is, and what the change is worth.
#
# You need to know some Python. It helps to have seen a neural network in PyTorch. All other ideas are explained here.
#
# The page is a program, [tutorial.py](tutorial.py). VS Code opens it as a notebook, and so does Jupyter with jupytext.
# `python docs/tutorial.py` runs it in about half a minute. It needs no network, because it reads the small corpus of
# invented news that comes with charloom. `make tutorial` runs it and writes this page, so every number below was
# measured.
#
# **About the times.** The program uses one core, and it counts the CPU time that it gets. Other programs on the machine
# disturb such a time less than they disturb a clock. It is still noisy: if you repeat a measurement, expect it to
# change by up to a third. Numbers that are not times are the same in each run on one machine.

# %%
import collections
from collections.abc import Callable
from functools import partial
import lzma
import math
from pathlib import Path
import re
import tempfile
import time

import charloom
from charloom.corpus.articles import read_articles
from charloom.corpus.sources import SAMPLE
from charloom.model.network import CharModel
from charloom.report.canvas import OTHER, OURS, OURS_PALE, TEST, add_title_and_grid
from charloom.text.encode import write_split
from charloom.training.batches import Lanes
from charloom.training.loop import Training
from charloom.training.parallel import Group
from matplotlib import pyplot
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.manual_seed(1)
articles = list(read_articles(SAMPLE / "train.csv"))
train_texts = [article.text for article in articles]
test_texts = [article.text for article in read_articles(SAMPLE / "test.csv")]
print(f"{len(train_texts)} articles to learn from, {len(test_texts)} to test with. The first one:")
print(train_texts[0])


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The CPU seconds of `work`: the shortest of several measurements."""
    measured = []
    for _ in range(times):
        began = time.process_time()
        work()
        measured.append(time.process_time() - began)
    return min(measured)


def show_error(work: Callable[[], object]) -> None:
    """Call `work`, and print the error that it raises."""
    try:
        work()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")


# %% [markdown]
# ## 1. Tokenizer and vocabulary
#
# A network computes with numbers, so text must become numbers. A *tokenizer* cuts a text into tokens. Here, each
# character is a token. The *vocabulary* gives each token a number, its *id*. The tutorial counts the characters and
# calls `torchtext.vocab.vocab(counter)`, which numbers them in the order in which they first occur. torchtext is
# archived, so a dictionary takes its place here. The ids are the same.


# %%
def char_tokenizer(words: str) -> list[str]:
    return list(words)


counter: collections.Counter[str] = collections.Counter()
for text in train_texts:
    counter.update(char_tokenizer(text))
itos = list(counter)
stoi = {character: index for index, character in enumerate(itos)}
vocab_size = len(itos)
print(f"Vocabulary size = {vocab_size}")
print(f"Encoding of 'a' is {stoi['a']}")
print(f"Character with code 13 is {itos[13]}")

# %% [markdown]
# **Two faults.** The tutorial's helper `encode` cuts a text into words, unless you pass another tokenizer. And it gives
# the id 0 to every token that it does not know. If you forget to pass `char_tokenizer`, the helper looks up whole words
# in a vocabulary of characters. It finds none of them, and it reports no error.
#
# The second fault remains even with the right tokenizer. The id 0 belongs to a real character, the first one of the
# corpus. So an unknown character silently turns into that character.


# %%
def word_tokenizer(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def encode(text: str, tokenizer: Callable[[str], list[str]] = word_tokenizer, unk: int = 0) -> list[int]:
    return [stoi.get(token, unk) for token in tokenizer(text)]


def decode(ids: list[int]) -> str:
    return "".join(itos[index] for index in ids)


print("forgotten tokenizer:", encode("Stocks rise"), "→", repr(decode(encode("Stocks rise"))))
print("with char_tokenizer:", encode("Stocks rise", char_tokenizer))
print("unknown character:  ", repr("Tickets cost 25 €"), "→", repr(decode(encode("Tickets cost 25 €", char_tokenizer))))


# %% [markdown]
# The fix: there is only one tokenizer, and unknown characters get a separate id.
#
# **In charloom** this is `Vocabulary` in [vocab.py](../src/charloom/text/vocab.py). The ids of the characters are those
# of the tutorial. Two symbols follow them: `<eos>` marks the end of an article, so the model can learn where articles
# end. `<unk>` replaces every unknown character. The tutorial looks up each character in a dictionary, in a loop of
# Python. charloom looks up all characters of a text with one call of NumPy.


# %%
def enc(text: str) -> Tensor:
    """The tutorial's ids of a text."""
    return torch.LongTensor(encode(text, char_tokenizer))


vocabulary = charloom.Vocabulary.build(train_texts)
print("the same ids as in the tutorial:", list(vocabulary.characters) == itos)
print(f"<eos> is {vocabulary.eos}, <unk> is {vocabulary.unk}, and '€' is {vocabulary.encode('€').tolist()}")

corpus = "".join(train_texts)
theirs, ours = seconds(lambda: encode(corpus, char_tokenizer)), seconds(lambda: vocabulary.encode(corpus))
print(
    f"million characters encoded in a second: {len(corpus) / theirs / 1e6:.0f} by the tutorial,"
    f" {len(corpus) / ours / 1e6:.0f} by charloom"
)

# %% [markdown]
# ## 2. One-hot
#
# An id is only a name: character 14 is not twice as much as character 7. So the network must not compute with ids as
# quantities. The *one-hot* vector of an id has a 1 at the place of the id and 0 everywhere else.

# %%
ids = enc(train_texts[0])
one_hot = F.one_hot(ids, vocab_size).to(torch.float32)
print(f"{len(ids)} ids become a tensor of the shape {tuple(one_hot.shape)}")
print(
    f"bytes for each character: {one_hot[0].nbytes} as a one-hot vector, {ids[0].nbytes} as the tutorial's id,"
    f" {vocabulary.encode('a').nbytes} as charloom's id"
)

# %% [markdown]
# The network multiplies a one-hot vector by a matrix. All products with 0 vanish, and the result is one row of the
# matrix. So nothing needs to be multiplied: one can *look up* the row. A layer that does this is called an embedding.
# The next cell shows that the results are equal, and what the look-up saves. The matrix has 256 columns, because an
# LSTM of 64 units has four gates with 64 numbers each.


# %%
def multiply(matrix: Tensor, ids: Tensor) -> Tensor:
    return F.one_hot(ids, len(matrix)).to(torch.float32) @ matrix


def look_up(matrix: Tensor, ids: Tensor) -> Tensor:
    return matrix[ids]


for symbols in (vocab_size, 5000):  # 5000: for example, a corpus of Chinese news
    some = torch.randn(symbols, 256), torch.randint(symbols, (400,))
    saved = seconds(partial(multiply, *some)) - seconds(partial(look_up, *some))
    print(f"{symbols} symbols, the results are equal: {torch.equal(multiply(*some), look_up(*some))}")
    print(f"    a look-up saves {saved / 400 * 1e6:.2f} µs for each character")

# %% [markdown]
# **In charloom**, text is stored as ids, one byte for each character. Batches of ids become one-hot vectors only when
# the network reads them ([network.py](../src/charloom/model/network.py)). charloom still multiplies, because torch's
# fast LSTM accepts only vectors. With few symbols the look-up would save little: step 5 has the time that a whole
# training step takes for each character. If the vocabulary has more than 256 symbols, charloom multiplies only by the
# rows of those symbols that occur in the batch ([layers.py](../src/charloom/model/layers.py)).
#
# ## 3. Batches
#
# The network reads a window of `nchars` characters. After each character it predicts the next one. So the targets are
# the inputs, moved by one place. The tutorial makes one batch from each article: all windows that fit in it.
#
# **The first fault.** In one version of the tutorial, `get_batch` makes `outs` without its second dimension. Then each
# row has room for one number, and a hundred do not fit:

# %%
nchars = 100


def get_flat_batch(s: str, nchars: int = nchars) -> tuple[Tensor, Tensor]:
    ins = torch.zeros(len(s) - nchars, nchars, dtype=torch.long)
    outs = torch.zeros(len(s) - nchars, dtype=torch.long)  # the fault
    for i in range(len(s) - nchars):
        ins[i] = enc(s[i : i + nchars])
        outs[i] = enc(s[i + 1 : i + nchars + 1])
    return ins, outs


show_error(lambda: get_flat_batch(train_texts[0]))


# %%
def get_batch(s: str, nchars: int = nchars) -> tuple[Tensor, Tensor]:
    ins = torch.zeros(len(s) - nchars, nchars, dtype=torch.long)
    outs = torch.zeros(len(s) - nchars, nchars, dtype=torch.long)
    for i in range(len(s) - nchars):
        ins[i] = enc(s[i : i + nchars])
        outs[i] = enc(s[i + 1 : i + nchars + 1])
    return ins, outs


text_in, text_out = get_batch(train_texts[0])
for row in (0, 1):
    print(f"window {row}: {decode(text_in[row, :30].tolist())!r} … predicts {decode(text_out[row, :30].tolist())!r} …")

# %% [markdown]
# **Four more faults.** This code works, but:
#
# - *The batches have unequal sizes.* A long article gives many windows, a short one few. Each article gives one step of
#   the training, so a window of a short article counts more.
# - *The windows overlap almost completely.* A character in the middle of an article is read a hundred times in the same
#   step, and one at the ends only a few times. This makes a step slow.
# - *Each character is encoded up to two hundred times*, in a loop of Python.
# - *Short articles are lost.* The tutorial skips articles that give fewer than ten windows. (This corpus has no such
#   article, but AG_NEWS has.)

# %%
sizes = [len(text) - nchars for text in train_texts]
print(f"windows in a batch: {min(sizes)} to {max(sizes)}")
covered = torch.zeros(len(train_texts[0]), dtype=torch.long)
for start in range(len(text_in)):
    covered[start : start + nchars] += 1
print(f"a character of the first article is read {covered.min()} to {covered.max()} times,", end=" ")
print(f"on average {covered.float().mean():.0f}")


def get_views(s: str, nchars: int = nchars) -> tuple[Tensor, Tensor]:
    """The same windows, encoded once. `unfold` copies nothing: all windows are views of the same ids."""
    ids = enc(s)
    return ids[:-1].unfold(0, nchars, 1), ids[1:].unfold(0, nchars, 1)


print("the same windows without the loop:", all(map(torch.equal, get_batch(train_texts[0]), get_views(train_texts[0]))))

# %% [markdown]
# **In charloom** the articles are encoded once, by the stage `windows` of the pipeline, and written to disk with an
# `<eos>` between them ([encode.py](../src/charloom/text/encode.py), [split.py](../src/charloom/text/split.py)). A
# training then cuts this stream of text into *lanes* of equal length
# ([batches.py](../src/charloom/training/batches.py)). A step reads the next few characters of every lane. So all
# batches have the same size, no article is too short, and each character is read once in a pass over the text.

# %%
folder = tempfile.TemporaryDirectory()  # Python removes it at the end
params = charloom.load_params(Path(charloom.__file__).parents[2] / "params.yaml")
window_params = params.windows.model_copy(update={"length": 25})


def encoded(name: str, count: int) -> charloom.EncodedSplit:
    """The first `count` training articles, encoded on disk as the stage `windows` does it."""
    path = Path(folder.name) / name
    write_split(path, articles[:count], vocabulary, window_params, np.dtype(np.uint32))
    return charloom.EncodedSplit.load(path)


whole_corpus = encoded("whole", len(articles))
lanes = Lanes(whole_corpus, batch_size=16, seed=1, device=torch.device("cpu"))
first, second = lanes.at(epoch=0, step=0), lanes.at(epoch=0, step=1)
print(f"a batch has the shape {tuple(first.shape)}: 25 inputs and one more target, in 16 lanes")
print(f"lane 0, step 0: {vocabulary.decode(first[:-1, 0].tolist())!r}")
print(f"lane 0, step 1: {vocabulary.decode(second[:-1, 0].tolist())!r}")


def read_lanes() -> None:
    for step in range(lanes.steps_per_epoch):
        lanes.at(0, step)


some_texts = train_texts[:20]
new = sum(map(len, some_texts))
print("characters of new text that are ready for training in a second:")
print(f"    get_batch: {new / seconds(lambda: [get_batch(text) for text in some_texts]):12,.0f}")
print(f"    get_views: {new / seconds(lambda: [get_views(text) for text in some_texts]):12,.0f}")
print(f"    charloom:  {whole_corpus.characters / seconds(read_lanes):12,.0f}")

# %% [markdown]
# ## 4. The network
#
# An LSTM reads one vector after the other and keeps a *state*, its summary of what it has read. A linear layer turns
# each output of the LSTM into a score for every character of the vocabulary. The scores are called *logits*.
#
# **The fault.** In one version of the tutorial, `__init__` calls the recurrent layer `self.rnn`, and `forward` calls it
# `self.nn`. Python does not notice that before the first batch. (A type checker does, so the line below needs a comment
# to get past mypy.) `forward` also reads `vocab_size`, a variable outside of the class. So a second network with
# another vocabulary would be wrong.


# %%
class MisnamedGenerator(nn.Module):
    def __init__(self, vocab_size: int, hidden_dim: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(vocab_size, hidden_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, vocab_size)

    def forward(self, x: Tensor, s: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = F.one_hot(x, vocab_size).to(torch.float32)
        x, s = self.nn(x, s)  # type: ignore[operator]  # the fault
        return self.fc(x), s


show_error(lambda: MisnamedGenerator(vocab_size, 64)(text_in))


# %%
class LSTMGenerator(nn.Module):
    def __init__(self, vocab_size: int, hidden_dim: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.rnn = nn.LSTM(vocab_size, hidden_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, vocab_size)

    def forward(self, x: Tensor, s: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = F.one_hot(x, self.vocab_size).to(torch.float32)
        x, s = self.rnn(x, s)
        return self.fc(x), s


net = LSTMGenerator(vocab_size, 64)
out, _ = net(text_in)
print(f"{tuple(text_in.shape)} characters become logits of the shape {tuple(out.shape)}")

begin, state = net(text_in[:1, :50])
rest, _ = net(text_in[:1, 50:], state)
same = torch.allclose(torch.cat([begin, rest], 1), out[:1], atol=1e-5)
print("read in two halves, with the state carried over, a text gives the same logits:", same)

# %% [markdown]
# The last line shows what the state is for. The state contains all that the network knows about the text so far. So a
# text can be read in pieces.
#
# **In charloom** the network is `CharModel` in [network.py](../src/charloom/model/network.py). It is still one-hot →
# recurrent layer → linear layer. The cell can be an RNN, an LSTM or a GRU ([cells.py](../src/charloom/cells.py)), and
# there can be several layers. The initial input weights are large, because a one-hot vector has a single 1
# (`reset_parameters` has the reason and the measured effect). The network can also read the class of an article, and it
# can have a memory (step 8).
#
# ## 5. Training
#
# **Surprisal.** How good is a network that predicts characters? Look at the probability that it gave to the character
# that really came next. If this probability was ½, the character was as surprising as one toss of a coin. If it was ¼,
# the character was as surprising as two tosses in a row. If it was 1, nothing was surprising. The number of tosses is
# −log₂ of the probability. It is called the *surprisal* of the character, and its unit is the *bit*. The mean surprisal
# over a text is the *bits per character* of the text. Lower is better. A network that needs b bits per character is as
# unsure as somebody who guesses among 2ᵇ equally likely characters.
#
# Three numbers to compare with: A network that knows nothing gives each character the same probability. A network that
# knows only how frequent each character is needs as many bits as the *entropy* of these frequencies. The compressor xz
# finds passages that occurred before, and writes as many bits as it needs.

# %%
shares = np.array(list(counter.values())) / counter.total()
print(f"knows nothing: {math.log2(vocab_size):.2f} bits per character")
print(f"knows the frequencies: {-(shares * np.log2(shares)).sum():.2f}")
packed, more = (len(lzma.compress(text.encode())) for text in (corpus, corpus + "".join(test_texts)))
print(f"xz, after it has read the training articles: {8 * (more - packed) / len(''.join(test_texts)):.2f}")

# %% [markdown]
# torch's `cross_entropy` computes the mean surprisal with the natural logarithm, so its unit is the *nat*. A nat is 1 ÷
# ln 2 = 1.44 bits. The training changes the weights, step by step, so that this loss falls.
#
# The cell below is the tutorial's loop: one article in each step. It trains on a fifth of the corpus, because more
# would take minutes. The tutorial prints the loss of the present article now and then. Here the loop also prints how
# many bits per character the network needs for the test articles, which it never learns from. It does so after step 1,
# 2, 4, 8, …, and at the end.

# %%
Curve = list[tuple[int, float, float]]  # characters read, CPU seconds of training, bits per character of the test
samples_to_train = 120


def bits_of_tutorial(net: LSTMGenerator, texts: list[str]) -> float:
    """Bits per character of texts, without the first character of each text, which the tutorial does not predict."""
    nats, predicted = 0.0, 0
    with torch.no_grad():
        for text in texts:
            out, _ = net(enc(text[:-1])[None])
            nats += F.cross_entropy(out[0], enc(text[1:]), reduction="sum").item()
            predicted += len(text) - 1
    return nats / predicted / math.log(2)


optimizer = torch.optim.Adam(net.parameters(), 0.01)
curve_of_tutorial: Curve = []
characters, spent = 0, 0.0
for i, text in enumerate(train_texts):
    if len(text) - nchars < 10:
        continue
    samples_to_train -= 1
    if not samples_to_train:
        break
    began = time.process_time()
    text_in, text_out = get_batch(text)
    optimizer.zero_grad()
    out, _ = net(text_in)
    loss = F.cross_entropy(out.view(-1, vocab_size), text_out.flatten())
    loss.backward()
    optimizer.step()
    spent += time.process_time() - began
    characters += len(text)
    if (i + 1).bit_count() == 1 or samples_to_train == 1:  # a power of 2, or the end
        curve_of_tutorial.append((characters, spent, bits_of_tutorial(net, test_texts)))
        bits, test_bits = loss.item() / math.log(2), curve_of_tutorial[-1][2]
        print(f"step {i + 1:3}: loss {loss.item():.2f} nats = {bits:.2f} bits; test {test_bits:.2f} bits per character")
bits_by_article = [bits_of_tutorial(net, [text]) for text in test_texts]
print(f"single test articles: {min(bits_by_article):.2f} to {max(bits_by_article):.2f} bits per character")

# %% [markdown]
# **The faults.** The loop stops one article too early, because it counts down before it trains. And the loss of one
# article says little, because some articles are far easier than others, as the last line shows. Only a fixed set of
# articles that the network has not seen shows whether the network gets better.
#
# **In charloom** the loop is [loop.py](../src/charloom/training/loop.py). What is different:
#
# - Each character is read once in a pass, in batches of equal size (step 3).
# - Each lane *carries its state* from step to step. A window is a piece of a text, and the piece before it is known. A
#   network that starts each window with an empty state must guess the first letters of the window blindly.
# - The step size (learning rate) rises at the beginning and falls to zero at the end, and large gradients are clipped.
# - The validation articles are scored regularly, and the best weights are kept. A killed training resumes.
#
# The next cell trains charloom's network of the same size four times:
#
# - on the tutorial's 119 articles, with as many steps as the tutorial,
# - on these articles with more steps, each of which reads fewer characters,
# - on the whole corpus,
# - on the whole corpus, with the memory that step 8 explains.


# %%
def bits_of_charloom(model: CharModel) -> float:
    """Bits per character of the test articles. As in the tutorial's figure, the first characters are not counted."""
    scored = charloom.surprisals(model, [charloom.framed(vocabulary, text) for text in test_texts])
    return float(np.concatenate([each.bits[1:-1] for each in scored]).mean())  # the last one is `<eos>`


def train(split: charloom.EncodedSplit, characters: int, lanes: int, memory: int = 0) -> tuple[CharModel, Curve]:
    """Train a network of 64 units. A step reads 25 characters of each lane."""
    torch.manual_seed(1)
    model_params = params.model.model_copy(update={"hidden_size": 64, "dropout": 0.0, "memory": memory})
    changes = {"device": "cpu", "batch_size": lanes, "learning_rate": 0.01, "characters": characters}
    began = time.process_time()
    model = CharModel(len(vocabulary), model_params)
    training = Training(model, split, split, params.train.model_copy(update=changes), Group())
    spent, curve = time.process_time() - began, []
    while training.step < training.steps:
        began = time.process_time()
        training.train_step()
        spent += time.process_time() - began
        if training.step.bit_count() == 1 or training.step == training.steps:  # a power of 2, or the end
            curve.append((training.step * lanes * split.length, spent, bits_of_charloom(model)))
    return model, curve


same_articles = encoded("same", 119)
curves = {
    "tutorial": curve_of_tutorial,
    "charloom, as many steps": train(same_articles, 119 * 10 * 25, lanes=10)[1],
    "charloom, more steps": train(same_articles, characters, lanes=4)[1],
}
model, curves["charloom, whole corpus"] = train(whole_corpus, 640_000, lanes=16)
remembering, curves["charloom with a memory"] = train(whole_corpus, 640_000, lanes=16, memory=10)
print(f"{'':23}  characters  CPU time  µs a character  bits per character")
for name, curve in curves.items():
    read, spent, bits = curve[-1]
    print(f"{name:23} {read:11,} {spent:7.1f} s {spent / read * 1e6:15.1f} {bits:19.2f}")

# %%
figure, panels = pyplot.subplots(1, 2, num="tutorial-learning", figsize=(8, 4.2), sharey=True, layout="constrained")
styles = ((OTHER, "-"), (OURS_PALE, "--"), (OURS_PALE, "-"), (OURS, "-"), (TEST, "-"))
for (name, curve), (colour, line) in zip(curves.items(), styles, strict=True):
    read_so_far, spent_so_far, bits_so_far = zip(*curve, strict=True)
    for panel, so_far in zip(panels, (read_so_far, spent_so_far), strict=True):
        panel.semilogx(so_far, bits_so_far, line, color=colour, marker="o", markersize=3, label=name)
for panel, label in zip(panels, ("characters read", "CPU seconds of training"), strict=True):
    add_title_and_grid(panel, f"Test articles, over {label}")
    panel.set(xlabel=label)
    panel.xaxis.set_major_formatter("{x:,g}")
panels[0].set(ylabel="bits per character")
_ = figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)

# %% [markdown]
# (Each label of a horizontal axis is ten times the label before it.) The first two rows of the table read the same
# articles in as many steps. charloom learns about as much from them, in a small part of the time. In the third row,
# charloom divides the same text into more steps, and learns more. In the fourth row, it reads the whole corpus four
# times, which still takes less time than the tutorial. In the last row, the memory has counted the whole corpus before
# the first step. That is why its curve begins so low.
#
# [BENCHMARKS.md](../BENCHMARKS.md#training) has the speed on AG_NEWS with two cores, and
# [experiments.md](experiments.md) the trials behind these choices.
#
# What is the carried state worth? The next cell scores the test articles with the same network twice. The first time,
# the network forgets its state after every 25 characters.


# %%
@torch.no_grad()
def bits_in_pieces(model: CharModel, length: int, carry: bool) -> float:
    nats, predicted = 0.0, 0
    for text in test_texts:
        ids, state = torch.from_numpy(charloom.framed(vocabulary, text).astype(np.int64))[1:-1, None], None
        for piece, targets in zip(ids[:-1].split(length), ids[1:].split(length), strict=True):
            logits, state = model(piece, state if carry else None)
            nats += F.cross_entropy(logits[:, 0], targets[:, 0], reduction="sum").item()
        predicted += len(ids) - 1
    return nats / predicted / math.log(2)


print(f"state forgotten: {bits_in_pieces(model, 25, carry=False):.2f} bits per character")
print(f"state carried:   {bits_in_pieces(model, 25, carry=True):.2f}")

# %% [markdown]
# (The second number is not quite that of the table, because here the network does not read an `<eos>` first.)
#
# Where are the bits? `charloom.surprisals` gives the surprisal of every character. The next cell asks the network with
# the memory, because it is the best one. The digit below each character is its surprisal in whole bits. The report of
# `make demo` colours the characters by their surprisal.

# %%
scored = list(charloom.surprisals(remembering, [charloom.framed(vocabulary, text) for text in test_texts]))
print(test_texts[0][:80])
print("".join(f"{min(round(bits), 9)}" for bits in scored[0].bits[:80]))

by_place: list[list[float]] = [[] for _ in range(6)]
for text, each in zip(test_texts, scored, strict=True):
    for word in re.finditer("[A-Za-z]{6,}", text):
        for place, bits_of_place in enumerate(by_place):
            bits_of_place.append(each.bits[word.start() + place])
print("mean surprisal of the first six letters of long words:", " ".join(f"{np.mean(bits):.1f}" for bits in by_place))

# %% [markdown]
# The first letter of a word is the hardest to predict. With each letter there are fewer words left that it can become.
#
# ## 6. Writing: always the likeliest character
#
# The tutorial's `generate` lets the network read the beginning of a text. Then it takes the likeliest next character,
# lets the network read this character too, and so on. This is *greedy* decoding.


# %%
def generate(net: LSTMGenerator, size: int = 100, start: str = "today ") -> str:
    chars = list(start)
    out, s = net(enc(start).view(1, -1))
    for _ in range(size):
        nc = torch.argmax(out[0][-1])
        chars.append(itos[nc])
        out, s = net(nc.view(1, -1), s)
    return "".join(chars)


def loop_length(text: str) -> int:
    """The length of the piece that the text repeats at its end, three times at least. 0: it repeats nothing."""
    return next((n for n in range(1, len(text) // 3) if text.endswith(text[-n:] * 3)), 0)


def greedy(model: CharModel, size: int = 100, start: str = "today ") -> str:
    how = charloom.Sampling(length=size, temperature=0)
    return start + charloom.sample(model, vocabulary, [start], how)[0]


for name, text in (
    ("tutorial", generate(net, 600)),
    ("charloom", greedy(model, 600)),
    ("charloom with a memory", greedy(remembering, 600)),
):
    print(f"{name}: {text[:100]!r} …")
    print(f"    repeats: {text[-loop_length(text) :]!r}" if loop_length(text) else "    repeats nothing")

# %% [markdown]
# **The first fault** is greed itself. If the network comes back to a state in which it has been before, it must take
# the same way again. So greedy text runs in circles. charloom's greedy text does so too. Its circles are only longer,
# and their words better. The remedy is the next step: to draw at random.
#
# **The second fault:** torch records every operation, because it expects that a gradient will be asked for. The record
# grows with the text. `torch.no_grad()` switches it off.

# %%
print("the tutorial's generate records for a gradient:", net(enc("today ").view(1, -1))[0].requires_grad)
with_record = seconds(lambda: generate(net, 300), 3)
with torch.no_grad():
    without_record = seconds(lambda: generate(net, 300), 3)
print(f"characters in a second: {300 / with_record:,.0f} with the record, {300 / without_record:,.0f} without")

# %% [markdown]
# ## 7. Temperature
#
# The network gives each character a probability. The fair way is to draw each character as often as its probability
# says. `torch.multinomial` does that. A *temperature* makes the draw bolder or more careful. The logits are divided by
# it before they become probabilities.
#
# Why does this work? A probability is proportional to exp(logit). To divide the logit by T means to raise the
# probability to the power 1/T. (Afterwards all are scaled so that their sum is 1 again.) If one character is 4 times as
# likely as another, then at temperature ½ it is 4² = 16 times as likely, and at temperature 2 only √4 = 2 times. The
# order of the characters never changes. Near 0 the likeliest character takes everything, which is greedy decoding. At
# very high temperatures all characters become equally likely.

# %%
temperatures = (0.3, 0.8, 1.0, 1.8)
prompt = "The compa"
logits, _ = model(torch.from_numpy(charloom.framed(vocabulary, prompt).astype(np.int64))[:-1, None])
logits = logits[-1, 0].detach()
likeliest = logits.argsort(descending=True)[:8]
figure, panels = pyplot.subplots(
    1, len(temperatures), num="tutorial-temperature", figsize=(8, 2.8), sharey=True, layout="constrained"
)
panels[0].set(ylabel="probability")
for panel, temperature in zip(panels, temperatures, strict=True):
    probabilities = torch.softmax(logits / temperature, 0)
    panel.bar([repr(vocabulary.decode([index])) for index in likeliest.tolist()], probabilities[likeliest], color=OURS)
    add_title_and_grid(panel, f"temperature {temperature:g}")
    entropy = -(probabilities * probabilities.log2()).sum().item()
    print(f"after {prompt!r} at temperature {temperature:g}: as unsure as among {2**entropy:.1f} characters")


# %%
def generate_soft(net: LSTMGenerator, size: int = 100, start: str = "today ", temperature: float = 1.0) -> str:
    chars = list(start)
    out, s = net(enc(start).view(1, -1))
    for _ in range(size):
        out_dist = out[0][-1].div(temperature).exp()
        nc = torch.multinomial(out_dist, 1)[0]
        chars.append(itos[nc])
        out, s = net(nc.view(1, -1), s)
    return "".join(chars)


print("tutorial:", repr(generate_soft(net, temperature=0.8)))
show_error(lambda: generate_soft(net, temperature=0.01))

# %% [markdown]
# **The fault:** exp of a large number is infinite, so a low temperature ends in an error. The fix is to subtract the
# largest logit from all logits first. Then no exponent is above 0, and the probabilities are the same. `torch.softmax`
# does that. At temperature 0, a division is impossible, so the fixed code takes the likeliest character.


# %%
@torch.no_grad()
def generate_safely(net: LSTMGenerator, size: int = 100, start: str = "today ", temperature: float = 1.0) -> str:
    chars = list(start)
    out, s = net(enc(start).view(1, -1))
    for _ in range(size):
        logits = out[0][-1]
        nc = logits.argmax() if temperature == 0 else torch.multinomial(torch.softmax(logits / temperature, 0), 1)[0]
        chars.append(itos[nc])
        out, s = net(nc.view(1, -1), s)
    return "".join(chars)


print("at temperature 0.01, the fixed code writes:", repr(generate_safely(net, 40, temperature=0.01)))

# %% [markdown]
# **In charloom** this is [sampling.py](../src/charloom/model/sampling.py). Temperature 0 means greedy. `top_k` and
# `top_p` can forbid unlikely characters. `<eos>` lets a text end by itself. Many texts are drawn at once, and text
# number i is the same whether it is drawn alone or with others.


# %%
def written_by(model: CharModel, how: charloom.Sampling, number: int = 1) -> list[str]:
    return ["Today " + text for text in charloom.sample(model, vocabulary, ["Today "] * number, how)]


for temperature in (0.3, 0.8, 1.0, 1.3, 1.8):
    print(f"{temperature}: {written_by(model, charloom.Sampling(length=100, temperature=temperature))[0]!r}")
show = charloom.Sampling(length=300, temperature=0.8)
print("alone or with others, text 0 is the same:", written_by(model, show) == written_by(model, show, 64)[:1])

theirs, alone = seconds(lambda: generate_soft(net, 300), 3), seconds(lambda: written_by(model, show), 3)
together = seconds(lambda: written_by(model, show, 64), 3)
print(f"characters in a second: {300 / theirs:,.0f} from the tutorial, {300 / alone:,.0f} from charloom")
print(f"    with 64 texts at once: {64 * 300 / together:,.0f} from charloom")

# %% [markdown]
# ## 8. What a memory adds
#
# The last row of the table in step 5 has the same network with an *n-gram memory*. A network learns slowly, by many
# small changes of its weights, that "Presid" is followed by "e". A table of counts knows it after reading it twice. So
# charloom counts which characters followed each context of up to 10 characters in the training text. The network reads
# what these counts predict, and learns to correct them ([memory.py](../src/charloom/model/memory.py), and
# [the README](../README.md#the-n-gram-memory)). The time in the table contains the counting.
#
# The memory has a price. It contains the training text, so the model repeats more of this text. The next cell measures
# which share of a text lies in passages of 20 or more characters that the training articles contain word for word.


# %%
def copied(text: str, length: int = 20) -> float:
    """The share of the characters that lie in passages of `length` characters of the training text."""
    found = np.zeros(len(text), dtype=bool)
    for start in range(len(text) - length + 1):
        if text[start : start + length] in corpus:
            found[start : start + length] = True
    return float(found.mean())


for name, network in (("without a memory", model), ("with a memory", remembering)):
    for temperature in (0.5, 1.0):
        texts = written_by(network, charloom.Sampling(length=300, temperature=temperature), 16)
        print(f"{name}, temperature {temperature}: {np.mean([copied(text) for text in texts]):.0%} copied, for example")
        print(f"    {texts[0][:100]!r}")

# %% [markdown]
# ## What next?
#
# - `make demo` runs all of this as a pipeline on the same corpus, with a larger network, and writes a report.
# - `make run PRESET=tutorial` trains the tutorial's own network and windows on AG_NEWS
#   ([presets/tutorial](../presets/tutorial)). `make repro` trains charloom's.
# - [The README](../README.md) explains the pipeline, and [architecture.md](architecture.md) is the map of the code.
