// The whole card, its field outlined; it can be turned and enlarged.

import { byId } from "./dom.js";
import { TEXTS } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const LARGER = 2.4;
const BARE = 0.55; // of the window: a card that all 17 are typed from

export class WholeCard {
  constructor() {
    this.box = byId("whole");
    this.box.addEventListener("click", (event) => this.enlargeAt(event));
    new ResizeObserver(() => this.layOut()).observe(this.box);
  }

  /** Shows a page, decoded, at least so high, in heights of the window. */
  show(image, least = 0.3) {
    this.image = image;
    this.least = least;
    this.turns = 0;
    this.large = false;
    image.alt = TEXTS.whole;
    this.sheet = document.createElement("div");
    this.sheet.className = "sheet";
    this.sheet.append(image, outline(image));
    this.box.replaceChildren(this.sheet);
    this.box.hidden = false;
    this.layOut();
  }

  hide() {
    this.box.hidden = true;
    this.box.replaceChildren();
    this.image = null;
  }

  turn() {
    this.turns = (this.turns + 1) % 4;
    this.layOut();
  }

  /** Enlarges or shrinks; `at` is what comes into the middle, as fractions of the sheet: the field if not said. */
  enlarge(at = middle(this.image.field ?? [[0.5, 0.3]])) {
    this.large = !this.large;
    this.layOut();
    this.box.scrollLeft = at.x * this.box.scrollWidth - this.box.clientWidth / 2;
    this.box.scrollTop = at.y * this.box.scrollHeight - this.box.clientHeight / 2;
  }

  enlargeAt(event) {
    if (!this.image) return;
    const place = this.box.getBoundingClientRect();
    this.enlarge({
      x: (event.clientX - place.left + this.box.scrollLeft) / this.box.scrollWidth,
      y: (event.clientY - place.top + this.box.scrollTop) / this.box.scrollHeight,
    });
  }

  layOut() {
    if (!this.image) return;
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const sideways = this.turns % 2 === 1;
    const [shownWidth, shownHeight] = sideways ? [height, width] : [width, height];
    const below = window.innerHeight - this.box.offsetTop - 24;
    const room = this.box.closest(".bare") ? BARE * window.innerHeight : Math.max(below, this.least * window.innerHeight);
    const fit = Math.min(this.box.clientWidth / shownWidth, room / shownHeight);
    const scale = fit * (this.large ? LARGER : 1);
    // The sheet is turned about its middle and then moved so that its new top left corner is at 0, 0.
    const shift = ((shownWidth - width) * scale) / 2;
    const beside = Math.max(0, (this.box.clientWidth - shownWidth * scale) / 2);
    Object.assign(this.sheet.style, {
      width: `${width * scale}px`,
      height: `${height * scale}px`,
      transform: `translate(${beside + shift}px, ${-shift}px) rotate(${90 * this.turns}deg)`,
      marginBottom: `${(shownHeight - height) * scale}px`,
      marginRight: `${(shownWidth - width) * scale}px`,
    });
    this.box.style.height = `${shownHeight * fit + 2}px`;
  }
}

function outline(image) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${image.naturalWidth} ${image.naturalHeight}`);
  if (image.field) {
    const line = document.createElementNS(SVG, "polygon");
    const points = image.field.map(([x, y]) => `${x * image.naturalWidth},${y * image.naturalHeight}`);
    line.setAttribute("points", points.join(" "));
    drawing.append(line);
  }
  return drawing;
}

function middle(points) {
  const mean = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return { x: mean(0), y: mean(1) };
}
