// The two cells of a quiz (quiz.py): one commits to an answer, the other opens when there is one.
// anywidget calls `renderQuiz` in JupyterLab; `mountQuizzes` does on pages without a kernel.
import { h } from "./util.js";

/** @typedef {{at: string|number, within: number, right: boolean, html: string}} Case
 * @typedef {{question: string, options: string[]|null, unit: string}} Asked
 * @typedef {{cases: Case[], otherwise: string, seen: string, closed: string, options: string[]|null,
 *   unit: string}} Told  as `Question.page` in question.py writes them */

// What the page was told, by the keys of questions: shared by every cell on it, whatever made that
const STORE = globalThis.diffusionLabQuiz ??= { answers: new Map(), news: new EventTarget() };
const SLACK = 1 + 1e-9;  // as in question.py

/** An answer as it reads: "b) They melt", "0.4 nats". @param {Asked|Told} content @returns {(Node|string)[]} */
const answerIn = ({ options, unit }, answer) => (options
  ? [`${answer}) `, h("span", { innerHTML: options[answer.charCodeAt(0) - 97] })]
  : [`${answer} ${unit}`.trim()]);

/** The case that an answer is: of numbers the right one first, then the nearest. @param {Case[]} cases */
export function judged(cases, answer) {
  const off = (c) => Math.abs(c.at - answer);
  if (typeof answer === "string") return cases.find((c) => c.at === answer);
  return cases.filter((c) => off(c) <= c.within * SLACK).sort((a, b) => b.right - a.right || off(a) - off(b))[0];
}

/** The question: a form that becomes one line once it is committed. @param {(answer) => void} commit */
function predictionIn(/** @type {Asked} */ content, commit) {
  const number = h("input", { type: "number", step: "any", required: true });
  const name = `diffusion-lab-${Math.random()}`;  // of this view: radio buttons of one name exclude each other
  const radios = content.options?.map((_, k) =>
    h("input", { type: "radio", name, required: true, value: String.fromCharCode(97 + k) }));
  const inputs = radios
    ? radios.map((radio) => h("label", {}, radio, h("span", {}, ...answerIn(content, radio.value))))
    : [h("label", {}, "Your prediction", number, content.unit)];
  const button = h("button", { type: "submit" }, "Commit"), status = h("p", { role: "status", tabIndex: -1 });
  const fields = h("fieldset", {}, h("legend", { innerHTML: content.question }), ...inputs, button);
  const root = h("form", { className: "diffusion-lab-prediction" }, fields, status);
  root.onsubmit = (e) => {
    e.preventDefault();
    commit(radios ? radios.find((radio) => radio.checked).value : number.valueAsNumber);
  };
  function show(answer) {
    const focused = root.contains(document.activeElement);
    for (const radio of radios ?? []) radio.checked = radio.value === answer;
    if (!radios) number.value = answer;
    fields.disabled = button.hidden = true;
    status.replaceChildren("Committed: ", h("b", {}, radios ? answer : answerIn(content, answer)[0]),
                           ". Now see for yourself. “What you should have seen” is open, further down.");
    if (focused) status.focus({ preventScroll: true });  // what had it cannot keep it
  }
  return { root, show };
}

/** What was to be seen: one line until the question has an answer. */
function seenIn(/** @type {Told} */ content) {
  const root = h("div", { className: "diffusion-lab-seen", role: "group", ariaLabel: "What you should have seen" },
    h("p", { className: "closed" }, content.closed));
  function show(answer) {
    const found = judged(content.cases, answer), right = Boolean(found?.right);
    root.replaceChildren(
      h("p", { className: `verdict ${right ? "right" : "wrong"}` },
        h("b", {}, right ? "Right" : "Not right"), ": you committed to ", ...answerIn(content, answer)),
      h("div", { className: "why", innerHTML: found?.html ?? content.otherwise }),
      h("div", { className: "said" }, h("p", {}, h("b", {}, "What you should have seen")),
        h("div", { innerHTML: content.seen })));
  }
  return { root, show };
}

/** A cell of a quiz in `el`; returns what takes it away again. */
export function renderQuiz({ model, el }) {
  const key = model.get("_key"), content = model.get("_content"), { answers, news } = STORE;
  const { root, show } = model.get("_part") === "predict" ? predictionIn(content, commit) : seenIn(content);
  root.dataset.quiz = key.split(" ")[0];
  root.onkeydown = (e) => e.ctrlKey || e.metaKey || e.stopPropagation();  // JupyterLab takes arrow keys
  const shown = () => answers.has(key) && show(answers.get(key));
  const told = () => tell(model.get("_answer"));
  function tell(answer) {
    if (answer == null || answers.has(key)) return;
    answers.set(key, answer);
    news.dispatchEvent(new Event(key));
  }
  function commit(answer) {
    tell(answer);
    model.set("_answer", answers.get(key));
    model.save_changes();
  }
  el.append(root);
  news.addEventListener(key, shown);
  model.on("change:_answer", told);
  told(); shown();
  return () => { news.removeEventListener(key, shown); model.off("change:_answer", told); };
}

/** Every cell of a quiz on a page without a kernel. */
export function mountQuizzes(style) {
  document.head.append(h("style", { textContent: style }));
  for (const el of document.querySelectorAll(".diffusion-lab-quiz")) {
    const state = JSON.parse(el.querySelector("script").textContent);
    const model = { get: (name) => state[name], set() {}, save_changes() {}, on() {}, off() {} };
    renderQuiz({ model, el });
  }
}
