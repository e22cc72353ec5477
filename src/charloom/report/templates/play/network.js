// The network, one symbol at a time: charloom/model/network.py and conditioning.py have the same formulas.
const sigmoid = x => 1 / (1 + Math.exp(-x));

// The new state of a layer from its input part and its recurrent part (gates · size). The output is the first tensor.
const CELLS = {
  RNN: (input, recurrent, [hidden]) => [hidden.map((_, i) => Math.tanh(input[i] + recurrent[i]))],
  LSTM: (input, recurrent, [hidden, cell], size = hidden.length) => {
    const gate = (n, i) => input[n * size + i] + recurrent[n * size + i];
    const next = cell.map((value, i) => sigmoid(gate(1, i)) * value + sigmoid(gate(0, i)) * Math.tanh(gate(2, i)));
    return [hidden.map((_, i) => sigmoid(gate(3, i)) * Math.tanh(next[i])), next];
  },
  GRU: (input, recurrent, [hidden], size = hidden.length) => [hidden.map((value, i) => {
    const reset = sigmoid(input[i] + recurrent[i]), update = sigmoid(input[size + i] + recurrent[size + i]);
    return (1 - update) * Math.tanh(input[2 * size + i] + reset * recurrent[2 * size + i]) + update * value;
  })],
};

// result += the product of a matrix (rows, vector.length), which begins at `start` of its values, and a vector.
const addProduct = (result, matrix, vector, start = 0) => {
  const width = vector.length;
  for (let row = 0, at = start; row < result.length; row++, at += width) {
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i + 3 < width; i += 4) {
      a += matrix[at + i] * vector[i];
      b += matrix[at + i + 1] * vector[i + 1];
      c += matrix[at + i + 2] * vector[i + 2];
      d += matrix[at + i + 3] * vector[i + 3];
    }
    for (; i < width; i++) a += matrix[at + i] * vector[i];
    result[row] += a + b + c + d;
  }
  return result;
};

// result += factor times a row of a matrix (rows, result.length)
const addRow = (result, matrix, row, factor = 1) => {
  for (let i = 0, at = row * result.length; i < result.length; i++) result[i] += factor * matrix[at + i];
};

class Network {
  constructor(about, tensors) {
    this.about = about;
    this.cell = CELLS[about.cell];
    this.weights = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor.values]));
  }

  // The state before a text of a class: for each layer, the tensors of its state.
  start(classId) {
    const { layers, hidden, stateTensors, classSlots } = this.about;
    return Array.from({ length: layers }, (_, layer) => Array.from({ length: stateTensors }, (_, tensor) => {
      const state = new Float64Array(hidden);
      if (classSlots) addRow(state, this.weights.initial, (tensor * layers + layer) * classSlots + classId);
      return state;
    }));
  }

  // Read a symbol. Returns the new state and the logits of the next symbol. `remembered` is what the memory predicts.
  read(state, symbol, classId, remembered) {
    let output;
    const next = state.map((before, layer) => {
      const own = name => this.weights[`rnn.${layer}.${name}_l0`];
      const input = Float64Array.from(own("bias_ih"));
      if (layer) addProduct(input, own("weight_ih"), output);
      else this.addInputs(input, symbol, classId, remembered);
      const recurrent = addProduct(Float64Array.from(own("bias_hh")), own("weight_hh"), before[0]);
      const after = this.cell(input, recurrent, before);
      output = after[0];
      return after;
    });
    return { state: next, logits: this.logits(output, classId, remembered) };
  }

  // Add the input part of the first layer. Its weights are stored transposed: a row for each number of the input.
  addInputs(input, symbol, classId, remembered) {
    const { symbols, classSlots, classEmbedding, memoryScale, frequent } = this.about;
    const weights = this.weights["rnn.0.weight_ih_l0"];
    addRow(input, weights, symbol);
    let row = symbols + classSlots;
    if (classSlots) addRow(input, weights, symbols + classId);
    const embedded = (classId * symbols + symbol) * classEmbedding;
    for (let i = 0; i < classEmbedding; i++, row++) addRow(input, weights, row, this.weights.class_embedding[embedded + i]);
    if (remembered) {
      for (const id of frequent) addRow(input, weights, row++, memoryScale * remembered.probabilities[id]);
    }
  }

  logits(output, classId, remembered) {
    const { symbols, classSlots } = this.about;
    const logits = addProduct(Float64Array.from(this.weights["head.bias"]), this.weights["head.weight"], output);
    if (classSlots) addProduct(logits, this.weights.class_head, output, classId * symbols * output.length);
    if (!remembered) return logits;
    const gates = addProduct(Float64Array.from(this.weights["memory_gate.bias"]), this.weights["memory_gate.weight"], output);
    const { probabilities, ratios } = remembered;
    return logits.map((value, i) =>
      value + gates[0] * Math.log(probabilities[i]) + (ratios ? gates[1] * Math.log(ratios[i]) : 0));
  }
}

const logSoftmax = logits => {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest;
  return logits.map(value => value - total);
};
