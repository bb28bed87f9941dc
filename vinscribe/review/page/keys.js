// The keyboard of the view Settle.

import { notice } from "./dom.js";
import { TEXTS } from "./texts.js";
import { CHARSET, LENGTH, MEANT, asVin } from "./vin.js";

const NAMES = { " ": "Space", Escape: "Esc" };
const IGNORED = ["Shift", "Tab", "CapsLock", "AltGraph"];

const MOVES = {
  ArrowLeft: (entry) => entry.move(-1),
  ArrowRight: (entry) => entry.move(1),
  Home: (entry) => entry.move(-LENGTH),
  End: (entry) => entry.move(LENGTH),
  ArrowUp: (entry) => entry.moveToOpen(-1),
  ArrowDown: (entry) => entry.moveToOpen(1),
  Backspace: (entry) => entry.clear(),
  Delete: (entry) => entry.clearHere(),
};

export class Keys {
  constructor(settle) {
    this.settle = settle;
  }

  /** A key that was pressed while the view is on screen. */
  press(event) {
    const { settle } = this;
    if (event.isComposing || (event.altKey && !event.ctrlKey)) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      if (!event.repeat) settle.undo();
      return;
    }
    // Ctrl with Alt is AltGr, by which some keyboards write.
    if (!settle.entry || event.metaKey || (event.ctrlKey && !event.altKey) || IGNORED.includes(event.key)) return;
    const focused = document.activeElement;
    if (focused.closest("button, a") && !focused.closest(".slot") && ["Enter", " "].includes(event.key)) return;
    const name = NAMES[event.key] ?? event.key;
    const command = Object.values(settle.commands).find(({ key }) => key === name);
    const move = MOVES[name];
    if (!command && !move && event.key.length > 1) return;
    event.preventDefault();
    if (event.repeat && !move) return; // a key held down must not fill the next places
    settle.entry.actions += 1;
    if (command) command.run();
    else if (move) settle.edit(move);
    else this.write(event.key.toUpperCase());
  }

  write(key) {
    const char = MEANT[key] ?? key;
    if (!CHARSET.includes(char)) notice(key > "~" ? TEXTS.notLatin : TEXTS.notInVin(key), "bad");
    else if (this.settle.entry.at === null) notice(TEXTS.full);
    else {
      notice(TEXTS.meant[key] ?? "");
      this.settle.edit((entry) => entry.write(char));
    }
  }

  paste(text) {
    const { entry } = this.settle;
    if (!entry) return;
    const vin = asVin(text);
    entry.actions += 1;
    if (vin) this.settle.edit(() => entry.fill(vin));
    else notice(TEXTS.pasted, "bad");
  }
}
