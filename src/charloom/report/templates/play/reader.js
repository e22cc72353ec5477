// A reader reads a text and remembers what the model predicted at each place. After an edit, only the text after the
// edit is read again.
const EXPECTED = 10; // how many of the likeliest symbols are remembered for each place
const SAVED_EVERY = 16; // symbols; saving the state after each symbol would take too much memory

class Reader {
  constructor(model, classIds) {
    this.model = model;
    this.places = []; // places[n]: what the model predicts after n symbols
    this.costs = []; // of each symbol that was read: { bits, memoryBits }
    const evidence = classIds.map(() => 0); // against each class, in nats
    this.saved = [{ done: 0, state: model.start(classIds), evidence }];
    this.restore();
  }

  get done() {
    return this.costs.length;
  }

  // Forget what was read after the first `length` symbols.
  keep(length) {
    if (length >= this.done) return;
    this.saved = this.saved.filter(({ done }) => done <= length);
    this.restore();
  }

  // Continue from the last saved state.
  restore() {
    const { done, state, evidence } = this.saved[this.saved.length - 1];
    this.costs.length = this.places.length = done;
    Object.assign(this, { state, evidence });
    this.note();
  }

  // Read one more symbol.
  advance(symbol) {
    const { model, state } = this, [{ logs }] = state.readings;
    const memoryNats = state.remembered && model.nats(state.remembered.map(Math.log), symbol);
    this.costs.push({ bits: model.nats(logs, symbol) / Math.LN2, memoryBits: memoryNats / Math.LN2 });
    this.evidence = this.evidence.map((sum, i) => sum + this.evidenceOf(state.readings[i], symbol));
    this.state = model.read(state, symbol);
    this.note();
    if (this.done % SAVED_EVERY === 0) this.saved.push({ done: this.done, state: this.state, evidence: this.evidence });
  }

  // What a symbol adds to the evidence against a class, in nats (evaluation/classification.py).
  evidenceOf({ logs, ratios }, symbol) {
    return this.model.nats(logs, symbol) - (ratios ? Math.log(ratios[symbol]) : 0);
  }

  // Remember what the model predicts now.
  note() {
    const [{ logs }] = this.state.readings, { remembered } = this.state;
    const likeliest = [...logs.keys()].sort((a, b) => logs[b] - logs[a]).slice(0, EXPECTED);
    const expected = likeliest.map(id => ({ id, share: Math.exp(logs[id]), memory: remembered && remembered[id] }));
    this.places.push({ expected, evidence: this.evidence });
  }
}
