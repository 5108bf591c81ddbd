"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const canvas = $("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  const MOST = 1600;  // pixels of the longer side that are drawn; downloads have all
  let limits = { bytes: 0, pixels: 0 };
  let file = null, answer = null, photo = null, alone = -1, asked = 0;
  const hidden = new Set();
  let view = null;  // what is drawn: width, height, pixels, labels, edges

  // The net's answer -------------------------------------------------------------------------

  async function ask(path, init) {
    let reply;
    try {
      reply = await fetch(path, init);
    } catch {
      throw new Error("The program behind this page does not answer. Is it still running?");
    }
    const value = await reply.json().catch(() => ({ error: `the server says ${reply.status}` }));
    if (!reply.ok) throw new Error(value.error);
    return value;
  }

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function label(chosen) {
    const mine = ++asked;
    file = chosen;
    say("");
    if (limits.bytes && file.size > limits.bytes) {
      return say(`The file is larger than ${Math.round(limits.bytes / 1e6)} MB.`);
    }
    $("busy").hidden = false;
    try {
      const value = await ask(`label?net=${encodeURIComponent($("net").value)}`, {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
      });
      const labels = await inflate(value.labels);
      const image = await picture(value);
      if (mine !== asked) return;  // another image was dropped meanwhile
      answer = { ...value, labels };
      photo = image;
      show();
    } catch (error) {
      if (mine === asked) say(error.message);
    } finally {
      if (mine === asked) $("busy").hidden = true;
    }
  }

  async function picture(value) {
    try {
      const made = await createImageBitmap(file, { imageOrientation: "from-image" });
      if (made.width === value.width && made.height === value.height) return made;
    } catch { /* a kind of file that browsers do not show */ }
    const reply = await fetch(`results/${value.result}/photo.jpg`);
    return createImageBitmap(await reply.blob());
  }

  function say(text) {
    $("error").textContent = text;
    $("error").hidden = !text;
  }

  // The picture ------------------------------------------------------------------------------

  const bright = (r, g, b) => (77 * r + 150 * g + 29 * b) >> 8;

  function drawn(most) {
    const { width, height, labels } = answer;
    const scale = Math.min(1, most / Math.max(width, height));
    const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale));
    const small = new OffscreenCanvas(w, h), pen = small.getContext("2d");
    pen.drawImage(photo, 0, 0, w, h);
    const pixels = pen.getImageData(0, 0, w, h);
    let of = labels;
    if (w !== width || h !== height) {
      of = new Uint8Array(w * h);
      for (let y = 0, i = 0; y < h; y++) {
        const row = Math.min(height - 1, Math.floor((y + 0.5) / scale)) * width;
        for (let x = 0; x < w; x++, i++) {
          of[i] = labels[row + Math.min(width - 1, Math.floor((x + 0.5) / scale))];
        }
      }
    }
    const line = Math.max(1, Math.round(Math.max(w, h) / 800)), edges = new Uint8Array(w * h);
    for (let y = 0, i = 0; y < h; y++) {
      for (let x = 0; x < w; x++, i++) {
        const c = of[i];
        edges[i] = +((x >= line && of[i - line] !== c) || (x + line < w && of[i + line] !== c) ||
          (y >= line && of[i - line * w] !== c) || (y + line < h && of[i + line * w] !== c));
      }
    }
    return { width: w, height: h, pixels, labels: of, edges };
  }

  /** As infer.py draws: tinted in the photo's brightness, outlined in the class's colour. */
  function tinted({ width, height, pixels, labels, edges }) {
    const opacity = Number($("opacity").value) / 100;
    const colours = new Int16Array(256 * 3), shown = new Uint8Array(256), tints = new Int16Array(256 * 3);
    for (const { number, colour } of answer.classes) {
      const [r, g, b] = colour, base = bright(r, g, b);
      colours.set(colour, number * 3);
      tints.set([r - base, g - base, b - base], number * 3);
      const bare = number === answer.background || !(r || g || b);
      shown[number] = +(alone >= 0 ? number === alone : !bare && !hidden.has(number));
    }
    const made = new ImageData(new Uint8ClampedArray(pixels.data), width, height), out = made.data;
    for (let i = 0, j = 0; i < labels.length; i++, j += 4) {
      const c = labels[i];
      if (!shown[c]) {
        if (alone >= 0) for (let k = 0; k < 3; k++) out[j + k] = out[j + k] * 0.35;
        continue;
      }
      if (opacity === 0) continue;
      const base = edges[i] ? 0 : bright(out[j], out[j + 1], out[j + 2]);
      for (let k = 0; k < 3; k++) {
        out[j + k] = edges[i]
          ? colours[c * 3 + k]
          : out[j + k] * (1 - opacity) + opacity * (tints[c * 3 + k] + base);
      }
    }
    return made;
  }

  let due = false;
  function draw() {
    if (due || !view) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      context.putImageData(tinted(view), 0, 0);
      canvas.dataset.drawn = Number(canvas.dataset.drawn || 0) + 1;
    });
  }

  // The panel --------------------------------------------------------------------------------

  const percent = (share) => (share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(1)} %`);
  const css = (colour) => `rgb(${colour.join(" ")})`;

  function show() {
    hidden.clear();
    alone = -1;
    view = drawn(MOST);
    canvas.width = view.width;
    canvas.height = view.height;
    $("drop").hidden = true;
    $("picture").hidden = $("panel").hidden = $("another").hidden = false;
    const named = answer.classes.filter((c) => c.number !== answer.background && c.share >= 0.01);
    $("title").textContent = answer.mostly_background
      ? "Mostly background"
      : named.slice(0, 3).map((c) => c.name).join(", ") || answer.classes[0].name;
    const [w, h] = answer.labelled_at;
    const scaled = w !== answer.width || h !== answer.height ? `, labelled at ${w}×${h}` : "";
    $("about").textContent = (answer.mostly_background
      ? "Nothing here that this net knows, as far as it can tell. " : "")
      + `${answer.width}×${answer.height}${scaled}, ${answer.seconds.toFixed(2)} s on ${answer.device}.`;
    $("classes").replaceChildren(...answer.classes.map(row));
    $("all").textContent = "hide all";
    const name = (file.name || "image").replace(/\.[^.]*$/, "");
    $("label").href = `results/${answer.result}/label.png`;
    $("label").download = `${name}_label.png`;
    $("overlay").dataset.name = `${name}_overlay.png`;
    draw();
  }

  function row(of) {
    const item = document.createElement("li"), box = document.createElement("label");
    const check = document.createElement("input"), swatch = document.createElement("i");
    const text = document.createElement("span"), share = document.createElement("output");
    const bare = of.number === answer.background;
    check.type = "checkbox";
    check.checked = !bare;
    check.disabled = bare;
    swatch.style.background = bare ? "transparent" : css(of.colour);
    text.textContent = of.name;
    share.textContent = percent(of.share);
    box.append(check, swatch, text, share);
    box.dataset.number = of.number;
    check.addEventListener("change", () => {
      if (check.checked) hidden.delete(of.number); else hidden.add(of.number);
      box.classList.toggle("off", !check.checked);
      draw();
    });
    box.addEventListener("pointerenter", () => { alone = of.number; draw(); });
    box.addEventListener("pointerleave", () => { alone = -1; draw(); });
    item.append(box);
    return item;
  }

  $("all").addEventListener("click", () => {
    const boxes = [...$("classes").querySelectorAll("input:not(:disabled)")];
    const on = boxes.some((box) => box.checked);
    for (const box of boxes) {
      box.checked = !on;
      box.dispatchEvent(new Event("change"));
    }
    $("all").textContent = on ? "show all" : "hide all";
  });
  $("opacity").addEventListener("input", () => {
    $("percent").textContent = `${$("opacity").value} %`;
    draw();
  });
  $("overlay").addEventListener("click", async () => {
    alone = -1;
    const whole = drawn(Infinity), made = new OffscreenCanvas(whole.width, whole.height);
    made.getContext("2d").putImageData(tinted(whole), 0, 0);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await made.convertToBlob({ type: "image/png" }));
    link.download = $("overlay").dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  // Pointing ---------------------------------------------------------------------------------

  canvas.addEventListener("pointermove", (event) => {
    const r = canvas.getBoundingClientRect();
    const x = Math.min(answer.width - 1, Math.floor(((event.clientX - r.left) / r.width) * answer.width));
    const y = Math.min(answer.height - 1, Math.floor(((event.clientY - r.top) / r.height) * answer.height));
    if (x < 0 || y < 0) return;
    const number = answer.labels[y * answer.width + x];
    const of = answer.classes.find((c) => c.number === number), tip = $("tip");
    const swatch = document.createElement("i");
    swatch.style.background = css(of.colour);
    tip.replaceChildren(swatch, of.name);
    tip.style.left = `${event.clientX - r.left}px`;
    tip.style.top = `${event.clientY - r.top}px`;
    tip.classList.toggle("left", event.clientX - r.left > r.width * 0.7);
    tip.hidden = false;
    for (const box of $("classes").querySelectorAll("label")) {
      box.classList.toggle("pointed", Number(box.dataset.number) === number);
    }
  });
  canvas.addEventListener("pointerleave", () => {
    $("tip").hidden = true;
    $("classes").querySelectorAll(".pointed").forEach((box) => box.classList.remove("pointed"));
  });

  // Choosing ---------------------------------------------------------------------------------

  const take = (files) => { if (files && files.length) label(files[0]); };
  $("drop").addEventListener("click", () => $("file").click());
  $("another").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { take($("file").files); $("file").value = ""; });
  $("net").addEventListener("change", () => { knows(); if (file) label(file); });
  addEventListener("paste", (event) => take(event.clipboardData.files));
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(event.dataTransfer.files);
  });

  function knows() {
    const { name, knows: names } = limits.nets[$("net").selectedIndex];
    const more = names.length > 24 ? ` and ${names.length - 24} more` : "";
    $("knows").textContent = `${name} knows ${names.slice(0, 24).join(", ")}${more}`;
  }

  ask("nets").then((value) => {
    limits = value;
    $("net").replaceChildren(...value.nets.map(
      (net) => new Option(`${net.name}, ${net.knows.length} classes`, net.name)));
    knows();
    $("limits").textContent =
      `up to ${Math.round(value.bytes / 1e6)} MB and ${Math.round(value.pixels / 1e6)} million pixels`;
  }).catch((error) => say(error.message));
})();
