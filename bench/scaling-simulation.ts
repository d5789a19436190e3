// A cluster in one array: connections that come, go and publish by chance, and every message that a broker would see, counted one by one.
// Knows nothing of the formulas of scaling-model.ts, which are held against it.
import { BYTES, type Churn, type Cluster, PRESENCE, VACATED_AFTER_MS } from "./scaling-model.ts";

export interface Counted {
  readonly published: number;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly deliveries: number;
  readonly subscriptions: number;
  readonly changesIn: number;
  readonly changesOut: number;
  readonly changeBytesOut: number;
  readonly wantsOut: number;
  readonly statementsIn: number;
  readonly statementsOut: number;
}

/** Mulberry32: the same numbers for the same seed, everywhere. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Connections, where they are and what they are members of. */
class Population {
  /** The process of each connection. */
  readonly processOf: Uint16Array;
  /** The connections of each group. */
  readonly members: number[][];
  readonly #groupsOf: Int32Array;
  readonly #cluster: Cluster;
  readonly #random: () => number;
  readonly #seen: Int32Array;
  #look = 0;

  constructor(cluster: Cluster, random: () => number) {
    const { processes, connections, groupsPerConnection, membersPerGroup } = cluster;
    this.#cluster = cluster;
    this.#random = random;
    this.#seen = new Int32Array(processes);
    this.processOf = new Uint16Array(connections);
    this.#groupsOf = new Int32Array(connections * groupsPerConnection);
    this.members = Array.from({ length: Math.round((connections * groupsPerConnection) / membersPerGroup) }, () => []);
    for (let connection = 0; connection < connections; connection++) this.come(connection);
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  groupsOf(connection: number): Int32Array {
    const { groupsPerConnection } = this.#cluster;
    return this.#groupsOf.subarray(connection * groupsPerConnection, (connection + 1) * groupsPerConnection);
  }

  come(connection: number): void {
    this.processOf[connection] = this.pick(this.#cluster.processes);
    const groups = this.groupsOf(connection);
    for (let slot = 0; slot < groups.length; slot++) {
      const group = this.pick(this.members.length);
      groups[slot] = group;
      this.members[group]?.push(connection);
    }
  }

  go(connection: number): void {
    for (const group of this.groupsOf(connection)) {
      const members = this.members[group] ?? [];
      members.splice(members.indexOf(connection), 1);
    }
  }

  /** Processes with a member of the group. */
  spreadOf(group: number): number {
    const look = ++this.#look;
    let spread = 0;
    for (const connection of this.members[group] ?? []) {
      const process = this.processOf[connection] ?? 0;
      if (this.#seen[process] === look) continue;
      this.#seen[process] = look;
      spread++;
    }
    return spread;
  }
}

/** What the broker counts in a second of messages, over so many seconds. Members stay where they are. */
export function countMessages(cluster: Cluster, seconds: number, seed = 1): Pick<Counted, MessageCounts> {
  const { connections, processes, groupsPerConnection, membersPerGroup, messagesPerSecond, messageBytes, publishers, turnMs } = cluster;
  const random = chance(seed);
  const population = new Population(cluster, random);
  const rate = ((connections * groupsPerConnection) / membersPerGroup) * messagesPerSecond;
  let [published, recordsIn, recordsOut, bytesIn, bytesOut, deliveries, subscriptions] = [0, 0, 0, 0, 0, 0, 0];
  const spreads = population.members.map((_, group) => population.spreadOf(group));
  for (const spread of spreads) subscriptions += spread;
  let turn = 0;
  let spoken = new Set<number>();
  for (let at = -Math.log(1 - random()) / rate; at < seconds; at += -Math.log(1 - random()) / rate) {
    const now = Math.floor((at * 1_000) / turnMs);
    if (now !== turn) {
      turn = now;
      spoken = new Set();
    }
    const group = population.pick(population.members.length);
    const members = population.members[group] ?? [];
    const member = members[population.pick(members.length)] ?? 0;
    const process = publishers === "members" ? (population.processOf[member] ?? 0) : population.pick(processes);
    const spread = spreads[group] ?? 0;
    const record = group * processes + process;
    let bytes = 40 + 4 + messageBytes; // a row, a head and the message
    if (!spoken.has(record)) {
      spoken.add(record);
      recordsIn++;
      recordsOut += spread;
      bytes += 24 + BYTES.envelope;
    }
    published++;
    bytesIn += bytes;
    bytesOut += bytes * spread;
    deliveries += members.length;
  }
  const each = (count: number): number => count / seconds;
  return {
    published: each(published),
    recordsIn: each(recordsIn),
    recordsOut: each(recordsOut),
    bytesIn: each(bytesIn),
    bytesOut: each(bytesOut),
    deliveries: each(deliveries),
    subscriptions,
  };
}

type MessageCounts = "published" | "recordsIn" | "recordsOut" | "bytesIn" | "bytesOut" | "deliveries" | "subscriptions";

/** Things that are due, the earliest first. */
class Agenda<T> {
  readonly #heap: { readonly at: number; readonly what: T }[] = [];

  add(at: number, what: T): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push({ at, what });
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((heap[parent]?.at ?? 0) <= at) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  next(): { readonly at: number; readonly what: T } | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let index = 0; ;) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      const child = (heap[right]?.at ?? Infinity) < (heap[left]?.at ?? Infinity) ? right : left;
      if ((heap[child]?.at ?? Infinity) >= last.at) return first;
      this.#swap(index, child);
      index = child;
    }
  }

