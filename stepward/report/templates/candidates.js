// One problem with its candidates, the best-scored first. Foreign text enters the page as text only.
const FIRST = 8;
const [RANKS, STEPS, ANSWER, RIGHT, COPIES, ERROR, GENERATOR, FINISHED, USUAL, TOTALS, SCORES] = Array(11).keys();

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

// As stepward.report.run.page.score_colour does it.
function colour(score) {
  if (score === null) return "";
  const base = score < 50 ? "213, 94, 0" : "0, 114, 178";
  return `rgba(${base}, ${(Math.abs(score / 50 - 1) * 0.55).toFixed(3)})`;
}

function badges(candidate, model, place, data) {
  const line = element("div", "badges");
  if (data.models.length) {
    line.append(element("span", "badge total", `#${place} · ${candidate[TOTALS][model]}`));
  }
  line.append(candidate[RIGHT]
    ? element("span", "badge right", "✓ right answer") : element("span", "badge wrong", "✗ wrong answer"));
  if (candidate[RIGHT] && candidate[ERROR] >= 0) line.append(element("span", "badge wrong", "by wrong steps"));
  if (candidate[USUAL]) line.append(element("span", "badge", "the majority's answer"));
  const answer = candidate[ANSWER] === null ? "no answer" : `answers ${candidate[ANSWER]}`;
  const times = candidate[COPIES] === 1 ? "once" : `${candidate[COPIES]} times`;
  const cut = candidate[FINISHED] ? "" : ", cut at the token limit";
  const by = candidate[GENERATOR] ? ` by ${candidate[GENERATOR]}` : "";
  line.append(element("span", "soft", `${answer}; drawn ${times}${by}${cut}`));
  return line;
}

function stepRow(candidate, step, model, models) {
  const row = element("tr", candidate[ERROR] === step ? "first-error" : "");
  row.append(element("td", "index", String(step + 1)));
  const text = element("td", "step", candidate[STEPS][step]);
  if (models) text.style.background = colour(candidate[SCORES][model][step]);
  if (candidate[ERROR] === step) text.append(" ", element("span", "mark", "✗ first error"));
  row.append(text);
  for (let one = 0; one < models; one += 1) {
    const score = candidate[SCORES][one][step];
    const cell = element("td", one === model ? "number chosen" : "number other", score === null ? "" : (score / 100).toFixed(2));
    cell.style.background = colour(score);
    row.append(cell);
  }
  return row;
}

function candidateCard(candidate, model, place, data) {
  const card = element("section", "candidate");
  card.setAttribute("aria-label", `Candidate ${place}`);
  card.append(badges(candidate, model, place, data));
  const table = element("table", "steps");
  const head = element("tr");
  head.append(element("th", "index", "step"), element("th", "", "text"));
  data.models.forEach((one, number) => head.append(element("th", number === model ? "number chosen" : "number other", one.name)));
  for (const cell of head.children) cell.scope = "col";
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  candidate[STEPS].forEach((_, step) => table.tBodies[0].append(stepRow(candidate, step, model, data.models.length)));
  const wide = element("div", "wide");
  wide.tabIndex = 0;
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", `Steps of candidate ${place}`);
  wide.append(table);
  card.append(wide);
  return card;
}

function heading(problem, data) {
  const parts = [element("h3", "", problem.i), element("p", "question", problem.q)];
  const about = problem.r === "" ? [] : [`Reference answer: ${problem.r}`];
  if (problem.l !== null) about.push(`level ${problem.l}`);
  if (problem.s !== null) about.push(problem.s);
  about.push(`${problem.k} of ${problem.d} draws right, ${problem.n} distinct candidates`);
  parts.push(element("p", "small soft", about.join(" · ")));
  return data.models.length ? [...parts, scale()] : parts;
}

function scale() {
  const made = element("div", "scale");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", "Colours of scores from 0, orange, to 1, blue");
  for (let score = 0; score <= 100; score += 10) {
    const part = element("span", "", (score / 100).toFixed(1));
    part.style.background = colour(score);
    made.append(part);
  }
  return made;
}

// `all` are every candidate of the problem where they have come, else those in the page.
function drawProblem(place, problem, data, model, whole, showAll) {
  const shown = [...(whole ?? problem.c)].sort((one, other) =>
    data.models.length ? one[RANKS][model] - other[RANKS][model] : other[COPIES] - one[COPIES]);
  place.replaceChildren(...heading(problem, data));
  const most = showAll ? shown.length : Math.min(FIRST, shown.length);
  for (let number = 0; number < most; number += 1) {
    const rank = data.models.length ? shown[number][RANKS][model] + 1 : number + 1;
    place.append(candidateCard(shown[number], model, rank, data));
  }
  return problem.n - most;
}
