/** @import { AsyncLocalStorage } from 'node:async_hooks' */
/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Collector } from './collector.js' */
/**
 * What hooks of Fastify are given.
 * @typedef {(request: { raw: IncomingMessage }, reply: { raw: ServerResponse }, done: () => void) => void} Hook
 */
/**
 * @param {(request: IncomingMessage, response: ServerResponse, run: () => void) => void} open
 * @param {(request: IncomingMessage) => Collector | undefined} find
 * @param {AsyncLocalStorage<Collector>} current
 */
export function plugin(open: (request: IncomingMessage, response: ServerResponse, run: () => void) => void, find: (request: IncomingMessage) => Collector | undefined, current: AsyncLocalStorage<Collector>): ((app: {
    addHook: (name: any, hook: any) => unknown;
}, options: object, done: () => void) => void) & {
    [x: symbol]: string | boolean;
};
/**
 * What hooks of Fastify are given.
 */
export type Hook = (request: {
    raw: IncomingMessage;
}, reply: {
    raw: ServerResponse;
}, done: () => void) => void;
import type { IncomingMessage } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Collector } from './collector.js';
import type { AsyncLocalStorage } from 'node:async_hooks';
