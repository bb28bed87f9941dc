// What a person has written of a VIN: 17 places, some of them open, and where the cursor is. Knows nothing of the page.

import { LENGTH } from "./vin.js";

export class Entry {
  /**
   * The doubtful places `open` start empty, the others with what was read; `draft` is what this person wrote before.
   * `at` is the place of the cursor, null when nothing is left to write.
   */
  constructor(open, read, draft = null) {
    this.open = new Set(open);
    this.chars = Array.from({ length: LENGTH }, (_, place) => (this.open.has(place) ? "" : read[place]));
    if (draft) this.chars = [...draft];
    this.written = []; // places, in the order they were written
    this.actions = 0; // keys and clicks
    this.at = this.nextEmpty(0) ?? (draft ? (open[0] ?? null) : null);
  }

  get vin() {
    return this.chars.join("");
  }

  get missing() {
    return this.chars.filter((char) => !char).length;
  }

  /** Writes at the cursor and goes on: to the next empty place, or one to the right if something was written over. */
  write(char) {
    const place = this.at;
    const over = this.chars[place] !== "";
    this.chars[place] = char;
    this.written.push(place);
    if (over) this.at = place + 1 < LENGTH ? place + 1 : this.nextEmpty(0);
    else this.at = this.nextEmpty(place + 1);
  }

  /** Empties the place at the cursor; if that is empty already, or there is no cursor, the place written last. */
  clear() {
    if (this.at === null || !this.chars[this.at]) this.at = this.written.at(-1) ?? this.at;
    this.clearHere();
  }

  clearHere() {
    if (this.at === null) return;
    this.chars[this.at] = "";
    this.written = this.written.filter((place) => place !== this.at);
  }

  /** Takes a whole VIN. */
  fill(vin) {
    this.chars = [...vin];
    this.at = null;
  }

  move(step) {
    const from = this.at ?? (step > 0 ? -1 : LENGTH);
    this.at = Math.min(LENGTH - 1, Math.max(0, from + step));
  }

  /** Goes to the previous (-1) or next (1) doubtful place, round the ends. */
  moveToOpen(step) {
    const places = [...this.open].sort((a, b) => (a - b) * step);
    const from = this.at ?? (step > 0 ? -1 : LENGTH);
    this.at = places.find((place) => (place - from) * step > 0) ?? places[0] ?? this.at;
  }

  /** The first empty place from `from` on, round the end; null if there is none. */
  nextEmpty(from) {
    const places = Array.from({ length: LENGTH }, (_, step) => (from + step) % LENGTH);
    return places.find((place) => !this.chars[place]) ?? null;
  }
}
