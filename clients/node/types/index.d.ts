/**
 * One app's connection with its sidecars.
 * @param {Options} [options]
 */
export function tagalong(options?: Options): {
    /** Express 4 and 5, Connect: `app.use(cache.express())`, before what it is for. */
    express: () => (/** @type {IncomingMessage} */ request: IncomingMessage, /** @type {ServerResponse} */ response: ServerResponse, /** @type {(error?: any) => void} */ next: (error?: any) => void) => void;
    /** Fastify 5: `await app.register(cache.fastify)`. */
    fastify: ((app: {
        addHook: (name: any, hook: any) => unknown;
    }, options: object, done: () => void) => void) & {
        [x: symbol]: string | boolean;
    };
    /** Anything on node:http: `http.createServer((req, res) => cache.run(req, res, () => …))`. */
    run: <T>(request: IncomingMessage, response: ServerResponse, run: () => T) => T;
    /**
     * Says what the response of this request depends on.
     * @param {Tags | [request: object, ...Tags]} args the request where it cannot be known otherwise, tags or lists of them
     * @returns {boolean} false: outside of a request, or too late, which is logged
     * @throws {TypeError} for what is no tag
     */
    cacheTag(...args: Tags | [request: object, ...Tags]): boolean;
    /**
     * Says how long the response of this request is fresh, for the sidecar alone. Said several times, the shortest counts.
     * @param {[said: Freshness] | [request: object, said: Freshness]} args
     * @returns {boolean} as of `cacheTag`
     */
    cacheControl(...args: [said: Freshness] | [request: object, said: Freshness]): boolean;
    /**
     * Says what has changed: call it after the commit.
     * @param {Tags | [...Tags, IncrementOptions] | [request: object, ...Tags] | [request: object, ...Tags, IncrementOptions]} args
     * @returns {Told}
     * @throws {TypeError} for what is no tag
     */
    increment(...args: Tags | [...Tags, IncrementOptions] | [request: object, ...Tags] | [request: object, ...Tags, IncrementOptions]): Told;
    /**
     * Says that attributes changed by which a rule's responses are filtered (docs/rules.md, dimensions): call it after the commit.
     * @param {[rule: string, values?: Values] | [request: object, rule: string, values?: Values]} args
     * @returns {Told}
     * @throws {TypeError} for what no rule or attribute can be called
     */
    change(...args: [rule: string, values?: Values] | [request: object, rule: string, values?: Values]): Told;
    /** The admin interfaces, one client each. */
    clients: Client[];
};
export type Tags = (string | readonly string[])[];
/**
 * `again`: once more, so many seconds later
 */
export type IncrementOptions = {
    soft?: boolean;
    again?: number;
};
/**
 * of attributes before and after; none: it was not there
 */
export type Values = {
    old?: Record<string, made.Value>;
    new?: Record<string, made.Value>;
};
/**
 * `null`: it travels with the response. Else whether every sidecar has it; never rejects
 */
export type Told = null | Promise<boolean>;
export type Tagalong = ReturnType<typeof tagalong>;
import type { Options } from './settings.js';
import type { IncomingMessage } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Freshness } from './freshness.js';
import { Client } from './client.js';
import { SidecarError } from './client.js';
import { encode } from './tags.js';
import { tag } from './tags.js';
import { valid } from './tags.js';
import * as made from './changes.js';
export { Client, SidecarError, encode, tag, valid };
