// The page: the text field, the bars and the controls.
const MOST_CHARACTERS = 4000; // of the text
const FRAME = 14; // milliseconds of work before the screen is drawn again
const TOO_LONG = `A text has at most ${MOST_CHARACTERS} characters here.`;
const SLIDERS = ["temperature", "top-p"];
const VISIBLE = new Map([[" ", "␣"], ["\n", "↵"], ["\t", "⇥"]]);
const UNSEEN = /^[\p{Zs}\p{Mn}\p{Cf}]$/u; // white space, accents, and characters that only join or change others

const byId = id => document.getElementById(id);
const make = (name, className, text = "") => {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
};
const percent = share => (share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);

class Page {
  constructor(model) {
    this.model = model;
    this.about = model.about;
    this.characters = []; // of the text
    this.cells = []; // the coloured copy of each character, behind the text field
    this.outlined = null; // the cell after the cursor
    this.writing = null; // while the model writes: its temperature, top-p and random numbers
    const { classes, classNames } = this.about;
    for (const name of classNames) byId("class").append(make("option", "", name));
    this.byClass = classes ? new Reader(this.model, [...Array(classes).keys()]) : null; // reads the text given each class
    this.beginReading();
    this.listen();
    this.showSettings();
    this.edit(); // the browser may have restored a text
  }

  // Read the text from its beginning, given the chosen class.
  beginReading() {
    const { classes } = this.about, chosen = byId("class").selectedIndex - 1;
    this.main = new Reader(this.model, [chosen < 0 ? classes : chosen]);
    this.cells.forEach(cell => { cell.className = ""; });
  }

  listen() {
    const text = byId("text");
    text.addEventListener("input", event => this.edit(event.isComposing));
    text.addEventListener("compositionend", () => this.edit());
    document.addEventListener("selectionchange", () => this.follow());
    byId("write").addEventListener("click", () => (this.writing ? this.stop() : this.write()));
    byId("clear").addEventListener("click", () => { this.stop(); text.value = ""; this.edit(); text.focus(); });
    byId("class").addEventListener("change", () => { this.beginReading(); this.work(); });
    for (const name of SLIDERS) byId(name).addEventListener("input", () => this.showSettings());
  }

  showSettings() {
    for (const name of SLIDERS) byId(`${name}-value`).textContent = (+byId(name).value).toFixed(2);
  }

  // Take over what the user has typed. During a composition, the field keeps its text: to change it would end the
  // composition. The keyboards of phones compose each word.
  edit(composing = false) {
    const characters = this.normal(byId("text").value).slice(0, MOST_CHARACTERS);
    if (!composing) this.replaceText(characters);
    this.show(characters);
    this.stop(characters.length === MOST_CHARACTERS ? TOO_LONG : "");
    this.work();
  }

  // The characters of a text, normalized like the corpus.
  normal(text) {
    const { normalize } = this.about;
    return [...(normalize === "none" ? text : text.normalize(normalize))];
  }

  // If the field has a text that is not normalized or too long, replace it. The cursor stays at its character.
  replaceText(characters) {
    const text = byId("text"), replacement = characters.join("");
    if (text.value === replacement) return;
    const before = this.normal(text.value.slice(0, text.selectionStart)).length;
    text.value = replacement;
    text.selectionStart = text.selectionEnd = characters.slice(0, before).join("").length;
  }

  // Show other characters. The readers keep what they have read before the first difference.
  show(characters) {
    let same = 0;
    while (same < characters.length && characters[same] === this.characters[same]) same++;
    this.main.keep(same);
    this.byClass?.keep(same);
    this.cells.splice(same).forEach(cell => cell.remove());
    this.characters = characters.slice(0, same);
    characters.slice(same).forEach(character => this.append(character));
  }

  append(character) {
    const cell = make("span", "", character);
    byId("cells").append(cell);
    this.cells.push(cell);
    this.characters.push(character);
  }

  write() {
    const number = name => +byId(name).value;
    const seed = Math.trunc(number("seed")) || 0;
    this.writing = { temperature: number("temperature"), topP: number("top-p"), random: randomNumbers(seed) };
    byId("write").textContent = "Stop";
    byId("state").textContent = "";
    this.work();
  }

  stop(message = "") {
    this.writing = null;
    byId("write").textContent = "Write on";
    byId("state").textContent = message;
  }

