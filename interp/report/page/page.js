"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  let told = null, printing = false;

  async function unpack(id) {
    const text = document.getElementById(id).textContent.trim();
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  function recolour(value, colours) {
    if (typeof value === "string") return colours[value.toLowerCase()] ?? value;
    if (Array.isArray(value)) return value.map((item) => recolour(item, colours));
    if (value && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, key === "bdata" ? item : recolour(item, colours)]));
    }
    return value;
  }

  // On a phone: smaller type, colour bars on top, no words in cells too small for them. A figure of
  // several panels, or of many words, keeps its width and is scrolled sideways instead.
  function fit(figure, width) {
    if (!narrow.matches) return figure;
    const { layout, data } = figure;
    const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)).length;
    const written = (trace) => trace.type === "bar" || /text/.test(trace.mode ?? "");
    const words = data.filter(written).reduce((count, trace) => count + (trace.text?.length ?? 0), 0);
    if (axes > 2 || words > 12) return { data, layout: { ...layout, width: 760, autosize: false } };
    layout.font = { ...layout.font, size: 11 };
    layout.margin = { ...layout.margin, l: 44, r: 8 };
    for (const trace of data) {
      if (trace.colorbar) {
        trace.colorbar = {
          ...trace.colorbar, orientation: "h", thickness: 8, len: 1, y: 1.02, yanchor: "bottom",
          ypad: 2, title: { ...trace.colorbar.title, side: "top" },
        };
      }
      if (trace.texttemplate && trace.type === "heatmap" && trace.x?.length * 52 > width) {
        delete trace.texttemplate;
      }
    }
    return figure;
  }

  function prepared(number, width) {
    const copy = structuredClone(told.figures[number]);
    return fit(dark.matches && !printing ? recolour(copy, told.dark) : copy, width);
  }

  async function draw(place) {
    const number = place.id.replace("figure-", "");
    const name = `${place.id}-${place.dataset.name}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    try {
      const { data, layout } = prepared(number, place.clientWidth);
      place.querySelector(".waiting")?.remove();
      place.toggleAttribute("data-wide", layout.autosize === false);
      await Plotly.react(place, data, layout, {
        ...told.config, toImageButtonOptions: { format: "svg", filename: name },
      });
      place.dataset.drawn = "yes";
    } catch (error) {
      fail(place, error);
    }
  }

  function fail(place, error) {
    const message = document.createElement("p");
    message.className = "failed";
    message.textContent = `This figure could not be drawn here (${error.message}). Its numbers are in the table below.`;
    place.replaceChildren(message);
    place.style.minHeight = "0";
  }

  async function drawAll() {
    for (const place of document.querySelectorAll(".plot")) {
      await draw(place);
      await new Promise((next) => setTimeout(next));
    }
  }

  async function start() {
    const places = [...document.querySelectorAll(".plot")];
    if (places.length) {
      try {
        if (typeof DecompressionStream === "undefined") throw new Error("the browser is older than 2023");
        told = JSON.parse(await unpack("figures"));
        const script = document.createElement("script");
        script.textContent = await unpack("plotly");
        document.head.append(script);
        await drawAll();
        dark.addEventListener("change", drawAll);
        narrow.addEventListener("change", drawAll);
      } catch (error) {
        for (const place of places) fail(place, error);
      }
    }
    document.documentElement.dataset.ready = "yes";
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
  if (matchMedia("(max-width: 960px)").matches) document.getElementById("contents").open = false;
  addEventListener("beforeprint", () => { printing = true; if (told && dark.matches) drawAll(); });
  addEventListener("afterprint", () => { printing = false; if (told && dark.matches) drawAll(); });
  start();
})();
