// Makes an adapter of NATS for a process of its own.
import { NatsAdapter } from "../../../dist/nats/index.js";

export function makeAdapter({ url, ...options }) {
  return new NatsAdapter(url, options);
}
