// A slider over training. Everything it moves is drawn here: no message goes to the server.
// Words come as data and are written as text, never as markup.
const built = new WeakMap();
const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 9;
const FINE = 32767;
const MOST_COLOURS = 7;
const FULL = 5; // kinds from here on are hollow, so that like colours stay apart
const [WIDE, HIGH, EDGE] = [260, 92, 6];
const LABEL = 56;

function made(kind, name, text = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  return element;
}

function drawn(kind, attributes, text = "") {
  const element = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function bytes(packed) {
  return Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)).buffer;
}

function short(value) {
  return value === null ? "?" : value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function panel(title, note, body, name) {
  const part = made("section", `panel ${name}`);
  part.setAttribute("aria-label", title);
  part.append(made("h4", "", title), made("div", "note", note), body);
  return part;
}

// Where a log step lies among checkpoints: the one below, and the share of the way to the next.
function between(logs, at) {
  let low = 0;
  while (low < logs.length - 2 && logs[low + 1] <= at) low += 1;
  const gap = logs[low + 1] - logs[low];
  return [low, gap > 0 ? Math.min(1, Math.max(0, (at - logs[low]) / gap)) : 0];
}

function curvePanel(curve, ends) {
  const logs = curve.steps.map(Math.log1p);
  const all = [...curve.values, ...curve.low, ...curve.high, ...curve.control];
  const known = all.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (log) => EDGE + ((log - ends[0]) / (ends[1] - ends[0])) * (WIDE - 2 * EDGE);
  const y = (value) => HIGH - EDGE - ((value - low) / (high - low || 1)) * (HIGH - 2 * EDGE);
  const path = (values) =>
    values.map((value, i) => (value === null ? "" : `${x(logs[i])},${y(value)}`)).join(" ").trim();
  const picture = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img" });
  const last = curve.values[curve.values.length - 1];
  const message = `${curve.name}: ${short(curve.values[0])} to ${short(last)} ${curve.unit}`;
  picture.setAttribute("aria-label", message);
  if (curve.low.every((value) => value !== null)) {
    const back = curve.low.map((value, i) => `${x(logs[i])},${y(value)}`).reverse().join(" ");
    picture.append(drawn("polygon", { class: "band", points: `${path(curve.high)} ${back}` }));
  }
  if (curve.control.length) {
    picture.append(drawn("polyline", { class: "control", points: path(curve.control) }));
  }
  picture.append(drawn("polyline", { class: "line", points: path(curve.values) }));
  const cursor = drawn("line", { class: "cursor", y1: 0, y2: HIGH });
  const dot = drawn("circle", { class: "dot", r: 3.5 });
  picture.append(cursor, dot);
  const value = made("span", "value");
  const box = made("div", "curve");
  const head = made("div", "name", curve.name);
  head.append(value);
  const control = curve.control_name ? ` · dashed: ${curve.control_name}` : "";
  box.append(head, picture, made("div", "note", `${curve.unit}${control}`));
  const move = (at) => {
    const [i, share] = between(logs, at);
    const now = curve.values[i] + share * (curve.values[i + 1] - curve.values[i]);
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    dot.setAttribute("cx", x(at));
    dot.setAttribute("cy", y(now));
    value.textContent = short(curve.values[share < 0.5 ? i : i + 1]);
  };
  return { box, move };
}

function colourOf(kind) {
  return `k${kind % MOST_COLOURS}${kind >= FULL ? " hollow" : ""}`;
}

// Where a word's label may stand beside its point, and how it is anchored there.
const SIDES = [[6, 3.5, "start"], [-6, 3.5, "end"], [0, -6, "middle"], [0, 12, "middle"]];
const [LETTER, LINE, POINT] = [5.6, 10, 3];

function boxOf([x, y], [dx, dy, anchor], word) {
  const width = word.length * LETTER;
  const left = x + dx - { start: 0, end: width, middle: width / 2 }[anchor];
  return [left, y + dy - LINE + 2, left + width, y + dy + 2];
}

function meet(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

// A side for each word where its label meets no point and no label before it; null where there is
// none. A word keeps its side while it can, so that labels do not jump.
function placed(places, words, before) {
  const taken = places.map(([x, y]) => [x - POINT, y - POINT, x + POINT, y + POINT]);
  return words.map((word, i) => {
    const sides = before[i] === null ? SIDES : [before[i], ...SIDES];
    for (const side of sides) {
      const box = boxOf(places[i], side, word);
      if (taken.some((other, n) => n !== i && meet(box, other))) continue;
      taken.push(box);
      return side;
    }
    return null;
  });
}

function wordsPanel(data) {
  const points = new Int16Array(bytes(data.points));
  const count = data.words.length;
  const size = 400;
  const picture = drawn("svg", { viewBox: `0 0 ${size} ${size}`, class: "words", role: "img" });
  picture.setAttribute("aria-label", `Embeddings of ${count} words in two dimensions`);
  const kinds = [...new Set(data.kinds)];
  const marks = data.words.map((word, i) => {
    const mark = drawn("g", { class: colourOf(kinds.indexOf(data.kinds[i])) });
    mark.append(drawn("circle", { r: POINT }), drawn("text", {}, word));
    mark.append(drawn("title", {}, `${word} (${data.kinds[i]})`));
    picture.append(mark);
    return mark;
  });
  const place = (step, word, axis) => {
    const value = points[(step * count + word) * 2 + axis] / FINE;
    return size / 2 + value * (size / 2 - 34) * (axis ? -1 : 1);
  };
  let sides = data.words.map(() => null);
  const move = (i, share) => {
    const places = marks.map((_, word) =>
      [0, 1].map((axis) => place(i, word, axis) * (1 - share) + place(i + 1, word, axis) * share),
    );
    sides = placed(places, data.words, sides);
    marks.forEach((mark, word) => {
      const [x, y] = places[word];
      mark.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      mark.classList.toggle("mute", sides[word] === null);
      const [dx, dy, anchor] = sides[word] ?? SIDES[0];
      const label = mark.querySelector("text");
      for (const [name, value] of Object.entries({ x: dx, y: dy, "text-anchor": anchor })) {
        label.setAttribute(name, value);
      }
    });
  };
  const legend = made("div", "legend");
  kinds.forEach((kind, i) => legend.append(made("span", `key ${colourOf(i)}`, kind)));
  const box = made("div", "");
  box.append(legend, picture);
  return { box, move };
}

function attentionPanel(data) {
  const weights = new Uint8Array(bytes(data.pattern));
  const n = data.tokens.length;
  const size = 12;
  const side = n * size;
  const view = { viewBox: `0 0 ${side + LABEL} ${side}`, class: "attention", role: "img" };
  const picture = drawn("svg", view);
  picture.setAttribute("aria-label", `Attention of head ${data.head}: queries in rows, keys in columns`);
  const cells = [];
  for (let query = 0; query < n; query++) {
    const [x, y] = [(query + 1) * size + 3, (query + 0.72) * size];
    picture.append(drawn("text", { x, y }, data.tokens[query].replaceAll("·", " ").trim()));
    for (let key = 0; key <= query; key++) {
      const cell = drawn("rect", { x: key * size, y: query * size, width: size, height: size });
      const title = drawn("title", {}, "");
      cell.append(title);
      picture.append(cell);
      cells.push({ cell, title, query, key });
    }
  }
  const show = (step) => {
    for (const { cell, title, query, key } of cells) {
      const weight = weights[(step * n + query) * n + key] / 255;
      cell.style.fillOpacity = weight;
      title.textContent = `${data.tokens[query]} attends to ${data.tokens[key]}: ${weight.toFixed(2)}`;
    }
  };
  return { box: picture, show };
}

function lensPanel(data) {
  const best = new Uint16Array(bytes(data.best));
  const chances = new Uint8Array(bytes(data.chances));
  const n = data.tokens.length;
  const frame = made("div", "frame");
  const table = made("table", "lens");
  table.style.minWidth = `${6.5 + 3.4 * n}rem`;
  const head = made("tr", "");
  head.append(made("th", "", "after"), ...data.tokens.map((token) => made("th", "", token)));
  table.append(head);
  const cells = [];
  data.rows.forEach((name, row) => {
    const line = made("tr", "");
    line.append(made("th", "side", name));
    for (let at = 0; at < n; at++) {
      const cell = made("td", "");
      line.append(cell);
      cells.push({ cell, at: row * n + at });
    }
    table.append(line);
  });
  frame.append(table);
  const show = (step) => {
    const first = step * data.rows.length * n;
    for (const { cell, at } of cells) {
      const chance = chances[first + at] / 255;
      cell.textContent = data.names[best[first + at]];
      cell.style.setProperty("--chance", `${Math.round(70 * chance)}%`);
      cell.title = `${cell.textContent} ${chance.toFixed(2)}`;
    }
  };
  return { box: frame, show, scroll: () => (frame.scrollLeft = frame.scrollWidth) };
}

function controls(data, ends) {
  const bar = made("div", "bar");
  const play = made("button", "play", "▶ Play");
  play.type = "button";
  const slider = made("input", "slider");
  Object.assign(slider, { type: "range", min: 0, max: 1000, step: 1, value: 1000 });
  slider.setAttribute("aria-label", "Training step, on a logarithmic scale");
  const step = made("output", "step");
  const ticks = made("div", "ticks");
  data.steps.forEach((each) => {
    const tick = made("span", "tick");
    tick.style.left = `${(100 * (Math.log1p(each) - ends[0])) / (ends[1] - ends[0])}%`;
    ticks.append(tick);
  });
  const track = made("div", "track");
  track.append(slider, ticks);
  bar.append(play, track, step);
  return { bar, play, slider, step };
}

function build(parentElement, data) {
  const logs = data.steps.map(Math.log1p);
  const ends = [logs[0], logs[logs.length - 1]];
  const whole = made("div", "whole");
  const { bar, play, slider, step } = controls(data, ends);
  const curves = data.curves.map((curve) => curvePanel(curve, ends));
  const text = made("p", "text");
  const written = made("span", "written");
  text.append(made("span", "prompt", data.prompt), written);
  const lens = lensPanel(data);
  const attention = attentionPanel(data);
  const words = data.words.length ? wordsPanel(data) : null;
  const row = made("div", "curves");
  row.append(...curves.map(({ box }) => box));
  const panels = made("div", "panels");
  panels.append(panel("Generated text", "the same seed at every step", text, "wide"));
  const share = made("span", "");
  if (words) {
    const part = panel("Token embeddings", "", words.box, "half");
    part.querySelector(".note").append("two main directions of the embeddings, ", share);
    panels.append(part);
  }
  const title = `Attention pattern of head ${data.head}`;
  panels.append(panel(title, "query tokens in rows, key tokens above their columns; the stronger the colour, the more attention", attention.box, "half"));
  panels.append(panel("Logit lens", "top token of each layer; the stronger the colour, the more probable", lens.box, "wide"));
  whole.append(bar, row, panels);
  parentElement.append(whole);
  lens.scroll();

  const state = { at: ends[1], shown: -1, timer: 0, frames: 0 };
  const show = (nearest) => {
    state.shown = nearest;
    const message = `step ${data.steps[nearest].toLocaleString("en")}`;
    step.textContent = message;
    slider.setAttribute("aria-valuetext", message);
    written.textContent = data.texts[nearest];
    share.textContent = `${Math.round(100 * data.explained[nearest])} % of the variance`;
    attention.show(nearest);
    lens.show(nearest);
  };
  const draw = () => {
    const [i, part] = between(logs, state.at);
    slider.value = (1000 * (state.at - ends[0])) / (ends[1] - ends[0]);
    curves.forEach(({ move }) => move(state.at));
    words?.move(i, part);
    const nearest = part < 0.5 ? i : i + 1;
    if (nearest !== state.shown) show(nearest);
    state.frames += 1;
    whole.dataset.frames = state.frames;
    whole.dataset.step = data.steps[nearest];
  };
  const stop = () => {
    cancelAnimationFrame(state.timer);
    state.timer = 0;
    play.textContent = "▶ Play";
  };
  const start = () => {
    if (state.at >= ends[1]) state.at = ends[0];
    play.textContent = "❚❚ Pause";
    let before = null;
    const tick = (now) => {
      const passed = before === null ? 0 : (now - before) / 1000;
      before = now;
      state.at = Math.min(ends[1], state.at + (passed * (ends[1] - ends[0])) / SECONDS);
      draw();
      if (state.at >= ends[1]) stop();
      else state.timer = requestAnimationFrame(tick);
    };
    state.timer = requestAnimationFrame(tick);
  };
  play.addEventListener("click", () => (state.timer ? stop() : start()));
  slider.addEventListener("input", () => {
    stop();
    state.at = ends[0] + (slider.valueAsNumber / 1000) * (ends[1] - ends[0]);
    draw();
  });
  slider.addEventListener("keydown", (event) => {
    const last = data.steps.length - 1;
    const to = {
      ArrowRight: Math.min(last, state.shown + 1),
      ArrowUp: Math.min(last, state.shown + 1),
      ArrowLeft: Math.max(0, state.shown - 1),
      ArrowDown: Math.max(0, state.shown - 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      stop();
      state.at = logs[to];
      draw();
    } else if (event.key === " ") play.click();
    else return;
    event.preventDefault();
  });
  draw();
  return { whole, stop };
}

export default function ({ parentElement, data }) {
  const message = JSON.stringify(data);
  const before = built.get(parentElement);
  if (before?.message === message && before.whole.isConnected) return;
  before?.stop();
  parentElement.querySelector(".whole")?.remove();
  built.set(parentElement, { message, ...build(parentElement, data) });
  return () => built.get(parentElement)?.stop();
}
