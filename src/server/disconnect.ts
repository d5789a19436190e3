// How the arguments of `groups.disconnect` are read, and what it reports.
import { DEFAULTS } from "../base/defaults.ts";
import { type Except, idsOf } from "../groups/message.ts";
import { CLOSE, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import { checkName } from "../wire/names.ts";
import type { CloseRequest } from "./close-everywhere.ts";

/** What has become of the members of a group in all processes. */
export interface DisconnectReport {
  /** `unknown_outcome`: some process has not confirmed within 5 s, or has gone before; its members may or may not be gone. */
  readonly outcome: "done" | "unknown_outcome";
  /** Connections that are confirmed to be gone. */
  readonly closed: number;
}

export interface DisconnectOptions {
  /** Default `"default"`. */
  readonly namespace?: string | undefined;
  /** Members that stay: connections or their ids. */
  readonly except?: Except | undefined;
}

/** The arguments of {@link GroupManager.disconnect} behind the name: reason and code in either order and options, or all in one object. */
export type DisconnectArguments =
  | readonly [options?: DisconnectOptions & Partial<Goodbye>]
  | readonly [first?: number | string | undefined, second?: number | string | undefined, options?: DisconnectOptions | undefined];

/** @throws GroupcastError `bad_group`, `bad_option`, `too_large`: too many who stay. */
export function readDisconnect(name: string, [first, second, third]: DisconnectArguments): CloseRequest {
  const isObject = typeof first === "object" && first !== null;
  const { namespace = DEFAULTS.namespace, except }: DisconnectOptions = (isObject ? first : third) ?? {};
  const goodbye = readCloseArguments([first, second], CLOSE.normal);
  return { name: checkName(name), namespace: checkName(namespace, "namespace"), goodbye, except: idsOf(except) };
}
