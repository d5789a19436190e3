// Reads what nodes say to brokers, strictly: whatever is not exactly a command throws.

/** One command of a client, as Redis takes it: its words. */
export function redisCommands(bytes: string): string[][] {
  const commands: string[][] = [];
  let at = 0;
  const line = (mark: string): number => {
    const end = bytes.indexOf("\r\n", at);
    const number = bytes.slice(at + 1, end);
    if (end < 0 || bytes[at] !== mark || !/^\d+$/.test(number)) throw new Error(`no ${mark} at ${at}: ${shown(bytes, at)}`);
    at = end + 2;
    return Number(number);
  };
  while (at < bytes.length) {
    commands.push(
      Array.from({ length: line("*") }, () => {
        const length = line("$");
        const word = bytes.slice(at, at + length);
        at += length + 2;
        if (bytes.slice(at - 2, at) !== "\r\n") throw new Error(`a word does not end at ${at}: ${shown(bytes, at)}`);
        return word;
      }),
    );
  }
  return commands;
}

/** One line of a client or server, as NATS has it: its words, and, if it has one, its payload. */
export interface NatsLine {
  readonly words: readonly string[];
  readonly payload: string | undefined;
}

const WITHOUT_PAYLOAD: ReadonlySet<string> = new Set(["CONNECT", "INFO", "PING", "PONG", "SUB", "UNSUB", "+OK", "-ERR"]);
const WITH_PAYLOAD: ReadonlySet<string> = new Set(["PUB", "HPUB", "MSG", "HMSG"]);

export function natsLines(bytes: string): NatsLine[] {
  const lines: NatsLine[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) throw new Error(`a line without an end at ${at}: ${shown(bytes, at)}`);
    const words = bytes.slice(at, end).split(" ");
    const [operation = ""] = words;
    at = end + 2;
    if (WITHOUT_PAYLOAD.has(operation)) lines.push({ words, payload: undefined });
    else if (WITH_PAYLOAD.has(operation)) {
      const length = Number(words.at(-1));
      lines.push({ words, payload: bytes.slice(at, at + length) });
      at += length + 2;
      if (bytes.slice(at - 2, at) !== "\r\n") throw new Error(`a payload does not end at ${at}: ${shown(bytes, at)}`);
    } else throw new Error(`no operation: ${shown(bytes, end)}`);
  }
  return lines;
}

function shown(bytes: string, at: number): string {
  return JSON.stringify(bytes.slice(Math.max(0, at - 60), at + 60));
}
