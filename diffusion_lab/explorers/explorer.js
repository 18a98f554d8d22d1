// Draws an Explorer (core.py) and slides through its frames; the kernel is asked for new scenes only.
// One module, two hosts: anywidget calls `render` in JupyterLab; `mountAll` serves pages without a kernel.

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
  &.stale :is(.plot, .numbers) { opacity: .4; }
  .numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 2px 20px; }
  .numbers { margin: 4px 0; color: var(--quiet); b { color: var(--jp-ui-font-color1, CanvasText); } }
  p { margin: 4px 0; } .sentence { min-height: 1.4em; } p.note:empty { display: none; }
  .warning, .error { padding: 4px 10px; border-left: 4px solid #E69F00; background: #E69F0022; }
  .error { border-color: #D55E00; background: #D55E0022; white-space: pre-wrap; }
  :is(.warning, .error):empty { margin: 0; padding: 0; border: 0; }
  .note, summary { color: var(--quiet); font-size: 13px; } summary { cursor: pointer; }
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
  let scene, k = 0, template, Plotly, wanted = false, drawing = false, player, gone = false;

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
  const error = part("p", "error", { role: "alert" }), plot = part("div", "plot", { role: "img" });
  const numbers = part("div", "numbers"), sentence = part("p", "sentence"), warning = part("p", "warning");
  const code = part("pre", "code"), note = part("p", "note");
  const readout = h("div", { ariaLive: "polite", ariaAtomic: "true" }, numbers, sentence, warning);
  const others = spec.controls.filter((c) => !c.main);
  const asleep = others.filter(dead).map((c) => c.label).join(", ");
  note.textContent = asleep && `Live in JupyterLab: ${asleep}.`;
  const root = h("section", { className: "diffusion-lab-explorer", ariaLabel: spec.title },
    h("style", {}, CSS),
    h("div", { className: "head" }, h("span", { role: "heading", "aria-level": 3 }, spec.title),
      h("span", { className: "working", role: "status" }, "working…")),
    h("div", { className: "controls" }, ...others.map(control)), note, error);
  if (main) {
    number.ariaLabel = `${main.label}, as a number`;
    root.append(h("div", { className: "control main", "data-control": main.name },
      h("label", {}, main.label, slider), number, button("‹", "step back", () => go(k - 1)), playing,
      button("›", "step forward", () => go(k + 1))));
  }
  root.append(plot, readout, h("details", {}, h("summary", {}, "show the code"), code));
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
  async function draw() {  // one drawing at a time; the newest wish is kept
    wanted = true;
    if (drawing || !Plotly) return;
    drawing = true;
    try {
      while (wanted) {
        wanted = false;
        const frame = k, { layout = {}, ...traces } = at(scene.frames, k);
        const data = scene.data.map((trace, i) => (i in traces ? patched(trace, traces[i]) : trace));
        const dressed = { ...patched(scene.layout, layout), template };
        await Plotly.react(plot, data, dressed, { displayModeBar: false });
        plot.dataset.frame = frame;
      }
    } catch (e) { error.textContent = `the picture could not be drawn: ${e}`; }
    drawing = false;
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
    root.ariaBusy = String(Boolean(answered && others.some((c) => model.get(c.name) !== answered[c.name])));
    const message = model.get("_error");
    error.textContent = message && `${message}\nWhat is shown is from before.`;
    root.classList.toggle("stale", Boolean(message));
  };
  const take = () => {
    if (!model.get("_scene")) return;
    scene = JSON.parse(model.get("_scene"));
    plot.style.height = `${scene.layout.height ?? 300}px`;
    show();
  };
  on([...others.map((c) => `change:${c.name}`), "change:_answered", "change:_error"], state);
  on(["change:_scene"], take);
  if (main) on([`change:${main.name}`], show);
  const themes = new MutationObserver(theme), sizes = new ResizeObserver(() => {
    if (plot.dataset.frame && plot.offsetWidth) Plotly.Plots.resize(plot);
  });
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  sizes.observe(plot);
  take(); state(); theme();
  loadPlotly(model).then((loaded) => { if (!gone) { Plotly = loaded; theme(); } });
  return () => {
    pause(); undo.forEach((f) => f()); themes.disconnect(); sizes.disconnect();
    Plotly?.purge(plot);
    Plotly = null; gone = true;
  };
}

/** The host without a kernel: a model that knows the scenes which were computed when the page was written. */
function mountAll() {
  globalThis.diffusionLab = { plotly: Promise.resolve(globalThis.Plotly), asked: Infinity };
  for (const script of document.querySelectorAll(".diffusion-lab > script")) {
    const state = JSON.parse(script.textContent), listeners = {};
    const model = {
      get: (name) => state[name],
      set(name, value) {
        if (state[name] === value) return;
        state[name] = value;
        listeners[`change:${name}`]?.forEach((f) => f());
      },
      save_changes() {
        const fits = ({ _answered: a }) => Object.keys(a).every((name) => a[name] === state[name]);
        const here = state._scenes.find(fits);
        for (const name in here) model.set(name, here[name]);
      },
      on(event, f) { (listeners[event] ??= []).push(f); },
      off() {}, send() {},
    };
    model.save_changes();
    render({ model, el: script.parentElement });
  }
}

export default { render };
