// Which problems are listed: by what the chosen model's favourite is, by level and subject, by text, in an order.
const VERDICTS = {
  all: () => true,
  wrong: (one, model) => one.f[model] === 0,
  missed: (one, model) => one.f[model] === 0 && one.k > 0,
  right: (one, model) => one.f[model] === 1,
  hollow: (one, model) => one.w[model] === 1,
  beats: (one, model) => one.f[model] === 1 && one.m === 0,
  loses: (one, model) => one.f[model] === 0 && one.m === 1,
  disagree: (one) => new Set([...one.f, one.m]).size > 1,
};

const ORDERS = {
  id: () => 0,
  hard: (one, other) => one.k / one.d - other.k / other.d,
  easy: (one, other) => other.k / other.d - one.k / one.d,
};

// All that search looks into; made once a problem, when it is first searched.
function searched(one) {
  if (one.text === undefined) {
    const parts = [one.i, one.q, one.r, one.s ?? ""];
    for (const candidate of one.c) parts.push(candidate[2] ?? "", candidate[6], ...candidate[1]);
    one.text = parts.join("\n").toLowerCase();
  }
  return one.text;
}

function found(problems, wanted) {
  const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = VERDICTS[wanted.verdict];
  const kept = problems.filter((one) =>
    verdict(one, wanted.model)
    && (wanted.level === "" || String(one.l) === wanted.level)
    && (wanted.subject === "" || one.s === wanted.subject)
    && words.every((word) => searched(one).includes(word)));
  return kept.sort(ORDERS[wanted.order]);
}
