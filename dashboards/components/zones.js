// A zone's word stands in it where it has room; its colour is never the only sign.
const NARROW = 0.11;

function partOf({ kind, start, share, words }) {
  const part = document.createElement("div");
  part.className = `part ${kind}`;
  part.style.left = `${100 * start}%`;
  part.style.width = `${100 * share}%`;
  part.title = words;
  part.textContent = share < NARROW ? "" : kind;
  return part;
}

export default function ({ parentElement, data }) {
  const strip = document.createElement("div");
  strip.className = "strip";
  strip.setAttribute("role", "img");
  const message = data.parts.map((part) => part.words).join(", ");
  strip.setAttribute("aria-label", `Doses of ${data.name}: ${message}`);
  strip.append(...data.parts.map(partOf));
  parentElement.querySelector(".strip")?.remove();
  parentElement.append(strip);
}
