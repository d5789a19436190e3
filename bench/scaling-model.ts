// The arithmetic of docs/scaling.md: what a cluster costs, from what is in it. Each formula is checked by scaling-simulation.ts, which counts
// instead. Rates are per second, sizes bytes, costs µs of one core.

/** What the broker, or the hub, and a process spend on a record of one message of 200 bytes. */
export interface Costs {
  /** The broker takes in a record ... */
  readonly brokerInUs: number;
  /** ... and hands out a copy of it. */
  readonly brokerOutUs: number;
  /** A process publishes a record ... */
  readonly publishUs: number;
  /** ... and receives a copy of one. */
  readonly receiveUs: number;
}

/** Who is connected where, and who talks to whom. */
export interface Cluster {
  readonly processes: number;
  readonly connections: number;
  readonly groupsPerConnection: number;
  readonly membersPerGroup: number;
  /** Messages in one group. */
  readonly messagesPerSecond: number;
  readonly messageBytes: number;
  /** Who publishes: a member, or any process, an API's say. */
  readonly publishers: "members" | "processes";
  /** A turn of the event loop takes so long, ms: what one process publishes to one group in a turn is one record. */
  readonly turnMs: number;
}

/** Who knows who is where. */
export interface Churn {
  /** A connection stays so long, s; for each that goes another one comes. */
  readonly staysSeconds: number;
  /** Processes that keep an index, because they were asked a question that it takes one for. */
  readonly holders: number;
  /** Processes that listen to `occupied` and `vacated`. */
  readonly listeners: number;
}

/** What has to be counted besides messages; test/unit/bench/scaling.test.ts holds these to what the code makes. */
export const BYTES = {
  /** A record besides its message: header, row, head of the frame. */
  record: 68,
  /** A name on the broker and its protocol around a record, each way. */
  envelope: 60,
  /** A sign of life, or a record of changes without its rows. */
  beat: 145,
  /** A connection that came, in two groups; also in a share of an index. */
  came: 87,
  /** One that went. */
  went: 7,
} as const;

/** What of `src/presence` decides how often something is said, ms. */
export const PRESENCE = { recordEveryMs: 50, beatMs: 2_000, wantEveryMs: 10_000 } as const;
/** A group that is empty for so long is vacated, ms. */
export const VACATED_AFTER_MS = 2_000;

/** From bench/broker-costs.mjs, about the mean of three runs. Busy: many records are under way, and share reads and writes. */
export const COSTS = {
  hub: { brokerInUs: 1.5, brokerOutUs: 0.3, publishUs: 5, receiveUs: 1.2 },
  redis: { brokerInUs: 1.4, brokerOutUs: 0.35, publishUs: 9, receiveUs: 2.1 },
  nats: { brokerInUs: 14, brokerOutUs: 1, publishUs: 12, receiveUs: 2.7 },
  "nats, core": { brokerInUs: 2.8, brokerOutUs: 0.65, publishUs: 8, receiveUs: 2.2 },
} as const satisfies Readonly<Record<string, Costs>>;

/** The same where each record goes alone. */
export const COSTS_ALONE = {
  hub: { brokerInUs: 34, brokerOutUs: 6, publishUs: 45, receiveUs: 16 },
  redis: { brokerInUs: 18, brokerOutUs: 4.5, publishUs: 55, receiveUs: 9.5 },
  nats: { brokerInUs: 75, brokerOutUs: 8, publishUs: 69, receiveUs: 19 },
  "nats, core": { brokerInUs: 65, brokerOutUs: 7.5, publishUs: 75, receiveUs: 17 },
} as const satisfies Readonly<Record<keyof typeof COSTS, Costs>>;

/** Bytes in the memory of a process. */
export const MEMORY = {
  /** What a process holds for its own connections; bench/RESULTS.md, S5 and memberships. */
  held({ processes, connections, groupsPerConnection }: Cluster): number {
    return (connections / processes) * (7_000 + 614 + 204 * (groupsPerConnection - 1));
  },
  /** At the broker, for all topics; docs/channels.md. */
  subscribedOnRedis({ groups, subscriptions }: Traffic): number {
    return 250 * groups + 105 * (subscriptions - groups);
  },
  subscribedOnNats({ subscriptions }: Traffic): number {
    return 600 * subscriptions;
  },
  /** In an index, a connection of another process: bench/index-memory.mjs. One that is the only member of a group in its process takes more. */
  indexed({ processes, groupsPerConnection, membersPerGroup }: Cluster): number {
    const together = membersPerGroup / spreadOver(processes, membersPerGroup);
    return 228 + groupsPerConnection * (36 + 250 / together);
  },
} as const;

/** CPU of a process, from bench/RESULTS.md: S1a, S1b, S1c, S2, S3 and S7 within a quarter. */
export const CPU = {
  /** A write to a socket, which so many messages share as are under way to a member in one turn. */
  writeUs: 8.7,
  /** A message in that write. */
  deliveryUs: 0.04,
  /** A message from a client. */
  commandUs: 3.1,
} as const;

/** µs for one delivery: `shared` messages in a write, one of them in for `members` out. */
export function deliveryUs(shared: number, members: number): number {
  return CPU.writeUs / shared + CPU.deliveryUs + CPU.commandUs / members;
}

export interface Traffic {
  readonly groups: number;
  /** Processes with a member of a group, on average: so many copies go out for a record that comes in. */
  readonly spread: number;
  readonly published: number;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly deliveries: number;
  /** Topics that the broker has a subscriber for, over all processes. */
  readonly subscriptions: number;
}

