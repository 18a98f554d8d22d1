// Draws an Explorer (widget.py) and slides through its frames; the kernel is asked for new scenes only.
// It serves two hosts: anywidget calls `render` in JupyterLab; alone.js does on pages without a kernel.
import { choiceInput, sliderInput, toggleInput, wordsInput } from "./controls.js";
import { loadPlotly, moved, templateFrom } from "./moving.js";
import { pad } from "./pad.js";
import { player } from "./player.js";
import { h, nearest, patched, same, typeset, typesetAll } from "./util.js";

/** @typedef {{at: number, changes: Object, numbers: Object<string, string>, sentence: string, warning: string,
 *   code: string, alt: string}} Frame
 * @typedef {{traces: Object<string, Object>, layout: Object, frames: Frame[]}} Scene  as scene.py writes it */

const INPUTS = { slider: sliderInput, choice: choiceInput, toggle: toggleInput, points: pad, words: wordsInput };

/** An explorer in `el`; returns what takes it away again. */
export function render({ model, el }) {
  const spec = model.get("_spec"), main = spec.controls.find((c) => c.main);
  const others = spec.controls.filter((c) => !c.main);
  const undo = [];  // what to take back when this view goes
  const on = (events, f) => events.forEach((e) => { model.on(e, f); undo.push(() => model.off(e, f)); });
  const set = (c, value) => { model.set(c.name, value); model.save_changes(); };
  const dead = (c) => Boolean(spec.live && !spec.live.includes(c.name));

  // --- the page
  const part = (tag, role, props) => h(tag, { className: role, "data-role": role, ...props });
  const working = h("span", { className: "working", role: "status" }, "working…");
  const error = part("p", "error", { role: "alert" }), plot = part("div", "plot", { role: "img" });
  const numbers = part("div", "numbers"), sentence = part("p", "sentence"), warning = part("p", "warning");
  const code = part("pre", "code"), listing = h("details", {}, h("summary", {}, "show the code"), code);
  const readout = h("div", { ariaLive: "polite", ariaAtomic: "true" }, numbers, sentence, warning);
  const asleep = others.filter(dead).map((c) => c.label).join(", ");
  const note = part("p", "note", { textContent: asleep && `Works only in JupyterLab: ${asleep}.` });
  const level = el.closest("[data-heading]")?.dataset.heading ?? 3;  // of a page of its own: 1
  const playing = main && player(main, (value) => set(main, value),
                                 (quiet) => { readout.ariaLive = quiet ? "off" : "polite"; });
  const root = h("section", { className: "diffusion-lab-explorer", ariaLabel: spec.title },
    h("div", { className: "head" },
      h("span", { role: "heading", "aria-level": level }, ...typeset(spec.title)), working),
    h("div", { className: "controls" }, ...others.map(inputs)), note, error, ...(main ? [playing.row] : []),
    h("div", { className: "wide" }, plot), readout, listing);
  root.onkeydown = (e) => e.ctrlKey || e.metaKey || e.stopPropagation();  // JupyterLab takes arrow keys
  el.append(root);

  function inputs(c) {
    const disabled = dead(c), box = h("div", { className: "control", "data-control": c.name });
    const common = { disabled, title: disabled ? "works only in JupyterLab" : "" };
    const show = INPUTS[c.kind](c, box, () => model.get(c.name), (value) => set(c, value), common,
                                Boolean(spec.live));
    on([`change:${c.name}`], show);
    show();
    return box;
  }

  // --- showing: words at once, the picture as soon as the one before it is done
  let scene, k = 0, gone = false;
  function take() {
    const sent = model.get("_scene");
    if (!sent) return;
    scene = sent.frames ? sent : JSON.parse(sent);  // a page without a kernel has it unfolded already
    const names = Object.keys(scene.traces);
    scene = { layout: typesetAll(scene.layout), data: Object.values(scene.traces), positions: scene.frames.map((f) => f.at),
      frames: scene.frames.map(({ changes: { layout = {}, ...traces }, ...words }) => ({ ...words,
        layout: typesetAll(layout),
        changes: Object.fromEntries(Object.entries(traces).map(([name, patch]) => [names.indexOf(name), patch])) })) };
    plot.style.height = `${scene.layout.height ?? 300}px`;
    show();
  }
  function show() {
    if (!scene) return;
    if (main) {
      k = nearest(scene.positions, model.get(main.name));
      playing.show(scene.positions, k);
    }
    const frame = scene.frames[k];
    numbers.replaceChildren(...Object.entries(frame.numbers).map(([name, value]) =>
      h("span", { "data-number": name }, h("span", {}, ...typeset(name)), " ", h("b", {}, value))));
    sentence.replaceChildren(...typeset(frame.sentence));
    warning.replaceChildren(...typeset(frame.warning));
    code.textContent = frame.code;
    listing.hidden = !frame.code;
    plot.ariaLabel = frame.alt || spec.title;
    draw();
  }

  // --- drawing: one picture at a time; the newest wish is kept
  let template, Plotly, wanted = false, drawing = false, drawn;  // drawn: what is on the page
  async function draw() {
    wanted = true; plot.ariaBusy = "true";
    if (drawing || !Plotly || !template?.layout.font.color) return;
    drawing = true;
    try {
      while (wanted) {
        wanted = false;
        await picture(k);
      }
    } catch (e) { error.textContent = `the picture could not be drawn: ${e}`; }
    drawing = false; plot.ariaBusy = "false";
  }
  async function picture(frame) {
    const { layout, changes } = scene.frames[frame];
    const data = scene.data.map((trace, i) => (i in changes ? patched(trace, changes[i]) : trace));
    // What must stay for marks to be moved: the scene, the template, the layout, and what a frame changes
    const fixed = [layout, Object.entries(changes).map(([i, patch]) => [i, Object.keys(patch)])];
    const stays = drawn?.scene === scene && drawn.template === template && same(drawn.fixed, fixed);
    drawn = null;
    if (!stays || !moved(plot, data, changes))
      await Plotly.react(plot, data, { ...patched(scene.layout, layout), template }, { displayModeBar: false });
    drawn = { scene, template, fixed };
    const first = !plot.dataset.frame;
    plot.dataset.frame = frame;
    if (first) resize();  // the page may have become wider or narrower while it was drawn
  }
  function resize() {
    if (plot.dataset.frame && plot.offsetWidth) Plotly.Plots.resize(plot);
  }

  // --- following the page and the kernel
  function theme() {
    root.style.colorScheme = document.body.dataset.jpThemeLight === "false" ? "dark" : "";
    template = templateFrom(getComputedStyle(root));
    show();
  }
  let patience;
  function state() {  // busy until the answer is to what the controls now say
    const answered = model.get("_answered");
    const busy = Boolean(answered && others.some((c) => !same(model.get(c.name), answered[c.name])));
    root.ariaBusy = String(busy);
    working.textContent = "working…";
    clearTimeout(patience);
    if (busy) patience = setTimeout(() => { working.textContent = "no answer yet: is the kernel running?"; }, 8000);
    const message = model.get("_error");
    error.textContent = message && `${message}\nThe figure and the numbers are from before this error.`;
    root.classList.toggle("stale", Boolean(message));
  }
  on([...others.map((c) => `change:${c.name}`), "change:_answered", "change:_error"], state);
  on(["change:_scene"], take);
  if (main) on([`change:${main.name}`], show);
  const themes = new MutationObserver(theme), sizes = new ResizeObserver(() => {
    if (!template.layout.font.color) theme();  // only now is it on the page, and knows the page's colours
    resize();
  });
  const scheme = matchMedia("(prefers-color-scheme: dark)");  // which a page of its own follows
  scheme.addEventListener("change", theme);
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "data-theme"] });
  sizes.observe(plot);
  take(); state(); theme();
  loadPlotly(model).then((loaded) => { if (!gone) { Plotly = loaded; theme(); } });
  return () => {
    playing?.pause(); clearTimeout(patience); undo.forEach((f) => f()); themes.disconnect(); sizes.disconnect();
    scheme.removeEventListener("change", theme);
    Plotly?.purge(plot);
    Plotly = null; gone = true;
  };
}
