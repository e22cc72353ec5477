// The n-gram memory: charloom/model/counts.py, interpolation.py and trie.py. The page has the counted text instead of
// the counts, because the text is smaller. So a context is counted when it is first needed.
const RATIOS = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9].map(Math.fround); // float32, as in interpolation.py
const TOTAL_BUCKETS = 13, BUCKETS = TOTAL_BUCKETS * (RATIOS.length + 1);
const MOST = 255; // the largest count; a row with a larger one is scaled down
const LEAST = 1e-9; // the smallest probability

// What followed a context: symbols with their counts, and how much the context is trusted.
class Row {
  constructor(level, symbols, counts, shares) {
    Object.assign(this, { level, symbols, counts, children: new Map() });
    const total = counts.reduce((sum, count) => sum + count, 0);
    this.share = total > 1 ? shares[level * BUCKETS + bucketOf(total, symbols.length)] : 0;
    this.scale = this.share / total;
  }
}

// The bucket of rows with this total and this number of different symbols.
const bucketOf = (total, different) => {
  const byTotal = Math.min(TOTAL_BUCKETS - 1, 31 - Math.clz32(total)); // log2, rounded down
  const ratio = Math.fround(different / total);
  return byTotal * (RATIOS.length + 1) + RATIOS.filter(limit => limit < ratio).length;
};

// The probabilities of the next symbol from the rows of its contexts, the shortest first. The last row gives its share of
// the probability, then the row before it gives its share of what remains, and so on.
const mix = (rows, alphabet) => {
  const found = new Float64Array(alphabet);
  let remaining = 1;
  for (const row of [...rows].reverse()) {
    row.symbols.forEach((symbol, i) => { found[symbol] += remaining * row.scale * row.counts[i]; });
    remaining *= 1 - row.share;
  }
  return found.map(value => Math.max(value + remaining / alphabet, LEAST));
};

// The places of a text, sorted by the symbols before them: by the last symbol, then by the one before it, and so on. So
// the places after a context are next to each other. A context does not cross the <eos> before its article.
class Contexts {
  constructor(text, alphabet, eos, order, shares) {
    Object.assign(this, { text, alphabet, order, shares });
    const places = text.length - 1;
    const available = new Uint8Array(places); // symbols from the article's <eos> to the place, at most 255
    for (let i = 0; i < places; i++) available[i] = i && text[i] !== eos ? Math.min(255, available[i - 1] + 1) : 1;
    this.available = available;
    this.sorted = this.sortedPlaces(places);
    this.following = text.slice(0, places);
    for (let i = 0; i < places; i++) this.following[i] = text[this.sorted[i] + 1];
    this.root = this.rowOf(0, 0, places);
  }

  // A radix sort: first by the symbol that is furthest back, last by the nearest one.
  sortedPlaces(places) {
    let sorted = new Uint32Array(places).map((_, i) => i);
    const symbols = new Uint32Array(places);
    for (let back = this.order; back; back--) {
      for (let i = 0; i < places; i++) symbols[i] = this.symbolBefore(i, back);
      sorted = sortBy(sorted, symbols, this.alphabet + 1);
    }
    return sorted;
  }

  // The symbol `back` symbols before the place, plus 1. The nearest has `back` 1. 0: it belongs to another article.
  symbolBefore(place, back) {
    return back <= this.available[place] ? this.text[place - back + 1] + 1 : 0;
  }

  // The rows of the contexts at the end of these symbols, the shortest first. A context that occurs once has no row.
  rows(recent) {
    const found = [this.root];
    for (let back = 1; back <= Math.min(this.order, recent.length); back++) {
      const row = found[back - 1], symbol = recent[recent.length - back];
      if (!row.children.has(symbol)) row.children.set(symbol, this.longer(row, symbol));
      const next = row.children.get(symbol);
      if (!next) break;
      found.push(next);
    }
    return found;
  }

  // The row of the context that is longer by this symbol, or null. Its places are a part of the row's places.
  longer(row, symbol) {
    const first = wanted => {
      let [low, high] = [row.low, row.high];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.symbolBefore(this.sorted[middle], row.level + 1) < wanted) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    const low = first(symbol + 1), high = first(symbol + 2);
    return high - low < 2 ? null : this.rowOf(row.level + 1, low, high);
  }