/** Of so many processes, how many have one of so many members (on average), each of whom is in any of them by chance. */
export function spreadOver(processes: number, members: number): number {
  return processes * (1 - Math.exp(-members / processes));
}

export function trafficOf(cluster: Cluster): Traffic {
  const { processes, connections, groupsPerConnection, membersPerGroup, messagesPerSecond, messageBytes, turnMs } = cluster;
  const groups = (connections * groupsPerConnection) / membersPerGroup;
  const spread = spreadOver(processes, membersPerGroup);
  const published = groups * messagesPerSecond;
  // Of those that may publish to a group each has something to say in so many turns a second.
  const sources = cluster.publishers === "members" ? spread : processes;
  const turn = turnMs / 1_000;
  const recordsIn = (groups * sources * (1 - Math.exp((-messagesPerSecond / sources) * turn))) / turn;
  const recordsOut = recordsIn * spread;
  // What messages share a record shares its header and its name only: 40 of a record's bytes are a row for each message.
  const shared = published / recordsIn;
  const recordBytes = BYTES.envelope + BYTES.record + messageBytes + (shared - 1) * (BYTES.record - 24 + messageBytes);
  return {
    groups,
    spread,
    published,
    recordsIn,
    recordsOut,
    bytesIn: recordsIn * recordBytes,
    bytesOut: recordsOut * recordBytes,
    deliveries: published * membersPerGroup,
    subscriptions: groups * spread,
  };
}

export interface PresenceTraffic {
  /** Records of changes and signs of life. */
  readonly changesIn: number;
  readonly changesOut: number;
  readonly changeBytesOut: number;
  readonly wantsOut: number;
  /** Lives that begin or end, and what their listeners are told. */
  readonly statementsIn: number;
  readonly statementsOut: number;
  /** What a process is sent once when it begins to keep an index. */
  readonly indexBytes: number;
}

/** Nobody wants to know anything. */
export const QUIET: PresenceTraffic = Object.freeze({
  changesIn: 0,
  changesOut: 0,
  changeBytesOut: 0,
  wantsOut: 0,
  statementsIn: 0,
  statementsOut: 0,
  indexBytes: 0,
});

export function presenceOf({ processes, connections, groupsPerConnection, membersPerGroup }: Cluster, churn: Churn): PresenceTraffic {
  const { staysSeconds, holders, listeners } = churn;
  // One goes and one comes, in two processes.
  const rowsOfOne = (2 * connections) / staysSeconds / processes;
  const { records, beats } = toldBy(rowsOfOne);
  const changesIn = holders > 0 ? processes * (records + beats) : 0;
  const rowBytes = (BYTES.came + BYTES.went) / 2;
  const changeBytes = changesIn * (BYTES.envelope + BYTES.beat) + (holders > 0 ? processes * rowsOfOne * rowBytes : 0);
  const statementsIn = listeners > 0 ? livesOf(connections * groupsPerConnection, membersPerGroup, staysSeconds) : 0;
  return {
    changesIn,
    changesOut: changesIn * holders,
    changeBytesOut: changeBytes * holders,
    wantsOut: (holders / (PRESENCE.wantEveryMs / 1_000)) * processes,
    statementsIn,
    statementsOut: statementsIn * listeners,
    indexBytes: connections * BYTES.came,
  };
}

/**
 * Records and signs of life of one process with so many changes a second. After a record the next one waits for 50 ms and for a change;
 * 2 s without one there is a sign of life.
 */
function toldBy(changes: number): { readonly records: number; readonly beats: number } {
  const least = PRESENCE.recordEveryMs / 1_000;
  if (changes === 0) return { records: 0, beats: 1_000 / PRESENCE.beatMs };
  const records = 1 / (least + Math.exp(-changes * least) / changes);
  const silence = Math.exp((-changes * PRESENCE.beatMs) / 1_000);
  return { records, beats: (records * silence) / (1 - silence) };
}

/** How many lives of groups begin and end a second, where members come and go by chance and so many are there on average. */
function livesOf(memberships: number, membersPerGroup: number, staysSeconds: number): number {
  const groups = memberships / membersPerGroup;
  const comesPerSecond = membersPerGroup / staysSeconds;
  // An empty group is vacated if nobody comes for 2 s.
  const stillEmpty = Math.exp((-comesPerSecond * VACATED_AFTER_MS) / 1_000);
  return 2 * groups * comesPerSecond * Math.exp(-membersPerGroup) * stillEmpty;
}

export interface Load {
  /** Of one core of the broker; over 1: it takes more than one such core. */
  readonly broker: number;
  /** Cores of all processes together. */
  readonly cores: number;
}

/** What messages and presence cost, with `shared` messages in a write to a member. */
export function loadOf(traffic: Traffic, presence: PresenceTraffic, membersPerGroup: number, shared: number, costs: Costs): Load {
  const wordsIn = presence.changesIn + presence.statementsIn;
  const wordsOut = presence.changesOut + presence.wantsOut + presence.statementsOut;
  const [recordsIn, recordsOut] = [traffic.recordsIn + wordsIn, traffic.recordsOut + wordsOut];
  return {
    broker: (recordsIn * costs.brokerInUs + recordsOut * costs.brokerOutUs) / 1e6,
    cores: (traffic.deliveries * deliveryUs(shared, membersPerGroup) + recordsIn * costs.publishUs + recordsOut * costs.receiveUs) / 1e6,
  };
}
