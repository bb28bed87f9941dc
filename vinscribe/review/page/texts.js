// Every text that people see, in one place.

const some = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const percent = (rate, digits = 1) => `${(100 * rate).toLocaleString("en", { maximumFractionDigits: digits })} %`;

/** How many cells a group has; the server does not count further than so many. */
const MOST_COUNTED = 1000;
const cells = (count) => (count >= MOST_COUNTED ? `${MOST_COUNTED.toLocaleString("en")}+` : String(count));

export const TEXTS = {
  viewSettle: "Settle",
  viewGroups: "Groups",
  viewResults: "Results",
  views: "Views",
  desk: (name) => `Desk: ${name}`,
  deskTitle: "Who is at this desk?",
  deskWhy: "Your name is kept with every card that you settle.",
  deskLabel: "Name",
  deskButton: "Start",
  deskNameless: "Please write a name.",
  close: "Close",

  toSettle: (count) => some(count, "card to settle", "cards to settle"),
  readingScans: ({ done, total }) =>
    `reading scans: ${done.toLocaleString("en")} of ${total === null ? "…" : total.toLocaleString("en")}`,

  cardName: (file, page) => `${file}, page ${page}`,
  strip: "The VIN field as scanned",
  cell: (place, char, open, choices) =>
    `Character ${place}: ${char || "open"}${open && choices.length ? `, likely ${choices.join(" or ")}` : ""}`,
  cells: "The 17 characters",
  choice: (place, char) => `Character ${place} is ${char}`,
  pad: "Characters",
  clear: "Take the last character back",

  howOpen: (count) => `${some(count, "character is", "characters are")} open: type what you see.`,
  howRow: "Is this row the VIN? Look at the card. If it is not, Esc lets you type all 17.",
  howDone: "All 17 are there.",
  howDoneEnter: "All 17 are there. Enter settles the card.",
  howNoField: "Type the whole VIN as you see it on the card.",
  nothing: "Nothing to settle",
  nothingYet: "Scans are being read. The first card to settle comes by itself.",
  nothingLeft: "Every card is settled, or at another desk.",
  loading: "Fetching the next card …",

  checkWaiting: "Check digit: waits for all 17",
  checkValid: "Check digit: valid",
  checkInvalid: "Check digit: not valid",
  checkNone: "Check digit: this maker need not write one",
  noSuchModel: "No such model of this maker: compare characters 4 to 8",

  settle: "Settle",
  zoom: "Zoom",
  whole: "Whole card",
  afresh: "Type all 17",
  turn: "Turn",
  skip: "Skip",
  illegible: "Illegible",
  undo: "Undo last card",
  keysButton: "Keys",

  meant: { I: "A VIN has no I: taken as 1.", O: "A VIN has no O: taken as 0.", Q: "A VIN has no Q: taken as 0." },
  notInVin: (key) => `A VIN has no ${key}.`,
  notLatin: "That key is no Latin letter. Switch the keyboard to Latin letters.",
  full: "All 17 are there. Enter settles; arrows choose a character to change.",
  stillOpen: (count) => `Not settled: ${some(count, "character is", "characters are")} still open.`,
  lookAgain: "This check digit is not valid, and this maker writes one. Look once more; Enter again settles the card as it stands.",
  settledAgainst: (vin) => `${vin}: no such model of this maker, as far as is known. It counts all the same; Undo brings the card back.`,
  pasted: "That is no VIN of 17 characters.",
  skipped: "Skipped: it comes again at the end.",
  blind: "The scan cannot be shown, so the card cannot be settled. Skip it.",
  noneToSkip: "This is the only card left here; no other desk has it.",
  markedIllegible: "Marked as illegible. Undo takes it back.",
  undone: "Your last card is open again.",
  nothingToUndo: "There is nothing of yours to take back.",
  notTaken: (why) => `Not taken: ${why}`,
  unsaved: (count) => `The program does not answer. ${some(count, "answer is", "answers are")} not saved yet; trying again.`,
  offline: "The program does not answer; trying again.",
  tokenNeeded: "This desk asks for a token: open the address that the program printed when it started.",

  keysTitle: "Keys",
  keys: [
    ["0–9 A–Z", "write a character; the cursor goes to the next open one"],
    ["Enter", "settle the card, when all 17 are there"],
    ["Backspace", "take the last character back; Delete: empty the one at the cursor"],
    ["← →", "choose a character to change; Home and End: first and last"],
    ["↑ ↓", "previous or next doubtful character"],
    ["Space", "zoom"],
    [".", "the whole card, and back"],
    ["Esc", "type all 17 from the whole card, as when a wrong row was read; and back"],
    [",", "turn the whole card"],
    ["-", "skip the card: it comes again at the end"],
    ["F8", "the VIN is illegible"],
    ["Ctrl Z", "undo: your last card again"],
    ["?", "these keys"],
  ],
  keysGroups: [
    ["0–9 A–Z", "the group of that character"],
    ["← → ↑ ↓", "go from cell to cell; the whole field of each is shown"],
    ["Space", "odd, or not odd after all"],
    ["Enter", "confirm the rest, once all were on screen"],
  ],
  keysOfGroups: "In the view Groups",

  groupsTitle: "Characters that were read automatically",
  groupsWhy: "Each group holds cells that were all read as the same character, the least sure first. Point out those that show another one.",
  groupCount: cells,
  groupName: (char, count) => `${char}: ${cells(count)} ${count === 1 ? "cell" : "cells"} to check`,
  groupTitle: (char) => `All of these were read as ${char}. Click the odd ones.`,
  groupCell: (char, file, place) => `Read as ${char}, card ${file}, character ${place}`,
  groupContext: "Click a cell to see its whole field here.",
  groupBack: "All groups",
  groupConfirm: (odd, rest) =>
    (odd ? `${some(odd, "is", "are")} odd and will be settled` : `None is odd: confirm all ${rest}`) +
    (odd && rest ? `; confirm the other ${rest}` : ""),
  groupMore: "Look at the rest first ↓",
  groupWait: "Fetching the cells …",
  groupBroken: (count) => `${some(count, "cell", "cells")} could not be shown and will stay unchecked.`,
  groupDone: (odd, rest) => `${some(rest, "cell", "cells")} confirmed${odd ? `, ${some(odd, "card", "cards")} to settle` : ""}.`,
  groupsEmpty: "There is nothing to check yet: groups fill up as scans are read.",

  countsTitle: "Cards",
  counts: {
    total: "read",
    accepted: "accepted automatically",
    settled: "settled by people",
    open: "to settle",
    illegible: "illegible",
    no_field: "without a VIN field",
    failed: "pages that could not be read",
  },
  auditTitle: "Error of automatic acceptance",
  auditNone: "No accepted card has been checked by a person yet. A share of them is slipped into the queue.",
  audit: (audit) => `${audit.wrong.toLocaleString("en")} of ${audit.checked.toLocaleString("en")} accepted cards that people checked unawares were wrong.`,
  auditRange: (audit) => `The true error lies between ${percent(audit.low, 2)} and ${percent(audit.high, 2)} (95 % certain).`,
  thresholdTitle: "What another threshold would mean",
  thresholdNone: "Settle some cards first: this is worked out from what people settled.",
  thresholdLabel: "Accept from this confidence on",
  threshold: (step) =>
    `At ${percent(step.threshold, 4)}, ${some(step.people, "card", "cards")} would need a person. Of those accepted, ` +
    (step.known ? `${step.known.toLocaleString("en")} were settled by people, who read ${step.errors.toLocaleString("en")} of them otherwise.` : "none has been settled by people yet."),
  exportTitle: "Take the results out",
  exportWhy: "Accepted and settled VINs, with who, when and from which scan.",
  exportIllegible: "CSV with the illegible cards",
  exportCorrections: "Corrected cells, to teach the reader (ZIP)",
  latestTitle: "Results",
  latestColumns: ["Scan", "Page", "VIN", "By", "When"],
  latestNone: "No results yet.",
  more: "More",
  sources: { accepted: "automatic", settled: "", double: " (two people)" },
  failuresTitle: "Could not be read",
  failure: (each) => `${each.file}${each.page ? `, page ${each.page}` : ""}: ${each.error}`,
};

/** Writes the texts into elements that ask for one by data-text (content) or data-label (accessible name). */
export function fillTexts(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = TEXTS[element.dataset.text];
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", TEXTS[element.dataset.label]);
}
