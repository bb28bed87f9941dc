// The server's answers, and which tab asks.

/** A refusal by the server, with its reason for people. Failures of the connection are other errors. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Tells this tab from others of the same browser; it stays the same when the page is loaded again. */
export const SESSION = (() => {
  const known = sessionStorage.getItem("session");
  const random = Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("");
  sessionStorage.setItem("session", known ?? random);
  return known ?? random;
})();

export const get = async (path) => (await answered(path, {})).json();

/** The answer, null if it is empty. */
export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Vinscribe": "1" };
  const text = await (await answered(path, { method: "POST", headers, body: JSON.stringify(body) })).text();
  return text ? JSON.parse(text) : null;
}

/** A picture as an address that needs no server any more, and the answer's headers. */
export async function picture(path) {
  const answer = await answered(path, {});
  return { url: URL.createObjectURL(await answer.blob()), headers: answer.headers };
}

async function answered(path, options) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(30000) });
  if (answer.status >= 500) throw new Error(`${path}: status ${answer.status}`);
  if (!answer.ok) throw new Refused(answer.status, await reason(answer));
  return answer;
}

async function reason(answer) {
  const detail = (await answer.json().catch(() => ({}))).detail;
  return typeof detail === "string" ? detail : `${answer.status} ${answer.statusText}`;
}
