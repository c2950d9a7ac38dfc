// The browser of problems: what is chosen, what is listed, the keys. It takes the place of the page's few examples.
const at = (id) => document.getElementById(id);
const LISTED = 200;
const state = { run: 1, data: null, model: 0, list: [], chosen: null, all: false, limit: LISTED, wholes: new Map() };

function wanted() {
  return {
    model: state.model, verdict: at("verdict").value, level: at("level").value, subject: at("subject").value,
    search: at("search").value, order: at("order").value,
  };
}

function option(value, text) {
  const made = element("option", "", text);
  made.value = value;
  return made;
}

function fill(select, values, all) {
  select.replaceChildren(option("", all), ...values.map((value) => option(String(value), String(value))));
  select.parentElement.hidden = values.length < 2;
}

function take(data) {
  Object.assign(state, { data, model: 0, chosen: null, all: false, wholes: new Map() });
  at("model").replaceChildren(...data.models.map((one, number) => option(String(number), one.name)));
  at("model").parentElement.hidden = data.models.length === 0;
  at("verdict").parentElement.hidden = data.models.length === 0;
  for (const one of at("verdict").options) if (one.value === "hollow") one.hidden = !data.oracle;
  at("verdict").value = "all";
  const distinct = (key) => [...new Set(data.problems.map((one) => one[key]))].filter((value) => value !== null);
  fill(at("level"), distinct("l").sort((one, other) => one - other), "all levels");
  fill(at("subject"), distinct("s").sort(), "all subjects");
  refresh();
}

function refresh() {
  state.list = found(state.data.problems, wanted());
  state.limit = LISTED;
  at("count").textContent = `${state.list.length} of ${state.data.problems.length} problems`;
  drawList();
  choose(state.list.includes(state.chosen) ? state.chosen : state.list[0] ?? null);
}

function entry(problem) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  if (state.data.models.length) {
    const right = problem.f[state.model] === 1;
    const mark = element("span", right ? "mark right" : "mark wrong", right ? "✓" : "✗");
    mark.setAttribute("aria-label", right ? "the reward model is right" : "the reward model is wrong");
    mark.setAttribute("role", "img");
    button.append(mark);
  } else {
    button.append(element("span"));
  }
  button.append(element("span", "id", problem.i), element("span", "rate", `${Math.round((100 * problem.k) / problem.d)}%`));
  button.append(element("span", "text", problem.q));
  button.addEventListener("click", () => choose(problem));
  problem.button = button;
  item.append(button);
  return item;
}

function drawList() {
  const shown = state.list.slice(0, state.limit);
  for (const one of state.data.problems) one.button = undefined;
  at("list").replaceChildren(...shown.map(entry));
  if (!shown.length) at("list").append(element("li", "none", "No problem is so."));
  if (state.list.length > shown.length) {
    const item = element("li");
    const more = element("button", "", `Show ${state.list.length - shown.length} more`);
    more.addEventListener("click", () => { state.limit = state.list.length; drawList(); choose(state.chosen); });
    item.append(more);
    at("list").append(item);
  }
}

function choose(problem) {
  if (problem !== state.chosen) state.all = false;
  state.chosen?.button?.removeAttribute("aria-current");
  state.chosen = problem;
  if (problem === null) {
    at("problem").replaceChildren(element("p", "soft", "No problem is chosen."));
    return;
  }
  if (problem.button) {
    const { button } = problem, list = at("list");
    button.setAttribute("aria-current", "true");
    const top = button.offsetTop - list.offsetTop;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + button.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + button.offsetHeight - list.clientHeight;
  }
  draw();
}

function draw() {
  const left = drawProblem(at("problem"), state.chosen, state.data, state.model, state.wholes.get(state.chosen), state.all);
  if (left > 0 && !state.all) {
    const more = element("button", "more", `Show all ${state.chosen.n} candidates`);
    more.type = "button";
    more.addEventListener("click", showAll);
    at("problem").append(more);
  }
}

async function showAll() {
  const problem = state.chosen, { data } = state;
  if (problem === null || state.all) return;
  if (data.chunk && problem.c.length < problem.n && !state.wholes.has(problem)) {
    const number = data.problems.indexOf(problem), chunk = Math.floor(number / data.chunk);
    try {
      const rows = await load(state.run, chunk);
      rows.forEach((row, offset) => state.wholes.set(data.problems[chunk * data.chunk + offset], row));
    } catch (error) {
      at("problem").append(element("p", "note", `The other candidates can't be shown: ${error.message}.`));
      return;
    }
  }
  if (problem !== state.chosen) return;
  state.all = true;
  draw();
}

async function chooseRun() {
  const run = Number(at("run").value);
  try {
    const data = await (run === 1 ? unpack(packedBlock.textContent) : load(run, "index"));
    // Another may have been chosen while this one was coming.
    if (Number(at("run").value) !== run) return;
    state.run = run;
    take(data);
  } catch (error) {
    if (Number(at("run").value) !== run) return;
    at("run").value = String(state.run);
    at("problem").append(element("p", "note", `This run's problems can't be shown: ${error.message}.`));
  }
}

function move(by) {
  if (!state.list.length) return;
  const next = Math.min(state.list.length - 1, Math.max(0, state.list.indexOf(state.chosen) + by));
  if (next >= state.limit) { state.limit = state.list.length; drawList(); }
  choose(state.list[next]);
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  "/": () => at("search").focus(),
  m: () => {
    if (state.data.models.length < 2) return;
    at("model").value = String((state.model + 1) % state.data.models.length);
    at("model").dispatchEvent(new Event("change"));
  },
  e: () => showAll(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !state.data) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "Escape" && event.target === at("search")) {
    at("search").value = "";
    refresh();
    at("problem").focus({ preventScroll: true });
    return;
  }
  // Arrows scroll the page as ever, but in the list they go from problem to problem.
  const inList = event.target.closest?.("#list");
  const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (arrow && inList) {
    event.preventDefault();
    move(arrow);
    state.chosen?.button?.focus({ preventScroll: true });
  } else if (!typing && Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

function themes() {
  const button = at("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const now = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const say = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    const next = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("stepward-theme", next); } catch { /* the page may not keep it: it is chosen all the same */ }
    say();
  });
  dark.addEventListener("change", say);
  button.hidden = false;
  say();
}

function listen() {
  for (const id of ["verdict", "level", "subject", "order"]) at(id).addEventListener("change", refresh);
  at("search").addEventListener("input", refresh);
  at("model").addEventListener("change", () => { state.model = Number(at("model").value); refresh(); });
  at("run")?.addEventListener("change", chooseRun);
  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", pressed);
}

themes();
listen();
unpack(packedBlock.textContent).then((data) => {
  if (!data.problems.length) return;
  at("examples").hidden = true;
  at("app").hidden = false;
  take(data);
}).catch((error) => {
  const words = typeof DecompressionStream === "undefined" ? "this browser is too old to unpack them" : error.message;
  at("examples").before(element("p", "note", `The problems can't be browsed here: ${words}. The figures above are whole.`));
});
