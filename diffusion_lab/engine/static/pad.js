// A control: points on a square.
import { h, same } from "./util.js";

/** A square to draw points on, by mouse, pen, finger or keys; `still` on a page without a kernel.
 * @type {import("./controls.js").Input} */
export function pad(c, box, value, set, { disabled }, still) {
  const HOW = "Click or drag to add or move points; double-click removes one. Keys: arrows, also with Shift; " +
    "Enter adds a point, lifts it or drops it; Delete.";
  const EDGE = 1.25, REACH = 0.08, GAP = 0.15, past = [];  // GAP: between points painted in one drag
  let cursor = [0, 0], held = -1;  // where keys act, and the point in hand
  const round = (z) => Math.round(100 * Math.min(1, Math.max(-1, z))) / 100 || 0;
  const place = (e) => {
    const { left, top, width, height } = board.firstChild.getBoundingClientRect();
    const [x, y] = [(e.clientX - left) / width, (e.clientY - top) / height];
    return [round((2 * x - 1) * EDGE), round((1 - 2 * y) * EDGE)];
  };
  const named = ([x, y]) => `(${x.toFixed(2)}, ${y.toFixed(2)})`.replaceAll("-", "−");
  function near([x, y], reach = REACH) {  // the nearest point within reach, or −1
    const far = value().map((p) => Math.hypot(p[0] - x, p[1] - y)), least = Math.min(...far);
    return least < reach ? far.indexOf(least) : -1;
  }
  const say = (words) => { said.textContent = words; show(); };
  function change(points, words) {
    set(points);
    say(`${words}; ${points.length} point${points.length === 1 ? "" : "s"}`);
  }
  const keep = () => past.push(value());  // before each change, for undo
  const move = () => change(value().map((p, i) => (i === held ? cursor : p)), `moved to ${named(cursor)}`);
  const add = () => (value().length < c.most ? change([...value(), cursor], `added at ${named(cursor)}`)
                                             : say(`at most ${c.most} points`));
  function remove(i) {
    if (i < 0 || value().length === 1) return say(i < 0 ? "no point here" : "the last point stays");
    keep();
    held = -1;
    change(value().filter((_, j) => j !== i), `removed at ${named(value()[i])}`);
  }
  function undo() {
    while (past.length && same(past.at(-1), value())) past.pop();
    past.length ? change(past.pop(), "undone") : say("nothing to undo");
  }
  const button = (name, disabled, onclick) => h("button", { type: "button", disabled, onclick }, name);
  const jump = (name, f) => button(name, disabled, () => { keep(); change(f(), name); });
  const board = h("div", { className: "pad", role: "application", tabIndex: still ? -1 : 0, ariaLabel: c.label,
    "aria-description": HOW, ariaDisabled: String(still), title: still ? "works only in JupyterLab" : "" });
  const said = h("span", { className: "note", "data-role": "said", ariaLive: "polite" });
  const how = h("p", { className: "note" }, still ? "Drawing works only in JupyterLab." : HOW);
  const ticks = Object.entries({ "−1": -1, "0": 0, "1": 1 }).map(([name, z]) => `<path d="M${z},-1V1M-1,${z}H1"/>
    <text x="${z}" y="1.19">${name}</text><text x="-1.13" y="${0.05 - z}">${name}</text>`);
  board.innerHTML = `<svg viewBox="${-EDGE} ${-EDGE} ${2 * EDGE} ${2 * EDGE}">${ticks.join("")}<g></g></svg>`;
  board.onpointerdown = (e) => {
    if (still || !e.isPrimary || e.button) return;
    board.setPointerCapture(e.pointerId);
    keep();
    cursor = place(e);
    held = near(cursor, e.pointerType === "touch" ? 2 * REACH : REACH);
    held < 0 ? add() : show();
  };
  board.onpointermove = (e) => {
    if (!board.hasPointerCapture(e.pointerId)) return;
    cursor = place(e);
    if (held >= 0) move();
    else if (near(cursor, GAP) < 0) add();
  };
  board.onlostpointercapture = board.onblur = () => { held = -1; show(); };
  board.ondblclick = (e) => still || remove(near(place(e)));
  board.onkeydown = (e) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
    const here = near(cursor);
    if (still || !(way || ["Enter", " ", "Delete", "Backspace"].includes(e.key))) return;
    e.preventDefault();
    if (way) {
      cursor = cursor.map((z, i) => round(z + (e.shiftKey ? 0.25 : 0.05) * way[i]));
      held >= 0 ? move() : say(`${named(cursor)}${near(cursor) < 0 ? "" : ", on a point"}`);
    } else if (e.key === "Delete" || e.key === "Backspace") {
      remove(held < 0 ? here : held);
    } else if (held >= 0) {
      held = -1;
      say("put down");
    } else {
      keep();
      if (here < 0) return add();
      [held, cursor] = [here, value()[here]];
      say("picked up");
    }
  };
  function show() {
    const dots = value().map(([x, y]) => `<circle cx="${x}" cy="${-y}" r=".05"/>`).join("");
    const mark = `<circle class="cursor${held < 0 ? "" : " held"}" cx="${cursor[0]}" cy="${-cursor[1]}" r=".1"/>`;
    board.querySelector("g").innerHTML = dots + mark;
  }
  box.append(board, h("div", {}, h("b", {}, c.label), " ", said, h("div", { className: "row" },
    ...Object.keys(c.presets).map((name) => jump(name, () => c.presets[name])), button("undo", still, undo),
    button("keep the last only", still, () => { keep(); change(value().slice(-1), "cleared"); })), how));
  return show;
}
