// The page's program: one WebSocket, one group at a time. Speaks the plain protocol like any other client and knows nothing else of
// the server. The protocol delivers a message without its group or its sender, so the page is in one group and never names a sender.

/** Reconnecting waits a random time between 0 and this, doubled for each failure, ms ("full jitter"). */
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 20_000;
/** A connection that lasted this long, ms, was a good one: the next failure counts as the first. */
const GOOD_AFTER_MS = 5_000;
/** A server that leaves a command unanswered for this long, ms, is gone: twice as long as it waits for its own channel. */
const ANSWER_WITHIN_MS = 10_000;
/** Commands on their way at a time; the server stops reading at 256. */
const UNANSWERED_MAX = 64;
/** The members are counted this often while somebody looks, ms, and this soon after a message. */
const COUNT_EVERY_MS = 2_000;
const COUNT_AFTER_MS = 300;
/** Rows on the page; the oldest go first. */
const ROWS_MAX = 200;
/** Characters of one message that are shown, and bytes of a binary one. */
const SHOWN_CHARACTERS_MAX = 2_000;
const SHOWN_BYTES_MAX = 64;
/** Dots on the ring; the number in the middle says how many there are. */
const DOTS_MAX = 24;

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

function plainWords(code, detail = "") {
  return Object.hasOwn(PLAIN_WORDS, code) ? PLAIN_WORDS[code](detail) : undefined;
}

/** Why a command was not carried out, in words for the person in front of the page. */
class CommandError extends Error {
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
class Client {
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

/** The last messages and notes. Drawn once per frame, so that a flood costs what one screen costs. */
class Log {
  #scroller = at("log");
  #rows = at("rows");
  #fresh = [];
  #isDrawing = false;
  #isFollowing = true;

  constructor() {
    this.#scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
      this.#isFollowing = scrollHeight - scrollTop - clientHeight < 40;
      if (this.#isFollowing) at("newest").hidden = true;
    });
    at("newest").addEventListener("click", () => this.follow());
    // The field below grows with its text, and takes from here.
    new ResizeObserver(() => {
      if (this.#isFollowing) this.follow();
    }).observe(this.#scroller);
  }

  message(data) {
    // Whoever pressed the button by keyboard goes on from the field.
    if (at("hello").matches(":focus-visible")) at("message").focus();
    at("empty").hidden = true;
    this.#add(messageRow(data, new Date()));
  }

  note(text) {
    this.#add(element("li", "note", text));
  }

  /** Goes to the newest row and stays with it, until somebody scrolls back. */
  follow() {
    this.#isFollowing = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #add(row) {
    this.#fresh.push(row);
    if (this.#fresh.length > ROWS_MAX) this.#fresh.shift();
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#rows.append(...this.#fresh.splice(0));
      while (this.#rows.childElementCount > ROWS_MAX) this.#rows.firstElementChild.remove();
      if (this.#isFollowing) this.follow();
      else at("newest").hidden = false;
    });
  }
}

function messageRow(data, now) {
  const row = element("li", "message new");
  const time = element("time", "", now.toTimeString().slice(0, 8));
  time.dateTime = now.toISOString();
  const isText = typeof data === "string";
  const text = isText ? data.slice(0, SHOWN_CHARACTERS_MAX) : hexDump(data);
  // Text that is a JSON object or array is shown as the code that it is; nothing in it is changed.
  const body = element("p", isText && !isJson(data) ? "" : "mono", text);
  body.dir = "auto";
  const rest = isText ? data.length - text.length : 0;
  if (rest > 0) body.append(element("span", "cut", ` … and ${rest.toLocaleString()} more characters`));
  if (!isText) body.append(element("span", "cut", ` binary, ${data.byteLength.toLocaleString()} bytes`));
  row.append(time, body);
  return row;
}

function hexDump(buffer) {
  const shown = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, SHOWN_BYTES_MAX));
  return Array.from(shown, hex).join(" ") + (buffer.byteLength > SHOWN_BYTES_MAX ? " …" : "");
}

/** The group as a ring: a dot for each member, this page's own in the accent colour, and a ripple for each message. */
class Ring {
  #svg = at("ring");
  #dots = [];

