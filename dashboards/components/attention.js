// Words tinted by attention, and the grid of heads. Words are written with textContent only.
// The page runs again on every pick; this keeps what it has drawn as long as the data are the same.

const VIEWS = new WeakMap();
const LARGEST_PICTURE = 96; // pixels a side; more words are pooled by their largest weight
const PAUSE = 350; // ms without an arrow key before Python hears of it
const LATE = 3000; // ms after which an answer is no longer waited for

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  let view = VIEWS.get(parentElement);
  const same = view && view.data.weights === data.weights && sameLists(view.data, data);
  if (!same) {
    view?.root.remove();
    view?.watch.disconnect();
    view = build(parentElement, data);
    VIEWS.set(parentElement, view);
  }
  view.send = (value) => setStateValue("at", value);
  hear(view, data);
  paintPictures(view);
  refresh(view);
  return () => view.watch.disconnect();
}

function sameLists(before, now) {
  const heavy = (data) => JSON.stringify([data.tokens, data.layers, data.n_layers, data.notes]);
  return heavy(before) === heavy(now);
}

// What was picked elsewhere on the page; an answer to an older pick is passed over.
function hear(view, data) {
  const asked = JSON.stringify(data.selection);
  view.data = data;
  if (view.timer || (view.sent && view.sent !== asked)) return;
  if (asked !== view.received) view.selection = { ...data.selection };
  view.received = asked;
  view.sent = "";
}

function build(parent, data) {
  const root = make("div", "attention");
  parent.append(root);
  const bytes = Uint8Array.from(atob(data.weights), (letter) => letter.charCodeAt(0));
  const view = { root, data, bytes, selection: { ...data.selection }, received: "", sent: "", over: -1 };
  view.length = data.tokens.length;
  view.size = (view.length * (view.length + 1)) / 2;
  view.live = make("div", "unseen");
  view.live.setAttribute("aria-live", "polite");
  const below = make("div", "below");
  const side = make("div", "side");
  view.title = make("h4");
  view.table = make("table");
  view.about = make("p", "about");
  side.append(view.title, view.table, view.about);
  below.append(buildGrid(view), side);
  root.append(buildLegend(view), buildWords(view), view.live, below);
  return view;
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

function buildLegend(view) {
  const legend = make("div", "legend");
  view.unit = make("span");
  const bar = make("span", "bar");
  for (const [at, text] of [["0%", "0"], ["50%", ".25"], ["100%", "1"]]) {
    const tick = make("span", "tick", text);
    tick.style.left = at;
    bar.append(tick);
  }
  legend.append(view.unit, bar);
  return legend;
}

// ---- words -----------------------------------------------------------------------------------

function buildWords(view) {
  const row = make("div", "words");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Tokens. Arrow keys move, Enter locks a token, Escape unlocks it.");
  view.words = view.data.tokens.map((token, i) => {
    const spaced = token.length > 1 && token.startsWith("·");
    const word = make("button", spaced ? "word spaced" : "word", spaced ? token.slice(1) : token);
    word.type = "button";
    word.dir = "auto";
    word.tabIndex = -1;
    word.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") show(view, i);
    });
    word.addEventListener("focus", () => show(view, i));
    word.addEventListener("blur", () => show(view, -1));
    word.addEventListener("click", () => lock(view, view.selection.word === i ? -1 : i));
    return word;
  });
  row.append(...view.words);
  row.addEventListener("pointerleave", () => show(view, focused(view, view.words)));
  row.addEventListener("keydown", (event) => wordKey(view, event));
  return row;
}

function focused(view, buttons) {
  return buttons.indexOf(view.root.getRootNode().activeElement);
}

function wordKey(view, event) {
  if (event.key === "Escape" && view.selection.word >= 0) return lock(view, -1);
  const from = focused(view, view.words);
  const last = view.length - 1;
  const steps = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
  let to = steps[event.key];
  if (event.key === "ArrowUp") to = nextLine(view, from, -1);
  if (event.key === "ArrowDown") to = nextLine(view, from, 1);
  if (to === undefined || from < 0) return;
  event.preventDefault();
  rove(view.words, Math.min(last, Math.max(0, to)));
}

// The word above or below, by where the lines broke.
function nextLine(view, from, way) {
  const place = (i) => view.words[i].getBoundingClientRect();
  const here = place(from);
  let best = from;
  let least = Infinity;
  for (let i = from + way; i >= 0 && i < view.length; i += way) {
    const there = place(i);
    const down = Math.abs(there.top - here.top);
    const far = down * 1000 + Math.abs(there.left - here.left);
    if (down > here.height / 2 && far < least) [best, least] = [i, far];
    if (down > 3 * here.height) break;
  }
  return best;
}

function rove(buttons, to) {
  for (const button of buttons) button.tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
}

function lock(view, word) {
  view.selection.word = word;
  refresh(view);
  view.live.textContent = word < 0 ? "Freed." : `Locked: ${view.words[word].ariaLabel}`;
  commit(view);
}

