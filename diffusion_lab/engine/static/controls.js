// The inputs that a control becomes, by its kind. Each puts them into `box` and returns what shows a new value.
import { h, typeset } from "./util.js";

/** @typedef {{name: string, label: string, kind: string, main: boolean, low?: number, high?: number, step?: number,
 *   values?: (string|number)[], most?: number, presets?: Object}} Control  as `Control.spec` in controls.py writes it
 * @typedef {(control: Control, box: HTMLElement, value: () => any, set: (value: any) => void, common: Object) =>
 *   () => void} Input  `common`: properties of all inputs, `disabled` among them; one more argument says whether
 *   the page has no kernel */

const labelled = (c, input) => h("label", {}, h("span", {}, ...typeset(c.label)), input);

/** @type {Input} */
export function sliderInput(c, box, value, set, common) {
  const bounds = { min: c.low, max: c.high, step: c.step };
  const slider = h("input", { type: "range", ...bounds, ...common });
  const number = h("input", { type: "number", ...bounds, ...common, ariaLabel: `${c.label}, as a number` });
  const show = () => { slider.value = number.value = value(); };
  slider.oninput = () => set(slider.valueAsNumber);
  number.onchange = () => {
    const typed = Math.min(c.high, Math.max(c.low, number.valueAsNumber));
    if (!Number.isNaN(typed)) set(Number.isInteger(c.step) ? Math.round(typed) : typed);
    show();
  };
  box.append(labelled(c, slider), number);
  return show;
}

/** @type {Input} */
export function choiceInput(c, box, value, set, common) {
  const select = h("select", common, ...c.values.map((v) => h("option", {}, String(v))));
  select.onchange = () => set(c.values[select.selectedIndex]);
  box.append(labelled(c, select));
  return () => { select.selectedIndex = c.values.indexOf(value()); };
}

/** @type {Input} */
export function toggleInput(c, box, value, set, common) {
  const input = h("input", { type: "checkbox", ...common });
  input.onchange = () => set(input.checked);
  box.append(labelled(c, input));
  return () => { input.checked = value(); };
}

/** A box to type into, taken by Enter or when it is left, and a list of examples; without a kernel only these.
 * @type {Input} */
export function wordsInput(c, box, value, set, common, still) {
  if (still) return choiceInput(c, box, value, set, common);
  const examples = h("select", { ...common, ariaLabel: `${c.label}: examples` },
                     ...c.values.map((v) => h("option", {}, v)));
  const typed = h("input", { type: "text", maxLength: c.most, spellcheck: false, ...common });
  examples.onchange = () => set(c.values[examples.selectedIndex]);
  typed.onchange = () => set(typed.value.trim());
  box.append(labelled(c, typed), examples);
  return () => { typed.value = value(); examples.selectedIndex = c.values.indexOf(value()); };
}
