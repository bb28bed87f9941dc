// A card with its pictures fetched and decoded, so that showing it takes no time.

import { picture } from "./api.js";

const ROW_IN_DOUBT = 0.05; // so little confidence mostly means that another row of the card was read
const ENOUGH_RANGE = 0.5; // between ink and paper
const LEAST_RANGE = 0.12; // less is grain

/** A card that is being made ready to be shown. */
export class Prepared {
  constructor(card) {
    this.card = card;
    this.pictures = new Map();
    this.rowInDoubt = Boolean(card.strip) && card.reading.confidence < ROW_IN_DOUBT;
    this.ready().catch(() => {}); // whoever shows the card asks again
    if (this.rowInDoubt) this.picture("page").catch(() => {});
  }

  /** The strip of its field, or the whole page where no field was found. */
  ready() {
    return this.picture(this.card.strip ? "strip" : "page");
  }

  /** The decoded picture, "strip" or "page"; fetched once. */
  picture(kind) {
    if (!this.pictures.has(kind)) {
      const loading = load(`/api/cards/${this.card.id}/${kind}${kind === "page" ? "?width=1600" : ""}`);
      this.pictures.set(kind, loading);
      loading.catch(() => this.pictures.delete(kind)); // asked for again the next time
    }
    return this.pictures.get(kind);
  }

  /** Gives the pictures' memory back. */
  release() {
    for (const loading of this.pictures.values()) loading.then((image) => URL.revokeObjectURL(image.src), () => {});
  }
}

async function load(path) {
  const { url, headers } = await picture(path);
  const image = new Image();
  image.src = url;
  image.field = JSON.parse(headers.get("X-Field") ?? "null"); // corners, in fractions of the picture
  await image.decode();
  image.style.filter = stretching(image);
  return image;
}

/** A filter that spreads the greys of a pale picture, so that faint pencil can be read; none for the others. */
function stretching(image) {
  const width = Math.min(400, image.naturalWidth);
  const height = Math.max(1, Math.round((image.naturalHeight * width) / image.naturalWidth));
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0, width, height);
  const greys = pen.getImageData(0, 0, width, height).data.filter((_, index) => index % 4 === 0).sort();
  const [dark, bright] = [0.01, 0.7].map((share) => greys[Math.floor(share * (greys.length - 1))] / 255);
  const range = Math.max(bright - dark, LEAST_RANGE);
  if (range > ENOUGH_RANGE) return "";
  // brightness(b) contrast(c) makes c (b x - 1/2) + 1/2 of x: b and c such that dark becomes 0 and bright 1.
  const contrast = 1 + (2 * (bright - range)) / range;
  return `brightness(${1 / (range * contrast)}) contrast(${contrast})`;
}
