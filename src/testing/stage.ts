// Where a promise plays: a few adapters on one bus, topics of its own, and fences. Must not know any promise.
import { systemRandom } from "../base/random.ts";
import { encodeTopic } from "../channel/topics.ts";
import { encodeFrame, type Payload } from "../wire/frames.ts";
import type { Kind, Message } from "../wire/record.ts";
import { ensure } from "./check.ts";
import { type Peer, textOf } from "./peer.ts";
import type { Ability, TestBus } from "./test-bus.ts";

/** One thing that every implementation of the `Adapter` port must do. */
export interface AdapterPromise {
  /** The promise, in the present tense. Stable: an excuse names it. */
  readonly title: string;
  /** Resolves if the adapters of this bus keep the promise, else rejects. Leaves no adapter behind. */
  readonly run: (bus: TestBus) => Promise<void>;
}

/** The adapters of a promise; two or three, because nothing can be learnt about a bus from one. */
export type Three = readonly [a: Peer, b: Peer, c: Peer];

/** A promise about three adapters that are up when `play` begins, and ended when it is over. */
export function promise(title: string, play: (stage: Stage, three: Three) => Promise<void>): AdapterPromise {
  return promiseUnstarted(title, async (stage, three) => {
    await Promise.all(three.map((peer) => peer.start()));
    await play(stage, three);
  });
}

/** A promise about three adapters that `play` starts itself. */
export function promiseUnstarted(title: string, play: (stage: Stage, three: Three) => Promise<void>): AdapterPromise {
  return {
    title,
    async run(bus) {
      const three = [await bus.peer(), await bus.peer(), await bus.peer()] as const;
      try {
        await play(new Stage(bus, three), three);
      } catch (broken) {
        // What is wrong with the end follows from what went wrong before.
        await Promise.allSettled(three.map((peer) => peer.end()));
        throw broken;
      }
      await Promise.all(three.map((peer) => peer.end()));
    },
  };
}

const MANY_TOPICS = 10_000;
const FENCE = "fence ";

export class Stage {
  readonly #bus: TestBus;
  readonly #three: Three;
  // Buses may be shared, with other promises and with other runs of the suite.
  readonly #run = systemRandom.id();
  #fences = 0;

  constructor(bus: TestBus, three: Three) {
    this.#bus = bus;
    this.#three = three;
  }

  /** The topic of a group of this run; the same name gives the same topic. */
  topic(name: string): string {
    return encodeTopic({ kind: "group", namespace: "contract", name: `${this.#run}.${name}` });
  }

  /** So many topics that an adapter that does not wait until all of them are in force is found out. */
  manyTopics(): string[] {
    return numbers(this.#bus.manyTopics ?? MANY_TOPICS).map((name) => this.topic(name));
  }

  /** A method that this bus must have. */
  ability<Name extends Ability>(name: Name): NonNullable<TestBus[Name]> {
    const bus = this.#bus;
    const method = bus[name] as ((peer: Peer) => unknown) | undefined;
    ensure(method !== undefined, `this bus has no ${name}(): give it one, or excuse this promise with a reason`);
    return ((peer: Peer) => method.call(bus, peer)) as NonNullable<TestBus[Name]>;
  }

  /**
   * Resolves when all `hearers` have heard a message on a topic that they subscribe to, which another adapter published after
   * everything before. So whatever was to come on this topic has come, and nobody has to wait in order to see nothing.
   */
  async fence(topic: string, ...hearers: readonly Peer[]): Promise<void> {
    for (const hearer of hearers) {
      const text = `${FENCE}${this.#fences++}`;
      const publisher = this.#three.find((peer) => peer !== hearer && peer.running);
      ensure(publisher !== undefined, "a fence needs a second adapter that runs");
      await publisher.publish(topic, say(text));
      const came = (): boolean => hearer.records(topic).some(({ messages }) => messages.some((one) => textOf(one) === text));
      await hearer.until(`to hear the fence behind everything on ${JSON.stringify(topic)}`, came);
    }
  }

  /** What arrived at an adapter on a topic, without the fences. */
  arrived(peer: Peer, topic: string): readonly Message[] {
    return peer.records(topic).flatMap(({ messages }) => messages.filter((one) => !textOf(one).startsWith(FENCE)));
  }

  /** The same as text. */
  heard(peer: Peer, topic: string): readonly string[] {
    return this.arrived(peer, topic).map(textOf);
  }
}

/** A text message to everybody. */
export function say(text: string): Message {
  return message("string", text);
}

export function message(kind: Kind, payload: Payload, except: readonly string[] = []): Message {
  return { kind, frame: encodeFrame(payload), except };
}

/** `count` different texts, each made of its own number. */
export function numbers(count: number, prefix = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
