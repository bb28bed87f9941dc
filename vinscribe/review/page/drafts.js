// What was written on cards that are not answered yet, so that nobody writes it twice after skipping a card or loading
// the page again. It is this tab's, and is forgotten when another person sits down: no one may see another's answer.

const MOST = 30;
const known = new Map(JSON.parse(sessionStorage.getItem("drafts") ?? "[]"));

// Not only the number: another archive has cards of the same numbers.
const keyOf = (card) => `${card.id} ${card.file} ${card.page}`;

function store() {
  sessionStorage.setItem("drafts", JSON.stringify([...known].slice(-MOST)));
}

export const draftOf = (card) => known.get(keyOf(card)) ?? null;

export function keepDraft(card, entry) {
  known.delete(keyOf(card)); // the newest come last
  known.set(keyOf(card), entry.chars);
  store();
}

export function dropDraft(card) {
  known.delete(keyOf(card));
  store();
}

export function dropAllDrafts() {
  known.clear();
  store();
}
