// Notes every change of what a reader sees, also inside components, and when the script runs.
(() => {
  const QUIET = 600;
  const changes = [];
  let began = 0;
  let acted = null;
  let ran = false;
  let ended = 0;

  const keyOf = (node) => {
    for (let at = node; at; at = at instanceof ShadowRoot ? at.host : at.parentNode) {
      for (const name of at.classList ?? []) {
        if (name.startsWith("st-key-")) return name.slice("st-key-".length);
      }
    }
    return "";
  };

  const PARTS = ["stMain", "stSidebar"]; // not the tab's title or the sign that a script runs
  const isSeen = (node) => {
    for (let at = node; at; at = at instanceof ShadowRoot ? at.host : at.parentNode) {
      if (PARTS.includes(at.dataset?.testid)) return true;
    }
    return false;
  };

  const state = () => document.querySelector(".stApp")?.dataset.testScriptState;

  const observer = new MutationObserver((records) => {
    const now = performance.now();
    if (state() === "running") ran = true;
    else if (ran) ended ||= now;
    for (const { type, target } of records) {
      if (type !== "attributes" && isSeen(target)) changes.push([now, keyOf(target)]);
    }
  });
  const watch = (root) =>
    observer.observe(root, {
      childList: true,
      characterData: true,
      subtree: true,
      attributeFilter: ["data-test-script-state"],
    });

  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options);
    watch(root);
    return root;
  };
  watch(document);
  for (const kind of ["keydown", "click"]) {
    window.addEventListener(kind, () => (acted = performance.now()), true);
  }

  window.watched = {
    begin() {
      changes.length = 0;
      began = performance.now();
      acted = null;
      ran = false;
      ended = 0;
    },
    atRest() {
      const last = changes.length ? changes[changes.length - 1][0] : began;
      const waited = performance.now() - Math.max(last, acted ?? began);
      return state() === "notRunning" && waited > QUIET && (ran || waited > 4 * QUIET);
    },
    /**
     * Seconds from the last thing done to the last change, of the parts with these keys if any.
     * A change of colours alone is not seen: then it is the end of the script that counts.
     */
    seconds(keys) {
      const own = changes.filter(([, key]) => !keys.length || keys.includes(key));
      const last = own.length ? own[own.length - 1][0] : ended;
      return Math.max(0, last - acted) / 1000;
    },
  };
})();
