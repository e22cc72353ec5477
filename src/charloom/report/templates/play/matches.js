// Long contexts: charloom/model/matching.py has the same formulas. Its integers have 64 bits. Here, such an integer is two
// unsigned 32-bit numbers, its high part and its low part. BigInt is too slow for a text of millions of symbols.
const LENGTHS = [5, 8, 12, 20, 32], LONGEST = 32;
const BASE = 0x5851f42d4c957f2dn, MIX = [0x1e3779b9, 0x7f4a7c15];

const modulo = value => BigInt.asUintN(64, value);
const pair = value => [Number(value >> 32n), Number(value & 0xffffffffn)];

// The inverse of an odd number modulo 2^64. Newton's method doubles the number of correct bits in each round.
const inverseOf = (number, rounds = 6) => {
  let inverse = number;
  for (let round = 0; round < rounds; round++) inverse = modulo(inverse * (2n - number * inverse));
  return inverse;
};

// The product of two 64-bit numbers modulo 2^64. Returns the low part, and leaves the high part in `highOfProduct`, because
// an array of both would be slower.
let highOfProduct = 0;
const multiply = (aHigh, aLow, bHigh, bLow) => {
  const a0 = aLow & 0xffff, a1 = aLow >>> 16, b0 = bLow & 0xffff, b1 = bLow >>> 16;
  const first = a0 * b0, second = a1 * b0 + (first >>> 16), third = a0 * b1 + (second & 0xffff);
  highOfProduct = (a1 * b1 + (second >>> 16) + (third >>> 16) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
  return ((third << 16) | (first & 0xffff)) >>> 0;
};

// The key of the place after the symbols that were read. It joins hashes of the last 5, 8, 12, 20 and 32 symbols. The hash
// of the last n symbols is the sum of (id + 1) · MIX · BASE^(-age), modulo 2^64. The age of the last symbol is 0.
class Key {
  constructor(alphabet, eos) {
    this.eos = eos;
    const inverse = inverseOf(BASE), mixed = (BigInt(MIX[0]) << 32n) | BigInt(MIX[1]);
    this.inverse = pair(inverse);
    // What each symbol adds to a hash when it is read, and what it still adds when its age is n, so that it must leave.
    const table = power => Uint32Array.from(Array.from({ length: alphabet }, (_, id) => pair(modulo(BigInt(id + 1) * mixed * power))).flat());
    this.added = table(1n);
    this.leaving = LENGTHS.map(length => table(modulo(inverse ** BigInt(length))));
    this.recent = new Int32Array(LONGEST); // the last symbols; symbol i of the article is at i mod LONGEST
    this.hashes = new Uint32Array(2 * LENGTHS.length);
    this.count = 0; // symbols of the article that were read
  }

  read(symbol) {
    if (symbol === this.eos) this.reset();
    for (let n = 0; n < LENGTHS.length; n++) this.update(n, symbol);
    this.recent[this.count++ % LONGEST] = symbol;
  }

  // Update a hash: all symbols become one older, the new one is added, and the one whose age is now LENGTHS[n] leaves.
  // The array of hashes takes the sums modulo 2^32.
  update(n, symbol) {
    const { hashes, added, inverse } = this;
    let low = multiply(hashes[2 * n], hashes[2 * n + 1], inverse[0], inverse[1]) + added[2 * symbol + 1];
    let top = highOfProduct + added[2 * symbol] + (low > 0xffffffff); // with the carry
    low >>>= 0;
    if (this.count >= LENGTHS[n]) {
      const old = 2 * this.recent[(this.count - LENGTHS[n]) % LONGEST], leaving = this.leaving[n];
      top -= leaving[old] + (low < leaving[old + 1]); // with the borrow
      low -= leaving[old + 1];
    }
    hashes[2 * n] = top;
    hashes[2 * n + 1] = low;
  }

  reset() {
    this.count = 0;
    this.hashes.fill(0);
  }

  get exists() {
    return this.count >= LENGTHS[0];
  }

  // A key has 23 bits of the shortest context's hash, then 11, 11, 9 and 9 bits of the others (BITS in matching.py).
  get high() {
    return ((this.bits(0, 23) << 8) | (this.bits(1, 11) >>> 3)) >>> 0;
  }

  get low() {
    return ((this.bits(1, 11) << 29) | (this.bits(2, 11) << 18) | (this.bits(3, 9) << 9) | this.bits(4, 9)) >>> 0;
  }

  // The highest bits of a hash after mixing. The shift by 32 keeps the sign, as in torch.
  bits(n, count) {
    const top = this.hashes[2 * n];
    multiply(top ^ (top >> 31), this.hashes[2 * n + 1] ^ top, MIX[0], MIX[1]);
    return highOfProduct >>> (32 - count);
  }
}

// How many hashes of two keys are equal, the shortest context first, from the bits in which the keys differ.
const equalHashes = (high, low) => {
  if (high >>> 8) return 0;
  if (high || low >>> 29) return 1;
  if (low >>> 18) return 2;
  if (low >>> 9) return 3;
  return low ? 4 : 5;
};

// The places of a text, sorted by their keys.
class Matches {
  constructor(text, alphabet, eos) {
    this.key = new Key(alphabet, eos);
    const [highs, lows] = [new Uint32Array(text.length), new Uint32Array(text.length)];
    let places = new Uint32Array(text.length), count = 0;
    for (let place = 0; place < text.length - 1; place++) {
      this.key.read(text[place]);
      if (!this.key.exists) continue;
      highs[place] = this.key.high;
      lows[place] = this.key.low;
      places[count++] = place;
    }
    places = places.subarray(0, count); // sorted by 16 bits at a time, the lowest first
    for (const part of [lows, highs]) {
      for (const shift of [0, 16]) places = sortBy(places, new Uint16Array(part.length).map((_, i) => part[i] >>> shift), 1 << 16);
    }
    this.highs = highs.slice(0, count).map((_, i) => highs[places[i]]);
    this.lows = lows.slice(0, count).map((_, i) => lows[places[i]]);
    this.following = text.slice(0, count).map((_, i) => text[places[i] + 1]);
  }

  // The symbol that followed the longest known context, and which of LENGTHS this context has, from 1. 0: none is known.
  find(recent) {
    this.key.reset();
    for (const symbol of recent.slice(-LONGEST)) this.key.read(symbol);
    let best = 0, length = 0;
    if (this.key.exists && this.lows.length) {
      const [top, low] = [this.key.high, this.key.low];
      const place = this.firstFrom(top, low);
      for (const candidate of [place, place + 1, place - 1]) {
        const i = Math.min(Math.max(candidate, 0), this.lows.length - 1);
        const same = equalHashes(this.highs[i] ^ top, this.lows[i] ^ low);
        if (same > length) [best, length] = [i, same];
      }
    }
    return { symbol: this.following[best], length };
  }

  // The first place whose key is not less than this one.
  firstFrom(top, low) {
    let [first, end] = [0, this.lows.length];
    while (first < end) {
      const middle = (first + end) >> 1;
      if (this.highs[middle] < top || (this.highs[middle] === top && this.lows[middle] < low)) first = middle + 1;
      else end = middle;
    }
    return first;
  }
}
