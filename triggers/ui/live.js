// Reads the data of a view repeatedly: only while the page is visible, and less and less often while reads fail.

const MAX_SECONDS = 120;

export class Live {
  /**
   * `load(signal)` reads the data, `show(data)` shows them and returns the seconds until the next read,
   * `fail(error, seconds)` reports a failed read; `seconds`: until the next attempt, null if there is none.
   */
  constructor(load, show, fail) {
    Object.assign(this, { load, show, fail });
    this.failures = 0;
    this.onVisibilityChange = () => this.visible();
    document.addEventListener("visibilitychange", this.onVisibilityChange);
    this.again();
  }

  /** Reads at once, independently of the schedule. The promise resolves when the data or the failure are shown. */
  async again() {
    clearTimeout(this.timer);
    this.reading?.abort();
    const reading = new AbortController();
    this.reading = reading;
    let seconds;
    try {
      const data = await this.load(reading.signal);
      if (reading.signal.aborted) {
        return;
      }
      this.failures = 0;
      seconds = this.show(data);
    } catch (problem) {
      if (reading.signal.aborted) {
        return;
      }
      const final = [400, 401, 403, 404].includes(problem.status);
      seconds = final ? null : Math.min(MAX_SECONDS, 5 * 2 ** this.failures++);
      this.fail(problem, seconds);
    }
    this.due = seconds === null ? null : Date.now() + seconds * 1000;
    this.plan();
  }

  stop() {
    clearTimeout(this.timer);
    this.reading?.abort();
    this.due = null;
    document.removeEventListener("visibilitychange", this.onVisibilityChange);
  }

  visible() {
    clearTimeout(this.timer);
    this.plan();
  }

  plan() {
    if (this.due !== null && this.due !== undefined && document.visibilityState === "visible") {
      this.timer = setTimeout(() => this.again(), Math.max(0, this.due - Date.now()));
    }
  }
}
