// The mark of a VIN that its maker lists no model for: a hint, which comes when the server has answered.

import { get } from "./api.js";
import { byId } from "./dom.js";
import { TEXTS } from "./texts.js";
import { LENGTH } from "./vin.js";

let asked = null; // the VIN that the mark is about

/** Shows the mark of what is written, or none: while characters are missing, and where the server knows of none. */
export async function markModel(vin) {
  if (vin === asked) return;
  asked = vin;
  byId("model").textContent = "";
  if (vin.length < LENGTH) return;
  const said = await get(`/api/check/${vin}`).catch(() => null); // nobody waits for a hint
  if (said?.mark && vin === asked) byId("model").textContent = TEXTS.noSuchModel;
}
