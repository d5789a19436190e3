// The brokers that some peers need: private ones, from where the tests have theirs.
import { type Broker, brokers, startNats, startRedis } from "../test/process/brokers/index.ts";

export type BrokerName = "redis" | "nats";

export interface Brokers {
  /** Where each is, by the variable that tells it to a peer. */
  readonly urls: Readonly<Record<string, string>>;
  /** Ends them. */
  stop(): Promise<void>;
}

/** Starts those of the wanted brokers that can be had. */
export async function startBrokers(wanted: ReadonlySet<BrokerName>): Promise<Brokers> {
  const urls: Record<string, string> = {};
  const started: Broker[] = [];
  for (const name of wanted) {
    const { missing } = await brokers[name](`the peers that need ${name}`);
    if (missing) continue;
    const broker = await (name === "redis" ? startRedis() : startNats());
    started.push(broker);
    urls[variableOf(name)] = broker.url;
  }
  return {
    urls,
    stop: async () => {
      for (const broker of started) await broker.stop();
    },
  };
}

/** The variable that tells a peer where its broker is. */
export function variableOf(name: BrokerName): string {
  return `${name.toUpperCase()}_URL`;
}
