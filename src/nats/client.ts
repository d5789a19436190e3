// The parts of the NATS client that are used, as shapes: so our types need no package that a user may not have. Loads it where it is there.
import { GroupcastError } from "../base/errors.ts";

/** What NATS delivers. */
export interface NatsMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Parsed when it is asked for; undefined: there are none. */
  readonly headers?: { readonly code: number; get(name: string): string } | undefined;
}

/** What hears a subject. With an error the message is none, and the subscription has ended. */
export type NatsListener = (error: Error | null, message: NatsMessage) => void;

export interface NatsSubscription {
  unsubscribe(): void;
}

/** What a connection says of itself; `error` has an `error`. */
export interface NatsStatus {
  readonly type: string;
  readonly error?: Error | undefined;
}

/** A connection of `@nats-io/transport-node`, as far as it is used. */
export interface NatsConnectionLike {
  readonly info?: { readonly version: string; readonly max_payload: number } | undefined;
  publish(subject: string, payload?: Uint8Array, options?: { reply?: string }): void;
  subscribe(subject: string, options: { callback: NatsListener }): NatsSubscription;
  /** Resolves when the server has read everything that was sent before. */
  flush(): Promise<void>;
  status(): AsyncIterable<NatsStatus>;
  /** Resolves when it is closed for good, with why. */
  closed(): Promise<void | Error>;
  isClosed(): boolean;
  close(): Promise<void>;
  getServer(): string;
}

/** An error of the client that names what is not allowed. */
export interface PermissionViolation extends Error {
  readonly operation: "publish" | "subscription";
  readonly subject: string;
}

/** What a connection is made with. */
export interface NatsConnectionOptions {
  readonly name: string;
  readonly servers: string;
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly tls?: object;
  readonly reconnect: boolean;
  readonly timeout: number;
  readonly pingInterval: number;
  readonly maxPingOut: number;
  readonly noAsyncTraces: boolean;
}

/** The settings of a stream that are made or checked. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly republish?: { readonly src: string; readonly dest: string; readonly headers_only?: boolean };
  readonly storage: string;
  readonly retention: string;
  readonly discard: string;
  readonly allow_direct: boolean;
  readonly max_bytes: number;
  readonly max_age: number;
  readonly max_msgs_per_subject: number;
  readonly num_replicas: number;
  readonly no_ack?: boolean;
  readonly sealed?: boolean;
  readonly mirror?: unknown;
  readonly sources?: readonly unknown[];
}

/** The manager of `@nats-io/jetstream`, as far as it is used. */
export interface StreamManager {
  readonly streams: {
    info(name: string): Promise<{ readonly config: StreamConfig }>;
    add(config: StreamConfig): Promise<{ readonly config: StreamConfig }>;
  };
  readonly direct: {
    getMessage(
      stream: string,
      query: { readonly seq: number; readonly next_by_subj: string },
    ): Promise<{ readonly seq: number; readonly data: Uint8Array } | null>;
  };
}

// Not written where they are imported: the compiler would look for the packages' own types.
const TRANSPORT: string = "@nats-io/transport-node";
const JETSTREAM: string = "@nats-io/jetstream";

/** @throws GroupcastError `bad_option`: it is not installed. */
export function loadTransport(): Promise<{ readonly connect: (options: NatsConnectionOptions) => Promise<NatsConnectionLike> }> {
  return load(TRANSPORT);
}

/** @throws GroupcastError `bad_option`: it is not installed. */
export function loadJetStream(): Promise<{
  readonly jetstreamManager: (connection: NatsConnectionLike, options: { checkAPI: boolean; timeout: number }) => Promise<StreamManager>;
}> {
  return load(JETSTREAM);
}

async function load<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (cause) {
    throw new GroupcastError("bad_option", `the NATS channel needs its client: npm i ${TRANSPORT} ${JETSTREAM}`, { cause });
  }
}
