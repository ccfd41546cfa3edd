/** Identities of messages: UUIDs of version 7, which sort by the time they were made. */
import { uuidText } from "./schema.js";

export function uuid7(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  const random = view.getUint16(6);
  view.setBigUint64(0, BigInt(Date.now()) << 16n);
  view.setUint16(6, 0x7000 | (random & 0x0fff));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return uuidText(bytes);
}

/** Unix nanoseconds, as exact as the clock of milliseconds is. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
