// Draws an Explorer (core.py) and slides through its frames; the kernel is asked for new scenes only.
// It serves two hosts: anywidget calls `render` in JupyterLab; alone.js does on pages without a kernel.

const CSS = `
.diffusion-lab-explorer {
  --edge: var(--jp-border-color1, color-mix(in srgb, CanvasText 25%, Canvas));
  --quiet: var(--jp-ui-font-color2, color-mix(in srgb, CanvasText 70%, Canvas));
  color: var(--jp-ui-font-color1, CanvasText); font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: 14px; line-height: 1.4; max-width: 900px; padding: 4px 8px; font-variant-numeric: tabular-nums;
  accent-color: light-dark(#0072B2, #56B4E9);
  .head { display: flex; align-items: baseline; gap: 12px; font-size: 16px; font-weight: 600; }
  .working { font-size: 13px; font-weight: 400; color: var(--quiet); visibility: hidden; }
  &[aria-busy=true] .working { animation: diffusion-lab-appear 0s .15s forwards; }
  .controls { display: flex; flex-wrap: wrap; gap: 6px 24px; margin: 8px 0; }
  .control, .control label { display: flex; align-items: center; gap: 8px; }
  .control.main { margin: 8px 0; padding-top: 8px; border-top: 1px solid var(--edge); }
  .control.main label { flex: 1; font-weight: 600; }
  input[type=range] { width: 130px; margin: 0; }
  .main input[type=range] { flex: 1; min-width: 80px; }
  input[type=number] { width: 5.2em; } input, select, button { font: inherit; }
  input[type=number], select, button { padding: 1px 6px; border: 1px solid var(--edge); border-radius: 4px; }
  button { min-width: 2.4em; cursor: pointer; }
  :focus-visible { outline: 2px solid #56B4E9; outline-offset: 2px; }
  .wide { overflow: auto hidden; } .plot { min-width: 640px; }  /* on a narrow page the figure scrolls */
  &.stale :is(.plot, .numbers) { opacity: .4; }
  .numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 2px 20px; }
  .numbers { margin: 4px 0; color: var(--quiet); b { color: var(--jp-ui-font-color1, CanvasText); } }
  p { margin: 4px 0; } .sentence { min-height: 1.4em; } p.note:empty { display: none; }
  .warning, .error { padding: 4px 10px; border-left: 4px solid #E69F00; background: #E69F0022; }
  .error { border-color: #D55E00; background: #D55E0022; white-space: pre-wrap; }
  :is(.warning, .error):empty { margin: 0; padding: 0; border: 0; }
  .note, summary { color: var(--quiet); font-size: 13px; } summary { cursor: pointer; }
  .controls:has(.pad) { display: flow-root; .control { margin-bottom: 6px; min-width: 300px; } }
  .control:has(.pad) { float: left; flex-wrap: wrap; align-items: start; width: 460px; max-width: 100%; margin-right: 16px; }
  .pad { width: 176px; border: 1px solid var(--edge); touch-action: none; cursor: crosshair; user-select: none;
    path { stroke: var(--edge); stroke-width: .015; }
    text { fill: var(--quiet); font-size: .15px; text-anchor: middle; }
    svg { display: block; pointer-events: none; } circle { fill: #D55E00; } .cursor { fill: none; stroke: currentColor; stroke-width: .02; }
    &:not(:focus) .cursor { visibility: hidden; } .held { stroke-width: .05; } }
  .pad[aria-disabled=true] { cursor: not-allowed; } .pad + div { flex: 1; min-width: 180px; }
  .row { display: flex; flex-wrap: wrap; gap: 4px; margin: 4px 0; }
  pre { margin: 4px 0; padding: 8px 10px; overflow: auto; background: #80808018; font-size: 13px; }
}
@keyframes diffusion-lab-appear { to { visibility: visible; } }`;

/** An element. What is no property of it becomes an attribute. */
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const key in props) key in node ? (node[key] = props[key]) : node.setAttribute(key, props[key]);
  node.append(...children);
  return node;
}