  // Read and write for a short time, show the result, and continue in the next frame until there is nothing to do.
  work() {
    if (this.waiting) return;
    const end = performance.now() + FRAME;
    const [from, length] = [this.main.done, this.characters.length];
    while (performance.now() < end && this.step());
    for (let i = from; i < this.main.done; i++) this.cells[i].className = `h${this.heat(this.main.costs[i].bits)}`;
    if (this.characters.length > length) {
      const text = byId("text");
      text.value = this.characters.join("");
      text.selectionStart = text.selectionEnd = text.value.length;
    }
    this.follow();
    if (this.isBehind(this.main) || this.isBehind(this.byClass) || this.writing) {
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.work(); });
    }
  }

  isBehind(reader) {
    return reader && reader.done < this.characters.length;
  }

  // Read one symbol, or write one. Returns whether there was something to do.
  step() {
    const readers = this.writing ? [this.main] : [this.main, this.byClass]; // the bars of the classes wait for the end
    const behind = readers.find(reader => this.isBehind(reader));
    if (behind) behind.advance(this.model.id(this.characters[behind.done]));
    else if (this.writing) this.writeOne();
    else return false;
    return true;
  }

  writeOne() {
    const symbol = this.model.draw(this.main.state.readings[0].logs, this.writing, this.writing.random);
    if (symbol === this.about.eos) this.stop("The model ended its article here. ■");
    else if (this.characters.length === MOST_CHARACTERS) this.stop(TOO_LONG);
    else this.append(this.about.characters[symbol]);
  }

  heat(bits) {
    return this.about.heat.filter(limit => bits >= limit).length;
  }

  // Show what the model predicts at the cursor, and what the text costs. `at` characters are before the cursor.
  follow() {
    const text = byId("text"), at = [...text.value.slice(0, text.selectionStart)].length;
    this.outlined?.classList.remove("at");
    this.outlined = this.cells[at];
    this.outlined?.classList.add("at");
    const place = this.main.places[at];
    if (place) this.showExpected(place, at);
    if (this.byClass) this.showClasses(this.byClass.places[Math.min(at, this.byClass.done)]);
    this.showTotal();
  }

  showExpected({ expected }, at) {
    const actual = at < this.main.done ? this.model.id(this.characters[at]) : null;
    byId("expected").replaceChildren(...expected.map(({ id, share, memory }) => {
      const row = make("li", id === actual ? "was" : ""), track = make("span", "track");
      track.append(bar("ours", share), ...(memory === null ? [] : [bar("other", memory)]));
      row.append(make("code", "", this.shown(id)), track, make("span", "value", percent(share)));
      return row;
    }));
    byId("actual").textContent = actual === null ? "" : this.aboutCost(actual, this.main.costs[at]);
  }

  aboutCost(id, { bits, memoryBits }) {
    const memory = this.model.memory ? ` By the memory alone, it costs ${memoryBits.toFixed(2)} bits.` : "";
    return `At the cursor, the text has ${this.shown(id)}. It costs ${bits.toFixed(2)} bits.${memory}`;
  }

  shown(id) {
    const character = this.about.characters[id];
    if (!character) return id === this.about.eos ? "■" : "?";
    if (VISIBLE.has(character)) return VISIBLE.get(character);
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return UNSEEN.test(character) ? `U+${code}` : character;
  }

  showClasses({ evidence }) {
    const shares = this.model.posterior(evidence).map(Math.exp);
    byId("classes").replaceChildren(...shares.map((share, i) => {
      const row = make("li", share === Math.max(...shares) ? "was" : ""), track = make("span", "track");
      track.append(bar("ours", share));
      row.append(make("span", "name", this.about.classNames[i]), track, make("span", "value", percent(share)));
      return row;
    }));
  }

  showTotal() {
    const { costs } = this.main, mean = name => (costs.reduce((sum, cost) => sum + cost[name], 0) / costs.length).toFixed(2);
    const memory = this.model.memory ? `, ${mean("memoryBits")} by the memory alone` : "";
    byId("total").textContent = costs.length ? `${costs.length} characters, ${mean("bits")} bits per character${memory}` : "";
  }
}

const bar = (className, share) => {
  const element = make("i", className);
  element.style.width = `${100 * share}%`;
  return element;
};

let page;
const begin = async () => {
  const about = JSON.parse(byId("about-model").textContent);
  try {
    const buffer = await unpack(byId("tensors").textContent.trim());
    byId("tensors").remove();
    page = new Page(new Model(about, readTensors(buffer, about.tensors)));
    byId("play").hidden = false;
    byId("state").textContent = "";
  } catch (error) {
    byId("state").textContent = `This browser cannot run the model (${error.message}). Chromium 80, Firefox 113, Safari 16.4 and newer can.`;
  }
};
requestAnimationFrame(() => setTimeout(begin)); // after the browser has shown that the page is loading
