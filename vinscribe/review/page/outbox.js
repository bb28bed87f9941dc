// Sends requests one after the other; one that meets no server is sent again until it meets one.

import { Refused } from "./api.js";
import { banner, notice } from "./dom.js";
import { TEXTS } from "./texts.js";

const AGAIN_MS = 2_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Outbox {
  constructor() {
    this.last = Promise.resolve();
    this.waiting = 0;
    this.unsaved = 0;
  }

  /** `request()` is done after all that were given before; `answers`: how many of a person's answers it carries. */
  send(request, answers = 0) {
    this.waiting += 1;
    this.unsaved += answers;
    this.last = this.last.then(async () => {
      while (!(await this.done(request))) await pause(AGAIN_MS);
      this.waiting -= 1;
      this.unsaved -= answers;
    });
    return this.last;
  }

  async done(request) {
    try {
      await request();
      banner("");
    } catch (error) {
      if (!(error instanceof Refused)) {
        console.warn(error);
        banner(this.unsaved ? TEXTS.unsaved(this.unsaved) : TEXTS.offline);
        return false;
      }
      notice(TEXTS.notTaken(error.message), "bad");
    }
    return true;
  }
}
