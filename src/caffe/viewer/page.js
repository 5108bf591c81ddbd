"use strict";
(() => {
  const layers = JSON.parse(document.getElementById("layers").textContent);
  const graph = document.getElementById("graph");
  const svg = graph.querySelector("svg");
  const panel = document.querySelector("aside");
  const boxes = [...svg.querySelectorAll(".box")];
  const edges = [...svg.querySelectorAll(".edge")];
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  let view = { x: 0, y: 0, w: width, h: height };

  const show = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const shape = () => {
    const r = graph.getBoundingClientRect();
    return { w: Math.max(1, r.width), h: Math.max(1, r.height) };
  };
  function frame(scale, x, y) {  // scale: pixels of the screen for one of the drawing
    const { w, h } = shape();
    view = { x: x - w / scale / 2, y: y - h / scale / 2, w: w / scale, h: h / scale };
    show();
  }
  function whole() {
    const { w, h } = shape();
    frame(Math.min(1.25, w / width, h / height), width / 2, height / 2);
  }
  function start() {  // the whole net where that can be read, else its beginning
    const { w, h } = shape();
    if (Math.min(w / width, h / height) >= 0.6) return whole();
    const scale = Math.max(0.3, Math.min(1, w / width));
    frame(scale, width / 2, h / scale / 2);
  }
  function zoom(factor, px, py) {
    const { w, h } = shape();
    const least = Math.min(0.5, w / width, h / height) / 2;
    const scale = Math.max(least, Math.min(4, (w / view.w) * factor));
    const at = { x: view.x + (px / w) * view.w, y: view.y + (py / h) * view.h };
    view = { x: at.x - px / scale, y: at.y - py / scale, w: w / scale, h: h / scale };
    show();
  }

  graph.addEventListener("wheel", (event) => {
    event.preventDefault();
    const r = graph.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) {
      zoom(Math.exp(-event.deltaY / 300), event.clientX - r.left, event.clientY - r.top);
    } else {
      view.x += (event.deltaX * view.w) / r.width;
      view.y += (event.deltaY * view.h) / r.height;
      show();
    }
  }, { passive: false });
  let held = null, moved = false;
  graph.addEventListener("pointerdown", (event) => {
    if (event.target.closest("#zoom")) return;
    held = { x: event.clientX, y: event.clientY, view: { ...view } };
    moved = false;
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    const { w, h } = shape(), dx = event.clientX - held.x, dy = event.clientY - held.y;
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    graph.classList.add("moving");
    view.x = held.view.x - (dx * view.w) / w;
    view.y = held.view.y - (dy * view.h) / h;
    show();
  });
  addEventListener("pointerup", () => { held = null; graph.classList.remove("moving"); });
  document.getElementById("in").onclick = () => zoom(1.3, shape().w / 2, shape().h / 2);
  document.getElementById("out").onclick = () => zoom(1 / 1.3, shape().w / 2, shape().h / 2);
  document.getElementById("whole").onclick = whole;
  addEventListener("resize", start);

  function element(name, text, parent) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }
  function choose(box) {
    boxes.forEach((b) => b.classList.toggle("chosen", b === box));
    edges.forEach((e) => e.classList.toggle(
      "near", e.dataset.from === box.dataset.box || e.dataset.to === box.dataset.box));
    panel.replaceChildren();
    for (const layer of layers[Number(box.dataset.box)]) {
      element("h2", layer.name, panel);
      element("p", layer.type, panel);
      const table = element("tbody", undefined, element("table", undefined, panel));
      for (const [key, value] of layer.facts) {
        const row = element("tr", undefined, table);
        element("th", key, row);
        element("td", value, row);
      }
      element("pre", layer.text, panel);
    }
    panel.scrollTop = 0;
  }
  for (const box of boxes) {
    box.addEventListener("click", () => { if (!moved) choose(box); });
    box.addEventListener("focus", () => { if (!held) choose(box); });
  }

  const find = document.getElementById("find");
  function search(go) {
    const wanted = find.value.trim().toLowerCase();
    const found = boxes.filter((box) => wanted && layers[Number(box.dataset.box)].some(
      (l) => l.name.toLowerCase().includes(wanted) || l.type.toLowerCase().includes(wanted)));
    svg.classList.toggle("dim", wanted !== "");
    boxes.forEach((box) => box.classList.toggle("found", found.includes(box)));
    if (go && found.length) {
      const b = found[0].getBBox();
      frame(Math.max(1, shape().w / view.w), b.x + b.width / 2, b.y + b.height / 2);
      choose(found[0]);
    }
  }
  find.addEventListener("input", () => search(false));
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") search(true);
    if (event.key === "Escape") { find.value = ""; search(false); }
  });
  addEventListener("keydown", (event) => {
    if (event.target === find) return;
    if (event.key === "/") { event.preventDefault(); find.focus(); }
    if (event.key === "0") whole();
    if (event.key === "+") zoom(1.3, shape().w / 2, shape().h / 2);
    if (event.key === "-") zoom(1 / 1.3, shape().w / 2, shape().h / 2);
  });
  svg.setAttribute("preserveAspectRatio", "xMidYMid meet");
  start();
})();