/** `base` with `patch` over it, level by level; neither is changed. Arrays are replaced whole. */
function patched(base, patch) {
  if (base?.constructor !== Object || patch?.constructor !== Object || "bdata" in patch) return patch;
  const result = { ...base };
  for (const key in patch) result[key] = patched(base[key], patch[key]);
  return result;
}

/** A scene's field holds one value for all frames, or a list with one per frame. */
const at = (field, k) => (Array.isArray(field) ? field[k] : field);

function nearest(positions, value) {
  let best = 0;
  positions.forEach((p, k) => { if (Math.abs(p - value) < Math.abs(positions[best] - value)) best = k; });
  return best;
}

/** Two values of a control, or of several: lists of points are the same if their numbers are. */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** An array from the form in which it travels (`packed` in core.py); plotly replaces the text by its bytes. */
function decoded({ dtype, bdata, shape }) {
  const bytes = new Uint8Array(bdata.length ? Uint8Array.from(atob(bdata), (c) => c.charCodeAt(0)) : bdata);
  const values = dtype === "u1" ? bytes : new Float32Array(bytes.buffer);
  const [rows, columns] = String(shape).split(",").map(Number);
  if (!columns) return values;
  return Array.from({ length: rows }, (_, i) => values.subarray(i * columns, (i + 1) * columns));
}

/** Moves marks and images to where a frame wants them, when all else stays: more than half of Plotly.react's time
 * goes into laying out anew what has not changed. These are the steps that react ends with. They are plotly's
 * own and not promised to stay, so whatever looks unfamiliar is left to react: then false, and nothing is done. */
