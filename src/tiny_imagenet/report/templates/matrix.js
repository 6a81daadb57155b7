// The confusion matrix: a row an actual class, a column a guess; `view` is the square of classes that is shown.
const canvas = document.getElementById("matrix");
if (canvas) showMatrix(canvas, JSON.parse(document.getElementById("matrix-data").textContent));

function showMatrix(canvas, data) {
  const size = data.names.length;
  const select = document.getElementById("matrix-model");
  const readout = document.getElementById("readout");
  const least = Math.min(size, 5);
  const view = { column: 0, row: 0, span: size };
  const fingers = new Map();
  let counts, totals, chosen = null, frame = null;

  const numbers = (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return data.bytes === 1 ? bytes : new Uint16Array(bytes.buffer);
  };
  const labels = numbers(data.labels);

  function count() {
    counts = new Uint32Array(size * size);
    totals = new Uint32Array(size);
    numbers(data.guesses[select.value]).forEach((guess, place) => {
      counts[labels[place] * size + guess] += 1;
      totals[labels[place]] += 1;
    });
    tell();
    redraw();
  }

  function redraw() {
    frame ??= requestAnimationFrame(() => { frame = null; draw(); });
  }

  // Names stand beside the cells as soon as there is room for them.
  function layout() {
    const side = canvas.clientWidth;
    const named = (side - 110) / view.span >= 11;
    const margin = named ? Math.min(130, side * 0.32) : 22;
    return { side, named, margin, cell: (side - margin) / view.span };
  }

  function draw() {
    const { side, named, margin, cell } = layout();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const scale = devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(side * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, side, side);
    pen.save();
    pen.beginPath();
    pen.rect(margin, margin, side - margin, side - margin);
    pen.clip();
    const gap = cell > 8 ? 1 : 0;
    for (let row = Math.floor(view.row); row < Math.min(size, view.row + view.span); row++) {
      for (let column = Math.floor(view.column); column < Math.min(size, view.column + view.span); column++) {
        const number = counts[row * size + column];
        if (!number) continue;
        const [x, y] = [margin + (column - view.column) * cell, margin + (row - view.row) * cell];
        const share = Math.sqrt(number / totals[row]);
        pen.fillStyle = `rgb(${colour(row === column ? "--green" : "--orange")} / ${0.12 + 0.88 * share})`;
        pen.fillRect(x, y, Math.max(cell - gap, 0.7), Math.max(cell - gap, 0.7));
        if (cell >= 20) {
          pen.fillStyle = colour("--ink");
          pen.font = "11px system-ui, sans-serif";
          pen.textAlign = "center";
          pen.textBaseline = "middle";
          pen.fillText(number, x + cell / 2, y + cell / 2);
        }
      }
    }
    if (chosen) {
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 1.5;
      const reach = Math.max(cell, 5);
      const [x, y] = [chosen.column - view.column, chosen.row - view.row].map((place) => margin + (place + 0.5) * cell);
      pen.strokeRect(x - reach / 2, y - reach / 2, reach, reach);
    }
    pen.restore();
    write(pen, colour, { side, named, margin, cell });
    canvas.dataset.span = view.span.toFixed(2);
  }

  function write(pen, colour, { side, named, margin, cell }) {
    pen.fillStyle = colour("--muted");
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const along = (turned, text, place, align) => {
      pen.save();
      if (turned) pen.translate(place, margin - 5); else pen.translate(margin - 5, place);
      if (turned) pen.rotate(-Math.PI / 2);
      pen.textAlign = align;
      pen.fillText(text, 0, 0, margin - 8);
      pen.restore();
    };
    if (!named) {
      pen.textAlign = "left";
      pen.fillText("taken for →", margin, margin / 2);
      pen.save();
      pen.translate(margin / 2, margin);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "right";
      pen.fillText("← actual class", 0, 0);
      pen.restore();
      return;
    }
    for (let place = 0; place < size; place++) {
      const [x, y] = [view.column, view.row].map((start) => margin + (place - start + 0.5) * cell);
      if (y > margin && y < side) along(false, data.names[place], y, "right");
      if (x > margin && x < side) along(true, data.names[place], x, "left");
    }
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    const { margin, cell } = layout();
    return {
      column: view.column + (event.clientX - box.left - canvas.clientLeft - margin) / cell,
      row: view.row + (event.clientY - box.top - canvas.clientTop - margin) / cell,
    };
  }

  function move(column, row, span) {
    view.span = Math.min(size, Math.max(least, span));
    view.column = Math.min(size - view.span, Math.max(0, column));
    view.row = Math.min(size - view.span, Math.max(0, row));
    canvas.style.touchAction = view.span < size ? "none" : "pan-y";
    redraw();
  }

  // What lies under `point` stays where it is.
  function zoom(factor, point = { column: view.column + view.span / 2, row: view.row + view.span / 2 }) {
    const span = Math.min(size, Math.max(least, view.span / factor));
    const share = span / view.span;
    move(point.column - (point.column - view.column) * share, point.row - (point.row - view.row) * share, span);
  }

  function choose(point) {
    const [row, column] = [Math.floor(point.row), Math.floor(point.column)];
    const inside = Math.min(row, column) >= 0 && Math.max(row, column) < size;
    chosen = inside ? { row, column } : null;
    tell();
    redraw();
  }

  function tell() {
    if (!chosen) {
      readout.textContent = "Point at a cell to read it; drag to move, pinch or double-click to zoom.";
      return;
    }
    const { row, column } = chosen;
    const [actual, guess, number] = [data.names[row], data.names[column], counts[row * size + column]];
    const of = `${number} of ${totals[row]} images of ${actual}`;
    readout.textContent = row === column ? `${of} are recognised.` : `${of} are taken for ${guess}.`;
  }

  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      choose(at(event));
      return;
    }
    const [from, to] = [at(before), at(event)];
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (other) {
      const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      zoom(apart(event) / Math.max(1, apart(before)), at(other));
    } else if (view.span < size) {
      move(view.column + from.column - to.column, view.row + from.row - to.row, view.span);
    }
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      if (end === "pointerup") choose(at(event));
    });
  }
  canvas.addEventListener("dblclick", (event) => zoom(2.5, at(event)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls on
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), at(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = view.span / 8;
    const actions = {
      "+": () => zoom(1.6), "-": () => zoom(1 / 1.6), "0": () => move(0, 0, size),
      ArrowLeft: () => move(view.column - step, view.row, view.span),
      ArrowRight: () => move(view.column + step, view.row, view.span),
      ArrowUp: () => move(view.column, view.row - step, view.span),
      ArrowDown: () => move(view.column, view.row + step, view.span),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  document.getElementById("matrix-in").addEventListener("click", () => zoom(2));
  document.getElementById("matrix-out").addEventListener("click", () => zoom(0.5));
  document.getElementById("matrix-whole").addEventListener("click", () => move(0, 0, size));
  select.addEventListener("change", count);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(canvas);
  count();
  move(0, 0, size);
}