  // The row of the sorted places from `low` to below `high`, whose counts are scaled as in counting.py.
  rowOf(level, low, high) {
    const counts = new Map();
    for (let i = low; i < high; i++) counts.set(this.following[i], (counts.get(this.following[i]) ?? 0) + 1);
    const factor = Math.min(1, MOST * (1 / Math.max(...counts.values()))); // torch divides a number by a tensor in this way
    const scaled = [...counts.values()].map(count => Math.max(roundToEven(count * factor), Math.min(count, 2)));
    return Object.assign(new Row(level, [...counts.keys()], scaled, this.shares), { low, high });
  }
}

// Sort places by their keys, which are from 0 to below `count`. Places with equal keys keep their order.
const sortBy = (places, keys, count) => {
  const next = new Uint32Array(count + 1); // for each key, where its next place goes
  for (let i = 0; i < places.length; i++) next[keys[places[i]] + 1]++;
  for (let key = 1; key < count; key++) next[key] += next[key - 1];
  const sorted = new Uint32Array(places.length);
  for (let i = 0; i < places.length; i++) sorted[next[keys[places[i]]]++] = places[i];
  return sorted;
};

const roundToEven = value => {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
};

// The counts of each class. They are stored level by level, as trie.py describes.
class ClassCounts {
  constructor(tensors, prefix, classes, eos) {
    this.shares = tensors[`${prefix}shares`].values;
    this.levels = [];
    for (let level = 0; tensors[`${prefix}symbols.${level}`]; level++) {
      const [symbols, counts, sizes] = ["symbols", "counts", "sizes"].map(name => tensors[`${prefix}${name}.${level}`].values);
      const starts = new Uint32Array(sizes.length + 1);
      sizes.forEach((size, row) => { starts[row + 1] = starts[row] + size + 1; });
      // children[i]: how many entries before entry i lead to a row of the next level (leads_on in trie.py)
      const children = new Uint32Array(symbols.length + 1);
      symbols.forEach((symbol, i) => {
        const leads = counts[i] > 1 && (symbol !== eos || level === 0);
        children[i + 1] = children[i] + leads;
      });
      this.levels.push({ symbols, counts, starts, children });
    }
    this.roots = Array.from({ length: classes }, (_, classId) => this.rowOf(0, classId));
  }

  rowOf(level, index) {
    const { symbols, counts, starts } = this.levels[level];
    const row = new Row(level, symbols.slice(starts[index], starts[index + 1]), counts.slice(starts[index], starts[index + 1]), this.shares);
    return Object.assign(row, { start: starts[index] });
  }

  // The rows after a symbol, from the rows before it. A longer context has a row only if the shorter ones have.
  walk(before, symbol, classId) {
    const root = this.roots[classId], contexts = before.length ? before : [root];
    const longer = contexts.slice(0, this.levels.length - 1).map(row => this.child(row, symbol));
    return [root, ...longer.filter(row => row)];
  }

  // The row that an entry leads to, or null.
  child(row, symbol) {
    if (!row.children.has(symbol)) {
      const entry = row.start + row.symbols.indexOf(symbol);
      const { children } = this.levels[row.level];
      const leads = entry >= row.start && children[entry + 1] > children[entry];
      row.children.set(symbol, leads ? this.rowOf(row.level + 1, children[entry]) : null);
    }
    return row.children.get(symbol);
  }
}

class Memory {
  constructor(about, tensors) {
    Object.assign(this, { about, matchShares: tensors["memory.match_shares"] });
    const { symbols, eos, classes } = about;
    const { values: text } = tensors["memory.text"];
    this.counts = new Contexts(text, symbols, eos, about.order, tensors["memory.shares"].values);
    this.matches = new Matches(text, symbols, eos);
    this.byClass = tensors["memory.by_class.shares"] && new ClassCounts(tensors, "memory.by_class.", classes, eos);
  }

  // What follows the symbols since the <eos> of the article, `recent`.
  read(recent) {
    const rows = this.counts.rows(recent);
    const probabilities = mix(rows, this.about.symbols);
    const { symbol, length } = this.matches.find(recent);
    if (length) {
      const depth = rows.filter(row => row.level > this.about.denseLevel && row.share > 0).length;
      const share = this.matchShares.values[(length - 1) * this.matchShares.shape[1] + depth];
      for (let i = 0; i < probabilities.length; i++) probabilities[i] *= 1 - share;
      probabilities[symbol] += share;
    }
    return { rows, probabilities };
  }

  // How many times likelier each symbol is in the class than in all articles.
  ratios(rows, classRows) {
    const inAll = mix(rows.slice(0, this.byClass.levels.length), this.about.symbols);
    return mix(classRows, this.about.symbols).map((value, i) => value / inAll[i]);
  }
}
