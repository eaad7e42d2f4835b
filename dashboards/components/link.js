const PATIENCE = 2000;

/** Fills `field` with the address and puts it on the clipboard; says so, or leaves it selected. */
async function copy(field, button, status) {
  field.value = window.location.href;
  field.hidden = false;
  try {
    await navigator.clipboard.writeText(field.value);
    status.textContent = "Copied.";
  } catch {
    field.select();
    status.textContent = "Press Ctrl+C (⌘C) to copy it.";
  }
  button.setAttribute("aria-describedby", status.id);
  setTimeout(() => (status.textContent = ""), PATIENCE);
}

export default function ({ parentElement }) {
  if (parentElement.querySelector(".link")) return;
  const box = document.createElement("div");
  const button = document.createElement("button");
  const field = document.createElement("input");
  const status = document.createElement("span");
  box.className = "link";
  button.type = "button";
  button.textContent = "Copy link";
  button.title = "A link to what you see: model, step, text, seed and choices";
  field.readOnly = true;
  field.hidden = true;
  field.setAttribute("aria-label", "Link to this page");
  status.id = "link-status";
  status.setAttribute("role", "status");
  button.addEventListener("click", () => copy(field, button, status));
  box.append(button, status, field);
  parentElement.append(box);
}
