// The main slider: it runs over the scene's frames, by hand or by itself.
import { h, nearest, typeset } from "./util.js";

/** @param {import("./controls.js").Control} c
 * @param {(value: number) => void} set sets the control
 * @param {(playing: boolean) => void} hush is told when the frames begin or cease to run by themselves
 * @returns the slider's `row`; `show(positions, k)`; and `pause` */
export function player(c, set, hush) {
  let positions = [0], k = 0, timer;
  const go = (frame) => set(positions[Math.min(Math.max(frame, 0), positions.length - 1)]);
  const button = (sign, title, onclick) => h("button", { type: "button", ariaLabel: title, title, onclick }, sign);
  const slider = h("input", { type: "range", min: 0, oninput: () => go(slider.valueAsNumber) });
  const number = h("input", { type: "number", step: "any", ariaLabel: `${c.label}, as a number` });
  number.onchange = () => { if (number.value) go(nearest(positions, number.valueAsNumber)); show(positions, k); };
  const playing = button("▶", "play", () => (timer ? pause() : play()));
  const say = (sign, title) => { playing.textContent = sign; playing.ariaLabel = playing.title = title; };
  const row = h("div", { className: "control main", "data-control": c.name },
    h("label", {}, h("span", {}, ...typeset(c.label)), slider), number,
    button("‹", "step back", () => go(k - 1)), playing, button("›", "step forward", () => go(k + 1)));

  function pause() {
    timer = clearInterval(timer);
    say("▶", "play");
    hush(false);
  }
  function play() {  // about eight seconds from end to end; for eyes that want no motion, ten pictures
    const count = positions.length, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const stride = Math.ceil(count / (calm ? 10 : 160));
    if (k === count - 1) go(0);
    timer = setInterval(() => (k < positions.length - 1 ? go(k + stride) : pause()),
                        calm ? 1500 : Math.min(400, Math.max(50, 8000 / count)));
    say("❚❚", "pause");
    hush(true);
  }
  function show(places, at) {
    [positions, k] = [places, at];
    slider.max = positions.length - 1; slider.value = k; number.value = positions[k];
    slider.setAttribute("aria-valuetext", `${c.label} = ${positions[k]}`);
  }
  return { row, show, pause };
}
