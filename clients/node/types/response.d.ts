/** @typedef {(typeof METHODS)[number]} Method */
/** @typedef {(...args: any[]) => any} Call */
/**
 * Calls `prepare` once, before the head of the response is made, and adds what it gives. Of a promise the response waits: what the
 * app writes meanwhile is kept, `write` says `false`, and 'drain' comes as always.
 *
 * @param {ServerResponse} response
 * @param {() => Lines | Promise<Lines>} prepare does not throw or reject
 * @param {(error: unknown) => void} failed is told what a call that had to wait has thrown; the response is destroyed then
 */
export function beforeHead(response: ServerResponse, prepare: () => Lines | Promise<Lines>, failed: (error: unknown) => void): void;
export type Method = (typeof METHODS)[number];
export type Call = (...args: any[]) => any;
import type { ServerResponse } from 'node:http';
import type { Lines } from './headers.js';
/** @import { ServerResponse } from 'node:http' */
/** @import { Lines } from './headers.js' */
declare const METHODS: readonly ["writeHead", "flushHeaders", "write", "end"];
export {};
