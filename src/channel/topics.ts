// The name of every topic, and back. Names of groups and namespaces have no control characters, so a NUL between the parts
// makes the way back certain. Brokers with an alphabet of their own encode the parts further on.

/** What a topic is for. */
export type Topic =
  | { readonly kind: "group"; readonly namespace: string; readonly name: string }
  | { readonly kind: "namespace"; readonly namespace: string }
  | { readonly kind: "replies"; readonly node: string }
  | { readonly kind: "event"; readonly event: string }
  /** What all processes tell each other of themselves. */
  | { readonly kind: "presence" }
  /** Who came, went, joined and left, anywhere: for processes that keep an index. */
  | { readonly kind: "changes" }
  /** Groups that were occupied and vacated, anywhere. */
  | { readonly kind: "lives" };

const SEPARATOR = "\0";
/** Topics without parts. */
const WHOLE: ReadonlyMap<string, Topic> = new Map([
  ["p", { kind: "presence" }],
  ["c", { kind: "changes" }],
  ["l", { kind: "lives" }],
]);

export function encodeTopic(topic: Topic): string {
  switch (topic.kind) {
    case "group":
      return ["g", topic.namespace, topic.name].join(SEPARATOR);
    case "namespace":
      return ["n", topic.namespace].join(SEPARATOR);
    case "replies":
      return ["r", topic.node].join(SEPARATOR);
    case "event":
      return ["e", topic.event].join(SEPARATOR);
    case "presence":
      return "p";
    case "changes":
      return "c";
    case "lives":
      return "l";
  }
}

/** The inverse of {@link encodeTopic}; undefined for what it never makes. */
export function decodeTopic(encoded: string): Topic | undefined {
  const [kind, first, second, ...rest] = encoded.split(SEPARATOR);
  if (first === undefined) return kind === undefined ? undefined : WHOLE.get(kind);
  if (rest.length > 0) return undefined;
  if (kind === "g" && second !== undefined) return { kind: "group", namespace: first, name: second };
  if (second !== undefined) return undefined;
  if (kind === "n") return { kind: "namespace", namespace: first };
  if (kind === "r") return { kind: "replies", node: first };
  return kind === "e" ? { kind: "event", event: first } : undefined;
}
