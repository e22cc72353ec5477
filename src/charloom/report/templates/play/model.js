// The model: it reads a text symbol by symbol, given no class and given each class.
class Model {
  constructor(about, tensors) {
    this.about = about;
    this.network = new Network(about, tensors);
    this.memory = about.order ? new Memory(about, tensors) : null;
    this.ids = new Map(about.characters.map((character, id) => [character, id]));
    if (!this.ids.has("\n")) this.ids.set("\n", about.eos); // as in charloom/text/texts.py
  }

  id(character) {
    return this.ids.get(character) ?? this.about.eos + 1; // <unk>
  }

  // The state before a text, to which the model has read the <eos>. `classIds` are those that the text is read with.
  start(classIds) {
    const readings = classIds.map(classId => ({ classId, layers: this.network.start(classId), classRows: [] }));
    return this.read({ recent: [], readings }, this.about.eos);
  }

  // The state after one more symbol. The given state does not change. For each class id, the state has what the model
  // predicts next: `logs`, the logarithms of the probabilities, and `ratios`, the class ratios of the memory.
  read(state, symbol) {
    const begins = symbol === this.about.eos;
    const recent = [...(begins ? [] : state.recent.slice(1 - LONGEST)), symbol];
    const found = this.memory && this.memory.read(recent);
    const readings = state.readings.map(({ classId, layers, classRows }) => {
      let ratios = null;
      if (this.memory?.byClass && classId < this.about.classes) {
        classRows = this.memory.byClass.walk(classRows, symbol, classId);
        ratios = this.memory.ratios(found.rows, classRows);
      }
      const next = this.network.read(layers, symbol, classId, found && { probabilities: found.probabilities, ratios });
      return { classId, layers: next.state, classRows, ratios, logs: logSoftmax(next.logits) };
    });
    return { recent, readings, remembered: found && found.probabilities };
  }

  // The surprisal of a symbol in nats. <unk> also pays for which character it was.
  nats(logs, symbol) {
    return -logs[symbol] + (symbol > this.about.eos ? this.about.unknownNats : 0);
  }

  // The logarithms of the probabilities of the classes, from the evidence against each (evaluation/classification.py).
  posterior(evidence) {
    return logSoftmax(this.about.logPriors.map((prior, i) => prior - evidence[i] / this.about.classTemperature));
  }

  // Draw a symbol (model/sampling.py): from the fewest likeliest symbols that together have the probability `topP` or
  // more. <unk> is never drawn.
  draw(logs, { temperature, topP }, random) {
    const order = [...logs.slice(0, this.about.eos + 1).keys()].sort((a, b) => logs[b] - logs[a]);
    if (!temperature) return order[0];
    const weights = order.map(id => Math.exp((logs[id] - logs[order[0]]) / temperature));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    let total = 0, kept = 0;
    while (kept < order.length && total < topP * whole) total += weights[kept++];
    let wanted = random() * total, chosen = 0;
    while (chosen < kept - 1 && (wanted -= weights[chosen]) >= 0) chosen++;
    return order[chosen];
  }
}

// Random numbers from 0 to below 1 from a seed: the generator mulberry32 by Tommy Ettinger.
const randomNumbers = seed => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
};
