// How a topic is called on a broker, and back: the one place that knows what brokers read into a name. Pure.

/** Letters, digits, `-` and `_` stand for themselves; of every other byte of UTF-8 stand `=` and two hexadecimal digits. */
const PLAIN = /^[A-Za-z0-9_-]*$/;
const CODED = /^(?:[A-Za-z0-9_-]|=[0-9a-f]{2})*$/;
/** What separates the parts of a topic in its name on a broker; no part can hold it. */
const SEPARATOR = ".";

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The name of a topic on a broker: its prefix and its parts, encoded, with dots between. Neither wildcards (`*`, `>`, `?`, `[`), nor braces,
 * dots, spaces or line ends of a prefix, namespace or group come through, so a name addresses itself and nothing else.
 *
 * At most three times as long as the topic. Different topics, and the same topic under two prefixes, have different names.
 */
export function encodeBrokerName(prefix: string, topic: string): string {
  return [prefix, ...topic.split("\0")].map(encodePart).join(SEPARATOR);
}

/** The inverse of {@link encodeBrokerName}; undefined for every text that it does not make with this prefix. */
export function decodeBrokerName(prefix: string, name: string): string | undefined {
  const [first = "", ...parts] = name.split(SEPARATOR);
  if (parts.length === 0 || first !== encodePart(prefix)) return undefined;
  const decoded = parts.map(decodePart);
  return decoded.includes(undefined) ? undefined : decoded.join("\0");
}

// An empty part has a name too: brokers refuse an empty one between two dots.
function encodePart(part: string): string {
  if (part === "") return "=";
  if (PLAIN.test(part)) return part;
  return Array.from(utf8.encode(part), (byte) => {
    const character = String.fromCharCode(byte);
    return PLAIN.test(character) ? character : `=${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

function decodePart(coded: string): string | undefined {
  if (coded === "=") return "";
  if (coded === "" || !CODED.test(coded)) return undefined;
  const bytes = coded.match(/=[0-9a-f]{2}|[^=]/g) ?? [];
  try {
    const part = fromUtf8.decode(Uint8Array.from(bytes, (one) => (one.length > 1 ? Number.parseInt(one.slice(1), 16) : one.charCodeAt(0))));
    // What stands for itself has no second spelling.
    return part.includes("\0") || encodePart(part) !== coded ? undefined : part;
  } catch {
    return undefined; // no UTF-8
  }
}
