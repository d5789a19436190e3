// The state on its way to somebody who has asked: in parts, each sent when the one before was accepted. Must not know who asks.
import type { LifeState } from "./life-state.ts";
import { groupOf } from "./life-state.ts";
import { type Answer, PART_ENTRIES_MAX } from "./life-words.ts";

/** Sends the state as it is now. Rejects if a part was not accepted. */
export async function sendState(state: LifeState, nonce: string, tell: (part: Answer) => Promise<void>): Promise<void> {
  // As it is now: it goes on changing while the parts go.
  const participants = [...state.participants];
  const open = [...state.open];
  const { epoch, last } = state;
  const past = [...state.past];
  const parts = Math.max(1, Math.ceil(participants.length / PART_ENTRIES_MAX), Math.ceil(open.length / PART_ENTRIES_MAX));
  for (let part = 0; part < parts; part++) {
    const from = part * PART_ENTRIES_MAX;
    await tell({
      is: "state",
      nonce,
      part,
      isLast: part === parts - 1,
      epoch,
      last,
      past,
      participants: participants.slice(from, from + PART_ENTRIES_MAX),
      open: open.slice(from, from + PART_ENTRIES_MAX).map(([key, life]) => {
        const { namespace, name } = groupOf(key);
        return [namespace, name, life] as const;
      }),
    });
  }
}
