// The view Groups: all cells read as one character side by side; the odd ones are pointed out, the rest confirmed.

import { Refused, get, picture, post } from "./api.js";
import { byId, el, notice } from "./dom.js";
import { TEXTS } from "./texts.js";
import { CHARSET } from "./vin.js";

const LIMIT = 120;

export class Groups {
  constructor(changed) {
    this.changed = changed;
    this.root = byId("groups");
    this.tiles = [];
    this.char = null;
    this.keys = this;
  }

  /** Called when the view comes on screen. */
  async open() {
    await (this.char ? this.openGroup(this.char) : this.openAll());
  }

  async openAll() {
    this.char = null;
    this.tiles = [];
    const counts = await get("/api/group");
    const chars = [...CHARSET].filter((char) => counts[char]);
    const buttons = chars.map((char) => {
      const label = TEXTS.groupName(char, counts[char]);
      const count = el("small", {}, TEXTS.groupCount(counts[char]));
      return el("button", { type: "button", "aria-label": label, click: () => this.openGroup(char) }, char, count);
    });
    this.root.replaceChildren(
      el("h2", {}, TEXTS.groupsTitle),
      el("p", {}, chars.length ? TEXTS.groupsWhy : TEXTS.groupsEmpty),
      el("div", { class: "chars" }, ...buttons),
    );
  }

  async openGroup(char) {
    this.char = char;
    this.sending = false;
    const cells = await get(`/api/group/${char}?limit=${LIMIT}`);
    if (!cells.length) {
      await this.openAll();
      return;
    }
    this.tiles = cells.map((cell) => this.tile(cell));
    this.context = el("div", { class: "context" }, el("p", {}, TEXTS.groupContext));
    this.grid = el("div", { class: "grid" }, ...this.tiles.map((tile) => tile.box));
    this.confirmButton = el("button", { type: "button", class: "main", click: () => this.goOn() });
    const back = el("button", { type: "button", click: () => this.openAll() }, TEXTS.groupBack);
    const head = el("div", { class: "headline" }, el("h2", {}, TEXTS.groupTitle(char)), back);
    const foot = el("div", { class: "foot" }, this.confirmButton);
    this.root.replaceChildren(el("div", { class: "top" }, head, this.context), this.grid, foot);
    this.watch();
    this.tiles[0].box.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    this.update();
  }

  tile(cell) {
    const tile = { ...cell, odd: false, state: "loading", seen: false };
    const label = TEXTS.groupCell(this.char, cell.card, cell.position + 1);
    const image = el("img", {
      ...{ src: `/api/cards/${cell.card}/cells/${cell.position}`, alt: "", decoding: "async" },
      load: () => this.loaded(tile, "shown"),
      error: () => this.loaded(tile, "broken"),
    });
    const click = () => this.toggle(tile);
    tile.box = el("button", { type: "button", "aria-pressed": "false", "aria-label": label, click }, image);
    return tile;
  }

  loaded(tile, state) {
    tile.state = state;
    tile.box.classList.toggle("broken", state === "broken");
    this.update();
  }

  /** Notes which tiles were on screen as a whole: nothing is confirmed unseen. */
  watch() {
    this.watching?.disconnect();
    const tiles = new Map(this.tiles.map((tile) => [tile.box, tile]));
    const look = (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) tiles.get(target).seen = true;
      this.update();
    };
    this.watching = new IntersectionObserver(look, { threshold: 0.9 });
    for (const box of tiles.keys()) this.watching.observe(box);
  }

  /** "wait" for pictures, "more" to look at, or "confirm". */
  get step() {
    if (this.tiles.some((tile) => tile.seen && tile.state === "loading")) return "wait";
    if (!this.tiles.every((tile) => tile.seen)) return "more";
    return "confirm";
  }

  get parted() {
    const shown = this.tiles.filter((tile) => tile.state === "shown");
    return { odd: shown.filter((tile) => tile.odd), right: shown.filter((tile) => !tile.odd) };
  }

  update() {
    if (!this.confirmButton) return;
    const { odd, right } = this.parted;
    const texts = { wait: TEXTS.groupWait, more: TEXTS.groupMore, confirm: TEXTS.groupConfirm(odd.length, right.length) };
    this.confirmButton.textContent = texts[this.step];
    this.confirmButton.disabled = this.step === "wait" || this.sending;
  }

  toggle(tile) {
    tile.odd = !tile.odd;
    tile.box.setAttribute("aria-pressed", tile.odd);
    tile.box.focus({ preventScroll: true });
    this.update();
    this.showContext(tile);
  }

  goTo(tile) {
    if (!tile) return;
    tile.box.focus();
    this.showContext(tile);
  }

  /** The whole field that a cell is from. */
  async showContext(tile) {
    this.looking = tile;
    try {
      const { url, headers } = await picture(`/api/cards/${tile.card}/strip`);
      const image = el("img", { src: url, alt: TEXTS.strip });
      await image.decode();
      if (this.looking !== tile) return;
      const [left, right] = JSON.parse(headers.get("X-Cells"))[tile.position];
      const frame = el("div", { class: "frame at" });
      const box = el("div", { class: "picture" }, image, frame);
      const fit = Math.min(this.context.clientWidth / image.naturalWidth, this.context.clientHeight / image.naturalHeight);
      box.style.width = `${fit * image.naturalWidth}px`;
      frame.style.left = `${(100 * left) / image.naturalWidth}%`;
      frame.style.width = `${(100 * (right - left)) / image.naturalWidth}%`;
      this.context.replaceChildren(box);
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  /** Confirms what was seen, or goes on to what was not. */
  async goOn() {
    if (this.step === "wait" || this.sending) return;
    if (this.step === "more") {
      const next = this.tiles.find((tile) => !tile.seen);
      next.box.scrollIntoView({ block: "start", behavior: "instant" });
      next.box.focus({ preventScroll: true });
      return;
    }
    const { odd, right } = this.parted;
    const pairs = (tiles) => tiles.map((tile) => [tile.card, tile.position]);
    this.sending = true;
    this.update();
    try {
      await post("/api/group", { confirmed: pairs(right), odd: pairs(odd) });
      const broken = this.tiles.length - odd.length - right.length;
      notice(TEXTS.groupDone(odd.length, right.length) + (broken ? ` ${TEXTS.groupBroken(broken)}` : ""));
      this.changed();
      await (broken ? this.openAll() : this.openGroup(this.char));
    } catch (error) {
      this.sending = false;
      this.update();
      notice(error instanceof Refused ? TEXTS.notTaken(error.message) : TEXTS.offline, "bad");
    }
  }

  /** A key that was pressed while the view is on screen. */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const char = event.key.toUpperCase();
    if (event.key.length === 1 && CHARSET.includes(char)) this.openGroup(char);
    const at = this.tiles.findIndex((tile) => tile.box === document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step) this.goTo(this.tiles[at + step]);
    else if (event.key === "Enter") this.goOn();
    else return;
    event.preventDefault();
  }
}
