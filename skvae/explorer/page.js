(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);

  // Names come from the user: they enter the page as text, never as markup.
  function make(tag, parent, properties = {}, attributes = {}) {
    const element = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (parent) parent.append(element);
    return element;
  }

  const isGrid = page.decoder.kind === "grid";
  const decode = decoderOf(page.decoder);

  // --------------------------------------------------------------- rows
  const k = page.latents.length, { n, low, high } = page.rows, shape = page.image;
  const d = page.decoder.kind === "grid" ? page.features.length : decode(page.start).length;
  const Z = floats(page.rows.Z), numbers = new Uint32Array(bytes(page.rows.numbers).buffer);
  const X = shape ? bytes(page.rows.X) : floats(page.rows.X);
  const target = page.target;
  const values = target && (target.kind === "class" ? bytes(target.values) : floats(target.values));
  const moved = isGrid ? page.decoder.moved : [...Array(k).keys()];
  const point = Float64Array.from(page.start);
  let across = 0, up = k > 1 ? 1 : -1, chosen = -1, nearest = [];

  function findNearest(count) {
    const best = [];
    for (let i = 0; i < n; i++) {
      let distance = 0;
      for (let j = 0; j < k; j++) distance += (Z[i * k + j] - point[j]) ** 2;
      if (best.length < count || distance < best[best.length - 1][1]) {
        best.push([i, distance]);
        best.sort((a, b) => a[1] - b[1]);
        best.length = Math.min(best.length, count);
      }
    }
    return best.map(([i]) => i);
  }
  const written = (x) => {
    if (!Number.isFinite(x)) return "–";
    const size = Math.abs(x);
    const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? x.toExponential(2)
      : x.toFixed(Math.max(0, Math.min(6, 3 - Math.floor(Math.log10(size || 1)))));
    return text.replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  };
  // Places on a latent need three digits of its range.
  const placed = (i) => {
    const digits = Math.max(0, Math.min(9, 2 - Math.floor(Math.log10((page.high[i] - page.low[i]) / 3))));
    return point[i].toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  };
  const targetOf = (i) => !target ? "" : target.kind === "class"
    ? target.names[values[i]] : `${target.name} ${written(values[i])}`;

  // ------------------------------------------------------------ colours
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58",
    "b5de2b", "fde725"].map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  function viridis(share) {
    const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
    const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
    return `rgb(${VIRIDIS[i].map((v, c) => Math.round(v + (at - i) * (VIRIDIS[i + 1][c] - v)))})`;
  }
  const classColour = (c) => target.colours[dark.matches ? "dark" : "light"][c % 10];
  function colourOf(i) {
    if (!target) return style("--point");
    if (target.kind === "class") return classColour(values[i]);
    if (!Number.isFinite(values[i])) return style("--quiet");
    return viridis((values[i] - target.low) / (target.high - target.low || 1));
  }

  // -------------------------------------------------------------- plane
  const plane = byId("plane"), pad = 22;
  let cloud = null;
  const placeX = (v, w) => pad + (w - 2 * pad) * (v - page.low[across]) / (page.high[across] - page.low[across]);
  function placeY(v, h, i) {
    if (up < 0) return i === undefined ? h / 2 : h * (0.2 + 0.6 * ((i * 0.61803) % 1));
    return h - pad - (h - 2 * pad) * (v - page.low[up]) / (page.high[up] - page.low[up]);
  }
  function sized(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }
  function drawCloud(w, h) {
    cloud = document.createElement("canvas");
    const pen = sized(cloud, w, h), radius = n > 600 ? 2.6 : 3.8;
    const order = [...Array(n).keys()];
    if (chosen >= 0) order.sort((a, b) => (values[a] === chosen) - (values[b] === chosen));
    for (const i of order) {
      pen.globalAlpha = chosen >= 0 && values[i] !== chosen ? 0.12 : 0.85;
      pen.fillStyle = colourOf(i);
      pen.beginPath();
      pen.arc(placeX(Z[i * k + across], w), placeY(up < 0 ? 0 : Z[i * k + up], h, i), radius, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.fillStyle = style("--quiet");
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText(`${page.latents[across]} →`, w / 2, h - 6, w - 60);
    if (up >= 0) {
      pen.save();
      pen.translate(13, h / 2);
      pen.rotate(-Math.PI / 2);
      pen.fillText(`${page.latents[up]} →`, 0, 0, h - 60);
      pen.restore();
    }
  }
  function drawPlane() {
    const w = plane.clientWidth, h = plane.clientHeight, pen = sized(plane, w, h);
    if (!w) return;
    if (!cloud) drawCloud(w, h);
    pen.drawImage(cloud, 0, 0, w, h);
    const x = placeX(point[across], w), y = placeY(up < 0 ? 0 : point[up], h);
    pen.strokeStyle = style("--line");
    pen.beginPath();
    pen.moveTo(x, 0); pen.lineTo(x, h);
    if (up >= 0) { pen.moveTo(0, y); pen.lineTo(w, y); }
    pen.stroke();
    pen.strokeStyle = style("--ink");
    for (const i of nearest) {
      pen.beginPath();
      pen.arc(placeX(Z[i * k + across], w), placeY(up < 0 ? 0 : Z[i * k + up], h, i), 6, 0, 7);
      pen.stroke();
    }
    pen.fillStyle = style("--mark");
    pen.strokeStyle = style("--page");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 8, 0, 7);
    pen.fill(); pen.stroke();
  }

  // ------------------------------------------------------------- result
  function paint(canvas, shareOf) {
    const [h, w, c = 1] = shape;
    canvas.width = w; canvas.height = h;
    const pen = canvas.getContext("2d"), image = pen.createImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      for (let j = 0; j < 3; j++) {
        const share = c === 3 ? shareOf(3 * i + j) : 1 - shareOf(i); // one channel is ink
        image.data[4 * i + j] = 255 * Math.min(Math.max(share, 0), 1);
      }
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }
  const count = shape ? 5 : 3, cells = [], slots = [];
  const holder = byId("decoded");
  let picture = null;
  function buildResult() {
    holder.classList.toggle("image", Boolean(shape));
    if (shape) {
      picture = make("canvas", holder, { id: "picture" }, { role: "img" });
      make("h3", holder, { textContent: "Nearest rows" });
      const list = make("ul", holder, { id: "near" });
      for (let s = 0; s < Math.min(count, n); s++) {
        const button = make("button", make("li", list), { type: "button" });
        slots.push({ button, canvas: make("canvas", button), text: make("span", button) });
      }
    } else {
      const scroll = make("div", holder, { className: "scroll", tabIndex: 0 },
        { role: "region", "aria-label": "Decoded row and nearest rows" });
      const table = make("table", scroll), head = make("tr", make("thead", table));
      make("th", head, { textContent: "feature", scope: "col" });
      make("th", head, { textContent: "decoded", scope: "col" });
      for (let s = 0; s < Math.min(count, n); s++) {
        const cell = make("th", head, { scope: "col", className: s === 2 ? "third" : "" });
        const button = make("button", cell, { type: "button" });
        slots.push({ button, text: button });
      }
      const body = make("tbody", table);
      page.features.forEach((name) => {
        const row = make("tr", body);
        make("th", row, { textContent: name, scope: "row", title: name });
        const now = make("td", row, { className: "now" });
        const text = make("span", now);
        const bar = make("span", make("div", now, { className: "bar" }, { "aria-hidden": "true" }));
        const near = slots.map((_, s) => make("td", row, { className: s === 2 ? "third" : "" }));
        cells.push({ text, bar, near });
      });
    }
    slots.forEach((slot, s) => slot.button.addEventListener("click", () => goToRow(nearest[s])));
  }
  function showResult() {
    const x = decode(point), names = nearest.map((i) => `row ${numbers[i]}`);
    if (shape) {
      paint(picture, (i) => (x[i] - low) / (high - low || 1));
      picture.setAttribute("aria-label", `Decoded image, nearest to ${names[0]} ${targetOf(nearest[0])}`);
    }
    slots.forEach(({ button, canvas, text }, s) => {
      const i = nearest[s], what = targetOf(i);
      const brief = target && target.kind === "value" ? written(values[i]) : what;
      const both = canvas ? `${brief} · ${numbers[i]}` : `${brief}\n${names[s]}`;
      text.textContent = brief ? both : names[s];
      button.setAttribute("aria-label", `Go to ${names[s]} ${what}`);
      if (canvas) paint(canvas, (j) => X[i * d + j] / 255);
    });
    cells.forEach(({ text, bar, near }, j) => {
      text.textContent = written(x[j]);
      const share = (x[j] - low[j]) / (high[j] - low[j] || 1);
      bar.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
      near.forEach((cell, s) => { cell.textContent = written(X[nearest[s] * d + j]); });
    });
  }

  // ------------------------------------------------------- where we are
  const sliders = [];
  let waiting = false, spoken = 0;
  function show() {
    waiting = false;
    nearest = findNearest(Math.min(count, n));
    drawPlane();
    showResult();
    sliders.forEach(({ input, output, latent }) => {
      input.value = point[latent];
      input.setAttribute("aria-valuetext", placed(latent));
      output.textContent = placed(latent);
    });
    const here = (i) => `${page.latents[i].split(" (")[0]}: ${placed(i)}`;
    const text = [across, up].filter((i) => i >= 0).map(here).join(", ");
    plane.setAttribute("aria-valuenow", point[across]);
    plane.setAttribute("aria-valuemin", page.low[across]);
    plane.setAttribute("aria-valuemax", page.high[across]);
    plane.setAttribute("aria-valuetext", text);
    clearTimeout(spoken); // what is read out waits until the hand rests
    const near = `nearest row ${numbers[nearest[0]]} ${targetOf(nearest[0])}`;
    spoken = setTimeout(() => { byId("place").textContent = `${text}; ${near}`; }, 300);
  }
  function soon() {
    if (!waiting) { waiting = true; requestAnimationFrame(show); }
  }
  function set(latent, value) {
    if (!moved.includes(latent)) return;
    point[latent] = Math.min(Math.max(value, page.low[latent]), page.high[latent]);
    soon();
  }
  function goToRow(i) {
    for (let j = 0; j < k; j++) set(j, Z[i * k + j]);
  }

  // ----------------------------------------------------------- controls
  function follow(event) {
    const box = plane.getBoundingClientRect(), w = box.width - 2, h = box.height - 2;
    const share = (event.clientX - box.left - 1 - pad) / (w - 2 * pad);
    set(across, page.low[across] + share * (page.high[across] - page.low[across]));
    if (up < 0) return;
    const rise = (h - pad - (event.clientY - box.top - 1)) / (h - 2 * pad);
    set(up, page.low[up] + rise * (page.high[up] - page.low[up]));
  }
  plane.addEventListener("pointerdown", (event) => {
    plane.setPointerCapture(event.pointerId);
    plane.focus({ preventScroll: true });
    event.preventDefault();
    follow(event);
  });
  plane.addEventListener("pointermove", (event) => { if (event.buttons & 1) follow(event); });
  plane.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const move = (latent, sign) => latent >= 0
      && set(latent, point[latent] + sign * step * (page.high[latent] - page.low[latent]));
    const keys = {
      ArrowLeft: () => move(across, -1), ArrowRight: () => move(across, 1),
      ArrowDown: () => move(up < 0 ? across : up, -1), ArrowUp: () => move(up < 0 ? across : up, 1),
      Enter: () => goToRow(nearest[0]), Home: () => page.start.forEach((v, i) => set(i, v)),
    };
    if (event.altKey || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  function buildControls() {
    if (k > 2 && !isGrid) {
      [["across", () => across, (v) => { across = v; }], ["up", () => up, (v) => { up = v; }]]
        .forEach(([name, get, change], side, both) => {
          const label = make("label", byId("axes"), { textContent: `${name} ` });
          const select = make("select", label);
          page.latents.forEach((text, i) => make("option", select, { value: i, textContent: text }));
          select.value = get();
          select.addEventListener("change", () => {
            const before = get(), other = both[1 - side];
            change(Number(select.value));
            if (other[1]() === get()) other[2](before); // they change places
            byId("axes").querySelectorAll("select").forEach((s, i) => { s.value = both[i][1](); });
            cloud = null;
            soon();
          });
        });
    }
    moved.forEach((latent) => {
      const line = make("div", byId("sliders"), { className: "slider" }), id = `latent-${latent}`;
      const text = page.latents[latent];
      make("label", line, { textContent: text.replace(" of variance", ""), htmlFor: id, title: text });
      const low = page.low[latent], high = page.high[latent];
      const input = make("input", line, { type: "range", id, min: low, max: high, step: (high - low) / 200 });
      const output = make("output", line, {}, { for: id });
      input.addEventListener("input", () => set(latent, Number(input.value)));
      sliders.push({ input, output, latent });
    });
    plane.classList.toggle("flat", up < 0);
  }
  function buildLegend() {
    const legend = byId("legend");
    legend.replaceChildren();
    legend.hidden = !target;
    if (!target) return;
    if (target.name) make("b", legend, { textContent: target.name });
    if (target.kind === "value") {
      make("span", legend, { textContent: written(target.low) });
      const bar = make("canvas", legend, { width: 150, height: 12 }, { role: "img", "aria-label": "from low to high" });
      for (let i = 0, pen = bar.getContext("2d"); i < 150; i++) {
        pen.fillStyle = viridis(i / 149);
        pen.fillRect(i, 0, 1, 12);
      }
      make("span", legend, { textContent: written(target.high) });
      return;
    }
    target.names.forEach((name, c) => {
      const button = make("button", legend, { type: "button" }, { "aria-pressed": chosen === c });
      make("i", button).style.background = classColour(c);
      make("span", button, { textContent: name });
      button.addEventListener("click", () => {
        chosen = chosen === c ? -1 : c;
        legend.querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-pressed", chosen === i));
        cloud = null;
        soon();
      });
    });
  }

  const some = (shown, all, what) => shown < all ? `${shown} of ${all} ${what}` : `${all} ${what}`;
  const how = isGrid ? "Decoded between the nodes of a grid" + (k > 2 ? "; further latents are held." : ".")
    : "Decoded here by the fitted weights.";
  byId("about").textContent = `${some(n, page.n_samples, "rows")}, `
    + `${some(page.features.length, page.n_features, "features")}, ${k} latent${k > 1 ? "s" : ""}. ${how}`;
  buildControls();
  buildLegend();
  buildResult();
  dark.addEventListener("change", () => { cloud = null; buildLegend(); soon(); });
  new ResizeObserver(() => { cloud = null; soon(); }).observe(plane);
  show();
  window.latentExplorer = { decode: (z) => Array.from(decode(z)), get point() { return Array.from(point); } };
})();
