// A grid of tokens: one cell can be reached by Tab, the others by arrow keys; Enter or a click picks.
const UNKNOWN = 255;
const drawn = new WeakMap();

function made(kind, name, text = "", role = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  if (role) element.setAttribute("role", role);
  return element;
}

function bytes(packed) {
  return Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)).buffer;
}

function paint(cell, step, { ramp }) {
  if (step === UNKNOWN) return;
  const [light, dark] = [ramp.light[step], ramp.dark[step]];
  cell.style.background = `light-dark(${light[0]}, ${dark[0]})`;
  cell.style.color = `light-dark(${light[1]}, ${dark[1]})`;
}

function legendOf({ ramp, low, high, unit }) {
  const legend = made("div", "legend");
  const bar = made("span", "bar");
  const stops = ramp.light.map(([paper], i) => `light-dark(${paper}, ${ramp.dark[i][0]})`);
  bar.style.background = `linear-gradient(to right, ${stops})`;
  legend.append(made("span", "", unit), made("span", "", low), bar, made("span", "", high));
  return legend;
}

function number(value) {
  return Number.isInteger(value) ? String(value) : Number(value.toPrecision(3)).toString();
}

function header(data) {
  const row = made("div", "row head", "", "row");
  row.append(made("div", "corner", "layer ↓  token →", "columnheader"));
  data.columns.forEach((token, i) => {
    const head = made("div", "column", token, "columnheader");
    head.title = `position ${data.first + i}: ${token}`;
    row.append(head);
  });
  return row;
}

function gridOf(data) {
  const best = new Uint16Array(bytes(data.best));
  const numbers = new Float32Array(bytes(data.numbers));
  const steps = new Uint8Array(bytes(data.steps));
  const marks = new Uint8Array(bytes(data.marks));
  const grid = made("div", "grid", "", "grid");
  const width = data.columns.length;
  grid.style.setProperty("--columns", width);
  grid.setAttribute("aria-label", `Top token by layer and position, coloured by ${data.legend.unit}`);
  grid.setAttribute("aria-rowcount", data.rows.length + 1);
  grid.append(header(data));
  const cells = [];
  data.rows.forEach((name, layer) => {
    const row = made("div", "row", "", "row");
    row.append(made("div", "name", name, "rowheader"));
    for (let i = 0; i < width; i++) {
      const at = layer * width + i;
      const cell = made("div", "cell", data.names[best[at]], "gridcell");
      const marked = ["", `, ${data.target} is among the candidates`, `, ${data.target} is the top token`];
      cell.tabIndex = -1;
      cell.label = `${name}, position ${data.first + i}, after ${data.columns[i]}: ` +
        `${data.names[best[at]]}, ${data.legend.unit} ${number(numbers[at])}${marked[marks[at] ?? 0]}`;
      cell.setAttribute("aria-label", cell.label);
      if (marks[at]) cell.classList.add(marks[at] === 2 ? "leads" : "among");
      cell.place = [layer, data.first + i];
      paint(cell, steps[at], data.legend);
      row.append(cell);
      cells.push(cell);
    }
    grid.append(row);
  });
  return { grid, cells, width };
}

function behave({ grid, cells, width }, words, pick) {
  let current = 0;
  const reach = (index) => {
    cells[current].tabIndex = -1;
    current = index;
    cells[current].tabIndex = 0;
    return cells[current];
  };
  const moved = (key) => {
    const column = current % width;
    const to = {
      ArrowRight: column < width - 1 ? current + 1 : current,
      ArrowLeft: column > 0 ? current - 1 : current,
      ArrowDown: current + width < cells.length ? current + width : current,
      ArrowUp: current >= width ? current - width : current,
      Home: current - column,
      End: current - column + width - 1,
    };
    return to[key];
  };
  const cellOf = (event) => event.target.closest(".cell");
  grid.addEventListener("pointerover", (event) => {
    if (cellOf(event)) words.textContent = cellOf(event).label;
  });
  grid.addEventListener("focusin", (event) => {
    if (cellOf(event)) words.textContent = reach(cells.indexOf(cellOf(event))).label;
  });
  grid.addEventListener("click", (event) => cellOf(event) && pick(cellOf(event).place));
  grid.addEventListener("keydown", (event) => {
    const to = moved(event.key);
    if (to !== undefined) reach(to).focus();
    else if (cellOf(event) && ["Enter", " "].includes(event.key)) pick(cells[current].place);
    else return;
    event.preventDefault();
  });
  return reach;
}

function tableOf({ title, rows, about }) {
  const part = made("div", "lens");
  part.append(made("h4", "", title));
  const table = made("table", "");
  rows.forEach(([token, chance], place) => {
    const line = made("tr", "");
    const bar = made("span", "chance");
    bar.style.width = `${100 * chance}%`;
    const wide = made("td", "wide");
    wide.append(bar);
    line.append(made("td", "place", `${place + 1}`), made("td", "token", token), wide);
    line.append(made("td", "number", `${(100 * chance).toFixed(2)} %`));
    table.append(line);
  });
  const facts = made("dl", "");
  about.forEach(([what, value]) => facts.append(made("dt", "", what), made("dd", "", value)));
  part.append(table, facts);
  return part;
}

function build(parentElement, data, setStateValue) {
  parentElement.querySelector(".whole")?.remove();
  const whole = made("div", "whole");
  const frame = made("div", "frame");
  const words = made("div", "words");
  const panel = made("section", "panel");
  panel.setAttribute("aria-live", "polite");
  const parts = gridOf(data);
  const show = ([layer, pos]) => {
    parts.cells.forEach((cell) => {
      cell.setAttribute("aria-selected", cell.place[0] === layer && cell.place[1] === pos);
    });
  };
  const pick = (place) => {
    show(place);
    panel.classList.add("waiting");
    setStateValue("cell", place);
  };
  const reach = behave(parts, words, pick);
  frame.append(parts.grid);
  whole.append(legendOf(data.legend), frame, words, panel);
  parentElement.append(whole);
  return { show, reach, panel, words, cells: parts.cells, frame };
}

function update(built, data, fresh) {
  const [layer, pos] = data.chosen;
  const { cells, frame, panel, words } = built;
  const index = cells.findIndex((cell) => cell.place[0] === layer && cell.place[1] === pos);
  built.show(data.chosen);
  const title = `${data.rows[layer]}, position ${pos}: next token`;
  panel.replaceChildren(made("h3", "", title), ...data.panel.map(tableOf));
  panel.classList.remove("waiting");
  if (!fresh || index < 0) return;
  words.textContent = built.reach(index).label;
  const wanted = cells[index].offsetLeft - frame.clientWidth / 2;
  frame.scrollLeft = Math.max(0, wanted);
}

export default function ({ parentElement, data, setStateValue }) {
  const { chosen, panel, ...rest } = data;
  const message = JSON.stringify(rest);
  const before = drawn.get(parentElement);
  const fresh = before?.message !== message;
  const built = fresh ? build(parentElement, data, setStateValue) : before.built;
  drawn.set(parentElement, { message, built });
  update(built, data, fresh);
}
