// What moves on the page: the list of messages, and the ring of members. All text goes through textContent.
import { hex, parse } from "./client.js";

/** Rows on the page; the oldest go first. */
const ROWS_MAX = 200;
/** Characters of one message that are shown, and bytes of a binary one. */
const SHOWN_CHARACTERS_MAX = 2_000;
const SHOWN_BYTES_MAX = 64;
/** Dots on the ring; the number in the middle says how many there are. */
const DOTS_MAX = 24;

/** The last messages and notes. Drawn once per frame, so that a flood costs what one screen costs. */
export class Log {
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
export class Ring {
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

export function at(id) {
  return document.getElementById(id);
}

export function element(name, className, text = "") {
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

function isJson(text) {
  return /^\s*[[{]/.test(text) && parse(text) !== undefined;
}
