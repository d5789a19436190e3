// One WebSocket that comes back by itself, and answers to commands in plain words. Speaks the plain protocol like any other client;
// must not know the page.

/** Reconnecting waits a random time between 0 and this, doubled for each failure, ms ("full jitter"). */
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 20_000;
/** A connection that lasted this long, ms, was a good one: the next failure counts as the first. */
const GOOD_AFTER_MS = 5_000;
/** A server that leaves a command unanswered for this long, ms, is gone: twice as long as it waits for its own channel. */
const ANSWER_WITHIN_MS = 10_000;
/** Commands on their way at a time; the server stops reading at 256. */
const UNANSWERED_MAX = 64;
/** What the page says in place of an error code or a close code. The server's own `detail` follows where it helps. */
const PLAIN_WORDS = {
  bad_group: () => "That name cannot be a group: a name has 1 to 200 bytes and no control characters.",
  forbidden: (detail) => `The server does not allow that: ${detail}.`,
  limit: (detail) => `A limit of the server is reached: ${detail}.`,
  rate: () => "That was too fast for this server. Wait a moment, then try again.",
  too_large: () => "That message is larger than this server accepts.",
  unavailable: () => "The server's processes cannot reach each other right now. Nothing was sent. Try again in a moment.",
  unknown_outcome: () => "The server's processes lost each other on the way: the message may or may not have been sent.",
  draining: () => "The server is shutting down and lets nobody new in.",
  busy: () => "Too many commands are still unanswered. Wait a moment, then try again.",
  offline: () => "There is no connection right now. Nothing was sent.",
  lost: () => "The connection went down before the server answered: the message may or may not have been sent.",
  1008: () => "The server ended the connection, because one of its rules was broken.",
  1009: () => "The server ended the connection: that message is larger than it accepts.",
  4002: () => "The server ended the connection: this page could not keep up with the messages.",
};
/** After these the message may be on its way all the same. */
const MAYBE_SENT = new Set(["unknown_outcome", "internal", "storage", "lost"]);

export function plainWords(code, detail = "") {
  return Object.hasOwn(PLAIN_WORDS, code) ? PLAIN_WORDS[code](detail) : undefined;
}

/** Why a command was not carried out, in words for the person in front of the page. */
export class CommandError extends Error {
  constructor(code, detail = "", retry = false) {
    super(plainWords(code, detail.replace(/\.$/, "")) ?? `The server answered “${code}”: ${detail}`);
    this.retry = retry;
    this.isUnsent = !MAYBE_SENT.has(code);
  }
}

/**
 * One WebSocket that comes back by itself, and answers to commands. Tells `hears.opened()`, `hears.message(data)`,
 * `hears.waiting(ms, code)` and `hears.closed(code)`: closed for good, until `connect()`.
 */
export class Client {
  #hears;
  #url;
  #socket = null;
  #openedAt = 0;
  #failures = 0;
  #isOver = false;
  // The next try, or the end of patience with this one.
  #timer = 0;
  // Answers share the socket with messages, and a message can be any text: only an id that nobody can guess tells them apart.
  #prefix = Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");
  #asked = 0;
  #unanswered = new Map();

  constructor(url, hears) {
    this.#url = url;
    this.#hears = hears;
  }

  get isOpen() {
    return this.#openedAt > 0;
  }

  /** Connects now, also in the middle of a wait. Does nothing while connected or connecting. */
  connect() {
    if (this.#socket !== null) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ended(1006), ANSWER_WITHIN_MS);
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const hear = (type, listener) =>
      socket.addEventListener(type, (event) => {
        // Not of a socket that has been given up.
        if (socket === this.#socket) listener(event);
      });
    hear("open", () => {
      clearTimeout(this.#timer);
      this.#openedAt = performance.now();
      this.#hears.opened();
    });
    hear("message", ({ data }) => {
      if (!this.#isAnswer(data)) this.#hears.message(data);
    });
    hear("close", ({ code }) => this.#ended(code));
  }

  /** Connects now if it would later. Does nothing when closed for good. */
  hurry() {
    if (!this.#isOver) this.connect();
  }

  /** Sends a command. Resolves with the server's answer; rejects with a CommandError. */
  ask(cmd, fields) {
    if (!this.isOpen) return Promise.reject(new CommandError("offline", "", true));
    if (this.#unanswered.size >= UNANSWERED_MAX) return Promise.reject(new CommandError("busy", "", true));
    const id = `${this.#prefix}.${++this.#asked}`;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#ended(1006), ANSWER_WITHIN_MS);
      this.#unanswered.set(id, { resolve, reject, late });
      this.#socket.send(JSON.stringify({ cmd, ...fields, id }));
    });
  }

  #isAnswer(data) {
    if (typeof data !== "string" || !data.includes(this.#prefix)) return false;
    const answer = parse(data);
    const waiting = this.#unanswered.get(answer?.id);
    if (waiting === undefined) return false;
    this.#unanswered.delete(answer.id);
    clearTimeout(waiting.late);
    if (answer.ok === true) waiting.resolve(answer);
    else waiting.reject(new CommandError(String(answer.error), String(answer.detail ?? ""), answer.retry === true));
    return true;
  }

  // Also called for a server that has fallen silent: its close event may be minutes away, so the socket is let go of.
  #ended(code) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#failures = this.isOpen && performance.now() - this.#openedAt > GOOD_AFTER_MS ? 0 : this.#failures + 1;
    this.#openedAt = 0;
    for (const { reject, late } of this.#unanswered.values()) {
      clearTimeout(late);
      reject(new CommandError(plainWords(code) === undefined ? "lost" : code, "", true));
    }
    this.#unanswered.clear();
    // 44xx: the same would happen again. Everything else, 1012 (restart) above all, means come back.
    this.#isOver = code >= 4400 && code <= 4499;
    if (this.#isOver) return this.#hears.closed(code);
    const ms = Math.random() * Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures);
    this.#timer = setTimeout(() => this.connect(), ms);
    this.#hears.waiting(ms, code);
  }
}

/** The value of a JSON text; undefined if it is none. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A byte as two hexadecimal digits. */
export function hex(byte) {
  return byte.toString(16).padStart(2, "0");
}
