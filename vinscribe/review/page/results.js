// The view Results: how far the work is, how good automatic acceptance is, and the ways out.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { TEXTS } from "./texts.js";

const ROWS = 50;
const EXPORTS = ["csv", "jsonl", "xlsx"];

export class Results {
  constructor() {
    this.root = byId("results");
  }

  /** Called when the view comes on screen. */
  async open() {
    const [state, thresholds, failures, results] = await Promise.all(
      ["/api/state", "/api/thresholds", "/api/failures", `/api/results?limit=${ROWS}`].map(get),
    );
    this.root.replaceChildren(
      part(TEXTS.countsTitle, counts(state.counts)),
      part(TEXTS.auditTitle, ...audit(state.audit)),
      part(TEXTS.thresholdTitle, ...slider(thresholds)),
      part(TEXTS.exportTitle, ...exports(state.counts.illegible)),
      part(TEXTS.latestTitle, ...this.table(results)),
      ...(failures.length ? [part(TEXTS.failuresTitle, failureList(failures))] : []),
    );
  }

  table(results) {
    if (!results.results.length) return [el("p", {}, TEXTS.latestNone)];
    const head = el("tr", {}, ...TEXTS.latestColumns.map((name) => el("th", { scope: "col" }, name)));
    const body = el("tbody", {}, ...results.results.map(row));
    const more = el("button", { type: "button", hidden: !results.next }, TEXTS.more);
    let { next } = results;
    more.addEventListener("click", async () => {
      const further = await get(`/api/results?limit=${ROWS}&after=${next}`);
      body.append(...further.results.map(row));
      next = further.next;
      more.hidden = !next;
    });
    return [el("div", { class: "table" }, el("table", {}, el("thead", {}, head), body)), more];
  }
}

function part(title, ...children) {
  return el("section", { class: "part" }, el("h2", {}, title), ...children);
}

function counts(all) {
  const shown = Object.entries(TEXTS.counts).filter(([name]) => all[name] || name !== "failed");
  const tiles = shown.map(([name, text]) => el("div", {}, el("dd", {}, all[name].toLocaleString("en")), el("dt", {}, text)));
  return el("dl", { class: "counts" }, ...tiles);
}

function audit(found) {
  if (!found.checked) return [el("p", {}, TEXTS.auditNone)];
  return [el("p", {}, TEXTS.audit(found)), el("p", { class: "strong" }, TEXTS.auditRange(found))];
}

function slider(steps) {
  if (!steps.some((step) => step.known)) return [el("p", {}, TEXTS.thresholdNone)];
  const said = el("p", { class: "strong", role: "status" });
  const most = steps.length - 1;
  const usual = steps.findIndex((step) => step.threshold >= 0.999);
  const input = el("input", { type: "range", min: 0, max: most, value: usual < 0 ? most : usual });
  const show = () => {
    said.textContent = TEXTS.threshold(steps[input.value]);
    input.setAttribute("aria-valuetext", said.textContent);
  };
  input.addEventListener("input", show);
  show();
  return [el("label", {}, TEXTS.thresholdLabel, input), said];
}

function exports(illegible) {
  const link = (href, text) => el("a", { href, download: true }, text);
  const links = EXPORTS.map((kind) => link(`/api/export.${kind}`, kind.toUpperCase()));
  if (illegible) links.push(link("/api/export.csv?illegible=1", TEXTS.exportIllegible));
  links.push(link("/api/corrections.zip", TEXTS.exportCorrections));
  return [el("p", {}, TEXTS.exportWhy), el("p", { class: "links" }, ...links)];
}

function row(each) {
  const by = each.who ? `${each.who}${TEXTS.sources[each.source] ?? ""}` : (TEXTS.sources[each.source] ?? each.source);
  const when = each.at ? new Date(each.at).toLocaleString() : "";
  const values = [each.file, String(each.page), each.vin, by, when];
  return el("tr", {}, ...values.map((value, place) => el("td", place === 2 ? { class: "vin" } : {}, value)));
}

function failureList(failures) {
  return el("ul", {}, ...failures.map((each) => el("li", {}, TEXTS.failure(each))));
}
