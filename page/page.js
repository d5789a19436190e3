// The page's program: one WebSocket, one group at a time. The protocol delivers a message without its group or its sender, so the page
// is in one group and never names a sender.
import { Client, plainWords } from "./client.js";
import { at, element, Log, Ring } from "./view.js";

/** The members are counted this often while somebody looks, ms, and this soon after a message. */
const COUNT_EVERY_MS = 2_000;
const COUNT_AFTER_MS = 300;

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
  countTimer ||= setTimeout(() => void count(), COUNT_AFTER_MS);
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
