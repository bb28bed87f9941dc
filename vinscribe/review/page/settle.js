// The view Settle: one card after another. The next one is fetched beforehand and shown before the server has answered
// for the last one.

import { Refused, SESSION, post } from "./api.js";
import { CardView } from "./card.js";
import { byId, el, notice } from "./dom.js";
import { draftOf, dropAllDrafts, dropDraft, keepDraft } from "./drafts.js";
import { Entry } from "./entry.js";
import { Keys } from "./keys.js";
import { Outbox, pause } from "./outbox.js";
import { Prepared } from "./pictures.js";
import { TEXTS } from "./texts.js";
import { LENGTH, checkState } from "./vin.js";
import { WholeCard } from "./whole.js";

const TOUCH_MS = 60_000;
const AGAIN_MS = 2_000;
const ASKED_FOR = 0.6; // of the window: the whole card of whoever wants to see it
const ALL = Array.from({ length: LENGTH }, (_, place) => place);

export class Settle {
  /** `changed()` is called after each answer that the server took. */
  constructor(changed) {
    this.changed = changed;
    this.view = new CardView(
      (place, char) => this.clicked(place, (entry) => entry.write(char)),
      (place) => this.clicked(place, () => {}),
      () => this.edit((entry) => entry.clear()),
    );
    this.whole = new WholeCard();
    this.outbox = new Outbox();
    this.commands = {
      settle: { key: "Enter", run: () => this.settle() },
      zoom: { key: "Space", run: () => this.zoom() },
      whole: { key: ".", run: () => this.showWhole() },
      afresh: { key: "Esc", run: () => this.writeAfresh() },
      turn: { key: ",", run: () => this.whole.turn() },
      skip: { key: "-", run: () => this.skip() },
      illegible: { key: "F8", run: () => this.answer("illegible", {}, TEXTS.markedIllegible) },
      undo: { key: "Ctrl Z", run: () => this.undo() },
    };
    byId("commands").replaceChildren(...this.buttons());
    byId("idle").append(this.button("undo"));
    setInterval(() => this.touch(), TOUCH_MS);
    this.keys = new Keys(this);
    this.zoomed = false;
    this.seated = false; // whether this desk has a name
    this.reading = false; // whether more cards may come
    this.restart();
  }

  /** Forgets all cards: at the start, and when another person sits down. */
  restart() {
    this.now = null; // Prepared, on screen
    this.following = null; // Prepared
    this.entry = null; // what is written on the card on screen; null while there is none
    this.answered = new Map(); // card number -> characters, for undo
    this.leaving = new Set(); // numbers of cards whose answer or return is on its way to the server
    this.skipped = new Set();
  }

  buttons() {
    return Object.keys(this.commands).map((name) => this.button(name));
  }

  button(name) {
    const { key, run } = this.commands[name];
    const click = () => {
      if (this.entry) this.entry.actions += 1;
      run();
      if (this.entry) this.view.follow(this.entry.at); // or Enter would press the button once more
    };
    return el("button", { type: "button", class: `do-${name}`, click }, el("kbd", {}, key), ` ${TEXTS[name]}`);
  }

  // Cards come and go

  /** Fetches a card if there is none on screen, and somebody to settle it. */
  fill() {
    if (this.seated && !this.now && !this.outbox.waiting) this.outbox.send(() => this.fetch());
  }

  async fetch() {
    const { card, following } = await post("/api/next", { skip: [...this.skipped], session: SESSION });
    // The server still offers what is on its way to it: whoever types fast would get a card twice.
    const others = [card, following].filter((each) => each && each.id !== this.now?.card.id && !this.leaving.has(each.id));
    if (!this.now && others.length) this.show(new Prepared(others.shift()));
    if (!this.now) this.idle(!this.leaving.size);
    if (others[0]?.id === this.following?.card.id) return;
    this.following?.release();
    this.following = others.length ? new Prepared(others[0]) : null;
  }

  async show(prepared, written = draftOf(prepared.card)) {
    this.now = prepared;
    this.entry = null; // keys are for the card that is seen
    const { card } = prepared;
    const image = await this.pictureOf(prepared);
    if (this.now !== prepared) return;
    this.image = image;
    this.warned = null;
    this.shownAt = performance.now();
    byId("idle").hidden = true;
    byId("card").hidden = false;
    if (card.strip) this.open(new Entry(card.open, card.reading.vin, written), image, null);
    else this.open(new Entry(ALL, "", written), null, image);
  }

  /** Puts the card on screen with its strip, or with the whole page where there is no use in the strip. */
  open(entry, strip, page) {
    this.entry = entry;
    this.bare = !strip;
    byId("card").classList.toggle("bare", this.bare);
    byId("card").classList.toggle("nofield", !this.now.card.strip);
    this.view.show(this.now, entry, strip);
    this.view.zoom(this.zoomed && !this.bare);
    this.view.follow(entry.at);
    if (page) this.whole.show(page);
    else this.whole.hide();
    if (!page && this.now.rowInDoubt) this.withPage((found) => this.whole.show(found));
  }

  /** The decoded picture; null if the server has none, as when the scan is gone. */
  async pictureOf(prepared) {
    for (;;) {
      try {
        return await prepared.ready();
      } catch (error) {
        if (this.now !== prepared) return null;
        notice(error instanceof Refused ? error.message : TEXTS.offline, "bad");
        if (error instanceof Refused) return null;
        await pause(AGAIN_MS);
      }
    }
  }

