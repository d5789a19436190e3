// What a test of groupcast, or of an adapter for it, can use. Depends on no test runner.
export { FakeClock } from "./fake-clock.ts";
export { FakeSocket, type FakeSocketOptions } from "./fake-socket.ts";
export { adapterPromises, type ExcusablePromise, promisesFor } from "./adapter-promises.ts";
export type { AdapterPromise } from "./stage.ts";
export type { Ability, TestBus } from "./test-bus.ts";
export { localPeer, Peer, type PeerDriver, type PeerOptions, type PeerWatcher } from "./peer.ts";
export type { Call, Outcome, Told, ToldRecord } from "./peer-host.ts";
export { processPeer } from "./process-peer.ts";
export { Relay } from "./relay.ts";
export { BrokenPromise } from "./check.ts";
export type { Cancel, Clock } from "../base/clock.ts";
// What an adapter is made of.
export { type Adapter, type AdapterEvents, hasWill, type Receipt, type WillAdapter } from "../channel/adapter.ts";
export { MemoryAdapter, MemoryBus } from "../channel/memory.ts";
export { decodeTopic, encodeTopic, type Topic } from "../channel/topics.ts";
export { type Kind, type Message, MessageRecord } from "../wire/record.ts";
