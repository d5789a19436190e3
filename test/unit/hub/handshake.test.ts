import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { encodeParts, FRAME, STRANGER_FRAME_BYTES_MAX } from "../../../src/hub/frames.ts";
import {
  checkWelcome,
  encodeChallenge,
  encodeHello,
  encodeRefused,
  encodeWelcome,
  type Greeting,
  isOurVersion,
  isProved,
  newNonce,
  PREFIX_BYTES_MAX,
  prove,
  readChallenge,
  readHello,
  readRefused,
  REFUSED,
  SECRET_VARIABLE,
  secretOf,
} from "../../../src/hub/handshake.ts";

const greeting: Greeting = { hubNonce: newNonce(), processNonce: newNonce(), prefix: Buffer.from("groupcast") };
const SECRET = "a secret of more than thirty-two characters";

afterEach(() => void vi.unstubAllEnvs());

describe("the handshake", () => {
  it("lets in who knows the secret, and shows that the hub does", () => {
    const hubNonce = readChallenge(encodeChallenge(greeting.hubNonce));
    const hello = readHello(encodeHello(SECRET, { ...greeting, hubNonce }));
    const seen = { hubNonce: greeting.hubNonce, processNonce: hello.processNonce, prefix: hello.prefix };
    expect(hello.prefix.toString()).toBe("groupcast");
    expect(isProved(hello.proof, "process", SECRET, seen)).toBe(true);
    expect(() => checkWelcome(encodeWelcome(SECRET, seen), SECRET, greeting)).not.toThrow();
  });

  it("has another proof for every secret, role, nonce and prefix", () => {
    const proofs = [
      prove("process", SECRET, greeting),
      prove("hub", SECRET, greeting),
      prove("process", `${SECRET}!`, greeting),
      prove("process", "", greeting),
      prove("process", SECRET, { ...greeting, hubNonce: newNonce() }),
      prove("process", SECRET, { ...greeting, processNonce: newNonce() }),
      prove("process", SECRET, { ...greeting, hubNonce: greeting.processNonce, processNonce: greeting.hubNonce }),
      prove("process", SECRET, { ...greeting, prefix: Buffer.from("other") }),
    ].map((proof) => proof.toString("hex"));
    expect(new Set(proofs).size).toBe(proofs.length);
  });

  it("does not take a proof back as the other side's own", () => {
    const { proof } = readHello(encodeHello(SECRET, greeting));
    expect(isProved(proof, "hub", SECRET, greeting)).toBe(false);
    const reflected = encodeParts(FRAME.welcome, [proof]);
    expect(() => checkWelcome(reflected, SECRET, greeting)).toThrow(expect.objectContaining({ code: "unauthorized" }) as Error);
  });

  it("works without a secret, and tells that from having one", () => {
    expect(() => checkWelcome(encodeWelcome("", greeting), "", greeting)).not.toThrow();
    expect(() => checkWelcome(encodeWelcome("", greeting), SECRET, greeting)).toThrow("does not know the secret");
  });

  it("never carries the secret", () => {
    const said = Buffer.concat([encodeChallenge(greeting.hubNonce), encodeHello(SECRET, greeting), encodeWelcome(SECRET, greeting)]);
    expect(said.includes(SECRET)).toBe(false);
  });

  it("throws at frames of another length", () => {
    const random = (bytes: number): Buffer => Buffer.concat([Buffer.of(1), randomBytes(bytes)]);
    for (const bytes of [0, 31, 33]) expect(() => readChallenge(encodeParts(FRAME.challenge, [random(bytes)]))).toThrow("challenge");
    for (const bytes of [0, 63, 64, 64 + PREFIX_BYTES_MAX + 1]) {
      expect(() => readHello(encodeParts(FRAME.hello, [random(bytes)]))).toThrow("hello");
    }
    for (const bytes of [0, 31, 33]) {
      expect(() => checkWelcome(encodeParts(FRAME.welcome, [randomBytes(bytes)]), SECRET, greeting)).toThrow("a welcome");
    }
  });

  it("says so when the versions differ", () => {
    const later = encodeParts(FRAME.challenge, [Buffer.of(2), randomBytes(40)]);
    expect(isOurVersion(later)).toBe(false);
    expect(() => readChallenge(later)).toThrow("another version");
    expect(readRefused(encodeRefused(REFUSED.version)).message).toContain("another version");
  });

  it("has a hello that a stranger may send, with the longest prefix", () => {
    const hello = encodeHello(SECRET, { ...greeting, prefix: Buffer.alloc(PREFIX_BYTES_MAX, 0x61) });
    expect(hello.length - 4).toBeLessThanOrEqual(STRANGER_FRAME_BYTES_MAX);
    expect(readHello(hello).prefix.length).toBe(PREFIX_BYTES_MAX);
  });

  it("knows what each refusal means", () => {
    expect(readRefused(encodeRefused(REFUSED.secret)).code).toBe("unauthorized");
    expect(readRefused(encodeRefused(REFUSED.full)).code).toBe("limit");
    expect(readRefused(encodeRefused(99)).code).toBe("unavailable");
    expect(readRefused(encodeParts(FRAME.refused, [])).code).toBe("unavailable");
  });

  it("takes the secret that is given, else the runner's, else none", () => {
    vi.stubEnv(SECRET_VARIABLE, undefined);
    expect(secretOf(undefined)).toBe("");
    vi.stubEnv(SECRET_VARIABLE, "from the runner");
    expect(secretOf(undefined)).toBe("from the runner");
    expect(secretOf("mine")).toBe("mine");
    expect(secretOf("")).toBe("");
  });
});
