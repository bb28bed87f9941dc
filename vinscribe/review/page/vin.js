// Facts about VINs, the same as in vinscribe/vin.py. Source: 49 CFR 565.15, tables III to V.

export const CHARSET = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
export const LENGTH = 17;

/** Letters that no VIN has, and what they are taken as. */
export const MEANT = { I: "1", O: "0", Q: "0" };

const VALUES = [..."0123456789", ..."12345678", ..."12345", "7", "9", ..."23456789"].map(Number);
const WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const CHECK_CHARS = "0123456789X";
const CHECK_POSITION = 8;

/** The check digit that 17 VIN characters have by the rule. */
export function checkDigit(vin) {
  const sum = [...vin].reduce((total, char, place) => total + VALUES[CHARSET.indexOf(char)] * WEIGHTS[place], 0);
  return CHECK_CHARS[sum % 11];
}

/** Whether all makers registered where this VIN's maker is must write a check digit: North America and China. */
export function checkDigitApplies(vin) {
  return "123457HL".includes(vin[0]);
}

/** "waiting" (not all 17 yet), "valid", "invalid", or "none": not valid, but this maker need not write one. */
export function checkState(vin) {
  if (vin.length < LENGTH) return "waiting";
  if (checkDigit(vin) === vin[CHECK_POSITION]) return "valid";
  return checkDigitApplies(vin) ? "invalid" : "none";
}

/** What a text becomes as a VIN: capitals, I O Q as what was meant, no blanks or dashes; null if it is none. */
export function asVin(text) {
  const vin = [...text.toUpperCase().replace(/[\s-]/g, "")].map((char) => MEANT[char] ?? char).join("");
  return vin.length === LENGTH && [...vin].every((char) => CHARSET.includes(char)) ? vin : null;
}
