// Drawing with plotly.js: all anew, or only what moved.

/** An array from the form in which it travels (`packed` in scene.py); plotly replaces the text by its bytes. */
export function decoded({ dtype, bdata, shape }) {
  const bytes = new Uint8Array(bdata.length ? Uint8Array.from(atob(bdata), (c) => c.charCodeAt(0)) : bdata);
  const values = dtype === "u1" ? bytes : new Float32Array(bytes.buffer);
  const [rows, columns] = String(shape).split(",").map(Number);
  if (!columns) return values;
  return Array.from({ length: rows }, (_, i) => values.subarray(i * columns, (i + 1) * columns));
}

/** Moves marks and images to where a frame wants them, when all else stays: more than half of Plotly.react's time
 * goes into laying out anew what has not changed. These are the steps that react ends with. They are plotly's
 * own and not promised to stay (pyproject.toml caps plotly where they were tested), so whatever looks unfamiliar is
 * left to react: then false, and nothing is done.
 * @param {HTMLElement} plot @param {Object[]} data @param {Object<number, Object>} changes by a trace's place
 * @returns {boolean} */
export function moved(plot, data, changes) {
  const { _fullData: full, _fullLayout: layout, calcdata } = plot, fresh = [];
  for (const i in changes) {
    const trace = full?.[i], moves = {};
    const axes = [trace?.xaxis, trace?.yaxis].map((id) => layout[id?.replace(/^[xy]/, "$&axis")]);
    for (const [key, value] of Object.entries(changes[i])) moves[key] = value?.bdata ? decoded(value) : value;
    const known = ["scatter", "bar", "heatmap", "contour"].includes(trace?.type) && trace.visible === true && trace._module?.calc;
    const simple = Object.entries(moves).every(([key, value]) => "xyz".includes(key) && value?.length);
    const empty = moves.z?.every((row) => row.every(Number.isNaN));
    if (!known || !simple || empty || axes.some((axis) => axis?.autorange !== false)) return false;
    const [x, y] = [moves.x ?? trace.x, moves.y ?? trace.y];
    if (y && !moves.z) moves._length = Math.min(x?.length ?? Infinity, y.length);
    fresh.push([i, trace, moves]);
  }
  const { _basePlotModules: systems, _modules: modules, _plots: panels } = layout;
  if (!calcdata || !systems || !modules || !panels) return false;
  plot.data = data;
  for (const [i, trace, moves] of fresh) {
    calcdata[i] = trace._module.calc(plot, Object.assign(trace, moves));
    calcdata[i][0].t ??= {};
    calcdata[i][0].trace = trace;
  }
  for (const module of modules) for (const n in panels) module.crossTraceCalc?.(plot, panels[n]);
  for (const system of systems) system.plot(plot);
  for (const module of modules) module.style?.(plot);
  return true;
}

/** plotly.js, which the first explorer on the page asks the kernel for and all of them share. */
export function loadPlotly(model) {
  const page = (globalThis.diffusionLab ??= { asked: -Infinity });
  page.plotly ??= new Promise((resolve) => (page.arrived = resolve));
  if (performance.now() - page.asked > 5000) {  // ask again later: the kernel that was asked may be gone
    page.asked = performance.now();
    model.on("msg:custom", async (content, [zipped]) => {
      const script = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
      const headers = { "Content-Type": "text/javascript" };
      const url = URL.createObjectURL(await new Response(script, { headers }).blob());
      await import(url);
      URL.revokeObjectURL(url);
      page.asked = Infinity;
      page.arrived(globalThis.Plotly);
    });
    model.send("plotly");
  }
  return page.plotly;
}

/** What plotly must know of the page around it: its colours and its font. */
export function templateFrom({ color, fontFamily }) {
  const axis = { gridcolor: "#80808040", zerolinecolor: "#80808080", linecolor: "#80808080" };
  const clear = "rgba(0,0,0,0)";
  return { layout: { font: { color, family: fontFamily, size: 13 }, paper_bgcolor: clear, plot_bgcolor: clear,
    margin: { l: 56, r: 16, t: 24, b: 44 }, uirevision: "kept", xaxis: axis, yaxis: axis } };
}
