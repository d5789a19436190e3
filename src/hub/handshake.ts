// How the two ends of a link prove to each other that they know the same secret, without saying it. Must not know sockets.
//
// Each side chooses a nonce; each proves with HMAC-SHA-256 over a label of its role, both nonces and the prefix. The labels
// differ, so a proof cannot be sent back as one's own. Links are not encrypted: over a public network they belong in a tunnel.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { GroupcastError } from "../base/errors.ts";
import { bodyOf, broken, encodeParts, FRAME } from "./frames.ts";

/** Of the link's frames. Both ends must have the same. */
export const VERSION = 1;
/** A stranger has this long from the first byte to the last of its handshake, ms: many round trips, and soon gone if it is silent. */
export const HANDSHAKE_WITHIN_MS = 5_000;
/** Bytes of UTF-8 in a prefix: so that a hello stays far below what a stranger may send. */
export const PREFIX_BYTES_MAX = 200;
/** The name of the variable that a runner leaves its secret in for the programs that it starts. */
export const SECRET_VARIABLE = "GROUPCAST_CHANNEL_SECRET";
/** Characters of a secret that guards a public address. */
export const SECRET_LENGTH_MIN = 32;

const NONCE_BYTES = 32;
const PROOF_BYTES = 32;

/** Why a hub says no. */
export const REFUSED = { secret: 1, version: 2, full: 3 } as const;

type Role = "hub" | "process";

/** What each proof is over, besides the secret. */
export interface Greeting {
  readonly hubNonce: Buffer;
  readonly processNonce: Buffer;
  readonly prefix: Buffer;
}

/** The secret that was given, or the runner's, or none: as a private Unix socket may have it. */
export function secretOf(given: string | undefined): string {
  return given ?? process.env[SECRET_VARIABLE] ?? "";
}

export function newNonce(): Buffer {
  return randomBytes(NONCE_BYTES);
}

export function prove(role: Role, secret: string, { hubNonce, processNonce, prefix }: Greeting): Buffer {
  const hmac = createHmac("sha256", secret);
  return hmac.update(`groupcast link ${VERSION}, ${role}\0`).update(hubNonce).update(processNonce).update(prefix).digest();
}

/** Takes the same time for every proof that is wrong. */
export function isProved(proof: Buffer, role: Role, secret: string, greeting: Greeting): boolean {
  return timingSafeEqual(proof, prove(role, secret, greeting));
}

export function encodeChallenge(hubNonce: Buffer): Buffer {
  return encodeParts(FRAME.challenge, [Buffer.of(VERSION), hubNonce]);
}

/** The hub's nonce. @throws GroupcastError `unavailable`: it speaks another version. */
export function readChallenge(frame: Buffer): Buffer {
  if (!isOurVersion(frame)) throw otherVersion();
  const body = bodyOf(frame);
  if (body.length !== 1 + NONCE_BYTES) throw broken("a challenge");
  return body.subarray(1);
}

export function encodeHello(secret: string, greeting: Greeting): Buffer {
  const proof = prove("process", secret, greeting);
  return encodeParts(FRAME.hello, [Buffer.of(VERSION), greeting.processNonce, proof, greeting.prefix]);
}

/** True if a challenge or hello is of this version: the one thing in them that every version has in the same place. */
export function isOurVersion(frame: Buffer): boolean {
  return bodyOf(frame)[0] === VERSION;
}

/** @throws GroupcastError `internal`: no hello. */
export function readHello(frame: Buffer): { readonly processNonce: Buffer; readonly proof: Buffer; readonly prefix: Buffer } {
  const body = bodyOf(frame);
  const proofAt = 1 + NONCE_BYTES;
  const prefixAt = proofAt + PROOF_BYTES;
  if (body.length <= prefixAt || body.length > prefixAt + PREFIX_BYTES_MAX) throw broken("a hello");
  return { processNonce: body.subarray(1, proofAt), proof: body.subarray(proofAt, prefixAt), prefix: body.subarray(prefixAt) };
}

export function encodeWelcome(secret: string, greeting: Greeting): Buffer {
  return encodeParts(FRAME.welcome, [prove("hub", secret, greeting)]);
}

/** @throws GroupcastError `unauthorized`: the hub does not know the secret. */
export function checkWelcome(frame: Buffer, secret: string, greeting: Greeting): void {
  const proof = bodyOf(frame);
  if (proof.length !== PROOF_BYTES) throw broken("a welcome");
  if (!isProved(proof, "hub", secret, greeting)) throw new GroupcastError("unauthorized", "it does not know the secret");
}

export function encodeRefused(reason: number): Buffer {
  return encodeParts(FRAME.refused, [Buffer.of(reason)]);
}

/** What the hub's refusal means for whoever is refused. */
export function readRefused(frame: Buffer): GroupcastError {
  switch (bodyOf(frame)[0]) {
    case REFUSED.secret:
      return new GroupcastError("unauthorized", "it has another secret; give both sides the same");
    case REFUSED.version:
      return otherVersion();
    case REFUSED.full:
      return new GroupcastError("limit", "it has all the links that it may have");
    default:
      return new GroupcastError("unavailable", "it refused, for a reason that this version does not know");
  }
}

function otherVersion(): GroupcastError {
  return new GroupcastError("unavailable", "it speaks another version of the link; run the same groupcast on both sides");
}