  show(members, isMember) {
    const count = at("ring-count");
    count.textContent = members === null ? "–" : members.toLocaleString();
    count.toggleAttribute("data-long", count.textContent.length > 3);
    const shown = Math.min(members ?? 0, DOTS_MAX);
    while (this.#dots.length > shown) this.#dots.pop().remove();
    while (this.#dots.length < shown) this.#dots.push(this.#svg.appendChild(circle("dot", 50, 9)));
    for (const [index, dot] of this.#dots.entries()) {
      dot.setAttribute("r", shown > 12 ? 5.5 : 7.5);
      dot.style.transform = `rotate(${(index * 360) / shown}deg)`;
      dot.classList.toggle("me", isMember && index === 0);
    }
  }

  ripple() {
    // A flood looks like a flood with three at a time.
    if (document.hidden || this.#svg.getElementsByClassName("ripple").length >= 3) return;
    const ripple = circle("ripple", 50, 50, 25);
    this.#svg.prepend(ripple);
    ripple.addEventListener("animationend", () => ripple.remove());
    // Without motion there is no end of it.
    setTimeout(() => ripple.remove(), 2_000);
  }
}

function at(id) {
  return document.getElementById(id);
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function circle(className, cx, cy, r = 7) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ class: className, cx, cy, r })) made.setAttribute(name, value);
  return made;
}

function hex(byte) {
  return byte.toString(16).padStart(2, "0");
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isJson(text) {
  return /^\s*[[{]/.test(text) && parse(text) !== undefined;
}

const address = new URL(".", location.href.split(/[?#]/, 1)[0]);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";

const log = new Log();
const ring = new Ring();
/**
 * `group` is counted and sent to; `wanted` is the group that the person wants to be in, `joined` the one that the server confirmed.
 *
 * @type {{ group: string, wanted: string | null, joined: string | null, members: number | null, isSettling: boolean, isCounting: boolean, unread: number }
 */
const state = {
  group: groupOfHash() ?? "lobby",
  wanted: null,
  joined: null,
  members: null,
  isSettling: false,
  isCounting: false,
  unread: 0,
};
let countTimer = 0;
let waitTimer = 0;

const client = new Client(address.href, {
  opened() {
    showLink("open", "Connected");
    void settle();
  },
  message(data) {
    log.message(data);
    ring.ripple();
    if (document.hidden) state.unread++;
    showTitle();
    countSoon();
  },
  waiting(ms, code) {
    dropped(code);
    showLink("waiting", "Reconnecting", ms);
  },
  closed(code) {
    dropped(code);
    showLink("closed", `Closed by the server, ${code}`);
  },
});

function dropped(code) {
  if (state.joined !== null) log.note(code === 1012 ? "The server is restarting." : "The connection was lost.");
  const words = plainWords(code);
  if (words !== undefined) complain(words);
  state.joined = null;
  state.members = null;
  show();
}

/** Leaves and joins until the membership is what the person wants. What fails for a while is tried again by the next count. */
async function settle() {
  if (state.isSettling) return;
  state.isSettling = true;
  show();
  while (client.isOpen && state.joined !== state.wanted) {
    const isLeaving = state.joined !== null;
    const group = state.joined ?? state.wanted;
    try {
      await client.ask(isLeaving ? "leave_group" : "add_group", { group_id: group });
    } catch (error) {
      if (client.isOpen) complain(error.message);
      if (error.retry || isLeaving) break;
      if (state.wanted === group) state.wanted = null;
      continue;
    }
    state.joined = isLeaving ? null : group;
    log.note(`You ${isLeaving ? "left" : "joined"} ${group}.`);
    excuse();
  }
  state.isSettling = false;
  show();
  void count();
}

/** Chooses a group and joins it. */
function enter(group) {
  if (group !== state.group) state.members = null;
  Object.assign(state, { group, wanted: group });
  at("group").value = group;
  history.replaceState(null, "", hashOf(group));
  void settle();
}

async function count() {
  clearTimeout(countTimer);
  countTimer = 0;
  if (!client.isOpen) return;
  if (state.isCounting) return countSoon();
  state.isCounting = true;
  const { group } = state;
  const members = await client.ask("count_group", { group_id: group }).then(
    (answer) => answer.members,
    () => null,
  );
  state.isCounting = false;
  if (group === state.group) state.members = members;
  show();
}

function countSoon() {
  countTimer ||= setTimeout(count, COUNT_AFTER_MS);
}

async function send(text) {
  const { group } = state;
  try {
    await client.ask("send_to_group", { group_id: group, message: text });
    if (state.joined !== group) log.note(`Sent to ${group}. Only members see it, and you are not one.`);
    excuse();
  } catch (error) {
    complain(error.message);
    const field = at("message");
    if (error.isUnsent && field.value === "") field.value = text;
  }
}

function groupOfHash() {
  const text = location.hash.slice(1);
  try {
    return decodeURIComponent(text) || null;
  } catch {
    return text;
  }
}

function hashOf(group) {
  return `#${encodeURIComponent(group)}`;
}

function show() {
  const { group, wanted, joined, members } = state;
  const isMember = joined === group;
  const button = at("group-button");
  const isLeave = at("group").value === wanted;
  setText("group-button", isLeave ? "Leave" : wanted === null ? "Join" : "Switch");
  button.classList.toggle("soft", isLeave);
  // Enter in the field joins; it never leaves.
  button.type = isLeave ? "button" : "submit";
  at("send").disabled = at("hello").disabled = !client.isOpen;
  at("message").placeholder = `Message to ${group}`;
  setText(
    "membership",
    isMember ? "You have joined" : !client.isOpen ? "Not connected" : wanted === group ? "Joining" : "You have not joined",
  );
  setText(
    "members",
    members === null ? "" : members === 1 ? "1 member in all processes" : `${members.toLocaleString()} members in all processes`,
  );
  ring.show(members, isMember);
  at("second").href = hashOf(group);
  // What the documents paste, with this page's address and group.
  const socket = address.href.replace(/\/$/, "");
  showCode("lines", consoleLines(socket, group));
  showCode("commands", COMMANDS.map(([cmd, more]) => JSON.stringify({ cmd, group_id: group, ...more })).join("\n"));
  showTitle();
}

const COMMANDS = [
  ["add_group", {}],
  ["send_to_group", { message: "Hello" }],
  ["leave_group", {}],
  ["count_group", { id: 1 }],
];

function consoleLines(socket, group) {
  const literal = (command) => `'${JSON.stringify(command).replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  return [
    `ws = new WebSocket('${socket}');`,
    "ws.onmessage = function(data) { console.log(data.data) };",
    "ws.onopen = function() {",
    `  ws.send(${literal({ cmd: "add_group", group_id: group })});`,
    `  ws.send(${literal({ cmd: "send_to_group", group_id: group, message: "Hello" })});`,
    "};",
  ].join("\n");
}

/** Shows code with its strings in a colour of their own. */
function showCode(id, text) {
  const target = at(id);
  if (target.textContent === text) return;
  // Every other piece is a string literal; one before a colon is a key.
  const pieces = text.split(/('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/);
  const isString = (index) => index % 2 === 1 && !pieces[index + 1].startsWith(":");
  target.replaceChildren(...pieces.map((piece, index) => element("span", isString(index) ? "string" : "", piece)));
}

/** Sets only what changed, so that nothing is announced twice and no selection is lost. */
function setText(id, text) {
  const target = at(id);
  if (target.textContent !== text) target.textContent = text;
}

function showTitle() {
  const unread = state.unread === 0 ? "" : `(${state.unread > 99 ? "99+" : state.unread}) `;
  const title = `${unread}${state.group} · groupcast`;
  if (document.title !== title) document.title = title;
}

function showLink(name, text, waitMs = 0) {
  at("link").dataset.state = name;
  setText("link-text", text);
  setText("link-host", name === "open" ? address.host : "");
  at("link-now").hidden = name !== "closed" && waitMs < 1_000;
  clearInterval(waitTimer);
  const until = performance.now() + waitMs;
  const tick = () => {
    const seconds = Math.ceil((until - performance.now()) / 1_000);
    setText("link-wait", waitMs >= 1_000 && seconds > 0 ? `in ${seconds} s` : "");
  };
  tick();
  if (waitMs >= 1_000) waitTimer = setInterval(tick, 250);
}

function complain(text) {
  setText("alert-text", text);
  at("alert").hidden = false;
}

function excuse() {
  at("alert").hidden = true;
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS only loopback pages get the clipboard: then the old way, from a field that is there for a moment.
    const field = document.body.appendChild(element("textarea", "unseen", text));
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  const before = button.textContent;
  if (before === "Copied") return;
  button.textContent = "Copied";
  setText("copied", "Copied to the clipboard");
  setTimeout(() => {
    button.textContent = before;
    setText("copied", "");
  }, 1_500);
}

at("group-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(at("group").value);
});
at("group-button").addEventListener("click", (event) => {
  if (event.currentTarget.type === "submit") return;
  // The button turns into one that submits before this click is over.
  event.preventDefault();
  state.wanted = null;
  void settle();
});
at("group").addEventListener("input", show);
at("send-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = at("message");
  if (field.value === "" || !client.isOpen) return;
  void send(field.value);
  field.value = "";
  log.follow();
});
at("message").addEventListener("keydown", (event) => {
  // A word that is still being composed (Chinese, Japanese, Korean) also ends with Enter.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("send-form").requestSubmit();
});
at("hello").addEventListener("click", () => void send("Hello"));
at("alert-close").addEventListener("click", excuse);
at("link-now").addEventListener("click", () => client.connect());
at("copy-lines").addEventListener("click", (event) => void copy(event.currentTarget, at("lines").textContent));
at("copy-link").addEventListener("click", (event) => void copy(event.currentTarget, at("second").href));
addEventListener("hashchange", () => enter(groupOfHash() ?? "lobby"));
addEventListener("online", () => client.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  state.unread = 0;
  showTitle();
  client.hurry();
});
setInterval(() => {
  if (document.hidden) return;
  if (state.joined === state.wanted) void count();
  else void settle();
}, COUNT_EVERY_MS);

enter(state.group);
client.connect();
