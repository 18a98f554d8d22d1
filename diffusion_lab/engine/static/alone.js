// The host of explorers on a page without a kernel.
import { render } from "./explorer.js";
import { h } from "./util.js";

/** What `zipped` in packing.py made: a response, for its text, JSON or bytes. */
export function unzipped(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

/** The rows of packing.py, from their differences; `table` holds the place of the row before and the length. */
export function summed(bytes, table) {
  const rows = [], high = bytes.length / 2;
  let i = 0;
  for (const [before, length] of table) {
    const row = new Int16Array(length), last = rows[before] ?? [];
    for (let j = 0; j < length; j++, i++) {
      const change = bytes[i] | (bytes[high + i] << 8);
      row[j] = (last[j] ?? 0) + ((change >> 1) ^ -(change & 1));
    }
    rows.push(row);
  }
  return rows;
}

/** A scene, or a part of it, as it was before packing.py. */
export function unpacked(value, parts, rows) {
  const whole = (v) => unpacked(v, parts, rows);
  if (Array.isArray(value)) return value.map(whole);
  if (value?.constructor !== Object) return value;
  if ("$" in value) return whole(parts[value.$]);
  if ("row" in value) {
    const numbers = Float32Array.from(rows[value.row], (n) => (n === -32768 ? NaN : n * value.step));
    return { dtype: "f4", bdata: numbers.buffer, shape: value.shape };
  }
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, whole(v)]));
}

/** A model for each explorer that knows the scenes which were computed when the page was written. */
export async function mountAll(style) {
  document.head.append(h("style", { textContent: style }));
  const plotly = globalThis.Plotly ?? unzipped(zippedPlotly).text().then((code) => {
    document.head.append(h("script", { textContent: code }));
    return globalThis.Plotly;
  });
  globalThis.diffusionLab = { plotly: Promise.resolve(plotly), asked: Infinity };
  for (const el of document.querySelectorAll(".diffusion-lab")) {
    const [first, second] = [...el.querySelectorAll("script")].map((script) => unzipped(script.textContent));
    const { _parts, _rows, _scenes, ...state } = await first.json(), listeners = {};
    const rows = summed(new Uint8Array(await second.arrayBuffer()), _rows);
    const others = state._spec.controls.filter((c) => !c.main);
    const key = (values) => JSON.stringify(others.map((c) => values[c.name]));
    const scenes = new Map(_scenes.map((scene) => [key(scene._answered), scene]));
    let shown;
    const model = {
      get: (name) => state[name],
      set(name, value) {
        if (state[name] === value) return;
        state[name] = value;
        listeners[`change:${name}`]?.forEach((f) => f());
      },
      save_changes() {
        const here = scenes.get(key(state));
        if (here === shown) return;
        shown = here;
        for (const name in here) model.set(name, name === "_scene" ? unpacked(here._scene, _parts, rows) : here[name]);
      },
      on(event, f) { (listeners[event] ??= []).push(f); },
      off() {}, send() {},
    };
    model.save_changes();
    render({ model, el });
  }
}
