// What a consumer needs that knows nothing of events.

const LONGEST_REASON = 4096; // bytes

/**
 * A reason as the daemon takes it.
 * @param {string} reason
 */
export function cut(reason) {
  const bytes = Buffer.from(reason);
  // A character that is cut in two becomes one of three bytes.
  return bytes.length <= LONGEST_REASON
    ? bytes.toString()
    : bytes.toString("utf8", 0, LONGEST_REASON - 3);
}

/** Those who wait until something has changed. */
export class Changes {
  /** @type {Set<(told: boolean) => void>} */ #waiting = new Set();

  tell() {
    for (const each of [...this.#waiting]) each(true);
  }

  /**
   * @param {number} deadline
   * @returns {Promise<boolean>} false if the time ran out
   */
  wait(deadline) {
    return new Promise((resolve) => {
      /** @type {NodeJS.Timeout | undefined} */
      let timer;
      /** @param {boolean} told */
      const done = (told) => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve(told);
      };
      this.#waiting.add(done);
      if (deadline !== Infinity)
        timer = setTimeout(done, Math.max(0, deadline - Date.now()), false);
    });
  }
}
