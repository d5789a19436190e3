// The road in: a record that came back from the channel goes to the members of this process. Must not know sockets.
import type { MessageRecord } from "../wire/record.ts";

/** Whoever is to get the messages: a group, or a pool's namespace. */
export interface Receiver {
  push(frames: Uint8Array): void;
  pushExcept(frame: Uint8Array, except: readonly string[]): void;
}

/** Hands the messages of a record over, in order; what is for groupcast itself goes to `control` with its text. */
export function deliver(record: MessageRecord, receiver: Receiver, control: (frame: Uint8Array) => void): void {
  if (record.run !== null) {
    receiver.push(record.run);
    return;
  }
  for (const { kind, frame, except } of record.messages()) {
    if (kind === "control") control(frame);
    else if (except.length === 0) receiver.push(frame);
    else receiver.pushExcept(frame, except);
  }
}
