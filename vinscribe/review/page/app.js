// The page's start: which view is on screen, who sits here, how far the work is.

import { Refused, get, post } from "./api.js";
import { banner, byId, el, notice } from "./dom.js";
import { Groups } from "./groups.js";
import { Results } from "./results.js";
import { Settle } from "./settle.js";
import { TEXTS, fillTexts } from "./texts.js";

const BUSY_MS = 2_500; // between looks at how things stand, while cards are awaited
const CALM_MS = 10_000;
const SOON_MS = 700;

let looking = null; // the timer of a look that was asked for

/** Looks at how things stand, soon: many answers in a row need one look. */
const changed = () => {
  looking ??= setTimeout(() => {
    looking = null;
    refresh();
  }, SOON_MS);
};

export const settle = new Settle(changed);
const views = { settle, groups: new Groups(changed), results: new Results() };

const viewName = () => (location.hash.slice(1) in views ? location.hash.slice(1) : "settle");

async function showView() {
  const name = viewName();
  for (const other of Object.keys(views)) byId(other).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  notice("");
  document.activeElement.blur(); // or Enter would follow the link once more
  if (name === "settle") settle.fill();
  else await views[name].open().catch((error) => notice(error.message, "bad"));
}

/** Brings the counts up to date; false if there is no name for this desk yet, or no answer. */
async function refresh() {
  let state;
  try {
    state = await get("/api/state");
  } catch (error) {
    if (error instanceof Refused) banner(error.status === 401 ? TEXTS.tokenNeeded : error.message);
    else if (!settle.outbox.unsaved) banner(TEXTS.offline);
    return false;
  }
  const { counts, reading, desk } = state;
  if (!settle.outbox.unsaved) banner(reading.error ?? "");
  Object.assign(settle, { seated: Boolean(desk), reading: reading.running });
  const progress = [TEXTS.toSettle(counts.open), ...(reading.running ? [TEXTS.readingScans(reading)] : [])];
  byId("progress").textContent = progress.join(", ");
  byId("desk").textContent = desk ? TEXTS.desk(desk) : "";
  byId("desk").hidden = !desk;
  if (!desk && !byId("deskdialog").open) byId("deskdialog").showModal();
  return Boolean(desk);
}

async function watch() {
  if ((await refresh()) && viewName() === "settle") settle.fill();
  setTimeout(watch, settle.reading || !settle.entry ? BUSY_MS : CALM_MS);
}

function setUpDesk() {
  const dialog = byId("deskdialog");
  const problem = (text) => {
    byId("deskproblem").textContent = text;
    byId("deskproblem").hidden = !text;
  };
  byId("desk").addEventListener("click", () => {
    byId("deskname").value = "";
    dialog.showModal();
  });
  dialog.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = byId("deskname").value.trim();
    problem(name ? "" : TEXTS.deskNameless);
    if (!name) return;
    try {
      await settle.leave();
      await post("/api/desk", { name });
      dialog.close();
      if (await refresh()) await showView();
    } catch (error) {
      problem(error instanceof Refused ? error.message : TEXTS.offline);
    }
  });
}

function setUpKeys() {
  const rows = (keys) => keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)]);
  byId("keys").append(...rows(TEXTS.keys));
  byId("keysgroups").append(...rows(TEXTS.keysGroups));
  byId("help").addEventListener("click", () => byId("keysdialog").showModal());
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.closest("input")) return;
    if (event.key === "?") byId("keysdialog").showModal();
    else views[viewName()].keys?.press(event);
  });
  document.addEventListener("paste", (event) => {
    if (viewName() !== "settle" || document.querySelector("dialog[open]")) return;
    settle.keys.paste(event.clipboardData.getData("text"));
  });
  // Whoever touches the screen may have no keyboard: the 33 characters come as buttons.
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") byId("pad").hidden = false;
  });
  byId("pad").hidden = !window.matchMedia("(pointer: coarse)").matches;
}

fillTexts(document);
setUpDesk();
setUpKeys();
window.addEventListener("hashchange", showView);
window.addEventListener("beforeunload", (event) => {
  if (settle.outbox.unsaved) event.preventDefault(); // the browser asks whether to leave
});
showView();
watch();
