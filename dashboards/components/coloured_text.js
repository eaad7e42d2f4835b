// Tokens as running text; one of them at a time can be reached by Tab, the others by arrow keys.
const UNKNOWN = 255;
const drawn = new WeakMap();

function made(kind, name, text = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  return element;
}

function paint(element, [light, dark]) {
  element.style.setProperty("--paper", `light-dark(${light[0]}, ${dark[0]})`);
  element.style.setProperty("--ink", `light-dark(${light[1]}, ${dark[1]})`);
}

function legendOf({ ramp, low, high, unit }) {
  const legend = made("div", "legend");
  const bar = made("span", "bar");
  const stops = ramp.light.map(([paper], i) => `light-dark(${paper}, ${ramp.dark[i][0]})`);
  bar.style.background = `linear-gradient(to right, ${stops})`;
  legend.append(made("span", "unit", unit), made("span", "end", low), bar);
  legend.append(made("span", "end", high));
  return legend;
}

function spanOf(token, label, step, { ramp }) {
  const span = made("span", "token", token);
  span.tabIndex = -1;
  span.setAttribute("role", "option");
  span.setAttribute("aria-label", label.replaceAll("\n", ", ").replaceAll("\t", " "));
  if (step !== UNKNOWN) paint(span, [ramp.light[step], ramp.dark[step]]);
  return span;
}

function fill(tip, label) {
  tip.replaceChildren();
  for (const line of label.split("\n")) {
    const row = made("div", "row");
    row.append(...line.split("\t").map((cell) => made("span", "cell", cell)));
    tip.append(row);
  }
}

// Under the token's first line, moved to the left where it would leave the text.
function place(tip, span, box) {
  const at = span.getClientRects()[0];
  const around = box.getBoundingClientRect();
  tip.style.left = "0";
  const left = Math.min(at.left - around.left, around.width - tip.offsetWidth);
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${at.bottom - around.top + 4}px`;
}

function behave(box, spans, labels) {
  const tip = made("div", "tip");
  tip.hidden = true;
  box.append(tip);
  let current = 0;
  const show = (index) => {
    fill(tip, labels[index]);
    tip.hidden = false;
    place(tip, spans[index], box);
  };
  const hide = () => (tip.hidden = true);
  const over = (event) => spans.indexOf(event.target.closest(".token"));
  const reach = (index) => {
    spans[current].tabIndex = -1;
    current = Math.max(0, Math.min(spans.length - 1, index));
    spans[current].tabIndex = 0;
    return spans[current];
  };
  box.addEventListener("pointerover", (event) => over(event) >= 0 && show(over(event)));
  box.addEventListener("pointerleave", hide);
  box.addEventListener("focusin", (event) => {
    const index = over(event);
    if (index >= 0) (reach(index), show(index));
  });
  box.addEventListener("focusout", hide);
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: spans.length };
    if (event.key === "Escape") hide();
    if (!(event.key in moves)) return;
    event.preventDefault();
    reach(moves[event.key]).focus();
  });
  if (spans.length) reach(0);
}

export default function ({ parentElement, data }) {
  const message = JSON.stringify(data);
  if (drawn.get(parentElement) === message) return;
  drawn.set(parentElement, message);
  const steps = Uint8Array.from(atob(data.steps), (letter) => letter.charCodeAt(0));
  const box = made("div", "box");
  const text = made("div", "text");
  text.setAttribute("role", "listbox");
  text.setAttribute("aria-orientation", "horizontal");
  text.setAttribute("aria-label", `${data.name}, coloured by ${data.legend.unit}`);
  const spans = data.tokens.map((t, i) => spanOf(t, data.labels[i], steps[i], data.legend));
  text.append(...spans);
  box.append(text);
  behave(box, spans, data.labels);
  parentElement.querySelector(".whole")?.remove();
  const whole = made("div", "whole");
  if (data.legend.show) whole.append(legendOf(data.legend));
  whole.append(box);
  if (data.note) whole.append(made("div", "note", data.note));
  parentElement.append(whole);
}
