"use strict";
(() => {
  const tip = document.getElementById("tip");
  const read = element => JSON.parse(element.textContent);
  const make = (name, text, className) => {
    const element = document.createElement(name);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // Show the tip above a rectangle of the window, or below the rectangle if there is no room above.
  const show = (box, ...content) => {
    tip.replaceChildren(...content);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), document.documentElement.clientWidth - width - 8);
    const above = box.top - height - 8;
    const top = above < 8 ? box.bottom + 8 : above;
    tip.style.transform = `translate(${Math.round(left + scrollX)}px, ${Math.round(top + scrollY)}px)`;
  };

  // Let the reader point at a place, tap it, or reach it with the arrow keys. `choose` receives the index of the place.
  const browse = (area, count, indexAt, choose, leave) => {
    let at = -1;
    const go = index => { at = index; choose(index); };
    const stop = () => {
      if (at < 0) return; // another area shows the tip
      at = -1;
      tip.hidden = true;
      leave();
    };
    const follow = event => {
      const index = indexAt(event);
      if (index >= 0) go(index);
    };
    area.addEventListener("pointermove", follow);
    area.addEventListener("pointerdown", follow);
    area.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") stop(); });
    area.addEventListener("blur", stop);
    area.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -count, End: count }[event.key];
      if (step) {
        event.preventDefault();
        go(Math.min(count - 1, Math.max(0, at + step)));
      } else if (event.key === "Escape") stop();
    });
    document.addEventListener("pointerdown", event => { if (!area.contains(event.target)) stop(); });
  };

  for (const reading of document.querySelectorAll(".reading")) {
    const symbols = read(document.getElementById("symbols"));
    const area = reading.querySelector(".cells");
    const cells = [...area.children];
    const rows = read(reading.querySelector(".expected"));
    const leave = () => area.querySelector(".at")?.classList.remove("at");
    browse(area, cells.length, event => cells.indexOf(event.target), index => {
      leave();
      cells[index].classList.add("at");
      const [symbol, bits, ...expected] = rows[index];
      const percent = 100 * 2 ** -bits;
      const list = make("ol", "");
      for (let i = 0; i < expected.length; i += 2) {
        const item = make("li", "", expected[i] === symbol ? "was" : "");
        const bar = make("i", "");
        bar.style.width = `${expected[i + 1]}%`;
        item.append(make("code", symbols[expected[i]]), bar, make("span", `${expected[i + 1].toFixed(1)} %`));
        list.append(item);
      }
      show(cells[index].getBoundingClientRect(), make("b", symbols[symbol]),
        make("span", `  ${bits.toFixed(2)} bits, probability ${percent < 0.1 ? "under 0.1" : percent.toFixed(1)}\u00a0%`), list);
    }, leave);
  }

  for (const chart of document.querySelectorAll(".chart")) {
    const plot = chart.querySelector(".plot");
    const guide = chart.querySelector(".guide");
    const notes = read(chart.querySelector(".notes"));
    const nearest = event => {
      const box = plot.getBoundingClientRect();
      const place = 100 * (event.clientX - box.left) / box.width;
      return notes.reduce((best, note, index) => Math.abs(note[0] - place) < Math.abs(notes[best][0] - place) ? index : best, 0);
    };
    browse(plot, notes.length, nearest, index => {
      guide.hidden = false;
      guide.style.left = `${notes[index][0]}%`;
      show(guide.getBoundingClientRect(), make("span", notes[index][1]));
    }, () => { guide.hidden = true; });
  }
})();
