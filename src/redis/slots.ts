// The slots of a Redis Cluster: which one a name belongs to, and who serves it. Pure.
import { GroupcastError } from "../base/errors.ts";
import type { Address } from "./wire.ts";

export const SLOTS = 16_384;

/** CRC-16/XMODEM, as the cluster specification has it, a byte at a time. */
const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});

/** The slot of a name of ours: ASCII without braces. */
export function slotOf(name: string): number {
  let crc = 0;
  for (let at = 0; at < name.length; at++) crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ name.charCodeAt(at)] ?? 0);
  return crc % SLOTS;
}

/** A master and the slots that it serves, as `[from, to]`, both included. */
export interface Shard {
  /** Undefined: the server that was asked, which does not know how others call it. */
  readonly address: Address | undefined;
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

/**
 * Reads the answer to `CLUSTER SLOTS`, in a stable order.
 *
 * @throws GroupcastError `unavailable`: it cannot be read.
 */
export function readShards(reply: unknown): Shard[] {
  if (!Array.isArray(reply)) throw unreadable();
  const shards = new Map<string, { address: Address | undefined; ranges: (readonly [number, number])[] }>();
  for (const row of reply as readonly unknown[]) {
    const [from, to, master] = Array.isArray(row) ? (row as readonly unknown[]) : [];
    if (!isSlot(from) || !isSlot(to) || from > to || !Array.isArray(master)) throw unreadable();
    const address = readAddress(master);
    const key = address === undefined ? "" : nameOf(address);
    let shard = shards.get(key);
    if (shard === undefined) shards.set(key, (shard = { address, ranges: [] }));
    shard.ranges.push([from, to]);
  }
  return [...shards.values()].map(({ address, ranges }) => ({ address, ranges: ranges.sort(([one], [other]) => one - other) }));
}

/** Every node that an answer to `CLUSTER SLOTS` names, replicas too. */
export function readNodes(reply: unknown): Address[] {
  if (!Array.isArray(reply)) return [];
  const nodes = (reply as readonly unknown[]).flatMap((row) => (Array.isArray(row) ? row.slice(2).map(readAddress) : []));
  return [...new Map(nodes.flatMap((node) => (node === undefined ? [] : [[nameOf(node), node]]))).values()];
}

/**
 * For every slot the index of its shard.
 *
 * @throws GroupcastError `unavailable`: some slot has none.
 */
export function mapSlots(shards: readonly Shard[]): Uint16Array {
  const nobody = 0xffff;
  const map = new Uint16Array(SLOTS).fill(nobody);
  for (const [index, { ranges }] of shards.entries()) for (const [from, to] of ranges) map.fill(index, from, to + 1);
  const bare = map.indexOf(nobody);
  if (bare >= 0) throw new GroupcastError("unavailable", `no node of the cluster serves slot ${bare}`);
  return map;
}

/** `host:port`, as people write it and as libraries call the nodes of a cluster. */
export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}

// A server that does not know how others call it leaves its host out.
function readAddress(node: unknown): Address | undefined {
  const [host, port] = Array.isArray(node) ? (node as readonly unknown[]) : [];
  return typeof host === "string" && host !== "" && Number.isInteger(port) ? { host, port: port as number } : undefined;
}

function isSlot(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SLOTS;
}

function unreadable(): GroupcastError {
  return new GroupcastError("unavailable", "the answer to CLUSTER SLOTS cannot be read");
}