  #swap(one: number, other: number): void {
    const heap = this.#heap;
    const [first, second] = [heap[one], heap[other]];
    if (first === undefined || second === undefined) return;
    heap[one] = second;
    heap[other] = first;
  }
}

type Due =
  | { readonly is: "go" }
  | { readonly is: "come"; readonly connection: number }
  | { readonly is: "record"; readonly process: number }
  | { readonly is: "beat"; readonly process: number; readonly since: number }
  | { readonly is: "want" }
  | { readonly is: "vacated"; readonly group: number; readonly since: number };

/** What the broker counts in a second of presence and lives, over so many seconds in which connections come and go. */
export function countPresence(cluster: Cluster, churn: Churn, seconds: number, seed = 1): Pick<Counted, PresenceCounts> {
  const { connections, processes } = cluster;
  const { staysSeconds, holders, listeners } = churn;
  const random = chance(seed);
  const population = new Population(cluster, random);
  const agenda = new Agenda<Due>();
  const toldAt = new Float64Array(processes).fill(-Infinity);
  const waiting = new Int32Array(processes);
  const isHere = new Uint8Array(connections).fill(1);
  const isAlive = new Uint8Array(population.members.length);
  const emptySince = new Float64Array(population.members.length);
  population.members.forEach(({ length }, group) => void (isAlive[group] = length > 0 ? 1 : 0));
  let [changesIn, changeBytes, wants, statementsIn] = [0, 0, 0, 0];

  const tell = (process: number, at: number, bytes: number): void => {
    changesIn++;
    changeBytes += BYTES.envelope + BYTES.beat + bytes;
    waiting[process] = 0;
    toldAt[process] = at;
    agenda.add(at + PRESENCE.beatMs / 1_000, { is: "beat", process, since: at });
  };
  const change = (process: number, at: number, bytes: number): void => {
    const dueAt = Math.max(at, (toldAt[process] ?? 0) + PRESENCE.recordEveryMs / 1_000);
    if (waiting[process] === 0) agenda.add(dueAt, { is: "record", process });
    waiting[process] = (waiting[process] ?? 0) + bytes;
  };
  const go = (connection: number, at: number): void => {
    isHere[connection] = 0;
    const left = [...population.groupsOf(connection)];
    change(population.processOf[connection] ?? 0, at, BYTES.went);
    population.go(connection);
    for (const group of left) {
      if (population.members[group]?.length !== 0) continue;
      emptySince[group] = at;
      agenda.add(at + VACATED_AFTER_MS / 1_000, { is: "vacated", group, since: at });
    }
  };
  const come = (connection: number, at: number): void => {
    isHere[connection] = 1;
    population.come(connection);
    change(population.processOf[connection] ?? 0, at, BYTES.came);
    for (const group of population.groupsOf(connection)) {
      emptySince[group] = Infinity;
      if (isAlive[group] === 1) continue;
      isAlive[group] = 1;
      statementsIn++;
    }
  };

  agenda.add(0, { is: "go" });
  for (let process = 0; process < processes; process++) {
    agenda.add((random() * PRESENCE.beatMs) / 1_000, { is: "beat", process, since: -Infinity });
  }
  for (let holder = 0; holder < holders; holder++) agenda.add((random() * PRESENCE.wantEveryMs) / 1_000, { is: "want" });
  for (let due = agenda.next(); due !== undefined && due.at < seconds; due = agenda.next()) {
    const { at, what } = due;
    if (what.is === "go") {
      const connection = population.pick(connections);
      if (isHere[connection] === 1) {
        go(connection, at);
        agenda.add(at + random(), { is: "come", connection });
      }
      agenda.add(at - Math.log(1 - random()) * (staysSeconds / connections), what);
    } else if (what.is === "come") {
      come(what.connection, at);
    } else if (what.is === "want") {
      wants++;
      agenda.add(at + PRESENCE.wantEveryMs / 1_000, what);
    } else if (what.is === "record") {
      tell(what.process, at, waiting[what.process] ?? 0);
    } else if (what.is === "beat") {
      if (toldAt[what.process] === what.since) tell(what.process, at, 0);
    } else if (emptySince[what.group] === what.since) {
      isAlive[what.group] = 0;
      statementsIn++;
    }
  }
  const each = (count: number): number => count / seconds;
  return {
    changesIn: holders > 0 ? each(changesIn) : 0,
    changesOut: each(changesIn * holders),
    changeBytesOut: each(changeBytes * holders),
    wantsOut: each(wants * processes),
    statementsIn: listeners > 0 ? each(statementsIn) : 0,
    statementsOut: each(statementsIn * listeners),
  };
}

type PresenceCounts = "changesIn" | "changesOut" | "changeBytesOut" | "wantsOut" | "statementsIn" | "statementsOut";
