// Draws a card: the strip as scanned, each cell above its character, the likely characters of open ones as keys.

import { byId, el } from "./dom.js";
import { markModel } from "./model.js";
import { TEXTS } from "./texts.js";
import { CHARSET, LENGTH, checkState } from "./vin.js";

const CHECK_TEXTS = { waiting: "checkWaiting", valid: "checkValid", invalid: "checkInvalid", none: "checkNone" };

const [LEAST_ZOOM, MOST_ZOOM] = [1.3, 2.6];
const HIGHEST = 0.45; // of the window: a zoomed strip

export class CardView {
  /** `write(place, char)`, `select(place)` and `clear()` are called when a person clicks; `place` null: the cursor's. */
  constructor(write, select, clear) {
    this.select = select;
    this.write = write;
    this.strip = byId("strip");
    this.inner = this.strip.querySelector(".inner");
    this.picture = this.strip.querySelector(".picture");
    this.cells = this.strip.querySelector(".cells");
    byId("pad").replaceChildren(
      ...[...CHARSET].map((char) => el("button", { type: "button", click: () => write(null, char) }, char)),
      el("button", { type: "button", "aria-label": TEXTS.clear, click: clear }, "⌫"),
    );
  }

  /** Shows a card; `image` is its strip, null to show none and only have 17 places to write in. */
  show({ card, rowInDoubt }, entry, image) {
    this.card = card;
    this.rowInDoubt = rowInDoubt && Boolean(image);
    this.bare = !image;
    this.inner.classList.toggle("bare", this.bare);
    byId("name").textContent = TEXTS.cardName(card.file, card.page);
    this.columns = Array.from({ length: LENGTH }, (_, place) => this.column(place, entry));
    this.cells.replaceChildren(...this.columns.map((column) => column.box));
    this.frames = [];
    this.picture.replaceChildren();
    if (image) {
      image.alt = TEXTS.strip;
      this.frames = Array.from({ length: LENGTH }, (_, place) => this.frame(place, entry));
      this.picture.append(image, ...this.frames);
    }
    this.strip.scrollLeft = 0;
    this.update(entry);
  }

  /** Left edge and width of a cell, in fractions of the strip. */
  span(place) {
    if (this.bare) return [place / LENGTH, 1 / LENGTH];
    const [left, right] = this.card.strip.cells[place];
    return [left / this.card.strip.width, (right - left) / this.card.strip.width];
  }

  frame(place, entry) {
    const frame = el("div", { class: "frame", click: () => this.select(place) });
    frame.classList.toggle("open", entry.open.has(place));
    this.put(frame, place);
    return frame;
  }

  column(place, entry) {
    // In the order of the alphabet: the reader's order would lead people to its first.
    const choices = this.bare ? [] : [...(this.card.choices[place] ?? [])].sort();
    const slot = el("button", { type: "button", class: "slot", tabindex: "-1", click: () => this.select(place) });
    const keys = choices.map((char) =>
      el("button", {
        ...{ type: "button", class: "choice", tabindex: "-1" },
        ...{ "aria-label": TEXTS.choice(place + 1, char), click: () => this.write(place, char) },
      }, char),
    );
    const box = el("div", { class: "column" }, slot, ...keys);
    box.classList.toggle("open", entry.open.has(place));
    this.put(box, place);
    return { box, slot, keys, choices };
  }

  put(element, place) {
    const [left, width] = this.span(place);
    element.style.left = `${100 * left}%`;
    element.style.width = `${100 * width}%`;
  }

  /** Brings characters, cursor, check digit and the mark of the model up to date. */
  update(entry) {
    this.columns.forEach(({ box, slot, keys, choices }, place) => {
      const char = entry.chars[place];
      slot.textContent = char;
      slot.setAttribute("aria-label", TEXTS.cell(place + 1, char, entry.open.has(place), choices));
      slot.tabIndex = place === (entry.at ?? 0) ? 0 : -1;
      box.classList.toggle("empty", !char);
      box.classList.toggle("written", entry.written.includes(place));
      box.classList.toggle("at", place === entry.at);
      for (const key of keys) key.classList.toggle("taken", key.textContent === char);
      this.frames[place]?.classList.toggle("at", place === entry.at);
    });
    const state = checkState(entry.vin);
    byId("check").dataset.state = state;
    byId("check").textContent = TEXTS[CHECK_TEXTS[state]];
    markModel(entry.vin);
    byId("how").textContent = this.how(entry);
    this.follow(entry.at);
  }

  how(entry) {
    if (this.rowInDoubt && entry.missing) return TEXTS.howRow;
    if (!entry.missing) return entry.at === null ? TEXTS.howDoneEnter : TEXTS.howDone;
    return this.bare && entry.missing === LENGTH ? TEXTS.howNoField : TEXTS.howOpen(entry.missing);
  }

  /** Focus goes with the cursor, so that screen readers say where it is; a zoomed strip is scrolled to it. */
  follow(at) {
    const slot = this.columns[at ?? 0].slot;
    if (at !== null && document.activeElement !== slot) slot.focus({ preventScroll: true });
    if (at === null && this.cells.contains(document.activeElement)) document.activeElement.blur();
    if (at !== null) {
      const [left, width] = this.span(at);
      this.strip.scrollLeft = (left + width / 2) * this.inner.clientWidth - this.strip.clientWidth / 2;
    }
  }

  /** Enlarges the strip, but not so far that the places below it leave the screen. */
  zoom(on) {
    this.inner.style.width = "100%";
    const room = (HIGHEST * window.innerHeight) / Math.max(1, this.picture.clientHeight);
    if (on) this.inner.style.width = `${100 * Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, room))}%`;
  }
}
