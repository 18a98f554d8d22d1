// Small helpers that know nothing of explorers.

/** An element. What is no property of it becomes an attribute.
 * @param {string} tag @param {Object} props @param {...(Node|string)} children @returns {HTMLElement} */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const key in props) key in node ? (node[key] = props[key]) : node.setAttribute(key, props[key]);
  node.append(...children);
  return node;
}

/** `base` with `patch` over it, level by level; neither is changed. Arrays are replaced whole. */
export function patched(base, patch) {
  if (base?.constructor !== Object || patch?.constructor !== Object || "bdata" in patch) return patch;
  const result = { ...base };
  for (const key in patch) result[key] = patched(base[key], patch[key]);
  return result;
}

/** The index of the position nearest to `value`; of two, the first.
 * @param {number[]} positions @param {number} value */
export function nearest(positions, value) {
  let best = 0;
  positions.forEach((p, k) => { if (Math.abs(p - value) < Math.abs(positions[best] - value)) best = k; });
  return best;
}

/** Whether two values of a control, or of several, are the same: lists of points are if their numbers are. */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// x_t, L_(t−1), p^w, 10^(−3): one character, or several in brackets; log_snr stays as it is
const RAISED = /([_^])(?:\(([^()]+)\)|([\p{L}\p{N}∅])(?![\p{L}\p{N}_]))/gu;

/** Words with their sub- and superscripts as elements: ["x", <sub>t</sub>, …].
 * @param {string} words @returns {(Node|string)[]} */
export function typeset(words) {
  const parts = [];
  let end = 0;
  for (const hit of words.matchAll(RAISED)) {
    parts.push(words.slice(end, hit.index), h(hit[1] === "_" ? "sub" : "sup", {}, hit[2] ?? hit[3]));
    end = hit.index + hit[0].length;
  }
  return [...parts, words.slice(end)].filter((part) => part !== "");
}

/** The same in the HTML that plotly knows, for every text in a layout; numbers and arrays of them stay. */
export function typesetAll(value) {
  if (typeof value === "string")
    return value.replace(RAISED, (_, kind, ...inside) => {
      const tag = kind === "_" ? "sub" : "sup";
      return `<${tag}>${inside[0] ?? inside[1]}</${tag}>`;
    });
  if (Array.isArray(value)) return value.map(typesetAll);
  if (value?.constructor !== Object || "bdata" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, typesetAll(v)]));
}
