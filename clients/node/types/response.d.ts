/** @typedef {(typeof METHODS)[number]} Method */
/** @typedef {(...args: any[]) => any} Call */
/** @typedef {{ status: number, cacheControl: string }} Answer what the app is about to send */
/** @typedef {[name: string, value: any]} Header */
/**
 * @typedef {object} Watcher
 * @property {(answer: Answer) => Lines | Promise<Lines>} prepare does not throw or reject
 * @property {() => void} reopen is told that no head was made after all: `prepare` will be called again
 * @property {(error: unknown) => void} failed is told what a call that had to wait has thrown; the response is destroyed then
 */
/**
 * Calls `prepare` before the head of the response is made, and adds what it gives. Of a promise the response waits: what the
 * app writes meanwhile is kept, `write` says `false`, and 'drain' comes as always.
 *
 * @param {ServerResponse} response
 * @param {Watcher} watcher
 */
export function beforeHead(response: ServerResponse, { prepare, reopen, failed }: Watcher): void;
export type Method = (typeof METHODS)[number];
export type Call = (...args: any[]) => any;
/**
 * what the app is about to send
 */
export type Answer = {
    status: number;
    cacheControl: string;
};
export type Header = [name: string, value: any];
export type Watcher = {
    /**
     * does not throw or reject
     */
    prepare: (answer: Answer) => Lines | Promise<Lines>;
    /**
     * is told that no head was made after all: `prepare` will be called again
     */
    reopen: () => void;
    /**
     * is told what a call that had to wait has thrown; the response is destroyed then
     */
    failed: (error: unknown) => void;
};
import type { ServerResponse } from 'node:http';
/** @import { ServerResponse } from 'node:http' */
/** @import { Lines } from './headers.js' */
declare const METHODS: readonly ["writeHead", "flushHeaders", "write", "end"];
import type { Lines } from './headers.js';
export {};