function moved(plot, data, traces) {
  const { _fullData: full, _fullLayout: layout, calcdata } = plot, fresh = [];
  for (const i in traces) {
    const trace = full?.[i], moves = {};
    const axes = [trace?.xaxis, trace?.yaxis].map((id) => layout[id?.replace(/^[xy]/, "$&axis")]);
    for (const [key, value] of Object.entries(traces[i])) moves[key] = value?.bdata ? decoded(value) : value;
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
function loadPlotly(model) {
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

function render({ model, el }) {
  const spec = model.get("_spec"), main = spec.controls.find((c) => c.main);
  const undo = [];  // what to take back when this view goes
  const on = (events, f) => events.forEach((e) => { model.on(e, f); undo.push(() => model.off(e, f)); });
  const set = (c, value) => { model.set(c.name, value); model.save_changes(); };
  const dead = (c) => Boolean(spec.live && !spec.live.includes(c.name));
  let scene, k = 0, template, Plotly, wanted = false, drawing = false, player, patience, gone = false;

  // --- the controls
  function control(c) {
    const disabled = dead(c), value = () => model.get(c.name);
    const common = { disabled, title: disabled ? "live in JupyterLab" : "" };
    const box = h("div", { className: "control", "data-control": c.name });
    let show;
    if (c.kind === "slider") {
      const slider = h("input", { type: "range", min: c.low, max: c.high, step: c.step, ...common });
      const number = h("input", { type: "number", min: c.low, max: c.high, step: c.step, ...common,
                                  ariaLabel: `${c.label}, as a number` });
      slider.oninput = () => set(c, slider.valueAsNumber);
      number.onchange = () => {
        const typed = Math.min(c.high, Math.max(c.low, number.valueAsNumber));
        Number.isNaN(typed) ? show() : set(c, Number.isInteger(c.step) ? Math.round(typed) : typed);
        show();
      };
      show = () => { slider.value = number.value = value(); };
      box.append(h("label", {}, c.label, slider), number);
    } else if (c.kind === "points") {
      show = pad(c, box, value, (points) => set(c, points), Boolean(spec.live), disabled);
    } else {
      const choice = c.kind === "choice";
      const input = choice ? h("select", common, ...c.values.map((v) => h("option", {}, v)))
                           : h("input", { type: "checkbox", ...common });
      input.onchange = () => set(c, choice ? input.value : input.checked);
      show = () => { choice ? (input.value = value()) : (input.checked = value()); };
      box.append(h("label", {}, c.label, input));
    }
    on([`change:${c.name}`], show);
    show();
    return box;
  }

  // --- the main slider: it runs over the scene's frames
  const slider = h("input", { type: "range", min: 0 }), number = h("input", { type: "number", step: "any" });
  const go = (frame) => set(main, scene.positions[Math.min(Math.max(frame, 0), scene.positions.length - 1)]);
  const button = (sign, title, onclick) =>
    h("button", { type: "button", ariaLabel: title, title, onclick }, sign);
  const playing = button("▶", "play", () => (player ? pause() : play()));
  function pause() {
    player = clearInterval(player);
    playing.textContent = "▶"; playing.ariaLabel = playing.title = "play";
    readout.ariaLive = "polite";
  }
  function play() {  // about eight seconds from end to end; for eyes that want no motion, ten pictures
    const count = scene.positions.length, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const stride = Math.ceil(count / (calm ? 10 : 160));
    if (k === count - 1) go(0);
    player = setInterval(() => (k < scene.positions.length - 1 ? go(k + stride) : pause()),
                         calm ? 1500 : Math.min(400, Math.max(50, 8000 / count)));
    playing.textContent = "❚❚"; playing.ariaLabel = playing.title = "pause";
    readout.ariaLive = "off";
  }
  slider.oninput = () => go(slider.valueAsNumber);
  number.onchange = () => { if (number.value) go(nearest(scene.positions, number.valueAsNumber)); show(); };

  // --- the page
  const part = (tag, role, props) => h(tag, { className: role, "data-role": role, ...props });
  const working = h("span", { className: "working", role: "status" }, "working…");
  const error = part("p", "error", { role: "alert" }), plot = part("div", "plot", { role: "img" });
  const numbers = part("div", "numbers"), sentence = part("p", "sentence"), warning = part("p", "warning");
  const code = part("pre", "code"), note = part("p", "note");
  const readout = h("div", { ariaLive: "polite", ariaAtomic: "true" }, numbers, sentence, warning);
  const others = spec.controls.filter((c) => !c.main);
  const asleep = others.filter(dead).map((c) => c.label).join(", ");
  note.textContent = asleep && `Live in JupyterLab: ${asleep}.`;
  const level = el.closest("[data-heading]")?.dataset.heading ?? 3;  // of a page of its own: 1
  const root = h("section", { className: "diffusion-lab-explorer", ariaLabel: spec.title },
    h("style", {}, CSS),
    h("div", { className: "head" }, h("span", { role: "heading", "aria-level": level }, spec.title),
      working),
    h("div", { className: "controls" }, ...others.map(control)), note, error);
  if (main) {
    number.ariaLabel = `${main.label}, as a number`;
    root.append(h("div", { className: "control main", "data-control": main.name },
      h("label", {}, main.label, slider), number, button("‹", "step back", () => go(k - 1)), playing,
      button("›", "step forward", () => go(k + 1))));
  }
  root.append(h("div", { className: "wide" }, plot), readout, h("details", {}, h("summary", {}, "show the code"), code));
  root.onkeydown = (e) => e.ctrlKey || e.metaKey || e.stopPropagation();  // JupyterLab takes arrow keys
  el.append(root);

  // --- showing
  function show() {  // the present frame: words at once, the picture as soon as the one before it is done
    if (!scene) return;
    if (main) {
      k = nearest(scene.positions, model.get(main.name));
      slider.max = scene.positions.length - 1; slider.value = k; number.value = scene.positions[k];
      slider.setAttribute("aria-valuetext", `${main.label} = ${scene.positions[k]}`);
    }
    numbers.replaceChildren(...Object.entries(at(scene.numbers, k)).map(([name, value]) =>
      h("span", { "data-number": name }, `${name} `, h("b", {}, value))));
    sentence.textContent = at(scene.sentences, k); warning.textContent = at(scene.warning, k);
    code.textContent = at(scene.code, k); code.parentElement.hidden = !code.textContent;
    plot.ariaLabel = at(scene.alt, k) || spec.title;
    draw();
  }
  let drawn;  // what is on the page
  async function draw() {  // one drawing at a time; the newest wish is kept
    wanted = true; plot.ariaBusy = "true";
    if (drawing || !Plotly || !template?.layout.font.color) return;
    drawing = true;
    try {
      while (wanted) {
        wanted = false;
        const frame = k, { layout = {}, ...traces } = at(scene.frames, k);
        const data = scene.data.map((trace, i) => (i in traces ? patched(trace, traces[i]) : trace));
        // What must stay for marks to be moved: the scene, the template, the layout, and what a frame changes
        const fixed = [layout, Object.entries(traces).map(([i, patch]) => [i, Object.keys(patch)])];
        const stays = drawn?.scene === scene && drawn.template === template && same(drawn.fixed, fixed);
        drawn = null;
        if (!stays || !moved(plot, data, traces))
          await Plotly.react(plot, data, { ...patched(scene.layout, layout), template }, { displayModeBar: false });
        drawn = { scene, template, fixed };
        const first = !plot.dataset.frame;
        plot.dataset.frame = frame;
        if (first) resize();  // the page may have become wider or narrower while it was drawn
      }
    } catch (e) { error.textContent = `the picture could not be drawn: ${e}`; }
    drawing = false; plot.ariaBusy = "false";
  }
  function resize() {
    if (plot.dataset.frame && plot.offsetWidth) Plotly.Plots.resize(plot);
  }
  function theme() {
    const dark = document.body.dataset.jpThemeLight === "false", style = getComputedStyle(root);
    root.style.colorScheme = dark ? "dark" : "";
    const axis = { gridcolor: "#80808040", zerolinecolor: "#80808080", linecolor: "#80808080" };
    const clear = "rgba(0,0,0,0)";
    template = { layout: { font: { color: style.color, family: style.fontFamily, size: 13 },
      paper_bgcolor: clear, plot_bgcolor: clear, margin: { l: 56, r: 16, t: 24, b: 44 }, uirevision: "kept",
      xaxis: axis, yaxis: axis } };
    show();
  }
  const state = () => {  // busy until the answer is to what the controls now say
    const answered = model.get("_answered");
    const busy = Boolean(answered && others.some((c) => !same(model.get(c.name), answered[c.name])));
    root.ariaBusy = String(busy);
    working.textContent = "working…";
    clearTimeout(patience);
    if (busy) patience = setTimeout(() => { working.textContent = "no answer yet: is the kernel running?"; }, 8000);
    const message = model.get("_error");
    error.textContent = message && `${message}\nWhat is shown is from before.`;
    root.classList.toggle("stale", Boolean(message));
  };
  const take = () => {
    const sent = model.get("_scene");
    if (!sent) return;
    scene = sent.data ? sent : JSON.parse(sent);  // a page without a kernel has it unfolded already
    plot.style.height = `${scene.layout.height ?? 300}px`;
    show();
  };
  on([...others.map((c) => `change:${c.name}`), "change:_answered", "change:_error"], state);
  on(["change:_scene"], take);
  if (main) on([`change:${main.name}`], show);
  const themes = new MutationObserver(theme), sizes = new ResizeObserver(() => {
    if (!template.layout.font.color) theme();  // only now is it on the page, and knows the page's colours
    resize();
  });
  const scheme = matchMedia("(prefers-color-scheme: dark)");  // which a page of its own follows
  scheme.addEventListener("change", theme);
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  sizes.observe(plot);
  take(); state(); theme();
  loadPlotly(model).then((loaded) => { if (!gone) { Plotly = loaded; theme(); } });
  return () => {
    pause(); clearTimeout(patience); undo.forEach((f) => f()); themes.disconnect(); sizes.disconnect();
    scheme.removeEventListener("change", theme);
    Plotly?.purge(plot);
    Plotly = null; gone = true;
  };
}
