// The tree of what was tried: a row a piece of text, indented under the piece it goes on from.
const shown = new WeakMap();

function made(kind, name, text = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  return element;
}

function rowOf({ depth, text, odds, path, here, on, label }, go) {
  const row = made("button", `row${here ? " here" : ""}${on ? " on" : ""}`);
  row.type = "button";
  row.style.setProperty("--depth", depth);
  row.append(made("span", "twig"), made("span", "text", text), made("span", "odds", odds));
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", depth + 1);
  row.setAttribute("aria-label", label);
  if (here) row.setAttribute("aria-current", "true");
  row.addEventListener("click", () => go(path));
  return row;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const message = JSON.stringify(data);
  if (shown.get(parentElement) === message) return;
  shown.set(parentElement, message);
  parentElement.querySelector(".tree")?.remove();
  const tree = made("div", "tree");
  tree.setAttribute("role", "tree");
  tree.setAttribute("aria-label", "Branches of the text");
  // A number makes two clicks on one branch two messages.
  let clicks = 0;
  const go = (path) => setTriggerValue("went", `${clicks++} ${path}`);
  tree.append(...data.rows.map((row) => rowOf(row, go)));
  parentElement.append(tree);
}