// Tell Python: at once, or after the arrow keys have come to rest.
function commit(view, pause = 0) {
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    view.timer = 0;
    view.sent = JSON.stringify(view.selection);
    if (view.sent === view.received) return (view.sent = "");
    view.send({ ...view.selection });
    setTimeout(() => (view.sent = ""), LATE);
  }, pause);
}

// ---- weights ---------------------------------------------------------------------------------

function chosen(view) {
  const { layer, head } = view.selection;
  const all = (count) => [...Array(count).keys()];
  const layers = layer < 0 ? view.data.layers : [layer];
  const heads = head < 0 ? all(view.data.n_heads) : [head];
  const rows = layers.map((each) => view.data.layers.indexOf(each)).filter((row) => row >= 0);
  return rows.flatMap((row) => heads.map((each) => row * view.data.n_heads + each));
}

function weight(view, heads, query, key) {
  if (key > query || !heads.length) return 0;
  const at = (query * (query + 1)) / 2 + key;
  let sum = 0;
  let most = 0;
  for (const head of heads) {
    const value = view.bytes[head * view.size + at];
    sum += value;
    if (value > most) most = value;
  }
  return (view.data.combine === "mean" ? sum / heads.length : most) / 255;
}

// What word `i` looks at, or what looks at it: one weight a word.
function row(view, heads, i) {
  const to = view.data.look === "to";
  const between = (j) => (to ? weight(view, heads, j, i) : weight(view, heads, i, j));
  return view.data.tokens.map((_, j) => between(j));
}

function top(weights, count) {
  const order = weights.map((value, i) => [value, i]).filter(([value]) => value > 0);
  return order.sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, count);
}

function verb(view) {
  return view.data.look === "to" ? "is attended to by" : "attends to";
}

function bare(view, i) {
  return view.words[i].textContent;
}

function headName(view) {
  const { layer, head } = view.selection;
  const how = view.data.combine === "mean" ? "mean" : "largest";
  if (layer >= 0 && head >= 0) return `head ${layer}.${head}`;
  const which = head < 0 ? "all heads" : `head ${head}`;
  return `${how} of ${which}, ${layer < 0 ? "all layers" : `layer ${layer}`}`;
}

// ---- what is shown -----------------------------------------------------------------------------

function show(view, i) {
  if (view.over === i) return;
  view.over = i;
  tint(view);
}

function refresh(view) {
  const heads = chosen(view);
  const before = Math.max(0, view.words.findIndex((word) => word.tabIndex === 0));
  const reach = view.selection.word < 0 ? before : view.selection.word;
  view.words.forEach((word, i) => {
    const best = top(row(view, heads, i), 3);
    const seen = best.map(([value, j]) => `${bare(view, j)} ${value.toFixed(2)}`).join(", ");
    word.ariaLabel = `${bare(view, i)}, ${i + 1} of ${view.length}, ${verb(view)} ${seen}`;
    word.setAttribute("aria-pressed", String(i === view.selection.word));
    word.tabIndex = i === reach ? 0 : -1;
  });
  view.unit.textContent = `${view.data.unit}, ${headName(view)}`;
  markGrid(view);
  tint(view);
}

function tint(view) {
  const shown = view.over >= 0 ? view.over : view.selection.word;
  const weights = shown < 0 ? [] : row(view, chosen(view), shown);
  view.words.forEach((word, j) => {
    const depth = Math.sqrt(weights[j] || 0);
    word.style.setProperty("--depth", `${(100 * depth).toFixed(1)}%`);
    word.classList.toggle("deep", depth > 0.8);
    word.classList.toggle("shown", j === shown);
  });
  tell(view, shown, weights);
}

function tell(view, shown, weights) {
  const { layer, head } = view.selection;
  const one = layer >= 0 && head >= 0;
  view.about.textContent = (one && view.data.notes.words[layer]?.[head]) || "";
  view.table.replaceChildren();
  if (shown < 0) {
    view.title.textContent = "Point at a token, or tap it; a click locks it.";
    return;
  }
  view.title.textContent = `${bare(view, shown)} (${shown}) ${verb(view)}`;
  for (const [value, j] of top(weights, 5)) {
    const line = make("tr");
    line.append(make("td", "", bare(view, j)), make("td", "place", String(j)));
    line.append(make("td", "number", value.toFixed(2)));
    view.table.append(line);
  }
}

// ---- heads -------------------------------------------------------------------------------------

function buildGrid(view) {
  const { n_layers, n_heads } = view.data;
  const box = make("div", "scroll");
  const grid = make("div", "grid");
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", "Heads: layers run down, heads run across. Arrow keys move.");
  grid.style.setProperty("--heads", n_heads);
  grid.classList.toggle("many", n_heads > 8);
  view.watch = new IntersectionObserver((seen) => {
    for (const each of seen) if (each.isIntersecting) paint(view, each.target);
  });
  view.heads = [];
  view.rows = [];
  view.all = headButton(view, "all", "All heads of all layers", -1, -1);
  grid.append(view.all);
  for (let head = 0; head < n_heads; head++) grid.append(make("span", "across", String(head)));
  for (let layer = 0; layer < n_layers; layer++) {
    const all = headButton(view, `layer ${layer}`, `All heads of layer ${layer}`, layer, -1);
    view.rows.push(all);
    grid.append(all);
    for (let head = 0; head < n_heads; head++) grid.append(cell(view, layer, head));
  }
  grid.addEventListener("keydown", (event) => headKey(view, event));
  box.append(grid);
  const heads = make("div", "heads");
  heads.append(box, make("p", "about", view.data.notes.caption));
  return heads;
}

