/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @typedef {(request: { raw: IncomingMessage }, reply: { raw: ServerResponse }, done: () => void) => void} Hook */
/** @param {(request: IncomingMessage, response: ServerResponse, run: () => void) => void} open */
export function plugin(open: (request: IncomingMessage, response: ServerResponse, run: () => void) => void): ((app: {
    addHook: (name: any, hook: any) => unknown;
}, options: object, done: () => void) => void) & {
    [x: symbol]: string | boolean;
};
export type Hook = (request: {
    raw: IncomingMessage;
}, reply: {
    raw: ServerResponse;
}, done: () => void) => void;
import type { IncomingMessage } from 'node:http';
import type { ServerResponse } from 'node:http';