  idle(known) {
    byId("card").hidden = true;
    byId("idle").hidden = false;
    this.entry = null;
    const [head, line] = byId("idle").children;
    head.textContent = known ? TEXTS.nothing : TEXTS.loading;
    line.textContent = known ? (this.reading ? TEXTS.nothingYet : TEXTS.nothingLeft) : "";
  }

  /** Takes the card off the screen and puts the next one on; the time since `startedAt` is measured. */
  advance(startedAt) {
    const next = this.following;
    this.now.release();
    [this.now, this.following] = [null, null];
    if (!next) {
      this.idle(false);
      return;
    }
    const measure = () => performance.measure("next-card", { start: startedAt });
    this.show(next).then(() => requestAnimationFrame(() => setTimeout(measure)));
  }

  // What a person does

  settle() {
    const { entry } = this;
    if (!this.image) notice(TEXTS.blind, "bad");
    else if (entry.missing) {
      entry.at = entry.nextEmpty(0);
      this.view.update(entry);
      notice(TEXTS.stillOpen(entry.missing), "bad");
    } else if (checkState(entry.vin) === "invalid" && this.warned !== entry.vin) {
      this.warned = entry.vin;
      notice(TEXTS.lookAgain, "bad");
    } else this.answer("settle", { vin: entry.vin }, "");
  }

  /** Sends an answer ("settle" or "illegible") and goes on at once. */
  answer(kind, content, said) {
    const startedAt = performance.now();
    const { card } = this.now;
    const effort = { keystrokes: this.entry.actions, seconds: (startedAt - this.shownAt) / 1000 };
    this.answered.set(card.id, this.entry.chars);
    dropDraft(card);
    notice(said);
    this.advance(startedAt);
    this.sendOff(card, kind, { ...content, ...effort }, 1);
  }

  skip() {
    if (!this.following) {
      notice(TEXTS.noneToSkip);
      return;
    }
    const { card } = this.now;
    this.skipped.delete(card.id); // to the end of the skipped ones
    this.skipped.add(card.id);
    notice(TEXTS.skipped);
    this.advance(performance.now());
    this.sendOff(card, "release", {}, 0);
  }

  /** Tells the server what becomes of a card that has left the screen; `answers`: whether that is a person's answer. */
  sendOff(card, what, content, answers) {
    this.leaving.add(card.id);
    const sent = this.outbox.send(async () => {
      const said = await post(`/api/cards/${card.id}/${what}`, { ...content, lease: card.lease });
      if (said?.mark && byId("notice").hidden) notice(TEXTS.settledAgainst(content.vin));
      if (answers) this.changed();
    }, answers);
    sent.then(() => this.leaving.delete(card.id));
    this.outbox.send(() => this.fetch());
  }

  /** The card answered last comes back, as it was; the one on screen becomes the next. */
  undo() {
    this.outbox.send(async () => {
      const { card } = await post("/api/undo", { session: SESSION });
      if (!card) {
        notice(TEXTS.nothingToUndo);
        return;
      }
      if (this.now) {
        this.following?.release();
        this.following = this.now;
      }
      await this.show(new Prepared(card), this.answered.get(card.id));
      notice(TEXTS.undone);
      this.changed();
    });
  }

  zoom() {
    if (this.bare) {
      this.whole.enlarge();
      return;
    }
    this.zoomed = !this.zoomed;
    this.view.zoom(this.zoomed);
    this.view.update(this.entry);
  }

  async showWhole() {
    if (this.bare) return; // it is there already
    if (this.whole.image) this.whole.hide();
    else await this.withPage((page) => this.whole.show(page, ASKED_FOR));
    this.whole.box.scrollIntoView({ block: "nearest" });
  }

  /** Where a wrong row was read, or upside down: all 17 are written from the whole card. Once more takes it back. */
  async writeAfresh() {
    const { card } = this.now;
    if (!card.strip || !this.image) return;
    const { actions } = this.entry;
    if (this.bare) this.open(new Entry(card.open, card.reading.vin), this.image, null);
    else await this.withPage((page) => this.open(new Entry(ALL, ""), null, page));
    this.entry.actions = actions;
  }

  async withPage(use) {
    const { now } = this;
    try {
      const page = await now.picture("page");
      if (this.now === now) use(page);
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  clicked(place, change) {
    this.entry.actions += 1;
    if (place !== null) this.entry.at = place;
    if (this.entry.at === null) notice(TEXTS.full);
    else this.edit(change);
  }

  /** Does `change(entry)` to what is written. */
  edit(change) {
    change(this.entry);
    keepDraft(this.now.card, this.entry);
    this.view.update(this.entry);
  }

  /** Keeps the cards on this desk while somebody works at them. */
  touch() {
    const effort = `${this.now?.card.id} ${this.entry?.actions}`;
    if (!this.entry || this.effort === effort) return;
    this.effort = effort;
    for (const { card } of [this.now, this.following].filter(Boolean))
      this.outbox.send(() => post(`/api/cards/${card.id}/touch`, { lease: card.lease }));
  }

  /** Another person sits down: the cards here go back, and nothing of what was written stays. */
  leave() {
    for (const { card } of [this.now, this.following].filter(Boolean))
      this.outbox.send(() => post(`/api/cards/${card.id}/release`, { lease: card.lease }));
    dropAllDrafts();
    this.restart();
    this.idle(false);
    return this.outbox.last;
  }
}