function headButton(view, text, name, layer, head) {
  const button = make("button", "", text);
  button.type = "button";
  button.tabIndex = head < 0 ? 0 : -1;
  button.ariaLabel = name;
  button.addEventListener("click", () => pick(view, layer, head));
  return button;
}

function cell(view, layer, head) {
  const { effect, words, badges } = view.data.notes;
  const value = effect[layer]?.[head];
  const number = value === undefined ? "" : `, ${signed(value)} nats when ablated`;
  const name = `Head ${layer}.${head}${number}. ${words[layer]?.[head] || ""}`;
  const button = headButton(view, "", name, layer, head);
  button.title = name;
  button.classList.add("cell");
  const picture = make("canvas");
  picture.dataset.layer = layer;
  picture.dataset.head = head;
  if (value === undefined) button.append(picture);
  else button.append(colored(value, effect));
  const badge = badges[layer]?.[head] || "";
  if (badges.flat().some(Boolean)) button.append(make("span", "badge", badge));
  view.heads.push(button);
  return button;
}

function signed(value) {
  const digits = Math.abs(value).toFixed(2);
  return digits === "0.00" ? digits : (value < 0 ? "−" : "+") + digits;
}

function colored(value, effect) {
  const most = Math.max(0.01, ...effect.flat().map(Math.abs));
  const block = make("span", value < 0 ? "effect harms" : "effect helps", signed(value));
  block.style.setProperty("--depth", `${(100 * Math.abs(value)) / most}%`);
  block.classList.toggle("deep", Math.abs(value) / most > 0.8);
  return block;
}

function headKey(view, event) {
  const from = focused(view, view.heads);
  const width = view.data.n_heads;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width };
  const step = steps[event.key];
  if (step === undefined || from < 0) return;
  event.preventDefault();
  const to = from + step;
  if (to < 0 || to >= view.heads.length) return;
  rove(view.heads, to);
  pick(view, Math.floor(to / width), to % width, PAUSE);
}

function pick(view, layer, head, pause = 0) {
  Object.assign(view.selection, { layer, head });
  refresh(view);
  view.live.textContent = `${headName(view)}. ${view.about.textContent}`;
  commit(view, pause);
}

function markGrid(view) {
  const { layer, head } = view.selection;
  const width = view.data.n_heads;
  const at = layer >= 0 && head >= 0 ? layer * width + head : -1;
  view.heads.forEach((button, i) => {
    const inLayer = layer < 0 || layer === Math.floor(i / width);
    button.setAttribute("aria-pressed", String(inLayer && (head < 0 || head === i % width)));
    button.tabIndex = i === Math.max(0, at) ? 0 : -1;
  });
  view.rows.forEach((button, i) => {
    button.setAttribute("aria-pressed", String(i === layer && head < 0));
  });
  view.all.setAttribute("aria-pressed", String(layer < 0 && head < 0));
}

// The pictures are drawn when they come into sight, again when the page turns dark.
function paintPictures(view) {
  const probe = make("canvas").getContext("2d", { willReadFrequently: true });
  probe.fillStyle = getComputedStyle(view.root).getPropertyValue("--tint").trim() || "#0072b2";
  probe.fillRect(0, 0, 1, 1);
  view.colour = probe.getImageData(0, 0, 1, 1).data;
  for (const picture of view.root.querySelectorAll("canvas")) {
    picture.dataset.drawn = "";
    view.watch.unobserve(picture);
    view.watch.observe(picture);
  }
}

function paint(view, picture) {
  const row = view.data.layers.indexOf(Number(picture.dataset.layer));
  if (row < 0 || picture.dataset.drawn) return;
  picture.dataset.drawn = "yes";
  const start = (row * view.data.n_heads + Number(picture.dataset.head)) * view.size;
  const side = Math.min(view.length, LARGEST_PICTURE);
  const pixel = view.words.map((_, i) => Math.floor((i * side) / view.length));
  picture.width = picture.height = side;
  const context = picture.getContext("2d");
  const image = context.createImageData(side, side);
  const most = new Uint8Array(side * side);
  for (let query = 0, at = start; query < view.length; query++) {
    for (let key = 0; key <= query; key++, at++) {
      const to = pixel[query] * side + pixel[key];
      if (view.bytes[at] > most[to]) most[to] = view.bytes[at];
    }
  }
  for (let i = 0; i < most.length; i++) {
    image.data.set(view.colour.subarray(0, 3), 4 * i);
    image.data[4 * i + 3] = 255 * Math.sqrt(most[i] / 255);
  }
  context.putImageData(image, 0, 0);
}
