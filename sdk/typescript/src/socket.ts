/** The WebSocket of the platform: the package `ws` in Node, the global one in browsers. */
import { MESSAGE_BYTES } from "./limits.js";

export interface Socket {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: Uint8Array): void;
  close(): void;
  /** Ends without a handshake; browsers have only `close`. */
  terminate?(): void;
}

const SUBPROTOCOL = "synod.v1";
const PATH = "/v1/agents";

/** The URL, with the path of agents where it has none. */
export function address(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !["ws:", "wss:"].includes(parsed.protocol))
    throw new TypeError(`${url} is no URL of a WebSocket: give one such as ws://127.0.0.1:7777 or wss://host`);
  if (parsed.pathname === "/") parsed.pathname = PATH;
  return parsed.href;
}

export async function open(url: string): Promise<Socket> {
  if (typeof process === "undefined" || !process.versions?.node) return new WebSocket(url, SUBPROTOCOL) as Socket;
  const { WebSocket: NodeSocket } = await import("ws");
  return new NodeSocket(url, SUBPROTOCOL, { maxPayload: MESSAGE_BYTES, perMessageDeflate: false }) as unknown as Socket;
}
