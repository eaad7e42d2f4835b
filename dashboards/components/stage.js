// One stage of a prediction. Words come as data and are written as text, never as markup.
const shown = new WeakMap();

function made(kind, name, text = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  return element;
}

function bar(share, name, start = 0) {
  const track = made("span", "track");
  const fill = made("span", `fill ${name}`);
  fill.style.left = `${100 * start}%`;
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  return track;
}

function chip({ token, id, note, light, fresh, weight }) {
  const box = made("span", `chip${fresh ? " fresh" : ""}${light ? " looking" : ""}`);
  box.append(made("span", "word", token));
  if (id !== undefined) box.append(made("span", "id", id));
  if (weight !== undefined) {
    box.style.setProperty("--weight", `${Math.round(100 * weight)}%`);
    box.classList.add("weighed");
  }
  if (note) box.append(made("span", "small", note));
  return box;
}

function chips(data) {
  const row = made("div", "chips");
  row.setAttribute("role", "list");
  if (data.before) row.append(made("span", "small", data.before));
  for (const token of data.tokens) {
    const box = chip(token);
    box.setAttribute("role", "listitem");
    row.append(box);
  }
  return row;
}

function strip({ ramp, steps, words }) {
  const box = made("div", "strip");
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", words);
  for (const letter of atob(steps)) {
    const cell = made("span", "cell");
    const at = letter.charCodeAt(0);
    cell.style.background = `light-dark(${ramp.light[at][0]}, ${ramp.dark[at][0]})`;
    box.append(cell);
  }
  return [box, made("div", "small", words)];
}

function meters(rows) {
  const table = made("div", "meters");
  for (const { name, start, share, value, kind } of rows) {
    const row = made("div", "meter");
    row.append(made("span", "name", name), bar(share, kind, start), made("span", "value", value));
    table.append(row);
  }
  return table;
}

function dice({ segments, draw, label }) {
  const box = made("div", "dice");
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", label);
  for (const { low, high, name, chosen } of segments) {
    const part = made("span", `part${chosen ? " chosen" : ""}`, high - low > 0.035 ? name : "");
    part.title = `${name}: ${low.toFixed(4)} to ${high.toFixed(4)}`;
    part.style.left = `${100 * low}%`;
    part.style.width = `${100 * (high - low)}%`;
    box.append(part);
  }
  if (draw !== null) {
    const needle = made("span", "needle");
    needle.style.left = `${100 * draw}%`;
    box.append(needle);
  }
  const ends = made("div", "ends");
  ends.append(made("span", "", "0"), made("span", "", label), made("span", "", "1"));
  return [box, ends];
}

function candidates({ head, columns, rows }, choose) {
  const table = made("div", "candidates");
  table.style.setProperty("--columns", columns.length);
  const top = made("div", "candidate head");
  top.append(made("span", "name", head), ...columns.map((name) => made("span", "column", name)));
  table.append(top);
  for (const row of rows) {
    const line = made("button", `candidate${row.chosen ? " chosen" : ""}${row.cut ? " cut" : ""}`);
    line.type = "button";
    line.append(made("span", "name", row.token));
    for (const { share, value, kind } of row.cells) {
      const cell = made("span", "column");
      cell.append(bar(share, kind), made("span", "value", value));
      line.append(cell);
    }
    line.setAttribute("aria-label", row.label);
    line.addEventListener("click", () => choose(row.id));
    table.append(line);
  }
  return table;
}

function text({ before, fresh, after }) {
  const box = made("div", "page");
  box.append(made("span", "", before), made("span", "new", fresh), made("span", "dim", after));
  return box;
}

function numbers(rows) {
  const list = made("dl", "numbers");
  for (const [name, value] of rows) {
    const pair = made("div", "pair");
    pair.append(made("dt", "", name), made("dd", "", value));
    list.append(pair);
  }
  return list;
}

function picture(data, choose) {
  const card = made("section", "card");
  card.setAttribute("aria-live", "polite");
  card.append(made("div", "count", data.count), made("h3", "title", data.title));
  card.append(made("p", "words", data.words));
  if (data.text) card.append(text(data.text));
  if (data.chips) card.append(chips(data.chips));
  if (data.strip) card.append(...strip(data.strip));
  if (data.meters) card.append(meters(data.meters));
  if (data.aside) card.append(made("p", "aside", data.aside));
  if (data.dice) card.append(...dice(data.dice));
  if (data.candidates) card.append(candidates(data.candidates, choose));
  if (data.numbers) card.append(numbers(data.numbers));
  return card;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const message = JSON.stringify(data);
  const before = shown.get(parentElement);
  if (before?.message === message) return;
  clearTimeout(before?.timer);
  parentElement.querySelector(".card")?.remove();
  parentElement.append(picture(data, (id) => setTriggerValue("chosen", `${data.turn} ${id}`)));
  const go = () => setTriggerValue("played", data.turn);
  shown.set(parentElement, { message, timer: data.auto ? setTimeout(go, 1000 * data.auto) : 0 });
  return () => {
    clearTimeout(shown.get(parentElement)?.timer);
    shown.delete(parentElement);
    parentElement.querySelector(".card")?.remove();
  };
}
